"""``F.interpolate``: every mode is a weighted sum of some input elements along each spatial dimension.

The indices and weights depend on sizes alone: they are made once, on the host, and are inputs of the program.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from math import floor, prod
from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, dtype, float32, float64, int64, uint8
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._layouts import formatted
from ._precision import wide
from ._registry import call, is_tensor
from .adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .creation import from_values

Table = tuple[np.ndarray, np.ndarray]

# ---- tables: for each output element its input indices and their weights, both (out, taps)


def _scale(n: int, out: int, align: bool, factor: float | None, number: Any) -> Any:
    """How far apart the samples are, counted in input elements."""
    if align:
        return number(n - 1) / number(out - 1) if out > 1 else number(0)
    if factor is not None and factor > 0:
        return number(1.0 / factor)
    return number(n) / number(out)


def _nearest(n: int, out: int, align: bool, factor: float | None, number: Any) -> Table:
    scale = _scale(n, out, False, factor, number)
    at = np.floor(np.arange(out).astype(number) * scale).astype(np.int64)
    return np.minimum(at, n - 1)[:, None], np.ones((out, 1), number)


def _nearest_exact(n: int, out: int, align: bool, factor: float | None, number: Any) -> Table:
    scale = _scale(n, out, False, factor, number)
    at = np.floor((np.arange(out).astype(number) + number(0.5)) * scale).astype(np.int64)
    return np.minimum(at, n - 1)[:, None], np.ones((out, 1), number)


def _positions(n: int, out: int, align: bool, factor: float | None, number: Any) -> np.ndarray:
    scale = _scale(n, out, align, factor, number)
    o = np.arange(out).astype(number)
    return o * scale if align else (o + number(0.5)) * scale - number(0.5)


def _linear(n: int, out: int, align: bool, factor: float | None, number: Any) -> Table:
    at = np.maximum(_positions(n, out, align, factor, number), number(0))
    low = np.minimum(at.astype(np.int64), n - 1)
    upper = np.clip(at - low.astype(number), number(0), number(1))
    high = low + (low < n - 1)
    return np.stack([low, high], 1), np.stack([number(1) - upper, upper], 1)


def cubic_weights(t: Any, a: float = -0.75) -> list[Any]:
    """The four weights of cubic convolution at distance ``t`` from the second point."""

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _cubic(n: int, out: int, align: bool, factor: float | None, number: Any) -> Table:
    at = _positions(n, out, align, factor, number)
    low = np.floor(at).astype(np.int64)
    t = np.clip(at - low.astype(number), number(0), number(1))
    taps = np.stack([low + k for k in (-1, 0, 1, 2)], 1)
    return np.clip(taps, 0, n - 1), np.stack(cubic_weights(t), 1).astype(number)


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _keys(x: np.ndarray) -> np.ndarray:
    x, a = np.abs(x), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


_FILTERS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "bilinear": (_triangle, 2), "bicubic": (_keys, 4), "lanczos": (_lanczos, 6),
}  # fmt: skip


def _antialiased(mode: str) -> Callable[..., Table]:
    """A filter stretched to the spacing of the samples, its weights summing to one."""
    shape, width = _FILTERS[mode]

    def table(n: int, out: int, align: bool, factor: float | None, number: Any) -> Table:
        scale = _scale(n, out, align, factor, number)
        support = number(width * 0.5) * max(scale, number(1))
        narrow = number(1) / scale if scale >= 1 else number(1)
        taps = int(np.ceil(support)) * 2 + 1
        at, weights = np.zeros((out, taps), np.int64), np.zeros((out, taps), number)
        for o in range(out):
            center = scale * number(o + 0.5)
            first = max(int(center - support + number(0.5)), 0)
            size = max(0, min(int(center + support + number(0.5)), n, first + taps) - first)
            w = shape((np.arange(size) + first - center + number(0.5)) * narrow).astype(number)
            at[o, :size] = first + np.arange(size)
            weights[o, :size] = w / w.sum() if w.sum() != 0 else w
        return at, weights

    return table


_TABLES: dict[str, Callable[..., Table]] = {
    "nearest": _nearest, "nearest-exact": _nearest_exact, "linear": _linear, "bilinear": _linear, "trilinear": _linear,
    "bicubic": _cubic, "bilinear_aa": _antialiased("bilinear"), "bicubic_aa": _antialiased("bicubic"),
    "lanczos_aa": _antialiased("lanczos"),
}  # fmt: skip


def _transposed(table: Table, n: int) -> Table:
    """For each input element the outputs that it is part of."""
    at, weights = table
    out, taps = at.shape
    order = np.argsort(at.reshape(-1), kind="stable")
    inputs = at.reshape(-1)[order]
    counts = np.bincount(inputs, minlength=n)
    column = np.arange(out * taps) - np.repeat(np.cumsum(counts) - counts, counts)
    back, w = (
        np.zeros((n, max(1, counts.max(initial=1))), np.int64),
        np.zeros((n, max(1, counts.max(initial=1))), weights.dtype),
    )
    back[inputs, column] = order // taps
    w[inputs, column] = weights.reshape(-1)[order]
    return back, w


def _fixed_point(at: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights for bytes, rounded as PyTorch does: to the most binary places with which the largest fits into int16.

    Taps that a border moved to the same element count as one.
    """
    weights = weights.copy()
    for j in range(1, at.shape[1]):
        for k in range(j):
            same = at[:, j] == at[:, k]
            weights[same, k] += weights[same, j]
            weights[same, j] = 0
    largest = weights.max(initial=0)
    places = next((p for p in range(22) if int(0.5 + largest * 2 ** (p + 1)) >= 2**15), 22)
    return np.trunc(weights * 2**places + np.copysign(0.5, weights)) / 2**places


