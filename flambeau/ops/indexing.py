"""Indexing with brackets: basic indices make views, integer and boolean tensors gather and scatter.

What is between the brackets is read in ``_brackets.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, bool_, float32, int64
from ..graph.epoch import threads
from ..graph.node import Operator
from ..graph.storage import refuse_inference_write
from ..graph.tensor_base import new_tensor, view_of
from ..graph.types import Ty, integers_type, overlaps_itself, permuted_strides, stride_order, ty
from ._brackets import apply_basic, places, under_mask
from ._checks import check_value, values_to_check
from ._immediate import assign, assign_part, fill, within
from ._overlapping import refuse_read, shared_places
from ._placing import assign_row
from ._registry import (
    METHODS,
    at_version,
    call,
    call_inplace,
    creation_of,
    is_tensor,
    requires_grad,
    view,
    view_type,
    write_part,
)
from ._shared_reads import gathered, is_costly
from ._signatures import type_name
from ._types import broadcast_shape
from .copying import COPY, FILL_TENSOR, dense
from .creation import realised_tensor
from .filling import MASKED_FILL
from .gathering import wrapped
from .slicing import SELECT, SLICE
from .views import UNSQUEEZE, alias_view, expand_rule

# ---- gathering


def _index_ty(tys: tuple[Ty, ...], where: tuple[int, ...]) -> Ty:
    """Index dimensions take the place of the indexed ones if these are neighbours, else they come first.

    The memory order is that of TensorIterator over the source, which does not move along index
    dimensions, and the index tensors, which move along nothing else.
    """
    x, shape = tys[0], broadcast_shape(*[t.shape for t in tys[1:]])
    rest = [d for d in range(x.ndim) if d not in where]
    at = where[0] if list(where) == list(range(where[0], where[-1] + 1)) else 0
    lead = sum(1 for d in rest if d < at)
    before, after = rest[:lead], rest[lead:]
    out = (*[x.shape[d] for d in before], *shape, *[x.shape[d] for d in after])
    still = (0,) * len(shape)
    source = (*[x.strides[d] for d in before], *still, *[x.strides[d] for d in after])
    operands = [ty(out, x.dtype, source)]
    for t in tys[1:]:
        own = expand_rule(t, shape).strides
        operands.append(ty(out, int64, (*[0] * len(before), *own, *[0] * len(after))))
    return ty(out, x.dtype, permuted_strides(out, stride_order(operands, out)))


def _index_lower(b: Any, where: tuple[int, ...], x: Any, *idx: Any) -> Any:
    out = _index_ty(tuple(ty(v.shape, v.dtype) for v in (x, *idx)), where)
    return b.index(x, where, [b.cast(i, int64) for i in idx], out.shape)


def _index_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    idx = [f.saved(k) for k in range(1, len(f.ins))]
    return (at_version(index_put(g.new_zeros(f.ins[0].shape), f.attrs, idx, g, True), 1), *[None] * len(idx))


def _put_lower(accumulate: bool) -> Any:
    def lower(b: Any, where: tuple[int, ...], x: Any, *rest: Any) -> Any:
        idx = [b.cast(i, int64) for i in rest[:-1]]
        return b.index_put("add" if accumulate else "set", x, where, idx, b.cast(rest[-1], x.dtype))

    return lower


def _put_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    idx = [f.saved(k) for k in range(1, len(f.ins) - 1)]
    gx = index_put(g, f.attrs, idx, g.new_zeros(()), False) if f.needs(0) else None
    gv = index(g, f.attrs, idx) if f.needs(len(f.ins) - 1) else None
    return (gx, *[None] * len(idx), gv)


def _put_add_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    idx = [f.saved(k) for k in range(1, len(f.ins) - 1)]
    return (g, *[None] * len(idx), index(g, f.attrs, idx) if f.needs(len(f.ins) - 1) else None)


def _put_ty(tys: tuple[Ty, ...], where: Any) -> Ty:
    x = tys[0]
    return x if x.dense and not x.offset else ty(x.shape, x.dtype)


class _ByCount(dict[int, Operator]):
    """Operators, one for each number of index tensors, which they save, made when first used."""

    def __init__(self, name: str, infer: Any, lower: Any, vjp: Any, asking: Callable[[int], tuple[int, ...]]) -> None:
        self.rules = name, infer, lower, vjp
        self.asking = asking  # of so many index tensors: the inputs whose gradients ask for these

    def __missing__(self, count: int) -> Operator:
        saves = tuple((k, self.asking(count)) for k in range(1, count + 1))
        op = self[count] = Operator(*self.rules, saves=saves)
        return op


def _any_input(count: int) -> tuple[int, ...]:
    return tuple(range(count + 2))


INDEX = _ByCount("index", _index_ty, _index_lower, _index_vjp, lambda count: (0,))
PUT = _ByCount("index_put", _put_ty, _put_lower(False), _put_vjp, _any_input)
PUT_ADD = _ByCount("index_put", _put_ty, _put_lower(True), _put_add_vjp, _any_input)


def _checked(x: Any, where: tuple[int, ...], idx: list[Any]) -> list[Any]:
    """Index tensors made non-negative.

    Raises:
        IndexError: one is out of bounds.
    """
    out = []
    for k, (d, i) in enumerate(zip(where, idx)):
        n, notes = x._ty.shape[d], i._s.notes
        if (
            notes is not None
            and notes.checked is not None
            and notes.checked[0] is i._s.raw
            and notes.checked[1:] == (n,)
        ):
            out.append(i)  # from a mask
            continue
        if i._ty.meta:
            out.append(i)
            continue
        values = values_to_check(i)
        if values.dtype == np.int64 and within(values, n):
            out.append(i)
            continue
        if values.size and (int(values.min()) < -n or int(values.max()) >= n):
            raise _out_of_bounds(values, k, n)
        if values.size and int(values.min()) < 0:
            i = wrapped(i, n)
        out.append(i)
    return out


def _out_of_bounds(values: np.ndarray, k: int, n: int) -> IndexError:
    """The error of an index tensor, the ``k``-th, for a dimension of size ``n``."""
    if not n:
        return IndexError("index is out of bounds for dimension with size 0")
    bad = values[(values < -n) | (values >= n)].reshape(-1)[0]
    return IndexError(f"index {int(bad)} is out of bounds for dimension {k} with size {n}")


def index(x: Any, where: tuple[int, ...], idx: list[Any]) -> Any:
    """Elements at broadcast index tensors for the dimensions ``where``."""
    check_shapes(idx)
    idx = _checked(x, where, idx)
    if x._s.owner is not None:
        t = _type_at(x._ty, tuple([i._ty for i in idx]), where)
        if is_costly(x, t.numel):
            return gathered(x, where, idx, t)
    return call(INDEX[len(idx)], (x, *idx), where)


def check_shapes(idx: list[Any]) -> None:
    """Raises unless the index tensors broadcast together."""
    if len(idx) == 1:
        return
    try:
        broadcast_shape(*[i._ty.shape for i in idx])
    except RuntimeError:
        shapes = ", ".join(str(list(i._ty.shape)) for i in idx)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None


def index_put(x: Any, where: tuple[int, ...], idx: list[Any], value: Any, accumulate: bool) -> Any:
    """A copy of ``x`` with ``value`` put (or added) at the indices."""
    op = (PUT_ADD if accumulate else PUT)[len(idx)]
    return call(op, (x, *_checked(x, where, idx), value), where)


def _gathered(x: Any, tensors: list[Any]) -> Any:
    where = tuple(d for d, t in enumerate(tensors) if t is not None)
    return index(x, where, [t for t in tensors if t is not None])


def _at_integers(x: Any, index: Any) -> Any:
    """The view at plain integers of a tensor without history; None if there is more to it."""
    epoch = threads.epoch
    if epoch.grad and requires_grad(x):
        return None
    t = integers_type(x._ty, index)
    if t is None:
        return None
    y = new_tensor(x._s, t)
    y._vc = x._vc
    y._view = view_of(x if x._view is None else x._view.base, creation_of(x), (x._vc or x._s).version)
    return y


def _at_last(t: Ty, index: tuple[Any, ...]) -> tuple[Operator, Any] | None:
    """``[..., i]``, ``[:, :, i:j]``, ``[..., None]``: the view of one dimension, and its attributes; None if there is
    more to it."""
    last, dim = index[-1], len(index) - 1
    if dim == 1 and index[0] is Ellipsis:
        dim = t.ndim - (last is not None)
    else:
        for s in index[:dim]:
            if type(s) is not slice or s.start is not None or s.stop is not None or s.step is not None:
                return None
    if last is None:
        return (UNSQUEEZE, dim) if dim <= t.ndim else None
    if not 0 <= dim < t.ndim:
        return None
    n = t.shape[dim]
    if type(last) is int:
        return (SELECT, (dim, last % n)) if -n <= last < n else None
    return _slice_at(dim, n, last) if type(last) is slice else None


def _slice_at(dim: int, n: int, s: slice) -> tuple[Operator, Any] | None:
    """A slice of plain integers that does not take all of a dimension."""
    start, stop, step = s.start, s.stop, s.step
    if step is not None or not (start is None or type(start) is int) or not (stop is None or type(stop) is int):
        return None
    a, b, _ = s.indices(n)
    return None if a == 0 and b == n else (SLICE, (dim, a, max(a, b), 1))


def _mask_of(t: Ty, index: Any) -> Any:
    """The mask of the first dimensions, which all else between the brackets leaves as they are; None if there is more
    to it."""
    mask: Any = index
    rest: Any = ()
    if type(index) is tuple and index:
        mask, *rest = index
    if not is_tensor(mask) or mask._ty.dtype is not bool_:
        return None
    ndim = mask._ty.ndim
    if not ndim or ndim + len(rest) > t.ndim or mask._ty.shape != t.shape[:ndim]:
        return None
    for s in rest:
        if type(s) is not slice or s.start is not None or s.stop is not None or s.step is not None:
            return None
    return mask


def getitem(self: Any, index: Any) -> Any:
    """``self[index]``."""
    if type(index) is int or type(index) is tuple:
        if index and type(index) is tuple and (index[0] is Ellipsis or type(index[0]) is slice):
            at = _at_last(self._ty, index)
            if at is not None:
                return view(at[0], self, at[1])
        x = _at_integers(self, index)
        if x is not None:
            return x
    elif type(index) is slice and self._ty.ndim:
        at = _slice_at(0, self._ty.shape[0], index)
        if at is not None:
            return view(at[0], self, at[1])
    mask = _mask_of(self._ty, index)
    if mask is not None:
        return _gathered(self, places(mask))
    x, tensors = apply_basic(self, index)
    if tensors is not None:
        return _gathered(x, tensors)
    return alias_view(x) if x is self else x


def setitem(self: Any, index: Any, value: Any) -> None:
    """``self[index] = value``: a write through a view, or a scatter."""
    if type(index) is int or type(index) is tuple:
        if type(index) is int and is_tensor(value) and assign_row(self, index, value):
            return
        if assign(self, index, value) or assign_part(self, index if type(index) is tuple else (index,), value):
            return
        x = _at_integers(self, index)
        if x is not None:
            _assign(x, value)
            return
        if type(index) is tuple and index and _write_part(self, index, value):
            return
    elif is_tensor(index) and _fill_under(self, index, value):
        return
    mask = _mask_of(self._ty, index)
    if mask is not None:
        _put(self, index, [*places(mask)], value)
        return
    x, tensors = apply_basic(self, index, reading=False)
    if tensors is None:
        _assign(x, value)
        return
    _put(x, index, tensors, value)


def _put(x: Any, index: Any, tensors: list[Any], value: Any) -> None:
    """Writes where index tensors say, by dimension; ``index`` is what was between the brackets."""
    value = _without_leading_ones(as_value(x, value), 0)
    value = under_mask(x, index if isinstance(index, tuple) else (index,), value)
    where = tuple(d for d, t in enumerate(tensors) if t is not None)
    put_(x, where, [t for t in tensors if t is not None], value, False)


def _fill_under(x: Any, mask: Any, value: Any) -> bool:
    """Has a number written where a mask is true that is pending, and stays so; False if there is more to it."""
    own, t = x._ty, mask._ty
    if t.dtype is not bool_ or not t.ndim or not mask._s.pending or t.shape != own.shape[: t.ndim]:
        return False
    if type(value) is int:
        fits = -(2**63) <= value < 2**63
    else:
        fits = type(value) is float and own.dtype.kind == "f"
    if not fits or own.dtype.itemsize == 2 or overlaps_itself(own) or (threads.epoch.grad and requires_grad(x)):
        return False
    check_value(value, own.dtype)
    more = own.ndim - t.ndim
    call_inplace(MASKED_FILL, x, (mask.reshape((*t.shape, *[1] * more)) if more else mask, value))
    return True


def put_(x: Any, where: tuple[int, ...], idx: list[Any], value: Any, accumulate: bool) -> Any:
    """In-place ``index_put``.

    Raises:
        RuntimeError: the value's dtype differs, or it does not broadcast to what is indexed.
    """
    check_put(x, where, idx, value)
    refuse_read(x, value, *idx)
    shared = shared_places(x, "index_put_", "tensor[indices] = tensor")
    if shared is not None:
        memory, numbers = shared
        at = index(numbers, where, idx)
        put_(memory, (0,), [at], value.expand(at._ty.shape), accumulate)
        return x
    op = (PUT_ADD if accumulate else PUT)[len(idx)]
    nowhere = not all([i._ty.numel for i in idx])  # noqa: C419
    return call_inplace(op, x, (*_checked(x, where, idx), value), where, may_overlap=True, unchanged=nowhere)


def check_put(x: Any, where: tuple[int, ...], idx: list[Any], value: Any) -> None:
    """Raises PyTorch's errors unless ``value`` may be put at the indices."""
    check_shapes(idx)
    _check_value(value._ty, _type_at(x._ty, tuple([i._ty for i in idx]), where).shape)
    if value._ty.dtype is not x._ty.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {SCALAR_NAMES[x._ty.dtype]} for the "
            f"destination and {SCALAR_NAMES[value._ty.dtype]} for the source."
        )


