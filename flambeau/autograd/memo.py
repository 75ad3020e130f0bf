"""Backward passes remembered by the shape of their graph.

A backward pass without hooks is a function of the recorded graph: of its operators, of how they are
connected, and of the nodes of the tensors they saved. So the gradient nodes that the engine records the
first time are found again by one look-up; only the walk that reads the graph is paid at each step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph.epoch import Epoch, node_of, refresh, threads
from ..graph.fn import AccumulateGrad, Fn, Out, Saved
from ..graph.node import Node, layout_node
from ..graph.realisation import forget_hooks
from ..graph.tensor_base import new_tensor
from ..graph.types import Ty, ty
from ..ops._registry import HELD_BACK, fresh, version_of
from .engine import Task, accumulate, obeys_layout

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


def _read(root: Fn, epoch: Epoch, fns: list[Fn], leaves: list[AccumulateGrad]) -> list[Any] | None:
    """The graph as a list: two graphs with equal lists have equal gradients. None if it must go through the engine.

    Fills ``fns`` and ``leaves`` with what it meets. Nodes, types, numbers of outputs and positions differ in
    type, so that no two graphs have the same list.
    """
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
        node = fn.node
        if node is None or node.numbers or fn.number < epoch.written:
            # What it saved is not all in the node, may have been written, or belongs to an earlier epoch.
            if not _read_saved(fn, epoch, add):
                return None
        for e in fn.edges:
            if e is None:
                add("none")  # not None, which marks a node or leaf met for the first time
                continue
            if e.__class__ is Out:
                add(("output", e.number))
                e = e.fn
            at = index.get(e)
            add(at)
            if at is not None:
                continue
            index[e] = len(index)
            if e.__class__ is not AccumulateGrad:
                stack.append(e)
            elif e.hooked is None:
                leaves.append(e)
            else:
                return None
    return key


def _read_saved(fn: Fn, epoch: Epoch, add: Callable[[Any], None]) -> bool:
    """Adds the nodes of what was saved; False if it was overwritten, which the engine will report."""
    for x, version in zip(fn.saved, fn.versions):
        if version is None:
            add(x)
        elif x.__class__ is Saved:
            if (x.vc or x.storage).version != version:
                return False
            add(_node_of_output(x, epoch))
        else:
            s = x._s
            if (x._vc or s).version != version:
                return False
            add(x._h if x._w == s.w else refresh(x))
    return True


def _node_of_output(x: Saved, epoch: Epoch) -> Node:
    s = x.storage
    if s.h is not None and s.epoch is epoch and s.owner is None and x.ty is s.ty:
        return s.h
    return refresh(new_tensor(s, x.ty))


def backward(root: Fn, start: Node, seed: Callable[[], Any], keep: bool) -> bool:
    """Runs a remembered pass, or the engine and remembers it; False if the graph needs the engine itself.

    ``start`` is the node of the gradient to begin with, ``seed`` makes it as a tensor.
    """
    epoch = threads.epoch
    fns: list[Fn] = []
    leaves: list[AccumulateGrad] = []
    read = _read(root, epoch, fns, leaves)
    if read is None:
        return False
    read.append(start)
    key = tuple(read)
    known = _templates.get(key)
    if known is None:
        known = _learn(key, root, seed(), leaves, epoch)
    else:
        epoch.scalars.extend(known.scalars)
    epoch.bytes -= HELD_BACK
    for acc, node, version in zip(leaves, known.grads, known.versions):
        if node is not None:
            _add(acc, node, version, epoch)
    epoch.bytes += HELD_BACK
    if not keep:
        _release(fns)
    return True


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
            fn.saved = fn.versions = ()
            fn.freed = True


def _learn(key: tuple[Any, ...], root: Fn, seed: Any, leaves: list[AccumulateGrad], epoch: Epoch) -> Template:
    """Runs the engine, capturing the gradients of the leaves."""
    captures: dict[Any, int] = {(acc, 0): i for i, acc in enumerate(leaves)}
    serial, before, scalars = epoch.serial, len(epoch.leaves), len(epoch.scalars)
    task = Task(True, False, captures)
    task.run([root], [seed])
    grads = [task.captured.get(i) for i in range(len(leaves))]
    nodes = [None if g is None else _laid_out(g, acc) for g, acc in zip(grads, leaves)]
    versions = [0 if g is None else _version(g, acc.leaf, any(g is o for o in grads[:i]))
                for i, (g, acc) in enumerate(zip(grads, leaves))]  # fmt: skip
    learned = Template(nodes, epoch.scalars[scalars:], versions)
    if epoch.serial == serial and len(epoch.leaves) == before:
        if len(_templates) > MAX_TEMPLATES:
            _templates.clear()
        _templates[key] = learned
    return learned


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
