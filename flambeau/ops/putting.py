"""Writing at indices into the flattened tensor (``put``) and at positions that index tensors name (``index_put``)."""

from __future__ import annotations

from typing import Any

from ..dtypes import SCALAR_NAMES, bool_, int32, int64, uint8
from ..graph.node import Operator
from ..graph.types import Ty, like
from ._brackets import NO_INDEX, places, under_mask
from ._overlapping import refuse_read
from ._precision import widened
from ._registry import call, call_inplace, export, is_tensor, method
from ._signatures import type_name
from .gathering import flat_index
from .indexing import check_put
from .indexing import index_put as _index_put
from .indexing import put_ as _put_at
from .scattering import _INDEX

# ---- put


def _put_ty(tys: tuple[Ty, ...], accumulate: bool) -> Ty:
    x, index, src = tys
    if x.dtype is not src.dtype:
        raise RuntimeError("put_(): self and source expected to have the same dtype, but got self.dtype = "
                           f"{SCALAR_NAMES[x.dtype]} and source.dtype = {SCALAR_NAMES[src.dtype]}")  # fmt: skip
    if index.numel != src.numel:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{src.numel}, index.numel() = {index.numel}"
        )
    return like(x)


def _put_lower(b: Any, accumulate: bool, x: Any, index: Any, src: Any) -> Any:
    dt, shape = x.dtype, x.shape
    if accumulate:
        x, src = widened(b, x, src)
    op = "set" if not accumulate else "max" if dt.kind == "b" else "add"
    flat = b.index_put(op, b.reshape(x, (-1,)), (0,), [b.reshape(index, (-1,))], b.reshape(src, (-1,)))
    return b.reshape(b.cast(flat, dt), shape)


def _put_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    index = f.saved(1)
    gx = None
    if f.needs(0):
        gx = g if f.attrs else put(g, index, g.new_zeros(f.ins[2].shape), False)
    return gx, None, g.take(index).reshape(f.ins[2].shape) if f.needs(2) else None


PUT = Operator("put", _put_ty, _put_lower, _put_vjp, _INDEX)


@export()
def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """A copy of ``input`` with ``source`` put (or added) at indices into the flattened tensor."""
    return call(PUT, (input, flat_index("put_", index, input._ty.numel), source), bool(accumulate))


@method()
def put_(self: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """In-place ``put``."""
    PUT.infer((self._ty, index._ty, source._ty), bool(accumulate))
    refuse_read(self, index, source)
    return call_inplace(PUT, self, (flat_index("put_", index, self._ty.numel), source), bool(accumulate))


# ---- index_put


def _index_tensors(name: str, x: Any, indices: Any, values: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The dimensions that index tensors stand for; masks become one index for each of their dimensions."""
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"{name}(): argument 'indices' (position 1) must be tuple of Tensors, not {type_name(indices)}")
    if not is_tensor(values):
        raise TypeError(f"{name}(): argument 'values' (position 2) must be Tensor, not {type_name(values)}")
    if not indices:
        raise RuntimeError(f"{name}(): needs at least one index tensor")
    where, found, dim = [], [], 0
    for k, i in enumerate(indices):
        if not is_tensor(i):
            raise TypeError(f"expected Tensor as element {k} in argument 0, but got {type_name(i)}")
        parts = _parts(x, i, dim)
        found += parts
        where += range(dim, dim + len(parts))
        dim += len(parts)
    if dim > x._ty.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x._ty.ndim} (got {dim})")
    return tuple(where), found


def _parts(x: Any, i: Any, dim: int) -> list[Any]:
    """An index tensor, or those that a mask stands for, from dimension ``dim`` on."""
    t = i._ty
    if t.dtype not in (bool_, uint8, int32, int64):
        raise IndexError(NO_INDEX)
    if t.dtype not in (bool_, uint8):
        return [i]
    if not t.ndim:
        raise NotImplementedError("index_put: a mask without dimensions; use torch.where(mask, values, input)")
    _check_mask_shape(x, t, dim)
    return places(i)


def _check_mask_shape(x: Any, mask: Any, dim: int) -> None:
    for k, n in enumerate(mask.shape):
        if dim + k >= x._ty.ndim or n != x._ty.shape[dim + k]:
            raise IndexError(f"The shape of the mask {list(mask.shape)} at index {k} does not match the shape of the "
                             f"indexed tensor {list(x._ty.shape)} at index {dim + k}")  # fmt: skip


@export()
def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """A copy of ``input`` with ``values`` put (or added) at the positions that the index tensors name.

    Raises:
        IndexError: an index is out of bounds or of a wrong dtype.
        RuntimeError: the values have another dtype or do not broadcast to what is indexed.
    """
    where, found = _index_tensors("index_put", input, indices, values)
    check_put(input, where, found, values)
    return _index_put(input, where, found, values, accumulate)


@export()
def index_put_(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """In-place ``index_put``."""
    where, found = _index_tensors("index_put_", input, indices, values)
    if not accumulate:
        values = under_mask(input, indices, values)
    return _put_at(input, where, found, values, accumulate)
