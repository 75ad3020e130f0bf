"""Batches from one sample: what was recorded of the sample is recorded again of all samples at once (``torch.vmap``).

A value of the batch has the samples as its first dimension and, within each, the layout of the sample's value. So views
of a value and writes to it keep their strides, and every other operator is lowered as it is for one sample, to a
function that ``compiler.vectorise`` makes one of the batch. Its gradient is its rule for one sample, made so too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from ..compiler.builder import Builder
from ..compiler.vectorise import vectorised
from ..graph import packing
from ..graph.epoch import Turn, node_of, threads
from ..graph.fn import AccumulateGrad, Fn, Out
from ..graph.node import LAYOUT, PART, SCALAR, UPDATE, VIEW, Node, Operator, intern, layout_node, update_node, view_node
from ..graph.sampling import SAMPLE, NotTogether, Sampling, depends_on, sample_node
from ..graph.tensor_base import TensorBase, new_tensor
from ..graph.types import Ty, like, ty
from ._registry import FUNCTIONS, call, fresh, requires_grad, view_edge
from ._rule_context import fitted


def of_batch(t: Ty, size: int) -> Ty:
    """The type of a batch of values of type ``t``, which is dense.

    Raises:
        NotTogether: it is not.
    """
    if not t.dense or t.offset or t.meta:
        raise NotTogether
    return ty((size, *t.shape), t.dtype, (max(t.numel, 1), *t.strides))


def _strided(t: Ty, step: int, size: int) -> Ty:
    """The type of a batch of views, of memory with ``step`` elements from sample to sample."""
    return ty((size, *t.shape), t.dtype, (step, *t.strides), t.offset)


# ---- operators of batches


@functools.lru_cache(4096)
def batched(op: Operator) -> Operator:
    """``op`` at each sample of a batch.

    Its attributes are those of ``op``, the types of a sample's inputs and results, which inputs have samples, and how
    many there are.
    """
    vjp = None if op.vjp is None else functools.partial(_vjp, op)
    return Operator(f"vmap_{op.name}", _infer, functools.partial(_lower, op.lower), vjp, op.saves, op.grad_name)


def _infer(tys: tuple[Ty, ...], attrs: Any) -> Any:
    _, _, t, _, size = attrs
    return tuple([of_batch(u, size) for u in t]) if type(t) is tuple else of_batch(t, size)


def _lower(lower: Callable[..., Any], b: Builder, attrs: Any, *values: Any) -> Any:
    own, ins, t, mapped, size = attrs
    inner = Builder()
    inner.ty = t
    found = lower(inner, own, *[inner.input(k, u.shape, u.dtype) for k, u in enumerate(ins)])
    several = isinstance(found, (tuple, list))
    inner.f.outputs = list(found) if several else [found]
    outs = vectorised(b, inner.f, values, mapped, size)
    return tuple(outs) if several else outs[0]


class _OfSample:
    """What the gradient rule of one sample sees of a call of all; ``sample`` gives one of a tensor of all."""

    def __init__(self, op: Operator, f: Any, sample: Callable[[Any], Any]) -> None:
        self.op = op
        self.attrs, self.ins, outs, self._mapped, _ = f.attrs
        self.outs = outs if type(outs) is tuple else (outs,)
        self._f = f
        self._sample = sample

    def needs(self, i: int) -> bool:
        """Does input ``i`` want a gradient?"""
        return self._f.needs(i)

    def saved(self, i: int) -> Any:
        """The saved input ``i``."""
        x = self._f.saved(i)
        return self._sample(x) if self._mapped[i] else x

    def out(self, k: int = 0) -> Any:
        """The saved output ``k``."""
        return self._sample(self._f.out(k))

    def gradients(self, grads: Sequence[Any]) -> list[Any]:
        """What the rule gives, in the shapes and dtypes of a sample's inputs."""
        found = self.op.vjp(self, *map(self._sample, grads))  # type: ignore[misc]
        return [None if g is None else fitted(g, t) for g, t in zip(found, self.ins)]


