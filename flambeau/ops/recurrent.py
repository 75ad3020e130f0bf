"""Recurrent networks: ``lstm``, ``gru``, ``rnn_tanh``, ``rnn_relu``. A layer and direction is one operator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from ..compiler.recurrence import Operands, Recurrence
from ..dtypes import bfloat16, dtype, float16, float32, int64
from ..graph.epoch import threads
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._composite import _gradients
from ._registry import call, function, is_tensor, view
from ._row_products import moves_rows
from .creation import arange
from .dropout import dropout as dropped
from .from_data import tensor
from .joining import cat, stack
from .matrix_products import linear, matmul
from .permuting import TRANSPOSE, TRANSPOSE_IN_PLACE
from .recurrent_cells import CELLS, Cell, backward, forward
from .views import named_view

# A layer's operator. Inputs: what the input contributes to the gates, (rows of all steps, G H); weight_hh (G H, H); the
# state, each (N, H); bias_hh (G H), if there is one; ``starts``, if it is packed.
# Attributes: (is there a bias, is it from the last step to the first, is it packed, how many sequences
# lie together: see ``compiler/recurrence.py``).
# Results: h of each step (rows, H); the state after; what the backward pass needs: saved, h before each step.
Attrs = tuple[bool, bool, bool, int]

GROUPS = (4, 8)  # sequences that lie together: few, so that many threads have one, and a slow one holds up little
ROWS = 48  # that a group has at least, as each reads all weights; see ``compiler/cpu/rows.py``


@cache
def _pass(
    name: str, back: bool, dt: dtype, units: int, reverse: bool, packed: bool, group: int
) -> Recurrence:  # fmt: skip
    return (backward if back else forward)(CELLS[name], dt, units, reverse != back, packed, group)


def _wide(dt: dtype) -> dtype:
    return float32 if dt in (float16, bfloat16) else dt


def _layer_ty(tys: Sequence[Ty], cell: Cell) -> tuple[Ty, ...]:
    x, h = tys[0], tys[2]
    units, rows, wide = h.shape[1], x.shape[0], _wide(x.dtype)
    after = [ty(h.shape, x.dtype)] * cell.carries
    return ty((rows, units), x.dtype), *after, ty((rows, cell.saved * units), wide), ty((rows, units), wide)


def _layer_lower(name: str, b: Any, attrs: Attrs, x: Any, w: Any, *rest: Any) -> Any:
    cell, dt, units, (has_bias, *order) = CELLS[name], x.dtype, w.shape[1], attrs
    wide = _wide(dt)
    state, more = [b.cast(s, wide) for s in rest[: cell.carries]], rest[cell.carries :]
    bias = b.cast(more[0], wide) if has_bias else b.const(0, wide, (cell.gates * units,))
    o = Operands(b.transpose(b.cast(w, wide)), bias, state, [b.cast(x, wide)], more[-1] if attrs[2] else None)
    h, saved, before, *after = b.recur(name, _pass(name, False, wide, units, *order), o)
    return *[b.cast(s, dt) for s in (h, *after)], saved, before


def _layer_vjp(f: Any, *grads: Any) -> tuple[Any, ...]:
    name, (has_bias, _, packed, _) = f.op.name, f.attrs
    cell = CELLS[name]
    count, last = 2 + cell.carries + has_bias, len(grads)
    grads = grads[: 1 + cell.carries]
    if threads.epoch.grad:

        def compute(*args: Any) -> list[Any]:
            return _by_steps(cell, args[: count + packed], args[count + packed :])  # type: ignore[arg-type]

        return _gradients(f, grads, compute, count + packed)
    ins = [f.saved(1), f.out(last - 2), f.out(last - 1), *grads, *([f.saved(count)] if packed else [])]
    found = call(_BACKWARD[name], tuple(ins), (f.attrs, f.ins[0], f.ins[2].shape[0]))
    return (*found, *[None] * packed)


def _by_steps(cell: Cell, ins: Sequence[Any], attrs: Attrs) -> list[Any]:
    """h of each step and the state after, one step after the other."""
    has_bias, reverse, packed, group = attrs
    x, w, *rest = ins
    state, more = rest[: cell.carries], rest[cell.carries :]
    bias = more[0] if has_bias else None
    rows, batch = x._ty.shape[0], state[0]._ty.shape[0]
    if group:
        steps = [s.reshape((batch, -1)) for s in x.view((batch // group, -1, group, x._ty.shape[1])).unbind(1)]
    else:
        steps = _split(x, more[-1].tolist() if packed else list(range(0, rows + 1, batch)))
    outputs: list[Any] = [None] * len(steps)
    for t in reversed(range(len(steps))) if reverse else range(len(steps)):
        n = steps[t]._ty.shape[0]
        own = [s[:n] for s in state]
        product = linear(own[0], w, bias)
        after, _ = cell.forward(steps[t].chunk(cell.gates, -1), product.chunk(cell.gates, -1), own)
        state = [s if n == batch else cat([s, old[n:]]) for s, old in zip(after, state)]
        outputs[t] = after[0]
    if group:
        outputs = [stack([y.view((batch // group, group, -1)) for y in outputs], 1).view((rows, -1))]
    return [cat(outputs), *state]


def _split(x: Any, starts: list[int]) -> list[Any]:
    return [x[low:high] for low, high in zip(starts, starts[1:])]


# ---- backward. Inputs: the weight, what was saved, h before, the gradients of h of each step and of the state after,
# ``starts`` if it is packed. Attributes: the layer's; the type of x; N.
# Results: the gradients of x, of the weight, of the state, of the bias if there is one.


def _backward_ty(tys: Sequence[Ty], attrs: Any, cell: Cell) -> tuple[Ty, ...]:
    (has_bias, *_), x, batch = attrs
    w = tys[0]
    state = [ty((batch, w.shape[1]), x.dtype)] * cell.carries
    return ty(x.shape, x.dtype), w if w.dense else ty(w.shape, w.dtype), *state, *[ty(w.shape[:1], w.dtype)] * has_bias


def _backward_lower(name: str, b: Any, attrs: Any, w: Any, saved: Any, before: Any, *rest: Any) -> Any:
    cell, ((has_bias, *order), x, batch) = CELLS[name], attrs
    wide, units = saved.dtype, w.shape[1]
    gy, *state = [b.cast(g, wide) for g in rest[: 1 + cell.carries]]
    weight, nothing = b.cast(w, wide), b.const(0, wide, (batch, cell.gates * units))
    bias, starts = b.const(0, wide, (units,)), rest[-1] if order[1] else None
    how = _pass(name, True, wide, units, *order)
    o = Operands(weight, bias, [nothing, *state], [gy, saved, before], starts)
    gx, *more = b.recur(f"{name}_backward", how, o)
    product, (gates, *state) = more[0] if cell.twice else gx, more[cell.twice :]
    state[0] = b.map("add", state[0], b.contract("ng,gh->nh", gates, weight))
    gw = b.contract("rg,rh->gh", product, before)
    gb = [b.cast(b.reduce("sum", product, (0,)), w.dtype)] * has_bias
    return b.cast(gx, x.dtype), b.cast(gw, w.dtype), *[b.cast(s, x.dtype) for s in state], *gb


def _operators(name: str) -> tuple[Operator, Operator]:
    cell = CELLS[name]
    every = tuple(range(4 + cell.carries))
    results = [OUT + 1 + cell.carries, OUT + 2 + cell.carries]
    layer = Operator(
        name,
        lambda tys, attrs: _layer_ty(tys, cell),
        lambda b, attrs, *args: _layer_lower(name, b, attrs, *args),
        _layer_vjp,
        tuple([(k, every) for k in (*every, *results)]),
    )
    back = Operator(
        f"{name}_backward",
        lambda tys, attrs: _backward_ty(tys, attrs, cell),
        lambda b, attrs, *args: _backward_lower(name, b, attrs, *args),
    )
    return layer, back


_LAYER, _BACKWARD = ({name: _operators(name)[k] for name in CELLS} for k in (0, 1))


# ---- layers


class Order(NamedTuple):
    """How the rows of all steps lie, and which way they are gone through."""

    reverse: bool
    starts: Any
    group: int


class _Direction:
    """The weights of one direction of one layer."""

    def __init__(self, weights: Sequence[Any], has_biases: bool) -> None:
        self.ih, self.hh, *more = weights
        self.bias_ih, self.bias_hh = more[:2] if has_biases else (None, None)
        self.hr = more[2 * has_biases] if len(more) > 2 * has_biases else None

    def run(self, name: str, x: Any, state: list[Any], order: Order) -> list[Any]:
        """h of each step, one below the other, and the state after."""
        gates = linear(x, self.ih, self.bias_ih)
        if self.hr is None:
            return _layer(name, gates, self.hh, state, self.bias_hh, order)
        # The weights are multiplied by the projection; the state before counts in the first step.
        h, c = state
        first = _first_rows(h._ty.shape[0], gates._ty.shape[0], order)
        gates = gates.index_add(0, first, linear(h, self.hh))
        state = [c.new_zeros(c._ty.shape), c]
        y, h, c = _layer(name, gates, matmul(self.hh, self.hr), state, self.bias_hh, order)
        return [linear(y, self.hr), linear(h, self.hr), c]


def _layer(name: str, x: Any, w: Any, state: list[Any], bias: Any, order: Order) -> list[Any]:
    reverse, starts, group = order
    more = [v for v in (bias, starts) if v is not None]
    outs = call(_LAYER[name], (x, w, *state, *more), (bias is not None, reverse, starts is not None, group))
    return list(outs[: 1 + CELLS[name].carries])


def _first_rows(batch: int, rows: int, order: Order) -> Any:
    """For each sequence the row of the step with which it begins."""
    reverse, starts, group = order
    if group:
        own, steps = arange(batch), rows // batch
        return own // group * (group * steps) + own % group + (steps - 1) * group * reverse
    if not reverse:
        return arange(batch)
    if starts is None:
        return arange(rows - batch, rows)
    ends = starts[1:]
    counts = ends - starts[:-1]
    own = arange(batch)
    lengths = (counts.unsqueeze(0) > own.unsqueeze(1)).sum(1)
    return starts[lengths - 1] + own


def _starts(batch_sizes: Any) -> Any:
    """Where the rows of each step begin, and where the last ones end."""
    sums = [0]
    for n in batch_sizes.tolist():
        sums.append(sums[-1] + n)
    return tensor(sums, dtype=int64)


def _run(
    name: str, x: Any, state: Sequence[Any], params: Sequence[Any], has_biases: bool, num_layers: int, dropout: float,
    train: bool, bidirectional: bool, starts: Any = None, group: int = 0,
) -> tuple[Any, ...]:  # fmt: skip
    """The output of the last layer and the states after; x has the rows of all steps, one below the other."""
    directions = 2 if bidirectional else 1
    each = len(params) // (num_layers * directions)
    befores, after = list(zip(*[s.unbind(0) for s in state])), []
    for k in range(num_layers):
        outputs = []
        for at in range(k * directions, (k + 1) * directions):
            weights = _Direction(params[at * each : (at + 1) * each], has_biases)
            y, *own = weights.run(name, x, list(befores[at]), Order(at % directions == 1, starts, group))
            outputs.append(y)
            after.append(own)
        x = cat(outputs, -1) if bidirectional else outputs[0]
        if dropout and train and k < num_layers - 1:
            x = dropped(x, dropout, True)
    return x, *[stack(parts) for parts in zip(*after)]


def _any(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Both forms of PyTorch's functions: of a tensor, and of a packed sequence (data, batch_sizes, hx, ...)."""
    names = ["hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional"]
    many = CELLS[name].carries > 1
    packed = "batch_sizes" in kwargs or (len(args) > 2 and is_tensor(args[2] if not many else args[1]))
    names = ["data", "batch_sizes", *names] if packed else ["input", *names, "batch_first"]
    given = dict(zip(names, args)) | kwargs
    x, hx = given.pop(names[0]), given.pop("hx")
    state = list(hx) if many else [hx]
    if packed:
        return _run(name, x, state, starts=_starts(given.pop("batch_sizes")), **given)
    swap = given.pop("batch_first", False)
    if x._ty.shape[swap] == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    if group := _group(*x._ty.shape[:2], **given) if swap else 0:
        return _in_groups(name, x, state, given, group)
    x = x.transpose(0, 1) if swap else x
    y, *after = _run(name, x.reshape((-1, x._ty.shape[-1])), state, **given)
    shown = _shown(name, x._ty.dtype, after, given)
    y = view(named_view(shown), y, (*x._ty.shape[:-1], y._ty.shape[-1]))
    turned = TRANSPOSE if name == "lstm" else TRANSPOSE_IN_PLACE  # as PyTorch does it
    return (view(turned, y, (0, 1)) if swap else y), *after


