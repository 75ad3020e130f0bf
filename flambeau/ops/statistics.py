"""Variance and its relatives, order statistics, histograms: ``var``, ``std``, ``median``, ``quantile``, ``histc``, …"""

from __future__ import annotations

import math
import warnings
from typing import Any

from ..graph.node import OUT, Operator
from ..graph.types import Ty
from ._arguments import tensor_first
from ._registry import call, export, into, wrap_dims
from .reductions import count, reduced_ty, unreduce
from .scans import running

# ---- var, std


def _var_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
    return reduced_ty(tys[0], attrs[0], attrs[1], tys[0].dtype.to_real())


def _moments(b: Any, attrs: Any, x: Any) -> tuple[Any, Any]:
    """Mean and variance in two passes, in the accumulation dtype, reduced dimensions kept."""
    dims, _, correction = attrs
    sizes = [x.shape[d] for d in dims]
    x = b.cast(x, running(x.dtype))
    mean = b.map("div", b.reduce("sum", x, dims, True), b.counted(sizes, x.dtype))
    d = b.map("sub", x, mean)
    square = (
        b.map("real", b.map("mul", d, b.map("conj", d)), dt=x.dtype.to_real())
        if x.dtype.kind == "c"
        else b.map("mul", d, d)
    )
    total = b.reduce("sum", square, dims, True)
    freedom = b.counted(sizes, total.dtype, lambda n: n - correction if n > correction else 0)
    return mean, b.map("div", total, freedom)


def _shaped(b: Any, attrs: Any, x: Any, y: Any, dt: Any) -> Any:
    """The result in its dtype, without the reduced dimensions unless they are kept."""
    y = b.cast(y, dt)
    return y if attrs[1] else b.reshape(y, [n for d, n in enumerate(x.shape) if d not in attrs[0]])


def _var_lower(b: Any, attrs: Any, x: Any) -> Any:
    return _shaped(b, attrs, x, _moments(b, attrs, x)[1], x.dtype.to_real())


def _std_lower(b: Any, attrs: Any, x: Any) -> Any:
    return _shaped(b, attrs, x, b.map("sqrt", _moments(b, attrs, x)[1]), x.dtype.to_real())


def var_backward(f: Any, g: Any, x: Any) -> Any:
    """The gradient of the variance."""
    dims, keepdim, correction = f.attrs
    shape = f.ins[0].shape
    dof = count(shape, dims) - correction
    if dof <= 0:
        return unreduce(g, shape, dims, keepdim) * ((x - x.mean(dims, True)) / 0.0 if dof == 0 else math.nan)
    return unreduce(g * (2.0 / dof), shape, dims, keepdim) * (x - x.mean(dims, True))


def std_backward(f: Any, g: Any, x: Any, y: Any) -> Any:
    """The gradient of the standard deviation; none where that is zero."""
    return var_backward(f, (g / (y * 2)).masked_fill(y == 0, 0), x)


VAR = Operator("var", _var_ty, _var_lower, lambda f, g: (var_backward(f, g, f.saved(0)),), saves=((0, (0,)),))
STD = Operator(
    "std", _var_ty, _std_lower, lambda f, g: (std_backward(f, g, f.saved(0), f.out()),), saves=((0, (0,)), (OUT, (0,)))
)


def _pair_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> tuple[Ty, Ty]:
    return _var_ty(tys, attrs), reduced_ty(tys[0], attrs[0], attrs[1], tys[0].dtype)


def _pair_lower(root: bool) -> Any:
    def lower(b: Any, attrs: Any, x: Any) -> Any:
        mean, var = _moments(b, attrs, x)
        first = _shaped(b, attrs, x, b.map("sqrt", var) if root else var, x.dtype.to_real())
        return first, _shaped(b, attrs, x, mean, x.dtype)

    return lower


def _pair_vjp(root: bool) -> Any:
    def vjp(f: Any, g: Any, gm: Any) -> tuple[Any]:
        dims, keepdim, _ = f.attrs
        x, shape = f.saved(0), f.ins[0].shape
        gx = std_backward(f, g, x, f.out()) if root else var_backward(f, g, x)
        return (gx + unreduce(gm, shape, dims, keepdim) / count(shape, dims),)

    return vjp


VAR_MEAN = Operator("var_mean", _pair_ty, _pair_lower(False), _pair_vjp(False), saves=((0, (0,)),))
STD_MEAN = Operator("std_mean", _pair_ty, _pair_lower(True), _pair_vjp(True), saves=((0, (0,)), (OUT, (0,))))


def _deviation(op: Operator, x: Any, dim: Any, unbiased: Any, correction: Any, keepdim: bool) -> Any:
    """Reads ``var``'s two signatures: ``f(x, unbiased)``, ``f(x, dim, unbiased or correction, keepdim)``."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = int(unbiased)
    t = x._ty
    if t.dtype.kind not in "fc":
        name = op.name if op.name.endswith("_mean") else "std and var"
        raise RuntimeError(f"{name} only support floating point and complex dtypes")
    correction = 1 if correction is None else correction
    dims = wrap_dims(dim, t.ndim)
    if count(t.shape, dims) <= correction and (t.numel or 0 not in [n for d, n in enumerate(t.shape) if d not in dims]):
        warnings.warn(
            f"{op.name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
            "(input numel divided by output numel).",
            stacklevel=4,
        )
    return call(op, (x,), (dims, keepdim, correction))


@export()
@tensor_first
def var(
    input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None, out: Any = None
) -> Any:
    """The variance over some dimensions, all if ``dim`` is None
    (https://docs.pytorch.org/docs/stable/generated/torch.var.html).

    The sum of squared distances from the mean over ``n - correction`` (by default 1; 0 with ``unbiased=False``).

    Raises:
        RuntimeError: the input is neither of floats nor complex.
        IndexError: ``dim`` is no dimension of the input.
    """
    return into(_deviation(VAR, input, dim, unbiased, correction, keepdim), out, "var")


@export()
@tensor_first
def std(
    input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None, out: Any = None
) -> Any:
    """The standard deviation; ``correction`` (1) is taken from the number of elements."""
    return into(_deviation(STD, input, dim, unbiased, correction, keepdim), out, "std")


@export(method=False)
@tensor_first
def var_mean(
    input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None, out: Any = None
) -> Any:
    """The variance and the mean over some dimensions, all if ``dim`` is None
    (https://docs.pytorch.org/docs/stable/generated/torch.var_mean.html). See ``var`` for ``correction`` and errors.
    """
    return into(_deviation(VAR_MEAN, input, dim, unbiased, correction, keepdim), out, "var_mean")


@export(method=False)
@tensor_first
def std_mean(
    input: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None, out: Any = None
) -> Any:
    """The standard deviation and the mean over some dimensions, all if ``dim`` is None
    (https://docs.pytorch.org/docs/stable/generated/torch.std_mean.html). See ``var`` for ``correction`` and errors.
    """
    return into(_deviation(STD_MEAN, input, dim, unbiased, correction, keepdim), out, "std_mean")
