"""Writes tests/golden/errors_core.json with the real PyTorch: the errors of the calls in tests/core_error_cases.txt.

A call that PyTorch accepts is reported and stops the script: the list holds wrong calls only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from core_errors import NOTHING_RAISED, cases, outcome  # noqa: E402


def main() -> int:
    """The command."""
    import torch

    found = {expression: outcome(torch, expression) for calls in cases().values() for expression in calls}
    accepted = [expression for expression, result in found.items() if result == NOTHING_RAISED]
    for expression in accepted:
        print(f"PyTorch accepts {expression}", file=sys.stderr)
    lines = ",\n".join(f"{json.dumps(e)}: {json.dumps(r)}" for e, r in found.items())
    (TESTS / "golden" / "errors_core.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    return int(bool(accepted))


if __name__ == "__main__":
    sys.exit(main())
