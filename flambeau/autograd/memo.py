"""Backward passes remembered by the shape of their graph.

A backward pass without hooks is a function of the recorded graph: of its operators, of how they are
connected, and of the nodes of the tensors they saved. So the gradient nodes that the engine records the
first time are found again by one look-up; only the walk that reads the graph is paid at each step.
"""

from __future__ import annotations

from typing import Any

from ..graph.epoch import Epoch, node_of, refresh, threads
from ..graph.fn import AccumulateGrad, Fn, Out, Saved
from ..graph.node import Node, layout_node
from ..graph.realisation import forget_hooks
from ..graph.storage import Storage
from ..graph.tensor_base import new_tensor
from ..graph.types import Ty, ty
from ..ops._registry import fresh, version_of
from .engine import Task, accumulate, obeys_layout

_EMPTY: dict[int, Any] = {}
_templates: dict[tuple[Any, ...], Template] = {}
forget_hooks.append(_templates.clear)
MAX_TEMPLATES = 10_000


class Template:
    """Gradient nodes in the order in which the walk meets the leaves; numbers that the pass adds to the epoch."""

    __slots__ = ("grads", "scalars", "versions")

    def __init__(self, grads: list[Node | None], scalars: list[Any], versions: list[int]) -> None:
        self.grads = grads
        self.scalars = scalars
        self.versions = versions


class Walk:
    """What one walk over the graph found; ``key`` is None if the graph must go through the engine."""

    __slots__ = ("fns", "key", "leaves")

    def __init__(self, root: Fn, epoch: Epoch) -> None:
        self.fns: list[Fn] = []
        self.leaves: list[AccumulateGrad] = []
        key = _read(root, epoch, self.fns, self.leaves)
        self.key = None if key is None else tuple(key)


def _read(root: Fn, epoch: Epoch, fns: list[Fn], leaves: list[AccumulateGrad]) -> list[Any] | None:
    """The graph as a list: two graphs with equal lists have equal gradients."""
    key: list[Any] = [len(epoch.scalars)]
    add = key.append
    index: dict[Any, int] = {root: 0}
    stack = [root]
    while stack:
        fn = stack.pop()
        if fn.freed or fn.hooked is not None or not fn.simple:
            return None
        fns.append(fn)
        add(fn.node or (fn.op, fn.attrs, fn.ins))
        for s in fn.saved.values():
            if type(s) is not Saved:
                add(s)
            elif (s.vc or s.storage).version != s.version:
                return None
            else:
                add(_current(s.storage, epoch))
                add(s.ty)
        for e in fn.edges:
            if e is None:
                add(None)
                continue
            if type(e) is Out:
                add(e.number)
                e = e.fn
            at = index.get(e)
            if at is not None:
                add(at)
                continue
            add(-1)
            index[e] = len(index)
            if type(e) is AccumulateGrad:
                if e.hooked is not None:
                    return None
                leaves.append(e)
            else:
                stack.append(e)
    return key


def _current(s: Storage, epoch: Epoch) -> Node:
    """The node of a storage's value in this epoch."""
    if s.h is not None and s.epoch is epoch and s.owner is None:
        return s.h
    return refresh(new_tensor(s, s.ty))


def backward(root: Fn, seed: Any, keep: bool) -> bool:
    """Runs a remembered pass, or the engine and remembers it; False if the graph needs the engine itself."""
    epoch = threads.epoch
    walk = Walk(root, epoch)
    if walk.key is None:
        return False
    start = node_of(seed)
    key = (start, *walk.key)
    known = _templates.get(key)
    if known is None:
        return _learn(key, root, seed, walk, keep, epoch)
    epoch.scalars.extend(known.scalars)
    _deliver(walk, known.grads, known.versions, keep, epoch)
    return True


def _deliver(walk: Walk, grads: list[Node | None], versions: list[int], keep: bool, epoch: Epoch) -> None:
    for acc, node, version in zip(walk.leaves, grads, versions):
        if node is not None:
            _add(acc, node, version, epoch)
    if not keep:
        _release(walk.fns)


def _add(acc: AccumulateGrad, node: Node, version: int, epoch: Epoch) -> None:
    x = acc._leaf()
    if x is None or x._edge is not acc:
        return
    if x._grad is None:
        g = x._grad = fresh(node, epoch)
        g._s.version = version
    else:
        accumulate(acc, fresh(node, epoch), False)


def _release(fns: list[Fn]) -> None:
    for fn in fns:
        if fn.saved:
            fn.saved = _EMPTY
            fn.freed = True


def _learn(key: tuple[Any, ...], root: Fn, seed: Any, walk: Walk, keep: bool, epoch: Epoch) -> bool:
    """Runs the engine, capturing the gradients of the leaves."""
    captures: dict[Any, int] = {(acc, 0): i for i, acc in enumerate(walk.leaves)}
    serial, leaves, scalars = epoch.serial, len(epoch.leaves), len(epoch.scalars)
    task = Task(True, False, captures)
    task.run([root], [seed])
    grads = [task.captured.get(i) for i in range(len(walk.leaves))]
    nodes = [None if g is None else _laid_out(g, acc) for g, acc in zip(grads, walk.leaves)]
    versions = [0 if g is None else _version(g, acc.leaf, any(g is o for o in grads[:i]))
                for i, (g, acc) in enumerate(zip(grads, walk.leaves))]  # fmt: skip
    if epoch.serial == serial and len(epoch.leaves) == leaves:
        if len(_templates) > MAX_TEMPLATES:
            _templates.clear()
        _templates[key] = Template(nodes, epoch.scalars[scalars:], versions)
    _deliver(walk, nodes, versions, keep, epoch)
    return True


def _version(g: Any, leaf: Any, shared: bool) -> int:
    """PyTorch keeps a gradient that nobody else holds and that is laid out like its leaf; others are copied once."""
    if leaf is None or (not shared and obeys_layout(g._ty, leaf._ty)):
        return version_of(g)
    return int(leaf._ty.dense)


def _laid_out(g: Any, acc: AccumulateGrad) -> Node:
    """The gradient's node in its leaf's memory layout."""
    h = node_of(g)
    leaf = acc.leaf
    t: Ty = leaf._ty if leaf is not None else h.ty
    return layout_node(h, ty(t.shape, h.ty.dtype, t.strides) if t.dense else ty(t.shape, h.ty.dtype))
