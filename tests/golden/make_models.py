"""Writes `models.json` beside this file: run with PyTorch and torchvision installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torchvision.models as models

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from model_cases import PATTERNED, RUN, named, numbers_of, patterned, shape_of  # noqa: E402

from flambeau.vision.models import list_models  # noqa: E402

torch.set_num_threads(1)
with torch.device("meta"):
    shapes = {name: shape_of(named(models, name)) for name in list_models()}
found = {
    "shapes": shapes,
    "numbers": {name: numbers_of(torch, models, *case) for name, case in RUN.items()},
    "patterned": {name: patterned(torch, models, *case) for name, case in PATTERNED.items()},
    "weights": {
        f"{enum.__name__}.{name}": [w.url, w.meta["num_params"], list(w.meta["min_size"]), repr(w.transforms())]
        for enum in map(models.get_model_weights, list_models())
        for name, w in enum.__members__.items()
    },
}
Path(__file__).with_name("models.json").write_text(json.dumps(found, indent=0) + "\n")
