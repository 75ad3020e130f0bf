"""The vector functions: at most 2 ulp from a higher precision everywhere, C's special cases, every kind of CPU."""

from __future__ import annotations

import functools
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flambeau.compiler.cpu.vector_math import FUNCTIONS
from flambeau.compiler.cpu.vector_math.emitter import VectorMath
from flambeau.compiler.cpu.vector_math.ssa import Module

pytest.importorskip("llvmlite", reason="vector functions are compiled by llvmlite")

from _thorough import thorough
from _vector_math import AVX2, AVX512, NEON, SSE2, Machine, compiled, loop_text, runnable, ulps

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
DTYPES = ("float32", "float64")
UNARY = [name for name, f in FUNCTIONS.items() if f.arity == 1]
BINARY = [name for name, f in FUNCTIONS.items() if f.arity == 2]
INF, NAN = math.inf, math.nan
SCIPY = {"erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "lgamma": "gammaln", "digamma": "psi"}  # NumPy lacks them
SLOW = ("erfinv",)  # in SciPy, so fewer of the bit patterns are tried
# sqrt and division are the CPU's own; the rest is at most 2 by contract and below these bounds in fact
BOUND = {"sqrt": 0.5, "reciprocal": 0.5}
# terms of float64 that cancel near zeros: in units of the last place of what is at least 1
CANCELLING = {"lgamma": 4.0, "digamma": 16.0}


def best() -> Machine:
    """The widest machine that can be run here."""
    machines = runnable()
    if not machines:
        import llvmlite.binding as llvm

        return Machine("host", llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), 16, True)
    return machines[0]


def machine_named(name: str) -> Machine:
    """A machine, or a skipped test where the processor cannot play it."""
    found = [m for m in runnable() if m.name == name]
    if not found:
        pytest.skip(f"this processor has no {name}")
    return found[0]


Array = Any


def _sigmoid(x: Array) -> Array:
    s = np.exp(-np.abs(x))
    return np.where(x < 0, s, 1) / (1 + s)


def _scipy(name: str) -> Callable[..., Array]:
    return getattr(pytest.importorskip("scipy.special"), name)


