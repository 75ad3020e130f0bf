"""Rows of a table by integer index: ``embedding``, ``one_hot``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import int64
from ..graph.epoch import threads
from ..graph.fn import Fn
from ..graph.node import Operator
from ..graph.resting import make
from ..graph.types import Ty, contiguous_strides, ty
from ._checks import at_hand, counted, whole
from ._immediate import within
from ._precision import wide
from ._registry import call, function
from ._row_products import Lookup, column, looks_up
from ._table_rows import add_rows, check_index_dtype, flat_rows, refuse_rows, without
from .sparse_rows import row_gradient

FEW = 4096  # zeros that become memory at once


def _check_rows(indices: Any, rows: int) -> bool:
    """Checks indices that are at hand; True if they must be checked when the program runs.

    Raises:
        IndexError: one is out of range.
    """
    values = at_hand(indices)
    if values is None and _is_made(indices):
        values = at_hand(indices)
    if values is None:
        numbers = counted(indices)
        return not numbers or min(numbers[0], numbers[-1]) < 0 or max(numbers[0], numbers[-1]) >= rows
    if values.dtype == np.int64 and values.size:
        if not within(values, rows):
            raise IndexError("index out of range in self")
    else:
        refuse_rows(values, rows)
    return False


def _is_made(indices: Any) -> bool:
    """Makes memory of a few pending zeros, with which a text begins: so its first token is the program of others."""
    s, epoch = indices._s, threads.epoch
    return s.pending and s.ty.numel <= FEW and not epoch.crowded and make(s, epoch)


def _rows(b: Any, indices: Any, rows: int, late: bool) -> Any:
    indices = b.cast(indices, int64)
    return b.extern("check_rows", refuse_rows, (indices,), [(indices.shape, int64)], rows) if late else indices


# ---- embedding: attrs = (padding index, scale by frequency, late check)


def _embedding_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    weight, indices = tys
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    return ty((*indices.shape, weight.shape[1]), weight.dtype)


def _embedding_lower(b: Any, attrs: Any, weight: Any, indices: Any) -> Any:
    return b.take(weight, _rows(b, indices, weight.shape[0], attrs[2]), 0)


def _embedding_vjp(f: Any, g: Any) -> tuple[Any, None]:
    return call(EMBEDDING_BACKWARD, (g, f.saved(1)), (f.ins[0].shape[0], *f.attrs)), None


def _embedding_rows_vjp(f: Any, g: Any) -> tuple[Any, None]:
    padding, scale, _ = f.attrs
    if scale:
        raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
    return row_gradient(g, f.saved(1), f.ins[0].shape[0], padding), None


EMBEDDING = Operator("embedding", _embedding_ty, _embedding_lower, _embedding_vjp, saves=((1, (0,)),))
SPARSE_EMBEDDING = Operator("embedding", _embedding_ty, _embedding_lower, _embedding_rows_vjp, saves=((1, (0,)),))


def _looked_up(fn: Fn) -> Lookup | None:
    """Where a call has looked up its rows; None if the gradients of rows depend on how often they were."""
    _, scale, late = fn.attrs
    at = None if scale else column(fn, 1)
    return None if at is None else Lookup(at, fn.ins[0].shape[0], late, EMBEDDING_BACKWARD)


looks_up(EMBEDDING, _looked_up)


def _embedding_backward_lower(b: Any, attrs: Any, g: Any, indices: Any) -> Any:
    rows, padding, scale, late = attrs
    at = flat_rows(b, indices, rows, late)
    dt = wide(g.dtype)
    values = b.reshape(b.cast(g, dt), (at.shape[0], g.shape[-1]))
    if scale:
        ones = b.const(1, dt, at.shape)
        factor = b.map("div", ones, b.take(add_rows(b, rows, at, ones), at))
        values = b.map("mul", values, b.unsqueeze(factor, 1))
    return b.cast(add_rows(b, rows, at, without(b, values, at, padding)), g.dtype)


def _embedding_double(f: Any, gg: Any) -> tuple[Any, None]:
    _, padding, scale, late = f.attrs
    if scale:
        raise RuntimeError("embedding_backward: double backward with scale_grad_by_freq is not supported")
    indices = f.saved(1)
    y = call(EMBEDDING, (gg, indices), (-1, False, late))
    return y.masked_fill((indices == padding).unsqueeze(-1), 0) if padding >= 0 else y, None


EMBEDDING_BACKWARD = Operator(
    "embedding_dense_backward", lambda tys, attrs: ty((attrs[0], tys[0].shape[-1]), tys[0].dtype),
    _embedding_backward_lower, _embedding_double, saves=((1, (0,)),),
)  # fmt: skip


@function("embedding")
def embedding_rows(
    weight: Any, indices: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Any:
    """``weight[indices]``; the row ``padding_idx`` gets no gradient (``torch.embedding``).

    The gradient is a sparse tensor if ``sparse`` is true.

    Raises:
        IndexError: an index is out of range.
        RuntimeError: the indices are not integers, or the weight is not a matrix.
    """
    check_index_dtype(indices, "embedding")
    if weight._ty.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    late = _check_rows(indices, weight._ty.shape[0])
    if indices._ty.contiguous:
        indices = _of_one_type(indices)
    op = SPARSE_EMBEDDING if sparse else EMBEDDING
    return call(op, (weight, indices), (padding_idx, scale_grad_by_freq, late))


def _of_one_type(indices: Any) -> Any:
    """Indices that lie row by row, under the strides that their shape alone says: not those of what they are cut from.

    So the last tokens of a growing text have one program.
    """
    t = indices._ty
    return indices if t.strides == contiguous_strides(t.shape) else indices.view(t.shape)


def _padding_row(padding_idx: int | None, rows: int) -> int:
    if padding_idx is None:
        return -1
    if not -rows <= padding_idx < rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % rows


def embedding(
    input: Any, weight: Any, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Any:  # fmt: skip
    """``weight[input]``: indices (*) and a table (rows, size) -> (*, size)
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html).

    ``max_norm`` shortens the rows that are looked up, in place. The gradient of the table is a sparse tensor of the
    rows that were looked up if ``sparse`` is true.

    Raises:
        IndexError: an index is out of range.
        AssertionError: ``padding_idx`` is no row.
    """
    padding = -1 if padding_idx is None else _padding_row(padding_idx, weight._ty.shape[0])
    if max_norm is not None:
        embedding_renorm_(weight, input, max_norm, norm_type)
    return embedding_rows(weight, input, padding, scale_grad_by_freq, sparse)


@function()
def embedding_renorm_(input: Any, indices: Any, max_norm: float, norm_type: float = 2.0) -> Any:
    """Shortens the rows that ``indices`` names to a norm of ``max_norm``, in place, outside autograd."""
    from ..autograd.grad_mode import no_grad
    from .from_data import tensor

    check_index_dtype(indices, "embedding_renorm_")
    rows = tensor(np.unique(refuse_rows(indices.detach()._numpy(), input._ty.shape[0])).astype(np.int64))
    table = input.detach()  # which has no derivative in forward mode either
    with no_grad():
        values = table.index_select(0, rows)
        lengths = values.norm(norm_type, 1, keepdim=True)
        factor = (max_norm / (lengths + 1e-7)).where(lengths > max_norm, lengths.new_ones(()))
        table[rows] = values * factor
    return input


# ---- one_hot

ONE_HOT = Operator(
    "one_hot",
    lambda tys, classes: ty((*tys[0].shape, classes), int64),
    lambda b, classes, x: b.cast(b.map("eq", b.unsqueeze(x, x.ndim), b.iota(classes)), int64),
)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """1 at each index of a new last dimension, else 0; ``num_classes`` is one more than the largest by default.

    Raises:
        RuntimeError: the tensor is not int64, or a class is out of range.
    """
    t = tensor._ty
    if t.dtype is not int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    num_classes = whole("one_hot", "num_classes", 2, num_classes)
    if t.numel == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return call(ONE_HOT, (tensor,), num_classes)
    values = tensor.detach()._numpy()
    if int(values.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = int(values.max())
    if num_classes == -1:
        num_classes = largest + 1
    elif largest >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return call(ONE_HOT, (tensor,), num_classes)
