"""Comparisons: ``eq`` and its relatives, ``isclose``, ``allclose``, ``equal``; larger and smaller of two."""

from __future__ import annotations

import operator
from typing import Any

from ..dtypes import SCALAR_NAMES, get_default_dtype
from ..graph.node import Operator
from ..graph.tensor_base import TensorBase
from ._elementwise import binary, no_gradient, reflected, tensor_argument
from ._immediate import COMPARISONS, scalar
from ._registry import METHODS, at_version, export


def _compare(name: str, alias: tuple[str, ...], kinds: str) -> Operator:
    names = [f"{name.capitalize()}Backward{k}" for k in (1, 0)]
    return binary(name, name, no_gradient, result="bool", kinds=kinds, aliases=alias, grad_names=names)


EQ = _compare("eq", (), "buifc")
NE = _compare("ne", ("not_equal",), "buifc")
LT = _compare("lt", ("less",), "buif")
LE = _compare("le", ("less_equal",), "buif")
GT = _compare("gt", ("greater",), "buif")
GE = _compare("ge", ("greater_equal",), "buif")


def _operator_method(op: Operator, general: Any) -> Any:
    """A comparison with Python's operator; that of two numbers at hand is computed at once."""

    def method(self: Any, other: Any) -> Any:
        if self._ty.ndim == 0:
            y = scalar(op, self, other) if isinstance(other, TensorBase) or type(other) in (int, float) else None
            if y is not None:
                return y
        return general(self, other)

    return method


for _op in (EQ, NE, LT, LE, GT, GE):
    METHODS[f"__{_op.name}__"] = _operator_method(_op, reflected(METHODS[_op.name], arrays=True))
    COMPARISONS[_op] = getattr(operator, _op.name)


# ---- the larger and the smaller


def _extreme_vjp(above: str, below: str) -> Any:
    """The gradient goes to the operand that was taken, half to each of equals."""

    def vjp(f: Any, g: Any) -> tuple[Any, Any]:
        from .ternary import where

        x, y = f.saved(0), f.saved(1)
        half = where(x == y, g / 2, g)
        gx = at_version(where(getattr(x, below)(y), 0, half), 1) if f.needs(0) else None
        return gx, at_version(where(getattr(x, above)(y), 0, half), 1) if f.needs(1) else None

    return vjp


def _fextreme_vjp(name: str) -> Any:
    def vjp(f: Any, g: Any) -> tuple[Any, Any]:
        from .ternary import where

        x, y = f.saved(0), f.saved(1)
        first = getattr(x, name)(y).logical_or(y.isnan())
        return where(first, g, 0) if f.needs(0) else None, where(first, 0, g) if f.needs(1) else None

    return vjp


def _complex_error(name: str) -> Any:
    return {"c": (RuntimeError, f"{name} not implemented for complex tensors.")}


_ALL = ((0, (0, 1)), (1, (0, 1)))
for _name, _vjp in (
    ("maximum", _extreme_vjp("gt", "lt")),
    ("minimum", _extreme_vjp("lt", "gt")),
    ("fmax", _fextreme_vjp("ge")),
    ("fmin", _fextreme_vjp("le")),
):
    binary(_name, _name, _vjp, saves=_ALL, kinds="buif", errors=_complex_error(_name), inplace=False, numbers="")


# ---- equality of whole tensors


@export()
def equal(input: Any, other: Any) -> bool:
    """Have both tensors the same shape and elements?"""
    x, y = tensor_argument("equal", input), tensor_argument("equal", other, "other", 2)
    if x._ty.shape != y._ty.shape:
        return False
    return bool((x.detach()._numpy() == y.detach()._numpy()).all())


# ---- closeness


def _check_close(name: str, x: Any, y: Any, rtol: float, atol: float) -> None:
    tensor_argument(name, x)
    tensor_argument(name, y, "other", 2)
    if x._ty.dtype is not y._ty.dtype:
        raise RuntimeError(f"{SCALAR_NAMES[x._ty.dtype]} did not match {SCALAR_NAMES[y._ty.dtype]}")
    if rtol < 0:
        raise RuntimeError(f"rtol must be greater than or equal to zero, but got {rtol:g}")
    if atol < 0:
        raise RuntimeError(f"atol must be greater than or equal to zero, but got {atol:g}")


@export()
def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Where ``|input - other| <= atol + rtol * |other|``.

    See https://docs.pytorch.org/docs/stable/generated/torch.isclose.html.
    """
    _check_close("isclose", input, other, rtol, atol)
    x, y = input.detach(), other.detach()
    close = x == y
    if equal_nan and x._ty.dtype.kind in "fc":
        close = close.logical_or(x.isnan().logical_and(y.isnan()))
    if rtol == 0 and atol == 0:
        return close
    if x._ty.dtype.kind not in "fc":
        x, y = x.to(get_default_dtype()), y.to(get_default_dtype())
    allowed, actual = (y * rtol).abs() + atol, (x - y).abs()
    return close.logical_or(actual.isfinite().logical_and(actual <= allowed))


@export()
def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Are all elements close (see ``isclose``)?"""
    _check_close("allclose", input, other, rtol, atol)
    return bool(isclose(input, other, rtol, atol, equal_nan).all())