def _vjp(op: Operator, f: Any, *grads: Any) -> list[Any]:
    _, _, _, mapped, size = f.attrs
    found = at_each(size, lambda sample: _OfSample(op, f, sample).gradients(grads), checked=True)
    return [g if g is None or own else g.sum(0) for g, own in zip(found, mapped)]


def at_each(size: int, f: Callable[[Callable[[Any], Any]], Sequence[Any]], checked: bool = False) -> list[Any]:
    """The results of ``f`` for all samples, stacked; they are tensors or None.

    ``f`` is called with a function that gives one sample of a tensor of all: once if that can be, else for each.
    """
    try:
        with alone():
            return _together(size, f, checked)
    except NotTogether:
        rows = [f(lambda x, i=i: x.select(0, i)) for i in range(size)]
        return [None if column[0] is None else FUNCTIONS["stack"](column) for column in zip(*rows)]


def _together(size: int, f: Callable[[Callable[[Any], Any]], Sequence[Any]], checked: bool) -> list[Any]:
    with Samples(size, checked) as samples:
        found = f(samples.sample)
        taken = [None if x is None else samples.take(x) for x in found]
    every = [None if x is None else samples.all_of(x) for x in taken]
    samples.check()
    return [y if x is None or y is not None else x.expand(size, *x.shape) for x, y in zip(found, every)]


# ---- from one sample to all


def alone() -> AbstractContextManager[Any]:
    """A block in which no other thread records: what one has pending is computed when another takes its turn."""
    epoch = threads.epoch
    return Turn(epoch) if epoch.crowded else nullcontext()


class Given(NamedTuple):
    """An input: a tensor, the same with the samples first, what stands for one of these, and where they all lie.

    That is the memory of ``node``, in which the first sample begins at ``offset`` and the next comes after ``step``.
    """

    tensor: Any
    every: Any
    one: Any
    node: Node
    offset: int
    step: int


def _memory(every: Any) -> tuple[Node, int, int] | None:
    """The node, offset and step of a batch; None where its memory cannot be seen in another way."""
    n, step = node_of(every), every._ty.strides[0]
    if n.op is VIEW:
        return n.ins[0], n.ty.offset, step
    return (n, 0, step) if n.ty.dense and not n.ty.offset else None


class Taken(NamedTuple):
    """A result for one sample: its node, where its gradient goes, and its type."""

    node: Node
    edge: Any
    ty: Ty


