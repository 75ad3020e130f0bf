"""Writes tests/golden/lenet_*.json with the real PyTorch: the loss of LeNet at every step of training on digits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from training_curves import CURVES, GOLDEN, losses


def main() -> None:
    """The command."""
    import torch

    for name in CURVES:
        curve = list(losses(torch, name))
        (GOLDEN / f"lenet_{name}.json").write_text(json.dumps(curve) + "\n", encoding="utf-8")
        print(f"{name}: {len(curve)} steps, {curve[0]:.4f} to {curve[-1]:.4f}")


if __name__ == "__main__":
    main()
