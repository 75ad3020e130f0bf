"""Sparse tensors (``torch.sparse``) in coordinate form, and matrices with compressed rows or columns.

They are made, converted, transposed, joined, cut, added, summed and multiplied, and functions that keep zeros take
their values; gradients flow to the values, or to all elements where PyTorch's do. Other operators refuse a sparse
tensor with NotImplementedError: ``to_dense()`` makes one that they take. Indices are always checked.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import flambeau as torch

from .._tensor_types import sparse_types
from ._compressed import CompressedTensor, sparse_compressed_tensor, sparse_csc_tensor, sparse_csr_tensor
from ._coordinates import SparseTensor, made, sparse_coo_tensor, to_sparse
from ._invariants import check_sparse_tensor_invariants
from ._products import matmul, product, reduced
from ._products import softmax as _softmax

__all__ = [
    "CompressedTensor", "SparseTensor", "addmm", "check_sparse_tensor_invariants", "log_softmax", "matmul", "mm",
    "product", "sampled_addmm", "softmax", "sparse_compressed_tensor", "sparse_coo_tensor", "sparse_csc_tensor",
    "sparse_csr_tensor", "spdiags", "spmm", "sum", "to_sparse",
]  # fmt: skip

globals().update(sparse_types(partial(sparse_coo_tensor, check_invariants=False)))


def mm(mat1: Any, mat2: Any, reduce: str | None = None) -> Any:
    """The product of a sparse and a dense matrix, or of a dense and a sparse one, or of two sparse ones.

    Args:
        mat1: (n, k).
        mat2: (k, m).
        reduce: of a CSR matrix with a dense one: what becomes of the products of a row: ``"sum"``, ``"mean"``,
            ``"amax"`` or ``"amin"``.
    """
    return product(mat1, mat2) if reduce is None else reduced(mat1, mat2, reduce)


spmm = mm


def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: float = 1.0, alpha: float = 1.0) -> Any:
    """``beta * mat + alpha * (mat1 @ mat2)`` for a sparse ``mat1``."""
    return beta * mat + alpha * product(mat1, mat2)


def sum(input: Any, dim: Any = None, dtype: Any = None) -> Any:
    """The sum of all elements (``dim`` None), or a sparse tensor of the sums over ``dim``."""
    return input._own.sum(dtype=dtype) if dim is None else input.sum(dim, dtype=dtype)


def softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The softmax along ``dim``, in which elements that are not there count as minus infinity."""
    return _softmax(input if dtype is None else input.to(dtype), dim, False)


def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The logarithm of ``softmax``."""
    return _softmax(input if dtype is None else input.to(dtype), dim, True)


def sampled_addmm(input: Any, mat1: Any, mat2: Any, *, beta: float = 1.0, alpha: float = 1.0) -> Any:
    """``beta * input + alpha * (mat1 @ mat2)`` at the entries of a CSR matrix
    (https://docs.pytorch.org/docs/stable/generated/torch.sparse.sampled_addmm.html).

    Raises:
        RuntimeError: ``input`` is of another layout, or shapes do not agree.
    """
    if input.layout is not torch.sparse_csr:
        raise RuntimeError("sampled_addmm: Expected self to have sparse csr layout")
    if (mat1.shape[0], mat2.shape[1]) != tuple(input.shape) or mat1.shape[1] != mat2.shape[0]:
        raise RuntimeError("sampled_addmm: shapes of self, mat1 and mat2 do not agree: "
                           f"{[list(x.shape) for x in (input, mat1, mat2)]}")  # fmt: skip
    rows, columns = input.to_sparse()._indices()
    terms = (mat1.index_select(0, rows) * mat2.index_select(1, columns).t()).sum(1)
    return input._with(beta * input.values() + alpha * terms)


def spdiags(diagonals: Any, offsets: Any, shape: Any, layout: Any = None) -> Any:
    """A matrix with the rows of ``diagonals`` on its diagonals ``offsets``
    (https://docs.pytorch.org/docs/stable/generated/torch.sparse.spdiags.html).

    Raises:
        RuntimeError: an offset occurs twice, or there are not as many as diagonals.
    """
    diagonals, offsets = torch.atleast_2d(diagonals), torch.atleast_1d(offsets)
    if diagonals.shape[0] != offsets.shape[0]:
        raise RuntimeError(
            f"Number of diagonals ({diagonals.shape[0]}) does not match the number of offsets ({offsets.shape[0]})"
        )
    if torch.unique(offsets).shape[0] != offsets.shape[0]:
        raise RuntimeError("Offset tensor contains duplicate values")
    columns = torch.arange(min(diagonals.shape[1], shape[1])).expand(offsets.shape[0], -1)
    rows = columns - offsets.unsqueeze(1)
    inside = (rows >= 0) & (rows < shape[0])
    values = diagonals[:, : columns.shape[1]][inside]
    found = made(torch.stack([rows[inside], columns[inside]]), values, shape, False)
    return found if layout in (None, torch.sparse_coo) else found.to_sparse(layout=layout)
