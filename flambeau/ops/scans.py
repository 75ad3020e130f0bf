"""Running reductions along a dimension: ``cumsum``, ``cumprod``, ``cummax``, ``cummin``, ``logcumsumexp``."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import return_types
from ..dtypes import SCALAR_NAMES, int64
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._arguments import tensor_first
from ._registry import call, call_inplace, export, into, wrap_dim
from .extremes import into_named, place
from .reductions import sum_dtype, wide

# ---- cumsum, cumprod


def _scan_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
    return ty(tys[0].shape, attrs[1])


def _scan_lower(how: str) -> Any:
    def lower(b: Any, attrs: Any, x: Any) -> Any:
        dim, dt = attrs
        if not x.ndim:
            return b.cast(x, dt)
        return b.cast(b.scan(how, b.cast(b.cast(x, dt), wide(dt)), dim), dt)

    return lower


def _cumsum_vjp(f: Any, g: Any) -> tuple[Any]:
    dim = f.attrs[0]
    return (g if g._ty.numel <= 1 else g.flip(dim).cumsum(dim).flip(dim),)


def _cumprod_vjp(f: Any, g: Any) -> tuple[Any]:
    """Each element's product of those before it, times what the sums after it hold."""
    dim, x = f.attrs[0], f.saved(0)
    if x._ty.numel <= 1:
        return (g,)
    n = x.shape[dim]
    one = x.new_ones([1 if d == dim else m for d, m in enumerate(x.shape)])
    from .joining import cat

    before = cat([one, x.narrow(dim, 0, n - 1)], dim).cumprod(dim)
    after = cat([x.narrow(dim, 1, n - 1), one], dim).flip(dim).conj()
    return (before.conj() * recurrence(after, g.flip(dim), dim).flip(dim),)


CUMSUM = Operator("cumsum", _scan_ty, _scan_lower("sum"), _cumsum_vjp)
CUMPROD = Operator("cumprod", _scan_ty, _scan_lower("prod"), _cumprod_vjp, saves=((0, (0,)), (OUT, (0,))))


@export()
@tensor_first
def cumsum(input: Any, dim: int, *, dtype: Any = None, out: Any = None) -> Any:
    """Running sums along ``dim`` (https://docs.pytorch.org/docs/stable/generated/torch.cumsum.html)."""
    attrs = wrap_dim(dim, input._ty.ndim), dtype or (out.dtype if out is not None else sum_dtype(input._ty.dtype))
    return into(call(CUMSUM, (input,), attrs), out, "cumsum")


@export(function=False)
def cumsum_(self: Any, dim: int, *, dtype: Any = None) -> Any:
    """In-place ``cumsum``."""
    return call_inplace(CUMSUM, self, (), (wrap_dim(dim, self._ty.ndim), self._ty.dtype))


@export()
@tensor_first
def cumprod(input: Any, dim: int, *, dtype: Any = None, out: Any = None) -> Any:
    """Running products along ``dim``."""
    dt = dtype or (out.dtype if out is not None else sum_dtype(input._ty.dtype))
    if dt is not input._ty.dtype and input.requires_grad:
        input = input.to(dt)
    return into(call(CUMPROD, (input,), (wrap_dim(dim, input._ty.ndim), dt)), out, "cumprod")


@export(function=False)
def cumprod_(self: Any, dim: int, *, dtype: Any = None) -> Any:
    """In-place ``cumprod``."""
    return call_inplace(CUMPROD, self, (), (wrap_dim(dim, self._ty.ndim), self._ty.dtype))


# ---- the linear recurrence


def _recur(a: np.ndarray, x: np.ndarray, dim: int) -> np.ndarray:
    out = np.array(x)
    steps, factors = np.moveaxis(out, dim, 0), np.moveaxis(a, dim, 0)
    for k in range(1, len(steps)):
        steps[k] += factors[k] * steps[k - 1]
    return out


def _recurrence_lower(b: Any, dim: int, a: Any, x: Any) -> Any:
    dt = wide(x.dtype)
    y = b.extern("recurrence", _recur, [b.cast(a, dt), b.cast(x, dt)], [(x.shape, dt)], dim)
    return b.cast(y, x.dtype)


def _recurrence_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    from .joining import cat

    dim, a = f.attrs, f.saved(0)
    n = a.shape[dim]
    one = a.new_zeros([1 if d == dim else m for d, m in enumerate(a.shape)])
    shifted = cat([a.narrow(dim, 1, n - 1), one], dim).flip(dim).conj()
    gx = recurrence(shifted, g.flip(dim), dim).flip(dim)
    ga = gx * cat([one, f.out().narrow(dim, 0, n - 1)], dim).conj()
    return ga, gx


RECURRENCE = Operator(
    "recurrence",
    lambda tys, dim: ty(tys[1].shape, tys[1].dtype),
    _recurrence_lower,
    _recurrence_vjp,
    saves=((0, (0, 1)), (OUT, (0,))),
)


def recurrence(a: Any, x: Any, dim: int) -> Any:
    """``y[0] = x[0]``, ``y[k] = a[k] * y[k - 1] + x[k]`` along ``dim``."""
    return call(RECURRENCE, (a, x), dim)
