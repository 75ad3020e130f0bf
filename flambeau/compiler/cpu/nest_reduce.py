"""What reductions accumulate: the dtype of partial results, their identity, and how two become one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dtypes import bfloat16, bool_, dtype, float16, float32, uint8
from . import nest_maps as maps

KINDS = {"sum": "fui", "prod": "fui", "max": "fuib", "min": "fuib", "any": "b", "all": "b"}

LANES = 16  # partial results of a reduction


def supported(name: str, operand: dtype, result: dtype) -> bool:
    """Can the reduction be generated for these dtypes?"""
    if name not in KINDS or result.kind not in KINDS[name]:
        return False
    if name in ("max", "min") and operand is not result:
        return False
    return maps.supported("cast", (operand,), partial_dtype(name, result))


def partial_dtype(name: str, result: dtype) -> dtype:
    """The dtype of partial results: float32 for 16-bit floats, bytes for bool."""
    if result is bool_:
        return uint8
    return float32 if result in (float16, bfloat16) else result


def identity(name: str, dt: dtype) -> Any:
    """What changes no partial result (-0.0 + x is x, whatever the sign of x)."""
    if name in ("sum", "any"):
        return -0.0 if dt.kind == "f" else 0
    if name in ("prod", "all"):
        return 1
    if dt.kind == "f":
        return float("-inf") if name == "max" else float("inf")
    info = np.iinfo(dt.np)
    return int(info.min) if name == "max" else int(info.max)


def to_partial(o: maps.Ops, a: str, name: str, operand: dtype, result: dtype) -> str:
    """An element as it is accumulated."""
    if name in ("any", "all"):
        a, operand = maps.cast(o, a, operand, bool_), bool_
    return maps.cast(o, a, operand, partial_dtype(name, result))


def from_partial(o: maps.Ops, a: str, name: str, result: dtype) -> str:
    """A result in its dtype."""
    return maps.cast(o, a, partial_dtype(name, result), result)


def combine(o: maps.Ops, name: str, dt: dtype, a: str, b: str) -> str:
    """Two partial results as one."""
    if name in ("any", "all"):
        return o.two("or" if name == "any" else "and", dt, a, b)
    name = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum"}[name]
    return maps.MAPS[name][1](o, dt, a, b)
