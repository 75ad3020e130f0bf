"""Autocast on the CPU, and the gradient scaler."""

from __future__ import annotations

import pytest

import flambeau as torch

F = torch.nn.functional


def test_dtypes_within_autocast():
    x = torch.randn(4, 4)
    with torch.autocast("cpu"):
        y = x @ x
        assert torch.is_autocast_enabled("cpu")
        assert y.dtype is torch.mm(x, x).dtype is F.linear(x, x).dtype is torch.bfloat16
        assert (y + x).dtype is torch.cat([y, x]).dtype is F.mse_loss(y, x).dtype is torch.float32
        assert (x.double() @ x.double()).dtype is torch.float64
        with torch.autocast("cpu", enabled=False):
            assert (x @ x).dtype is torch.float32
    assert (x @ x).dtype is torch.float32
    assert not torch.is_autocast_enabled("cpu")


def test_gradients_are_in_the_weights_dtype():
    m = torch.nn.Linear(3, 2)
    with torch.autocast("cpu"):
        loss = F.cross_entropy(m(torch.randn(4, 3)), torch.tensor([0, 1, 0, 1]))
    loss.backward()
    assert loss.dtype is m.weight.grad.dtype is torch.float32


def test_scaler_skips_overflow():
    p = torch.nn.Parameter(torch.ones(2))
    optimizer, scaler = torch.optim.SGD([p], lr=1.0), torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale((p * 0.25).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == [0.75, 0.75]
    p.grad = torch.tensor([float("inf"), 1.0])
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == [0.75, 0.75]
    assert scaler.get_scale() == 2.0


def test_cuda_is_disabled_with_a_warning():
    with pytest.warns(UserWarning, match="Disabling"):
        assert not torch.amp.GradScaler().is_enabled()
