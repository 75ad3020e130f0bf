"""The arithmetic of one step of each kind of recurrent network."""

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
    """One step of an LSTM."""
    h, c = state
    gates = x + F.linear(h, w["weight_hh"], w.get("bias_hh"))
    i, f, g, o = gates.chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru_step(x: Any, state: State, w: Weights) -> State:
    """One step of a GRU."""
    (h,) = state
    xr, xz, xn = x.chunk(3, -1)
    hr, hz, hn = F.linear(h, w["weight_hh"], w.get("bias_hh")).chunk(3, -1)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    n = torch.tanh(xn + r * hn)
    return (n + z * (h - n),)


STEPS: dict[str, Step] = {"RNN_TANH": tanh_step, "RNN_RELU": relu_step, "LSTM": lstm_step, "GRU": gru_step}
