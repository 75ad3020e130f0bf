"""Samples that are drawn until one is accepted, for each element in turn: by native code where many are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from flambeau.random import _native
from flambeau.random._engine import Doubles, Engine

_LEAST, _LARGEST = 64, 1 << 15  # uniforms that are drawn at a time


def accepted(engine: Engine, sampler: Callable[..., float], *parameters: np.ndarray) -> np.ndarray:
    """What a function of ``_samplers`` gives for each element of flat float64 arrays, one after the other."""
    count = len(parameters[0])
    loop = _native.sampler(sampler.__name__, len(parameters), count)
    if loop is None or not count:
        return _by_python(engine, sampler, parameters)
    return _natively(engine, loop, [np.ascontiguousarray(p, np.float64) for p in parameters])


def _by_python(engine: Engine, sampler: Callable[..., float], parameters: tuple[np.ndarray, ...]) -> np.ndarray:
    with Doubles(engine) as draw:
        normal = _normals(engine, draw)
        values = [sampler(draw, normal, *numbers) for numbers in zip(*[p.tolist() for p in parameters])]
    return np.array(values, np.float64)


def _normals(engine: Engine, draw: Doubles) -> Callable[[], float]:
    """Serial normals one at a time, as :func:`flambeau.random._normal.serial_normal` makes them."""

    def normal() -> float:
        cached, engine.cached_normal = engine.cached_normal, None
        if cached is not None:
            return cached
        first, second = draw(), draw()
        radius, angle = math.sqrt(-2.0 * math.log1p(-second)), 2.0 * math.pi * first
        engine.cached_normal = radius * math.sin(angle)
        return radius * math.cos(angle)

    return normal


def _natively(engine: Engine, loop: Any, parameters: list[np.ndarray]) -> np.ndarray:
    """The loop goes on with more uniforms until all elements are done; what is left of the last ones is given back."""
    from flambeau.random._scalar_code import CACHED, DRY, NORMAL, STATES, USED

    out = np.empty(len(parameters[0]))
    state = np.zeros(STATES)
    if engine.cached_normal is not None:
        state[CACHED], state[NORMAL] = 1, engine.cached_normal
    size = min(max(4 * len(out), _LEAST), _LARGEST)
    uniforms, left = np.empty(0), 0
    while True:
        before = engine.snapshot()
        uniforms = np.concatenate([uniforms[len(uniforms) - left :], engine.doubles(size)])
        state[USED] = state[DRY] = 0
        with np.errstate(all="ignore"):
            loop(state, uniforms, *parameters, out)
        used, known = int(state[USED]), left
        if not state[DRY]:
            break
        left = len(uniforms) - used
    engine.rewind(before)
    engine.words(2 * (used - known))
    engine.cached_normal = float(state[NORMAL]) if state[CACHED] else None
    return out
