"""Maps of floats that kernels have no instructions for, as maps that they have: the formulas of the NumPy executor."""

from __future__ import annotations

from collections.abc import Callable

from ..dtypes import bfloat16, bool_, dtype
from .ir import Value
from .simplify import Rewriter

LOG2 = 0.6931471805599453
LOG2_E = 1.4426950408889634


class Maps:
    """Makes maps over operands of one shape and dtype."""

    def __init__(self, r: Rewriter, like: Value) -> None:
        self.r = r
        self.like = like

    def map(self, name: str, *args: Value, dt: dtype | None = None) -> Value:
        """A map; of the operands' dtype by default."""
        return self.r.make("map", name, args, None, self.like.shape, dt or self.like.dtype)

    def test(self, name: str, *args: Value) -> Value:
        """A predicate, or the combination of several."""
        return self.map(name, *args, dt=bool_)

    def const(self, value: float) -> Value:
        """A constant."""
        c = self.r.make("const", "const", (), value, (), self.like.dtype)
        return self.r.view("expand", c, None, self.like.shape)

    def where(self, cond: Value, a: Value, b: Value) -> Value:
        """``a`` where the condition holds, else ``b``."""
        return self.map("where", cond, a, b)


def composed_map(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value | None:
    """The same map in terms of others; None if it needs none."""
    if v.name in CONSTANT and args[0].dtype.kind in "uib":
        c = r.make("const", "const", (), CONSTANT[v.name], (), bool_)
        return r.view("expand", c, None, v.shape)
    if v.name not in FORMULAS or v.dtype.kind != "f" or v.dtype is bfloat16 or v.dtype.itemsize == 1:
        return None
    return FORMULAS[v.name](Maps(r, args[0]), *args)


def _turned(m: Maps, rest: Value, b: Value) -> Value:
    """Has a division by ``b`` left something of the other sign?"""
    zero = m.const(0)
    opposite = m.test("logical_xor", m.test("lt", b, zero), m.test("lt", rest, zero))
    return m.test("logical_and", m.test("ne", rest, zero), opposite)


def _remainder(m: Maps, a: Value, b: Value) -> Value:
    rest = m.map("fmod", a, b)
    return m.where(_turned(m, rest, b), m.map("add", rest, b), rest)


def _floor_divide(m: Maps, a: Value, b: Value) -> Value:
    rest, one, zero = m.map("fmod", a, b), m.const(1), m.const(0)
    q = m.map("div", m.map("sub", a, rest), b)
    q = m.where(_turned(m, rest, b), m.map("sub", q, one), q)
    whole = m.map("floor", q)
    below = m.test("gt", m.map("sub", q, whole), m.const(0.5))
    whole = m.where(below, m.map("add", whole, one), whole)
    plain = m.map("div", a, b)
    whole = m.where(m.test("eq", q, zero), m.map("copysign", zero, plain), whole)
    return m.where(m.test("eq", b, zero), plain, whole)


def _times_log(log: str) -> Callable[..., Value]:
    def f(m: Maps, x: Value, y: Value) -> Value:
        zero = m.const(0)
        product = m.map("mul", x, m.map(log, y))
        return m.where(m.test("isnan", y), y, m.where(m.test("eq", x, zero), zero, product))

    return f


def _entr(m: Maps, x: Value) -> Value:
    zero = m.const(0)
    outside = m.where(m.test("eq", x, zero), zero, m.const(float("-inf")))
    inside = m.map("mul", m.map("neg", x), m.map("log", x))
    return m.where(m.test("isnan", x), x, m.where(m.test("gt", x, zero), inside, outside))


def _log_of_sum(power: str, factor: float, step: float) -> Callable[..., Value]:
    """The logarithm, in some base, of two powers' sum: the larger and what the smaller adds, ``step`` if they agree."""

    def f(m: Maps, x: Value, y: Value) -> Value:
        apart = m.map("sub", x, y)
        larger = m.where(m.test("gt", apart, m.const(0)), x, y)
        more = m.map("log1p", m.map(power, m.map("neg", m.map("abs", apart))))
        more = m.map("mul", more, m.const(factor)) if factor != 1 else more
        return m.where(m.test("eq", x, y), m.map("add", x, m.const(step)), m.map("add", larger, more))

    return f


CONSTANT = {"isnan": False, "isinf": False, "isfinite": True}  # of integers
FORMULAS: dict[str, Callable[..., Value]] = {
    "remainder": _remainder, "floor_divide": _floor_divide, "xlogy": _times_log("log"), "xlog1py": _times_log("log1p"),
    "entr": _entr, "logaddexp": _log_of_sum("exp", 1, LOG2), "logaddexp2": _log_of_sum("exp2", LOG2_E, 1),
}  # fmt: skip
COMPOSED = frozenset([*CONSTANT, *FORMULAS])  # maps that may be made of others
