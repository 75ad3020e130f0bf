"""IR to IR: checks of values (labels, row numbers, probabilities) as elementwise work and a flag that says "refused".

Where a row or a label is refused, the program goes on with one that it can read. The flag stops it before anything is
written where it can be seen; the reference executor then runs the same program and finds the words for the error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .builder import Builder
from .ir import Function, Value
from .simplify import Rewriter, copied, rewritten


def flagged(f: Function) -> Function:
    """The function without checks; further outputs say for each that it had whether an element is refused."""
    if not any(_is_check(v) for v in f.values):
        return f
    flags: list[Value] = []

    def flag(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        if not _is_check(v):
            return copied(r, v, args)
        _, constants = v.params
        allowed, value = CHECKS[v.name](r, args[0], *constants)
        flags.append(r.reduce("any", r.map("logical_not", allowed), tuple(range(v.ndim))))
        return value

    g = rewritten(f, flag)
    g.outputs = [*g.outputs, *flags]
    return g


def _is_check(v: Value) -> bool:
    return v.kind == "extern" and v.name in CHECKS and 0 not in v.shape


def _inside(b: Builder, x: Value, size: int) -> Value:
    zero, end = b.const(0, x.dtype), b.const(size, x.dtype)
    return b.map("logical_and", b.map("ge", x, zero), b.map("lt", x, end))


def _rows(b: Builder, x: Value, rows: int) -> tuple[Value, Value]:
    allowed = _inside(b, x, rows)
    return allowed, b.where(allowed, x, b.const(0, x.dtype))


def _labels(b: Builder, x: Value, classes: int, ignore: int) -> tuple[Value, Value]:
    allowed = b.map("logical_or", _inside(b, x, classes), b.map("eq", x, b.const(ignore, x.dtype)))
    return allowed, b.where(allowed, x, b.const(0, x.dtype))


def _unit_interval(b: Builder, x: Value, name: str = "input") -> tuple[Value, Value]:
    zero, one = b.const(0, x.dtype), b.const(1, x.dtype)
    return b.map("logical_and", b.map("ge", x, zero), b.map("le", x, one)), x


# What each check allows, as a condition on its elements, and the value to go on with.
CHECKS: dict[str, Callable[..., tuple[Value, Any]]] = {
    "check_rows": _rows,
    "check_labels": _labels,
    "check_unit_interval": _unit_interval,
}
