"""Optimizer steps: the update of all parameters of a group recorded by one look-up.

The update rule is written once, with tensor operators on one parameter. It runs when a step of this
structure is new; afterwards the nodes that it recorded are found by the nodes of parameters, gradients and
states. Learning rates and other numbers are run-time arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .._records import Record
from ..compiler.numpy import to_memory
from ..compiler.twins import twin
from ..dtypes import dtype, float64
from ..graph.epoch import Epoch, Turn, node_of, refresh, scalar_node, threads
from ..graph.fn import next_number
from ..graph.gradients import Gradients
from ..graph.keeping import keep, settled_leaf
from ..graph.node import LEAF, Node, layout_node
from ..graph.realisation import Writes, forget_hooks, realise, realise_with
from ..graph.storage import Storage, inferred, next_token, refuse_inference_write
from ..graph.tape import settle
from ..graph.tensor_base import TensorBase, new_tensor, replaced
from ..graph.traced import Traced
from ..graph.types import Ty, like, ty
from ._registry import fit, record_write
from .new_forms import comes_apart

Rule = Callable[..., Sequence[Any]]

_steps: dict[tuple[Any, ...], Step] = {}
forget_hooks.append(_steps.clear)


class Step:
    """A known step: ``results`` has the nodes of the new values, a list for each column of tensors, None for one that
    is not changed; ``scalars`` the numbers that the rule itself writes, which are to be given at every step. ``writes``
    is for ``columns``, those that change, in one, where that can be done.
    """

    __slots__ = ("columns", "results", "scalars", "writes")

    def __init__(self, results: list[list[Any]], scalars: list[Any]) -> None:
        self.results = results
        self.scalars = scalars
        self.columns: list[int] = []
        self.writes: Writes | None = None


def step_all(
    rule: Rule,
    flags: Any,
    parameters: Sequence[Sequence[TensorBase]],
    numbers: Sequence[float],
    last: bool | None = False,
) -> Taken | None:
    """Applies ``rule(flags, tensors, numbers)`` to each parameter's tensors.

    ``parameters`` holds for each parameter a sequence of tensors (value, gradient, states…), all equally long. The
    rule gets them as tensors (gradients may come as ``gradients`` gives them) and the numbers as 0-dim tensors that
    promote like Python numbers, and returns the new values of the tensors that change, None for one that does not.
    After the ``last`` of an optimizer's step all that is pending may be realised. The result says what was done, if
    all of it can be done again as a whole, else it is None.
    """
    epoch = threads.epoch
    if epoch.crowded:
        with Turn(epoch):
            return step_all(rule, flags, parameters, numbers, last)
    g: Any = parameters[0][1]
    if type(g) is Gradients and g.epoch is not epoch:  # computed since ``gradients`` gave it
        parameters = [[p, p._grad, *rest] for p, _, *rest in parameters]
        g = None
    settle(epoch)
    start = len(epoch.scalars)
    epoch.scalars.extend(numbers)
    columns: list[Any] = list(zip(*parameters))
    if inferred[0]:
        for x in columns[0]:
            refuse_inference_write(x._s)
    handles = _handles(*columns)
    key = rule, flags, start, len(numbers), *chain.from_iterable(handles)
    known = _steps.get(key)
    if known is None and _pending(columns[1]) and comes_apart((rule, *handles[1]), columns[0][0], rule):
        del epoch.scalars[start:]
        realise(epoch)
        return step_all(rule, flags, parameters, numbers, last)
    if known is None:
        known = _steps[key] = _learn(rule, flags, columns, _plain(handles, columns), start, len(numbers))
    else:
        epoch.scalars.extend(known.scalars)
    plan = None
    if known.writes is not None:
        plan = Plan(handles[0], known.writes, *_memory([columns[c] for c in known.columns]), known.scalars)
    if last and plan is not None:
        realise_with(epoch, (plan.writes,), plan.storages, plan.counters)
    else:
        _keep_leaves(columns, known.results)
        if _write_all(columns, known.results, epoch):
            # Only now: the nodes of the other writes belong to this epoch.
            realise(epoch)
    if plan is None:
        return None
    if type(g) is not Gradients:
        return Taken(None, None, bool(last))
    return Taken((rule, flags, g.known, start, len(numbers)), plan, bool(last))


def _pending(grads: Sequence[Any]) -> bool:
    """Are some gradients not computed yet?"""
    return type(grads[0]) is Gradients or any([g._s.pending for g in grads])  # noqa: C419


def _memory(columns: Sequence[Sequence[Any]]) -> tuple[list[Storage], list[Any]]:
    """The storages of tensors in columns, and their version counters."""
    # Columns apart, because tensors of one class are faster than of several.
    return [x._s for xs in columns for x in xs], [x._vc or x._s for xs in columns for x in xs]


class Plan(Record):
    """A step known as a whole: what it writes, for parameters with these nodes."""

    leaves: list[Any]
    writes: Writes
    storages: list[Storage]
    counters: list[Any]
    scalars: list[Any]


class Taken(Record):
    """A step that was taken: where a ``Standing`` finds it again, if it does. ``whole``: with all that was pending."""

    key: Any
    plan: Plan | None
    whole: bool


MAX_PLANS = 16


class Standing:
    """The parameters of an optimizer's group and their states after a step, as long as they are those of the next one.

    A few looks tell that a step is known as a whole: all parameters have the gradients of one pass at which nobody has
    looked, all tensors are those of the step before, and their memory keeps its leaf and has no pending value.

    Args:
        update: what the optimizer does with them (`optim._rules.Update`).
        params: the parameters.
        members: their states, a column after the other.
        counted: those columns whose values are known, of each column the same.
        rounded: what rounds a number as these do.

    Attributes:
        options: of the group, from which the update follows as long as they are the same objects.
        key: what the last step depended on; first come the values of what is counted.
        next: the same of the step that may be next.
        flags, numbers: of that step.
    """

    __slots__ = (
        "counted", "counters", "flags", "key", "members", "next", "nodes", "numbers", "options", "params", "plans",
        "replaced", "rounded", "storages", "update", "versions",
    )  # fmt: skip

    def __init__(
        self, update: Any, params: Sequence[Any], members: Sequence[Any], counted: Sequence[Sequence[Any]],
        rounded: Callable[[float], float],
    ) -> None:  # fmt: skip
        self.update = update
        self.rounded = rounded
        self.options: tuple[Any, ...] = ()
        self.key: tuple[float, ...] = ()
        self.next: tuple[float, ...] = ()
        self.flags: Any = None
        self.numbers: list[float] = []
        self.params = list(params)
        self.members = list(members)
        self.replaced = replaced[0]
        self.storages = _memory([self.params, self.members])[0]
        self.nodes = self._at_rest()
        self.plans: dict[Any, Plan] = {}
        self.counted = counted
        self.counters = [x._vc or x._s for column in counted for x in column]
        self.versions = sum([c.version for c in self.counters])

    @property
    def counting(self) -> bool:
        """Is what is counted as ``key`` says?"""
        return _counting(self)

    def _at_rest(self) -> list[Any]:
        """The nodes of all memory between steps."""
        return [None if s.notes is None else s.notes.kept for s in self.storages]

    def stands_for(self, params: Sequence[Any], members: Sequence[Any]) -> bool:
        """Are these the tensors, on the memory of before?"""
        return _same(self, params, members) and self._at_rest() == self.nodes

    def learn(self, taken: Taken, key: tuple[float, ...]) -> None:
        """Remembers a step that was taken, and on what it depended."""
        self.key = key
        self.versions = sum([c.version for c in self.counters])
        if taken.plan is not None:
            if len(self.plans) >= MAX_PLANS:
                self.plans.clear()
            self.plans[taken.key] = taken.plan


@twin
def holds(standing: Standing, params: Sequence[Any], members: Sequence[Any]) -> bool:
    """Are these the tensors, all at rest?"""
    return _same(standing, params, members) and [s.h for s in standing.storages] == standing.nodes


@twin
def _same(standing: Standing, params: Sequence[Any], members: Sequence[Any]) -> bool:
    return standing.replaced == replaced[0] and same(members, standing.members) and same(params, standing.params)


@twin
def same(xs: Collection[Any], ys: Collection[Any]) -> bool:
    """Are these the very same objects?"""
    return len(xs) == len(ys) and all([x is y for x, y in zip(xs, ys)])  # noqa: C419


@twin
def members(state: Any, params: Sequence[Any], keys: Sequence[str]) -> list[Any] | None:
    """The states of parameters, a column after the other; None if some parameter has none yet."""
    states = [state.get(p) for p in params]
    found: list[Any] = []
    try:
        for key in keys:
            found += [s[key] for s in states]
    except (TypeError, KeyError):
        return None
    return found


@twin
def _counting(standing: Standing) -> bool:
    return standing.replaced == replaced[0] and standing.versions == sum([c.version for c in standing.counters])


@twin
def _plan(standing: Standing, g: Gradients, start: int) -> Plan | None:
    """The next step for the gradients of one pass with numbers from ``start`` on; None if it is not known."""
    params = standing.params
    if not all([p._g is g for p in params]):  # noqa: C419
        return None
    plan = standing.plans.get((standing.update.rule, standing.flags, g.known, start, len(standing.numbers)))
    return None if plan is None or plan.leaves != [p._h for p in params] else plan


@twin
def repeat(steps: Sequence[Standing]) -> bool:
    """Takes the next steps of all groups of an optimizer with all that is pending, if they are known."""
    epoch = threads.epoch
    g: Any = steps[0].params[0]._g
    if epoch.moved or epoch.crowded or type(g) is not Gradients or g.epoch is not epoch:
        return False
    plans: list[Plan] = []
    scalars: list[Any] = []
    start = len(epoch.scalars)
    for standing in steps:
        plan = _plan(standing, g, start + len(scalars))
        if plan is None:
            return False
        plans.append(plan)
        scalars += standing.numbers
        scalars += plan.scalars
    epoch.scalars += scalars
    if len(plans) == 1:
        plan = plans[0]
        realise_with(epoch, (plan.writes,), plan.storages, plan.counters)
    else:
        _realise_all(epoch, plans)
    for standing in steps:
        standing.key = standing.next  # it was foretold
        standing.versions += len(standing.counters)
    return True


def _realise_all(epoch: Epoch, plans: list[Plan]) -> None:
    """Takes the steps of several groups."""
    storages, counters = [s for p in plans for s in p.storages], [c for p in plans for c in p.counters]
    realise_with(epoch, tuple([p.writes for p in plans]), storages, counters)


def zeros_like(x: TensorBase) -> TensorBase:
    """An optimizer's state before its first update, in the layout of a parameter."""
    t = like(x._ty)
    return _state(t, np.zeros(t.numel, t.dtype.np))  # large ones take no memory before they are written


