"""Maps of floats that kernels compute by formulas, at every pair of difficult numbers, against the NumPy executor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import as_values, memory, on_numpy, types_of

from flambeau import dtypes as dt
from flambeau.compiler.builder import Builder
from flambeau.compiler.composed_maps import FORMULAS
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.ir import Value

NUMBERS = np.array([0, -0.0, 1, -1, 2.5, -2.5, 3, -3, 0.3, 1e-3, -7, 1e20, -1e20, np.inf, -np.inf, np.nan, 1e-40, 5.5])
ULPS = {dt.float32: 1.2e-7, dt.float64: 2.3e-16, dt.float16: 1e-3}


@pytest.mark.parametrize("name", ["fmod", *FORMULAS])
@pytest.mark.parametrize("dtype", list(ULPS), ids=lambda d: d.name)
def test_value(name: str, dtype: Any) -> None:
    pairs = [a.reshape(-1) for a in np.meshgrid(NUMBERS, NUMBERS)]
    b = Builder()
    operands = [b.input(k, pairs[0].shape, dtype, ((1,), 0)) for k in range(1 if name == "entr" else 2)]
    b.f.outputs = [b.map(name, *operands)]
    inputs = [memory(a, dtype) for a in pairs]
    program = Executable(b.f, types_of(b.f))
    assert not any(isinstance(step, Value) for step in program.steps), "NumPy computes it"
    expected, found = [as_values(run, b.f.outputs[0]) for run in (*on_numpy(b.f, inputs), program.run(inputs, [])[0])]
    np.testing.assert_allclose(found, expected, rtol=4 * ULPS[dtype], atol=0)
    zeros = expected == 0
    np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]))


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite"])
def test_integers_are_finite(name: str) -> None:
    b = Builder()
    b.f.outputs = [b.map(name, b.input(0, (3,), dt.int32, ((1,), 0)))]
    (found,) = Executable(b.f, types_of(b.f)).run([np.arange(3, dtype=np.int32)], [])
    assert found.tolist() == [name == "isfinite"] * 3
