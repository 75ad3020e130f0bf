"""Triangles and diagonals of matrices: ``tril``, ``triu``, ``diag``, ``diag_embed``, ``diagflat``, ``block_diag``, …"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from ..dtypes import int64
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._arguments import tensor_first
from ._registry import call, call_inplace, export, function, into, wrap_dim
from ._types import result_dtype
from .rearranging import listed

# ---- triangles


def triangle(b: Any, shape: tuple[int, ...], k: int, lower: bool) -> Any:
    """The mask of a matrix's elements on and below (or above) diagonal ``k``."""
    rows = b.reshape(b.iota(shape[-2]), (shape[-2], 1))
    cols = b.reshape(b.iota(shape[-1]), (1, shape[-1]))
    edge = b.map("add", rows, b.const(k, int64))
    return b.map("le" if lower else "ge", cols, edge)


def _triangle_lower(lower: bool) -> Any:
    def rule(b: Any, k: int, x: Any) -> Any:
        return b.where(triangle(b, x.shape, k, lower), x, b.const(0, x.dtype))

    return rule


def _triangle_ty(tys: tuple[Ty, ...], k: int) -> Ty:
    return ty(tys[0].shape, tys[0].dtype)


TRIL = Operator("tril", _triangle_ty, _triangle_lower(True), lambda f, g: (g.tril(f.attrs),))
TRIU = Operator("triu", _triangle_ty, _triangle_lower(False), lambda f, g: (g.triu(f.attrs),))


def _check_matrix(name: str, x: Any) -> None:
    if x._ty.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


@export()
@tensor_first
def tril(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """The matrices' elements on and below a diagonal, zeros elsewhere."""
    _check_matrix("tril", input)
    return into(call(TRIL, (input,), index(diagonal)), out, "tril")


@export()
@tensor_first
def triu(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """The matrices' elements on and above a diagonal, zeros elsewhere."""
    _check_matrix("triu", input)
    return into(call(TRIU, (input,), index(diagonal)), out, "triu")


@export(function=False)
def tril_(self: Any, diagonal: int = 0) -> Any:
    """In-place ``tril``."""
    _check_matrix("tril", self)
    return call_inplace(TRIL, self, (), index(diagonal))


@export(function=False)
def triu_(self: Any, diagonal: int = 0) -> Any:
    """In-place ``triu``."""
    _check_matrix("triu", self)
    return call_inplace(TRIU, self, (), index(diagonal))


# ---- diagonals


def _diagonal_size(n: int, offset: int) -> int:
    return n + abs(offset)


def _embed_ty(tys: tuple[Ty, ...], attrs: tuple[int, int, int]) -> Ty:
    offset, dim1, dim2 = attrs
    t = tys[0]
    size = _diagonal_size(t.shape[-1], offset)
    shape = list(t.shape[:-1])
    for d in sorted((dim1, dim2)):
        shape.insert(d, size)
    return ty(tuple(shape), t.dtype)


def _embed_lower(b: Any, attrs: tuple[int, int, int], x: Any) -> Any:
    from .slicing import diagonal_rule

    offset, dim1, dim2 = attrs
    t = _embed_ty((ty(x.shape, x.dtype),), attrs)
    part = diagonal_rule(t, (offset, dim1, dim2))
    return b.update(b.const(0, x.dtype, t.shape), x, t.strides, part.strides, part.offset)


DIAG_EMBED = Operator("diag_embed", _embed_ty, _embed_lower, lambda f, g: (g.diagonal(*f.attrs),))


@export()
@tensor_first
def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices with the last dimension on a diagonal, zeros elsewhere."""
    n = input._ty.ndim + 1
    d1, d2 = wrap_dim(dim1, n), wrap_dim(dim2, n)
    if d1 == d2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return call(DIAG_EMBED, (input,), (offset, d1, d2))


DIAGONAL_COPY = Operator(
    "diagonal_copy",
    lambda tys, offset: ty(_diagonal_shape(tys[0], offset), tys[0].dtype),
    lambda b, offset, x: b.diagonal(x, 0, 1, offset),
    lambda f, g: (_diagonal_back(f, g),),
    grad_name="DiagonalBackward0_copy",
)


def _diagonal_shape(t: Ty, offset: int) -> tuple[int, ...]:
    rows, cols = t.shape[0] + min(offset, 0), t.shape[1] - max(offset, 0)
    return (max(0, min(rows, cols)),)


def _diagonal_back(f: Any, g: Any) -> Any:
    gx = g.new_zeros(f.ins[0].shape)
    gx.diagonal(f.attrs).copy_(g)
    return gx


@export()
@tensor_first
def diag(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """A vector on the diagonal of a matrix, or a matrix's diagonal as a vector."""
    n = input._ty.ndim
    if n not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {n}D")
    y = diag_embed(input, diagonal) if n == 1 else call(DIAGONAL_COPY, (input,), index(diagonal))
    return into(y, out, "diag")


@export()
@tensor_first
def diagflat(input: Any, offset: int = 0) -> Any:
    """All elements on the diagonal of a matrix."""
    return input.contiguous().view(-1).diag(offset)


# ---- block_diag


@function()
def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal of one matrix, zeros elsewhere."""
    from .creation import zeros

    xs = listed(tensors)
    for i, x in enumerate(xs):
        if x._ty.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {x._ty.ndim} dimensions"
            )
    return call(BLOCK_DIAG, xs) if xs else zeros(1, 0)


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    return (1,) * (2 - len(shape)) + shape  # type: ignore[return-value]


def _corners(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, int, int, int]]:
    """Where each matrix begins, and its size."""
    out, row, col = [], 0, 0
    for n, m in map(_matrix, shapes):
        out.append((row, col, n, m))
        row, col = row + n, col + m
    return [*out, (row, col, 0, 0)]


def _block_diag_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    return ty(_corners([t.shape for t in tys])[-1][:2], result_dtype(tys))


def _block_diag_lower(b: Any, attrs: Any, *xs: Any) -> Any:
    t = _block_diag_ty(tuple([ty(x.shape, x.dtype) for x in xs]), attrs)
    out = b.const(0, t.dtype, t.shape)
    for x, (row, col, n, m) in zip(xs, _corners([x.shape for x in xs])):
        if n and m:
            out = b.update(out, b.reshape(b.cast(x, t.dtype), (n, m)), t.strides, t.strides, row * t.strides[0] + col)
    return out


def _block_diag_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    shapes = [t.shape for t in f.ins]
    return tuple([g.narrow(0, row, n).narrow(1, col, m).reshape(shape) if f.needs(k) else None
                  for k, (shape, (row, col, n, m)) in enumerate(zip(shapes, _corners(shapes)))])  # fmt: skip


BLOCK_DIAG = Operator("block_diag", _block_diag_ty, _block_diag_lower, _block_diag_vjp)
