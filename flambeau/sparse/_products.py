"""Products with a sparse matrix: entries times rows of the dense matrix, added up by the row they go to."""

from __future__ import annotations

from typing import Any

import flambeau as torch

from ._coordinates import SparseTensor


def product(a: Any, b: Any) -> Any:
    """``a @ b`` where one is a sparse matrix and the other a dense matrix or vector; dense.

    Raises:
        RuntimeError: sizes do not agree.
        NotImplementedError: both are sparse, or one is no matrix.
    """
    if isinstance(a, SparseTensor) and isinstance(b, SparseTensor):
        raise NotImplementedError("the product of two sparse tensors is not supported: call to_dense() on one")
    if not isinstance(a, SparseTensor):
        return product(b.t(), a.t()).t() if a.ndim == 2 else product(b.t(), a)
    if a.sparse_dim() != 2 or a.dense_dim() or b.ndim not in (1, 2):
        raise NotImplementedError("products are supported of a sparse matrix with a dense matrix or vector")
    if b.ndim == 1:
        return _rows(a, b.unsqueeze(1)).squeeze(1)
    return _rows(a, b)


def _rows(a: Any, b: Any) -> Any:
    n, k = a.shape
    if b.shape[0] != k:
        raise RuntimeError(f"addmm: Argument #3 (dense): Expected dim 0 size {k}, got {b.shape[0]}")
    to, at = a._indices()
    terms = a._values().unsqueeze(1) * b.index_select(0, at)
    return torch.zeros(n, b.shape[1], dtype=terms.dtype).index_add(0, to, terms)