@lru_cache(8192)
def _type_at(x: Ty, indices: tuple[Ty, ...], where: tuple[int, ...]) -> Ty:
    """The type of what is indexed."""
    return _index_ty((x, *indices), where)


def _check_value(value: Ty, target: tuple[int, ...]) -> None:
    if value.shape == target:
        return
    try:
        fits = broadcast_shape(value.shape, target) == target
    except RuntimeError:
        fits = False
    if not fits:
        raise RuntimeError(f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing "
                           f"result of shape {list(target)}")  # fmt: skip


def as_value(x: Any, value: Any) -> Any:
    """What is assigned to ``x``, as a tensor.

    Raises:
        TypeError: neither a tensor nor a number.
        RuntimeError: a number that ``x`` cannot hold; half precision takes what overflows.
    """
    if is_tensor(value):
        return value
    from .from_data import tensor

    if not isinstance(value, (int, float, complex, np.integer)):
        raise TypeError(f"can't assign a {type_name(value)} to a {x.type()}")
    dt = x._ty.dtype
    if _is_held(x._ty, value):
        return realised_tensor(np.array(value, np.float32), float32)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("Overflow when unpacking long long")
    if dt.kind != "f" or dt.itemsize > 2:
        check_value(value, dt)
    return tensor(value, dtype=dt)


