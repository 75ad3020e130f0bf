"""``F.grid_sample`` and ``F.affine_grid``."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from math import prod
from typing import Any

from ..dtypes import SCALAR_NAMES, int64
from ._composite import composite
from ._registry import call, function
from .gathering import GATHER
from .joining import stack
from .resampling import cubic_weights
from .ternary import where

MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}

# ---- coordinates


def _unnormalised(c: Any, size: int, align: bool) -> Any:
    """From -1 … 1 to indices."""
    return (c + 1) / 2 * (size - 1) if align else ((c + 1) * size - 1) / 2


def _reflected(c: Any, low: float, high: float) -> Any:
    """Folded at ``low`` and ``high`` as often as it takes."""
    if low == high:
        return c * 0
    span = high - low
    c = (c - low).abs()
    turns = (c / span).floor().detach()
    rest = c - turns * span
    even = turns.remainder(2) == 0
    return where(even, rest + low, span - rest + low)


def _padded(c: Any, size: int, padding: str, align: bool) -> Any:
    """Coordinates brought inside, as the padding mode says."""
    if padding == "zeros":
        return c
    if padding == "reflection":
        c = _reflected(c, 0.0, size - 1.0) if align else _reflected(c, -0.5, size - 0.5)
    return c.clamp(0, size - 1)


# ---- sampling: x is (N, C, points), coordinates (N, P)


def _fetch(x: Any, sizes: Sequence[int], at: Sequence[Any]) -> Any:
    """Elements at whole coordinates, 0 outside: (N, C, P)."""
    index = inside = None
    for c, size in zip(at, sizes):
        fits = (c >= 0).logical_and(c <= size - 1)
        inside = fits if inside is None else inside.logical_and(fits)
        c = c.clamp(0, size - 1).nan_to_num(0.0).to(int64)
        index = c if index is None else index * size + c
    n, channels, _ = x.shape
    p = index.shape[1]  # type: ignore[union-attr]
    found = call(GATHER, (x, index.unsqueeze(1).expand(n, channels, p)), 2)  # type: ignore[union-attr]
    return found * inside.unsqueeze(1).to(x.dtype)  # type: ignore[union-attr]


def _linear(x: Any, sizes: Sequence[int], coords: Sequence[Any]) -> Any:
    """The weighted sum of the corners around each point."""
    floors = [c.detach().floor() for c in coords]
    upper = [c - f for c, f in zip(coords, floors)]
    total = None
    for corner in itertools.product((0, 1), repeat=len(sizes)):
        weight = None
        for k, u in zip(corner, upper):
            part = u if k else 1 - u
            weight = part if weight is None else weight * part
        value = _fetch(x, sizes, [f + k for f, k in zip(floors, corner)]) * weight.unsqueeze(1)  # type: ignore[union-attr]
        total = value if total is None else total + value
    return total


def _cubic(x: Any, sizes: Sequence[int], coords: Sequence[Any], padding: str, align: bool) -> Any:
    floors = [c.detach().floor() for c in coords]
    weights = [cubic_weights(c - f) for c, f in zip(coords, floors)]
    total = None
    for i, j in itertools.product(range(4), repeat=2):
        at = [_padded(f + (k - 1), n, padding, align) for f, k, n in zip(floors, (i, j), sizes)]
        value = _fetch(x, sizes, at) * (weights[0][i] * weights[1][j]).unsqueeze(1)
        total = value if total is None else total + value
    return total


def _sampled(input: Any, grid: Any, mode: str, padding: str, align: bool) -> Any:
    n, channels, *sizes = input.shape
    out = grid.shape[1:-1]
    x = input.reshape(n, channels, prod(sizes))
    points = grid.reshape(n, prod(out), len(sizes))
    coords = [_unnormalised(points.select(2, len(sizes) - 1 - k), size, align) for k, size in enumerate(sizes)]
    if mode == "bicubic":
        y = _cubic(x, sizes, coords, padding, align)
    else:
        coords = [_padded(c, size, padding, align) for c, size in zip(coords, sizes)]
        y = _linear(x, sizes, coords) if mode == "bilinear" else _fetch(x, sizes, [c.round() for c in coords])
    return y.reshape(n, channels, *out)


_GRID = {n: composite("grid_sampler", _sampled, 2, f"GridSampler{n}DBackward0") for n in (2, 3)}


def _check(input: Any, grid: Any, mode: str) -> None:
    """PyTorch's checks of ``grid_sampler``."""
    x, g = input._ty, grid._ty
    if x.shape[0] != g.shape[0]:
        raise RuntimeError("grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
                           f"{list(x.shape)} and grid with sizes {list(g.shape)}")  # fmt: skip
    if g.shape[-1] != x.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {x.ndim - 2} in last dimension, but got grid with sizes "
            f"{list(g.shape)}"
        )
    for d in range(2, x.ndim):
        if x.shape[d] == 0:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
                f"{list(x.shape)} with dimension {d} being empty"
            )
    if x.ndim not in (4, 5) or x.ndim != g.ndim:
        _refuse_dims(x, g)
    if x.ndim == 5 and mode == "bicubic":
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if x.dtype.kind != "f":
        raise NotImplementedError(
            f"\"grid_sampler_{x.ndim - 2}d_cpu_kernel_impl\" not implemented for '{SCALAR_NAMES[x.dtype]}'"
        )
    if x.dtype is not g.dtype:
        raise RuntimeError(f"expected scalar type {SCALAR_NAMES[x.dtype]} but found {SCALAR_NAMES[g.dtype]}")


