"""Maps of elements that lie apart in memory, in kernels of the first tier: the bits of neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flambeau.compiler.cpu.first_tier.maps import function
from flambeau.dtypes import float32, float64

COUNTS = [1, 2, 7, 8, 15, 16, 17, 33, 64]


def apart(a: np.ndarray[Any, Any], step: int) -> np.ndarray[Any, Any]:
    """The same elements, ``step`` elements apart, between others."""
    room = np.full(abs(step) * a.size, 77, a.dtype)
    seen = room[:: abs(step)]
    seen = seen[::-1] if step < 0 else seen
    seen[:] = a
    return seen


@pytest.mark.parametrize("dt", [float32, float64], ids=repr)
@pytest.mark.parametrize("step", [2, 3, -1, -5])
def test_apart_as_beside(dt: Any, step: int, native_code: None) -> None:
    rng = np.random.default_rng(0)
    for n in COUNTS:
        a, b = rng.standard_normal((2, n)).astype(dt.np)
        where, exp = function("where", dt), function("exp", dt)
        expected, chosen = exp(a), where(a > b, a, b)
        assert exp(apart(a, step)).tobytes() == expected.tobytes()
        assert where(apart(a > b, step), apart(a, step), apart(b, -step)).tobytes() == chosen.tobytes()
        assert where(a > b, a, b).tobytes() == np.maximum(a, b).tobytes()


@pytest.mark.parametrize("step", [2, -3])
def test_what_lies_between_results_stays(step: int, native_code: None) -> None:
    exp = function("exp", float32)
    for n in COUNTS:
        a = np.linspace(-1, 1, n, dtype=np.float32)
        room = np.full(abs(step) * n, 77, np.float32)
        exp(a, out=room[:: abs(step)] if step > 0 else room[:: abs(step)][::-1])
        kept = np.ones(room.size, bool)
        kept[:: abs(step)] = False
        assert (room[kept] == 77).all()
        assert (room[:: abs(step)] == (exp(a) if step > 0 else exp(a)[::-1])).all()
