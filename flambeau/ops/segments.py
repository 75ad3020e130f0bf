"""``segment_reduce``: sums, products and the like of parts of a dimension that lie one after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, int32, int64
from ..graph.node import Operator
from ._registry import call, function, wrap_dim
from .creation import full, full_like, zeros_like
from .from_data import from_values
from .scattering import scatter_reduce
from .ternary import where

_KINDS = {"sum": "sum", "mean": "sum", "max": "amax", "min": "amin", "amax": "amax", "amin": "amin", "prod": "prod"}
_OF_NOTHING = {"sum": 0.0, "amax": -math.inf, "amin": math.inf, "prod": 1.0}


def _cuts(lengths: Any, offsets: Any, size: int, dims: int) -> np.ndarray:
    """Where the parts begin and the last one ends, along the last dimension.

    Raises:
        RuntimeError: they do not fit a dimension of ``size`` elements, or there are none.
    """
    given = offsets if lengths is None else lengths
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if given._ty.dtype not in (int32, int64):
        kind = "lengths" if offsets is None else "offsets"
        raise NotImplementedError(
            f"\"_segment_reduce_{kind}_cpu_kernel1\" not implemented for '{SCALAR_NAMES[given._ty.dtype]}'"
        )
    if given._ty.ndim > dims:
        name = "offsets" if lengths is None else "lengths"
        raise RuntimeError(
            f"Expected data.dim() >= {name}_value.dim() to be true, but got false.  (Could this error message be "
            "improved?  If so, please report an enhancement request to PyTorch.)"
        )
    values = given.detach()._numpy().astype(np.int64)
    return _checked_offsets(values, size) if lengths is None else _from_lengths(values, size)


def _from_lengths(lengths: np.ndarray, size: int) -> np.ndarray:
    if (lengths < 0).any():
        raise RuntimeError("lengths contains negative value!")
    ends = lengths.cumsum(-1)
    if (lengths.sum(-1) != size).any():
        raise RuntimeError("segment_reduce(): Expected all rows of lengths along axis to sum to "
                           "data.size(lengths.dim()-1) when !unsafe.")  # fmt: skip
    return np.concatenate([np.zeros((*lengths.shape[:-1], 1), np.int64), ends], -1)


def _checked_offsets(offsets: np.ndarray, size: int) -> np.ndarray:
    inside = (offsets >= 0).all() and (offsets <= size).all()
    if not inside or (np.diff(offsets) < 0).any():
        raise RuntimeError(f"segment_reduce(): offsets must grow and lie between 0 and {size}, the size of the data")
    return offsets


def _part_of_each(cuts: np.ndarray, size: int) -> np.ndarray:
    """The part of each element along the last dimension; that of elements outside of all is one past the last."""
    parts = cuts.shape[-1] - 1
    rows = [np.searchsorted(row, np.arange(size), "right") - 1 for row in cuts.reshape(-1, parts + 1)]
    index = np.array(rows, np.int64).reshape(*cuts.shape[:-1], size)
    return np.where(index < 0, parts, index)


def _along(values: np.ndarray, dt: Any, dims: int) -> Any:
    """A tensor of ``values`` with dimensions of size 1 behind, up to ``dims``."""
    return from_values(values.reshape(values.shape + (1,) * (dims - values.ndim)), dt)


def _mean(total: Any, cuts: np.ndarray, initial: float | None) -> Any:
    """Sums divided by the lengths of their parts; of an empty one nan, or the initial value."""
    lengths = _along(np.diff(cuts), int64, total._ty.ndim)
    means = total / lengths.clamp(min=1)
    return means if initial is not None else means.masked_fill(lengths == 0, math.nan)


def _reduced(data: Any, d: int, index: Any, shape: tuple[int, ...], reduce: str, initial: float | None) -> Any:
    """The reductions, where means are sums yet."""
    kind = _KINDS[reduce]
    first = _OF_NOTHING[kind] if initial is None else initial
    start = full(shape, first, dtype=data._ty.dtype)
    if kind == "sum":
        return scatter_reduce(start, d, index, data, kind)
    y = scatter_reduce(start, d, index, data.detach(), kind)
    return call(_PROD if kind == "prod" else _EXTREME, (data, index, y), (d, first))


def _extreme_vjp(f: Any, g: Any) -> tuple[Any, None, None]:
    """The elements that are the result share the gradient, and so does what is not a number."""
    (d, _), data, index, y = f.attrs, f.saved(0), f.saved(1), f.saved(2)
    hit = ((data == y.gather(d, index)) | data.isnan()).to(data.dtype)
    count = zeros_like(y).scatter_add(d, index, hit)
    return hit * (g / count.clamp(min=1)).gather(d, index), None, None


def _prod_vjp(f: Any, g: Any) -> tuple[Any, None, None]:
    """For zeros and what is not a number, which the product cannot be divided by, the product of the others."""
    (d, first), data, index, y = f.attrs, f.saved(0), f.saved(1), f.saved(2)
    zero, unordered = data == 0, data.isnan()
    rest = scatter_reduce(full_like(y, first), d, index, data.masked_fill(zero | unordered, 1), "prod").gather(d, index)
    more_zeros, more_unordered = [
        zeros_like(y).scatter_add(d, index, kind.to(data.dtype)).gather(d, index) > kind for kind in (zero, unordered)
    ]
    rest = where(more_zeros, rest * 0, rest).masked_fill(more_unordered, math.nan)
    return g.gather(d, index) * where(zero | unordered, rest, y.gather(d, index) / data), None, None


def _tied(vjp: Any) -> Operator:
    """Ties a reduction, the third input, to the data that it was made of."""
    saves = ((0, (0,)), (1, (0,)), (2, (0,)))
    return Operator(
        "_segment_reduce", lambda tys, _: tys[2], lambda b, _, x, i, y: y, vjp, saves, "SegmentReduceBackward0"
    )


_EXTREME, _PROD = _tied(_extreme_vjp), _tied(_prod_vjp)


@function("_segment_reduce")
def segment_reduce(
    data: Any,
    reduce: str,
    *,
    lengths: Any = None,
    indices: Any = None,
    offsets: Any = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Any:
    """Reduces the parts of ``data`` along ``axis``, which ``lengths`` or ``offsets`` tell.

    Args:
        data: a floating tensor.
        reduce: "sum", "mean", "max", "min" or "prod".
        lengths: the sizes of the parts; dimensions before the last are those of ``data`` before ``axis``.
        indices: not supported, as in PyTorch.
        offsets: where each part begins, and where the last one ends.
        axis: the dimension of the parts.
        unsafe: kept for PyTorch's callers; what is not inside the data is refused in any case.
        initial: what each part begins with.

    Raises:
        RuntimeError: no such reduction, or parts that do not fit the data.
    """
    if reduce not in _KINDS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    t = data._ty
    if t.dtype.kind != "f":
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{SCALAR_NAMES[t.dtype]}'")
    d = wrap_dim(axis, t.ndim)
    cuts = _cuts(lengths, offsets, t.shape[d] if t.ndim else 0, t.ndim)
    if cuts.ndim != d + 1 or cuts.shape[:-1] != t.shape[:d]:
        raise RuntimeError(
            f"segment_reduce(): Expected the parts of {tuple(t.shape)} along dimension {d} to be given along the last "
            f"dimension of {tuple(t.shape[:d])} and theirs, got {cuts.shape}"
        )
    parts = cuts.shape[-1] - 1
    index = _along(_part_of_each(cuts, t.shape[d]), int64, t.ndim).expand(t.shape)
    shape = (*t.shape[:d], parts + 1, *t.shape[d + 1 :])
    out = _reduced(data, d, index, shape, reduce, initial).narrow(d, 0, parts)
    return _mean(out, cuts, initial) if reduce == "mean" else out.contiguous()
