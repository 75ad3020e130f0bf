"""Calls that PyTorch refuses, found by the errors of its operator database, are refused in its words."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch

F = torch.nn.functional
NO_DIMS = "Dimension specified as 0 but tensor has no dimensions"
PERMUTED = (
    "Dimension out of range (expected to be between 0 and 0, but got 3 at index 0).  NB: negative dims not currently "
    "supported; file an issue if you want it."
)

CASES: list[tuple[Any, type[Exception], str]] = [
    (lambda: torch.cov(torch.ones(3), fweights=torch.tensor([1, -1, 2])), RuntimeError,
     "cov(): fweights cannot be negative"),
    (lambda: torch.cov(torch.ones(3), aweights=torch.tensor([1.0, -1, 2])), RuntimeError,
     "cov(): aweights cannot be negative"),
    (lambda: torch.tensor([1, 2]).masked_fill(torch.tensor(True), torch.tensor(1 + 2j)), RuntimeError,
     "value cannot be converted to type int64_t without overflow"),
    (lambda: torch.roll(torch.tensor(1.0), 0, 0), IndexError, NO_DIMS),
    (lambda: torch.fft.fft2(torch.tensor(1.0), dim=[0]), IndexError, NO_DIMS),
    (lambda: torch.empty_permuted([2], [3]), RuntimeError, PERMUTED),
    (lambda: torch.empty_permuted([2, 3], [0, 0]), RuntimeError, "Duplicate dim not allowed"),
    (lambda: torch.multinomial(torch.ones(2**24 + 1), 3), RuntimeError, "number of categories cannot exceed 2^24"),
    (lambda: torch.linspace(torch.zeros(2), torch.zeros(1, 2), 2), RuntimeError,
     "linspace only supports 0-dimensional start and end tensors, but got start with 1 dimension(s) and end with 2 "
     "dimension(s)."),
    (lambda: torch.narrow_copy(torch.zeros(3), 0, -1, -1), RuntimeError,
     "start (2) + length (-1) exceeds dimension size (3)."),
    (lambda: F.adaptive_avg_pool2d(torch.zeros(2, 2), [2, 2]), ValueError, "Input dimension should be at least 3"),
    (lambda: F.adaptive_avg_pool2d(torch.zeros(2, 2), 2), RuntimeError,
     "adaptive_avg_pool2d(): Expected 3D or 4D tensor, but got [2, 2]"),
    (lambda: F.adaptive_max_pool3d(torch.zeros(2, 2, 2), [2, 2, 2]), ValueError,
     "Input dimension should be at least 4"),
    (lambda: F.adaptive_max_pool1d(torch.zeros(1, 2, 3), []), RuntimeError,
     "adaptive_max_pool1d() argument 'output_size' should contain one int (got 0)"),
    (lambda: torch.signal.windows.blackman(-1), ValueError,
     "blackman requires non-negative window length, got M=-1"),
    (lambda: torch.signal.windows.hann(-1), ValueError,
     "general_cosine requires non-negative window length, got M=-1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), CASES)
def test_a_call_is_refused(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert str(caught.value) == message


def test_a_ranking_of_integers_is_a_float() -> None:
    x, y, target = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1], [2]]), torch.tensor([[1], [1]])
    loss = F.margin_ranking_loss(x, y, target, margin=1)
    assert loss.dtype is torch.float32
    assert loss.item() == 0.25
    assert F.margin_ranking_loss(x, y, target, margin=1, reduction="none").tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_strides_of_a_scatter_are_those_of_the_memory() -> None:
    x = torch.arange(18.0).reshape(3, 6)[:, ::2]
    y = torch.as_strided_scatter(x, torch.full((2, 2), -1.0), (2, 2), (1, 2), 1)
    assert y.tolist() == [[0.0, -1.0, -1.0], [6.0, 8.0, 10.0], [12.0, 14.0, 16.0]]
    assert y.stride() == (6, 2)
    assert x[0, 1] == 2
