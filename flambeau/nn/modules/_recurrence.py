"""The arithmetic of recurrent networks: one step of each kind, and the loops over time, directions and layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F

# A state is a tuple: (h,), or (h, c) for an LSTM.
State = tuple[Any, ...]
Weights = dict[str, Any]
Step = Callable[[Any, State, Weights], State]


def tanh_step(x: Any, state: State, w: Weights) -> State:
    """One step of an RNN with tanh; ``x`` is the input after its matrix."""
    return (torch.tanh(x + F.linear(state[0], w["weight_hh"], w.get("bias_hh"))),)


def relu_step(x: Any, state: State, w: Weights) -> State:
    """One step of an RNN with ReLU."""
    return (torch.relu(x + F.linear(state[0], w["weight_hh"], w.get("bias_hh"))),)


def lstm_step(x: Any, state: State, w: Weights) -> State:
    """One step of an LSTM, with a projection of h if there is a ``weight_hr``."""
    h, c = state
    gates = x + F.linear(h, w["weight_hh"], w.get("bias_hh"))
    i, f, g, o = gates.chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    if "weight_hr" in w:
        h = F.linear(h, w["weight_hr"])
    return h, c


def gru_step(x: Any, state: State, w: Weights) -> State:
    """One step of a GRU."""
    (h,) = state
    xr, xz, xn = x.chunk(3, -1)
    hr, hz, hn = F.linear(h, w["weight_hh"], w.get("bias_hh")).chunk(3, -1)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    n = torch.tanh(xn + r * hn)
    return (n + z * (h - n),)


STEPS: dict[str, Step] = {"RNN_TANH": tanh_step, "RNN_RELU": relu_step, "LSTM": lstm_step, "GRU": gru_step}


def _forwards(step: Step, xs: Any, state: State, w: Weights) -> tuple[list[Any], State]:
    """Runs over time. Where the batch of a packed sequence shrinks, the sequences that end keep their state."""
    outputs, ended = [], []
    for x in xs:
        size = x.size(0)
        if size < state[0].size(0):
            ended.append(tuple(s[size:] for s in state))
            state = tuple(s[:size] for s in state)
        state = step(x, state, w)
        outputs.append(state[0])
    if ended:
        state = tuple(torch.cat(parts) for parts in zip(state, *reversed(ended), strict=True))
    return outputs, state


def _backwards(step: Step, xs: Any, initial: State, w: Weights) -> tuple[list[Any], State]:
    """Runs from the last step to the first. Where the batch grows, sequences begin."""
    outputs: list[Any] = []
    state = tuple(s[: xs[-1].size(0)] for s in initial)
    for x in reversed(xs):
        size = state[0].size(0)
        if x.size(0) > size:
            state = tuple(torch.cat([s, first[size : x.size(0)]]) for s, first in zip(state, initial, strict=True))
        state = step(x, state, w)
        outputs.append(state[0])
    return outputs[::-1], state


def run(
    mode: str,
    input: Any,
    initial: State,
    layers: list[list[Weights]],
    dropout: float = 0.0,
    batch_sizes: list[int] | None = None,
) -> tuple[Any, State]:
    """Runs a recurrent network.

    Args:
        mode: A key of ``STEPS``.
        input: (T, N, input_size), or the data of a packed sequence.
        initial: The states before, each (layers * directions, N, size).
        layers: For each layer the weights of each direction.
        dropout: Probability of zeroing, between the layers.
        batch_sizes: Those of a packed sequence.

    Returns:
        The output of the last layer, with both directions beside each other, and the states after.
    """
    step = STEPS[mode]
    finals: list[State] = []
    for n, directions in enumerate(layers):
        results = []
        for d, w in enumerate(directions):
            state = tuple(s[len(finals)] for s in initial)
            gates = F.linear(input, w["weight_ih"], w.get("bias_ih"))
            xs = gates.unbind(0) if batch_sizes is None else gates.split(batch_sizes)
            outputs, state = (_backwards if d else _forwards)(step, xs, state, w)
            results.append(torch.stack(outputs) if batch_sizes is None else torch.cat(outputs))
            finals.append(state)
        input = torch.cat(results, -1) if len(results) > 1 else results[0]
        if dropout and n < len(layers) - 1:
            input = F.dropout(input, dropout, True)
    return input, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))
