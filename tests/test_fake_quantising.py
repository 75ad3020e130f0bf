"""Numbers rounded to what few bits can hold. Expected values and texts are PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch

INF, NAN = float("inf"), float("nan")
X = torch.tensor([[INF, NAN, -6.54, 1.7], [-3.3, -INF, 1.21, 1e20]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("of_tensors", [False, True])
def test_one_scale(dtype: Any, of_tensors: bool) -> None:
    x = X.clamp(-60000, 60000).to(dtype).requires_grad_()
    scale, zero = (torch.tensor(0.5), torch.tensor(3, dtype=torch.int32)) if of_tensors else (0.5, 3)
    y = torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, 15)
    assert y.dtype is dtype and y.tolist() == [[6, -1.5, -1.5, 1.5], [-1.5, -1.5, 1, 6]]
    kind = "TensorQparams" if of_tensors else ""
    assert y.grad_fn.name() == f"FakeQuantizePerTensorAffineCachemask{kind}Backward0"
    y.backward(torch.ones_like(y))
    assert x.grad is not None and x.grad.tolist() == [[0, 0, 0, 1], [0, 0, 1, 0]]


def test_halves_go_to_even_and_rounding_is_that_of_a_product() -> None:
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5])
    assert torch.fake_quantize_per_tensor_affine(x, 1.0, 1, -10, 10).tolist() == [0, 2, 2, 0, -2]
    assert torch.fake_quantize_per_tensor_affine(torch.zeros(0, 3), 0.1, 0, 0, 9).shape == (0, 3)


@pytest.mark.parametrize(("axis", "integers"), [(1, True), (1, False), (0, True)])
def test_a_scale_for_each_channel(axis: int, integers: bool) -> None:
    x = X.requires_grad_()
    n = x.shape[axis]
    scale = torch.tensor([0.5, 1.0, 2.0, 0.25][:n])
    zero = torch.tensor([0, 1, 2, 3][:n], dtype=torch.int32)
    y = torch.fake_quantize_per_channel_affine(x, scale, zero if integers else zero + 0.5, axis, 0, 7)
    expected = {
        (1, True): [[0, -1, -4, 1], [0, -1, 2, -0.75]],
        (1, False): [[-0.25, -1.5, -5, 0.875], [-0.25, -1.5, 1, -0.875]],
        (0, True): [[0, 0, 0, 1.5], [-1, -1, 1, -1]],
    }[axis, integers]
    assert y.tolist() == expected and y.grad_fn.name() == "FakeQuantizePerChannelAffineCachemaskBackward0"
    (g,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert g.tolist() == ([[0, 0, 0, 0], [0, 0, 1, 0]] if axis == 1 else [[0, 0, 0, 1], [0, 0, 1, 0]])


B, ONES, ZEROS = torch.ones(2, 4), torch.ones(4), torch.zeros(4, dtype=torch.int32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: torch.fake_quantize_per_tensor_affine(B, 0.1, 0, 5, 2), RuntimeError, "`quant_min` should be less th"),
        (lambda: torch.fake_quantize_per_tensor_affine(B, 0.1, 300, 0, 255), RuntimeError, "`zero_point` must be betw"),
        (
            lambda: torch.fake_quantize_per_tensor_affine(B.long(), 0.1, 0, 0, 9),
            NotImplementedError,
            "\"fake_quantize_tensor_cachemask_kernel_type_handling\" not implemented for 'Long'",
        ),
        (
            lambda: torch.fake_quantize_per_tensor_affine(B, torch.ones(2), torch.zeros(2), 0, 9),
            RuntimeError,
            "a Tensor with 2 elements cannot be converted to Scalar",
        ),
        (
            lambda: torch.fake_quantize_per_tensor_affine(B, torch.ones((), requires_grad=True), torch.zeros(()), 0, 9),
            RuntimeError,
            "is not differentiable with respect to argument 'scale'",
        ),
        (lambda: torch.fake_quantize_per_channel_affine(B, ONES, ZEROS, 2, 0, 9), IndexError, r"range of \[-2, 1\]"),
        (lambda: torch.fake_quantize_per_channel_affine(B, ONES, ZEROS, 0, 0, 9), RuntimeError, "not consistent with"),
        (lambda: torch.fake_quantize_per_channel_affine(B, ONES, ZEROS, -1, 0, 9), RuntimeError, "`axis` must be betw"),
        (lambda: torch.fake_quantize_per_channel_affine(B, ONES, ZEROS[:3], 1, 0, 9), RuntimeError, "same dimensions"),
        (lambda: torch.fake_quantize_per_channel_affine(B, ONES, ZEROS.long(), 1, 0, 9), RuntimeError, "found Long"),
        (lambda: torch.fake_quantize_per_channel_affine(B, ONES.double(), ZEROS, 1, 0, 9), RuntimeError, "Double"),
        (lambda: torch.fake_quantize_per_channel_affine(B, ONES, ZEROS + 99, 1, 0, 9), RuntimeError, "`zero_point` mu"),
    ],
)  # fmt: skip
def test_errors(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()
