"""What is between brackets: the view that basic indices make, and the index tensors that are left for gathering.

Sequences are read as PyTorch reads them: ``x[[[0, 1], [1, 2]]]`` counts as ``x[[0, 1], [1, 2]]``, with a warning, and
the numbers of a list are converted to int64 unless they are all bool or uint8.
"""

from __future__ import annotations

import warnings
from operator import index as index_of
from typing import Any

import numpy as np

from ..dtypes import bool_, int32, int64, uint8
from ._nonzero import nonzero_places
from ._registry import is_sequence, is_tensor
from ._signatures import type_name
from ._viewing import view
from .creation import realised_tensor
from .slicing import SELECT, slice_view

NESTED = (
    "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch 2.9; use "
    "x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, x[torch.tensor(seq)], "
    "which will result either in an error or a different result"
)
BYTE_MASK = "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead."
NO_INDEX = "tensors used as indices must be long, int, byte or bool tensors"
LONGEST = 32  # lists of so many parts are never read as tuples


def _items(index: Any) -> list[Any]:
    """The parts between the brackets."""
    if isinstance(index, tuple):
        return list(index)
    if type(index) in BASIC or isinstance(index, np.ndarray) or not is_sequence(index) or len(index) >= LONGEST:
        return [index]
    parts = [index[i] for i in range(len(index))]
    if not _counts_as_tuple(parts):
        return [index]
    warnings.warn(NESTED, stacklevel=4)
    return parts


def _counts_as_tuple(parts: list[Any]) -> bool:
    """Are these sequences, tensors, slices, ``None`` or ``...``, whose list NumPy once read as a tuple?"""
    return any(i is None or i is Ellipsis or isinstance(i, slice) or is_tensor(i) or is_sequence(i) for i in parts)


def as_index(i: Any) -> Any:
    """An index as it is used: sequences, arrays and booleans as tensors, tensors as they are, numbers as integers.

    Raises:
        TypeError: a text.
        IndexError: no index.
    """
    if is_tensor(i):
        return i
    if isinstance(i, (bool, np.bool_)) or is_sequence(i):
        return _index_tensor(i)
    if hasattr(i, "__index__"):
        return int(i)
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
        f"(got {type_name(i)})"
    )


def _index_tensor(i: Any) -> Any:
    """A sequence as a tensor of int64, bool or uint8."""
    from .from_data import tensor

    texts = [v for v in (i if isinstance(i, (list, tuple)) else [i]) if isinstance(v, (str, bytes))]
    if texts:
        raise TypeError(f"new(): invalid data type '{type(texts[0]).__name__}'")
    t = tensor(list(i) if isinstance(i, range) else i)
    if t._ty.dtype.kind == "c":
        raise TypeError("'complex' object cannot be interpreted as an integer")
    return t if t._ty.dtype in (bool_, uint8, int64) else t.to(int64)


def _consumed(i: Any) -> int:
    """How many dimensions an index takes."""
    if i is None or i is Ellipsis or isinstance(i, (bool, np.bool_)):
        return 0
    if is_tensor(i) and i._ty.dtype in (bool_, uint8):
        return i._ty.ndim
    return 1


BASIC = frozenset([int, slice, type(None), type(Ellipsis)])


def _is_basic(i: Any) -> bool:
    return i is None or i is Ellipsis or (isinstance(i, (slice, int)) and not isinstance(i, bool))


def _taken(x: Any, parts: list[Any]) -> int:
    """How many dimensions of ``x`` the parts take.

    Raises:
        IndexError: it has fewer.
    """
    taken = sum([1 if type(i) is int or type(i) is slice else _consumed(i) for i in parts])
    if taken > x._ty.ndim and not (x._ty.ndim == 0 and len(parts) == 1 and isinstance(parts[0], (int, slice))):
        raise IndexError(f"too many indices for tensor of dimension {x._ty.ndim}")
    return taken


def apply_basic(x: Any, index: Any, reading: bool = True) -> tuple[Any, list[Any] | None]:
    """The view that integers, slices, None and ... select, and index tensors by dimension (None: there are none)."""
    parts = _items(index)
    if len(parts) > x._ty.ndim:
        _taken(x, parts)
    items = [i if type(i) in BASIC or _is_basic(i) else as_index(i) for i in parts]
    taken = _taken(x, items)
    ndim = x._ty.ndim
    dim, tensors, first = 0, [], True
    for at, i in enumerate(items):
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
            x, dim = _tensor_index(x, i, dim, tensors, at)
        else:
            x = _select(x, dim, int(i), at)
    for t in tensors:
        if t is not None:
            return x, tensors
    return x, None