_BYTES = ("bilinear", "bicubic", "bilinear_aa", "bicubic_aa", "lanczos_aa")  # what has a kernel for bytes


@lru_cache(512)
def _tables(key: Any, number: dtype, backward: bool, fixed_point: bool = False) -> tuple[Any, ...]:
    """The tables of all dimensions as tensors: index, weight, index, weight, …"""
    mode, sizes, outs, align, factors = key
    found = []
    for n, out, factor in zip(sizes, outs, factors):
        table = _TABLES[mode](n, out, align, factor, number.np.type)
        at, w = _transposed(table, n) if backward else table
        w = _fixed_point(at, w) if fixed_point else w
        found += [from_values(at, int64), from_values(w, number)]
    return tuple(found)


# ---- the operator


def _outer(t: Ty, tables: tuple[Ty, ...]) -> tuple[int, ...]:
    return (*t.shape[:2], *[w.shape[0] for w in tables[::2]])


def _resample_lower(b: Any, key: Any, x: Any, *tables: Any) -> Any:
    if not key[0].startswith("nearest"):
        return _weighted_lower(b, key, x, *tables)
    for k, at in enumerate(tables[::2]):
        x = b.take(x, b.reshape(at, (at.shape[0],)), k + 2)
    return x


def _weighted_lower(b: Any, key: Any, x: Any, *tables: Any) -> Any:
    dt = x.dtype
    x = b.cast(x, tables[1].dtype)
    for k in reversed(range(len(tables) // 2)):
        at, w = tables[2 * k : 2 * k + 2]
        d = k + 2
        seen = b.take(x, at, d)
        w = b.reshape(w, (*w.shape, *[1] * (x.ndim - d - 1)))
        x = b.reduce("sum", b.map("mul", seen, w), (d + 1,))
        if dt is uint8:
            x = _byte(b, x)  # after each dimension, as PyTorch does
    return b.cast(x, dt)


def _byte(b: Any, x: Any) -> Any:
    """Rounded, halves up, and clamped to 0 … 255."""
    x = b.map("floor", b.map("add", x, b.const(0.5, x.dtype)))
    return b.map("minimum", b.map("maximum", x, b.const(0, x.dtype)), b.const(255, x.dtype))


def _check(tys: tuple[Ty, ...], key: Any) -> Ty:
    t = tys[0]
    mode, sizes, outs = key[:3]
    if min(sizes) <= 0 or min(outs) <= 0:
        axes = "DHW"[3 - len(sizes) :] if len(sizes) > 1 else "W"
        shown = [", ".join(f"{a}: {v}" for a, v in zip(axes, s)) for s in (sizes, outs)]
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({shown[0]}) output ({shown[1]})"
        )
    if 0 in t.shape[1:]:
        raise RuntimeError(f"Non-empty {t.ndim}D data tensor expected but got a tensor with sizes {list(t.shape)}")
    if t.dtype.kind not in "f" and t.dtype is not uint8:
        raise NotImplementedError(f"\"{_kernel(mode, len(sizes))}\" not implemented for '{SCALAR_NAMES[t.dtype]}'")
    return formatted(_outer(t, tys[1:]), t.dtype, t)


def _kernel(mode: str, n: int) -> str:
    """What PyTorch's error calls the code for this mode."""
    if mode.endswith("_aa"):
        return f"compute_indices_weights_{'cubic' if mode[0:3] == 'bic' else 'linear'}"
    return f"upsample_{mode}{n}d" + ("_channels_last" if n > 1 and mode != "bicubic" else "")


def _resample_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    key = f.attrs
    number = wide(g._ty.dtype)
    gx = call(RESAMPLE_BACKWARD[_named(key)], (g, *_tables(key, number, True)), key)
    return (gx, *[None] * (len(f.ins) - 1))


def _backward_vjp(f: Any, gg: Any) -> tuple[Any, ...]:
    key = f.attrs
    return (
        call(RESAMPLE[_named(key)], (gg, *_tables(key, wide(gg._ty.dtype), False)), key),
        *[None] * (len(f.ins) - 1),
    )


def _named(key: Any) -> tuple[str, int]:
    return key[0], len(key[1])


def _grad_name(mode: str, n: int) -> str:
    words = mode.replace("nearest-exact", "nearestExact").split("_")
    return f"Upsample{words[0][0].upper()}{words[0][1:]}{n}D{'Aa' if len(words) > 1 else ''}Backward"


_KINDS = [(mode, n) for mode in ("nearest", "nearest-exact") for n in (1, 2, 3)] + [
    ("linear", 1),
    ("bilinear", 2),
    ("trilinear", 3),
    ("bicubic", 2),
    ("bilinear_aa", 2),
    ("bicubic_aa", 2),
    ("lanczos_aa", 2),
]
RESAMPLE = {
    kind: Operator(
        f"upsample_{kind[0]}{kind[1]}d", _check, _resample_lower, _resample_vjp, grad_name=_grad_name(*kind) + "0"
    )
    for kind in _KINDS
}
RESAMPLE_BACKWARD = {
    kind: Operator(
        f"upsample_{kind[0]}{kind[1]}d_backward",
        lambda tys, key: ty(_outer(tys[0], tys[1:]), tys[0].dtype),
        _weighted_lower,
        _backward_vjp,
        grad_name=_grad_name(*kind) + "Backward0",
    )
    for kind in _KINDS
}


def resample(x: Any, mode: str, outs: tuple[int, ...], align: bool, factors: tuple[float | None, ...]) -> Any:
    """``x`` (N, C, …) brought to spatial size ``outs``; ``factors`` are scales the user gave, which say where the
    samples lie."""
    key = (mode, x._ty.shape[2:], outs, align, factors)
    if min(*key[1], *outs) <= 0:
        _check((x._ty,), key)
    shape = [*x._ty.shape[:2], *outs]
    if prod(shape) * x._ty.dtype.itemsize >= 1 << 63:  # before tables of it are made
        raise RuntimeError(f"Storage size calculation overflowed with sizes={shape}")
    byte = x._ty.dtype is uint8 and _named(key)[0] in _BYTES
    number = wide(x._ty.dtype) if x._ty.dtype.kind == "f" else float64 if byte else float32
    return call(RESAMPLE[mode, len(outs)], (x, *_tables(key, number, False, byte)), key)


# ---- interpolate

_AREA = {3: adaptive_avg_pool1d, 4: adaptive_avg_pool2d, 5: adaptive_avg_pool3d}
_LINEAR = {"linear": 3, "bilinear": 4, "trilinear": 5}


def _size_list(size: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    if not isinstance(size, (list, tuple)):
        return (int(size),) * len(shape)
    if len(size) != len(shape):
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions "
            "of "
            f"{list(shape)} and output size of {size}. Please provide input tensor in (N, C, d1, d2, ...,dK) format "
            "and "
            "output size in (o1, o2, ...,oK) format."
        )
    if not all(_is_integer(s) for s in size):
        raise TypeError(
            "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], but got size "
            f"with types {[type(s) for s in size]}"
        )
    return tuple([int(s) for s in size])


def _is_integer(s: Any) -> bool:
    return isinstance(s, (int, np.integer)) or is_tensor(s) and s._ty.dtype.kind in "ui"


def _factor_list(factor: Any, shape: tuple[int, ...]) -> tuple[float, ...]:
    if not isinstance(factor, (list, tuple)):
        return (float(factor),) * len(shape)
    if len(factor) != len(shape):
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
            "dimensions of "
            f"{list(shape)} and scale_factor of shape {factor}. Please provide input tensor in (N, C, d1, d2, ...,dK) "
            "format and scale_factor in (s1, s2, ...,sK) format."
        )
    return tuple([float(s) for s in factor])


