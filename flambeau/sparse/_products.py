"""Products with sparse matrices: entries times rows of the other matrix, added up by the row they go to."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.dtypes import SCALAR_NAMES

from ._compressed import CompressedTensor, compressed
from ._coordinates import SparseTensor, made
from ._leaves import is_leaf, through


def matmul(a: Any, b: Any) -> Any:
    """``product`` as the operator ``@``: all elements of a dense matrix that was made sparse have a gradient."""
    a, b = (x if getattr(x, "_origin", None) is None else x._origin for x in (a, b))
    if not _is_sparse(a) and not _is_sparse(b):
        return a @ b
    if is_leaf(a) and not _is_sparse(b):
        right = b if b.ndim == 2 else b.unsqueeze(1)
        return through(a, product(a.detach(), b), lambda g: g.view(-1, right.shape[1]) @ right.t())
    if is_leaf(b) and not _is_sparse(a):
        left = a if a.ndim == 2 else a.unsqueeze(0)
        return through(b, product(a, b.detach()), lambda g: left.t() @ g.view(left.shape[0], -1))
    return product(a, b)


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
    if a.dtype is not b.dtype:
        raise RuntimeError(f"expected scalar type {SCALAR_NAMES[a.dtype]} but found {SCALAR_NAMES[b.dtype]}")
    to, at = a._indices()
    terms = a._values().unsqueeze(1) * b.index_select(0, at)
    return torch.zeros(n, b.shape[1], dtype=terms.dtype).index_add(0, to, terms)


def reduced(a: Any, b: Any, how: str) -> Any:
    """``product`` with another reduction over the entries of a row than a sum; rows without entries are 0.

    Raises:
        RuntimeError: ``a`` is no CSR matrix, or there is no such reduction.
    """
    if not isinstance(a, CompressedTensor) or a.layout is not torch.sparse_csr:
        raise RuntimeError("torch.sparse.mm: reduce is only supported for a CSR matrix and a dense one")
    if how not in ("sum", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, mean, amax or amin, got {how}")
    to, at = a.to_sparse()._indices()
    terms = a.values().unsqueeze(1) * b.index_select(0, at)
    out = torch.zeros(a.shape[0], b.shape[1], dtype=terms.dtype)
    return out.index_reduce(0, to, terms, how, include_self=False) if how != "sum" else out.index_add(0, to, terms)


def batched(a: Any, b: Any) -> Any:
    """The products of a batch of sparse matrices with one of dense ones."""
    if a.sparse_dim() != 3 or b.layout is not torch.strided:
        raise NotImplementedError(
            "bmm() of sparse tensors: the first must be sparse in all dimensions, the second dense"
        )
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise RuntimeError(f"bmm: Expected sizes of {list(a.shape)} and {list(b.shape)} to agree")
    if is_leaf(a):
        return through(a, batched(a.detach(), b), lambda g: g @ b.mT)
    (n, rows, k), m = a.shape, b.shape[2]
    batch, row, column = a._places
    flat = made(torch.stack([batch * rows + row, batch * k + column]), a._vals, (n * rows, n * k), False)
    return _rows(flat, b.reshape(n * k, m)).view(n, rows, m)


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
    outside = index[(index < -n) | (index >= n)]
    if outside.numel():
        raise IndexError(f"index_select(): index contains {int(outside[0])} that is out of range for tensor of size "
                         f"{list(x.shape)} at dimension {dim}")  # fmt: skip
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
    line = torch.zeros(x._nnz(), dtype=torch.int64)
    for d, (n, places) in enumerate(zip(x.shape, x._indices())):
        line = line if d == dim % x.ndim else line * n + places
    lines, which = torch.unique(line, return_inverse=True)
    values = x._values()
    none = torch.full((lines.shape[0], *values.shape[1:]), -float("inf"), dtype=values.dtype)
    spread = which.view(-1, *[1] * (values.ndim - 1)).expand(values.shape)
    shifted = values - none.scatter_reduce(0, spread, values.detach(), "amax")[which]
    total = torch.zeros_like(none).index_add(0, which, shifted.exp())[which]
    return x._with(shifted - total.log() if logarithm else shifted.exp() / total)