def _without_leading_ones(value: Any, ndim: int) -> Any:
    """A value without those leading dimensions of size 1 that make it longer than ``ndim``."""
    shape = value._ty.shape
    lead = 0
    while len(shape) - lead > ndim and shape[lead] == 1:
        lead += 1
    return value.reshape(shape[lead:]) if lead else value


def _assign(x: Any, value: Any) -> None:
    if not is_tensor(value) and (fill(x, value) or _fill_later(x, value)):
        return
    value = as_value(x, value)
    if value._s is x._s and value._ty is x._ty and not (requires_grad(x) or requires_grad(value)):
        refuse_inference_write(x._s)
        (x._vc or x._s).version += 1  # as after ``x[i] += 1``: it has been written where it lies
        return
    value = _without_leading_ones(value, x._ty.ndim)
    if value._ty.ndim == 0 and x._ty.ndim:
        x.fill_(value)
        return
    if value._ty.shape != x._ty.shape:
        expand_rule(value._ty, x._ty.shape)
    x.copy_(value)


def _fill_later(x: Any, value: Any) -> bool:
    """Records that float32 memory is filled with a Python number that it holds, of which no tensor is made."""
    t = x._ty
    if not t.ndim or not _is_held(t, value):
        return False
    call_inplace(FILL_TENSOR, x, (_plain(value),), dense(t))
    return True


def _write_part(x: Any, index: tuple[Any, ...], value: Any) -> bool:
    """Records that what is last between brackets is written, of a tensor with a history; False if there is more to
    it."""
    tensor = is_tensor(value)
    if not (tensor or _is_held(x._ty, value)):
        return False
    at = _at_last(x._ty, index)
    if at is None or at[0] is UNSQUEEZE:
        return False
    t = view_type(at[0], x, at[1])
    if tensor:
        own = value._ty
        return (
            own.shape == t.shape and own.dtype is t.dtype and not own.lazy and write_part(COPY, x, t, value, dense(t))
        )
    return t.ndim > 0 and write_part(FILL_TENSOR, x, t, _plain(value), dense(t))


def _is_held(t: Ty, value: Any) -> bool:
    """Is it a number that float32 memory of this type holds?"""
    return t.dtype is float32 and type(value) in (int, float, np.float64) and -LARGE <= value <= LARGE


def _plain(value: Any) -> Any:
    """A number as Python's."""
    return float(value) if type(value) is np.float64 else value


LARGE = 1e38  # a number that float32 holds

METHODS["__getitem__"] = getitem
METHODS["__setitem__"] = setitem
