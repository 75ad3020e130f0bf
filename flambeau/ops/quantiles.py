"""Quantiles and histograms: ``quantile``, ``nanquantile``, ``histc``, ``histogram``, ``bincount``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import return_types
from ..compiler.numpy_maps import round_bfloat16
from ..dtypes import C_NAMES, SCALAR_NAMES, bfloat16, float64, from_numpy_dtype, int64
from ..graph.epoch import threads
from ..graph.types import Ty, ty
from ._arguments import tensor_first
from ._registry import call, export, forgetting, function, into, is_tensor, view, wrap_dim
from .creation import from_values
from .gathering import GATHER
from .searching import no_derivative
from .views import view_operator

# ---- quantile


def _is_nan(x: Any) -> Any:
    return x != x


def _in_order(x: Any, dim: int | None, keepdim: bool) -> Any:
    """The elements sorted along the last dimension; the others are those of the result."""
    n = x._ty.ndim
    if n == 0:
        return x.reshape(1)
    if dim is None:
        flat = x.flatten().sort()[0]
        return flat.reshape((1,) * n + flat.shape) if keepdim else flat
    if keepdim:
        return x.unsqueeze(-1).transpose(dim, -1).sort()[0]
    return x.movedim(dim, -1).sort()[0]


def _ranks(q: Any, s: Any, ignore_nan: bool) -> Any:
    """Where in the sorted last dimension the quantiles lie; where NaN is, if there is one that counts."""
    shape = (*s._ty.shape[:-1], q._ty.numel)
    if ignore_nan:
        ranks = q * ((~_is_nan(s)).sum(-1, keepdim=True) - 1)
        return ranks.masked_fill(ranks < 0, 0)
    last = s._ty.shape[-1] - 1
    return (q * last).expand(shape).masked_fill(_is_nan(s).any(-1, keepdim=True), last)


def _interpolated(s: Any, ranks: Any, how: str) -> Any:
    if how in ("lower", "higher", "nearest"):
        ranks = {"lower": ranks.floor, "higher": ranks.ceil, "nearest": ranks.round}[how]()
        return _at_ranks(s, ranks)
    floor = ranks.floor()
    below, above = _at_ranks(s, floor), _at_ranks(s, ranks.ceil())
    return below.lerp(above, ranks - floor if how == "linear" else ranks.new_full(ranks.shape, 0.5))


def _at_ranks(s: Any, ranks: Any) -> Any:
    """The elements at whole ranks, which all exist, so that nobody has to look at them, if floats hold them exactly."""
    last, index = s._ty.ndim - 1, ranks.to(int64)
    return call(GATHER, (s, index), last) if s._ty.shape[last] <= EXACT else s.gather(-1, index)


EXACT = 1 << 24  # up to which floats of 32 bits hold all integers


def _quantile(name: str, x: Any, q: Any, dim: int | None, keepdim: bool, how: str, out: Any) -> Any:
    q = _checked_q(x, q, how)
    d = None if dim is None else wrap_dim(dim, x._ty.ndim)
    s = _in_order(x, d, keepdim)
    y = _interpolated(s, _ranks(q.reshape(-1), s.detach(), name == "nanquantile"), how)
    return into(forgetting(view(PLACED, y, q._ty.ndim)), out, name)


def _placed_rule(t: Ty, several: int) -> Ty:
    """The quantiles, in the last dimension, put first; a single one's dimension goes away."""
    keep = (t.ndim - 1,) if several else ()
    order = (*keep, *range(t.ndim - 1))
    return ty(tuple([t.shape[d] for d in order]), t.dtype, tuple([t.strides[d] for d in order]), t.offset)


def _placed_vjp(f: Any, g: Any) -> tuple[Any]:
    return (g.movedim(0, -1) if f.attrs else g.unsqueeze(-1),)


PLACED = view_operator("squeeze", _placed_rule, _placed_vjp, "SqueezeBackward4")


def _checked_q(x: Any, q: Any, how: str) -> Any:
    """``q`` as a tensor of ``x``'s dtype, everything checked."""
    t = x._ty
    if t.numel == 0:
        raise RuntimeError("quantile() input tensor must be non-empty")
    if not is_tensor(q):
        if not 0 <= q <= 1:
            raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q:g}")
        q = x.new_tensor(q)
    if q._ty.ndim > 1:
        raise RuntimeError("quantile() q must be a scalar or 1D tensor")
    if t.dtype.name not in ("float32", "float64"):
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if q._ty.dtype is not t.dtype:
        raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
    values = np.zeros(0) if q._ty.meta else q.detach()._numpy()
    if not ((values >= 0) & (values <= 1)).all():  # nor is NaN
        raise RuntimeError("quantile() q values must be in the range [0, 1]")
    if how not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {how}"
        )
    return q


