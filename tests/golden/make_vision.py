"""Writes `vision.npz` beside this file: run with PyTorch and torchvision installed, from the folder `tests`."""

from __future__ import annotations

import random
import sys
import warnings
from pathlib import Path

import numpy
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))
from vision_cases import CASES, FUNCTIONS, SEED, flattened, inputs

warnings.simplefilter("ignore")
found: dict[str, numpy.ndarray] = {}
for kind, expressions in (("class", CASES), ("function", FUNCTIONS)):
    for expression, names in expressions:
        for name in names.split():
            image = inputs(torch)[name]
            torch.manual_seed(SEED)
            random.seed(SEED)
            scope = {"T": T, "F": F, "X": torch, "v": image}
            result = eval(expression, scope)(image) if kind == "class" else eval(expression, scope)
            for index, array in enumerate(flattened(result)):
                found[f"{expression} {name} {index}"] = array
            found[f"{expression} {name} after"] = torch.rand(1).numpy()
for expression, _ in CASES:
    found[f"{expression} repr"] = numpy.array(repr(eval(expression, {"T": T, "X": torch})))
numpy.savez_compressed(Path(__file__).with_name("vision.npz"), **found)
