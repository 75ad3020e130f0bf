"""Padding with elements of the input, against NumPy's ``pad``."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as torch
from flambeau.compiler.builder import Builder
from flambeau.ops.padding import COPIED

NUMPY = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", NUMPY)
@pytest.mark.parametrize("amounts", [(2, 3), (0, 2), (1, 0), (2, 1, 0, 3), (1, 1, 2, 2), (4, 4, 1, 0)])
def test_what_is_padded_is_what_numpy_pads(mode: str, amounts: tuple[int, ...]) -> None:
    x = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    if len(amounts) == 2:
        x = x.reshape(6, 4, 5)
    pairs = [(0, 0)] * (x.ndim - len(amounts) // 2) + [(a, b) for a, b in zip(amounts[::2], amounts[1::2])][::-1]
    expected = np.pad(x.numpy(), pairs, mode=NUMPY[mode])  # type: ignore[call-overload]
    assert np.array_equal(torch.nn.functional.pad(x, amounts, mode=mode).numpy(), expected)
    across = x.transpose(-1, -2).contiguous().transpose(-1, -2)
    assert np.array_equal(torch.nn.functional.pad(across, amounts, mode).numpy(), expected)


@pytest.mark.parametrize("mode", NUMPY)
def test_no_place_along_a_row_is_looked_up(mode: str) -> None:
    b = Builder()
    x = b.input(0, (2, 3, 4, 5), torch.float32, ((60, 20, 5, 1), 0))
    COPIED[mode, 2].lower(b, (mode, (1, 2, 2, 1)), x)
    assert [v.params for v in b.f.values if v.kind == "gather"] == [2]