def negative_zeros_like(x: TensorBase) -> TensorBase:
    """The same of a sum that is its first summand, to the bit, also where that is a zero."""
    t = like(x._ty)
    value = to_memory(np.asarray(-0.0, t.dtype.compute), t.dtype)
    return _state(t, np.full(t.numel, value, t.dtype.np))


def zero(dt: dtype) -> TensorBase:
    """A count of steps before the first one."""
    return _state(ty((), dt), np.zeros(1, dt.np))


def _state(t: Ty, values: np.ndarray) -> TensorBase:
    """A state in memory, under a leaf of its own: so the first step is the same program as those after it."""
    s = Storage.of(t, None, values)
    settled_leaf(s)
    return new_tensor(s, t)


def _handles(ps: Any, grads: Any, *states: Any) -> list[list[Any]]:
    """The nodes that a step begins with, in columns.

    Gradients that nobody has looked at are named by their pass, which names the leaves; loops are apart because
    tensors of one class are faster than of several.
    """
    hs = [[p._h if p._w == p._s.w else refresh(p) for p in ps]]
    hs.append([grads[0].known] if type(grads[0]) is Gradients else [node_of(g) for g in grads])
    for column in states:
        hs.append([x._h if x._w == x._s.w else refresh(x) for x in column])
    return hs