class Samples:
    """Records a function of one sample as a function of ``size`` samples; a context in which the function runs.

    In it, ``take`` notes results; after it, ``all_of`` gives the batches. ``given`` are the inputs. ``checked``:
    indices need no check, as in a gradient. ``draws``: what gives the samples their random numbers.

    Raises:
        NotTogether: (anywhere) other threads may record too (``alone``), or the function needs values, or writes to
            what was there before, samples included.
    """

    def __init__(self, size: int, checked: bool = False, draws: Any = None) -> None:
        self.size = size
        self.checked = checked
        self.draws = draws
        self.given: list[Given] = []
        self.postponed: list[tuple[Any, Taken, Callable[[Any], None]]] = []
        self.values: dict[Node, Node] = {}  # of one sample -> of all
        self.results: dict[tuple[Fn, int], Any] = {}  # calls with a history -> tensors of all samples, or None
        self.roots: dict[int, Any] = {}  # of views among these, by their identity: what they are views of
        self.sampling: Sampling

    def __enter__(self) -> Samples:
        epoch = threads.epoch
        if epoch.crowded or not packing.all_harmless():
            raise NotTogether
        self.sampling = Sampling(epoch, self.sample, self._seen, self.checked, self.draws, self._postpone)
        return self

    def __exit__(self, *_: object) -> None:
        self.sampling.end()

    def sample(self, x: TensorBase, dim: int = 0) -> Any:
        """A tensor that stands for one sample of ``x``, whose dimension ``dim`` has them; it may not be written."""
        every: Any = x if dim == 0 else x.movedim(dim, 0)  # type: ignore[attr-defined]
        tracked = threads.epoch.grad and requires_grad(every)
        if (tracked and not every._ty.dense) or _memory(every) is None:
            every = every.contiguous()
        t = every._ty
        node = sample_node(ty(t.shape[1:], t.dtype, t.strides[1:]), self.sampling.depth, len(self.given))
        one = fresh(node, threads.epoch)
        if tracked:
            one.requires_grad_(True)
        self.sampling.given.add(id(one._s))
        self.given.append(Given(x, every, one, *_memory(every)))  # type: ignore[misc]
        return one

    def take(self, x: TensorBase) -> Taken:
        """What is to be known of a result."""
        edge = None
        if requires_grad(x):
            edge = x._edge if x._view is None else view_edge(x)
        return Taken(node_of(x), edge, x._ty)

    def _postpone(self, x: TensorBase, check: Callable[[Any], None]) -> None:
        self.postponed.append((x, self.take(x), check))

    def check(self) -> None:
        """Makes the checks that had to wait for the values of all samples."""
        found = [(x, self.all_of(taken), check) for x, taken, check in self.postponed]
        for x, every, check in found:  # computes what was recorded, whose nodes then stand for nothing
            check(x if every is None else every)

    def input_seen(self, x: TensorBase) -> Given | None:
        """The input whose memory a tensor sees."""
        return next((given for given in self.given if given.one._s is x._s), None)

    def _seen(self, x: TensorBase) -> Any:
        given = self.input_seen(x)
        if given is None or x._ty.stored is not given.one._ty.dtype:
            return None
        t, every = x._ty, given.every
        t = ty((self.size, *t.shape), t.dtype, (given.step, *t.strides), every._ty.offset + t.offset)
        return new_tensor(every._s, t)

    # ---- what depends on the sample

    def depends(self, node: Node) -> bool:
        """Does a value differ from sample to sample?"""
        return depends_on(node, self.sampling.depth)

    # ---- results

    def all_of(self, x: Taken) -> Any:
        """The tensor of all samples for a result for one; None where it is the same for all."""
        if x.edge is None or not self.depends(x.node):
            return self._plain(x.node)
        epoch, before = threads.epoch, threads.epoch.grad
        epoch.grad = True
        try:
            found = self._with_history(x.edge, x.node)
            if found is None or found._ty.dtype is not x.ty.dtype:
                raise NotTogether
            return found.view_as(found) if any([found is g.every for g in self.given]) else found  # noqa: C419
        finally:
            epoch.grad = before

    def _plain(self, node: Node) -> Any:
        if not self.depends(node):
            return None
        found = self._value(node)
        t = found.ty
        return fresh(found if t.dense and not t.offset else layout_node(found, like(t)), threads.epoch)

    def _value(self, node: Node) -> Node:
        """The node of all samples for one that depends on the sample."""
        values, stack = self.values, [node]
        while stack:
            n = stack[-1]
            missing = [i for i in n.ins if self.depends(i) and i not in values] if n not in values else ()
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if n not in values:
                values[n] = self._batched_node(n)
        return values[node]

    def _batched_node(self, n: Node) -> Node:
        if n.op is SAMPLE:
            return node_of(self.given[n.attrs[1]].every)
        rule = _STRUCTURAL.get(n.op)
        if rule is not None:
            return rule(self, n)
        ins = tuple([self.values.get(i, i) for i in n.ins])
        return intern(batched(n.op), ins, self._attrs(n, [i in self.values for i in n.ins]))

    def _attrs(self, n: Node, mapped: Sequence[bool]) -> Any:
        return n.attrs, tuple([i.ty for i in n.ins]), n.ty, tuple(mapped), self.size

    def everywhere(self, n: Node) -> Node:
        """The node of all samples, also for a value that is the same for all: a view then."""
        found = self.values.get(n)
        if found is not None:
            return found
        t = n.ty if n.ty.dense and not n.ty.offset else ty(n.ty.shape, n.ty.dtype)
        return view_node(layout_node(n, t), _strided(t, 0, self.size))

    # ---- results with a history

    def _with_history(self, edge: Any, node: Node | None) -> Any:
        """The tensor of all samples for a value with this edge; None where it is the same for all."""
        if node is not None and not self.depends(node):
            return None
        if isinstance(edge, AccumulateGrad):
            return self._leaf(edge, node)
        fn, k = (edge.fn, edge.number) if type(edge) is Out else (edge, 0)
        if (fn, k) not in self.results:
            self._record(fn, k)
        return self.results[fn, k]

    def _leaf(self, edge: AccumulateGrad, node: Node | None) -> Any:
        """A leaf is a sample, or it was made by the function, whose result has no history beyond it."""
        for given in self.given:
            if given.one._e is edge:
                return given.every
        if node is not None:
            return self._plain(node)
        leaf = edge.leaf
        if leaf is None or self.depends(node_of(leaf)):
            raise NotTogether
        return None

    def _record(self, fn: Fn, k: int) -> None:
        if not type(fn).simple or fn.hooked is not None or fn.freed or fn.op.vjp is None or hasattr(fn, "apply"):
            raise NotTogether
        if fn.call is None:
            self._record_call(fn)
        else:
            self._record_view(fn, k)

    def _record_call(self, fn: Fn) -> None:
        n = fn.node
        given = [self._plain(i) if e is None else self._with_history(e, i) for e, i in zip(fn.edges, n.ins)]
        mapped = [x is not None for x in given]
        if mapped != [self.depends(i) for i in n.ins]:
            raise NotTogether
        outs: Any = (None,) * len(fn.outs)
        if any(mapped):
            ins = tuple([_shared(e, i) if x is None else x for x, e, i in zip(given, fn.edges, n.ins)])
            found = call(batched(n.op), ins, self._attrs(n, mapped))
            outs = found if isinstance(found, tuple) else (found,)
        for k, x in enumerate(outs):
            self.results[fn, k] = x

    def _record_view(self, fn: Fn, k: int) -> None:
        """A view, also one of a view, is one of the memory below: gradients of views with gaps have no gradients."""
        edge, u, t = fn.edges[0], fn.ins[0], fn.outs[k]
        x = None if edge is None or t.stored is not u.dtype else self._with_history(edge, None)
        if x is None:
            raise NotTogether
        root = self.roots.get(id(x), x)
        if (x._ty.strides[1:], x._ty.offset) != (u.strides, root._ty.offset + u.offset):
            raise NotTogether
        strides, offset = (root._ty.strides[0], *t.strides), root._ty.offset + t.offset
        found = self.results[fn, k] = root.as_strided((self.size, *t.shape), strides, offset)
        self.roots[id(found)] = root


