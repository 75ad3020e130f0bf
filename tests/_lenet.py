"""Training steps of small convolutional networks as functions in the IR, and arrays to run them on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import flambeau as torch
from flambeau import nn
from flambeau.compiler.ir import Function
from flambeau.compiler.simplify import simplify
from flambeau.graph import realisation
from flambeau.graph.epoch import threads
from flambeau.graph.program import Program
from flambeau.nn import functional as F

KINDS = ("max", "avg", "norm", "dropout", "tanh", "small")


class LeNet(nn.Module):
    """LeNet with one thing changed; ``small`` has kernels of 3 and no last but one layer."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        k = 3 if kind == "small" else 5
        self.conv1, self.conv2 = nn.Conv2d(1, 6, k), nn.Conv2d(6, 16, k)
        self.norm = nn.BatchNorm2d(6) if kind == "norm" else nn.Identity()
        self.drop = nn.Dropout(0.5) if kind == "dropout" else nn.Identity()
        self.fc1, self.fc2, self.fc3 = nn.Linear(576 if k == 3 else 400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Any) -> Any:
        pool = F.avg_pool2d if self.kind == "avg" else F.max_pool2d
        act = torch.tanh if self.kind == "tanh" else F.relu
        x = pool(act(self.norm(self.conv1(x))), 2)
        x = pool(act(self.conv2(x)), 2)
        x = self.drop(act(self.fc1(x.view(x.size(0), -1))))
        return self.fc3(act(self.fc2(x)))


def functions_of(run: Callable[[], Any]) -> list[Function]:
    """The simplified functions of the programs that ``run`` makes, as a process without other threads records them.

    Where threads have been, gradients are recorded in another order, which listings show. The programs do not run.
    """
    realisation.realise()
    realisation.forget()
    epoch = threads.epoch
    before = epoch.alone, epoch.deferring, epoch.crowded, realisation.executor[0]
    epoch.alone, epoch.deferring, epoch.crowded, realisation.executor[0] = True, True, False, _zeros
    try:
        run()
    finally:
        epoch.alone, epoch.deferring, epoch.crowded, realisation.executor[0] = before
    found = [simplify(p.function) for p in realisation.programs.values()]
    realisation.forget()
    return found


def _zeros(p: Program, inputs: list[Any], scalars: list[Any]) -> list[np.ndarray]:
    """Zeros in the place of what a program computes."""
    return [np.zeros(1 + sum((n - 1) * s for n, s in zip(t.shape, t.strides)), t.dtype.np) for t in p.outputs]


def step(net: Any, x: Any, y: Any, loss: Callable[..., Any] = F.cross_entropy) -> Function:
    """A step of training with SGD and momentum."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def run() -> None:
        loss(net(x), y).backward()
        optimizer.step()

    (f,) = functions_of(lambda: (run(), realisation.realise()))
    return f


def lenet(kind: str, batch: int) -> Function:
    """A step of LeNet."""
    torch.manual_seed(0)
    return step(LeNet(kind), torch.rand(batch, 1, 32, 32), torch.randint(0, 10, (batch,)))


def arrays(f: Function, seed: int = 0) -> tuple[list[np.ndarray], list[Any]]:
    """Random inputs and scalars for a function: indices below 10."""
    rng = np.random.default_rng(seed)
    sizes: dict[int, Any] = {}
    for v in f.values:
        if v.kind == "input":
            k, (strides, offset) = v.params
            n = offset + sum((m - 1) * s for m, s in zip(v.shape, strides)) + 1
            sizes[k] = max(sizes.get(k, (0, v.dtype))[0], n), v.dtype
    inputs = [_random(rng, *sizes.get(k, (1, torch.float32))) for k in range(1 + max(sizes, default=-1))]
    return inputs, [0.1] * (1 + max(_ordinals(f), default=-1))


def _ordinals(f: Function) -> Iterator[int]:
    return (v.params for v in f.values if v.kind == "scalar")


def _random(rng: Any, n: int, dt: Any) -> np.ndarray:
    if dt.kind in "iu":
        return rng.integers(0, 10, n).astype(dt.np)
    return (rng.random(n) < 0.5) if dt.kind == "b" else (rng.standard_normal(n) * 0.1).astype(dt.np)
