"""Numbers may be given as tensors without dimensions, as PyTorch takes them, and as NumPy's integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flambeau as torch
import flambeau.nn.functional as F

IMAGE = "torch.arange(288.0).view(1, 8, 6, 6)"
CALLS = [
    "torch.linspace(0, 3, n(4))",
    "torch.logspace(0, 3, n(4))",
    "torch.eye(n(3))",
    "torch.arange(6.0).narrow(0, n(2), n(3))",
    "torch.arange(6.0).unsqueeze(n(0))",
    "torch.ones(1, 3).squeeze(n(0))",
    "torch.ones(1, 3).squeeze_(n(0))",
    "torch.arange(6.0).roll(n(2))",
    "torch.arange(6.0).view(2, 3).rot90(n(1))",
    "torch.arange(6.0).view(2, 3).movedim(n(0), n(1))",
    "torch.arange(6.0).diagflat(n(1))",
    "torch.arange(9.0).view(3, 3).std(0, correction=n(2))",
    "torch.arange(9.0).view(3, 3).matrix_power(n(2))",
    "torch.arange(6.0).clamp(0, n(2))",
    "torch.arange(6).clamp(n(2), 3.5)",
    "torch.polygamma(n(1), torch.ones(2))",
    "torch.fft.fft(torch.arange(6.0), n(4))",
    "torch.fft.fftshift(torch.arange(6.0), n(0))",
    "F.smooth_l1_loss(torch.ones(3), torch.zeros(3), beta=n(2))",
    f"F.conv2d({IMAGE}, torch.ones(4, 4, 3, 3), padding=n(1), groups=n(2))",
    f"F.conv2d({IMAGE}, torch.ones(4, 8, 3, 3), stride=(n(1), 2))",
    f"F.conv_transpose2d({IMAGE}, torch.ones(8, 4, 3, 3), stride=n(2))",
    f"F.max_pool2d({IMAGE}, n(2))",
    f"F.avg_pool2d({IMAGE}, (n(2), 3))",
    f"F.adaptive_avg_pool2d({IMAGE}, n(2))",
    f"F.unfold({IMAGE}, np.int64(2))",
    f"F.group_norm({IMAGE}, n(2))",
    f"F.pixel_shuffle({IMAGE}, n(2))",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_number_may_be_a_tensor(call: str) -> None:
    def value(n: object) -> torch.Tensor:
        return eval(call, {"torch": torch, "F": F, "np": np, "n": n})

    expected = value(int)
    for given in (torch.tensor, np.int64):
        assert torch.equal(value(given), expected)


def test_the_value_counts_that_a_tensor_has_at_the_call() -> None:
    step, x = torch.tensor(1), torch.arange(6.0)
    first = x.narrow(0, step, 2)
    step += 2
    assert first.tolist() == [1, 2]
    assert x.narrow(0, step, 2).tolist() == [3, 4]
    beta = torch.tensor(1.0)
    losses = []
    for _ in range(3):
        losses.append(F.smooth_l1_loss(x, -x, beta=beta).item())
        beta *= 2
    assert losses == [F.smooth_l1_loss(x, -x, beta=b).item() for b in (1.0, 2.0, 4.0)]


def test_gradients_keep_the_value_of_the_call() -> None:
    size, x = torch.tensor(2), torch.arange(4.0, requires_grad=True)
    y = x.narrow(0, 0, size)
    size += 1
    y.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1, 1, 0, 0]


def test_several_elements_are_no_number() -> None:
    with pytest.raises(TypeError, match="only integer tensors of a single element can be converted to an index"):
        torch.linspace(0, 3, torch.tensor([4, 5]))
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        F.max_pool2d(torch.ones(1, 4, 4), (2.5, 2))


@pytest.mark.parametrize("length", [torch.tensor(5), np.int64(5)], ids=["tensor", "numpy"])
def test_a_length_may_be_an_integer_of_another_kind(length: Any) -> None:
    assert torch.hann_window(length).tolist() == pytest.approx([0.0, 0.3455, 0.9045, 0.9045, 0.3455], abs=1e-4)
    assert torch.kaiser_window(length, beta=5.0).tolist() == torch.kaiser_window(5, beta=5.0).tolist()
    assert torch.bartlett_window(length).tolist() == pytest.approx([0.0, 0.4, 0.8, 0.8, 0.4])
    assert torch.fft.fftfreq(length).tolist() == pytest.approx([0.0, 0.2, 0.4, -0.4, -0.2])


@pytest.mark.parametrize("length", [5.0, None, torch.tensor(5.0)], ids=str)
def test_a_length_is_an_integer(length: Any) -> None:
    kind = type(length).__name__
    for call, argument in ((torch.hann_window, "window_length"), (torch.fft.fftfreq, "n")):
        with pytest.raises(TypeError, match=rf"argument '{argument}' \(position 1\) must be int, not {kind}$"):
            call(length)