def _shared(edge: Any, node: Node) -> Any:
    """A value that is the same for all samples, as a tensor or a number."""
    if node.op is SCALAR:
        return threads.epoch.scalars[node.attrs]
    x = fresh(node, threads.epoch)
    if edge is not None:
        x._e, x._w = edge, -1
    return x


def _view(s: Samples, n: Node) -> Node:
    base, t = n.ins[0], n.ty
    if base.op is SAMPLE:
        given = s.given[base.attrs[1]]
        whole, offset, step = given.node, given.offset, given.step
    else:
        whole, offset, step = s.values[base], 0, max(base.ty.numel, 1)
    own, size = base.ty.dtype.itemsize, t.dtype.itemsize
    return view_node(whole, ty((s.size, *t.shape), t.dtype, (step * own // size, *t.strides),
                               offset * own // size + t.offset))  # fmt: skip


def _update(s: Samples, n: Node) -> Node:
    base, value = n.ins
    whole = s.values.get(base)
    if whole is None:
        whole = layout_node(s.everywhere(base), of_batch(base.ty, s.size))
    return update_node(whole, s.everywhere(value), _strided(n.attrs, max(base.ty.numel, 1), s.size))


_STRUCTURAL = {
    VIEW: _view,
    UPDATE: _update,
    LAYOUT: lambda s, n: layout_node(s.values[n.ins[0]], of_batch(n.ty, s.size)),
    PART: lambda s, n: s.values[n.ins[0]].parts[n.attrs],
}
