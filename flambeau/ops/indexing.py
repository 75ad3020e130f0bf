"""Indexing with brackets: basic indices make views, integer and boolean tensors gather and scatter."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..dtypes import bool_, dtype, int64, uint8
from ..graph.epoch import threads
from ..graph.node import Operator
from ..graph.tensor_base import View, new_tensor
from ..graph.types import Ty, beside, permuted_strides, stride_order, ty
from ._checks import check_value
from ._immediate import assign, assign_part, fill
from ._registry import METHODS, at_version, call, call_inplace, creation_of, is_tensor, method, requires_grad
from ._types import broadcast_shape
from .views import alias_view, expand_rule, select, slice_view

# ---- reading brackets


def _items(index: Any) -> list[Any]:
    """The parts between the brackets; a list of integers counts as a tensor, most others as a tuple."""
    if isinstance(index, tuple):
        return list(index)
    if isinstance(index, list) and _counts_as_tuple(index):
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch "
            "2.9; use x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, "
            "x[torch.tensor(seq)], which will result either in an error or a different result",
            stacklevel=4,
        )
        return list(index)
    return [index]


SHORT = 32  # PyTorch takes shorter lists that hold sequences for tuples


def _counts_as_tuple(index: list[Any]) -> bool:
    return len(index) < SHORT and any(
        i is None or i is Ellipsis or isinstance(i, (slice, list, tuple, np.ndarray)) or is_tensor(i) for i in index
    )


def _as_index(i: Any) -> Any:
    """Sequences, arrays and booleans as index tensors."""
    from .from_data import tensor

    if is_tensor(i):
        return i
    if isinstance(i, (list, tuple, range, np.ndarray, bool, np.bool_, np.generic)):
        t = tensor(i if not isinstance(i, range) else list(i))
        return t.to(int64) if t._ty.numel == 0 and t._ty.dtype.kind == "f" else t
    if hasattr(i, "__index__"):
        return int(i)
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
        f"(got {type(i).__name__})"
    )


def _consumed(i: Any) -> int:
    """How many dimensions an index takes."""
    if i is None or i is Ellipsis or isinstance(i, (bool, np.bool_)):
        return 0
    if is_tensor(i) and i._ty.dtype in (bool_, uint8):
        return i._ty.ndim
    if isinstance(i, np.ndarray) and i.dtype == np.bool_:
        return i.ndim
    return 1


def _is_basic(i: Any) -> bool:
    return i is None or i is Ellipsis or (isinstance(i, (slice, int)) and not isinstance(i, bool))


def apply_basic(x: Any, index: Any, reading: bool = True) -> tuple[Any, list[Any] | None]:
    """The view that integers, slices, None and ... select, and index tensors by dimension (None: there are none)."""
    items = [i if _is_basic(i) else _as_index(i) for i in _items(index)]
    taken = sum(_consumed(i) for i in items)
    ndim = x._ty.ndim
    if taken > ndim and (ndim or not isinstance(index, (int, slice))):
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    dim, tensors, first = 0, [], True
    for i in items:
        if i is Ellipsis:
            if first:
                skip = ndim - taken
                tensors += [None] * skip
                dim, first = dim + skip, False
        elif i is None:
            x = x.unsqueeze(dim)
            tensors.append(None)
            dim += 1
        elif isinstance(i, slice):
            x = _slice(x, dim, i, reading and not isinstance(index, tuple))
            tensors.append(None)
            dim += 1
        elif is_tensor(i):
            x, dim = _tensor_index(x, i, dim, tensors)
        else:
            x = _select(x, dim, int(i))
    if any(t is not None for t in tensors):
        return x, tensors
    return x, None


def _tensor_index(x: Any, i: Any, dim: int, tensors: list[Any]) -> tuple[Any, int]:
    """Notes an index tensor; a 0-dim integer selects, a mask takes as many dimensions as it has."""
    t = i._ty
    if t.ndim == 0 and t.dtype.kind in "ui" and t.dtype is not uint8:
        return _select(x, dim, int(i.item())), dim
    if t.dtype in (bool_, uint8):
        return _mask_index(x, i, dim, tensors)
    if t.dtype.kind not in "ui":
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    tensors.append(i)
    return x, dim + 1


def _mask_index(x: Any, mask: Any, dim: int, tensors: list[Any]) -> tuple[Any, int]:
    if mask._ty.ndim == 0:
        x = x.unsqueeze(dim)
        tensors.append(_as_index(np.zeros(1 if mask.item() else 0, np.int64)))
        return x, dim + 1
    for k, n in enumerate(mask._ty.shape):
        if n != x._ty.shape[dim + k]:
            raise IndexError(f"The shape of the mask {list(mask._ty.shape)} at index {k} does not match the shape of "
                             "the "
                             f"indexed tensor {list(x._ty.shape)} at index {dim + k}")  # fmt: skip
    tensors.extend(_places(mask))
    return x, dim + mask._ty.ndim


def _places(mask: Any) -> list[Any]:
    """An index tensor for each dimension of a mask, found once for as long as nothing is written to it."""
    s = mask._s
    found = s.notes.checked if s.notes is not None and s.owner is None and not s.pending else None
    if found is not None and found[0] is s.raw and found[1] == (mask._ty, s.w, s.version):
        return found[2]
    places = [_as_index(where.astype(np.int64)) for where in np.nonzero(mask.detach()._numpy())]
    for i, n in zip(places, mask._ty.shape):
        i._s.note().checked = i._s.raw, n
    if s.owner is None and not s.pending:
        s.note().checked = s.raw, (mask._ty, s.w, s.version), places
    return places


def _slice(x: Any, dim: int, s: slice, always: bool) -> Any:
    """A slice of one dimension; one that takes everything is left out unless it is the whole index."""
    if x._ty.ndim == 0:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    if not always and s == slice(None):
        return x
    if not always and (s.step is None or s.step == 1):
        n = x._ty.shape[dim]
        if int(s.start or 0) == 0 and (s.stop is None or int(s.stop) >= n):
            return x
    return slice_view(x, dim, s.start, s.stop, s.step)


def _select(x: Any, dim: int, i: int) -> Any:
    t = x._ty
    if t.ndim == 0:
        raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in "
                         "C++ to "
                         "convert a 0-dim tensor to a number")  # fmt: skip
    if not -t.shape[dim] <= i < t.shape[dim]:
        raise IndexError(f"index {i} is out of bounds for dimension {dim} with size {t.shape[dim]}")
    return select(x, dim, i)


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


INDEX = Operator("index", _index_ty, _index_lower, _index_vjp, saves=tuple((k, (0,)) for k in range(1, 9)))


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


_PUT_SAVES = tuple((k, tuple(range(10))) for k in range(1, 9))
PUT = {
    n: Operator("index_put", _put_ty, _put_lower(False), _put_vjp, saves=_PUT_SAVES[:n]) for n in range(1, 9)
}  # one for each number of index tensors
PUT_ADD = {n: Operator("index_put", _put_ty, _put_lower(True), _put_add_vjp, saves=_PUT_SAVES[:n]) for n in range(1, 9)}


def _checked(x: Any, where: tuple[int, ...], idx: list[Any]) -> list[Any]:
    """Index tensors made non-negative.

    Raises:
        IndexError: one is out of bounds.
    """
    out = []
    for d, i in zip(where, idx):
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
        values = i.detach()._numpy()
        if values.size and (int(values.min()) < -n or int(values.max()) >= n):
            bad = values[(values < -n) | (values >= n)].reshape(-1)[0]
            raise IndexError(f"index {int(bad)} is out of bounds for dimension {d} with size {n}")
        if values.size and int(values.min()) < 0:
            i = _as_index(np.where(values < 0, values + n, values).astype(np.int64))
        out.append(i)
    return out


def index(x: Any, where: tuple[int, ...], idx: list[Any]) -> Any:
    """Elements at broadcast index tensors for the dimensions ``where``."""
    _check_shapes(idx)
    return call(INDEX, (x, *_checked(x, where, idx)), where)


def _check_shapes(idx: list[Any]) -> None:
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
    t = _integers_type(x._ty, index)
    if t is None:
        return None
    y = new_tensor(x._s, t)
    y._vc = x._vc
    y._view = View(x if x._view is None else x._view.base, creation_of(x), (x._vc or x._s).version)
    return y


def _integers_type(t: Ty, index: Any) -> Ty | None:
    """The type of the view at an integer or a tuple of some; None for what is none, or out of range."""
    if type(index) is tuple:
        for i in index:
            if type(i) is not int:
                return None
    known = t.views.get(index)
    if known is None:
        items: Any = index if type(index) is tuple else (index,)
        if not 0 < len(items) <= t.ndim or not all([-n <= i < n for i, n in zip(items, t.shape)]):  # noqa: C419
            return None
        offset = t.offset + sum([i % n * step for i, n, step in zip(items, t.shape, t.strides)])
        first = ty(t.shape[len(items) :], t.dtype, t.strides[len(items) :])
        known = t.views[index] = beside(first, t).moved(offset)
    return known


def getitem(self: Any, index: Any) -> Any:
    """``self[index]``."""
    if type(index) is int or type(index) is tuple:
        x = _at_integers(self, index)
        if x is not None:
            return x
    x, tensors = apply_basic(self, index)
    if tensors is not None:
        return _gathered(x, tensors)
    return alias_view(x) if x is self else x


def setitem(self: Any, index: Any, value: Any) -> None:
    """``self[index] = value``: a write through a view, or a scatter."""
    if type(index) is int or type(index) is tuple:
        if assign(self, index, value) or assign_part(self, index if type(index) is tuple else (index,), value):
            return
        x = _at_integers(self, index)
        if x is not None:
            _assign(x, value)
            return
    x, tensors = apply_basic(self, index, reading=False)
    if tensors is None:
        _assign(x, value)
        return
    if not is_tensor(value):
        from .from_data import tensor

        value = (
            tensor(value, dtype=self._ty.dtype) if not isinstance(value, (list, tuple, np.ndarray)) else tensor(value)
        )
    where = tuple(d for d, t in enumerate(tensors) if t is not None)
    idx = [t for t in tensors if t is not None]
    put_(x, where, idx, value, False)


def put_(x: Any, where: tuple[int, ...], idx: list[Any], value: Any, accumulate: bool) -> Any:
    """In-place ``index_put``.

    Raises:
        RuntimeError: the value's dtype differs, or it does not broadcast to what is indexed.
    """
    if value._ty.dtype is not x._ty.dtype:
        if value._ty.ndim:
            raise RuntimeError("Index put requires the source and destination dtypes match, got "
                               f"{_name(x)} for the destination and {_name(value)} for the source.")  # fmt: skip
        value = value.to(x._ty.dtype)
    _check_shapes(idx)
    target = _index_ty((x._ty, *[i._ty for i in idx]), where)
    _check_value(value._ty, target)
    op = (PUT_ADD if accumulate else PUT)[len(idx)]
    return call_inplace(op, x, (*_checked(x, where, idx), value), where, may_overlap=True)


def _name(x: Any) -> str:
    from ..dtypes import SCALAR_NAMES

    return SCALAR_NAMES[x._ty.dtype]


def _check_value(value: Ty, target: Ty) -> None:
    try:
        fits = broadcast_shape(value.shape, target.shape) == target.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise RuntimeError(f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing "
                           f"result of shape {list(target.shape)}")  # fmt: skip


def _check_number(value: Any, dt: dtype) -> None:
    """Raises if a number cannot be stored; half precision takes what overflows."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("Overflow when unpacking long long")
    if isinstance(value, (int, float, complex)) and (dt.kind != "f" or dt.itemsize > 2):
        check_value(value, dt)


