"""Gradients of a whole backward pass changed at once, as clipping does: found by one look-up when known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..graph.epoch import Epoch, node_of, threads
from ..graph.gradients import Gradients, gradients
from ..graph.node import Node
from ..graph.realisation import forget_hooks, realise
from ._registry import fit, fresh
from .new_forms import comes_apart
from .stepping import stand_in

Rule = Callable[[list[Any]], tuple[Any, Sequence[Any]]]


class Changed:
    """Gradients after a change, in the order of their leaves; the numbers that it adds to the epoch; its result."""

    __slots__ = ("grads", "result", "scalars", "versions")

    def __init__(self, grads: list[Node], versions: list[int], scalars: list[Any], result: Node) -> None:
        self.grads = grads
        self.versions = versions
        self.scalars = scalars
        self.result = result


MAX_CHANGES = 64
_changes: dict[Any, Changed] = {}
forget_hooks.append(_changes.clear)


def change_all(params: Sequence[Any], rule: Rule, key: Any) -> Any:
    """Replaces the gradients of ``params`` by what ``rule(gradients) -> (result, new gradients)`` gives.

    That can be done where they are all gradients of one pass of this epoch at which nobody has looked. The rule must
    not need values, and depend on its argument and ``key`` alone. Parameters without a gradient are left out.

    Returns:
        The rule's result; None where it cannot be done, and then nothing has been.
    """
    epoch = threads.epoch
    params = [p for p in params if p._g is not None]
    g = params[0]._g if params else None
    if type(g) is not Gradients or g.epoch is not epoch or epoch.crowded or len(params) != len(g.leaves):
        return None
    for p in params:
        if p._g is not g:
            return None
    places = tuple([g.place(p) for p in params])
    name = g.known, places, key, len(epoch.scalars)
    known = _changes.get(name)
    if known is not None:
        epoch.scalars.extend(known.scalars)
    elif comes_apart(name[:-1], params[0], key):
        realise(epoch)
        return None
    elif len(set(places)) == len(places):
        known = _learn(name, g, places, rule, epoch)
    else:
        return None
    changed = gradients(known, g.leaves, epoch)
    for p in params:
        p._g = changed
    epoch.computed.append(changed)
    return fresh(known.result, epoch)


def _learn(name: Any, g: Gradients, places: tuple[int, ...], rule: Rule, epoch: Epoch) -> Changed:
    grads = list(g.known.grads)
    start, leaves = len(epoch.scalars), len(epoch.leaves)
    before, pending = epoch.grad, epoch.bytes
    epoch.grad = False
    epoch.bytes = -sys.maxsize  # the nodes below are of one epoch: however large, nothing is realised in between
    try:
        result, news = rule([stand_in(grads[i]) for i in places])
        for i, y in zip(places, news):
            grads[i] = fit(node_of(y), grads[i].ty)
        known = Changed(grads, [v + 1 for v in g.known.versions], epoch.scalars[start:], node_of(result))
    finally:
        epoch.grad, epoch.bytes = before, pending
    if len(epoch.leaves) == leaves:  # otherwise the nodes are of this epoch alone
        if len(_changes) >= MAX_CHANGES:
            _changes.clear()
        _changes[name] = known
    return known
