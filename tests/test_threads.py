"""Several Python threads: training loops side by side, tensors that cross threads while pending."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch


def train(seed: int, steps: int = 30) -> tuple[float, list[Any]]:
    """Trains a small network; its last loss and parameters."""
    draw = torch.Generator().manual_seed(seed)
    w = torch.randn(20, 10, generator=draw).requires_grad_()
    v = torch.randn(10, 1, generator=draw).requires_grad_()
    x, y = torch.randn(64, 20, generator=draw), torch.randn(64, 1, generator=draw)
    optimizer = torch.optim.SGD([w, v], lr=0.01, momentum=0.9)
    for step in range(steps):
        optimizer.zero_grad()
        loss = ((torch.tanh(x @ w) @ v - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        if step % 7 == 0:
            loss.item()
    return loss.item(), [w.tolist(), v.tolist()]


def in_thread(f: Callable[[], Any]) -> Any:
    """The result of ``f`` run in a thread of its own."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(f()))
    thread.start()
    thread.join()
    return results[0]


def test_training_loops_side_by_side_give_the_same_bits() -> None:
    expected = [train(seed) for seed in range(4)]
    found: dict[int, Any] = {}

    def run(seed: int) -> None:
        found[seed] = train(seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(4)] == expected


def test_a_pending_tensor_crosses_into_a_thread() -> None:
    a = torch.ones(3) * 2
    assert in_thread(lambda: (a + 1).tolist()) == [3.0] * 3
    assert (a * 2).tolist() == [4.0] * 3


def test_a_pending_tensor_outlives_its_thread() -> None:
    a = in_thread(lambda: torch.ones(2) * 5)
    assert (a + 1).tolist() == [6.0] * 2


def test_grad_mode_belongs_to_the_thread() -> None:
    with torch.no_grad():
        assert in_thread(torch.is_grad_enabled)
        assert not torch.is_grad_enabled()


def test_backward_in_another_thread() -> None:
    w = torch.ones(2, requires_grad=True)
    loss = (w * w).sum()
    in_thread(loss.backward)
    assert w.grad.tolist() == [2.0, 2.0]


FORKS = """
import os, threading
import flambeau as torch

def step(w, x):
    ((torch.tanh(x @ w) + torch.rand(2)) ** 2).sum().backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w.grad = None

def child():
    w, x = torch.ones(3, 2, requires_grad=True), torch.ones(4, 3)
    torch.manual_seed(0)
    step(w, x)
    w.sum().item()
    return w.tolist()

def forks(ends):
    for _ in range(8):
        pid = os.fork()
        if not pid:
            os._exit(child() != expected)
        ends.append(os.waitpid(pid, 0)[1])

expected = child()
FIRST
ends = []
thread = threading.Thread(target=forks, args=(ends,))
thread.start()
w, x = torch.zeros(3, 2, requires_grad=True), torch.ones(4, 3)
while thread.is_alive():
    step(w, x)
    w.sum().item()
thread.join()
print(ends == [0] * 8, bool(w.isfinite().all()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("first", ["", "threading.Thread(target=child).start()"], ids=["first to record", "one more"])
def test_a_thread_forks_while_another_trains(first: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKS.replace("FIRST", first)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (found.stdout, found.stderr) == ("True True\n", "")
