"""What a workload is, and the training and inference steps that most of them are made of.

A workload is written once, as plain PyTorch code in a function of ``torch``: the real one, or flambeau under its own
name. What the function returns can be run step by step; each step ends with a number in Python.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

CHECKED_STEPS = 4  # how many steps are compared with those of the peers


class Step(NamedTuple):
    """A workload, ready to run.

    Attributes:
        run: one step.
        output: all numbers of a step, for a comparison; None: what ``run`` returns in the first steps is compared.
    """

    run: Callable[[], float]
    output: Callable[[], np.ndarray] | None = None


class Side(NamedTuple):
    """Who runs a workload: what ``torch`` is, and what is done to the network before it runs."""

    torch: Any
    wrap: Callable[[Any], Any] = lambda network: network
    channels_last: bool = False


class Workload(NamedTuple):
    """A row of the table.

    Attributes:
        name: by which it is chosen, family first.
        title: as the table shows it.
        make: the step, for a side. It begins by seeding the generator, so all sides begin with the same numbers.
        flops: floating-point operations of a step.
        bytes: bytes that a step must read and write, where memory is what limits it.
        jax: the step in JAX, from flambeau's own initial values, where there is one.
        images: is there something to gain from PyTorch's channels_last layout?
        headline: is it in the README's table?
    """

    name: str
    title: str
    make: Callable[[Side], Step]
    flops: float = 0.0
    bytes: float = 0.0
    jax: Callable[[], Step] | None = None
    images: bool = False
    headline: bool = False


def batches(torch: Any, shape: Sequence[int], classes: int, count: int = 4) -> list[tuple[Any, Any]]:
    """So many batches of normal numbers with class labels."""
    return [(torch.randn(*shape), torch.randint(0, classes, (shape[0],))) for _ in range(count)]


def training(side: Side, network: Any, loss: Callable[[Any, Any], Any], optimizer: Any, data: list[Any]) -> Step:
    """Steps through the batches, again and again."""
    forward, given = side.wrap(network), itertools.cycle(data)

    def step() -> float:
        x, y = next(given)
        optimizer.zero_grad()
        value = loss(forward(x), y)
        value.backward()
        optimizer.step()
        return value.item()

    return Step(step)


def inference(side: Side, network: Any, data: list[Any]) -> Step:
    """The outputs' norm, batch after batch."""
    network.eval()
    forward, given, torch = side.wrap(network), itertools.cycle(data), side.torch

    def step() -> float:
        with torch.no_grad():
            return forward(next(given)[0]).norm().item()

    return Step(step)


def operator(call: Callable[[], Any]) -> Step:
    """An operator whose whole result is held, and of which a step reads the first number."""

    def step() -> float:
        result = call()
        return result[(0,) * result.ndim].item()

    return Step(step, lambda: call().detach().numpy())


# ---- counting


def flops_of(make: Callable[[Any], tuple[Any, Any]], train: bool, more: float = 0.0) -> float:
    """Operations in the products and convolutions of a step, a multiplication and an addition counting as two.

    Args:
        make: gives, for flambeau, a network and an input.
        train: count the two gradients too; an input's only if it is wanted.
        more: operations of a forward pass that no layer below counts.
    """
    import flambeau

    flambeau.manual_seed(0)
    network, x = make(flambeau)
    total = [3.0 * more if train else more]

    def count(module: Any, given: Any, result: Any) -> None:
        passes = 1 + train * (1 + bool(given[0].requires_grad))
        total[0] += 2 * passes * _products(module, result)

    for module in network.modules():
        if _products_of(module):
            module.register_forward_hook(count)
    network(x)
    return total[0]


def _products_of(module: Any) -> bool:
    return type(module).__name__ in ("Linear", "Conv2d", "LSTM")


def _products(module: Any, result: Any) -> float:
    if type(module).__name__ == "LSTM":
        output = result[0]
        weights = sum(p.numel() for name, p in module.named_parameters() if "weight" in name)
        return output.numel() / output.shape[-1] * weights
    weight = module.weight
    if weight.ndim == 2:
        return result.numel() * weight.shape[1]
    return result.numel() * weight[0].numel()