def _shown(name: str, dt: dtype, after: list[Any], given: dict[str, Any]) -> str:
    """The name that PyTorch shows of the history of all steps: which of its kernels made them."""
    if given["bidirectional"]:
        return "CatBackward0"
    whole = name == "lstm" and dt is float32 and after[0]._ty.shape == after[1]._ty.shape
    return "MkldnnRnnLayerBackward0" if whole else "StackBackward0"


# ---- groups. Sequences of a batch that comes first lie together in groups, so that a thread can take a few from the
# first layer to the last gradient: see ``compiler/cpu/rows.py``. Two operators go there and back; each is the other's
# gradient. Attributes: the type of what they give, and how many sequences lie together. (N, T, C) has the strides that
# PyTorch's outputs have.


def _group(batch: int, steps: int, num_layers: int, dropout: float, train: bool, **rest: Any) -> int:
    """How many sequences lie together; 0 if they are too short, or if random numbers follow the order of all rows."""
    if not batch or dropout and train and num_layers > 1:
        return 0
    return next((n for n in GROUPS if batch % n == 0 and n * steps >= ROWS), 0)


def _in_groups(name: str, x: Any, state: Any, given: dict[str, Any], group: int) -> tuple[Any, ...]:
    n, steps, columns = x._ty.shape
    rows = call(_GROUPED, (x,), (ty((n * steps, columns), x._ty.dtype), group))
    y, *after = _run(name, rows, state, **given, group=group)
    shape, units = (n, steps, y._ty.shape[1]), y._ty.shape[1]
    ungrouped = _UNGROUPED if name == "lstm" else _UNGROUPED_IN_PLACE
    return call(ungrouped, (y,), (ty(shape, y._ty.dtype, (units, n * units, 1)), group)), *after


