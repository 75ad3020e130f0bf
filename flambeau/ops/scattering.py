"""Writing at indices: ``scatter`` and its relatives, ``index_add``, ``index_copy``, ``index_reduce``, ``put``.

Each operator computes a changed copy; the forms with an underscore write it back into the tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..dtypes import SCALAR_NAMES, bool_, int32, int64
from ..graph.epoch import threads
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._checks import check_numbers, check_value
from ._immediate import add_slices
from ._overlapping import refuse_read
from ._precision import widened
from ._registry import call, call_inplace, export, into, is_number, is_tensor, method, wrap_dim
from .gathering import check_along, check_range, need_tensor, size_along

Record = Callable[..., Any]

# ---- primitives


def _along(b: Any, op: str, x: Any, index: Any, src: Any, dim: int) -> Any:
    """``b.scatter`` also on 0-dim operands."""
    if 0 in index.shape:
        return x
    index = b.cast(index, int64)
    if x.ndim and index.ndim:
        return b.scatter(op, x, index, src, dim)
    flat = b.scatter(op, b.reshape(x, (-1,)), b.reshape(index, (-1,)), b.reshape(src, (-1,)), 0)
    return b.reshape(flat, x.shape)


# ---- scatter


def _scatter_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    x, index, src = tys
    check_along("scatter", x, index, dim, "self")
    if src.weak:
        _check_sizes(x, index, dim)
        return ty(x.shape, x.dtype)
    if src.dtype is not x.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    if index.numel and max(src.ndim, 1) != max(index.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    _check_sizes(x, index, dim, src)
    return ty(x.shape, x.dtype)


def _check_sizes(x: Ty, index: Ty, dim: int, src: Ty | None = None) -> None:
    if not index.numel:
        return
    over = any(i > n for d, (i, n) in enumerate(zip(index.shape, x.shape)) if d != dim)
    if src is None:
        if over:
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(x.shape)} apart from "
                f"dimension {dim}"
            )
    elif over or any(i > n for i, n in zip(index.shape, src.shape)):
        raise RuntimeError(
            f"Expected index {list(index.shape)} to be no larger than self {list(x.shape)} apart from dimension "
            f"{dim} and to be no larger size than src {list(src.shape)}"
        )


def _scatter_lower(op: str) -> Callable[..., Any]:
    def lower(b: Any, dim: int, x: Any, index: Any, src: Any) -> Any:
        dt = x.dtype
        if src.shape != index.shape and not src.ndim:
            src = b.expand(src, index.shape)
        if op == "set":
            return _along(b, op, x, index, b.cast(src, dt), dim)
        x, src = widened(b, x, b.cast(src, dt))
        return b.cast(_along(b, op, x, index, src, dim), dt)

    return lower


def _scatter_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    index = f.saved(1)
    gx = scatter(g, f.attrs, index, 0) if f.needs(0) else None
    return gx, None, g.gather(f.attrs, index) if f.needs(2) else None


def _scatter_value_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return scatter(g, f.attrs, f.saved(1), 0), None, None


def _scatter_add_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return g if f.needs(0) else None, None, g.gather(f.attrs, f.saved(1)) if f.needs(2) else None


def _not_differentiable(f: Any, g: Any) -> Any:
    raise RuntimeError("derivative for aten::scatter is not implemented")


_INDEX = ((1, (0, 2)),)
SCATTER = Operator("scatter", _scatter_ty, _scatter_lower("set"), _scatter_vjp, _INDEX, "ScatterBackward0")
SCATTER_VALUE = Operator("scatter", _scatter_ty, _scatter_lower("set"), _scatter_value_vjp, _INDEX, "ScatterBackward1")
SCATTER_ADD = Operator("scatter_add", _scatter_ty, _scatter_lower("add"), _scatter_add_vjp, ((1, (2,)),))
SCATTER_REDUCING = {
    name: Operator(
        "scatter", _scatter_ty, _scatter_lower(op), _not_differentiable, grad_name="torch::autograd::NotImplemented"
    )
    for name, op in (("add", "add"), ("multiply", "mul"))
}


def _scatter(record: Record, x: Any, dim: int, index: Any, src: Any, value: Any, reduce: str | None) -> Any:
    src = value if src is None else src
    need_tensor("scatter", "index", 3, index)
    if not is_tensor(src) and not is_number(src):
        raise TypeError(f"scatter(): argument 'src' (position 4) must be Tensor, not {type(src).__name__}")
    if reduce is not None and reduce not in SCATTER_REDUCING:
        raise RuntimeError("reduce argument must be either add or multiply.")
    d = wrap_dim(dim, x._ty.ndim)
    if is_number(src):
        check_value(src, x._ty.dtype)
    op = SCATTER_REDUCING[reduce] if reduce else SCATTER if is_tensor(src) else SCATTER_VALUE
    return _recorded(record, op, x, index, src, d)


def _recorded(record: Record, op: Operator, x: Any, index: Any, src: Any, d: int, attrs: Any = None) -> Any:
    attrs = d if attrs is None else attrs
    check_range(op, (x, index, src), attrs, index, d)
    if record is call:
        return call(op, (x, index, src), attrs)
    refuse_read(x, index, src)
    return call_inplace(op, x, (index, src), attrs)


@export()
def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None, out: Any = None
) -> Any:
    """A copy of ``input`` with ``src`` (a tensor or a number) put at ``index`` along ``dim``.

    Raises:
        RuntimeError: the index is out of bounds, or shapes or dtypes do not fit.
    """
    return into(_scatter(call, input, dim, index, src, value, reduce), out, "scatter")


@method()
def scatter_(self: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Any:
    """In-place ``scatter``."""
    return _scatter(call_inplace, self, dim, index, src, value, reduce)


@export()
def scatter_add(input: Any, dim: int, index: Any, src: Any, *, out: Any = None) -> Any:
    """A copy of ``input`` with ``src`` added at ``index`` along ``dim``."""
    need_tensor("scatter_add", "index", 3, index)
    return into(_recorded(call, SCATTER_ADD, input, index, src, wrap_dim(dim, input._ty.ndim)), out, "scatter_add")


@method()
def scatter_add_(self: Any, dim: int, index: Any, src: Any) -> Any:
    """In-place ``scatter_add``."""
    return _recorded(call_inplace, SCATTER_ADD, self, index, src, wrap_dim(dim, self._ty.ndim))


# ---- reductions at indices

_REDUCE = {"sum": ("add", 0), "mean": ("add", 0), "prod": ("mul", 1), "amax": ("max", None), "amin": ("min", None)}


def _identity(name: str, dt: Any) -> Any:
    """What a reduction starts from."""
    if _REDUCE[name][1] is not None:
        return _REDUCE[name][1]
    if dt.kind == "f":
        return float("-inf") if name == "amax" else float("inf")
    if dt.kind == "b":
        return name == "amin"
    bits = 8 * dt.itemsize
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dt.kind == "i" else (0, 2**bits - 1)
    return low if name == "amax" else high


def _reduced(b: Any, name: str, include_self: bool, x: Any, src: Any, put: Callable[..., Any]) -> Any:
    """``put(op, into, values)`` scatters with an operation."""
    dt = x.dtype
    x, src = widened(b, x, src)
    base = x
    if not include_self:
        touched = put("set", b.const(False, bool_, x.shape), b.const(True, bool_, src.shape))
        base = b.where(touched, b.const(_identity(name, dt), x.dtype), x)
    y = put(_REDUCE[name][0], base, src)
    if name == "mean":
        ones = b.const(1, x.dtype, x.shape)
        start = ones if include_self else b.where(touched, b.const(0, x.dtype), ones)
        count = put("add", start, b.const(1, x.dtype, src.shape))
        y = b.map("floor_divide" if dt.kind in "ui" else "div", y, count)
    return b.cast(y, dt)


def _scatter_reduce_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    return _scatter_ty(tys, attrs[0])


def _scatter_reduce_lower(b: Any, attrs: Any, x: Any, index: Any, src: Any) -> Any:
    dim, name, include_self = attrs
    if index.ndim and src.shape != index.shape:
        for d, n in enumerate(index.shape):
            src = b.slice(src, d, 0, n)
    return _reduced(b, name, include_self, x, src, lambda op, a, v: _along(b, op, a, index, v, dim))


def _scatter_reduce_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    dim, name, include_self = f.attrs
    x, index, src = f.saved(0), f.saved(1), f.saved(2)
    gx, gsrc = _REDUCE_GRADIENTS[name](
        g, x, dim, index, src, f.out() if name[0] == "a" or name == "prod" else None, include_self
    )
    if not include_self and f.needs(0):
        gx = gx.scatter(dim, index, 0)
    return gx if f.needs(0) else None, None, gsrc if f.needs(2) else None


def _sum_gradient(g: Any, x: Any, dim: int, index: Any, src: Any, y: Any, include_self: bool) -> tuple[Any, Any]:
    return g, g.gather(dim, index)


def _mean_gradient(g: Any, x: Any, dim: int, index: Any, src: Any, y: Any, include_self: bool) -> tuple[Any, Any]:
    count = (g.new_ones(g.shape) if include_self else g.new_zeros(g.shape)).scatter_add(
        dim, index, g.new_ones(src.shape)
    )
    part = g / count.masked_fill(count == 0, 1)
    return part, part.gather(dim, index)


def _extreme_gradient(g: Any, x: Any, dim: int, index: Any, src: Any, y: Any, include_self: bool) -> tuple[Any, Any]:
    """Shared evenly by all that equal the result."""
    here = (x == y).to(g.dtype)
    there = (src == y.gather(dim, index)).to(g.dtype)
    part = g / here.scatter_add(dim, index, there)
    return here * part, there * part.gather(dim, index)


def _prod_gradient(g: Any, x: Any, dim: int, index: Any, src: Any, y: Any, include_self: bool) -> tuple[Any, Any]:
    """The product of the others: the result divided by the factor, with zeros treated one by one."""
    safe = x.masked_fill(x == 0, 1)
    gx = g * scatter_reduce(safe, dim, index, src, "prod", include_self=include_self) / safe
    zero = src == 0
    zeros = x.new_zeros(x.shape).scatter_add(dim, index, zero.to(x.dtype)).gather(dim, index)
    only = zero.logical_and(zeros == 1)
    others = scatter_reduce(x, dim, index, src.masked_fill(only, 1), "prod", include_self=include_self)
    plain = (g * y).gather(dim, index) / src.masked_fill(zero, 1)
    gone = (g * others).gather(dim, index)
    gsrc = gone * only.to(g.dtype) + plain * only.logical_not().to(g.dtype)
    return gx, _once(gsrc, zeros) if threads.epoch.grad else gsrc


def _once(gsrc: Any, zeros: Any) -> Any:
    """A gradient that cannot be differentiated again if several zeros meet, whose factors it leaves out one by one."""
    return call(ONCE, (gsrc,)) if bool((zeros > 1).any()) else gsrc


def _refuse_again(f: Any, g: Any) -> Any:
    raise RuntimeError(
        "Double backward is unsupported for src when >1 zeros in src are scattered to the same position in self"
    )


ONCE = Operator(
    "scatter_prod_once", lambda tys, attrs: ty(tys[0].shape, tys[0].dtype), lambda b, attrs, x: x, _refuse_again
)


_REDUCE_GRADIENTS = {
    "sum": _sum_gradient,
    "mean": _mean_gradient,
    "prod": _prod_gradient,
    "amax": _extreme_gradient,
    "amin": _extreme_gradient,
}
_ALL = ((0, (0, 2)), (1, (0, 2)), (2, (0, 2)), (OUT, (0, 2)))
SCATTER_REDUCE = Operator("scatter_reduce", _scatter_reduce_ty, _scatter_reduce_lower, _scatter_reduce_vjp, _ALL)


def _scatter_reduce(record: Record, x: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool) -> Any:
    need_tensor("scatter_reduce", "index", 3, index)
    need_tensor("scatter_reduce", "src", 4, src)
    reduce = {"min": "amin", "max": "amax"}.get(reduce, reduce)
    if reduce not in _REDUCE:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    d = wrap_dim(dim, x._ty.ndim)
    return _recorded(record, SCATTER_REDUCE, x, index, src, d, (d, reduce, bool(include_self)))


@export()
def scatter_reduce(
    input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True, out: Any = None
) -> Any:
    """A copy of ``input`` with ``src`` reduced at ``index`` by 'sum', 'prod', 'mean', 'amax' or 'amin'."""
    return into(_scatter_reduce(call, input, dim, index, src, reduce, include_self), out, "scatter_reduce")


@method()
def scatter_reduce_(self: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    """In-place ``scatter_reduce``."""
    return _scatter_reduce(call_inplace, self, dim, index, src, reduce, include_self)


# ---- whole slices


def _slices_put(b: Any, op: str, x: Any, index: Any, src: Any, dim: int) -> Any:
    """Slices of ``src`` put or combined at positions of ``dim``."""
    index = b.reshape(b.cast(index, int64), (-1,))
    if x.ndim:
        src = b.reshape(src, (*x.shape[:dim], index.shape[0], *x.shape[dim + 1 :]))
        return b.index_put(op, x, (dim,), [index], src)
    flat = b.index_put(op, b.reshape(x, (1,)), (0,), [index], b.reshape(src, (-1,)))
    return b.reshape(flat, ())


def _check_add(name: str, x: Ty, index: Ty, src: Ty, dim: int) -> None:
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
                         f"{SCALAR_NAMES[index.dtype]} and size: {list(index.shape)}")  # fmt: skip
    if index.dtype not in (int64, int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index but got: {SCALAR_NAMES[index.dtype]}")
    if x.dtype is not src.dtype:
        raise RuntimeError(
            f"{name}(): self ({SCALAR_NAMES[x.dtype]}) and source ({SCALAR_NAMES[src.dtype]}) must have the "
            "same scalar type"
        )
    if src.ndim and dim >= src.ndim:
        raise RuntimeError(f"{name}(): Indexing dim {dim} is out of bounds of the source tensor with dim {src.ndim}")
    if index.numel != size_along(src, dim):
        raise RuntimeError(f"{name}(): Number of indices ({index.numel}) should be equal to source.size(dim): "
                           f"({size_along(src, dim)}), for dim: {dim}")  # fmt: skip
    if src.ndim and (x.ndim != src.ndim or _without(x, dim) != _without(src, dim)):
        raise RuntimeError("source tensor shape must match self tensor shape, excluding the specified dimension. Got "
                           f"self.shape = {list(x.shape)} source.shape = {list(src.shape)}")  # fmt: skip


def _without(t: Ty, dim: int) -> tuple[int, ...]:
    return t.shape[:dim] + t.shape[dim + 1 :]


def _index_add_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    _check_add("index_add_", tys[0], tys[1], tys[2], dim)
    return ty(tys[0].shape, tys[0].dtype)


def _index_add_lower(b: Any, dim: int, x: Any, index: Any, src: Any, *alpha: Any) -> Any:
    dt = x.dtype
    x, src = widened(b, x, src)
    if alpha:
        src = b.map("logical_and" if dt.kind == "b" else "mul", src, b.cast(b.cast(alpha[0], dt), src.dtype))
    return b.cast(_slices_put(b, "max" if dt.kind == "b" else "add", x, index, src, dim), dt)


def _index_add_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    gsrc = None
    if f.needs(2):
        gsrc = g.index_select(f.attrs, f.saved(1)) if g.ndim else g
        gsrc = gsrc.reshape(f.ins[2].shape)
        if len(f.ins) > 3:
            gsrc = gsrc * f.saved(3)
    return (g if f.needs(0) else None, None, gsrc, None)[: len(f.ins)]


INDEX_ADD = Operator("index_add", _index_add_ty, _index_add_lower, _index_add_vjp, ((1, (2,)), (3, (2,))))


def _index_add(inplace: bool, x: Any, dim: int, index: Any, src: Any, alpha: Any) -> Any:
    need_tensor("index_add", "index", 3, index)
    need_tensor("index_add", "source", 4, src)
    d = wrap_dim(dim, x._ty.ndim)
    if alpha != 1:
        check_numbers([alpha], lambda: x._ty.dtype)
    others = (index, src) if alpha == 1 else (index, src, alpha)
    error, text = (RuntimeError, "") if x._ty.ndim > 1 else (IndexError, "index out of range in self")
    check_range(INDEX_ADD, (x, index, src), d, index, d, error, text)
    return call_inplace(INDEX_ADD, x, others, d) if inplace else call(INDEX_ADD, (x, *others), d)


@export()
def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """A copy of ``input`` with ``alpha`` times the slices of ``source`` added at the positions ``index`` of ``dim``."""
    return into(_index_add(False, input, dim, index, source, alpha), out, "index_add")


@method()
def index_add_(self: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """In-place ``index_add``."""
    refuse_read(self, index, source)
    if alpha == 1 and is_tensor(index) and is_tensor(source) and add_slices(self, dim, index, source):
        return self
    return _index_add(True, self, dim, index, source, alpha)


def _index_copy_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    x, index, src = tys
    if index.ndim > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {index.ndim})")
    if x.ndim and src.ndim and x.ndim != src.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({src.ndim}), destination dimensionality ({x.ndim})"
        )
    if index.dtype is not int64:
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {SCALAR_NAMES[index.dtype]}")
    if x.dtype is not src.dtype:
        raise RuntimeError("index_copy_(): self and source expected to have the same dtype, but got (self) "
                           f"{SCALAR_NAMES[x.dtype]} and (source) {SCALAR_NAMES[src.dtype]}")  # fmt: skip
    if not src.ndim and index.numel != 1:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {index.numel})")
    if x.ndim and src.ndim and _without(x, dim) != _without(src, dim):
        shapes = [" ".join(map(str, _without(t, dim))) for t in (x, src)]
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{shapes[0]} at dimension {dim} and source slice shape: {shapes[1]} at dimension 0."
        )
    if src.ndim and index.numel != src.shape[dim]:
        raise IndexError(
            f"index_copy_(): Number of indices ({index.numel}) should be equal to source.size(dim) ({src.shape[dim]})"
        )
    return ty(x.shape, x.dtype)


def _index_copy_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    index = f.saved(1)
    gx = g.index_fill(f.attrs, index, 0) if f.needs(0) else None
    return gx, None, g.index_select(f.attrs, index).reshape(f.ins[2].shape) if f.needs(2) else None


INDEX_COPY = Operator(
    "index_copy",
    _index_copy_ty,
    lambda b, dim, x, index, src: _slices_put(b, "set", x, index, src, dim),
    _index_copy_vjp,
    _INDEX,
)


_COPY_RANGE = "index_copy_(): index {} is out of bounds for dimension {} with size {}"


def _index_copy(inplace: bool, x: Any, dim: int, index: Any, src: Any) -> Any:
    need_tensor("index_copy", "index", 3, index)
    d = wrap_dim(dim, x._ty.ndim)
    check_range(INDEX_COPY, (x, index, src), d, index, d, IndexError, _COPY_RANGE)
    return call_inplace(INDEX_COPY, x, (index, src), d) if inplace else call(INDEX_COPY, (x, index, src), d)


@export()
def index_copy(input: Any, dim: int, index: Any, source: Any, *, out: Any = None) -> Any:
    """A copy of ``input`` with the slices of ``source`` at the positions ``index`` of ``dim``."""
    return into(_index_copy(False, input, dim, index, source), out, "index_copy")


@method()
def index_copy_(self: Any, dim: int, index: Any, source: Any) -> Any:
    """In-place ``index_copy``."""
    refuse_read(self, index, source)
    return _index_copy(True, self, dim, index, source)


def _index_reduce_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    x, index, src = tys
    _check_add("index_reduce_", x, index, src, attrs[0])
    return ty(tys[0].shape, tys[0].dtype)


def _index_reduce_lower(b: Any, attrs: Any, x: Any, index: Any, src: Any) -> Any:
    dim, name, include_self = attrs
    return _reduced(b, name, include_self, x, src, lambda op, a, v: _slices_put(b, op, a, index, v, dim))


def _index_reduce_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    dim, name, include_self = f.attrs
    x, index, src = f.saved(0), f.saved(1), f.saved(2)
    spread = index.reshape([-1 if d == dim else 1 for d in range(src.ndim)]).expand(src.shape)
    y = f.out() if name != "mean" else None
    gx, gsrc = _REDUCE_GRADIENTS[name](g, x, dim, spread.to(int64), src, y, include_self)
    if not include_self and f.needs(0):
        gx = gx.index_fill(dim, index, 0)
    return gx if f.needs(0) else None, None, gsrc if f.needs(2) else None


INDEX_REDUCE = Operator("index_reduce", _index_reduce_ty, _index_reduce_lower, _index_reduce_vjp, _ALL)


def _index_reduce(inplace: bool, x: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool) -> Any:
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    d = wrap_dim(dim, x._ty.ndim)
    attrs = (d, reduce, bool(include_self))
    check_range(INDEX_REDUCE, (x, index, src), attrs, index, d, IndexError, "index out of range in self")
    return call_inplace(INDEX_REDUCE, x, (index, src), attrs) if inplace else call(INDEX_REDUCE, (x, index, src), attrs)


@export()
def index_reduce(
    input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True, out: Any = None
) -> Any:
    """A copy of ``input`` with slices of ``source`` reduced at ``index`` by 'prod', 'mean', 'amax' or 'amin'."""
    return into(_index_reduce(False, input, dim, index, source, reduce, include_self), out, "index_reduce")


@method()
def index_reduce_(self: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True) -> Any:
    """In-place ``index_reduce``."""
    refuse_read(self, index, source)
    return _index_reduce(True, self, dim, index, source, reduce, include_self)
