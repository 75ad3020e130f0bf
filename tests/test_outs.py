"""Outputs whose dtype does not do are refused, in PyTorch's words."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch

X = torch.arange(6.0).reshape(2, 3)
DOUBLE = "Expected out tensor to have dtype float, but got double instead"
INDICES = "Expected out tensor to have dtype long int, but got int instead"


def zeros(dtype: Any, *size: int) -> Any:
    return torch.zeros(size, dtype=dtype)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "cumsum", "cumprod"])
def test_a_dtype_that_is_not_the_outputs(name: str) -> None:
    size = (2, 3) if name.startswith("cum") else (3,)
    with pytest.raises(RuntimeError, match=DOUBLE):
        getattr(torch, name)(X, 0, dtype=torch.float32, out=zeros(torch.float64, *size))
    out = zeros(torch.float64, *size)
    assert getattr(torch, name)(X, 0, dtype=torch.float64, out=out) is out
    assert torch.equal(out, getattr(torch, name)(X.double(), 0))


def test_sums_without_nan() -> None:
    with pytest.raises(RuntimeError, match="provided dtype must match dtype of result. Got Double and Float"):
        torch.nansum(X, 0, dtype=torch.float32, out=zeros(torch.float64, 3))


@pytest.mark.parametrize("name", ["all", "any"])
def test_decisions_are_bool_or_bytes(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"{name} only supports bool tensor for result, got: Float"):
        getattr(torch, name)(X, 0, out=zeros(torch.float32, 3))
    for dtype in (torch.bool, torch.uint8):
        out = zeros(dtype, 3)
        getattr(torch, name)(X, 0, out=out)
        assert out.tolist() == getattr(torch, name)(X, 0).tolist()


@pytest.mark.parametrize(
    ("name", "values", "indices"),
    [
        ("max", DOUBLE, INDICES),
        ("min", DOUBLE, INDICES),
        ("cummax", DOUBLE, INDICES),
        ("sort", DOUBLE, INDICES),
        ("mode", "expected scalar type 'Float' but got 'Double' for values output",
         "expected scalar type 'Long' but got 'Int' for indices output"),
    ],
)  # fmt: skip
def test_values_and_indices(name: str, values: str, indices: str) -> None:
    whole = name in ("cummax", "sort")
    size, f = (2, 3) if whole else (2,), getattr(torch, name)
    for dtypes, message in (((torch.float64, torch.int64), values), ((torch.float32, torch.int32), indices)):
        with pytest.raises(RuntimeError) as caught:
            f(X, 1, out=tuple([zeros(d, *size) for d in dtypes]))
        assert str(caught.value) == message
    out = zeros(torch.float32, *size), zeros(torch.int64, *size)
    f(X, 1, out=out)
    assert torch.equal(out[1], f(X, 1).indices)


def test_other_indices() -> None:
    out = zeros(torch.float32, 2), zeros(torch.int32, 2)
    with pytest.raises(RuntimeError, match="output indices must be of scalar type Long"):
        torch.kthvalue(X, 1, 1, out=out)
    with pytest.raises(TypeError, match="must be int, not bool"):
        torch.topk(X, 1, True)


def test_bounds_that_are_tensors_promote_as_operands_do() -> None:
    x, out = torch.tensor([1, 2, 3], dtype=torch.int32), zeros(torch.float32, 3)
    assert torch.clamp_min(x, torch.tensor(2), out=out) is out
    assert out.tolist() == [2.0, 2.0, 3.0]
    with pytest.raises(RuntimeError, match="Found dtype Float but expected Int"):
        torch.clamp_min(x, 2, out=out)


def test_the_quotient_of_two_numbers_is_a_tensor() -> None:
    assert repr(torch.floor_divide(7, 2)) == "tensor(3)"
    assert repr(torch.floor_divide(5.0, 2.0)) == "tensor(2.)"
