"""Backward passes remembered by the shape of their graph.

A backward pass without hooks is a function of the recorded graph: of its operators, of how they are connected, of the
nodes of the tensors they saved, and of which results retain their gradients. So the gradient nodes that the engine
records the first time are found again by one look-up; only the walk that reads the graph is paid at each step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..compiler.twins import twin
from ..graph.epoch import BUDGET, Epoch, node_of, refresh, threads
from ..graph.fn import AccumulateGrad, Fn, Out, Saved, hooked_leaves
from ..graph.gradients import gradients
from ..graph.node import LEAF, SCALAR, Node, layout_node, on_one_line
from ..graph.realisation import forget_hooks, realise
from ..graph.tape import Released, released, settle
from ..graph.tensor_base import new_tensor
from ..graph.traced import Traced, inner_nodes
from ..graph.types import Ty, ty
from ..ops._registry import HELD_BACK, version_of
from ..ops._view_rules import CopySlices
from ..ops.creation import ones_like, ones_node
from . import anomaly_mode as anomaly
from ._sparse_gradients import SparseNodes, fresh, plain_nodes
from .engine import Task, accumulate, obeys_layout

_templates: dict[tuple[Any, ...], Template] = {}
forget_hooks.append(_templates.clear)
MAX_TEMPLATES = 10_000
MAX_PASSES = 64  # on one traced node: Python numbers that the gradient depends on may vary


class Template:
    """Gradient nodes in the order in which the walk meets the leaves; numbers that the pass adds to the epoch.

    ``retained``: the gradients that results retain.
    """

    __slots__ = ("grads", "lasting", "retained", "scalars", "versions")

    def __init__(self, grads: list[Any], retained: list[Any], scalars: list[Any], versions: list[int]) -> None:
        self.grads = grads
        self.retained = retained
        self.scalars = scalars
        self.versions = versions
        self.lasting = False  # do the nodes stand for the same in other epochs?


Retained = list[tuple[Fn, int, Callable[[], Any]]]  # outputs that retain their gradients, and references to them


def read(
    root: Fn, epoch: Epoch, fns: list[Fn], leaves: list[AccumulateGrad], kept: Retained | None
) -> list[Any] | None:
    """The graph as a list: two graphs with equal lists have equal gradients. None if it must go through the engine.

    Fills ``fns``, ``leaves`` and ``kept`` with what it meets; with None nothing may be retained. Nodes, types, numbers
    of outputs and positions differ in type, so that no two graphs have the same list.
    """
    key: list[Any] = [len(epoch.scalars)]
    add = key.append
    index: dict[Any, int] = {root: 0}
    stack = [root]
    while stack:
        fn = stack.pop()
        if fn.freed or (fn.hooked is not None and not _only_retains(fn, kept, add)):
            return None
        if not fn.simple and not (fn.__class__ is CopySlices and _read_write(fn, epoch, add)):
            return None
        fns.append(fn)
        node = fn.node
        if node is None:
            add(fn.op)
            add(fn.call)
        else:
            add(node)
        # What it saved may not all be in the node, may have been written, or belong to an earlier epoch.
        if fn.saved and (fn.number < epoch.written or node is None or node.numbers):
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


def _read_write(fn: Any, epoch: Epoch, add: Callable[[Any], None]) -> bool:
    """Adds what a write through a view was; False if the engine must run it."""
    inner = fn.inner
    if not inner.simple or inner.freed:
        return False
    add(inner.node or (inner.op, inner.attrs, inner.ins))
    return _read_saved(inner, epoch, add)


def _only_retains(fn: Fn, kept: Retained | None, add: Callable[[Any], None]) -> bool:
    """Notes which outputs retain their gradients; False if there are other hooks."""
    hooks = fn.hooked
    if kept is None or hooks.pre or hooks.post or any(hooks.tensor.values()):
        return False
    for k, x in hooks.retain.items():
        kept.append((fn, k, x))
        add(("retained", k))
    return True


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
            h = x._h if x._w == s.w else refresh(x)
            add(h.value if h.__class__ is Traced else h)
    return True


def _node_of_output(x: Saved, epoch: Epoch) -> Node:
    s = x.storage
    if s.h is not None and s.epoch is epoch and s.owner is None and x.ty is s.ty:
        return s.h
    return node_of(new_tensor(s, x.ty))


def backward(root: Fn, start: Node, seed: Callable[[], Any], keep: bool) -> bool:
    """Runs a remembered pass, or the engine and remembers it; False if the graph needs the engine itself.

    ``start`` is the node of the gradient to begin with, ``seed`` makes it as a tensor.
    """
    epoch = threads.epoch
    fns: list[Fn] = []
    leaves: list[AccumulateGrad] = []
    kept: Retained = []
    known = _find(root, start, seed, epoch, fns, leaves, kept)
    if known is None:
        return False
    if kept:
        _retain(kept, known.retained, epoch)
    _add_all([acc.reference() for acc in leaves], leaves, known, epoch)
    if not keep:
        release(fns)
    return True


def _find(
    root: Fn, start: Node, seed: Callable[[], Any], epoch: Epoch, fns: list[Fn], leaves: list[AccumulateGrad],
    kept: Retained | None = None,
) -> Template | None:  # fmt: skip
    """The gradients of a graph, with the epoch's scalars that they read."""
    found = read(root, epoch, fns, leaves, kept)
    if found is None:
        return None
    key = (*found, start)
    known = _templates.get(key)
    if known is None:
        return _learn(key, root, seed(), leaves, kept or [], epoch)
    epoch.scalars.extend(known.scalars)
    return known


