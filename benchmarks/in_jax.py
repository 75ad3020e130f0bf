"""The same steps in JAX, written as its users write them, from the initial values and batches that flambeau makes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import flambeau

from . import networks
from .steps import Step, batches


def _values(network: Any) -> list[Any]:
    import jax.numpy as jnp

    return [jnp.array(p.detach().numpy()) for p in network.parameters()]


def _arrays(data: list[Any]) -> list[Any]:
    import jax.numpy as jnp

    return [tuple([jnp.array(t.numpy()) for t in pair]) for pair in data]


def _lenet(p: list[Any], x: Any) -> Any:
    import jax

    def stage(x: Any, w: Any, b: Any) -> Any:
        x = jax.lax.conv_general_dilated(x, w, (1, 1), "VALID") + b[:, None, None]
        x = jax.nn.relu(x)
        return jax.lax.reduce_window(x, -float("inf"), jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    x = stage(stage(x, p[0], p[1]), p[2], p[3]).reshape(len(x), -1)
    return _mlp(p[4:], x)


def _mlp(p: list[Any], x: Any) -> Any:
    import jax

    for k in range(0, len(p) - 2, 2):
        x = jax.nn.relu(x @ p[k].T + p[k + 1])
    return x @ p[-2].T + p[-1]


def _cross_entropy(logits: Any, y: Any) -> Any:
    import jax
    import jax.numpy as jnp

    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))


def _squares(found: Any, y: Any) -> Any:
    return ((found - y) ** 2).mean()


Update = Callable[[list[Any], list[Any], Any], tuple[list[Any], Any]]


def _sgd(momentum: float) -> tuple[Callable[[list[Any]], Any], Update]:
    import jax.numpy as jnp

    def update(p: list[Any], g: list[Any], state: Any) -> tuple[list[Any], Any]:
        if momentum:
            g = state = [momentum * v + d for v, d in zip(state, g)]
        return [a - 0.01 * d for a, d in zip(p, g)], state

    return lambda p: [jnp.zeros_like(a) for a in p] if momentum else None, update


def _adam() -> tuple[Callable[[list[Any]], Any], Update]:
    import jax.numpy as jnp

    def update(p: list[Any], g: list[Any], state: Any) -> tuple[list[Any], Any]:
        first, second, t = state
        t = t + 1
        first = [0.9 * m + 0.1 * d for m, d in zip(first, g)]
        second = [0.999 * v + 0.001 * d * d for v, d in zip(second, g)]
        rate, scale = 0.001 / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
        p = [a - rate * m / (jnp.sqrt(v) / scale + 1e-8) for a, m, v in zip(p, first, second)]
        return p, (first, second, t)

    def start(p: list[Any]) -> Any:
        return [jnp.zeros_like(a) for a in p], [jnp.zeros_like(a) for a in p], jnp.float32(0)

    return start, update


def _training(network: Any, forward: Any, loss: Any, rule: Any, data: list[Any]) -> Step:
    import jax

    start, update = rule
    values = _values(network)
    held = [values, start(values)]
    given = itertools.cycle(_arrays(data))

    def whole(p: list[Any], state: Any, x: Any, y: Any) -> Any:
        value, g = jax.value_and_grad(lambda p: loss(forward(p, x), y))(p)
        return value, *update(p, g, state)

    compiled = jax.jit(whole, donate_argnums=(0, 1))

    def step() -> float:
        value, held[0], held[1] = compiled(held[0], held[1], *next(given))
        return float(value)

    return Step(step)


def lenet_training(variant: str, batch: int) -> Step:
    """As ``workloads.lenet_training``."""
    flambeau.manual_seed(0)
    net = networks.lenet(flambeau, variant)
    channels, size = networks.LENETS[variant][:2]
    data = batches(flambeau, (batch, channels, size, size), 10)
    if variant in ("000", "001", "002"):
        data = [(x, flambeau.randn(batch, 10)) for x, _ in data]
        return _training(net, _lenet, _squares, _sgd(0.0), data)
    return _training(net, _lenet, _cross_entropy, _sgd(0.9) if variant == "003" else _adam(), data)


def lenet_inference(variant: str, batch: int) -> Step:
    """As ``workloads.lenet_inference``."""
    import jax
    import jax.numpy as jnp

    flambeau.manual_seed(0)
    p = _values(networks.lenet(flambeau, variant))
    channels, size = networks.LENETS[variant][:2]
    given = itertools.cycle(_arrays(batches(flambeau, (batch, channels, size, size), 10)))
    compiled = jax.jit(lambda p, x: jnp.linalg.norm(_lenet(p, x)))
    return Step(lambda: float(compiled(p, next(given)[0])))


def mlp_training(widths: tuple[int, ...], batch: int) -> Step:
    """As ``workloads.mlp_training``."""
    flambeau.manual_seed(0)
    net = networks.mlp(flambeau, *widths)
    return _training(net, _mlp, _cross_entropy, _adam(), batches(flambeau, (batch, widths[0]), widths[-1]))


def product(n: int) -> Step:
    """A matrix product."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    flambeau.manual_seed(0)
    a, b = (jnp.array(flambeau.randn(n, n).numpy()) for _ in range(2))
    compiled = jax.jit(lambda a, b: a @ b)
    return Step(lambda: float(compiled(a, b)[0, 0]), lambda: np.asarray(compiled(a, b)))
