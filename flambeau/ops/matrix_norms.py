"""Norms of matrices and condition numbers."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import SCALAR_NAMES
from ._matrices import into_exactly, linalg, need_floating, need_matrix, need_square, tensor_argument
from ._registry import function, int_tuple, into, wrap_dim
from .elimination import inverse_ex
from .norms import norm as _elementwise_norm
from .norms import vector_norm as _vector_norm
from .spectra import svdvals

# ---- vector norms


@linalg
def vector_norm(
    input: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Any:
    """The ``ord``-norm of the elements over ``dim``, all by default
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.vector_norm.html)."""
    return _vector_norm(input, ord, dim, keepdim, dtype=dtype, out=out)


# ---- matrix norms


def _checked_dims(x: Any, dim: Any) -> tuple[int, int]:
    name, t = "linalg.matrix_norm", x._ty
    need_matrix(name, t)
    need_floating(name, t)
    dim = int_tuple(dim)
    if len(dim) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {' '.join(map(str, dim))}")
    rows, cols = wrap_dim(dim[0], t.ndim), wrap_dim(dim[1], t.ndim)
    if rows == cols:
        raise RuntimeError(f"{name}: dims must be different. Got ({dim[0]}, {dim[1]})")
    return rows, cols


def _converted(x: Any, dtype: Any) -> Any:
    if dtype is None or dtype is x._ty.dtype:
        return x
    if dtype.kind not in "fc":
        raise RuntimeError(f"linalg.matrix_norm: dtype should be floating point or complex. Got {SCALAR_NAMES[dtype]}")
    if dtype.is_complex != x._ty.dtype.is_complex:
        kind = "complex" if x._ty.dtype.is_complex else "real"
        raise RuntimeError(
            f"linalg.matrix_norm: dtype should be {kind} for {kind} inputs, but got {SCALAR_NAMES[dtype]}"
        )
    return x.to(dtype)


def _spectral(x: Any, rows: int, cols: int) -> Any:
    """Singular values of the matrices in these dimensions, as the last dimension."""
    others = [d for d in range(x._ty.ndim) if d not in (rows, cols)]
    return svdvals(x.permute([*others, rows, cols]))


def _kept(y: Any, rows: int, cols: int, keepdim: bool) -> Any:
    """A result over the other dimensions with the two put back in with size 1."""
    if not keepdim:
        return y
    low, high = sorted((rows, cols))
    return y.unsqueeze(low).unsqueeze(high)


@linalg
def matrix_norm(
    input: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Any:
    """Norms of matrices (https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_norm.html).

    ``ord`` is ``'fro'``, ``'nuc'``, 1, 2, inf or a negative of these.
    """
    return into_exactly(_matrix_norm(input, ord, dim, keepdim, dtype), out, "linalg_matrix_norm")


def _matrix_norm(x: Any, ord: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
    known = ord in ("fro", "nuc") if isinstance(ord, str) else abs(ord) in (1, 2, math.inf)
    if not known and isinstance(ord, str):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    rows, cols = _checked_dims(x, dim)
    if not known:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if ord == "fro":
        return _vector_norm(x, 2, (rows, cols), keepdim, dtype=dtype)
    x = _converted(x, dtype)
    if ord == "nuc":
        return _kept(_spectral(x, rows, cols).sum(-1), rows, cols, keepdim)
    p = float(ord)
    return _spectral_norm(x, p, rows, cols, keepdim) if abs(p) == 2 else _sum_norm(x, p, rows, cols, keepdim)


def _spectral_norm(x: Any, p: float, rows: int, cols: int, keepdim: bool) -> Any:
    """The largest or smallest singular value."""
    s = _spectral(x, rows, cols)
    return _kept(_extreme(s, p, s._ty.ndim - 1, False), rows, cols, keepdim)


def _sum_norm(x: Any, p: float, rows: int, cols: int, keepdim: bool) -> Any:
    """The largest or smallest sum of a column's sizes, or of a row's for infinite ``p``."""
    if math.isinf(p):
        rows, cols = cols, rows
    sums = _vector_norm(x, 1, (rows,), keepdim)
    return _extreme(sums, p, cols - 1 if cols > rows and not keepdim else cols, keepdim)


def _extreme(x: Any, p: float, dim: int, keepdim: bool) -> Any:
    """The largest element (0 of none) for positive ``p``, the smallest for negative."""
    if p < 0:
        return x.amin(dim, keepdim)
    return x.amax(dim, keepdim) if x._ty.shape[dim] else x.sum(dim, keepdim)


# ---- either


@linalg
def norm(
    input: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Any:
    """A vector's or matrix's norm: of all elements by default, of matrices if ``ord`` is a string or two dimensions
    are meant (https://docs.pytorch.org/docs/stable/generated/torch.linalg.norm.html)."""
    dims = None if dim is None else int_tuple(dim)
    n = input._ty.ndim
    if isinstance(ord, str):
        return into_exactly(_matrix_norm(input, ord, dims or (-2, -1), keepdim, dtype), out, "linalg_norm")
    if ord is not None:
        if dims is not None and len(dims) not in (1, 2):
            raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
        if dims is None and n not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {n}D."
            )
        if (dims is not None and len(dims) == 2) or (dims is None and n == 2):
            return into_exactly(_matrix_norm(input, ord, dims or (0, 1), keepdim, dtype), out, "linalg_norm")
    result = _vector_norm(input, 2 if ord is None else ord, dims, keepdim, dtype=dtype)
    return into_exactly(result, out, "linalg_norm")


@function()
@tensor_argument
def nuclear_norm(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The sum of singular values."""
    return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, out=out)


@function()
@tensor_argument
def frobenius_norm(input: Any, dim: Any, keepdim: bool = False, *, out: Any = None) -> Any:
    """The root of the sum of squares over ``dim``."""
    return into(_elementwise_norm(input, 2, dim, keepdim), out, "frobenius_norm")


# ---- condition numbers


@linalg
def cond(input: Any, p: Any = None, *, out: Any = None) -> Any:
    """Condition numbers (https://docs.pytorch.org/docs/stable/generated/torch.linalg.cond.html); infinite for singular
    matrices."""
    if input._ty.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p is None or (not isinstance(p, str) and abs(p) == 2):
        return into_exactly(_spectral_condition(input, p), out, "linalg_cond")
    if (isinstance(p, str) and p not in ("fro", "nuc")) or (not isinstance(p, str) and abs(p) not in (1, math.inf)):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    need_square(f"linalg.cond(ord={p})", input._ty)
    return into_exactly(_condition(input, p), out, "linalg_cond")


def _spectral_condition(x: Any, p: Any) -> Any:
    s = svdvals(x)
    if s._ty.shape[-1] == 0:
        return s.new_zeros(s._ty.shape[:-1])
    largest, smallest = s.narrow(-1, 0, 1), s.narrow(-1, s._ty.shape[-1] - 1, 1)
    return (smallest / largest if p == -2 else largest / smallest).squeeze(-1)


def _condition(x: Any, p: Any) -> Any:
    if 0 in x._ty.shape[-2:]:
        return _matrix_norm(x, "fro", (-2, -1), False, None)
    inverse, info = inverse_ex(x)
    inverse = inverse.masked_fill((info > 0)[..., None, None], 1.0)  # infinities have no singular values
    product = _matrix_norm(x, p, (-2, -1), False, None) * _matrix_norm(inverse, p, (-2, -1), False, None)
    product = product.masked_fill(info > 0, float("inf"))
    return product.nan_to_num(math.inf, math.inf, -math.inf)