def _plain(handles: list[list[Any]], columns: list[Any]) -> list[list[Node]]:
    """The nodes of all tensors. Asked for once more, memory that NumPy can see would have others."""
    nodes = [[h.value if type(h) is Traced else h for h in column] for column in handles]
    if type(columns[1][0]) is Gradients:
        nodes[1] = [g.node(p) for p, g in zip(columns[0], columns[1])]
    return nodes


def _learn(rule: Rule, flags: Any, columns: list[Any], nodes: list[list[Node]], start: int, count: int) -> Step:
    rows = _record(rule, flags, columns, nodes, start, count)
    step = Step([list(c) for c in zip(*rows)], threads.epoch.scalars[start + count :])
    step.columns = [c for c, changed in enumerate(step.results) if any(changed)]
    old = [h for c in step.columns for h in nodes[c]]
    new = [node for c in step.columns for node in step.results[c]]
    # Storages that keep their leaf are at rest, and the tensors see all of them: there is nothing to do but to
    # exchange their buffers when the step has run.
    if all(new) and len(set(old)) == len(old) and all(h.op is LEAF and h.attrs < 0 for h in old):
        step.writes = Writes(new)
    return step


def _keep_leaves(columns: list[Any], results: list[list[Any]]) -> None:
    """What a step writes, the next steps will read and write again."""
    for xs, nodes in zip(columns, results):
        for x, node in zip(xs, nodes):
            if node is not None and x._ty is x._s.ty and x._s.owner is None:
                keep(x._s)


