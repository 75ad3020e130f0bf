"""Normal values: the block method of contiguous outputs and the serial method of all others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from flambeau.random import _native
from flambeau.random._box_muller import box_muller32
from flambeau.random._engine import PIECE, Engine, in_pieces
from flambeau.random._exact import cast, fma64, libm

_BLOCK = 16
_FEW = 16  # pairs that are made one by one: calls of NumPy would take longer


def normal(
    engine: Engine,
    count: int,
    dtype: str = "float32",
    mean: float = 0.0,
    std: float = 1.0,
    contiguous: bool = True,
) -> np.ndarray:
    """``count`` normal values in a floating dtype.

    Outputs of 16 elements or more that are contiguous are made in blocks of 16 (see :func:`_blocks`); all others
    one after another, as :func:`serial_normal` does.
    """
    if count < _BLOCK and mean == 0 and dtype in ("float32", "float64"):
        return np.array([value * std for value in few_normals(engine, count)], dtype)
    if count < _BLOCK or not contiguous:
        return cast(serial_normal(engine, count, mean, std), dtype)
    if dtype in ("float16", "bfloat16"):
        return cast(_blocks16(engine, count, mean, std), dtype)
    return _blocks(engine, count, dtype, mean, std)


def serial_normal(engine: Engine, count: int, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    """``count`` float64 normals made in pairs; the second one of the last pair waits in the engine's cache."""
    standard = np.empty(count)
    done = 0
    if count and engine.cached_normal is not None:
        standard[0], done = engine.cached_normal, 1
        engine.cached_normal = None
    pairs = (count - done + 1) // 2
    if pairs:
        values = (_few_polar_pairs if pairs <= _FEW else _polar_pairs)(engine, pairs)
        standard[done:] = values[: count - done]
        if (count - done) % 2:
            engine.cached_normal = float(values[-1])
    return fma64(standard, std, mean)


def few_normals(engine: Engine, count: int) -> list[float]:
    """As ``serial_normal`` of mean 0 and deviation 1, for a handful."""
    if not count:
        return []
    values = [] if engine.cached_normal is None else [engine.cached_normal]
    values += _few_polar_pairs(engine, (count - len(values) + 1) // 2)
    engine.cached_normal = values.pop() if len(values) > count else None
    return values


def _few_polar_pairs(engine: Engine, pairs: int) -> list[float]:
    """As ``_polar_pairs``, one by one."""
    uniforms = iter(engine.few_doubles(2 * pairs))
    values = []
    for u, v in zip(uniforms, uniforms):
        radius, angle = math.sqrt(-2.0 * math.log1p(-v)), 2.0 * math.pi * u
        values += (radius * math.cos(angle), radius * math.sin(angle))
    return values


def _polar_pairs(engine: Engine, pairs: int) -> np.ndarray:
    uniforms = engine.doubles(2 * pairs).reshape(pairs, 2)
    radius = np.sqrt(-2.0 * libm(math.log1p, -uniforms[:, 1]))
    angle = 2.0 * math.pi * uniforms[:, 0]
    return np.stack([radius * libm(math.cos, angle), radius * libm(math.sin, angle)], 1).reshape(-1)


def _blocks(engine: Engine, count: int, dtype: str, mean: float, std: float) -> np.ndarray:
    """float32 and float64: a tail that fills no block is redrawn as a whole block over the last 16 elements."""
    draw, transform = (engine.singles, _transform32) if dtype == "float32" else (engine.doubles, _transform64)
    rest = count % _BLOCK
    if rest and count < PIECE:
        return _redrawn(transform, draw(count + _BLOCK), count, mean, std)
    values = in_pieces(lambda n: transform(draw(n), mean, std), count - rest)
    if not rest:
        return values
    draw(rest)
    return np.concatenate([values[: count - _BLOCK], transform(draw(_BLOCK), mean, std)])


def _redrawn(transform: Any, uniforms: np.ndarray, count: int, mean: float, std: float) -> np.ndarray:
    """The same for not so many: 16 uniforms more are had at once, and transformed in the place of the tail's."""
    full = count - count % _BLOCK
    uniforms[full : full + _BLOCK] = uniforms[count:]
    values = transform(uniforms[: full + _BLOCK], mean, std)
    values[count - _BLOCK : count] = values[full:]
    return values[:count]


def _blocks16(engine: Engine, count: int, mean: float, std: float) -> np.ndarray:
    """16-bit types: as :func:`_blocks` in float32, but nothing is drawn for the elements of the tail itself."""
    full = count - count % _BLOCK
    values = _transform32(engine.singles(full + _BLOCK * (full < count)), mean, std)
    out = np.empty(count, np.float32)
    out[:full] = values[:full]
    out[-_BLOCK:] = values[-_BLOCK:]
    return out


def _transform32(uniforms: np.ndarray, mean: float, std: float) -> np.ndarray:
    native = _native.box_muller(uniforms.size)
    if native is not None and uniforms.flags.c_contiguous:
        if (mean, std) == (0, 1):  # nothing overflows
            return native(uniforms, np.float32(0), np.float32(1))
        with np.errstate(all="ignore"):
            return native(uniforms, np.float32(mean), np.float32(std))
    return box_muller32(uniforms.reshape(-1, 2, 8), mean, std).reshape(-1)


def _transform64(uniforms: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Box-Muller in float64: the first eight uniforms of a block give the radii, the others the angles."""
    blocks = uniforms.reshape(-1, 2, 8)
    radius = np.sqrt(-2.0 * libm(math.log, 1.0 - blocks[:, 0, :]))
    angle = 2.0 * math.pi * blocks[:, 1, :]
    standard = np.stack([radius * libm(math.cos, angle), radius * libm(math.sin, angle)], 1)
    return fma64(standard.reshape(-1), std, mean)
