"""Sums, products and logical reductions: ``sum``, ``nansum``, ``mean``, ``prod``, ``any``, ``all``, …"""

from __future__ import annotations

from math import prod as _product
from typing import Any

from ..dtypes import C_NAMES, SCALAR_NAMES, as_dtype, bool_, int64, uint8
from ..dtypes import dtype as _dtype
from ..graph.node import OUT, Operator
from ..graph.tensor_base import NotDense, tensor_class
from ..graph.types import Ty, ty
from ._arguments import tensor_first
from ._precision import wide
from ._registry import call, export, into, method, wrap_dim, wrap_dims

# ---- what reductions share


def reduced_ty(t: Ty, dims: tuple[int, ...], keepdim: bool, dt: Any) -> Ty:
    """The type of a reduction's result; row-major whatever the input's layout, as in PyTorch."""
    if keepdim:
        return ty(tuple([1 if d in dims else n for d, n in enumerate(t.shape)]), dt)
    return ty(tuple([n for d, n in enumerate(t.shape) if d not in dims]), dt)


def reduction_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
    """``attrs = (dims, keepdim, dtype, ...)``."""
    return reduced_ty(tys[0], attrs[0], attrs[1], attrs[2])


def unreduce(g: Any, shape: tuple[int, ...], dims: tuple[int, ...], keepdim: bool) -> Any:
    """A reduction's gradient expanded to its input's shape."""
    return restore(g, len(shape), dims, keepdim).expand(shape)


def restore(g: Any, ndim: int, dims: tuple[int, ...], keepdim: bool) -> Any:
    """A reduction's result with the reduced dimensions put back, of size 1."""
    if not keepdim and ndim:
        for d in sorted(dims):
            g = g.unsqueeze(d)
    return g


def sum_dtype(dt: _dtype) -> _dtype:
    """Integers and bool are summed as int64."""
    return int64 if dt.kind in "uib" else dt


def count(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """How many elements go into one of the result."""
    return _product([shape[d] for d in dims])


def some_dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """As ``wrap_dims``, quickly for one dimension."""
    if dim.__class__ is int and -ndim <= dim < ndim:
        return (dim % ndim,)
    return wrap_dims(None if dim is EVERY else dim, ndim)


# ---- sum


def _sum_lower(b: Any, attrs: Any, x: Any) -> Any:
    dims, keepdim, dt = attrs[:3]
    return b.cast(b.reduce("sum", b.cast(b.cast(x, dt), wide(dt)), dims, keepdim), dt)


def _sum_vjp(f: Any, g: Any) -> tuple[Any]:
    dims, keepdim, _ = f.attrs
    return (unreduce(g, f.ins[0].shape, dims, keepdim),)


EVERY: Any = object()  # stands for a ``dim`` that was not given, whose backward node has another name

SUM = Operator("sum", reduction_ty, _sum_lower, lambda f, g: (g.expand(f.ins[0].shape),))
SUM_DIM = Operator("sum", reduction_ty, _sum_lower, _sum_vjp, grad_name="SumBackward1")


@export()
@tensor_first
def sum(input: Any, dim: Any = EVERY, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    """The sum over all or some dimensions (https://docs.pytorch.org/docs/stable/generated/torch.sum.html)."""
    dims = some_dims(dim, input._ty.ndim)
    dt = asked_dtype(dtype, out) or sum_dtype(input._ty.dtype)
    if dt.kind not in "fc" and input.requires_grad:
        _check_differentiable(dt)
    try:
        y = call(SUM if dim is EVERY else SUM_DIM, (input,), (dims, keepdim, dt))
    except NotDense:
        own = type(input).sum  # a sparse tensor's
        if own is tensor_class[0].sum:
            raise
        y = own(input, None if dim is EVERY else dim, keepdim, dtype=dtype)
    return into(y, out, "sum")


def asked_dtype(dt: _dtype | None, out: Any) -> _dtype | None:
    """The dtype in which to compute: what is asked for, else that of ``out``.

    Raises:
        RuntimeError: they differ.
    """
    dt = as_dtype(dt)
    if out is None:
        return dt
    if dt is not None and out._ty.dtype is not dt:
        raise RuntimeError(f"Expected out tensor to have dtype {C_NAMES[dt]}, but got {C_NAMES[out._ty.dtype]} instead")
    return out._ty.dtype


def _check_differentiable(dt: _dtype) -> None:
    if dt.kind not in "fc":
        raise RuntimeError(f"Autograd not support dtype: {SCALAR_NAMES[dt]}")


@method()
def sum_to_size(self: Any, *size: Any) -> Any:
    """Summed over dimensions that broadcasting from ``size`` would have made."""
    shape = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    have = self._ty.shape
    if not shape:
        return sum(self)
    if have == tuple(shape):
        return self
    lead = len(have) - len(shape)
    if lead < 0 or any_of(w not in (1, h) for h, w in zip(have[lead:], shape)):
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(have)}}}.")
    dims = [d for d in range(len(have)) if d < lead or shape[d - lead] == 1 != have[d]]
    y = sum(self, dims, True)
    return y.view(shape) if lead else y


