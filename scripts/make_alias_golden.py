"""Records with PyTorch what the programs of ``tests/alias_cases.py`` log: ``python scripts/make_alias_golden.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

from alias_cases import CASES, run  # noqa: E402


def main() -> None:
    """Writes ``tests/golden/alias.json``."""
    golden = {name: run(torch, program) for name, program in CASES.items()}
    (TESTS / "golden" / "alias.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
