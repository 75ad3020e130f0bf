"""Running reductions along a dimension: ``cumsum``, ``cumprod``, ``cummax``, ``cummin``, ``logcumsumexp``."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from .. import return_types
from ..compiler.numpy_special import logaddexp_complex
from ..dtypes import SCALAR_NAMES, bool_, complex64, complex128, finfo, float32, float64, int64
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._arguments import tensor_first
from ._immediate import summed
from ._precision import wide
from ._registry import call, call_inplace, export, into, requires_grad, wrap_dim
from .extremes import into_named, place
from .reductions import asked_dtype, sum_dtype

# ---- cumsum, cumprod


def running(dt: Any) -> Any:
    """The dtype in which PyTorch keeps a running value on the CPU."""
    return {float32: float64, complex64: complex128}.get(dt, wide(dt))


def _scan_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
    return ty(tys[0].shape, attrs[1])


def _scan_lower(how: str) -> Any:
    def lower(b: Any, attrs: Any, x: Any) -> Any:
        dim, dt = attrs
        if not x.ndim:
            return b.cast(x, dt)
        return b.cast(b.scan(how, b.cast(b.cast(x, dt), running(dt)), dim), dt)

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
    after = cat([x.narrow(dim, 1, n - 1), one], dim).flip(dim).conj_physical()
    return (before.conj_physical() * recurrence(after, g.flip(dim), dim).flip(dim),)


CUMSUM = Operator("cumsum", _scan_ty, _scan_lower("sum"), _cumsum_vjp)
CUMPROD = Operator("cumprod", _scan_ty, _scan_lower("prod"), _cumprod_vjp, saves=((0, (0,)), (OUT, (0,))))


@export()
@tensor_first
def cumsum(input: Any, dim: int, *, dtype: Any = None, out: Any = None) -> Any:
    """Running sums along ``dim`` (https://docs.pytorch.org/docs/stable/generated/torch.cumsum.html)."""
    attrs = _scan_attrs("cumsum", input, dim, dtype, out)
    if attrs[1] is int64 is input._ty.dtype and out is None:
        found = summed(input, attrs[0])
        if found is not None:
            return found
    return into(call(CUMSUM, (input,), attrs), out, "cumsum")


def _scan_attrs(name: str, x: Any, dim: int, dt: Any, out: Any) -> tuple[int, Any]:
    """Dimension and dtype of a running sum or product."""
    dt = asked_dtype(dt, out) or sum_dtype(x._ty.dtype)
    if dt is bool_:
        raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool'")
    return wrap_dim(dim, x._ty.ndim), dt


@export(function=False)
def cumsum_(self: Any, dim: int, *, dtype: Any = None) -> Any:
    """In-place ``cumsum``."""
    return call_inplace(CUMSUM, self, (), (wrap_dim(dim, self._ty.ndim), self._ty.dtype))


@export()
@tensor_first
def cumprod(input: Any, dim: int, *, dtype: Any = None, out: Any = None) -> Any:
    """Running products along ``dim``."""
    attrs = _scan_attrs("cumprod", input, dim, dtype, out)
    if attrs[1] is not input._ty.dtype and input.requires_grad:
        input = input.to(attrs[1])
    return into(call(CUMPROD, (input,), attrs), out, "cumprod")


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
    shifted = cat([a.narrow(dim, 1, n - 1), one], dim).flip(dim).conj_physical()
    gx = recurrence(shifted, g.flip(dim), dim).flip(dim)
    ga = gx * cat([one, f.out().narrow(dim, 0, n - 1)], dim).conj_physical()
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


# ---- cummax, cummin


def _extreme_lower(largest: bool) -> Any:
    """Running extremes and where they are: the last of equals; NaN wins and stays, at the last NaN."""

    def lower(b: Any, dim: int, x: Any) -> Any:
        if not x.ndim:
            return x, b.const(0, int64)
        values = b.scan("max" if largest else "min", x, dim)
        found = b.map("eq", x, values, dt=bool_)
        if x.dtype.kind == "f":
            found = b.map("logical_or", found, b.map("ne", x, x, dt=bool_), dt=bool_)
        place = b.expand(b.reshape(b.iota(x.shape[dim]), [-1 if d == dim else 1 for d in range(x.ndim)]), x.shape)
        return values, b.scan("max", b.where(found, place, b.const(0, int64, x.shape)), dim)

    return lower


def _extreme_vjp(f: Any, g: Any, _: Any) -> tuple[Any]:
    return (place(g, f.out(1), f.ins[0].shape, f.attrs, True),)


def _running(name: str, largest: bool) -> Operator:
    return Operator(name, lambda tys, dim: (ty(tys[0].shape, tys[0].dtype), ty(tys[0].shape, int64)),
                    _extreme_lower(largest), _extreme_vjp, saves=((OUT + 1, (0,)),))  # fmt: skip


CUMMAX = _running("cummax", True)
CUMMIN = _running("cummin", False)


def _extreme(op: Operator, kind: Any, x: Any, dim: int, out: Any) -> Any:
    dim = wrap_dim(dim, x._ty.ndim)
    if x._ty.dtype.kind == "c":
        raise NotImplementedError(f"\"{op.name}_cpu\" not implemented for '{SCALAR_NAMES[x._ty.dtype]}'")
    return into_named(kind(call(op, (x,), dim)), out, op.name)


@export()
@tensor_first
def cummax(input: Any, dim: int, *, out: Any = None) -> Any:
    """Running maxima along ``dim`` and their indices."""
    return _extreme(CUMMAX, return_types.cummax, input, dim, out)


@export()
@tensor_first
def cummin(input: Any, dim: int, *, out: Any = None) -> Any:
    """Running minima along ``dim`` and their indices."""
    return _extreme(CUMMIN, return_types.cummin, input, dim, out)


# ---- logcumsumexp


def _log_sums(a: np.ndarray, dim: int) -> np.ndarray:
    if a.dtype.kind == "c":
        return _complex_log_sums(a, dim)
    return np.logaddexp.accumulate(a, axis=dim)


def _complex_log_sums(a: np.ndarray, dim: int) -> np.ndarray:
    out = np.array(a)
    last = np.full(np.delete(a.shape, dim), -np.inf, a.dtype)
    steps = np.moveaxis(out, dim, 0)
    with np.errstate(all="ignore"):
        for k, x in enumerate(steps):
            steps[k] = last = logaddexp_complex(x, last)
    return out


def _log_sums_lower(b: Any, dim: int, x: Any) -> Any:
    if not x.ndim:
        return x
    dt = running(x.dtype)
    return b.cast(b.extern("logcumsumexp", _log_sums, [b.cast(x, dt)], [(x.shape, dt)], dim), x.dtype)


def _log_sums_vjp(f: Any, g: Any) -> tuple[Any]:
    """Gradients of both signs are summed in logarithms apart; if the rule itself is differentiated, one applies that is
    linear in the gradient also at zero."""
    dim, x, y = f.attrs, f.saved(0), f.out()
    if not x._ty.ndim or not x._ty.numel:
        return (g,)
    if x._ty.dtype.is_complex or requires_grad(g):
        return (_linear_log_sums_vjp(g, x, y, dim),)
    lowest = finfo(x._ty.dtype).min
    sides = []
    for side in (g, -g):
        absent = ~(side > 0)
        logs = side.masked_fill(absent, 1).log().masked_fill(absent, lowest)
        sides.append(((logs - y).flip(dim).logcumsumexp(dim).flip(dim) + x).exp())
    return (sides[0] - sides[1],)


def _linear_log_sums_vjp(g: Any, x: Any, y: Any, dim: int) -> Any:
    """By a recurrence whose factors stay near 1, so that nothing overflows."""
    from .joining import cat

    if y._ty.dtype.itemsize == 2:
        return _linear_log_sums_vjp(g.float(), x.float(), y.float(), dim).to(y._ty.dtype)
    n = y.shape[dim]
    before, after = y.narrow(dim, 0, n - 1), y.narrow(dim, 1, n - 1)
    ratios = _ratio(before, after)
    factors = cat([ratios, y.narrow(dim, 0, 1) * 0], dim).flip(dim).conj_physical()
    return recurrence(factors, g.flip(dim), dim).flip(dim) * _ratio(x, y).conj_physical()


def _ratio(a: Any, b: Any) -> Any:
    """``exp(a - b)``, 0 where both are the logarithm of zero."""
    return (a - b).masked_fill((b.real if b.is_complex() else b) == -inf, -inf).exp()


LOGCUMSUMEXP = Operator(
    "logcumsumexp", lambda tys, dim: ty(tys[0].shape, tys[0].dtype), _log_sums_lower, _log_sums_vjp,
    saves=((0, (0,)), (OUT, (0,))),
)  # fmt: skip


@export()
@tensor_first
def logcumsumexp(input: Any, dim: int, *, out: Any = None) -> Any:
    """Logarithms of running sums of exponentials along ``dim``."""
    if input._ty.dtype.kind not in "fc":
        raise NotImplementedError(f"\"logcumsumexp_out_cpu\" not implemented for '{SCALAR_NAMES[input._ty.dtype]}'")
    return into(call(LOGCUMSUMEXP, (input,), wrap_dim(dim, input._ty.ndim)), out, "logcumsumexp")
