"""``torch.dtype``, ``finfo`` and ``iinfo`` beyond what tensors show of them."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch


def test_parts_of_complex_dtypes() -> None:
    pairs = {"float16": "complex32", "float32": "complex64", "float64": "complex128"}
    for real, whole in pairs.items():
        assert getattr(torch, real).to_complex() is getattr(torch, whole)
        assert getattr(torch, whole).to_real() is getattr(torch, real)
        assert getattr(torch, whole).to_complex() is getattr(torch, whole)
    assert torch.bfloat16.to_complex() is torch.complex64
    with pytest.raises(RuntimeError, match="Unknown Complex ScalarType for Char"):
        torch.int8.to_complex()


def test_limits_of_one_dtype_are_equal() -> None:
    assert torch.finfo() == torch.finfo(torch.float32) == torch.finfo(torch.complex64)
    assert torch.iinfo(torch.int8) == torch.iinfo(torch.int8) != torch.iinfo(torch.uint8)
    assert torch.iinfo(torch.int8) != 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: torch.iinfo(torch.bool), "torch.bool is not supported by torch.iinfo"),
        (
            lambda: torch.finfo(3),  # type: ignore[arg-type]
            "argument 'type' (position 1) must be torch.dtype, not int",
        ),
        (
            lambda: torch.iinfo("int8"),  # type: ignore[arg-type]
            "argument 'type' (position 1) must be torch.dtype, not str",
        ),
        (lambda: torch.finfo(torch.int8), "requires a floating point input type"),
    ],
)
def test_refused_limits(call: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        call()
    assert message in str(caught.value)