def _tensor_index(x: Any, i: Any, dim: int, tensors: list[Any], at: int) -> tuple[Any, int]:
    """Notes an index tensor; a 0-dim integer selects, a mask takes as many dimensions as it has."""
    t = i._ty
    if t.ndim == 0 and t.dtype.kind in "ui" and t.dtype is not uint8:
        return _select(x, dim, int(i.item()), at), dim
    if t.dtype in (bool_, uint8):
        return _mask_index(x, i, dim, tensors)
    if t.dtype not in (int64, int32):
        raise IndexError(NO_INDEX)
    tensors.append(i)
    return x, dim + 1


def _mask_index(x: Any, mask: Any, dim: int, tensors: list[Any]) -> tuple[Any, int]:
    """Notes the places where a mask is true, one index tensor for each of its dimensions."""
    if mask._ty.ndim == 0:
        x = x.unsqueeze(dim)
        tensors.append(as_index(np.zeros(1 if mask.item() else 0, np.int64)))
        return x, dim + 1
    for k, n in enumerate(mask._ty.shape):
        if n != x._ty.shape[dim + k]:
            raise IndexError(f"The shape of the mask {list(mask._ty.shape)} at index {k} does not match the shape of "
                             "the "
                             f"indexed tensor {list(x._ty.shape)} at index {dim + k}")  # fmt: skip
    tensors.extend(places(mask))
    return x, dim + mask._ty.ndim


def places(mask: Any) -> list[Any]:
    """An index tensor for each dimension of a mask, found once for as long as nothing is written to it.

    Warns if it is of uint8.
    """
    if mask._ty.dtype is uint8:
        warnings.warn(BYTE_MASK, stacklevel=6)
    s = mask._s
    found = s.notes.checked if s.notes is not None and s.owner is None and not s.pending else None
    if found is not None and found[0] is s.raw and found[1] == (mask._ty, s.w, s.version):
        return found[2]
    found = [realised_tensor(where.astype(np.int64), int64) for where in nonzero_places(mask._numpy())]
    for i, n in zip(found, mask._ty.shape):
        i._s.note().checked = i._s.raw, n
    if s.owner is None and not s.pending:
        s.note().checked = s.raw, (mask._ty, s.w, s.version), found
    return found


def _slice(x: Any, dim: int, s: slice, always: bool) -> Any:
    """A slice of one dimension; one that takes everything is left out unless it is the whole index."""
    if x._ty.ndim == 0:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    start, stop, step = [v if v is None or type(v) is int else _bound(v) for v in (s.start, s.stop, s.step)]
    if step == 0:
        raise ValueError("slice step cannot be zero")
    if not always and step in (None, 1) and not start and (stop is None or stop >= x._ty.shape[dim]):
        return x
    return slice_view(x, dim, start, stop, step)


def _bound(v: Any) -> int:
    try:
        return index_of(v)
    except TypeError:
        if is_tensor(v):
            raise
        raise TypeError("slice indices must be integers or None or have an __index__ method") from None


def _select(x: Any, dim: int, i: int, at: int) -> Any:
    """What is at the integer ``i``, the part number ``at`` between the brackets."""
    t = x._ty
    if t.ndim == 0:
        raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in "
                         "C++ to "
                         "convert a 0-dim tensor to a number")  # fmt: skip
    n = t.shape[dim]
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of bounds for dimension {at} with size {n}")
    return view(SELECT, x, (dim, i % n))


def under_mask(x: Any, indices: Any, value: Any) -> Any:
    """``value`` in the dtype of ``x`` if it is one number and goes under a single mask; all else as it is.

    Raises:
        RuntimeError: the mask is of uint8.
    """
    found: list[Any] = [i for i in indices if is_tensor(i) or isinstance(i, (list, np.ndarray))]
    if value._ty.numel != 1 or len(found) != 1 or not is_tensor(found[0]) or not found[0]._ty.ndim:
        return value
    if found[0]._ty.dtype is uint8:
        raise RuntimeError("masked_fill_ only supports boolean masks, but got mask with dtype unsigned char")
    if found[0]._ty.dtype is not bool_:
        return value
    value = value if value._ty.dtype is x._ty.dtype else value.to(x._ty.dtype)
    return value.clone() if value._s is x._s else value  # a number is read before anything is written
