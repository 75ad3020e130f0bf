"""Convolutions of no channels, no samples and no places: shapes, gradients and errors are PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
import flambeau.nn.functional as F


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_channels(n: int, groups: int) -> None:
    x = torch.ones((2, 0) + (5,) * n, requires_grad=True)
    w, b = torch.ones((4, 0) + (3,) * n, requires_grad=True), torch.ones(4, requires_grad=True)
    conv: Any = getattr(F, f"conv{n}d")
    y = conv(x, w, b, groups=groups)
    assert y.shape == (2, 0) + (3,) * n
    y.sum().backward()
    assert (x.grad.shape, w.grad.shape) == (x.shape, w.shape)
    assert b.grad.tolist() == [0.0] * 4
    assert conv(x, w, padding="same", groups=groups).shape == x.shape


def test_no_channels_without_a_batch() -> None:
    assert F.conv2d(torch.ones(0, 5, 5), torch.ones(3, 0, 3, 3)).shape == (0, 3, 3)


def test_no_samples() -> None:
    w, b = torch.ones(3, 2, 3, 3, requires_grad=True), torch.ones(3, requires_grad=True)
    y = F.conv2d(torch.ones(0, 2, 5, 5), w, b)
    assert y.shape == (0, 3, 3, 3)
    y.sum().backward()
    assert not w.grad.any()
    assert not b.grad.any()


@pytest.mark.parametrize(("n", "shown"), [(1, "[2, 3, 1, 0]"), (2, "[2, 3, 0, 0]"), (3, "[2, 3, 0, 0, 0]")])
def test_transposed_of_no_places(n: int, shown: str) -> None:
    with pytest.raises(RuntimeError) as e:
        getattr(F, f"conv_transpose{n}d")(torch.ones((2, 3) + (0,) * n), torch.ones((3, 3) + (3,) * n))
    assert str(e.value) == f"Only zero batch or zero channel inputs are supported, but got input shape: {shown}"
