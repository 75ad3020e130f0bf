"""Products of integers on NumPy: exact, and modulo 2^n where sums do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from flambeau.compiler import numpy_contract
from flambeau.compiler.numpy_contract import contract


@pytest.mark.parametrize("dt", [np.int8, np.uint8, np.int32, np.int64, np.bool_])
@pytest.mark.parametrize("most", [1, 2**20, 2**40])
@pytest.mark.parametrize("few", [0, 1 << 60])
def test_products_of_integers_are_exact(dt: type, most: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_contract, "MANY", few)
    rng = np.random.default_rng(0)
    a, b = [rng.integers(-most, most + 1, shape).astype(dt) for shape in ((3, 9, 14), (3, 14, 5))]
    a, b = a[:, ::2], b[..., ::2]
    found = contract(("abc", "acd", "abd"), a, b)
    expected = np.zeros(found.shape, object)
    for x, y, r in zip(a.astype(object), b.astype(object), expected):
        r[...] = np.dot(x, y)
    if dt is np.bool_:
        expected = expected != 0
    elif np.dtype(dt).kind == "i":
        bits = 8 * np.dtype(dt).itemsize
        expected = (expected + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    else:
        expected %= 256
    assert found.dtype == dt and np.array_equal(found, expected.astype(dt))


def test_products_of_nothing_are_zero() -> None:
    found = contract(("ab", "bc", "ac"), np.zeros((2, 0), np.int64), np.zeros((0, 3), np.int64))
    assert found.tolist() == [[0, 0, 0], [0, 0, 0]]
