"""The backward engine: sends gradients from roots to leaves, latest recorded operator first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any

from ..dtypes import type_text
from ..graph.epoch import threads
from ..graph.fn import AccumulateGrad, Fn, Out, Saved, current_version, edge_of_saved, short_name
from ..graph.node import OUT, line_of
from ..graph.packing import Packed, over, unpacked
from ..ops._registry import view_edge
from ..ops._rule_context import CallContext, fitted
from ..ops._sent import OnTheWay, added
from ..ops._watching import watchers
from . import anomaly_mode as anomaly
from ._hook_results import gradient, gradients
from ._mentioned import MENTIONING, mentioned
from ._rules import apply_known

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
    "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
    "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access "
    "saved tensors after calling backward."
)


class Context(CallContext):
    """A call that the engine runs the rule of: what it saved are tensors."""

    __slots__ = ()

    def saved(self, i: int) -> Any:
        """The saved input ``i`` as a tensor (a Python number as it is)."""
        return unpack(self.fn, i)


def unpack(fn: Fn, which: int) -> Any:
    """A saved tensor.

    Raises:
        RuntimeError: it was freed by an earlier backward, or written in place since it was saved.
    """
    if fn.freed:
        raise RuntimeError(FREED)
    at = _place(fn, which)
    s = fn.saved[at]
    if s.__class__ is Packed:
        return unpacked(s, edge_of_saved(fn, which))
    if current_version(s) != fn.versions[at]:
        raise RuntimeError(_overwritten(fn, s, which, fn.versions[at]))
    if s.__class__ is not Saved:
        return s
    return over(s, edge_of_saved(fn, which))


def _place(fn: Fn, which: int) -> int:
    """Where ``fn.saved`` has input or output ``which``."""
    for at, (name, _) in enumerate(fn.op.saves):
        if name == which:
            return at
    raise KeyError(f"{fn.op.grad_name} does not save {which}")


def _overwritten(fn: Fn, s: Any, which: int, expected: int) -> str:
    """PyTorch's error about a saved tensor that was written, with the lines that saved and wrote it."""
    own = s.__class__ is Saved
    t, storage = (s.ty, s.storage) if own else (s._ty, s._s)
    text = (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[{type_text(t.dtype)} {list(t.shape)}]{_origin(fn, s, which)} is at version "
        f"{current_version(s)}; "
        f"expected version {expected} instead. Hint: enable anomaly detection to find the operation that failed to "
        "compute its gradient, with torch.autograd.set_detect_anomaly(True, check_nan=False)."
    )
    where = fn.node.src if fn.node is not None else None
    if where:
        text += f'\n  needed by {fn.op.grad_name}, recorded at File "{where[0]}", line {where[1]}'
    written = line_of(storage.notes.written) if storage.notes else None
    if written:
        text += f'\n  last written in place at File "{written[0]}", line {written[1]}'
    return text


def _origin(fn: Fn, s: Any, which: int) -> str:
    """Which output of which node the saved tensor is by now."""
    if s.__class__ is Saved:
        return f", which is output {which - OUT} of {short_name(fn)},"
    edge = s._edge if s._view is None else view_edge(s)
    if not isinstance(edge, (Fn, Out)):
        return ""
    return f", which is output {edge.number if isinstance(edge, Out) else 0} of {short_name(edge)},"


def split(edge: Any) -> tuple[Any, int]:
    """An edge as node and output number."""
    return (edge.fn, edge.number) if type(edge) is Out else (edge, 0)


