"""Makes elementwise.json and elementwise_errors.json with real PyTorch: ``python make_elementwise.py``."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from elementwise_cases import ERRORS, VALUES, environment, outcome, record


def main() -> None:
    """Writes both files beside this one."""
    import torch

    warnings.simplefilter("ignore")
    values: dict[str, Any] = {}
    for expression in VALUES:
        values[expression] = record(torch, eval(expression, environment(torch)))
    errors = {expression: outcome(torch, expression) for expression in ERRORS}
    here = Path(__file__).parent
    for name, rows in (("elementwise", values), ("elementwise_errors", errors)):
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rows.items())
        (here / f"{name}.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
