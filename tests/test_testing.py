"""``torch.testing``: ``assert_close`` and ``make_tensor``, messages and values as PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flambeau as torch

T = torch.tensor
UP_TO = "(up to 1e-05 allowed)"
WRONG = [
    (
        (T([1.0, 2, 3]), T([1.0, 2, 4])),
        {},
        "Tensor-likes are not close!\n\nMismatched elements: 1 / 3 (33.3%)\nGreatest absolute difference: 1.0 at index "
        f"(2,) {UP_TO}\nGreatest relative difference: 0.25 at index (2,) (up to 1.3e-06 allowed)",
    ),
    (
        ({"a": [T(1.0)]}, {"a": [T(2.0)]}),
        {},
        f"Scalars are not close!\n\nExpected 2.0 but got 1.0.\nAbsolute difference: 1.0 {UP_TO}\nRelative difference: "
        "0.5 (up to 1.3e-06 allowed)\n\nThe failure occurred for item ['a'][0]",
    ),
    ((1, 2), {}, "Scalars are not equal!\n\nExpected 2 but got 1.\nAbsolute difference: 1\nRelative difference: 0.5"),
    (([1], [1, 2]), {}, "The length of the sequences mismatch: 1 != 2"),
    ((True, False), {}, "Booleans mismatch: True is not False"),
    ((1, 1.0), {}, "The (d)types do not match: <class 'int'> != <class 'float'>."),
    (
        (torch.ones(2, 3).t(), torch.ones(3, 2)),
        {"check_stride": True},
        "The values for attribute 'stride()' do not match: (1, 3) != (2, 1).",
    ),
    (
        (T([float("nan")]), T([float("nan")])),
        {},
        "Tensor-likes are not close!\n\nMismatched elements: 1 / 1 (100.0%)\nGreatest absolute difference: nan at "
        f"index (0,) {UP_TO}\nGreatest relative difference: nan at index (0,) (up to 1.3e-06 allowed)",
    ),
    ((1.0, 2.0), {"msg": lambda text: text[:7] + "!"}, "Scalars!"),
    ((None, 1), {}, "None mismatch: None is not 1"),
]


@pytest.mark.parametrize(("pair", "options", "message"), WRONG, ids=[str(k) for k in range(len(WRONG))])
def test_differences(pair: Any, options: Any, message: str) -> None:
    with pytest.raises(AssertionError) as caught:
        torch.testing.assert_close(*pair, **options)
    assert str(caught.value) == message


def test_equal_things() -> None:
    torch.testing.assert_close([1.0], (1.0,))
    torch.testing.assert_close(T([1.0]), T([1]), check_dtype=False)
    torch.testing.assert_close(T([1.0]), T([1.1]), rtol=0.2, atol=0)
    torch.testing.assert_close(np.ones(2), np.ones(2))
    torch.testing.assert_close(torch.empty(0), torch.empty(0))
    torch.testing.assert_close(T([1.0], dtype=torch.float64), T([1 + 1e-8], dtype=torch.float64))
    with pytest.raises(TypeError, match="No comparison pair"):
        torch.testing.assert_close(T([1.0]), 1.0)


VALUES = [
    ("float32", [-0.06738138198852539, 4.8279924392700195, -7.407406330108643]),
    ("int64", [6, -5, -9]),
    ("bool", [False, True, True]),
    ("bfloat16", [-0.0673828125, 4.8125, -7.40625]),
]


@pytest.mark.parametrize(("dtype", "values"), VALUES, ids=[row[0] for row in VALUES])
def test_made_values(dtype: str, values: Any) -> None:
    torch.manual_seed(0)
    assert torch.testing.make_tensor((3,), dtype=getattr(torch, dtype), device="cpu").tolist() == values


def test_made_layouts() -> None:
    x = torch.testing.make_tensor(2, 4, dtype=torch.float32, device="cpu", noncontiguous=True, requires_grad=True)
    assert x.shape == (2, 4) and x.stride() == (8, 2) and x.requires_grad
    y = torch.testing.make_tensor(50, dtype=torch.uint8, device="cpu", low=0, high=2, exclude_zero=True)
    assert y.tolist() == [1] * 50
    wide = torch.testing.make_tensor(50, dtype=torch.uint8, device="cpu", low=-9, high=300)
    assert int(wide.max()) > 10
    assert set(torch.testing.make_tensor(50, dtype=torch.bool, device="cpu", low=-9, high=9).tolist()) == {False, True}
    z = torch.testing.make_tensor(3, dtype=torch.complex64, device="cpu", low=1, high=2)
    assert bool((z.real >= 1).all()) and bool((z.imag < 2).all())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": torch.int64, "low": 3, "high": 2}, "`low` must be less than `high`, but got 3 >= 2"),
        (
            {"dtype": torch.int64, "requires_grad": True},
            "`requires_grad=True` is not supported for boolean and integral",
        ),
        (
            {"dtype": torch.uint8, "low": -9, "high": -1},
            "The value interval specified by `low` and `high` is [-9, -1), but torch.uint8 only supports [0, 256)",
        ),
        ({"dtype": torch.float32, "low": float("nan")}, "`low` and `high` cannot be NaN, but got low=nan and high=9"),
    ],
)
def test_wrong_bounds(options: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        torch.testing.make_tensor(2, device="cpu", **options)
    assert str(caught.value).startswith(message)
