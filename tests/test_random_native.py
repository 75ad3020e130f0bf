"""Native random numbers are NumPy's and Python's to the bit, and leave the generator where these leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from flambeau.random import _accepted, _bernoulli, _continuous, _counts, _gamma, _integers, _native, _normal, _uniform
from flambeau.random._engine import PIECE, Engine

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
COUNTS = (1, 65, 311, 312, 313, 623, 624, 625, 1248, 5000, 7, 2 * PIECE + 100)


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


def _spread(count: int) -> np.ndarray:
    """Numbers of many sizes, zero among them."""
    return np.where(np.arange(count) % 17 == 3, 0, np.exp(np.sin(np.arange(count)) * 4)).astype(np.float32)


def _chances(count: int) -> np.ndarray:
    return np.round(np.abs(np.cos(np.arange(count))), 2).astype(np.float32)


ACCEPTED: dict[str, Draw] = {
    "gamma": lambda e, n: _gamma.standard_gamma(e, _spread(n), "float32"),
    "gamma float64": lambda e, n: _gamma.standard_gamma(e, _spread(n).astype(np.float64), "float64"),
    "dirichlet": lambda e, n: _gamma.dirichlet(e, _spread(n)[None] + 1, "float32"),
    "poisson": lambda e, n: _counts.poisson(e, _spread(n) * 3, "float32"),
    "binomial": lambda e, n: _counts.binomial(e, np.floor(_spread(n) * 9), _chances(n), "float32"),
    "binomial float64": lambda e, n: _counts.binomial(e, np.full(n, 90.0), _chances(n).astype(np.float64), "float64"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_samples_that_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are Python's to the bit, and so is the state, wherever the uniforms that are drawn at a time run out."""
    monkeypatch.setattr(_native, "_drawn", [_native.MANY])
    monkeypatch.delenv("FLAMBEAU_EXECUTOR", raising=False)
    _native._made.cache_clear()
    if _native.sampler("poisson_value", 1, 100) is None:
        pytest.skip("this processor has no fused multiply-adds")
    turns = []
    for native, largest in ((True, 1 << 15), (True, 24), (False, 0)):
        if native:
            monkeypatch.setattr(_accepted, "_LEAST", min(largest, 64))
            monkeypatch.setattr(_accepted, "_LARGEST", largest)
        else:
            monkeypatch.setattr(_native, "sampler", lambda *_: None)
        engine, found = Engine(5), []
        for count in (1, 5, 40, 700):
            found += [ACCEPTED[name](engine, count).tobytes(), engine.get_state()]
        turns.append(found)
    assert turns[0] == turns[2]
    assert turns[1] == turns[2]


@pytest.mark.parametrize("native", [True, False])
def test_shapes_that_are_no_shapes(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes below zero are not refused; infinite rates have an end."""
    if not native:
        monkeypatch.setattr(_native, "sampler", lambda *_: None)
    engine = Engine(5)
    least = float(np.finfo(np.float64).tiny)
    found = _gamma.standard_gamma(engine, np.array([-0.5, -0.2, -0.7, -0.9, -1.0, -3.0]), "float64")
    np.testing.assert_allclose(found, np.array([1.1245, 6.8335, *[least] * 4]), rtol=1e-4)
    assert np.isinf(_gamma.standard_gamma(engine, np.full(6, np.inf), "float64")).all()
    assert (_counts.poisson(engine, np.full(6, np.inf), "float64") == -(2.0**63)).all()


def test_the_state_goes_back_and_forth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's generator goes on from what native code has left, and the other way."""
    expected = np.random.MT19937(0)
    expected._legacy_seeding(5)  # type: ignore[attr-defined]
    engine, native = Engine(5), _native.of_words
    for turn, count in enumerate([700, 100, 3, 2000, 1, 90, 624, 5000]):
        monkeypatch.setattr(_native, "_drawn", [_native.MANY])
        monkeypatch.setattr(_native, "of_words", native if turn % 2 else lambda *_: None)
        np.testing.assert_array_equal(engine.words(count), expected.random_raw(count))
        assert engine.few_words(2) == expected.random_raw(2).tolist()


def test_positions_outlive_a_change_of_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(1)
    engine.words(10)
    before = engine.snapshot()
    monkeypatch.setattr(_native, "_drawn", [_native.MANY])
    first = engine.words(1000)
    between = engine.snapshot()
    engine.rewind(before)
    np.testing.assert_array_equal(engine.words(1000), first)
    after = engine.words(100)
    monkeypatch.setattr(_native, "of_words", lambda *_: None)
    engine.rewind(between)
    np.testing.assert_array_equal(engine.words(100), after)
