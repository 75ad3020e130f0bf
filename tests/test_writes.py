"""Writes in place: what they cost nobody is told, but what they leave behind is PyTorch's."""

from __future__ import annotations

import pytest

import flambeau as torch


def test_a_refused_backward_pass_names_the_line_of_the_last_write() -> None:
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    loss = (y * y).sum()
    y.add_(torch.ones(3))
    line = test_a_refused_backward_pass_names_the_line_of_the_last_write.__code__.co_firstlineno + 4
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as refused:
        loss.backward()
    assert f'last written in place at File "{__file__}", line {line}' in str(refused.value)


def test_an_update_written_out_moves_no_version_that_autograd_sees() -> None:
    w = torch.ones(3, requires_grad=True)
    for _ in range(3):
        (w * torch.arange(3.0)).sum().backward()
        with torch.no_grad():
            before = w.detach().clone()
        w.data.sub_(w.grad.data * 0.5)
        assert w._version == 0
        assert w.tolist() == (before - 0.5 * w.grad).tolist()
        w.grad = None


def test_a_whole_tensor_is_replaced_for_its_later_readers_only() -> None:
    x = torch.arange(4.0)
    read = x + 1
    x.mul_(torch.full((4,), 2.0))
    again = x + 1
    x.sub_(x)
    assert read.tolist() == [1, 2, 3, 4]
    assert again.tolist() == [1, 3, 5, 7]
    assert x.tolist() == [0, 0, 0, 0]
    assert x._version == 2