def _retain(kept: Retained, nodes: list[Any], epoch: Epoch) -> None:
    """Adds gradients to results that retain them, if they still live."""
    epoch.bytes -= HELD_BACK
    for (_, _, reference), node in zip(kept, nodes):
        x = reference()
        if node is not None and x is not None:
            g = fresh(node, epoch)
            x._grad = g if x._grad is None else x._grad + g
    epoch.bytes += HELD_BACK


def _add_all(xs: list[Any], edges: list[Any], known: Any, epoch: Epoch) -> None:
    """Adds gradients to leaves, if they still live and have these edges.

    All are made before one is added: adding to memory that NumPy sees ends the epoch, whose numbers they read.
    """
    epoch.bytes -= HELD_BACK
    more = []
    for x, acc, node, version in zip(xs, edges, known.grads, known.versions):
        if node is None or x is None or x._e is not acc:
            continue
        if x._grad is None:
            g = x._grad = fresh(node, epoch)
            if node.__class__ is SparseNodes:
                g._spread = False  # its memory is its own
            elif version:
                g._s.version = version
        else:
            more.append((acc, fresh(node, epoch)))
    for acc, g in more:
        accumulate(acc, g, False)
    epoch.bytes += HELD_BACK
    if epoch.bytes > BUDGET:
        realise(epoch)


def release(fns: list[Fn]) -> None:
    """Frees what these backward nodes saved, so that a second pass through them is refused."""
    for fn in fns:
        if fn.__class__ is CopySlices:
            fn.release()  # type: ignore[attr-defined]
        elif fn.saved:
            fn.saved = fn.versions = ()
            fn.freed = True


# ---- passes found by the traced node of the loss alone


class Pass:
    """A template on a traced node: gradients in the order of ``leaves``, through the calls ``nodes``."""

    __slots__ = ("bytes", "grads", "leaves", "nodes", "scalars", "together", "versions")

    def __init__(self, known: Template, leaves: list[Traced], nodes: frozenset[Traced]) -> None:
        self.grads = known.grads
        self.scalars = known.scalars
        self.versions = known.versions
        self.leaves = leaves
        self.nodes = nodes
        dense = all([g.__class__ is Node for g in known.grads])  # noqa: C419
        self.together = dense and len(set(leaves)) == len(leaves) > 0
        self.bytes = sum([g.ty.nbytes for g in known.grads if g is not None])


@twin
def replay(x: Any, keep: Any) -> bool:
    """A backward pass from a scalar whose graph is on the tape, found without a walk; False if that does not hold."""
    epoch, h = threads.epoch, x._e
    if type(h) is not Traced or type(x._ins) is Released:
        return False
    if epoch.tape.get(h) is not x or anomaly.state["enabled"] or x._ty.numel != 1 or x._ty.dtype.kind != "f":
        return False
    if h.passes is None:
        return _first_pass(x, h, keep, epoch)
    scalars = epoch.scalars
    known = h.passes.get((len(scalars), *[scalars[i] for i in h.numbers]))
    if known is None:
        return _first_pass(x, h, keep, epoch)
    if epoch.released and not all([r.nodes.isdisjoint(known.nodes) for r in epoch.released]):  # noqa: C419
        return False
    xs = [leaf.leaf() for leaf in known.leaves]
    edges = [x._e for x in xs]
    if hooked_leaves and any([e.hooked is not None for e in edges]):  # noqa: C419
        return False
    scalars.extend(known.scalars)
    if not keep:
        x._ins = released(known.nodes, known.leaves, edges)
        epoch.released.append(x._ins)
    if known.together and all([x._g is None for x in xs]):  # noqa: C419
        _give_together(xs, known, epoch)
        return True
    _add_without_grad(xs, edges, known, epoch)
    return True


def _add_without_grad(xs: list[Any], edges: list[Any], known: Pass, epoch: Epoch) -> None:
    """``_add_all``, of which autograd sees nothing."""
    before, epoch.grad = epoch.grad, False
    try:
        _add_all(xs, edges, known, epoch)
    finally:
        epoch.grad = before


@twin
def _give_together(xs: list[Any], known: Pass, epoch: Epoch) -> None:
    """Gives leaves without a gradient theirs, all in one object."""
    g = gradients(known, [leaf.leaf for leaf in known.leaves], epoch)
    for x in xs:
        x._g = g
    epoch.computed.append(g)
    epoch.bytes += known.bytes
    if epoch.bytes > BUDGET:
        realise(epoch)