def _refuse_dims(x: Any, g: Any) -> None:
    want = "4D" if x.ndim == 4 else "5D" if x.ndim == 5 else "4D or 5D"
    raise RuntimeError(
        f"grid_sampler(): expected {want} input and grid with same number of dimensions, but got input with sizes "
        f"{list(x.shape)} and grid with sizes {list(g.shape)}"
    )


@function("grid_sampler_2d", "grid_sampler_3d")
def grid_sampler(input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Any:
    """``F.grid_sample`` with its modes as numbers."""
    mode, padding = list(MODES)[interpolation_mode], list(PADDINGS)[padding_mode]
    _check(input, grid, mode)
    return _GRID[input._ty.ndim - 2](input, grid, mode, padding, bool(align_corners))


def grid_sample(
    input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Any:
    """Samples ``input`` (N, C, H, W) or (N, C, D, H, W) at the normalised coordinates (x, y[, z]) of ``grid``.

    Raises:
        ValueError: an unknown mode.
        RuntimeError: shapes or dtypes do not fit.
    """
    if mode not in MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for "
            "details.",
            stacklevel=2,
        )
    return grid_sampler(input, grid, MODES[mode], PADDINGS[padding_mode], bool(align_corners))


# ---- affine grids


def _axis(theta: Any, n: int, align: bool) -> Any:
    """``n`` coordinates from -1 to 1: of the outermost elements if aligned, else of their edges."""
    from .ranges import linspace

    if n <= 1:
        return theta.new_zeros(n)
    steps = linspace(-1, 1, n, dtype=theta._ty.dtype)
    return steps if align else steps * ((n - 1) / n)


def _affine(theta: Any, size: tuple[int, ...], align: bool) -> Any:
    spatial = size[2:]
    axes = [_axis(theta, n, align).reshape([-1 if d == k else 1 for d in range(len(spatial))]).expand(spatial)
            for k, n in enumerate(spatial)]  # fmt: skip
    base = stack([*reversed(axes), theta.new_ones(spatial)], -1)
    base = base.reshape(1, prod(spatial), len(spatial) + 1).expand(size[0], -1, -1)
    return base.bmm(theta.transpose(1, 2)).reshape(size[0], *spatial, len(spatial))


_AFFINE = composite("affine_grid_generator", _affine, 1, "AffineGridGeneratorBackward0")


@function()
def affine_grid_generator(theta: Any, size: Any, align_corners: bool) -> Any:
    """``F.affine_grid`` without its checks."""
    return _AFFINE(theta, tuple(size), bool(align_corners))


def affine_grid(theta: Any, size: Any, align_corners: bool | None = None) -> Any:
    """The sampling grid of an affine map: ``theta`` (N, 2, 3) for size (N, C, H, W), (N, 3, 4) for (N, C, D, H, W).

    Raises:
        ValueError: ``theta`` is not floating or has the wrong shape, or a size is not positive.
        NotImplementedError: sizes of another length.
    """
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for "
            "details.",
            stacklevel=2,
        )
    t = theta._ty
    if not t.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {t.dtype}")
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got "
            f"size {size}."
        )
    if t.ndim != 3 or t.shape[-2:] != (n, n + 1):
        raise ValueError(
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {size}. Got {t.size}."
        )
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when align_corners=True. This "
            "is "
            "not an intended use case of affine_grid. See the documentation of affine_grid for details.",
            stacklevel=2,
        )
    elif min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return affine_grid_generator(theta, size, bool(align_corners))