def any_of(conditions: Any) -> bool:
    """Python's ``any``, whose name the operator takes."""
    return next((True for c in conditions if c), False)


# ---- nansum, mean


def _is_nan(x: Any) -> Any:
    return x != x


def _nansum_lower(b: Any, attrs: Any, x: Any) -> Any:
    if x.dtype.kind in "fc":
        x = b.where(b.map("isnan", x), b.const(0, x.dtype), x)
    return _sum_lower(b, attrs, x)


def _nansum_vjp(f: Any, g: Any) -> tuple[Any]:
    dims, keepdim, _ = f.attrs
    return (unreduce(g.to(f.ins[0].dtype), f.ins[0].shape, dims, keepdim) * ~_is_nan(f.saved(0)),)


NANSUM = Operator("nansum", reduction_ty, _nansum_lower, _nansum_vjp, saves=((0, (0,)),))


@export()
@tensor_first
def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    """The sum of the elements that are not NaN, 0 where there is none
    (https://docs.pytorch.org/docs/stable/generated/torch.nansum.html).

    ``dim`` is a dimension, several, or None for all; with ``keepdim`` they stay with size 1.

    Raises:
        RuntimeError: the input is complex.
        IndexError: ``dim`` is no dimension of the input.
    """
    if input._ty.dtype.kind == "c":
        raise RuntimeError("nansum on CPU does not support complex inputs")
    dims = wrap_dims(dim, input._ty.ndim)
    dt = as_dtype(dtype)
    if dt is not None and out is not None and out._ty.dtype is not dt:
        raise RuntimeError(f"nansum: provided dtype must match dtype of result. Got {SCALAR_NAMES[out._ty.dtype]} and "
                           f"{SCALAR_NAMES[dt]}.")  # fmt: skip
    return into(call(NANSUM, (input,), (dims, keepdim, dt or sum_dtype(input._ty.dtype))), out, "nansum")


def _mean_lower(b: Any, attrs: Any, x: Any) -> Any:
    dims, keepdim, dt = attrs[:3]
    total = b.reduce("sum", b.cast(b.cast(x, dt), wide(dt)), dims, keepdim)
    return b.cast(b.map("div", total, b.counted([x.shape[d] for d in dims], total.dtype)), dt)


def _mean_vjp(f: Any, g: Any) -> tuple[Any]:
    dims, keepdim, _ = f.attrs
    shape = f.ins[0].shape
    return (unreduce(g, shape, dims, keepdim) / count(shape, dims),)


MEAN = Operator("mean", reduction_ty, _mean_lower, _mean_vjp)
MEAN_DIM = Operator("mean", reduction_ty, _mean_lower, _mean_vjp, grad_name="MeanBackward1")


def _mean_dtype(have: _dtype, asked: _dtype | None) -> _dtype:
    dt = (asked and as_dtype(asked)) or have
    if dt.kind not in "fc":
        which = "Optional dtype" if asked else "Input dtype"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {which} must be either a floating point or complex "
            f"dtype. Got: {SCALAR_NAMES[dt]}"
        )
    return dt


@export()
@tensor_first
def mean(input: Any, dim: Any = EVERY, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    """The mean over all or some dimensions (https://docs.pytorch.org/docs/stable/generated/torch.mean.html)."""
    dt = _mean_dtype(input._ty.dtype, dtype)
    if dtype is not None:
        asked_dtype(dtype, out)
    dims = some_dims(dim, input._ty.ndim)
    return into(call(MEAN if dim is EVERY else MEAN_DIM, (input,), (dims, keepdim, dt)), out, "mean")


@export()
@tensor_first
def nanmean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    """The mean of the elements that are not NaN, NaN where there is none
    (https://docs.pytorch.org/docs/stable/generated/torch.nanmean.html).

    ``dim`` is a dimension, several, or None for all; with ``keepdim`` they stay with size 1.

    Raises:
        RuntimeError: the input is of integers or truth values.
        IndexError: ``dim`` is no dimension of the input.
    """
    if input._ty.dtype.kind not in "fc":
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {SCALAR_NAMES[input._ty.dtype]}"
        )
    n = (~_is_nan(input.detach())).sum(dim, keepdim)
    return into(nansum(input, dim, keepdim, dtype=dtype).div(n), out, "nanmean")


