"""``autograd.grad`` remembered: the gradients of a graph's leaves, found again as those of ``backward`` are.

That holds where all leaves of the graph are asked for, so that no part of it is left out, and where the gradients are
memory of their own, not that of the seed or of something saved. Everything else goes through the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ..graph.epoch import BUDGET, Epoch, threads
from ..graph.fn import AccumulateGrad, Fn
from ..graph.node import Node, on_one_line
from ..graph.realisation import forget_hooks, realise
from ..ops._registry import HELD_BACK, at_version, fresh
from .engine import Task
from .memo import MAX_TEMPLATES, Template, read, release, says_all

_templates: dict[tuple[Any, ...], Template] = {}
forget_hooks.append(_templates.clear)

Captured = dict[AccumulateGrad, Any]


def captured(
    root: Fn, start: Node, seed: Callable[[], Any], wanted: Collection[AccumulateGrad], keep: bool
) -> Captured | None:
    """The gradients of the ``wanted`` leaves; None if the graph needs the engine itself.

    ``start`` is the node of the gradient to begin with, ``seed`` makes it as a tensor.
    """
    epoch = threads.epoch
    fns: list[Fn] = []
    leaves: list[AccumulateGrad] = []
    found = read(root, epoch, fns, leaves, None)
    if found is None or not all(acc in wanted for acc in leaves):
        return None
    key = (*found, start)
    known = _templates.get(key)
    grads = _learn(key, root, seed(), leaves, epoch) if known is None else _again(known, leaves, epoch)
    if not keep:
        release(fns)
    return grads


def _again(known: Template, leaves: list[AccumulateGrad], epoch: Epoch) -> Captured:
    epoch.scalars.extend(known.scalars)
    epoch.bytes -= HELD_BACK
    grads = {acc: None if node is None else at_version(fresh(node, epoch), version)
             for acc, node, version in zip(leaves, known.grads, known.versions)}  # fmt: skip
    epoch.bytes += HELD_BACK
    if epoch.bytes > BUDGET:
        realise(epoch)
    return grads


def _learn(key: tuple[Any, ...], root: Fn, seed: Any, leaves: list[AccumulateGrad], epoch: Epoch) -> Captured:
    """Runs the engine, and remembers what it gives."""
    serial, before, pending, scalars = epoch.serial, len(epoch.leaves), len(epoch.pend), len(epoch.scalars)
    captures: dict[Any, int] = {(acc, 0): i for i, acc in enumerate(leaves)}
    task = Task(True, False, captures, retaining=False, all_leaves=True, unwritten=True)
    with on_one_line():
        task.run([root], [seed])
    grads = [task.captured.get(i) for i in range(len(leaves))]
    unmoved = epoch.serial == serial and len(epoch.leaves) == before
    if unmoved and _are_own([g for g in grads if g is not None], pending):
        nodes = [None if g is None else g._s.h for g in grads]
        if says_all(key, nodes):
            if len(_templates) > MAX_TEMPLATES:
                _templates.clear()
            versions = [0 if g is None else g._s.version for g in grads]
            _templates[key] = Template(nodes, [], epoch.scalars[scalars:], versions)
    return dict(zip(leaves, grads))


def _are_own(grads: list[Any], pending: int) -> bool:
    """Does each gradient have memory that was made in this pass, all of it and alone?"""
    if any(g.is_sparse for g in grads):
        return False
    made = {id(s) for s in threads.epoch.pend[pending:]}
    own = {id(g._s) for g in grads if g._view is None and g._ty is g._s.ty and g._ty.dense and id(g._s) in made}
    return len(own) == len(grads)