def _assign(x: Any, value: Any) -> None:
    from .from_data import tensor

    if not is_tensor(value):
        if fill(x, value):
            return
        _check_number(value, x._ty.dtype)
        value = (
            tensor(value, dtype=x._ty.dtype)
            if isinstance(value, (bool, int, float, complex, np.generic))
            else tensor(value)
        )
    if value._s is x._s and value._ty is x._ty and not (requires_grad(x) or requires_grad(value)):
        (x._vc or x._s).version += 1  # as after ``x[i] += 1``: it has been written where it lies
        return
    lead = value._ty.ndim - x._ty.ndim
    if lead > 0 and all(n == 1 for n in value._ty.shape[:lead]):
        value = value.reshape(value._ty.shape[lead:])
    if value._ty.ndim == 0 and x._ty.ndim:
        x.fill_(value)
    else:
        x.copy_(value)


METHODS["__getitem__"] = getitem
METHODS["__setitem__"] = setitem


@method("index_put_")
def _index_put_(self: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """Writes ``values`` at the positions that the index tensors name."""
    x, tensors = apply_basic(self, tuple(indices))
    where = tuple(d for d, t in enumerate(tensors or ()) if t is not None)
    put_(x, where, [t for t in tensors or () if t is not None], values, accumulate)
    return self
