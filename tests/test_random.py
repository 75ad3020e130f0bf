"""The random streams are PyTorch's, bit for bit: words, values and the state after each call.

The golden file beside the repository holds 478 cases made with PyTorch. Those that concern a single distribution
run here on the engine; test_random_api.py runs all of them through the public API.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from _random_golden import GOLDEN_NAMES, check_output, golden, state_summary

from flambeau.random import _bernoulli as bernoulli
from flambeau.random import _continuous as continuous
from flambeau.random import _counts as counts
from flambeau.random import _gamma as gamma
from flambeau.random import _integers as integers
from flambeau.random import _multinomial as multinomial
from flambeau.random import _native
from flambeau.random import _permutation as permutation
from flambeau.random._box_muller import box_muller32
from flambeau.random._engine import FEW, PIECE, Doubles, Engine
from flambeau.random._exact import cast, fma64, from_bfloat16, widen
from flambeau.random._normal import normal
from flambeau.random._uniform import uniform


def weights(count: int, dtype: str = "float32") -> np.ndarray:
    return cast(np.array([((7 * i + 3) % 11 + 1) / 16 for i in range(count)]), dtype)


def scaled(case: dict[str, Any], factor: float) -> np.ndarray:
    return cast(widen(weights(case["n"], case["dtype"]), case["dtype"]) * factor, case["dtype"])


def draw_integers(e: Engine, c: dict[str, Any]) -> np.ndarray:
    low, high = integers.narrow_range(c["low"], c["high"], c["dtype"])
    return integers.random_range(e, c["n"], low, high, c["dtype"])


def draw_from(e: Engine, c: dict[str, Any]) -> np.ndarray:
    if c["low"] == -(2**63):
        return integers.random_full(e, c["n"])
    return integers.random_range(e, c["n"], c["low"], integers.largest_bound(c["dtype"]), c["dtype"])


def draw_multinomial(e: Engine, c: dict[str, Any]) -> np.ndarray:
    shape = c.get("shape", [1, c["n"]])
    drawn = multinomial.multinomial(e, weights(c["n"], c["dtype"]).reshape(shape), c["dtype"], c["k"], c["replacement"])
    return drawn if "shape" in c else drawn[0]


def draw_binomial(e: Engine, c: dict[str, Any]) -> np.ndarray:
    trials = np.full(c["n"], c["count"], c["dtype"])
    return counts.binomial(e, trials, weights(c["n"], c["dtype"]), c["dtype"])


def draw_dirichlet(e: Engine, c: dict[str, Any]) -> np.ndarray:
    return gamma.dirichlet(e, scaled(c, 2).reshape(c["shape"]), c["dtype"])


def draw_state(e: Engine, c: dict[str, Any]) -> np.ndarray:
    normal(e, c["randn"])
    return np.frombuffer(e.get_state(), np.uint8)


ENGINE_OPS: dict[str, Callable[[Engine, dict[str, Any]], np.ndarray]] = {
    "rand": lambda e, c: uniform(e, c["n"], c["dtype"]),
    "uniform_": lambda e, c: uniform(e, c["n"], c["dtype"], *c["args"]),
    "uniform_strided": lambda e, c: uniform(e, c["n"], c["dtype"], *c["args"]),
    "uniform_t": lambda e, c: uniform(e, c["shape"][0] * c["shape"][1], c["dtype"]),
    "randn": lambda e, c: normal(e, c["n"], c["dtype"]),
    "normal_": lambda e, c: normal(e, c["n"], c["dtype"], *c["args"]),
    "normal_strided": lambda e, c: normal(e, c["n"], c["dtype"], *c["args"], contiguous=False),
    "normal_t": lambda e, c: normal(e, c["shape"][0] * c["shape"][1], c["dtype"], contiguous=False),
    "randint": draw_integers,
    "random_range": draw_integers,
    "random_from": draw_from,
    "random_": lambda e, c: integers.random(e, c["n"], c["dtype"]),
    "randperm": lambda e, c: permutation.randperm(e, c["n"]).astype(c.get("dtype", "int64")),
    "multinomial": draw_multinomial,
    "bernoulli_scalar": lambda e, c: cast(bernoulli.bernoulli(e, c["n"], c["p"]), c["dtype"]),
    "bernoulli_tensor": lambda e, c: cast(
        bernoulli.bernoulli_each(e, weights(c["n"], c["dtype"]), c["dtype"]), c["dtype"]
    ),
    "exponential_": lambda e, c: continuous.exponential(e, c["n"], c["dtype"], c["lambd"]),
    "cauchy_": lambda e, c: continuous.cauchy(e, c["n"], c["dtype"], *c["args"]),
    "log_normal_": lambda e, c: continuous.log_normal(e, c["n"], c["dtype"], *c["args"]),
    "geometric_": lambda e, c: continuous.geometric(e, c["n"], c["dtype"], c["p"]),
    "standard_gamma": lambda e, c: gamma.standard_gamma(e, scaled(c, c["scale"]), c["dtype"]),
    "dirichlet": draw_dirichlet,
    "poisson": lambda e, c: counts.poisson(e, scaled(c, c["scale"]), c["dtype"]),
    "binomial": draw_binomial,
    "get_state": draw_state,
}


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_engine_reproduces_pytorch(name: str) -> None:
    case = json.loads(name)
    if case["op"] not in ENGINE_OPS:
        pytest.skip("composed of several operators: tested through the API")
    engine = Engine(case["seed"])
    output = ENGINE_OPS[case["op"]](engine, case)
    check_output(name, case, output)
    assert state_summary(engine.get_state()) == golden()[1][name]


SHAPES = np.array([0.5, 2, 9], np.float32)
FLOAT32_AT_SEED_0: dict[str, tuple[Callable[[Engine], np.ndarray], list[float]]] = {
    "uniform": (
        lambda e: uniform(e, 4),
        [0.49625658988952637, 0.7682217955589294, 0.08847743272781372, 0.13203048706054688],
    ),
    "serial normal": (lambda e: normal(e, 3), [1.5409960746765137, -0.293428897857666, -2.1787893772125244]),
    "randint": (lambda e: integers.random_range(e, 6, 0, 100), [44, 39, 33, 60, 63, 79]),
    "wide randint": (lambda e: integers.random_range(e, 3, 0, 2**40), [741280623151, 506137267392, 291447657211]),
    "randperm": (lambda e: permutation.randperm(e, 10), [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]),
    "bernoulli": (lambda e: bernoulli.bernoulli(e, 8, 0.3), [0, 0, 0, 0, 0, 0, 1, 0]),
    "bernoulli of a tensor": (
        lambda e: bernoulli.bernoulli_each(e, np.full(8, 0.3, np.float32), "float32"),
        [0, 0, 1, 1, 0, 0, 0, 0],
    ),
    "exponential": (lambda e: continuous.exponential(e, 3), [3.508326292037964, 1.2303847074508667, 0.615044116973877]),
    "geometric": (lambda e: continuous.geometric(e, 6, "int64", 0.3), [1, 1, 3, 1, 2, 1]),
    "cauchy": (lambda e: continuous.cauchy(e, 3), [10.597729682922363, 0.7647672891616821, -0.12829934060573578]),
    "log_normal": (lambda e: continuous.log_normal(e, 3), [59.2634162902832, 1.5115599632263184, 0.03481946140527725]),
    "multinomial": (lambda e: sample_three(e, 2, False), [2, 1]),
    "gamma": (
        lambda e: gamma.standard_gamma(e, SHAPES, "float32"),
        [0.0007893581641837955, 0.6315405964851379, 9.147442817687988],
    ),
    "dirichlet": (
        lambda e: gamma.dirichlet(e, SHAPES[None], "float32")[0],
        [8.07133546913974e-05, 0.06457620859146118, 0.9353430867195129],
    ),
    "poisson": (lambda e: counts.poisson(e, np.array([0.5, 5, 50], np.float32), "float32"), [2, 6, 49]),
    "binomial": (
        lambda e: counts.binomial(e, np.array([9, 100], np.float32), np.array([0.3, 0.6], np.float32), "float32"),
        [6, 62],
    ),
}


def sample_three(e: Engine, samples: int, replacement: bool) -> np.ndarray:
    three = np.array([[0.1, 0.2, 0.7]], np.float32)
    return multinomial.multinomial(e, three, "float32", samples, replacement)[0]


@pytest.mark.parametrize("name", FLOAT32_AT_SEED_0)
def test_values_at_seed_0(name: str) -> None:
    draw, expected = FLOAT32_AT_SEED_0[name]
    assert draw(Engine(0)).tolist() == expected


def test_other_values_and_seeds() -> None:
    assert uniform(Engine(42), 3, "float64").tolist() == [0.05815448596142969, 0.06291016742457756, 0.12358607277440903]
    expected64 = [-0.1467950974849952, 0.7861412987235358, 0.9468216090039564]
    np.testing.assert_array_max_ulp(normal(Engine(7), 3, "float64"), np.array(expected64), 1)  # another C library
    tail = [-0.6177444458007812, -0.7980698347091675, -0.13162320852279663, -0.7984398007392883]
    assert normal(Engine(1), 17)[-4:].tolist() == tail
    tail16 = from_bfloat16(normal(Engine(3), 20, "bfloat16")[-4:])
    assert tail16.tolist() == [0.99609375, 0.458984375, 2.4375, -0.146484375]
    assert permutation.randperm(Engine(5), 500)[:8].tolist() == [411, 258, 0, 356, 106, 255, 180, 36]


def test_only_the_low_half_of_a_seed_chooses_the_words() -> None:
    assert Engine(5).words(3).tolist() == Engine(5 + 2**32).words(3).tolist()
    assert Engine(-1).seed == 2**64 - 1


def test_doubles_gives_back_what_was_not_used() -> None:
    for used in (0, 1, 16, 17, 100):
        engine, other = Engine(3), Engine(3)
        with Doubles(engine) as draw:
            values = [draw() for _ in range(used)]
        assert values == other.doubles(used).tolist()
        assert engine.get_state() == other.get_state()


def test_state_carries_the_cached_normal() -> None:
    engine = Engine(3)
    normal(engine, 3)
    copy = engine.clone()
    assert copy.cached_normal is not None
    assert normal(copy, 4).tolist() == normal(engine, 4).tolist()


def test_long_permutations_are_built_inside_out() -> None:
    engine, reference = Engine(3), Engine(3)
    expected: list[int] = []
    for i, word in enumerate(reference.words64(70000).tolist()):
        place = word % (i + 1)
        expected.append(i)
        expected[i], expected[place] = expected[place], i
    assert permutation.inside_out(engine, 70000).tolist() == expected


def test_swap_chains_equal_the_loop() -> None:
    for count in (2, 3, 50, 1000):
        targets = np.array([np.random.RandomState(count + i).randint(i, count) for i in range(count - 1)])
        chains = permutation._swap_chains(count, targets)
        assert chains.tolist() == permutation._swap_loop(count, targets).tolist()


def test_float64_fma_rounds_once() -> None:
    values = np.random.RandomState(0).randn(2000)
    for factor, term in ((0.02, 0.5), (-3.7, 1e-9), (1e300, 1e290), (1e-290, 1e-300)):
        expected = [float(Fraction(v) * Fraction(factor) + Fraction(term)) for v in values.tolist()]
        assert fma64(values, factor, term).tolist() == expected


def test_infinite_results_do_not_raise() -> None:
    assert np.isinf(continuous.log_normal(Engine(0), 3, "float64", 1000.0, 1.0)).all()
    assert np.isinf(normal(Engine(0), 20, "float64", 0.0, np.inf)).all()


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (-0.25, 1e-3)])
def test_native_normals_are_those_of_numpy(mean: float, std: float) -> None:
    normals = _native.box_muller(_native.MANY)
    if normals is None:
        pytest.skip("no native code here")
    every = np.arange(1 << 24, dtype=np.uint32)[:: 7 if std == 1 else 61]
    uniforms = every[: len(every) // 16 * 16].astype(np.float32) * np.float32(2.0**-24)
    uniforms = np.concatenate([uniforms, np.random.default_rng(0).permutation(uniforms)]).reshape(2, -1, 8)
    uniforms = np.ascontiguousarray(uniforms.swapaxes(0, 1))  # every radius, each with some angle
    found = normals(uniforms.reshape(-1), np.float32(mean), np.float32(std))
    assert found.tobytes() == box_muller32(uniforms, mean, std).tobytes()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17, 1000, 70_001])
def test_native_shuffles_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    if _native.shuffle(_native.MANY) is None:
        pytest.skip("no native code here")
    found = permutation.randperm(Engine(count), count)
    monkeypatch.setattr(_native, "shuffle", lambda count: None)
    assert found.tolist() == permutation.randperm(Engine(count), count).tolist()


@pytest.mark.parametrize("count", [FEW, FEW + 1, PIECE, PIECE + 5, 2 * PIECE + 1])
def test_values_do_not_depend_on_how_many_are_made_at_once(count: int) -> None:
    one, other = Engine(3), Engine(3)
    for draw in (Engine.words, Engine.singles, Engine.doubles):
        parts = [draw(other, n) for n in (1, 1, 5, count - 7)]
        assert np.array_equal(draw(one, count), np.concatenate(parts))
    assert np.array_equal(bernoulli.bernoulli(one, count, 0.3), other.doubles(count) < 0.3)
    parts = [uniform(other, n, "float32", -1, 2) for n in (7, count - 7)]
    assert np.array_equal(uniform(one, count, "float32", -1, 2), np.concatenate(parts))
    assert one.get_state() == other.get_state()


def test_few_normals_are_those_of_many() -> None:
    one, other = Engine(5), Engine(5)
    many = normal(one, 100, contiguous=False)
    assert np.array_equal(many, np.concatenate([normal(other, 10, contiguous=False) for _ in range(10)]))


def test_normals_in_pieces_are_those_made_at_once() -> None:
    count = 2 * PIECE + 21
    expected = Engine(5)
    uniforms = expected.singles(count)
    values = box_muller32(uniforms[: count - 5].reshape(-1, 2, 8), 1.0, 2.0).reshape(-1)
    last = box_muller32(expected.singles(16).reshape(-1, 2, 8), 1.0, 2.0).reshape(-1)
    assert np.array_equal(normal(Engine(5), count, mean=1.0, std=2.0), np.concatenate([values[: count - 16], last]))
