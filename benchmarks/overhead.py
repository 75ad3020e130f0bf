"""What the Python side of a training step costs: LeNet, batch 1, SGD with momentum, no executor.

    python -m benchmarks.overhead

prints microseconds a step (median and minimum), what its parts take, and the same for plain networks of growing
depth, in turns, so that a busy minute of the machine meets all alike. A step has a part that does not grow, so what
must stay level is what one more layer costs, from each network to the next deeper one: recording is linear in depth.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import _twins, nn
from flambeau.graph import realisation as realise


class LeNet(nn.Module):
    """The network of the seed documents."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Any) -> Any:
        """(N, 1, 32, 32) -> (N, 10)."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def trainer(net: Any, x: Any, y: Any) -> Callable[[], Any]:
    """One training step as a call."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()

    def step() -> Any:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def without_executor() -> Callable[[], None]:
    """Programs answer with the arrays of their first run; returns a function that undoes it."""
    real = realise.executor[0]
    answers: dict[Any, list[np.ndarray]] = {}

    def answer(p: Any, inputs: list[Any], scalars: list[Any]) -> list[np.ndarray]:
        known = answers.get(p)
        if known is None:
            known = answers[p] = real(p, inputs, scalars)
        return known

    realise.executor[0] = answer

    def undo() -> None:
        realise.executor[0] = real

    return undo


def measure(step: Callable[[], Any], repeats: int = 2000) -> tuple[float, float]:
    """Median and minimum of one step in microseconds."""
    return in_turns([step], repeats)[0]


def in_turns(steps: list[Callable[[], Any]], repeats: int) -> list[tuple[float, float]]:
    """Median and minimum of each step in microseconds; each runs ten times when it has its turn."""
    for step in steps:
        for _ in range(50):
            step()
    gc.collect()
    gc.disable()
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(repeats // 10):
        for step, column in zip(steps, times):
            for _ in range(10):
                start = time.perf_counter()
                step()
                column.append(time.perf_counter() - start)
    gc.enable()
    return [(sorted(column)[len(column) // 2] * 1e6, min(column) * 1e6) for column in times]


def parts(net: Any, x: Any, y: Any, repeats: int = 2000) -> dict[str, float]:
    """The minimum of each part of a step in microseconds."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    names = ("zero_grad", "network", "loss", "backward", "step")
    times: list[list[float]] = []
    gc.collect()
    gc.disable()
    for _ in range(repeats):
        marks = [time.perf_counter()]
        optimizer.zero_grad()
        marks.append(time.perf_counter())
        output = net(x)
        marks.append(time.perf_counter())
        loss = criterion(output, y)
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        marks.append(time.perf_counter())
        times.append([b - a for a, b in zip(marks, marks[1:])])
    gc.enable()
    return {name: min(column) * 1e6 for name, column in zip(names, zip(*times))}


def deep(layers: int) -> Any:
    """Linear and ReLU, ``layers`` times."""
    return nn.Sequential(*[m for _ in range(layers) for m in (nn.Linear(8, 8), nn.ReLU())], nn.Linear(8, 10))


def main() -> None:
    """Prints the table."""
    torch.manual_seed(0)
    _twins.begin(at_once=True)
    undo = without_executor()
    target = torch.tensor([3])
    step = trainer(LeNet(), torch.randn(1, 1, 32, 32), target)
    median, least = measure(step)
    print(f"LeNet, batch 1, SGD with momentum: median {median:.1f} us, minimum {least:.1f} us a step")
    shares = parts(LeNet(), torch.randn(1, 1, 32, 32), target)
    print("minimum of each part: " + ", ".join(f"{name} {t:.1f}" for name, t in shares.items()))
    depths = (5, 10, 20, 40, 80)
    x = torch.randn(1, 8)
    measured = in_turns([trainer(deep(layers), x, target) for layers in depths], 2000)
    for k, (layers, (median, least)) in enumerate(zip(depths, measured)):
        more = "" if k == 0 else f", one more layer {(least - measured[k - 1][1]) / (layers - depths[k - 1]):.2f} us"
        print(f"{layers:3} x (Linear, ReLU): median {median:.1f} us, minimum {least:.1f} us{more}")
    undo()


if __name__ == "__main__":
    main()