# ---- prod


def _prod_lower(b: Any, attrs: Any, x: Any) -> Any:
    dims, keepdim, dt = attrs
    return b.cast(b.reduce("prod", b.cast(b.cast(x, dt), wide(dt)), dims, keepdim), dt)


def others_product(x: Any, dim: int) -> Any:
    """For each element the product of all others along ``dim``, also where some are zero."""
    one = x.new_ones([1 if d == dim else n for d, n in enumerate(x.shape)])
    n = x.shape[dim]
    before = _join(one, x.narrow(dim, 0, n - 1), dim).cumprod(dim)
    after = _join(one, x.narrow(dim, 1, n - 1).flip(dim), dim).cumprod(dim).flip(dim)
    return before * after


def _join(one: Any, x: Any, dim: int) -> Any:
    from .joining import cat

    return cat([one, x], dim)


def _prod_vjp(f: Any, g: Any) -> tuple[Any]:
    dims, keepdim, _ = f.attrs
    x, shape = f.saved(0), f.ins[0].shape
    if not shape or 0 in shape:
        return (g if not shape else x.new_zeros(shape),)
    if len(dims) == 1:
        return (unreduce(g, shape, dims, keepdim) * others_product(x, dims[0]).conj_physical(),)
    return (g * others_product(x.reshape(-1), 0).reshape(shape).conj_physical(),)


PROD = Operator("prod", reduction_ty, _prod_lower, _prod_vjp, saves=((0, (0,)), (OUT, (0,))))
PROD_DIM = Operator(
    "prod", reduction_ty, _prod_lower, _prod_vjp, saves=((0, (0,)), (OUT, (0,))), grad_name="ProdBackward1"
)


@export()
@tensor_first
def prod(input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    """The product of all elements, or along one dimension
    (https://docs.pytorch.org/docs/stable/generated/torch.prod.html).

    Of integers and truth values it is int64, unless ``dtype`` says otherwise.

    Raises:
        IndexError: ``dim`` is no dimension of the input.
    """
    t = input._ty
    dt = asked_dtype(dtype, out) or sum_dtype(t.dtype)
    if dtype is not None and dt is not t.dtype and input.requires_grad:
        _check_differentiable(dt)
        input = input.to(dt)
    dims = wrap_dims(None, t.ndim) if dim is None else (wrap_dim(dim, t.ndim),)[: t.ndim]
    return into(call(PROD if dim is None else PROD_DIM, (input,), (dims, keepdim, dt)), out, "prod")


# ---- any, all, count_nonzero


def _logical(name: str) -> Operator:
    def lower(b: Any, attrs: Any, x: Any) -> Any:
        return b.cast(b.reduce(name, b.cast(x, bool_), attrs[0], attrs[1]), attrs[2])

    return Operator(name, reduction_ty, lower)


ANY = _logical("any")
ALL = _logical("all")


def _decide(op: Operator, x: Any, dim: Any, keepdim: bool, out: Any) -> Any:
    t = x._ty
    if out is not None and out._ty.dtype not in (bool_, uint8):
        raise RuntimeError(f"{op.name} only supports bool tensor for result, got: {SCALAR_NAMES[out._ty.dtype]}")
    dt = uint8 if t.dtype is uint8 else bool_
    if dim == () or dim == []:
        dims: tuple[int, ...] = ()
    else:
        dims = wrap_dims(dim, t.ndim)
    return into(call(op, (x,), (dims, keepdim, dt)), out, op.name)


@export()
@tensor_first
def any(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """Is any element other than zero? (https://docs.pytorch.org/docs/stable/generated/torch.any.html).

    ``dim`` is a dimension, several, or None for all; with ``keepdim`` they stay with size 1.
    The result is bool, uint8 of uint8.

    Raises:
        IndexError: ``dim`` is no dimension of the input.
    """
    return _decide(ANY, input, dim, keepdim, out)


@export()
@tensor_first
def all(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """Are all elements other than zero? (https://docs.pytorch.org/docs/stable/generated/torch.all.html).

    ``dim`` is a dimension, several, or None for all; with ``keepdim`` they stay with size 1.
    The result is bool, uint8 of uint8.

    Raises:
        IndexError: ``dim`` is no dimension of the input.
    """
    return _decide(ALL, input, dim, keepdim, out)


COUNT_NONZERO = Operator(
    "count_nonzero",
    lambda tys, dims: reduced_ty(tys[0], dims, False, int64),
    lambda b, dims, x: b.reduce("sum", b.cast(b.cast(x, bool_), int64), dims),
)


@export()
@tensor_first
def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many elements are not zero."""
    return call(COUNT_NONZERO, (input,), wrap_dims(dim, input._ty.ndim))
