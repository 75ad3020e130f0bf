"""Tensors that several processes write: ``share_memory_``, by fork and by sending."""

from __future__ import annotations

import os
import pickle
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest

import flambeau as torch
from flambeau import multiprocessing as mp
from flambeau import nn

FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
SENT = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory has no descriptor")


def in_process(f: Any, *args: Any, method: str = "fork") -> None:
    """Runs ``f`` in another process, to its end."""
    mp.spawn(f, args, start_method=method)


def add_one(i: int, x: Any) -> None:
    x[1:] += 1


def train(i: int, net: Any) -> None:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    optimizer.zero_grad()
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()


@FORK
def test_what_a_forked_process_writes_is_seen() -> None:
    x, own = torch.arange(4.0), torch.arange(4.0)
    assert not x.is_shared()
    assert x.share_memory_() is x
    assert x.is_shared()
    doubled = x * 2
    in_process(add_one, x)
    in_process(add_one, own)
    assert x.tolist() == [0, 2, 3, 4]
    assert doubled.tolist() == [0, 2, 4, 6]
    assert own.tolist() == [0, 1, 2, 3]
    x += 1
    assert x.is_shared()
    assert x[2:].tolist() == [4, 5]


@FORK
def test_processes_train_one_model() -> None:
    net = nn.Linear(3, 1)
    with torch.no_grad():
        net.weight.fill_(0)
    assert net.share_memory() is net
    assert net.weight.is_shared() and net.bias.is_shared()
    for steps in (1, 2):
        in_process(train, net)
        assert net.weight.tolist() == [[-0.5 * steps] * 3]
    train(0, net)
    assert net.weight.tolist() == [[-1.5] * 3]
    in_process(train, net)
    assert net.weight.tolist() == [[-2] * 3]


@SENT
@pytest.mark.slow
def test_what_is_sent_is_the_same_memory() -> None:
    x = torch.arange(6.0).reshape(2, 3).t().share_memory_()
    half = torch.ones(3, dtype=torch.bfloat16).share_memory_()
    p = nn.Parameter(torch.zeros(2)).share_memory_()
    in_process(write_all, x, half, p, method="spawn")
    assert x.tolist() == [[0, 3], [1, 4], [9, 9]]
    assert half.tolist() == [1, 1, 5]
    assert p.tolist() == [3, 3]


def write_all(i: int, x: Any, half: Any, p: Any) -> None:
    assert type(p) is nn.Parameter and p.requires_grad
    x[2] = 9
    half[2] = 5
    with torch.no_grad():
        p.add_(3)


@SENT
def test_what_wants_a_gradient_is_not_sent() -> None:
    y = (torch.ones(2, requires_grad=True) * 2).share_memory_()
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor"):
        mp.reducer.ForkingPickler.dumps(y)


def test_results_that_want_a_gradient_are_not_sent() -> None:
    y = torch.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor"):
        ForkingPickler.dumps(y)
    assert pickle.loads(ForkingPickler.dumps(y.detach())).tolist() == [2.0, 2.0]