def _target(
    x: Any, size: Any, factor: Any, recompute: bool | None, mode: str
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The output's spatial size and the scales that say where its samples lie."""
    shape = x._ty.shape[2:]
    if size is not None and factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return _size_list(size, shape), (None,) * len(shape)
    if factor is None:
        raise ValueError("either size or scale_factor should be defined")
    factors = _factor_list(factor, shape)
    if mode != "area" and not all([abs(n * s) < 2.0**63 for n, s in zip(shape, factors)]):  # noqa: C419
        raise RuntimeError("value cannot be converted to type int64_t without overflow")
    outs = tuple([floor(n * s) for n, s in zip(shape, factors)])
    return outs, (None,) * len(shape) if recompute else factors


def _dispatch(
    x: Any, mode: str, antialias: bool, align: bool, outs: tuple[int, ...], factors: tuple[float | None, ...]
) -> Any:
    ndim = x._ty.ndim
    if mode in ("nearest", "nearest-exact") and 3 <= ndim <= 5:
        return resample(x, mode, outs, False, factors)
    if mode == "area" and 3 <= ndim <= 5:
        return _AREA[ndim](x, outs)
    if _LINEAR.get(mode) == ndim or mode == "bicubic" and ndim == 4:
        return resample(x, mode + "_aa" if antialias else mode, outs, align, factors)
    if mode == "lanczos" and ndim == 4:
        if align:
            raise ValueError("Lanczos mode does not support align_corners=True")
        if not antialias:
            raise ValueError("Lanczos mode requires antialias=True")
        return resample(x, "lanczos_aa", outs, False, factors)
    if mode in _LINEAR and 3 <= ndim <= 5:
        raise NotImplementedError(f"Got {ndim}D input, but {mode} mode needs {_LINEAR[mode]}D input")
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {ndim}D) for the modes: nearest | "
        "linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact "
        f"(got {mode})"
    )


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """Resizes the spatial dimensions of (N, C, …) to ``size`` or by ``scale_factor``.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        size: the spatial size of the result, or one number for all dimensions.
        scale_factor: what to multiply the spatial size by instead.
        mode: 'nearest', 'nearest-exact', 'linear' (3D input), 'bilinear', 'bicubic' (4D), 'trilinear' (5D), 'area', or
            'lanczos' (4D, with antialias).
        align_corners: the corners' elements, not the corners of the elements, coincide.
        recompute_scale_factor: take the positions from the sizes and not from ``scale_factor``.
        antialias: smooth before making smaller.

    Raises:
        ValueError: arguments that exclude each other.
        NotImplementedError: the mode does not exist for this number of dimensions.
    """
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
                "trilinear"
            )
    outs, factors = _target(input, size, scale_factor, recompute_scale_factor, mode)
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and input._ty.ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    return _dispatch(input, mode, antialias, bool(align_corners), outs, factors)


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Any:
    """As ``interpolate``, which replaces it."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """As ``interpolate`` with mode 'nearest', which replaces it."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """As ``interpolate`` with mode 'bilinear' and aligned corners, which replaces it."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
