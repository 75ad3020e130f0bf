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


def test_types_of_python_are_dtypes() -> None:
    assert repr(torch.finfo(float)) == repr(torch.finfo(torch.float64)) == repr(torch.finfo(complex))
    assert torch.iinfo(int) == torch.iinfo(torch.int64)
    assert torch.promote_types(float, torch.float32) is torch.float64
    assert torch.can_cast(int, torch.float32)
    assert torch.linalg.norm(torch.ones(2), dtype=float).dtype is torch.float64
    assert torch.nn.Linear(2, 2).to(float).weight.dtype is torch.float64
    assert torch.nn.Linear(2, 2).to(dtype=float).bias.dtype is torch.float64
    assert torch.nn.Linear(2, 2).to("cpu", float).bias.dtype is torch.float64
    with pytest.raises(TypeError, match="only accepts floating point or complex dtypes"):
        torch.nn.Linear(2, 2).to(int)
    with pytest.raises(TypeError, match="must be torch.dtype"):
        torch.finfo(str)
    with pytest.raises(TypeError, match="torch.bool is not supported by torch.iinfo"):
        torch.iinfo(bool)


def test_resolution_is_a_power_of_ten() -> None:
    assert torch.finfo(torch.float32).resolution == 1e-06
    assert torch.finfo(torch.float16).resolution == 1e-03
