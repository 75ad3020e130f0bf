"""Optimizer steps: the update of all parameters of a group recorded by one look-up.

The update rule is written once, with tensor operators on one parameter. It runs when a step of this
structure is new; afterwards the nodes that it recorded are found by the nodes of parameters, gradients and
states. Learning rates and other numbers are run-time arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..dtypes import float64
from ..graph.epoch import Epoch, Turn, node_of, scalar_node, threads
from ..graph.fn import next_number
from ..graph.keeping import keep
from ..graph.node import Node
from ..graph.realisation import forget_hooks, realise
from ..graph.storage import Storage, next_token
from ..graph.tensor_base import TensorBase, new_tensor
from ._registry import fit, record_write

Rule = Callable[..., Sequence[Any]]

_steps: dict[tuple[Any, ...], tuple[list[Node], list[Any]]] = {}
forget_hooks.append(_steps.clear)


def step_all(rule: Rule, flags: Any, parameters: Sequence[Sequence[TensorBase]], numbers: Sequence[float]) -> None:
    """Applies ``rule(flags, tensors, numbers)`` to each parameter's tensors.

    ``parameters`` holds for each parameter a sequence of tensors (value, gradient, states…). The rule gets
    them as tensors and the numbers as 0-dim tensors that promote like Python numbers, and returns the new
    values of the tensors that change, None for one that does not.
    """
    epoch = threads.epoch
    if epoch.crowded:
        with Turn(epoch):
            step_all(rule, flags, parameters, numbers)
        return
    start = len(epoch.scalars)
    epoch.scalars.extend(numbers)
    key: list[Any] = [rule, flags, start, len(numbers)]
    for tensors in parameters:
        for x in tensors:
            key.append(x._h if x._w == x._s.w else node_of(x))
    found = tuple(key)
    known = _steps.get(found)
    if known is None:
        results = _record(rule, flags, parameters, start, len(numbers))
        _keep_leaves(parameters, results)
        # Numbers written in the rule itself are run-time arguments too, to be given at every step.
        _steps[found] = results, epoch.scalars[start + len(numbers) :]
    else:
        results, written = known
        epoch.scalars.extend(written)
    if _write_all(parameters, results, epoch):
        # Only now: the nodes of the other writes belong to this epoch.
        realise(epoch)


def _keep_leaves(parameters: Sequence[Sequence[TensorBase]], results: list[Any]) -> None:
    """What a step writes, the next steps will read and write again."""
    changed = [x for x, node in zip([x for tensors in parameters for x in tensors], results) if node is not None]
    for x in changed:
        if x._ty is x._s.ty and x._s.owner is None:
            keep(x._s)


def _write_all(parameters: Sequence[Sequence[TensorBase]], results: list[Any], epoch: Epoch) -> bool:
    """``record_write`` for each tensor that changes; is the memory of one shared with NumPy?"""
    pend = epoch.pend
    epoch.written = next_number()
    at, shared = -1, False
    for tensors in parameters:
        for x in tensors:
            at += 1
            node = results[at]
            if node is None:
                continue
            s = x._s
            if x._ty is not s.ty or s.owner is not None:
                record_write(x, node)
                shared = shared or (s.owner is not None and s.shared)
                continue
            s.h = node
            s.w = next_token()
            (x._vc or s).version += 1
            if not s.pending:
                s.pending = True
                s.epoch = epoch
                pend.append(s)
    return shared


def _record(rule: Rule, flags: Any, parameters: Sequence[Sequence[TensorBase]], start: int, count: int) -> list[Any]:
    """The nodes of the new values, for each tensor of each parameter (None: unchanged)."""
    epoch = threads.epoch
    before, pending = epoch.grad, epoch.bytes
    epoch.grad = False
    epoch.bytes = -sys.maxsize  # the nodes below are of one epoch: however large, nothing is realised in between
    try:
        numbers = [_stand_in(scalar_node(float64, start + k)) for k in range(count)]
        out: list[Any] = []
        for tensors in parameters:
            new = list(rule(flags, [_stand_in(node_of(x)) for x in tensors], numbers))
            new += [None] * (len(tensors) - len(new))
            out += [None if y is None else _fitted(y, x) for x, y in zip(tensors, new)]
        return out
    finally:
        epoch.grad, epoch.bytes = before, pending


def _fitted(y: TensorBase, x: TensorBase) -> Node:
    """The node in the layout of the tensor that it will be written to."""
    return fit(node_of(y), x._s.ty) if x._ty is x._s.ty else node_of(y)


def _stand_in(node: Node) -> Any:
    """A tensor that has this node for a value and no memory of anybody."""
    s = Storage(node.ty, node)
    s.epoch = threads.epoch
    return new_tensor(s, node.ty, node, 0)