class Task:
    """One run of the engine.

    Args:
        keep: may there be another pass through the graph?
        create: are gradients differentiable?
        captures: of which outputs gradients are wanted, and where they go; None: leaves accumulate theirs.
        retaining: do results that retain their gradients get them? If not, there are no other hooks either.
        all_leaves: are all leaves among ``captures``, so that no way to a leaf is walked in vain?
        stopping: does no gradient go on from where one is captured?
        unwritten: is it certain that nothing that was saved has been written, nor freed?
    """

    def __init__(
        self, keep: bool, create: bool, captures: dict[tuple[Any, int], int] | None, retaining: bool = True,
        all_leaves: bool = False, stopping: bool = False, unwritten: bool = False,
    ) -> None:  # fmt: skip
        self.unwritten = unwritten
        self.callbacks: list[Callable[[], Any]] = []  # called when the pass is over
        self.all_leaves = all_leaves
        self.keep = keep
        self.create = create
        self.retaining = retaining
        self.captures = captures
        self.captured: dict[int, Any] = {}
        self.buffers: dict[Any, list[Any]] = {}
        self.dependencies: dict[Any, int] = {}
        self.needed: set[Any] | None = None
        self.wanted = {node for node, _ in captures} if captures and not all_leaves else set()
        self.ends = self.wanted if stopping else ()
        self.mentions = create and not stopping  # of transforms, nobody sees which inputs a gradient is said to have
        self.seen: set[Any] = set()
        self.sent: OnTheWay = {}

    # ---- which nodes run

    def discover(self, roots: Sequence[Any]) -> None:
        """Counts how many nodes will send to each node, and which lie on a way to a wanted input."""
        seen = self.seen
        order: list[Any] = []
        stack = [(r, False) for r in roots]
        while stack:
            node, entered = stack.pop()
            if entered:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                for e in () if node in self.ends else _edges(node):
                    if e is not None:
                        target = e.fn if e.__class__ is Out else e
                        self.dependencies[target] = self.dependencies.get(target, 0) + 1
                        stack.append((target, False))
        if self.captures is not None and not self.all_leaves:
            self._mark_needed(order)

    def _mark_needed(self, order: list[Any]) -> None:
        wanted = self.wanted
        needed = {node for (node, _), at in self.captures.items() if at < 0}  # type: ignore[union-attr]
        for node in order:
            if node in self.ends:
                continue
            if any(e is not None and (split(e)[0] in needed or split(e)[0] in wanted) for e in _edges(node)):
                needed.add(node)
        self.needed = needed

    # ---- the run

    def run(self, roots: Sequence[Any], grads: Sequence[Any]) -> None:
        """Sends ``grads`` from the root edges."""
        outer, threads.task = threads.task, self
        try:
            self._run(roots, grads)
            while self.callbacks:
                self.callbacks.pop(0)()
        finally:
            threads.task = outer

    def _run(self, roots: Sequence[Any], grads: Sequence[Any]) -> None:
        """Visits nodes in the order of their numbers, latest first, each when all its users have been visited."""
        nodes = list(dict.fromkeys(split(e)[0] for e in roots))
        self.discover(nodes)
        for e, g in zip(roots, grads):
            self.add(e, g)
        ready = [(-n.number, i, n) for i, n in enumerate(nodes) if not self.dependencies.get(n)]
        heapq.heapify(ready)
        count = len(ready)
        while ready:
            node = heapq.heappop(ready)[2]
            sent = self.visit(node)
            if sent is None:
                continue
            for i, e in enumerate(_edges(node)):
                if e is None:
                    continue
                target = e.fn if e.__class__ is Out else e
                self.dependencies[target] -= 1
                if sent[i] is not None:
                    self.add(e, _taken(sent, i))
                if not self.dependencies[target]:
                    count += 1
                    heapq.heappush(ready, (-target.number, count, target))

    def add(self, edge: Any, g: Any) -> None:
        """Adds a gradient to what has arrived at an edge."""
        node, k = split(edge)
        slots = self.buffers.get(node)
        if slots is None:
            slots = self.buffers[node] = [None] * (1 if node.__class__ is AccumulateGrad else len(node.outs))
        if slots[k] is None:
            slots[k] = g
            return
        if slots[k].is_sparse or g.is_sparse:
            slots[k] = g + slots[k] if slots[k].is_sparse else slots[k] + g
            return
        # PyTorch adds in place where nobody else sees the gradient, which the version of ``grad`` shows.
        alone = not self.create and _references(slots, k) <= _ALONE and slots[k]._ty.dense
        version = slots[k]._s.version + 1 if alone else None
        both = slots[k] + g
        if version is not None:
            both._s.version = version
        if self.sent:
            added(self.sent, slots[k], g, both)
        slots[k] = both

    def visit(self, node: Any) -> list[Any] | None:
        """Runs one node on what has arrived; its gradients, one an edge. None if no wanted input lies beyond it."""
        grads = self.buffers.pop(node, None)
        if grads is None:
            grads = [None] * (1 if type(node) is AccumulateGrad else len(node.outs))
        runs = self.needed is None or node in self.needed
        if not runs and node not in self.wanted:
            return None
        hooked = node.hooked is not None and self.retaining
        if hooked:
            grads = _tensor_hooks(node, grads)
        self._capture(node, grads)
        if not runs:
            return None
        if hooked:
            grads = _pre_hooks(node, grads)
        if isinstance(node, AccumulateGrad):
            wanted = self.captures is None or self.captures.get((node, 0)) == -1
            if wanted and grads[0] is not None:
                accumulate(node, grads[0], self.create)
            return []
        if all(g is None for g in grads) and node.op.vjp is not None:  # a custom function's rule is called all the same
            return [None] * len(node.edges)
        return self._apply(node, grads)

    def _capture(self, node: Any, grads: Sequence[Any]) -> None:
        if self.captures is not None:
            for k, g in enumerate(grads):
                at = self.captures.get((node, k))
                if at is not None and at >= 0:
                    self.captured[at] = g

    def _apply(self, node: Fn, grads: list[Any]) -> list[Any]:
        """A node's gradients, with the checks and hooks that stand around its rule."""
        try:
            out = self._across(node, grads) or self._known(node, grads) or apply(node, grads)
        except Exception:
            if anomaly.state["enabled"]:
                anomaly.report(node)
            raise
        if self.mentions and node.op.grad_name in MENTIONING:
            out = mentioned(node, out)
        if anomaly.state["enabled"]:
            anomaly.check(node.op.grad_name, out, node)
        if node.hooked is not None and node.hooked.post:
            out = list(_post_hooks(node, out, grads))
        if not self.keep:
            release(node)
        return out

    def _across(self, node: Fn, grads: list[Any]) -> list[Any] | None:
        """What the operator's rule across calls gives, where it has one that holds."""
        rule = node.op.across
        if rule is None or self.create or any(g is None for g in grads):
            return None
        found = rule(self.sent, Context(node, node.ins), *grads)
        return None if found is None else _all_fitted(found, node, node.ins)

    def _known(self, node: Fn, grads: list[Any]) -> list[Any] | None:
        """The gradients by the pattern of the call's form, where that may be used."""
        return apply_known(node, grads, by_rule) if self.unwritten and not watchers else None


