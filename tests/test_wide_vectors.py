"""Code planned for vectors of 64 bytes where the processor has half as wide ones, so that LLVM splits them."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from test_nest import native, on_numpy, pool_for

from flambeau import dtypes as dt
from flambeau.compiler.affine import row_major
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import contract_direct_plan
from flambeau.ops._convolution_lowering import Geometry, lower_input

Shape = tuple[int, ...]
CASES: dict[str, tuple[Shape, Shape, Shape, Geometry]] = {  # images, weight, result's gradient, geometry
    "direct": ((1, 16, 11, 35), (4, 16, 5, 7), (1, 4, 7, 23), Geometry((2, 1), ((3, 3), (0, 0)), (1, 2), 1)),
    "in lanes": ((4, 5, 4, 12), (5, 1, 2, 7), (4, 5, 2, 10), Geometry((3, 1), ((1, 1), (2, 2)), (1, 1), 5)),
}


@pytest.mark.parametrize("dtype", [dt.float32, dt.float64])
@pytest.mark.parametrize("name", CASES)
def test_parts_of_vectors_that_are_padding_are_not_read(
    monkeypatch: pytest.MonkeyPatch, name: str, dtype: dt.dtype
) -> None:
    """Rows of the images begin or end with whole parts of a vector outside of them."""
    monkeypatch.setattr(contract_direct_plan, "LEAST", 1)
    images, weight, result, geometry = CASES[name]
    b = Builder()
    y, w = [b.input(k, s, dtype, (row_major(s), 0)) for k, s in enumerate((result, weight))]
    b.f.outputs = [lower_input(b, y, w, images[2:], geometry)]
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal(prod(v.shape)).astype(dtype.name) for v in (y, w)]
    found = native(b.f, arrays, pool=pool_for("avx512"))[0]
    np.testing.assert_allclose(found, on_numpy(b.f, arrays, [])[0].ravel(), rtol=1e-4, atol=1e-4)
