"""Between what numbers a pending value lies whatever it is made of, as far as its last operators tell."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from ..graph.node import LAYOUT, SCALAR, VIEW, Node

Bounds = tuple[float, float]
_ANY: Bounds = (-inf, inf)
_DEEPEST = 6  # operators one upon the other that are looked at
_FIXED: dict[str, Bounds] = {
    "sigmoid": (0, 1), "softmax": (0, 1), "hardsigmoid": (0, 1), "tanh": (-1, 1), "sin": (-1, 1), "cos": (-1, 1),
    "relu": (0, inf), "exp": (0, inf),
}  # fmt: skip
_KEPT = frozenset(("_to_copy", "cat", "stack", "mean", "clone", "minimum", "maximum"))  # nothing beyond their inputs'
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "rsub": lambda a, b: b - a, "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
}  # fmt: skip


def bounds(node: Node, numbers: Any, deepest: int = _DEEPEST) -> Bounds:
    """The least and the greatest that an element may be unless it is not a number; ``numbers`` are the epoch's."""
    name = node.op.name
    if node.op is SCALAR:
        value = numbers[node.attrs]
        return (value, value) if isinstance(value, (int, float)) else _ANY
    if name in _FIXED:
        return _FIXED[name]
    if name == "full":
        return _ANY if isinstance(node.attrs[0], complex) else (node.attrs[0], node.attrs[0])
    if not deepest:
        return _ANY
    inner = [bounds(i, numbers, deepest - 1) for i in node.ins]
    return _of(node, name, inner)


def _of(node: Node, name: str, inner: list[Bounds]) -> Bounds:
    if node.op is VIEW or node.op is LAYOUT:
        return inner[0]
    if name in ("filled", "fill"):
        return inner[-1]
    if name in _KEPT:
        return min(low for low, _ in inner), max(high for _, high in inner)
    if name == "hardtanh":
        return node.attrs
    if name == "clamp":
        return _clamped(node.attrs, inner)
    if name in _ARITHMETIC and len(inner) > 1 and all(factor == (1, 1) for factor in inner[2:]):
        return _combined(_ARITHMETIC[name], *inner[:2])
    return _ANY


def _clamped(given: tuple[bool, bool], inner: list[Bounds]) -> Bounds:
    """``given``: is there a least, a greatest? They are the inputs behind the first."""
    (low, high), rest = inner[0], inner[1:]
    if given[0]:
        low, high = max(low, rest[0][0]), max(high, rest[0][1])
    if given[1]:
        low, high = min(low, rest[-1][0]), min(high, rest[-1][1])
    return low, high


def _combined(f: Callable[[float, float], float], a: Bounds, b: Bounds) -> Bounds:
    if any(abs(x) == inf for x in (*a, *b)) or f is _ARITHMETIC["div"] and b[0] <= 0 <= b[1]:
        return _ANY
    ends = [f(x, y) for x in a for y in b]
    return min(ends), max(ends)
