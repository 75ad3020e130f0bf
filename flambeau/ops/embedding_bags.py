"""Sums, means and maxima of bags of rows of a table: ``embedding_bag``.

The attributes of its operators: (mean, bags, padding, scale by frequency).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, int64
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._precision import wide
from ._registry import call, function
from ._table_rows import add_rows, check_index_dtype, without
from .embedding import EMBEDDING, embedding_renorm_
from .sparse_rows import row_gradient


def _bag_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    return ty((attrs[1], tys[0].shape[1]), tys[0].dtype)


def _counts(b: Any, indices: Any, bags: Any, attrs: Any, dt: Any) -> tuple[Any, Any]:
    """Which indices count (1 or 0), and how many of each bag do."""
    valid = b.cast(b.map("ne", indices, b.const(attrs[2], int64)), dt)
    return valid, add_rows(b, attrs[1], bags, valid)


def _factors(b: Any, indices: Any, bags: Any, attrs: Any, dt: Any, weights: Any = None) -> Any:
    """By what each row is multiplied before it is added to its bag."""
    valid, counts = _counts(b, indices, bags, attrs, dt)
    if weights is not None:
        valid = b.map("mul", valid, b.cast(weights, dt))
    if attrs[0]:
        valid = b.map("div", valid, b.take(b.map("maximum", counts, b.const(1, dt)), bags))
    return valid


def _bag_lower(b: Any, attrs: Any, weight: Any, indices: Any, bags: Any, weights: Any = None) -> Any:
    dt = wide(weight.dtype)
    indices, bags = b.cast(indices, int64), b.cast(bags, int64)
    rows = b.cast(b.take(weight, indices), dt)
    factor = _factors(b, indices, bags, attrs, dt, weights)
    each = without(b, b.map("mul", rows, b.unsqueeze(factor, 1)), indices, attrs[2])
    return b.cast(add_rows(b, attrs[1], bags, each), weight.dtype)


def _bag_backward_lower(b: Any, attrs: Any, g: Any, indices: Any, bags: Any, weights: Any = None) -> Any:
    *bag, rows = attrs
    dt = wide(g.dtype)
    indices, bags = b.cast(indices, int64), b.cast(bags, int64)
    factor = _factors(b, indices, bags, bag, dt, weights)
    if bag[3]:
        uses = add_rows(b, rows, indices, b.const(1, dt, indices.shape))
        factor = b.map("div", factor, b.take(uses, indices))
    each = b.map("mul", b.take(b.cast(g, dt), bags), b.unsqueeze(factor, 1))
    return b.cast(add_rows(b, rows, indices, without(b, each, indices, bag[2])), g.dtype)


def _bag_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return _bag_gradients(f, g, _bag_table)


def _bag_rows_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return _bag_gradients(f, g, _bag_rows)


def _bag_gradients(f: Any, g: Any, of_table: Any) -> tuple[Any, ...]:
    extra = (f.saved(3),) if len(f.ins) > 3 else ()
    gw = of_table(f, g, f.saved(1), f.saved(2), extra) if f.needs(0) else None
    gs = None
    if extra and f.needs(3):
        gs = _sample_gradient(g, f.saved(0), f.saved(1), f.saved(2), f.attrs[2])
    return (gw, None, None, gs)[: len(f.ins)]


def _bag_table(f: Any, g: Any, indices: Any, bags: Any, extra: tuple[Any, ...]) -> Any:
    return call(BAG_BACKWARD, (g, indices, bags, *extra), (*f.attrs, f.ins[0].shape[0]))


def _bag_rows(f: Any, g: Any, indices: Any, bags: Any, extra: tuple[Any, ...]) -> Any:
    """The gradient of the table as a sparse tensor of the rows that were looked up."""
    mean, count, padding, scale = f.attrs
    if scale:
        raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
    each = g.index_select(0, bags)
    if mean:
        counted = (indices != padding).to(g.dtype)
        sizes = counted.new_zeros(count).index_add(0, bags, counted).clamp_min(1)
        each = each / sizes.index_select(0, bags).unsqueeze(1)
    for weights in extra:
        each = each * weights.unsqueeze(1)
    return row_gradient(each, indices, f.ins[0].shape[0], padding)


def _bag_double(f: Any, gg: Any) -> tuple[Any, ...]:
    indices, bags = f.saved(1), f.saved(2)
    extra = (f.saved(3),) if len(f.ins) > 3 else ()
    first = call(BAG, (gg, indices, bags, *extra), f.attrs[:4]) if f.needs(0) else None
    gs = None
    if extra and f.needs(3):
        gs = _sample_gradient(f.saved(0), gg, indices, bags, f.attrs[2])
    return (first, None, None, gs)[: len(f.ins)]


def _sample_gradient(g: Any, table: Any, indices: Any, bags: Any, padding: int) -> Any:
    """The gradient of the weights of samples."""
    rows = call(EMBEDDING, (table, indices), (-1, False, False))
    return (g.index_select(0, bags) * rows).sum(1).masked_fill(indices == padding, 0)


_BAG_SAVES = ((0, (3,)), (1, (0, 3)), (2, (0, 3)), (3, (0,)))
BAG = Operator("embedding_bag", _bag_ty, _bag_lower, _bag_vjp, saves=_BAG_SAVES)
SPARSE_BAG = Operator("embedding_bag", _bag_ty, _bag_lower, _bag_rows_vjp, saves=_BAG_SAVES)
BAG_BACKWARD = Operator(
    "_embedding_bag_backward", lambda tys, attrs: ty((attrs[4], tys[0].shape[1]), tys[0].dtype), _bag_backward_lower,
    _bag_double, saves=((0, (3,)), (1, (0, 3)), (2, (0, 3)), (3, (0,))),
)  # fmt: skip


def _bag_max_lower(b: Any, attrs: Any, weight: Any, where: Any) -> Any:
    at = b.map("maximum", where, b.const(0, int64))
    return b.where(b.map("ge", where, b.const(0, int64)), b.gather(weight, at, 0), b.const(0, weight.dtype))


def _bag_max_vjp(f: Any, g: Any) -> tuple[Any, None]:
    where = f.saved(1)
    zeros = g.new_zeros(f.ins[0].shape)
    return zeros.scatter_add(0, where.clamp_min(0), g.masked_fill(where < 0, 0)), None


BAG_MAX = Operator(
    "embedding_bag", lambda tys, attrs: ty(tys[1].shape, tys[0].dtype), _bag_max_lower, _bag_max_vjp, saves=((1, (0,)),)
)


def _largest_rows(weight: np.ndarray, indices: np.ndarray, bags: np.ndarray, count: int, padding: int) -> np.ndarray:
    """For each bag and column the index of the largest element; -1 for empty bags."""
    out = np.full((count, weight.shape[1]), -1, np.int64)
    valid = indices != padding
    for k in range(count):
        rows = indices[(bags == k) & valid]
        if rows.size:
            out[k] = rows[np.argmax(weight[rows], axis=0)]
    return out


def _bag_padding(padding_idx: int | None, rows: int) -> int:
    """The row that no bag counts, or -1."""
    if padding_idx is None:
        return -1
    if not -rows <= padding_idx < rows:
        raise RuntimeError(
            f"padding_idx must be within the number of embeddings, -{rows} through {rows - 1}, but got {padding_idx}"
        )
    return padding_idx % rows


def _bag_ids(offsets: np.ndarray, n: int, include_last: bool, to_the_end: bool) -> tuple[np.ndarray, int]:
    """The bag of each index (of those before the last offset, where it is given), and the number of bags.

    Args:
        offsets: Where the bags begin.
        n: The number of indices.
        include_last: The last offset is where the last bag ends.
        to_the_end: It ends with the indices all the same.

    Raises:
        RuntimeError: the offsets do not begin at 0, or go beyond the indices.
    """
    if offsets.size and offsets[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
            f"However, got {offsets[0]}\n[ torch.LongTensor{{}} ]"
        )
    if offsets.size and offsets[-1] > n:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {n} but got offsets[-1] of {offsets[-1]}"
        )
    starts = offsets[:-1] if include_last else offsets
    include_last = include_last and not to_the_end
    if (np.diff(offsets if include_last else starts) < 0).any():
        raise RuntimeError(
            "Your input appears to be incorrect: the last offset value should be the size of the indices "
            "tensor, but it seems not to be the case."
        )
    used = int(offsets[-1]) if include_last and offsets.size else n
    return np.searchsorted(starts, np.arange(used), side="right") - 1, len(starts)


@function("embedding_bag")
def embedding_bag_all(
    weight: Any, indices: Any, offsets: Any, scale_grad_by_freq: bool = False, mode: int = 0, sparse: bool = False,
    per_sample_weights: Any = None, include_last_offset: bool = False, padding_idx: int | None = None,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """Bags of rows, the bag of each index, the bags' sizes, and where the maxima are (``torch.embedding_bag``).

    ``mode`` is 0 for sum, 1 for mean, 2 for max. Indices and offsets are read at the call.
    """
    from .from_data import tensor

    for x in (indices, offsets):
        check_index_dtype(x, "embedding_bag")
    _check_sample_weights(weight, per_sample_weights)
    rows, n = weight._ty.shape[0], indices._ty.numel
    padding = _bag_padding(padding_idx, rows)
    general = mode == 2 or padding_idx is not None  # PyTorch has a way of its own for plain sums and means
    at = indices.detach()._numpy()
    bad = np.flatnonzero((at < 0) | (at >= rows))
    if bad.size and general:
        raise RuntimeError(f"embedding_bag: Expected idx >= 0 && idx < num_embeddings but found idx to be {at[bad[0]]}")
    if bad.size:
        raise RuntimeError(
            f"Index {bad[0]} of input takes value {at[bad[0]]} which is not in the valid range [0, {rows})"
        )
    ids, count = _bag_ids(offsets.detach()._numpy().astype(np.int64), n, include_last_offset, general)
    if len(ids) < n:
        n = len(ids)
        at, indices = at[:n], indices.narrow(0, 0, n)
        per_sample_weights = None if per_sample_weights is None else per_sample_weights.narrow(0, 0, n)
    sizes = tensor(np.bincount(ids[at != padding], minlength=count).astype(np.int64))
    bags = tensor(ids.astype(np.int64))
    if mode == 2:
        where = tensor(_largest_rows(weight.detach()._numpy(), at, ids, count, padding))
        return call(BAG_MAX, (weight, where)), bags, sizes, where.clamp_min(0)
    ins = (weight, indices, bags) if per_sample_weights is None else (weight, indices, bags, per_sample_weights)
    op = SPARSE_BAG if sparse else BAG
    return call(op, ins, (mode == 1, count, padding, scale_grad_by_freq)), bags, sizes, sizes


def _check_sample_weights(weight: Any, samples: Any) -> None:
    if weight._ty.dtype.kind != "f":
        raise RuntimeError("expected scalar type Float but found " + SCALAR_NAMES[weight._ty.dtype])
    if samples is not None and samples._ty.dtype is not weight._ty.dtype:
        a, b = [f"torch.{SCALAR_NAMES[x._ty.dtype]}Tensor" for x in (weight, samples)]
        raise RuntimeError("Expected tensor for argument #1 'weight' to have the same type as tensor for argument #1 "
                           f"'per_sample_weights'; but type {a} does not equal {b} (while checking arguments for "
                           "embedding_bag)")  # fmt: skip


_MODES = {"sum": 0, "mean": 1, "max": 2}


def _bag_arguments(input: Any, offsets: Any, samples: Any, include_last: bool) -> tuple[Any, Any, Any, bool]:
    """Input of two dimensions as one with offsets.

    Raises:
        ValueError: the offsets do not go with the input.
    """
    from .from_data import tensor

    n = input._ty.ndim
    if n == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        length = input._ty.shape[1]
        offsets = tensor(np.arange(input._ty.shape[0], dtype=np.int64) * length)
        return input.reshape(-1), offsets, None if samples is None else samples.reshape(-1), False
    if n != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {n}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets._ty.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    return input, offsets, samples, include_last


def embedding_bag(
    input: Any, weight: Any, offsets: Any = None, max_norm: float | None = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Any = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Any:  # fmt: skip
    """Sums, means or maxima of rows of ``weight``, a bag of indices each
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding_bag.html).

    Raises:
        ValueError: the arguments do not go together.
        RuntimeError: an index or an offset is out of range.
    """
    if per_sample_weights is not None and per_sample_weights._ty.shape != input._ty.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights._ty.size}) is not None, then it must have "
            f"the same shape as the input ({input._ty.size})"
        )
    if weight._ty.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight._ty.ndim}")
    input, offsets, samples, last = _bag_arguments(input, offsets, per_sample_weights, include_last_offset)
    if mode not in _MODES:
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if max_norm is not None:
        embedding_renorm_(weight, input, max_norm, norm_type)
    if samples is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for "
            f"mode='sum' (got mode='{mode}'). Please open a feature request on GitHub."
        )
    return embedding_bag_all(
        weight, input, offsets, scale_grad_by_freq, _MODES[mode], sparse, samples, last, padding_idx
    )[0]