def gradients(params: Sequence[Any]) -> list[Any]:
    """The parameters' gradients for ``step_all``, None where there is none.

    They are not made tensors of their own if they are those of one pass of this epoch, and nothing has changed since
    that would make another leaf of a parameter.
    """
    epoch = threads.epoch
    found = [p._g for p in params]
    g = found[0] if found else None
    if type(g) is Gradients and g.epoch is epoch and all([other is g for other in found]):  # noqa: C419
        if not epoch.moved:
            return found
        for p in sorted(params, key=g.place):  # in the order of the pass, which makes it the program of other steps
            p._grad  # noqa: B018
    return [p._grad for p in params]


def _write_all(columns: list[Any], results: list[list[Any]], epoch: Epoch) -> bool:
    """``record_write`` for each tensor that changes; is the memory of one shared with NumPy?"""
    epoch.written = next_number()
    shared = False
    for row, new in zip(zip(*columns), zip(*results)):
        for x, node in zip(row, new):
            if node is not None:
                shared = _write(x, node, epoch) or shared
    return shared


def _write(x: TensorBase, node: Node, epoch: Epoch) -> bool:
    s = x._s
    if x._ty is not s.ty or s.owner is not None:
        record_write(x, node)
        return s.owner is not None and s.shared
    s.h = node
    s.w = next_token()
    (x._vc or s).version += 1
    if not s.pending:
        s.pending = True
        s.epoch = epoch
        epoch.pend.append(s)
    return False


def _record(rule: Rule, flags: Any, columns: list[Any], nodes: list[list[Node]], start: int, count: int) -> list[Any]:
    """The nodes of the new values from those of the old: a list for each parameter, with None for what stays."""
    epoch = threads.epoch
    before, pending = epoch.grad, epoch.bytes
    epoch.grad = False
    epoch.bytes = -sys.maxsize  # the nodes below are of one epoch: however large, nothing is realised in between
    try:
        numbers = [stand_in(scalar_node(float64, start + k)) for k in range(count)]
        rows: list[list[Any]] = []
        for tensors, old in zip(zip(*columns), zip(*nodes)):
            new = list(rule(flags, [stand_in(h) for h in old], numbers))
            new += [None] * (len(tensors) - len(new))
            rows.append([None if y is None else _fitted(y, x) for x, y in zip(tensors, new)])
        return rows
    finally:
        epoch.grad, epoch.bytes = before, pending


def _fitted(y: TensorBase, x: TensorBase) -> Node:
    """The node in the layout of the tensor that it will be written to."""
    return fit(node_of(y), x._s.ty) if x._ty is x._s.ty else node_of(y)


def stand_in(node: Node) -> Any:
    """A tensor that has this node for a value and no memory of anybody.

    What is seen of memory with gaps lies without them: views of the tensor are views of all that it has.
    """
    if not node.ty.dense or node.ty.offset:
        node = layout_node(node, like(node.ty))
    s = Storage.of(node.ty, node)
    s.epoch = threads.epoch
    return new_tensor(s, node.ty, node, 0)
