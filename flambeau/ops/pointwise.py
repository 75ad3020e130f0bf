"""Elementwise operators of one operand, and the machinery to declare them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph.node import OUT, Operator
from ._registry import FUNCTIONS, METHODS, call, call_inplace, into
from ._types import unary_float_ty, unary_ty

Lower = Callable[[Any, Any], Any]


def unary(
    name: str, lower: Lower | str, vjp: Callable[..., Any] | None, *, saves: str = "", floats: bool = False,
    method: bool = True, inplace: bool = True, grad_name: str | None = None,
) -> Operator:  # fmt: skip
    """Declares an elementwise operator and lists ``name`` and ``name_``.

    ``lower`` is a map's name or ``(b, x) -> value`` on a value that already has the result's dtype.
    ``saves`` names what ``vjp(f, g)`` reads: "x" for ``f.saved(0)``, "y" for ``f.out()``.
    ``floats``: integers give floats.
    """
    rule = (lambda b, x: b.map(lower, x)) if isinstance(lower, str) else lower

    def lowered(b: Any, dt: Any, x: Any) -> Any:
        return rule(b, b.cast(x, dt))

    infer = unary_float_ty if floats else unary_ty
    kept = tuple((0 if c == "x" else OUT, (0,)) for c in saves)
    op = Operator(name, lambda tys, attrs: infer(tys), lambda b, attrs, x: lowered(b, infer_dtype(x, floats), x), vjp, kept, grad_name)

    def plain(input: Any, *, out: Any = None) -> Any:
        return into(call(op, (input,)), out, name)

    def inplace_form(input: Any) -> Any:
        return call_inplace(op, input)

    _list(name, plain, FUNCTIONS, METHODS if method else {})
    if inplace:
        _list(name + "_", inplace_form, FUNCTIONS, METHODS if method else {})
    return op


def infer_dtype(x: Any, floats: bool) -> Any:
    """The dtype of a unary operator's result."""
    from ._types import float_dtype

    return float_dtype(x.dtype) if floats else x.dtype


def _list(name: str, f: Any, *tables: dict[str, Any]) -> None:
    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"``{name}`` elementwise (https://docs.pytorch.org/docs/stable/generated/torch.{name.rstrip('_')}.html)."
    for table in tables:
        table[name] = f


def _relu(b: Any, x: Any) -> Any:
    return b.map("maximum", x, b.const(0, x.dtype))


NEG = unary("neg", "neg", lambda f, g: (-g,))
EXP = unary("exp", "exp", lambda f, g: (g * f.out().conj(),), saves="y", floats=True)
LOG = unary("log", "log", lambda f, g: (g.div(f.saved(0).conj()),), saves="x", floats=True)
COS = unary("cos", "cos", lambda f, g: (g * -f.saved(0).sin().conj(),), saves="x", floats=True)
SIN = unary("sin", "sin", lambda f, g: (g * f.saved(0).cos().conj(),), saves="x", floats=True)
SQRT = unary("sqrt", "sqrt", lambda f, g: (g / (2 * f.out().conj()),), saves="y", floats=True)
TANH = unary("tanh", "tanh", lambda f, g: (g * (1 - f.out() * f.out()).conj(),), saves="y", floats=True)
ABS = unary("abs", "abs", lambda f, g: (g * f.saved(0).sgn(),), saves="x")
RECIPROCAL = unary("reciprocal", "reciprocal", lambda f, g: (-g * (f.out() * f.out()).conj(),), saves="y", floats=True)
RELU = unary("relu", _relu, lambda f, g: (threshold_backward(g, f.out()),), saves="y")


THRESHOLD_BACKWARD = Operator(
    "threshold_backward",
    lambda tys, attrs: unary_ty(tys),
    lambda b, attrs, g, y: b.where(b.map("gt", y, b.const(0, y.dtype)), g, b.const(0, g.dtype)),
    lambda f, gg: (threshold_backward(gg, f.saved(1)), None),
    saves=((1, (0,)),),
)


def threshold_backward(g: Any, y: Any) -> Any:
    """``g`` where ``y > 0``, else 0."""
    return call(THRESHOLD_BACKWARD, (g, y))


METHODS["__neg__"] = METHODS["neg"]
METHODS["__abs__"] = METHODS["abs"]
