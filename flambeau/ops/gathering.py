"""Selecting by index and by mask: ``gather``, ``index_select``, ``take``, ``masked_select``, ``nonzero``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import C_NAMES, SCALAR_NAMES, bool_, int32, int64, weak_dtype
from ..graph.epoch import threads
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._checks import values_to_check
from ._immediate import picked, within
from ._nonzero import nonzero_places
from ._registry import at_version, call, export, forgetting, into, is_tensor, method, wrap_dim
from ._shared_reads import gathered, is_costly
from ._types import broadcast_shape
from .creation import from_values, realised_tensor

# ---- index tensors


def values_of(index: Any) -> np.ndarray:
    """The index tensor's values, now."""
    return index.detach()._numpy()


def first_outside(index: Any, low: int, high: int) -> int | None:
    """The first index that is not in ``low ≤ i < high``."""
    if index._ty.meta:
        return None
    s = index._s
    notes = s.notes
    seen = high, s.w, s.version  # what is the same as long as nobody writes, in this epoch
    if not low and notes is not None and notes.checked is not None and notes.checked[0] is s.raw:
        if notes.checked[1:] == (seen,) and not s.pending:
            return None
    values = values_to_check(index)
    if not low and values.dtype == np.int64 and within(values, high):
        if s.owner is None and not s.pending and index._ty.numel == s.ty.numel and not index._ty.lazy:
            s.note().checked = s.raw, (high, s.w, s.version)
        return None
    if not values.size or (_least(values) >= low and _greatest(values) < high):
        return None
    return int(values[(values < low) | (values >= high)].reshape(-1)[0])


def _least(values: np.ndarray) -> int:
    """As ``min``, in a third of the time where there are few."""
    return int(values.item(values.argmin()))


def _greatest(values: np.ndarray) -> int:
    return int(values.item(values.argmax()))


def check_range(
    op: Operator,
    ins: tuple[Any, ...],
    attrs: Any,
    index: Any,
    dim: int,
    error: type[Exception] = RuntimeError,
    text: str = "",
) -> None:
    """Raises unless all indices are in ``0 ≤ i < n``, before the call ``op(*ins)`` is recorded.

    What is wrong with the types comes first, as in PyTorch.
    """
    n = size_along(ins[0]._ty, dim)
    bad = first_outside(index, 0, n)
    if bad is not None:
        op.infer(tuple([x._ty if is_tensor(x) else _weak_ty(x) for x in ins]), attrs)
        raise error((text or "index {} is out of bounds for dimension {} with size {}").format(bad, dim, n))


def _weak_ty(value: Any) -> Ty:
    return ty((), weak_dtype(value), weak=True)


def wrapped(index: Any, n: int) -> Any:
    """Negative indices counted from the end."""
    if index._ty.meta:
        return index
    values = values_to_check(index)
    if not values.size or _least(values) >= 0:
        return index
    if threads.epoch.sampling is not None:
        return (index + n).where(index < 0, index)
    return from_values(np.where(values < 0, values + n, values), int64)


def size_along(t: Ty, dim: int) -> int:
    """The size of a dimension; 1 for a 0-dim tensor."""
    return t.shape[dim] if t.ndim else 1


def need_tensor(name: str, argument: str, position: int, x: Any) -> None:
    """Raises TypeError as PyTorch does if ``x`` is no tensor."""
    if not is_tensor(x):
        raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type(x).__name__}")


def int64_value(b: Any, index: Any) -> Any:
    """An index as int64."""
    return b.cast(index, int64)


# ---- gather