@export()
@tensor_first
def quantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", out: Any = None
) -> Any:
    """The ``q``-quantiles of all elements or along ``dim``; several are put first."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation, out)


@export()
@tensor_first
def nanquantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", out: Any = None
) -> Any:
    """As ``quantile`` of the elements that are not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, out)


# ---- bincount


@export()
@tensor_first
def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each non-negative integer occurs, or the sums of ``weights`` where it does.

    Raises:
        RuntimeError: not 1-dimensional, negative values, weights of another length.
    """
    t = input._ty
    if t.dtype.kind not in "ui":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{SCALAR_NAMES[t.dtype]}'")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    values = input.detach()._numpy()
    if t.ndim != 1 or (values.size and values.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return from_values(np.bincount(values, minlength=minlength).astype(np.int64), int64)
    if weights._ty.shape != t.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    return _weighted_count(values, weights, minlength)


def _weighted_count(values: np.ndarray, weights: Any, minlength: int) -> Any:
    w = weights.detach()._numpy()
    dt = weights._ty.dtype if weights._ty.dtype.name == "float32" else float64
    out = np.zeros(max(minlength, int(values.max()) + 1 if values.size else 0), dt.compute)
    np.add.at(out, values, w.astype(dt.compute))
    counts = from_values(out, dt)
    return call(BINCOUNT, (weights, counts)) if weights.requires_grad and threads.epoch.grad else counts


BINCOUNT = no_derivative("bincount", RuntimeError("derivative for aten::bincount is not implemented"), "NotImplemented")


# ---- histc, histogram


def _bounds(a: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Equal bounds mean the data's own, widened if those are equal."""
    if low == high and a.size:
        low, high = float(a.min()), float(a.max())
    return (low - 1, high + 1) if low == high else (low, high)


def _check_bounds(name: str, low: float, high: float, given: tuple[float, float]) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{_c(low)}, {_c(high)}] is not finite")
    if given[0] > given[1]:
        raise RuntimeError(f"{name}: max must be larger than min")


def _c(v: float) -> str:
    """A number as C++ streams print it."""
    return f"{v:g}"


def _placed(a: np.ndarray, low: float, high: float, bins: int, dt: Any) -> np.ndarray:
    """The bins of the elements within the bounds; half precision is rounded after each step, as PyTorch does."""

    def rounded(v: Any) -> np.ndarray:
        v = np.asarray(v, dt.compute)
        return round_bfloat16(v) if dt is bfloat16 else v

    first, last = rounded(low), rounded(high)
    inside = a[(a >= first) & (a <= last)]
    at = rounded(rounded(rounded(inside - first) * rounded(bins)) / rounded(last - first))
    return np.minimum(at.astype(np.int64), bins - 1)


@export()
@tensor_first
def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0, *, out: Any = None) -> Any:
    """How many elements fall in each of ``bins`` equal intervals of [``min``, ``max``]
    (https://docs.pytorch.org/docs/stable/generated/torch.histc.html).

    Where both are 0 the interval is that of the elements, which are read at the call. The counts have their dtype.

    Raises:
        NotImplementedError: the input is not of floats.
        RuntimeError: ``bins`` is not positive, ``max`` is below ``min``, or an end is not finite.
    """
    t = input._ty
    if t.dtype.kind != "f":
        kernel = "linspace" if t.dtype.kind == "b" else "aminmax" if t.dtype.kind == "c" and min == max else "histogram"
        raise NotImplementedError(f"\"{kernel}_cpu\" not implemented for '{SCALAR_NAMES[t.dtype]}'")
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    a = input.detach()._numpy().reshape(-1)
    low, high = _bounds(a, float(min), float(max))
    _check_bounds("torch.histc", low, high, (min, max))
    at = _placed(a, low, high, bins, t.dtype)
    return into(from_values(np.bincount(at, minlength=bins).astype(t.dtype.compute), t.dtype), out, "histc")


def _check_weight_dtype(t: Ty, weight: Any) -> None:
    if weight is not None and weight._ty.dtype is not t.dtype:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided, input tensor and weight tensor should have the same "
            f"dtype, but got input({C_NAMES[t.dtype]}), and weight({C_NAMES[weight._ty.dtype]})"
        )


def _counted(a: np.ndarray, edges: np.ndarray, w: np.ndarray | None) -> np.ndarray:
    inside = (a >= edges[0]) & (a <= edges[-1])
    at = np.minimum(np.searchsorted(edges, a[inside], "right") - 1, len(edges) - 2)
    return np.bincount(at, None if w is None else w[inside], minlength=len(edges) - 1).astype(a.dtype)