def reference(name: str) -> Callable[..., Array]:
    """The function in NumPy, for arrays of a higher precision."""
    special = {
        "sigmoid": _sigmoid,
        "rsqrt": lambda x: 1 / np.sqrt(x),
        "reciprocal": lambda x: 1 / x,
        "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2, "pow": np.power,
        "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    }  # fmt: skip
    if name == "erfinv":
        return lambda x: np.copysign(_scipy(name)(x), x)  # SciPy's gives 0 for -0
    if name == "lgamma":  # SciPy's is minus infinite at minus infinity
        return lambda x: np.where((x < 0) & (x == np.floor(x)), np.inf, _scipy("gammaln")(x))
    if name in SCIPY:
        return _scipy(SCIPY[name])
    return special.get(name) or getattr(np, name)


def measured(y: Array, rounded: Array, steps: int) -> Array:
    """Where ``y`` is more than so many numbers of its format away from a correctly rounded result."""
    bits = np.int32 if y.itemsize == 4 else np.int64
    away = y.view(bits) - rounded.view(bits)
    return np.flatnonzero((away > steps) | (away < -steps) | (np.isnan(y) != np.isnan(rounded)))


def check(name: str, dtype: str, machine: Machine, args: list[Array], higher: Any) -> None:
    """At most 2 ulp: the neighbours of a correctly rounded result are off by 1.5 at most, the rest is measured."""
    bound = BOUND.get(name, 2.0)
    with np.errstate(all="ignore"):
        expected = reference(name)(*[a.astype(higher) for a in args])
        rounded = expected.astype(dtype)
    y = compiled(name, dtype, machine)(*args)
    rest = measured(y, rounded, int(bound >= 1.5))
    error = ulps(y[rest], expected[rest], dtype)
    i = int(np.argmax(error)) if rest.size else 0
    assert not rest.size or error[i] <= bound, (name, dtype, machine.name, error[i], [a[rest[i]] for a in args])


def specials(dtype: str) -> Array:
    """Zeros, infinities, NaN, subnormal and extreme numbers of both signs, whole numbers and halves."""
    info = np.finfo(dtype)
    positive = [0, 1, 2, 3, 0.5, 1.5, 2.5, 1e-3, 1e3, 2.0**23, 2.0**24 - 1, 2.0**52, 2.0**53 - 1, INF, NAN]
    positive += [info.max, info.tiny, info.smallest_subnormal, info.eps, 1 - info.epsneg, 1 + info.eps, 88.8, 709.8]
    x = np.array(positive, dtype)
    return np.concatenate([x, -x])


# ---- accuracy


@pytest.mark.parametrize("step", [5003, *thorough([1009])])
@pytest.mark.parametrize("name", UNARY)
def test_float32_over_bit_patterns(name: str, step: int) -> None:
    patterns = np.arange(0, 2**32, 5 * step if name in SLOW else step, dtype=np.uint64).astype(np.uint32)
    check(name, "float32", best(), [np.concatenate([patterns.view(np.float32), specials("float32")])], np.float64)


@pytest.mark.slow
@pytest.mark.skipif("FLAMBEAU_EXHAUSTIVE" not in os.environ, reason="two minutes a function: set FLAMBEAU_EXHAUSTIVE=1")
@pytest.mark.parametrize("name", UNARY)
def test_float32_over_all_bit_patterns(name: str) -> None:
    step = 2**20
    for first in range(0, 2**32, step):
        patterns = np.arange(first, first + step, dtype=np.uint64).astype(np.uint32)
        check(name, "float32", best(), [patterns.view(np.float32)], np.float64)


def pairs(name: str, dtype: str, count: int) -> list[Array]:
    """Two arguments: any bits, ordinary numbers, results near the edges, specials against specials."""
    generator = np.random.default_rng(0)
    unsigned = np.uint32 if dtype == "float32" else np.uint64
    bits = [generator.integers(0, np.iinfo(unsigned).max, count, unsigned).view(dtype) for _ in range(2)]
    base = np.exp(generator.uniform(-5, 5, count)) * generator.choice([-1, 1], count)
    whole = generator.integers(-40, 40, count)
    edge = generator.uniform(-1075, 1024, count) / np.log2(np.abs(base))
    near_one = 1 + generator.uniform(-1e-3, 1e-3, count)
    grid = np.array(np.meshgrid(specials(dtype), specials(dtype))).reshape(2, -1)
    first = [grid[0], bits[0], base, np.abs(base), near_one]
    second = [grid[1], bits[1], whole, edge, edge * 100]
    with np.errstate(all="ignore"):
        return [np.concatenate([p.astype(dtype) for p in parts]) for parts in (first, second)]


@pytest.mark.parametrize("name", BINARY)
def test_float32_of_two_arguments(name: str) -> None:
    check(name, "float32", best(), pairs(name, "float32", 200_000), np.float64)


def doubles(count: int) -> list[Array]:
    """Any bits, and ordinary arguments of several ranges."""
    generator = np.random.default_rng(0)
    parts = [generator.integers(0, 2**64 - 1, count, np.uint64).view(np.float64), specials("float64")]
    parts += [generator.uniform(-r, r, count) for r in (0.01, 1.0, 12.0, 750.0, 2e6)]
    parts += [np.exp2(generator.uniform(-30, 30, count)), np.arange(1, count // 4) * (np.pi / 2)]
    parts += [1 + generator.uniform(-1e-3, 1e-3, count)]
    return [np.concatenate(parts)]


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in SCIPY])
def test_float64_beside_long_double(name: str) -> None:
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("long double is no wider than double here")
    args = pairs(name, "float64", 40_000) if name in BINARY else doubles(40_000)
    check(name, "float64", best(), args, np.longdouble)


@functools.cache
def golden() -> dict[str, list[list[float]]]:
    """Samples of high precision."""
    return json.loads((GOLDEN / "vector_math.json").read_text())


@pytest.mark.parametrize("machine", ["avx512", "avx2", "sse4", "sse2"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64_golden(name: str, machine: str) -> None:
    *args, high, low = np.array(golden()[name]).T
    y = compiled(name, "float64", machine_named(machine))(*args)
    error = ulps(y, high, "float64", low)
    if name in CANCELLING:
        error *= np.spacing(np.abs(high)) / np.spacing(np.maximum(np.abs(high), 1))
    i = int(np.argmax(error))
    assert error[i] <= BOUND.get(name, CANCELLING.get(name, 2.0)), ([a[i] for a in args], y[i], high[i])


@pytest.mark.parametrize("machine", ["avx2", "sse4", "sse2"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_on_other_machines(name: str, machine: str) -> None:
    patterns = np.arange(0, 2**32, 20011, dtype=np.uint64).astype(np.uint32).view(np.float32)
    args = pairs(name, "float32", 20_000) if name in BINARY else [np.concatenate([patterns, specials("float32")])]
    check(name, "float32", machine_named(machine), args, np.float64)


# ---- special cases


SPECIALS: dict[str, list[tuple[float, ...]]] = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (1e300, INF), (-1e300, 0.0)],
    "exp2": [(0.0, 1.0), (INF, INF), (-INF, 0.0), (10.0, 1024.0), (-1074.0, 5e-324), (-149.0, 2.0**-149)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (-5e-324, -5e-324)],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (-1000.0, 0.0)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (5e-324, 5e-324)],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (5e-324, 5e-324)],
    "cosh": [(0.0, 1.0), (INF, INF), (-INF, INF)],
    "log": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (-INF, NAN), (-5e-324, NAN)],
    "log2": [(1.0, 0.0), (8.0, 3.0), (0.0, -INF), (INF, INF), (-1.0, NAN), (5e-324, -1074.0), (2.0**-149, -149.0)],
    "log10": [(1.0, 0.0), (1000.0, 3.0), (0.0, -INF), (INF, INF), (-1.0, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (INF, INF), (-2.0, NAN), (5e-324, 5e-324)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (5e-324, 5e-324)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (5e-324, 1.0)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (5e-324, 5e-324)],
    "asin": [(0.0, 0.0), (-0.0, -0.0), (1.5, NAN), (-1.5, NAN), (INF, NAN), (5e-324, 5e-324)],
    "acos": [(1.0, 0.0), (1.5, NAN), (-1.5, NAN), (-INF, NAN)],
    "atan": [(0.0, 0.0), (-0.0, -0.0), (5e-324, 5e-324)],
    "asinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (5e-324, 5e-324)],
    "acosh": [(1.0, 0.0), (INF, INF), (0.5, NAN), (-INF, NAN), (-2.0, NAN)],
    "atanh": [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (-INF, NAN), (5e-324, 5e-324)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0)],
    "erfinv": [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (-INF, NAN)],
    "erfc": [(0.0, 1.0), (INF, 0.0), (-INF, 2.0), (1e300, 0.0)],
    "lgamma": [
        (0.0, INF), (-0.0, INF), (1.0, 0.0), (2.0, 0.0), (-1.0, INF), (-1e30, INF), (INF, INF), (-INF, INF),
    ],
    "digamma": [(0.0, -INF), (-0.0, INF), (-1.0, NAN), (-1e30, NAN), (INF, INF), (-INF, NAN), (5e-324, -INF)],
    "sqrt": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-1.0, NAN)],
    "rsqrt": [(0.0, INF), (-0.0, -INF), (INF, 0.0), (-1.0, NAN), (4.0, 0.5)],
    "reciprocal": [(0.0, INF), (-0.0, -INF), (INF, 0.0), (-INF, -0.0)],
    "pow": [
        (NAN, 0.0, 1.0), (1.0, NAN, 1.0), (1.0, INF, 1.0), (-1.0, INF, 1.0), (-1.0, -INF, 1.0), (0.5, INF, 0.0),
        (0.5, -INF, INF), (2.0, INF, INF), (2.0, -INF, 0.0), (-0.5, INF, 0.0), (-2.0, INF, INF), (0.0, 3.0, 0.0),
        (-0.0, 3.0, -0.0), (-0.0, 2.0, 0.0), (0.0, -1.0, INF), (-0.0, -1.0, -INF), (-0.0, -2.0, INF),
        (-0.0, 0.5, 0.0), (-0.0, -0.5, INF), (-8.0, 1 / 3, NAN), (-2.0, 3.0, -8.0), (-2.0, 2.0, 4.0), (INF, 2.0, INF),
        (INF, -2.0, 0.0), (-INF, 3.0, -INF), (-INF, 2.0, INF), (-INF, -3.0, -0.0), (-INF, 0.5, INF), (INF, 0.0, 1.0),
        (0.0, 0.0, 1.0), (0.0, INF, 0.0), (0.0, -INF, INF), (NAN, 1.0, NAN), (2.0, NAN, NAN), (10.0, 2.0, 100.0),
    ],
    "hypot": [(INF, NAN, INF), (NAN, -INF, INF), (NAN, 1.0, NAN), (3.0, -4.0, 5.0), (5e-324, 0.0, 5e-324)],
    "atan2": [
        (0.0, 1.0, 0.0), (-0.0, 1.0, -0.0), (0.0, 0.0, 0.0), (-0.0, 0.0, -0.0), (1.0, INF, 0.0), (NAN, 1.0, NAN),
        (1.0, NAN, NAN),
    ],
}  # fmt: skip
PI = [(0.0, -1.0, 1.0), (-0.0, -1.0, -1.0), (0.0, -0.0, 1.0), (1.0, 0.0, 0.5), (-1.0, -0.0, -0.5), (INF, INF, 0.25),
      (INF, -INF, 0.75), (-INF, INF, -0.25), (INF, 1.0, 0.5), (1.0, -INF, 1.0)]  # fmt: skip


