"""The random streams are PyTorch's, bit for bit: words, values and the state after each call.

The golden file beside the repository holds 478 cases made with PyTorch. Those that concern a single distribution
run on the engine; all of them run through the public API.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flambeau.random import _bernoulli as bernoulli
from flambeau.random import _continuous as continuous
from flambeau.random import _counts as counts
from flambeau.random import _gamma as gamma
from flambeau.random import _integers as integers
from flambeau.random import _multinomial as multinomial
from flambeau.random import _permutation as permutation
from flambeau.random._engine import Doubles, Engine
from flambeau.random._exact import cast, from_bfloat16, widen
from flambeau.random._normal import normal
from flambeau.random._uniform import uniform

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "spec" / "random_golden.npz"


@cache
def golden() -> tuple[dict[str, np.ndarray], dict[str, list[int]]]:
    if not GOLDEN.exists():
        return {}, {}
    with np.load(GOLDEN) as archive:
        data = {name: archive[name] for name in archive.files}
    return data, json.loads(data.pop("__meta__").tobytes())["after"]


def state_summary(state: bytes) -> list[int]:
    """Initial seed, left, next, whether a normal is cached, its bits, and a checksum of the words."""
    seed, left, _, following = struct.unpack_from("<QiiQ", state, 0)
    words = np.frombuffer(state, "<u8", 624, 24).astype("<u4")
    cached = struct.unpack_from("<i", state, 5040)[0]
    return [seed, left, following, cached, struct.unpack_from("<Q", state, 5024)[0], zlib.crc32(words.tobytes())]


def stored_form(case: dict[str, Any], output: np.ndarray) -> np.ndarray:
    """The output as the golden file keeps it."""
    if case.get("sha"):
        return np.frombuffer(hashlib.sha256(output.tobytes()).digest(), np.uint8)
    return output


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
    drawn = multinomial.multinomial(
        e, weights(c["n"], c["dtype"]).reshape(shape), c["dtype"], c["k"], c["replacement"]
    )
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

GOLDEN_NAMES = sorted(golden()[0]) or [
    pytest.param("", marks=pytest.mark.skip(reason="../shared/spec/random_golden.npz is not there"))
]


def check_output(name: str, case: dict[str, Any], output: np.ndarray) -> None:
    expected = golden()[0][name]
    output = stored_form(case, output)
    assert output.dtype == expected.dtype or case["op"] == "bernoulli_scalar"
    assert output.shape == expected.shape
    assert output.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_engine_reproduces_pytorch(name: str) -> None:
    case = json.loads(name)
    if case["op"] not in ENGINE_OPS:
        pytest.skip("composed of several operators: tested through the API")
    engine = Engine(case["seed"])
    output = ENGINE_OPS[case["op"]](engine, case)
    check_output(name, case, output)
    assert state_summary(engine.get_state()) == golden()[1][name]