def _grouped_lower(b: Any, attrs: tuple[Ty, int], x: Any) -> Any:
    (n, steps, columns), (t, group) = x.shape, attrs
    return b.reshape(b.permute(b.reshape(x, (n // group, group, steps, columns)), (0, 2, 1, 3)), t.shape)


def _ungrouped_lower(b: Any, attrs: tuple[Ty, int], x: Any) -> Any:
    t, group = attrs
    n, steps, columns = t.shape
    return b.reshape(b.permute(b.reshape(x, (n // group, steps, group, columns)), (0, 2, 1, 3)), t.shape)


def _grouped_vjp(f: Any, g: Any) -> tuple[Any]:
    return (call(_UNGROUPED, (g,), (ty(f.ins[0].shape, g._ty.dtype), f.attrs[1])),)


def _ungrouped_vjp(f: Any, g: Any) -> tuple[Any]:
    return (call(_GROUPED, (g,), (ty(f.ins[0].shape, g._ty.dtype), f.attrs[1])),)


_GROUPED = Operator("grouped", lambda tys, a: a[0], _grouped_lower, _grouped_vjp, grad_name="TransposeBackward0")
_UNGROUPED, _UNGROUPED_IN_PLACE = [
    Operator("ungrouped", lambda tys, a: a[0], _ungrouped_lower, _ungrouped_vjp, grad_name=f"TransposeBackward{n}")
    for n in (0, 1)
]


def _index_in_groups(fn: Any, at: Any) -> Any:
    t, group = fn.attrs
    return call(_GROUPED, (at,), (ty((t.shape[0], 1), at._ty.dtype), group))


moves_rows(_GROUPED, _index_in_groups)


@function()
def lstm(*args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
    """``lstm(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)``, or
    ``lstm(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional)`` of packed sequences.

    ``hx`` is (h, c), each (num_layers * directions, N, units); ``params`` are the weights of each direction of each
    layer, one after the other. Gives the output of each step and the state after, as two tensors.
    """
    return _any("lstm", args, kwargs)  # type: ignore[return-value]


@function()
def gru(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """As ``lstm``, of gated recurrent units; ``hx`` is a tensor."""
    return _any("gru", args, kwargs)  # type: ignore[return-value]


@function()
def rnn_tanh(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """As ``gru``, of a network whose state is the tanh of a sum."""
    return _any("rnn_tanh", args, kwargs)  # type: ignore[return-value]


@function()
def rnn_relu(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """As ``rnn_tanh`` with ReLU."""
    return _any("rnn_relu", args, kwargs)  # type: ignore[return-value]
