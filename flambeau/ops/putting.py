"""Writing at indices into the flattened tensor (``put``) and at positions that index tensors name (``index_put``)."""

from __future__ import annotations

from typing import Any

from ..dtypes import SCALAR_NAMES, bool_, uint8
from ..graph.node import Operator
from ..graph.types import Ty, like
from ._registry import call, call_inplace, export, is_tensor, method
from .gathering import flat_index, nonzero
from .indexing import _check_shapes, _check_value, _index_ty
from .indexing import index_put as _index_put
from .scattering import _INDEX, _wide

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
        x, src = _wide(b, x, src)
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
    return call_inplace(PUT, self, (flat_index("put_", index, self._ty.numel), source), bool(accumulate))


# ---- index_put


def need_element(k: int, x: Any) -> None:
    """Raises unless element ``k`` of a list of tensors is one."""
    if not is_tensor(x):
        raise TypeError(f"expected Tensor as element {k} in argument 1, but got {type(x).__name__}")


def _index_tensors(x: Any, indices: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The dimensions that index tensors stand for; masks become one index for each of their dimensions."""
    where, found, dim = [], [], 0
    for k, i in enumerate(indices):
        need_element(k, i)
        t = i._ty
        if t.dtype.kind not in "uib":
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        masked = t.dtype in (bool_, uint8)
        parts = [i] if not masked else list(nonzero(i, as_tuple=True))
        if masked:
            _check_mask_shape(x, t, dim)
        found += parts
        where += range(dim, dim + len(parts))
        dim += len(parts)
    if dim > x._ty.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x._ty.ndim} (got {dim})")
    return tuple(where), found


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
    where, found = _index_tensors(input, indices)
    if values._ty.dtype is not input._ty.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{SCALAR_NAMES[input._ty.dtype]} for the destination and {SCALAR_NAMES[values._ty.dtype]} for "
            "the source."
        )
    _check_shapes(found)
    _check_value(values._ty, _index_ty((input._ty, *[i._ty for i in found]), where))
    return _index_put(input, where, found, values, accumulate)
