"""Products with sparse matrices: entries times rows of the other matrix, added up by the row they go to."""

from __future__ import annotations

from typing import Any

import flambeau as torch

from ._compressed import CompressedTensor, compressed
from ._coordinates import SparseTensor, made


def matmul(a: Any, b: Any) -> Any:
    """``product`` as the operator ``@``: all elements of a dense matrix that was made sparse have a gradient."""
    a, b = (x if getattr(x, "_origin", None) is None else x._origin for x in (a, b))
    return product(a, b) if _is_sparse(a) or _is_sparse(b) else a @ b


def _is_sparse(x: Any) -> bool:
    return isinstance(x, (CompressedTensor, SparseTensor))


def product(a: Any, b: Any) -> Any:
    """``a @ b`` where one is a sparse matrix and the other a dense matrix or vector, which is dense, or a sparse one.

    Raises:
        RuntimeError: sizes do not agree.
        NotImplementedError: one is no matrix.
    """
    layout = next((x.layout for x in (a, b) if isinstance(x, CompressedTensor)), torch.sparse_coo)
    a, b = (x.to_sparse() if isinstance(x, CompressedTensor) else x for x in (a, b))
    if isinstance(a, SparseTensor) and isinstance(b, SparseTensor):
        found = _of_two(a, b)
        return found if layout is torch.sparse_coo else compressed(found, layout)
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


def _of_two(a: SparseTensor, b: SparseTensor) -> SparseTensor:
    """Each entry of ``a`` meets those of one row of ``b``."""
    if a.sparse_dim() != 2 or b.sparse_dim() != 2 or a.dense_dim() or b.dense_dim():
        raise NotImplementedError("products of two sparse tensors are supported for matrices")
    (n, k), (k2, m) = a.shape, b.shape
    if k != k2:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({n}x{k} and {k2}x{m})")
    a, b = a.coalesce(), b.coalesce()
    (rows, inner), (own, columns) = a._indices(), b._indices()
    first, second = matches(inner, torch.bincount(own, minlength=k))
    places = torch.stack([rows[first], columns[second]])
    return made(places, a._values()[first] * b._values()[second], (n, m), False).coalesce()


def matches(lines: Any, counts: Any) -> tuple[Any, Any]:
    """Pairs of a place in ``lines`` and the place of an entry of the line there; lines have ``counts`` entries."""
    starts = counts.cumsum(0) - counts
    many = counts[lines]
    first = torch.repeat_interleave(torch.arange(lines.shape[0]), many)
    within = torch.arange(first.shape[0]) - torch.repeat_interleave(many.cumsum(0) - many, many)
    return first, starts[lines[first]] + within


def common(a: SparseTensor, b: SparseTensor) -> SparseTensor:
    """The elementwise product of two coalesced tensors: of the entries that both have."""
    if a.shape != b.shape or a.sparse_dim() != b.sparse_dim():
        raise NotImplementedError("the product of sparse tensors of different shapes is not supported")
    at_a, at_b = a._flat(), b._flat()
    in_a, in_b = torch.isin(at_a, at_b).nonzero().squeeze(1), torch.isin(at_b, at_a).nonzero().squeeze(1)
    return made(a._indices()[:, in_a], a._values()[in_a] * b._values()[in_b], a.shape, True)


def selected(x: SparseTensor, dim: int, index: Any) -> SparseTensor:
    """The slices of a sparse dimension that ``index`` names."""
    n = x.shape[dim]
    if index.numel() and not -n <= int(index.min()) <= int(index.max()) < n:
        raise IndexError(f"index_select(): index out of bounds for dimension {dim} of size {n}")
    own, order = x._indices()[dim].sort(stable=True)
    first, second = matches(index.to(torch.int64) % n, torch.bincount(own, minlength=n))
    at = order[second]
    places = torch.cat([x._indices()[:dim, at], first[None], x._indices()[dim + 1 :, at]])
    shape = [*x.shape[:dim], index.shape[0], *x.shape[dim + 1 :]]
    return made(places, x._values().index_select(0, at), shape, False)


def softmax(x: SparseTensor, dim: int, logarithm: bool) -> SparseTensor:
    """The softmax along ``dim`` of the entries that there are, or its logarithm."""
    x = x.coalesce()
    if dim % x.ndim >= x.sparse_dim():
        values = x._values()
        inner = 1 + dim % x.ndim - x.sparse_dim()
        return x._with(values.log_softmax(inner) if logarithm else values.softmax(inner))
    if x.dense_dim():
        raise NotImplementedError("softmax along a sparse dimension of a tensor with dense ones is not supported")
    line = torch.zeros(x._nnz(), dtype=torch.int64)
    for d, (n, places) in enumerate(zip(x.shape, x._indices())):
        line = line if d == dim % x.ndim else line * n + places
    lines, which = torch.unique(line, return_inverse=True)
    values = x._values()
    none = torch.full((lines.shape[0],), -float("inf"), dtype=values.dtype)
    shifted = values - none.scatter_reduce(0, which, values.detach(), "amax")[which]
    total = torch.zeros_like(none).index_add(0, which, shifted.exp())[which]
    return x._with(shifted - total.log() if logarithm else shifted.exp() / total)
