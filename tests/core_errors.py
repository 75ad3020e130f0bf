"""The wrong calls of ``core_error_cases.txt``, and what a package raises for them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NOTHING_RAISED = ["", ""]


def cases() -> dict[str, list[str]]:
    """The expressions of each name."""
    lines = (HERE / "core_error_cases.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(": ", 1) for line in lines if line and not line.startswith("#"))
    return {name: calls.split(" ; ") for name, calls in pairs}


def environment(torch: Any) -> dict[str, Any]:
    """The names that expressions may use."""
    return {
        "torch": torch,
        "F": torch.nn.functional,
        "x": torch.ones(2, 3),
        "y": torch.ones(4, 5),
        "v": torch.ones(3),
        "m": torch.ones(3, 3),
        "i": torch.ones(2, 3, dtype=torch.int64),
        "b": torch.ones(2, 3, dtype=torch.bool),
        "c": torch.ones(2, 3, dtype=torch.complex64),
        "img": torch.ones(1, 2, 4, 4),
        "z": torch.ones(0),
    }


def outcome(torch: Any, expression: str) -> list[str]:
    """The type and the message's first line of the error that the expression raises."""
    names = environment(torch)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eval(expression, names)
    except Exception as error:
        return [type(error).__name__, str(error).split("\n")[0]]
    return NOTHING_RAISED
