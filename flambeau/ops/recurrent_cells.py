"""The arithmetic of recurrent networks: what one step of each kind does, forward and backward.

The formulas are written once, for tensors and for symbols that become primitives of the IR.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..compiler.builder import Builder
from ..compiler.recurrence import Recurrence
from ..dtypes import dtype

Slots = Sequence[Any]


class Cell(NamedTuple):
    """A kind of recurrent network.

    Attributes:
        gates: how many slots the input and the product with the state have.
        carries: 1: the state is h; 2: it is h and c.
        saved: how many slots of each step the backward pass needs, beside the state before.
        forward: (input, product, state) -> (state after, saved).
        backward: (gradient of h, gradient of c or none, saved, h before) -> (gradients of the input, of the product,
            what the gradient of h before gets beside its product, of c before or none).
        twice: do the gradients of input and product differ?
    """

    gates: int
    carries: int
    saved: int
    forward: Callable[[Slots, Slots, Slots], tuple[Slots, Slots]]
    backward: Callable[[Any, Slots, Slots, Any], tuple[Slots, Slots, Any, Slots]]
    twice: bool = False


def _lstm(x: Slots, s: Slots, state: Slots) -> tuple[Slots, Slots]:
    i, f, g, o = (x[0] + s[0]).sigmoid(), (x[1] + s[1]).sigmoid(), (x[2] + s[2]).tanh(), (x[3] + s[3]).sigmoid()
    _, before = state
    c = f * before + i * g
    t = c.tanh()
    return (o * t, c), (i, f, g, o, t, before)


def _lstm_backward(gh: Any, gc: Slots, saved: Slots, h: Any) -> tuple[Slots, Slots, Any, Slots]:
    i, f, g, o, t, before = saved
    d = gc[0] + gh * o * (1 - t * t)
    gates = d * g * i * (1 - i), d * before * f * (1 - f), d * i * (1 - g * g), gh * t * o * (1 - o)
    return gates, gates, gh.nothing(), (d * f,)


def _gru(x: Slots, s: Slots, state: Slots) -> tuple[Slots, Slots]:
    (h,) = state
    r, z = (x[0] + s[0]).sigmoid(), (x[1] + s[1]).sigmoid()
    n = (x[2] + r * s[2]).tanh()
    return (n + z * (h - n),), (r, z, n, s[2])


def _gru_backward(gh: Any, gc: Slots, saved: Slots, h: Any) -> tuple[Slots, Slots, Any, Slots]:
    r, z, n, s = saved
    gz = gh * (h - n) * z * (1 - z)
    gn = gh * (1 - z) * (1 - n * n)
    gr = gn * s * r * (1 - r)
    return (gr, gz, gn), (gr, gz, gn * r), gh * z, ()


def _tanh(x: Slots, s: Slots, state: Slots) -> tuple[Slots, Slots]:
    h = (x[0] + s[0]).tanh()
    return (h,), (h,)


def _tanh_backward(gh: Any, gc: Slots, saved: Slots, h: Any) -> tuple[Slots, Slots, Any, Slots]:
    g = gh * (1 - saved[0] * saved[0])
    return (g,), (g,), gh.nothing(), ()


def _relu(x: Slots, s: Slots, state: Slots) -> tuple[Slots, Slots]:
    h = (x[0] + s[0]).relu()
    return (h,), (h,)


def _relu_backward(gh: Any, gc: Slots, saved: Slots, h: Any) -> tuple[Slots, Slots, Any, Slots]:
    g = gh.where_positive(saved[0])
    return (g,), (g,), gh.nothing(), ()


CELLS = {
    "lstm": Cell(4, 2, 6, _lstm, _lstm_backward),
    "gru": Cell(3, 1, 4, _gru, _gru_backward, twice=True),
    "rnn_tanh": Cell(1, 1, 1, _tanh, _tanh_backward),
    "rnn_relu": Cell(1, 1, 1, _relu, _relu_backward),
}

# ---- as primitives


class Symbol:
    """A number of the IR, with the arithmetic that the formulas use."""

    def __init__(self, b: Builder, value: Any) -> None:
        self.b = b
        self.value = value

    def _map(self, name: str, *args: Any) -> Symbol:
        return Symbol(self.b, self.b.map(name, *[self._value(a) for a in args]))

    def _value(self, a: Any) -> Any:
        return a.value if isinstance(a, Symbol) else self.b.const(a, self.value.dtype)

    def __add__(self, other: Any) -> Symbol:
        return self._map("add", self, other)

    def __sub__(self, other: Any) -> Symbol:
        return self._map("sub", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return self._map("sub", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return self._map("mul", self, other)

    def tanh(self) -> Symbol:
        """The hyperbolic tangent."""
        return self._map("tanh", self)

    def relu(self) -> Symbol:
        """Zero where it is negative."""
        return self._map("maximum", 0, self)

    def sigmoid(self) -> Symbol:
        """``1 / (1 + exp(-x))``."""
        return self._map("div", 1, self._map("add", 1, self._map("exp", self._map("neg", self))))

    def where_positive(self, other: Symbol) -> Symbol:
        """This number where another is positive, else zero."""
        return self._map("where", self._map("gt", other, 0), self, 0)

    def nothing(self) -> Symbol:
        """Zero."""
        return Symbol(self.b, self._value(0))


def forward(
    cell: Cell, dt: dtype, units: int, reverse: bool, packed: bool, group: int = 0
) -> Recurrence:  # fmt: skip
    """Results: h, what is saved, h before. Carries: the state."""
    b = Builder()
    x, s, state = _slots(b, dt, cell.gates, cell.gates, cell.carries)
    after, saved = cell.forward(x, s, state)
    b.f.outputs = [a.value for a in (after[0], *saved, state[0], *after)]
    carries, results, order = (1,) * cell.carries, (1, cell.saved, 1), (reverse, packed, group)
    return Recurrence(b.f, units, (cell.gates,), carries, cell.gates, results, *order)


def backward(
    cell: Cell, dt: dtype, units: int, reverse: bool, packed: bool, group: int = 0
) -> Recurrence:  # fmt: skip
    """For a forward pass in the other direction. Sequences: the gradient of h, what was saved, h before. Results: the
    gradients of the input and, where it is another, of the product. Carries: the latter, and those of the state."""
    b = Builder()
    (g,), saved, (h,), (s,), _, state = _slots(b, dt, 1, cell.saved, 1, 1, cell.gates, cell.carries)
    gx, gs, rest, gc = cell.backward(g + s + state[0], state[1:], saved, h)
    b.f.outputs = [a.value for a in (*gx, *(gs if cell.twice else ()), *gs, rest, *gc)]
    sequences, carries = (1, cell.saved, 1), (cell.gates, *[1] * cell.carries)
    results, order = (cell.gates,) * (1 + cell.twice), (reverse, packed, group)
    return Recurrence(b.f, units, sequences, carries, 1, results, *order)


def _slots(b: Builder, dt: dtype, *counts: int) -> list[list[Symbol]]:
    """The inputs of a body, in groups."""
    found = [Symbol(b, b.input(k, (), dt, ((), 0))) for k in range(sum(counts))]
    return [found[sum(counts[:k]) : sum(counts[: k + 1])] for k in range(len(counts))]