def _references(slots: list[Any], k: int) -> tuple[int, int]:
    """References to a gradient and to its storage."""
    x = slots[k]
    return getrefcount(x), getrefcount(x._s)


class _Probe:
    """Stands for a tensor that only a list knows, to learn what ``_references`` says of one."""

    def __init__(self) -> None:
        self._s = [self.__class__]


def _baseline() -> tuple[int, int]:
    tensor, storage = _references([_Probe()], 0)
    return tensor, storage + 1  # its epoch holds a pending storage


_ALONE = _baseline()


def will_run(node: Any) -> bool:
    """Does the thread's present pass send a gradient to this node?

    Raises:
        RuntimeError: a leaf is asked about while ``autograd.grad`` runs, as in PyTorch.
    """
    task = threads.task
    if node not in task.seen:
        return False
    if task.captures is None:
        return True
    wanted = [at for (n, _), at in task.captures.items() if n is node]
    if type(node) is AccumulateGrad and not wanted and all(at < 0 for at in task.captures.values()):
        return False
    if type(node) is AccumulateGrad and -1 not in wanted:
        raise RuntimeError(
            "A leaf node was passed to _will_engine_execute_node but we are currently running autograd.grad(). This is "
            "currently not supported."
        )
    return bool(wanted) or node in task.needed


def _taken(grads: list[Any], i: int) -> Any:
    """An element that the list no longer holds."""
    g, grads[i] = grads[i], None
    return g


def apply(node: Fn, grads: list[Any]) -> list[Any]:
    """A node's gradient rule; results have the inputs' shapes and dtypes."""
    own = getattr(node, "apply", None)
    if own is not None:
        return _all_fitted(own(*grads), node, node.ins)
    if not any(node.edges):  # a view made under no_grad: nothing saved what its rule reads
        return [None] * len(node.edges)
    return by_rule(node, Context(node, node.ins), grads)


def by_rule(node: Fn, f: Any, grads: list[Any]) -> list[Any]:
    """What the rule of a node's operator gives where ``f`` says what the call saved."""
    full = [_zeros(t) if g is None else g for g, t in zip(grads, node.outs)]
    return _all_fitted(node.op.vjp(f, *full), node, f.ins)  # type: ignore[misc]


def _all_fitted(out: Sequence[Any], node: Fn, ins: Sequence[Any]) -> list[Any]:
    return [_fitted(g, t, node, i) if e is not None else None
            for i, (g, t, e) in enumerate(zip(out, ins, node.edges))]  # fmt: skip