def _edges(a: np.ndarray, bins: Any, bounds: Any, dim: int = 0) -> np.ndarray:
    """The bin edges of one coordinate: as given, or equally spaced over the bounds or the data."""
    if is_tensor(bins):
        own = from_numpy_dtype(a.dtype)
        assert own is not None
        if bins._ty.dtype is not own:
            raise RuntimeError(
                "torch.histogramdd: input tensor and bins tensors should have the same dtype, but got input with dtype "
                f"{C_NAMES[own]} and bins for dimension {dim} with dtype {C_NAMES[bins._ty.dtype]}"
            )
        if bins._ty.ndim != 1:
            raise RuntimeError(
                f"torch.histogramdd: bins tensor should have one dimension, but got "
                f"{bins._ty.ndim} dimensions in the "
                f"bins tensor for dimension {dim}"
            )
        return bins.detach()._numpy()
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension {dim}")
    if bounds is not None:
        low, high = map(float, bounds)
    else:
        low, high = (float(a.min()), float(a.max())) if a.size else (0.0, 1.0)
    if not math.isfinite(low) or not math.isfinite(high):
        raise RuntimeError(f"torch.histogramdd: dimension {dim}'s range [{_c(low)}, {_c(high)}] is not finite")
    if low > high:
        raise RuntimeError(
            f"torch.histogramdd: min should not exceed max, but got min {_c(low)} max {_c(high)} for dimension {dim}"
        )
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1).astype(a.dtype)


@export()
@tensor_first
def histogram(
    input: Any, bins: Any = 100, *, range: Any = None, weight: Any = None, density: bool = False, out: Any = None
) -> Any:
    """Counts (or sums of weights, or densities) of the elements between bin edges, and the edges."""
    from .extremes import into_named

    t = input._ty
    if t.dtype.name not in ("float32", "float64"):
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{SCALAR_NAMES[t.dtype]}'")
    a = input.detach()._numpy().reshape(-1)
    edges = _edges(a, bins, range)
    _check_weight_dtype(t, weight)
    if weight is not None and weight._ty.shape != t.shape:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the input tensor "
            f"excluding its innermost dimension, but got input with shape {[t.numel, 1]} and "
            f"weight with shape "
            f"{list(weight._ty.shape)}"
        )
    w = None if weight is None else weight.detach()._numpy().reshape(-1)
    hist = _counted(a, edges, w)
    if density:
        hist = hist / hist.sum() / np.diff(edges)
    result = return_types.histogram((from_values(hist.astype(a.dtype), t.dtype), from_values(edges.copy(), t.dtype)))
    return into_named(result, out, "histogram")


@function()
@tensor_first
def histogramdd(input: Any, bins: Any, range: Any = None, weight: Any = None, density: bool = False) -> Any:
    """A histogram over the last dimension's coordinates; counts and a list of edges."""
    t = input._ty
    if t.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    a = input.detach()._numpy().reshape(math.prod(t.shape[:-1]), t.shape[-1])
    n = a.shape[1]
    given = [bins] * n if isinstance(bins, int) else list(bins)
    if len(given) != n:
        raise RuntimeError("histogramdd: The size of bins must be equal to the innermost dimension of the input.")
    edges = [_edges(a[:, k], b, range and range[2 * k : 2 * k + 2], k) for k, b in enumerate(given)]
    _check_weight_dtype(t, weight)
    w = None if weight is None else weight.detach()._numpy().reshape(-1)
    hist = _grid_counts(a, edges, w)
    if density:
        hist = hist / hist.sum()
        for k, e in enumerate(edges):
            hist = hist / np.diff(e).reshape([-1 if d == k else 1 for d in _range(n)])
    edge_tensors = tuple([b if is_tensor(b) else from_values(e.copy(), t.dtype) for b, e in zip(given, edges)])
    return return_types.histogramdd((from_values(hist.astype(a.dtype), t.dtype), edge_tensors))


_range = range


def _grid_counts(a: np.ndarray, edges: Sequence[np.ndarray], w: np.ndarray | None) -> np.ndarray:
    inside = np.ones(len(a), bool)
    for k, e in enumerate(edges):
        inside &= (a[:, k] >= e[0]) & (a[:, k] <= e[-1])
    shape = [len(e) - 1 for e in edges]
    at = [np.minimum(np.searchsorted(e, a[inside, k], "right") - 1, len(e) - 2) for k, e in enumerate(edges)]
    flat = np.ravel_multi_index(at, shape) if len(a) else np.zeros(0, np.int64)
    return (
        np.bincount(flat, None if w is None else w[inside], minlength=math.prod(shape)).reshape(shape).astype(a.dtype)
    )