def check_along(name: str, t: Ty, index: Ty, dim: int, what: str = "input") -> None:
    """The checks that gather and scatter share: dtype and number of dimensions of the index."""
    if index.numel and index.dtype not in (int64, int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if index.numel and max(t.ndim, 1) != max(index.ndim, 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {what} tensor")


def _gather_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    t, index = tys
    check_along("gather", t, index, dim)
    if index.numel and any(i > n for d, (i, n) in enumerate(zip(index.shape, t.shape)) if d != dim):
        raise RuntimeError(
            f"Size does not match at dimension {_mismatch(t, index, dim)} expected index {list(index.shape)} to "
            f"be no larger than self {list(t.shape)} apart from dimension {dim}"
        )
    return ty(index.shape, t.dtype)


def _mismatch(t: Ty, index: Ty, dim: int) -> int:
    return next(d for d, (i, n) in enumerate(zip(index.shape, t.shape)) if d != dim and i > n)


def _gather_lower(b: Any, dim: int, x: Any, index: Any) -> Any:
    index = int64_value(b, index)
    if 0 in index.shape:
        return b.const(0, x.dtype, index.shape)
    if not x.ndim:
        return b.expand(x, index.shape)
    if not index.ndim:
        return b.reshape(b.gather(x, b.reshape(index, (1,)), dim), ())
    for d, n in enumerate(index.shape):
        if d != dim and n != x.shape[d]:
            x = b.slice(x, d, 0, n)
    return b.gather(x, index, dim)


def _gather_vjp(f: Any, g: Any) -> tuple[Any, None]:
    from .scattering import SCATTER_ADD

    # The indices are those of the call, which has looked at them.
    return at_version(call(SCATTER_ADD, (f.saved(0).new_zeros(f.ins[0].shape), f.saved(1), g), f.attrs), 1), None


GATHER = Operator("gather", _gather_ty, _gather_lower, _gather_vjp, ((0, (0,)), (1, (0,))))


@export()
def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False, out: Any = None) -> Any:
    """Elements along ``dim`` at ``index``, which has the same number of dimensions.

    Raises:
        RuntimeError: the index is out of bounds, of another dtype than int32 and int64, or larger than ``input``.
    """
    need_tensor("gather", "index", 2, index)
    d = wrap_dim(dim, input._ty.ndim)
    check_range(GATHER, (input, index), d, index, d)
    y = picked(input, d, index) if out is None else None
    if y is not None:
        return y
    return into(call(GATHER, (input, index), d), out, "gather")


@export()
def take_along_dim(input: Any, indices: Any, dim: int | None = None, *, out: Any = None) -> Any:
    """The elements at ``indices`` (int64) along ``dim``, both broadcast; without ``dim`` those of the flattened input
    (https://docs.pytorch.org/docs/stable/generated/torch.take_along_dim.html).

    With ``dim`` indices outside of the dimension are counted round and round, as in PyTorch.

    Raises:
        RuntimeError: the indices are not int64, or the numbers of dimensions differ; without ``dim``, one is out of
            range.
    """
    t = indices._ty
    if t.dtype.kind not in "ui" or t.dtype is not int64:
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {SCALAR_NAMES[t.dtype]}")
    if dim is None:
        return into(gather(input.reshape(-1), 0, indices.reshape(-1)), out, "take_along_dim")
    if t.ndim != input._ty.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._ty.ndim} dimensions for input, and {t.ndim} dimensions for indices"
        )
    d = wrap_dim(dim, t.ndim)
    have, want = list(input._ty.shape), list(t.shape)
    have[d] = want[d] = 1
    common = broadcast_shape(tuple(have), tuple(want))
    if t.ndim:
        input = input.expand((*common[:d], input._ty.shape[d], *common[d + 1 :]))
        indices = _modulo(indices, input._ty.shape[d]).expand((*common[:d], t.shape[d], *common[d + 1 :]))
    return into(gather(input, d, indices), out, "take_along_dim")


def _modulo(index: Any, n: int) -> Any:
    """Indices outside of ``0 ≤ i < n`` counted round and round, as PyTorch does here."""
    return index if not n or first_outside(index, 0, n) is None else index.remainder(n)


# ---- index_select


def _select_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    t, index = tys
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index.dtype not in (int64, int32):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    if not t.ndim:
        if index.numel != 1:
            raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {index.numel} value(s)")
        return ty((), t.dtype)
    return ty((*t.shape[:dim], index.numel, *t.shape[dim + 1 :]), t.dtype)


def _select_lower(b: Any, dim: int, x: Any, index: Any) -> Any:
    if not x.ndim:
        return b.reshape(x, ())
    return b.take(x, b.reshape(int64_value(b, index), (-1,)), dim)


def _select_vjp(f: Any, g: Any) -> tuple[Any, None]:
    from .scattering import index_add

    t = f.ins[0]
    if not t.ndim:
        return g, None
    return at_version(index_add(g.new_zeros(t.shape), f.attrs, f.saved(1), g), 1), None


INDEX_SELECT = Operator("index_select", _select_ty, _select_lower, _select_vjp, ((1, (0,)),))


_DIM1_RANGE = "INDICES element is out of DATA bounds, id={0} axis_dim={2}"


@export()
def index_select(input: Any, dim: int, index: Any, *, out: Any = None) -> Any:
    """The slices of ``input`` along ``dim`` whose numbers ``index`` lists.

    Raises:
        IndexError: an index is out of range.
    """
    need_tensor("index_select", "index", 3, index)
    d = wrap_dim(dim, input._ty.ndim)
    if index._ty.numel and not size_along(input._ty, d):
        raise RuntimeError("index_select(): self indexing axis dim should be positive")
    if d == 1 and input._ty.dtype.kind in "fiu":
        check_range(INDEX_SELECT, (input, index), d, index, d, RuntimeError, _DIM1_RANGE)
    check_range(INDEX_SELECT, (input, index), d, index, d, IndexError, "index out of range in self")
    if out is None and input._s.owner is not None and input._ty.ndim:
        t = _select_ty((input._ty, index._ty), d)
        if is_costly(input, t.numel):
            return gathered(input, (d,), [index.reshape(-1)], t)
    return into(call(INDEX_SELECT, (input, index), d), out, "index_select")


# ---- take


