"""Writes keypoints.json, torchvision's key points: `PYTHONPATH=tests python tests/golden/make_keypoints.py`."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from keypoint_cases import Side, of_functions, of_samples
from torchvision import tv_tensors
from torchvision.transforms import v2

side = Side(torch, v2, v2.functional, tv_tensors)
found = {"functions": of_functions(side), "samples": of_samples(side)}
Path(__file__).with_name("keypoints.json").write_text(json.dumps(found, indent=1) + "\n")
