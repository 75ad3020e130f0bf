"""Programs that native code once got wrong or refused, shrunk; the NumPy executor says what is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import _execution
from flambeau.graph import realisation


def gather_after_flip() -> Any:
    t = (torch.full((2, 1, 3), 0.5) * 2).transpose(0, -1)
    flipped = (t * t).flip(2).contiguous()
    (row,) = torch.unbind(flipped, -2)
    return row + flipped.index_select(-1, torch.tensor([0, 1]))[:, 0]


def gather_of_gather_scanned() -> Any:
    t = -torch.arange(4.0).reshape(1, 4)
    picked = t.index_select(-2, torch.tensor([0, 0, 0]))[torch.tensor([2, 1, 2])]
    return picked.cumsum_(0)


def embedding_under_convolution() -> Any:
    torch.manual_seed(0)
    table, kernel = torch.randn(50, 30), torch.randn(20, 30, 3)
    mask = (torch.arange(7 * 12 * 30).reshape(7, 12, 30) % 3 > 0).float()
    rows = F.embedding(torch.arange(84).reshape(7, 12) % 50, table)
    return F.conv1d((rows * mask).transpose(2, 1).contiguous(), kernel, padding=1)


def convolution_of_a_constant() -> Any:
    torch.manual_seed(0)
    return F.conv2d(torch.ones(2, 3, 8, 8), torch.randn(4, 3, 3, 3), padding=1)


def input_gradient_of_a_sum() -> Any:
    torch.manual_seed(0)
    x = torch.randn(3, 3, 9, requires_grad=True)
    F.conv1d(x, torch.randn(6, 3, 3), padding=1).sum().backward()
    return x.grad


def padding_of_padding() -> Any:
    torch.manual_seed(0)
    return F.conv2d(F.pad(torch.randn(2, 3, 8, 8), (1, 2, 1, 0)), torch.randn(4, 3, 3, 3), padding=1)


def sum_of_many() -> Any:
    """As deep as Python's stack: what walked through one kernel's expressions, or through writes, ran out of it."""
    torch.manual_seed(0)
    y = torch.zeros(4)
    for row in torch.randn(1100, 4):
        y = y + row
    return y


def stack_of_many() -> Any:
    torch.manual_seed(0)
    return torch.stack([row.abs() for row in torch.randn(1100, 4)])


FOUND = [gather_after_flip, gather_of_gather_scanned, embedding_under_convolution, convolution_of_a_constant]
FOUND += [input_gradient_of_a_sum, padding_of_padding, sum_of_many, stack_of_many]


@pytest.mark.parametrize("program", FOUND, ids=lambda f: f.__name__)
def test_found(program: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for executor in (_execution.run_on_numpy, _execution.run_compiled):
        monkeypatch.setattr(realisation, "executor", [executor])
        realisation.forget()
        results.append(program().detach().numpy().copy())
    np.testing.assert_allclose(results[1], results[0], rtol=1e-4, atol=1e-5)
