"""Recorded operators as autograd sees them: the objects behind ``grad_fn``."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .node import OUT, Operator

if TYPE_CHECKING:
    from .tensor_base import TensorBase

_numbers = itertools.count()
next_number = _numbers.__next__


class Saved:
    """A tensor kept for the gradient: its storage and geometry, not the tensor itself.

    ``edge`` is None for the node's own output, whose edge is the node.
    """

    __slots__ = ("edge", "own", "storage", "ty", "vc", "version", "view")

    def __init__(self, x: TensorBase, own: bool = False) -> None:
        self.storage = x._s
        self.ty = x._ty
        self.vc = x._vc
        self.version = (x._vc or x._s).version
        self.own = own
        self.view = x._view is not None
        self.edge = None if own else x._edge


class Fn:
    """A node of the autograd graph: one recorded call of ``op``.

    ``edges`` are the gradient edges of the inputs (None, an ``AccumulateGrad``, a ``Fn`` or an ``Out``),
    ``ins`` the inputs' types, ``outs`` the outputs' types.
    """

    __slots__ = ("__dict__", "__weakref__", "attrs", "edges", "freed", "hooked", "ins", "node", "number", "op", "outs", "saved")

    op: Operator
    simple = True  # the gradient is the operator's rule applied to what is saved, nothing more

    def __init__(self, op: Operator, attrs: Any, edges: tuple[Any, ...], ins: tuple[Any, ...], outs: tuple[Any, ...], node: Any) -> None:
        self.op = op
        self.attrs = attrs
        self.edges = edges
        self.ins = ins
        self.outs = outs
        self.node = node
        self.saved: dict[int, Any] = {}
        self.freed = False
        self.hooked: Any = None  # Hooks, once there is one
        self.number = next_number()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {id(self):#x}>"

    def name(self) -> str:
        """The backward node's name, such as ``AddmmBackward0``."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes to which gradients go, with the number of their output."""
        return tuple([(e.fn, e.number) if type(e) is Out else (e, 0) for e in self.edges])

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for the user's notes."""
        return self.__dict__.setdefault("_metadata", {})

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(grad_inputs, grad_outputs)`` after the node has run; a result replaces the gradients."""
        return RemovableHandle(hooks_of(self).post, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(grad_outputs)`` before the node runs; a result replaces them."""
        return RemovableHandle(hooks_of(self).pre, hook)


def record(op: Operator, attrs: Any, edges: tuple[Any, ...], ins: tuple[Any, ...], outs: tuple[Any, ...], node: Any) -> Fn:
    """A node of the class that bears the operator's backward name."""
    cls = op.fn_class
    if cls is None:
        cls = op.fn_class = type(op.grad_name, (Fn,), {"__slots__": (), "__module__": "flambeau.autograd"})
    return cls(op, attrs, edges, ins, outs, node)


class RemovableHandle:
    """Removes a hook again (``torch.utils.hooks.RemovableHandle``); also a context manager."""

    _next = itertools.count()

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.id = next(self._next)
        self._hooks: Any = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class Out:
    """Output ``number`` of a recorded operator with several outputs."""

    __slots__ = ("fn", "number")

    def __init__(self, fn: Fn, number: int) -> None:
        self.fn = fn
        self.number = number


def short_name(edge: Any) -> str:
    """``SplitBackward0`` is Split and ``SqueezeBackward1`` Squeeze1 in PyTorch's messages about views and versions."""
    fn = edge.fn if isinstance(edge, Out) else edge
    if fn.op.grad_name == "CopySlices":
        return "torch::autograd::CopySlices"
    name, _, number = fn.op.grad_name.partition("Backward")
    return name + number.removeprefix("0")


class AccumulateGrad:
    """The edge of a leaf: adds what arrives to the leaf's ``grad``."""

    __slots__ = ("__dict__", "__weakref__", "_leaf", "hooked", "number")

    def __init__(self, leaf: TensorBase) -> None:
        self._leaf = weakref.ref(leaf)
        self.hooked: Any = None
        self.number = 1 << 62

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self):#x}>"

    def name(self) -> str:
        """``torch::autograd::AccumulateGrad``, as PyTorch calls it."""
        return "torch::autograd::AccumulateGrad"

    @property
    def variable(self) -> TensorBase | None:
        """The leaf."""
        return self._leaf()

    next_functions: tuple[tuple[Any, int], ...] = ()

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(leaf)`` after the gradient has been added."""
        return RemovableHandle(hooks_of(self).post, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(grads)`` before the gradient is added."""
        return RemovableHandle(hooks_of(self).pre, hook)

    @property
    def leaf(self) -> TensorBase | None:
        """The leaf, while it lives."""
        return self._leaf()


class Hooks:
    """Hooks of an edge: on each output's gradient, before and after the node; and outputs that retain theirs."""

    __slots__ = ("post", "pre", "retain", "tensor")

    def __init__(self) -> None:
        self.tensor: dict[int, dict[int, Any]] = {}  # output -> id -> hook
        self.retain: dict[int, Any] = {}  # output -> weak reference to the tensor
        self.pre: dict[int, Any] = {}
        self.post: dict[int, Any] = {}


def hooks_of(edge: Fn | AccumulateGrad) -> Hooks:
    """The edge's hooks, made when first asked for."""
    if edge.hooked is None:
        edge.hooked = Hooks()
    return edge.hooked


def save_inputs(fn: Fn, ins: tuple[Any, ...]) -> None:
    """Keeps the inputs that ``fn.op.saves`` names, before they can be written."""
    edges = fn.edges
    for which, when in fn.op.saves:
        if which < OUT and which < len(ins) and any(w < len(edges) and edges[w] is not None for w in when):
            fn.saved[which] = saved_input(ins[which])


def save_outputs(fn: Fn, outs: tuple[TensorBase, ...]) -> None:
    """Keeps the outputs that ``fn.op.saves`` names."""
    edges = fn.edges
    for which, when in fn.op.saves:
        if which >= OUT and any(w < len(edges) and edges[w] is not None for w in when):
            fn.saved[which] = Saved(outs[which - OUT], own=True)


def saved_input(x: Any) -> Any:
    """A tensor as ``Saved``, a Python number as it is."""
    return Saved(x) if hasattr(x, "_s") else x