def _take_lower(b: Any, attrs: Any, x: Any, index: Any) -> Any:
    return b.take(b.reshape(x, (-1,)), index, 0)


def _take_vjp(f: Any, g: Any) -> tuple[Any, None]:
    from .putting import put

    return put(f.saved(0).new_zeros(f.ins[0].shape), f.saved(1), g, True), None


TAKE = Operator(
    "take", lambda tys, attrs: ty(tys[1].shape, tys[0].dtype), _take_lower, _take_vjp, ((0, (0,)), (1, (0,)))
)


def flat_index(name: str, index: Any, numel: int) -> Any:
    """An index into the flattened tensor, checked and made non-negative."""
    if index._ty.dtype is not int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {SCALAR_NAMES[index._ty.dtype]}")
    if not numel and index._ty.numel:
        raise IndexError(
            f"{name}(): tried to take from an empty tensor"
            if name == "take"
            else f"{name}(): tried to put elements into an empty tensor"
        )
    bad = first_outside(index, -numel, numel)
    if bad is not None:
        raise IndexError(f"out of range: tried to access index {bad} on a tensor of {numel} elements.")
    return wrapped(index, numel)


@export()
def take(input: Any, index: Any, *, out: Any = None) -> Any:
    """Elements of the flattened input.

    Raises:
        IndexError: an index is out of range.
    """
    need_tensor("take", "index", 2, index)
    return into(call(TAKE, (input, flat_index("take", index, input._ty.numel))), out, "take")


# ---- masks


def check_mask(name: str, mask: Any) -> None:
    """Raises unless the mask is boolean."""
    if mask._ty.dtype is not bool_:
        raise RuntimeError(f"{name} only supports boolean masks, but got mask with dtype {C_NAMES[mask._ty.dtype]}")


def _masked_select_lower(b: Any, n: int, x: Any, at: Any) -> Any:
    return b.take(b.reshape(x, (-1,)), at, 0)


def _masked_select_vjp(f: Any, g: Any) -> tuple[Any, None]:
    from .putting import PUT

    return call(PUT, (g.new_zeros(f.ins[0].shape), f.saved(1), g), False), None


MASKED_SELECT = Operator(
    "masked_select", lambda tys, n: ty((n,), tys[0].dtype), _masked_select_lower, _masked_select_vjp, ((1, (0,)),)
)


@export()
def masked_select(input: Any, mask: Any, *, out: Any = None) -> Any:
    """The elements where ``mask`` holds, in row-major order; input and mask are broadcast."""
    need_tensor("masked_select", "mask", 2, mask)
    if mask._ty.dtype is not bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = broadcast_shape(mask._ty.shape, input._ty.shape)
    at = broadcast(values_of(mask), shape).reshape(-1).nonzero()[0]
    x = input if input._ty.shape == shape else input.expand(shape)
    return into(call(MASKED_SELECT, (x, realised_tensor(at.astype(np.int64), int64)), len(at)), out, "masked_select")


def broadcast(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """As NumPy's function, which takes some microseconds also where there is nothing to do."""
    return a if a.shape == shape else np.broadcast_to(a, shape)


@export()
def nonzero(input: Any, *, as_tuple: bool = False, out: Any = None) -> Any:
    """The indices of all elements that are not zero: a row for each, or a tuple of a vector for each dimension."""
    need_tensor("nonzero", "input", 1, input)
    if out is not None and as_tuple:
        raise RuntimeError("nonzero does not support the out kwarg when as_tuple is True")
    if out is not None and out._ty.dtype is not int64:
        raise RuntimeError(
            f"nonzero: Expected out tensor to have scalar type Long but got scalar type{SCALAR_NAMES[out._ty.dtype]}"
        )
    values = values_of(input)
    if as_tuple:
        return tuple([from_values(i.astype(np.int64), int64) for i in nonzero_places(np.atleast_1d(values))])
    if values.ndim:
        rows = np.stack(nonzero_places(values)).astype(np.int64, copy=False)
    else:
        rows = np.empty((0, int(bool(values))), np.int64)
    found = forgetting(from_values(rows, int64).t()) if rows.shape[0] else _no_columns(rows)
    return into(found, out, "nonzero")


def _no_columns(rows: np.ndarray) -> Any:
    return from_values(np.empty((rows.shape[1], 0), np.int64), int64)


@export()
def argwhere(input: Any) -> Any:
    """As ``nonzero``."""
    return nonzero(input)


@method()
def nonzero_numpy(self: Any) -> Any:
    """As ``nonzero(as_tuple=True)``."""
    return nonzero(self, as_tuple=True)


@export()
def nonzero_static(input: Any, *, size: int, fill_value: int = -1) -> Any:
    """As ``nonzero`` with exactly ``size`` rows: cut off, or filled up with ``fill_value``."""
    found = values_of(nonzero(input))
    rows = np.full((size, found.shape[1]), fill_value, np.int64)
    rows[: len(found)] = found[:size]
    return from_values(rows, int64)
