"""Writes `joint.json` from torchvision 0.28: `python tests/golden/make_joint.py`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from joint_cases import ALONE, CASES, results  # noqa: E402

rows = {expression: results(torch, tv_tensors, v2, expression) for expression in CASES + ALONE}
lines = [f"{json.dumps(expression)}: {json.dumps(found)}" for expression, found in rows.items()]
(HERE / "joint.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
