"""Writes vision_drawings.json, what torchvision draws: `PYTHONPATH=tests python tests/golden/make_drawings.py`."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torchvision import utils
from vision_drawing import DRAWN, digest

NAMES = [
    name for name in DRAWN if name not in ("boxes named", "boxes with grounds")
]  # texts are drawn in Pillow's font
found = {name: digest(DRAWN[name](torch, utils)) for name in NAMES}
Path(__file__).with_name("vision_drawings.json").write_text(json.dumps(found, indent=1) + "\n")
