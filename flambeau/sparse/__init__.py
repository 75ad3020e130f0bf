"""Sparse matrices in coordinate form (``torch.sparse``): made, converted, transposed, added and multiplied.

Other operators refuse a sparse tensor with NotImplementedError: ``to_dense()`` makes one that they take.
"""

from __future__ import annotations

from typing import Any

from .._tensor_types import sparse_types
from ._coordinates import SparseTensor, sparse_coo_tensor, to_sparse
from ._products import product

__all__ = ["SparseTensor", "addmm", "mm", "product", "sparse_coo_tensor", "spmm", "sum", "to_sparse"]

globals().update(sparse_types(sparse_coo_tensor))


def mm(mat1: Any, mat2: Any) -> Any:
    """The product of a sparse and a dense matrix, or of a dense and a sparse one; dense."""
    return product(mat1, mat2)


spmm = mm


def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: float = 1.0, alpha: float = 1.0) -> Any:
    """``beta * mat + alpha * (mat1 @ mat2)`` for a sparse ``mat1``."""
    return beta * mat + alpha * product(mat1, mat2)


def sum(input: Any, dim: Any = None, dtype: Any = None) -> Any:
    """The sum of all elements (``dim`` None), or a sparse tensor of the sums over ``dim``."""
    return input.sum(dim, dtype=dtype)