def _zeros(t: Any) -> Any:
    from ..ops.creation import zeros_of

    return zeros_of(t)


def _fitted(g: Any, t: Any, node: Fn, i: int) -> Any:
    """A gradient like its input; what a custom function gave may not fit it."""
    if g is None or t is None:
        return g
    if g._ty.shape != t.shape:
        _check_sums(g._ty.shape, t.shape, node, i)
    return fitted(g, t)


def _check_sums(have: tuple[int, ...], want: tuple[int, ...], node: Fn, i: int) -> None:
    lead = len(have) - len(want)
    if lead < 0 or any(w not in (1, h) for h, w in zip(have[lead:], want)):
        raise RuntimeError(f"Function {node.op.grad_name} returned an invalid gradient at index {i} - got {list(have)} "
                           f"but expected shape compatible with {list(want)}")  # fmt: skip


def _edges(node: Any) -> Sequence[Any]:
    return () if type(node) is AccumulateGrad else node.edges


def release(node: Fn) -> None:
    """Frees what the node saved."""
    if hasattr(node, "release"):
        node.release()  # type: ignore[attr-defined]
    if node.saved:
        node.saved = ()
        node.freed = True


# ---- hooks and leaves


def _tensor_hooks(node: Any, grads: list[Any]) -> list[Any]:
    """The gradients after the hooks of the node's results; what retains its gradient gets it."""
    grads = list(grads)
    hooks = node.hooked
    for k in range(len(grads)):
        for hook in list(hooks.tensor.get(k, {}).values()):
            r = hook(grads[k])
            if r is not None:
                grads[k] = gradient(hook, grads[k], r)
        if k in hooks.retain and grads[k] is not None:
            x = hooks.retain[k]()
            if x is not None:
                _retain(x, grads[k])
    return grads


def _pre_hooks(node: Any, grads: list[Any]) -> list[Any]:
    for hook in list(node.hooked.pre.values()):
        r = hook(tuple(grads))
        if r is not None:
            grads = gradients(hook, grads, r)
    return grads


def _retain(x: Any, g: Any) -> None:
    x._grad = g.clone() if x._grad is None else x._grad + g


def _post_hooks(node: Any, out: Sequence[Any], grads: Sequence[Any]) -> Sequence[Any]:
    for hook in list(node.hooked.post.values()):
        r = hook(tuple(out), tuple(grads))
        if r is not None:
            out = gradients(hook, out, r)
    return out


def accumulate(node: AccumulateGrad, g: Any, create: bool) -> None:
    """Adds to the leaf's ``grad``: in place, unless the gradient itself is differentiable."""
    x = node.leaf
    if x is None or x._edge is not node:
        return
    if x._grad is None:
        x._grad = _sparse_copy(g, create) if g.is_sparse else _own(g, x, create)
        g = g if create else x._grad
    elif x._grad.is_sparse and not g.is_sparse:
        x._grad = g + x._grad
    elif create:
        x._grad = x._grad + g
    else:
        x._grad.add_(g)
    if node.hooked is not None:
        _after_accumulation(node.hooked, x, g)


def _after_accumulation(hooks: Any, x: Any, g: Any) -> None:
    for hook in list(hooks.accumulated.values()):
        if hook(x) is not None:
            raise RuntimeError("Tensor post accumulate grad hooks should return None.")
    for hook in list(hooks.post.values()):
        hook((), (g,))


def obeys_layout(g: Any, leaf: Any) -> bool:
    """Is a gradient of type ``g`` laid out as its leaf's type wants (PyTorch's gradient layout contract)?"""
    if not leaf.dense:
        return g.contiguous
    return all(n == 1 or a == b for n, a, b in zip(g.shape, g.strides, leaf.strides))


def _sparse_copy(g: Any, create: bool) -> Any:
    """A sparse gradient with values of its own, which may be written."""
    return g.clone() if create else g.detach().clone()


def _own(g: Any, x: Any, create: bool) -> Any:
    """The gradient in memory of its own, laid out like the leaf."""
    from ..ops.creation import copy_like

    if create and obeys_layout(g._ty, x._ty):
        return g.clone()
    y = copy_like(g, x._ty, keep_graph=create)
    if not create:
        stolen = g._view is None and getrefcount(g) <= 5 and obeys_layout(g._ty, x._ty)
        y._s.version = (g._vc or g._s).version if stolen else int(x._ty.dense)
    return y