def same(a: Array, b: Array) -> Array:
    """Equal with equal signs of zeros, or both NaN."""
    return (np.isnan(a) & np.isnan(b)) | ((a == b) & (np.signbit(a) == np.signbit(b)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SPECIALS)
def test_special_cases(name: str, dtype: str) -> None:
    smallest = np.finfo(dtype).smallest_subnormal
    for row in SPECIALS[name]:
        if dtype == "float32" and 5e-324 in row and name in ("exp2", "log2"):
            continue
        *args, expected = (np.array([math.copysign(smallest, v) if abs(v) == 5e-324 else v]) for v in row)
        with np.errstate(over="ignore"):
            args, expected = [a.astype(dtype) for a in args], expected.astype(dtype)
        for machine in [best(), *runnable()]:
            y = compiled(name, dtype, machine)(*args)
            assert same(y, expected).all(), (machine.name, row, y)
    nan = compiled(name, dtype, best())(*[np.array([NAN], dtype)] * FUNCTIONS[name].arity)
    assert np.isnan(nan).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_atan2_of_axes(dtype: str) -> None:
    y, x, turns = np.array(PI, dtype).T
    angle = compiled("atan2", dtype, best())(y, x)
    np.testing.assert_allclose(angle, turns * np.pi, rtol=np.finfo(dtype).eps)
    assert np.array_equal(np.signbit(angle), np.signbit(turns))


@pytest.mark.parametrize("dtype", DTYPES)
def test_exact_results(dtype: str) -> None:
    exponents = np.arange(-120, 120, dtype=dtype)
    assert np.array_equal(compiled("exp2", dtype, best())(exponents), np.exp2(exponents))
    assert np.array_equal(compiled("log2", dtype, best())(np.exp2(exponents)), exponents)
    whole = np.arange(1, 13, dtype=dtype)
    assert np.array_equal(compiled("pow", dtype, best())(whole, np.full_like(whole, 3)), whole**3)


# ---- the remainder, exact


def dividends(dtype: str) -> list[Array]:
    """Any bits and specials, quotients of any size, and numbers beside multiples of others."""
    generator, count = np.random.default_rng(0), 20_000
    b, other = [np.exp(generator.uniform(-80, 80, count)) for _ in range(2)]
    with np.errstate(over="ignore"):
        multiples = (b.astype(dtype) * generator.integers(1, 2**20, count)).astype(dtype)
    beside = [np.nextafter(multiples, np.array(to, dtype)) for to in (0, INF)]
    first, second = pairs("fmod", dtype, count)
    parts = [first, other, multiples, *beside], [second, *[b] * 4]
    return [np.concatenate([p.astype(dtype) for p in some]) for some in parts]


@pytest.mark.parametrize("lanes", [None, 1, 3, 48])
@pytest.mark.parametrize("machine", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_remainders_are_exact(dtype: str, machine: str, lanes: int | None) -> None:
    a, b = dividends(dtype)
    with np.errstate(all="ignore"):
        expected = np.fmod(a, b)
    assert same(compiled("fmod", dtype, machine_named(machine), lanes)(a, b), expected).all()


# ---- machines and texts


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_lanes_and_width_do_not_change_bits(name: str, dtype: str) -> None:
    generator = np.random.default_rng(0)
    args = [generator.uniform(-3, 30, 960).astype(dtype) for _ in range(FUNCTIONS[name].arity)]
    if name in ("sin", "cos", "tan"):
        args[0][::7] *= 1e7
    expected = compiled(name, dtype, best())(*args)
    for lanes in (1, 2, 3, 8, 32, 48, 64):
        assert np.array_equal(compiled(name, dtype, best(), lanes)(*args), expected, equal_nan=True), lanes
    for machine in runnable():
        if machine.fma == best().fma:
            assert np.array_equal(compiled(name, dtype, machine)(*args), expected, equal_nan=True), machine.name


@pytest.mark.parametrize("machine", [SSE2, AVX2, AVX512, NEON], ids=lambda m: m.name)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_calls_out_of_the_module(dtype: str, machine: Machine) -> None:
    import llvmlite.binding as llvm

    arm = machine is NEON
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu" if arm else "x86_64-unknown-linux-gnu"
    target = llvm.Target.from_triple(triple).create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=2, reloc="pic", codemodel="small"
    )
    for name in FUNCTIONS:
        module = llvm.parse_assembly(loop_text(name, dtype, machine.vector // np.dtype(dtype).itemsize, machine))
        module.triple = triple
        callees = re.findall(r"^\s+(?:callq?|bl)\s+(\S+)", target.emit_assembly(module), re.M)
        assert all("flambeau." in c for c in callees), (name, set(callees))


def test_text_is_deterministic() -> None:
    for name in FUNCTIONS:
        assert loop_text(name, "float32", 16, AVX512) == loop_text(name, "float32", 16, AVX512)


@pytest.mark.parametrize("name", ["exp", "sin"])
def test_golden_listing(name: str) -> None:
    assert loop_text(name, "float32", 8, AVX2) + "\n" == (GOLDEN / f"vector_math_{name}.ll").read_text()


def test_two_functions_in_one_block_and_outlined_once() -> None:
    module = Module(fma=True)
    lines: list[str] = []
    math_ = VectorMath(lines, module)
    a = math_.emit("sin", "%x", "float32", 8)
    b = math_.emit("sin", a, "float32", 8)
    assert a != b and module.text().count("define internal") == 1
    assert lines == [
        "  %m0 = call <8 x float> @flambeau.sin.v8f32(<8 x float> %x)",
        "  %m1 = call <8 x float> @flambeau.sin.v8f32(<8 x float> %m0)",
    ]


def test_errors() -> None:
    math_ = VectorMath([], Module(fma=True))
    with pytest.raises(NotImplementedError, match="'gamma' for float32"):
        math_.emit("gamma", "%x", "float32", 8)
    with pytest.raises(NotImplementedError, match="'exp' for float16"):
        math_.emit("exp", "%x", "float16", 8)
    with pytest.raises(ValueError, match="pow takes 2 operands, got 1"):
        math_.emit("pow", "%x", "float32", 8)
