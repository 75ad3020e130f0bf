"""Programs on the device "meta" and what they show.

``python tests/_meta_cases.py`` with the real torch writes ``tests/golden/meta_device.json`` from
``tests/meta_cases.txt``. Each row is a program, an expression behind statements, with the ``repr`` of its value or the
error, and the warnings it gave.
"""

from __future__ import annotations

import copy
import json
import pickle
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "meta_device.json"


def programs() -> list[str]:
    """The programs, in order."""
    lines = (HERE / "meta_cases.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def environment(torch: Any) -> dict[str, Any]:
    """The names that programs may use."""
    return {
        "torch": torch,
        "nn": torch.nn,
        "F": torch.nn.functional,
        "pickle": pickle,
        "copy": copy,
        "m": torch.empty(2, 3, device="meta"),
        "c": torch.ones(2, 3),
        "p": torch.nn.Linear(3, 4, device="meta"),
    }


def outcome(torch: Any, program: str) -> list[Any]:
    """What the program shows: a text, and the warnings."""
    *statements, expression = program.split(" ;; ")
    names = environment(torch)
    with warnings.catch_warnings(record=True) as caught, tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("always")
        names["file"] = f"{folder}/saved.pt"
        try:
            for statement in statements:
                exec(statement, names)
            text = repr(eval(expression, names))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
        finally:
            torch.set_default_device("cpu")
    return [text, [str(w.message) for w in caught]]


if __name__ == "__main__":
    import torch

    if not hasattr(torch, "_C") or "flambeau" in torch.__version__:
        sys.exit("this needs the real torch")
    found = {program: outcome(torch, program) for program in programs()}
    GOLDEN.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")
