"""Sums of tensors in coordinate form, entry by entry as PyTorch adds them."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.ops.sparse_rows import add_to, merged, with_added

from ._coordinates import SparseTensor, made
from ._leaves import is_leaf, through


def total(a: SparseTensor, b: SparseTensor, alpha: Any) -> SparseTensor:
    """``a + alpha * b``: their entries merged by their indices where both lie in memory row by row, else one after the
    other.

    Raises:
        RuntimeError: shapes or the numbers of sparse dimensions differ.
    """
    _check(a, b)
    dtype = torch.promote_types(a.dtype, b.dtype)
    values, more = a._own.to(dtype), (b._own if alpha == 1 else b._own * alpha).to(dtype)
    if a._spread or b._spread or not (values.is_contiguous() and more.is_contiguous()):
        both = torch.cat([a._vals.to(dtype), _scaled(b, alpha).to(dtype)])
        found = made(torch.cat([a._places, b._places], 1), both, a.shape, False)
        return found.coalesce() if found._nnz() > found.numel() else found
    if not a._padded and not b._padded and a._once_only and b._once_only:
        return made(torch.cat([a._at, b._at], 1), torch.cat([values, more]), a.shape, False).coalesce()
    return _merged(a, b, values, more)


def _scaled(b: SparseTensor, alpha: Any) -> Any:
    return b._vals if alpha == 1 else b._vals * alpha


def _merged(a: SparseTensor, b: SparseTensor, values: Any, more: Any) -> SparseTensor:
    if a.sparse_dim() == 1:
        at, both = merged(a._at[0], values, b._at[0], more)
        return made(at.view(1, -1), both, a.shape, False, True)
    at, both = merged(a._flat(), values, b._flat(), more)
    found = made(at.view(1, -1), both, (1, *a.shape[a.sparse_dim() :]), False, True)
    places = torch.stack(torch.unravel_index(found._places[0], tuple(a.shape[: a.sparse_dim()])))
    return made(places, found._vals, a.shape, False)


def _check(a: SparseTensor, b: SparseTensor) -> None:
    if a.shape != b.shape:
        raise RuntimeError("add: expected sizes of 'self' and 'other' to match, but "
                           f"{list(a.shape)} != {list(b.shape)}")  # fmt: skip
    if a.sparse_dim() != b.sparse_dim():
        raise RuntimeError("add: expected 'self' and 'other' to have same number of sparse dimensions, but "
                           f"{a.sparse_dim()} != {b.sparse_dim()}")  # fmt: skip


def add_to_dense(dense: Any, x: SparseTensor, alpha: Any) -> Any:
    """``dense + alpha * x``."""
    if is_leaf(x):
        return through(x, add_to_dense(dense, x.detach(), alpha), lambda g: (g * alpha).to(x.dtype))
    values, places = _typed(dense, x, alpha)
    dense = dense.to(torch.promote_types(dense.dtype, x.dtype))
    if x.sparse_dim() == 1:
        return with_added(dense, places[0].clamp_min(0), values)
    return dense.index_put(tuple(places), values, accumulate=True)


def add_to_dense_(dense: Any, x: SparseTensor, alpha: Any) -> Any:
    """``dense += alpha * x``: of the memory of ``dense`` only what has an entry is touched."""
    values, places = _typed(dense, x, alpha)
    values = values.to(dense.dtype)
    if x.sparse_dim() == 1:
        return add_to(dense, places[0].clamp_min(0), values)
    return dense.index_put_(tuple(places), values, accumulate=True)


def _typed(dense: Any, x: SparseTensor, alpha: Any) -> tuple[Any, Any]:
    if dense.shape != x.shape:
        raise RuntimeError("add: expected 'self' and 'other' to have same size, but self has size "
                           f"{list(dense.shape)} while other has size {list(x.shape)} (FYI: dense-sparse addition does "
                           "not currently support broadcasting)")  # fmt: skip
    values = (x._own if alpha == 1 else x._own * alpha).to(torch.promote_types(dense.dtype, x.dtype))
    return values, x._at
