"""Floats of 8 bits: conversions, storing and moving; golden codes are PyTorch's."""

from __future__ import annotations

import io
from typing import Any

import pytest

import flambeau as torch

BOTH = pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
INF = float("inf")


def codes(x: torch.Tensor) -> Any:
    return x.view(torch.uint8).tolist()


def test_rounding_and_what_is_too_large() -> None:
    x = torch.tensor([0.3, -7.3, 1e-3, 448.0, 464.1, 1e6, -INF, float("nan"), 61439.0, 61440.0, 3 * 2.0**-10, 1e-9])
    assert codes(x.to(torch.float8_e4m3fn)) == [42, 207, 1, 126, 126, 126, 254, 127, 126, 126, 2, 0]
    assert codes(x.to(torch.float8_e5m2)) == [53, 199, 20, 95, 95, 124, 252, 127, 123, 124, 26, 0]
    assert codes(x.double().to(torch.float8_e5m2)) == codes(x.to(torch.float8_e5m2))


@BOTH
def test_every_code_comes_back(dtype: torch.dtype) -> None:
    x = torch.arange(256, dtype=torch.uint8).view(dtype)
    known = ~x.float().isnan()
    assert torch.equal(x.float().to(dtype).view(torch.uint8)[known], x.view(torch.uint8)[known])


@BOTH
def test_numbers_are_written_and_moved(dtype: torch.dtype) -> None:
    x = torch.zeros(6, dtype=dtype)
    x[1] = 0.3
    x[2:4] = torch.tensor(-0.25)
    x[4:].fill_(2)
    third = torch.tensor(0.3, dtype=dtype).item()
    assert x.tolist() == [0.0, third, -0.25, -0.25, 2.0, 2.0]
    assert torch.cat([x[::2], x[1:2]]).clone().float().tolist() == pytest.approx([0.0, -0.25, 2.0, third])
    assert torch.full((2,), -0.25, dtype=dtype).to(torch.bfloat16).tolist() == [-0.25, -0.25]


@BOTH
def test_views_are_still_views_when_loaded(dtype: torch.dtype) -> None:
    x = torch.arange(0.0, 10.0).to(dtype)
    file = io.BytesIO()
    torch.save({"all": x, "even": x[::2]}, file)
    file.seek(0)
    loaded = torch.load(file)
    loaded["even"][0] = torch.tensor(-0.25, dtype=dtype)
    assert loaded["all"].tolist() == [-0.25, *x.tolist()[1:]]


@BOTH
def test_numpy_has_no_such_numbers(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match="Got unsupported ScalarType Float8_"):
        torch.zeros(1, dtype=dtype).numpy()


@BOTH
def test_other_dtypes_are_not_promoted(dtype: torch.dtype) -> None:
    x = torch.zeros(2, dtype=dtype)
    name = {torch.float8_e4m3fn: "Float8_e4m3fn", torch.float8_e5m2: "Float8_e5m2"}[dtype]
    for call in (lambda: torch.promote_types(dtype, torch.float32), lambda: torch.cat([x, torch.zeros(2)])):
        with pytest.raises(RuntimeError) as caught:
            call()
        assert str(caught.value) == (
            f"Promotion for Float8 Types is not supported, attempted to promote {name} and Float"
        )
    assert torch.promote_types(dtype, dtype) is torch.result_type(x, torch.tensor(1.0)) is dtype
