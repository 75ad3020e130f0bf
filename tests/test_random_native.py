"""Native random numbers are NumPy's to the bit, and leave the generator where NumPy leaves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from flambeau.random import _bernoulli, _continuous, _engine, _integers, _native, _normal, _uniform
from flambeau.random._engine import Engine

Draw = Callable[[Engine, int], Any]
DRAWS: dict[str, Draw] = {
    "words": Engine.words,
    "singles": Engine.singles,
    "doubles": Engine.doubles,
    "coins": lambda e, n: _bernoulli.bernoulli(e, n, 0.3),
    "coins that never fall": lambda e, n: _bernoulli.bernoulli(e, n, 0.0),
    "coins that always fall": lambda e, n: _bernoulli.bernoulli(e, n, 1.0),
    "noise": lambda e, n: _bernoulli.noise(e, n, 0.8, np.float32(1.25)),
    "noise float64": lambda e, n: _bernoulli.noise(e, n, 0.8, np.float64(1.25)),
    "uniform": lambda e, n: _uniform.uniform(e, n, "float32", -0.3, 0.7),
    "narrow uniform": lambda e, n: _uniform.uniform(e, n, "float32", 1.0, 1.0 + 2.0**-22),
    "uniform float64": lambda e, n: _uniform.uniform(e, n, "float64", -0.3, 0.7),
    "integers": lambda e, n: _integers.random_range(e, n, -5, 100),
    "one integer": lambda e, n: _integers.random_range(e, n, 3, 4, "int32"),
    "large integers": lambda e, n: _integers.random_range(e, n, 0, 2**28 - 1),
    "normals": _normal.normal,
    "exponentials": _continuous.exponential,
    "fast exponentials": lambda e, n: _continuous.exponential(e, n, "float32", 1e38),
    "slow exponentials": lambda e, n: _continuous.exponential(e, n, "float32", 1e-39),
    "exponentials of 16 bits": lambda e, n: _continuous.exponential(e, n, "bfloat16", 0.3),
}
COUNTS = (1, 65, 311, 312, 313, 623, 624, 625, 1248, 5000, 7, 2 * _engine.PIECE + 100)


def drawn(draw: Draw) -> list[Any]:
    """What is drawn in turn, and the state of the generator after each."""
    engine, found = Engine(5), []
    for count in COUNTS:
        found += [draw(engine, count), np.frombuffer(engine.get_state(), np.uint8)]
    return found


@pytest.mark.parametrize("name", DRAWS)
def test_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "_drawn", [_native.MANY])
    monkeypatch.delenv("FLAMBEAU_EXECUTOR", raising=False)
    _native._made.cache_clear()
    made = _native.of_words("words", _native.FEW_WORDS + 1)
    if made is None:
        pytest.skip("this processor has no fused multiply-adds")
    native = drawn(DRAWS[name])
    monkeypatch.setattr(_native, "of_words", lambda *_: None)
    for found, expected in zip(native, drawn(DRAWS[name]), strict=True):
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes()


def test_memory_of_the_generator() -> None:
    """What native code writes is what NumPy's generator goes on from."""
    engine = Engine(1)
    engine.words(3)
    memory = _engine._memory(engine._bits)
    assert memory.size == 625
    assert memory[-1] == 3


def test_another_layout_is_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "_drawn", [_native.MANY])
    expected = Engine(1).words(1000)
    monkeypatch.setattr(_engine, "_memory", lambda bits: np.empty(0, np.uint32))
    np.testing.assert_array_equal(Engine(1).words(1000), expected)
