"""Numbers that are symbols while PyTorch's compiler traces a program, and functions of them and of plain ones.

Nothing is an instance of the classes here, so the functions get Python's numbers.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = [
    "SymBool",
    "SymFloat",
    "SymInt",
    "sym_float",
    "sym_int",
    "sym_ite",
    "sym_max",
    "sym_min",
    "sym_not",
    "sym_sqrt",
    "sym_sum",
]


class SymInt:
    """An integer known when the program runs."""


class SymFloat:
    """A float known when the program runs."""


class SymBool:
    """A truth value known when the program runs."""


def sym_float(a: Any) -> float:
    """The number as a float."""
    return float(a)


def sym_int(a: Any) -> int:
    """The number as an integer, cut towards zero."""
    return int(a)


def _of_two(choose: Any, a: Any, b: Any) -> Any:
    for x in (a, b):
        if not isinstance(x, (int, float)):
            raise AssertionError(f"expected {(int, float)}, got {type(x)}")
    return float(choose(a, b)) if isinstance(a, float) or isinstance(b, float) else choose(a, b)


def sym_max(a: Any, b: Any) -> Any:
    """The larger of two numbers, a float if one of them is."""
    return _of_two(max, a, b)


def sym_min(a: Any, b: Any) -> Any:
    """The smaller of two numbers, a float if one of them is."""
    return _of_two(min, a, b)


def sym_not(a: Any) -> bool:
    """Not this truth value."""
    return not a


def sym_sqrt(a: Any) -> float:
    """The square root of a number."""
    return math.sqrt(a)


def sym_sum(*args: Any) -> Any:
    """The sum of numbers, or of a list of them."""
    return sum(args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args)


def sym_ite(b: bool, t: Any, f: Any) -> Any:
    """``t if b else f`` of two numbers of one type."""
    if not isinstance(b, bool):
        raise AssertionError(f"expected SymBool or bool, got {type(b)}")
    if type(t) is not type(f):
        raise AssertionError(f"type mismatch: {type(t)} vs {type(f)}")
    return t if b else f