def _first_pass(x: Any, h: Any, keep: Any, epoch: Epoch) -> bool:
    """Runs a pass that is not known on this traced node yet."""
    inner = inner_nodes(h)
    numbers = tuple({i.attrs: None for g in inner for i in g.ins if i.op is SCALAR})
    key = len(epoch.scalars), *[epoch.scalars[i] for i in numbers]
    fns: list[Fn] = []
    leaves: list[AccumulateGrad] = []
    settle(epoch)
    if x._e.traced is not None:  # another pass has freed it
        return False
    before, epoch.grad = epoch.grad, False
    try:
        known = _find(x._e, ones_node(x._ty), lambda: ones_like(x), epoch, fns, leaves)
        if known is None:
            return False
        remembered = _remember(h, numbers, key, known, leaves, inner) if known.lasting else None
        xs = [acc.reference() for acc in leaves]
        if remembered is not None and remembered.together and all(x is not None and x._g is None for x in xs):
            _give_together(xs, remembered, epoch)
        else:
            _add_all(xs, leaves, known, epoch)
    finally:
        epoch.grad = before
    if not keep:
        release(fns)
    return True


def _remember(
    h: Traced, numbers: Any, key: Any, known: Template, leaves: list[AccumulateGrad], inner: Any
) -> Pass | None:
    # By identity: a reference to a leaf that is gone cannot be hashed.
    by_leaf = {id(i.leaf): i for g in inner for i in g.ins if type(i) is Traced and i.op is None}
    if any(id(acc.reference) not in by_leaf for acc in leaves):
        return None
    if h.passes is None or len(h.passes) > MAX_PASSES:
        h.passes = {}
    h.numbers = numbers
    h.passes[key] = Pass(known, [by_leaf[id(acc.reference)] for acc in leaves], frozenset(inner))
    return h.passes[key]


# ---- learning


def _learn(
    key: tuple[Any, ...], root: Fn, seed: Any, leaves: list[AccumulateGrad], kept: Retained, epoch: Epoch
) -> Template:
    """Runs the engine, capturing the gradients of the leaves and those that are retained."""
    captures: dict[Any, int] = {(acc, 0): i for i, acc in enumerate(leaves)}
    captures |= {(fn, k): len(leaves) + i for i, (fn, k, _) in enumerate(kept)}
    serial, before, scalars = epoch.serial, len(epoch.leaves), len(epoch.scalars)
    task = Task(True, False, captures, retaining=False, all_leaves=True, unwritten=True)
    with on_one_line():
        task.run([root], [seed])
    found = [task.captured.get(len(leaves) + i) for i in range(len(kept))]
    retained = [None if g is None else SparseNodes(g) if g.is_sparse else node_of(g.clone()) for g in found]
    grads = [task.captured.get(i) for i in range(len(leaves))]
    nodes = [None if g is None else _laid_out(g, acc) for g, acc in zip(grads, leaves)]
    versions = [0 if g is None else _version(g, acc.leaf, any(g is o for o in grads[:i]))
                for i, (g, acc) in enumerate(zip(grads, leaves))]  # fmt: skip
    learned = Template(nodes, retained, epoch.scalars[scalars:], versions)
    if epoch.serial == serial and len(epoch.leaves) == before and says_all(key, [*nodes, *retained]):
        learned.lasting = True
        if len(_templates) > MAX_TEMPLATES:
            _templates.clear()
        _templates[key] = learned
    return learned


def says_all(key: tuple[Any, ...], grads: list[Any]) -> bool:
    """Is the memory that the gradients read all in the nodes of the key?

    Tables that an operator keeps for its gradient are not: in the next epoch they may have another number, or none.
    """
    seen = _reached([n for n in key if isinstance(n, Node)], set())
    more = _reached(plain_nodes(grads), seen)
    return not any(n.op is LEAF and n.attrs >= 0 for n in more)


def _reached(nodes: list[Node], known: set[Node]) -> set[Node]:
    """The nodes and all that they are computed from, but the ``known``."""
    found: set[Node] = set()
    while nodes:
        n = nodes.pop()
        if n not in known and n not in found:
            found.add(n)
            nodes.extend(n.ins)
    return found


def _version(g: Any, leaf: Any, shared: bool) -> int:
    """PyTorch keeps a gradient that nobody else holds and that is laid out like its leaf; others are copied once."""
    if g.is_sparse:
        return 0
    if leaf is None or (not shared and obeys_layout(g._ty, leaf._ty)):
        return version_of(g)
    return int(leaf._ty.dense)


def _laid_out(g: Any, acc: AccumulateGrad) -> Any:
    """The gradient's node in its leaf's memory layout."""
    if g.is_sparse:
        return SparseNodes(g)
    h = node_of(g)
    leaf = acc.leaf
    t: Ty = leaf._ty if leaf is not None else h.ty
    return layout_node(h, ty(t.shape, h.ty.dtype, t.strides) if t.dense else ty(t.shape, h.ty.dtype))
