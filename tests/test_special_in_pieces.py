"""Special functions of large arrays, which are computed piece by piece."""

from __future__ import annotations

import numpy as np
import pytest

from flambeau.compiler import numpy_special


def bits(a: np.ndarray) -> bytes:
    """An array's bits, but for the sign of NaN, which NumPy 1.24 leaves to where in memory the array begins."""
    return np.where(np.isnan(a), np.asarray(np.nan, a.dtype), a).tobytes()


@pytest.mark.parametrize("name", ["erf", "erfc", "erfinv", "erfcx"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pieces_have_the_bits_of_the_whole(name: str, dtype: str) -> None:
    f = getattr(numpy_special, name)
    x = np.random.default_rng(0).uniform(-1, 1, (3, 7001)).astype(dtype)
    x[0, :6] = [0.0, -0.0, 1.0, -1.0, 2.0, np.nan]
    with np.errstate(all="ignore"):
        whole = f.__wrapped__(x.astype(np.float64)).astype(dtype)
    found = f(x)
    assert found.shape == x.shape and found.dtype == x.dtype and bits(found) == bits(whole)
    assert f(x[0, 9]).tobytes() == found[0, 9].tobytes()
