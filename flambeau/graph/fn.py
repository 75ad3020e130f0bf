"""Recorded operators as autograd sees them: the objects behind ``grad_fn``."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .._records import Record
from . import packing
from .epoch import complete_all
from .node import OUT, Operator
from .storage import Storage, refuse_inference_saved
from .types import Ty

if TYPE_CHECKING:
    from .tensor_base import TensorBase

numbers_of_calls = itertools.count()
next_number = numbers_of_calls.__next__


class Saved(Record):
    """An output that its own node keeps: storage and geometry, because the tensor itself holds the node."""

    storage: Storage
    ty: Ty
    vc: Any


saved_attributes: list[Callable[..., Any]] = []  # of a node: the value of one, the names of all


class Fn:
    """A node of the autograd graph: one recorded call of an operator.

    ``edges`` are the gradient edges of the inputs (None, an ``AccumulateGrad``, a ``Fn`` or an ``Out``);
    ``saved`` goes with ``op.saves``: input tensors and Python numbers as they are, outputs as ``Saved``, None
    for what is not needed; ``versions`` are the versions that they had. What the operator's interned node does not
    say (of views, which have none) is in ``call`` as attributes, input types and output types.

    A node that is still to be completed (``graph.tape``) has only ``number`` of these, and the call as
    ``traced``, its inputs as ``given`` and the memory of its output as ``out`` (a tuple, if there are several).
    """

    __slots__ = (
        "__dict__", "__weakref__", "call", "edges", "freed", "given", "hooked", "node", "number", "out", "saved",
        "traced", "versions",
    )  # fmt: skip
    accumulates = False

    op: Operator  # of the class: each operator has its own
    simple = True  # the gradient is the operator's rule applied to what is saved, nothing more

    def __init__(self, node: Any, call: Any, edges: Sequence[Any]) -> None:
        self.node = node
        self.call = call
        self.edges: Sequence[Any] = edges
        self.saved: Sequence[Any] = ()
        self.versions: Sequence[Any] = ()
        self.freed = False
        self.hooked: Any = None  # Hooks, once there is one
        self.traced: Any = None
        self.number = next_number()

    def unfold(self) -> None:
        """Completes the node."""
        from .tape import unfold

        unfold(self)

    @property
    def attrs(self) -> Any:
        """The call's attributes."""
        return self.node.attrs if self.call is None else self.call[0]

    @property
    def ins(self) -> tuple[Any, ...]:
        """The types of the inputs."""
        return tuple([i.ty for i in self.node.ins]) if self.call is None else self.call[1]

    @property
    def outs(self) -> tuple[Any, ...]:
        """The types of the outputs."""
        if self.call is not None:
            return self.call[2]
        t = self.node.ty
        return t if type(t) is tuple else (t,)

    def __getattr__(self, name: str) -> Any:
        """``_saved_...``: what the node saved, by PyTorch's names."""
        if name.startswith(("_saved_", "_raw_saved_")):
            return saved_attributes[0](self, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *saved_attributes[1](self)]

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


def fn_class(op: Operator) -> Any:
    """The class of an operator's backward nodes, which bears their name."""
    if op.fn_class is None:
        op.fn_class = type(op.grad_name, (Fn,), {"__slots__": (), "__module__": "builtins", "op": op})
    return op.fn_class


def record(
    op: Operator, attrs: Any, edges: tuple[Any, ...], ins: tuple[Any, ...], outs: tuple[Any, ...], node: Any
) -> Fn:
    """A backward node of ``op``."""
    return fn_class(op)(node, (attrs, ins, outs), edges)


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
    accumulates = False

    def __init__(self, fn: Fn, number: int) -> None:
        self.fn = fn
        self.number = number

    @property
    def traced(self) -> Any:
        """The call's traced node while its backward node is still to be completed."""
        return self.fn.traced

    def unfold(self) -> None:
        """Completes the node."""
        self.fn.unfold()


def short_name(edge: Any) -> str:
    """``SplitBackward0`` is Split and ``SqueezeBackward1`` Squeeze1 in PyTorch's messages about views and versions."""
    fn = edge.fn if isinstance(edge, Out) else edge
    if fn.op.grad_name == "CopySlices":
        return fn.name()
    name, _, number = fn.op.grad_name.partition("Backward")
    return name + number.removeprefix("0")


class AccumulateGrad:
    """The edge of a leaf: adds what arrives to the leaf's ``grad``."""

    __slots__ = ("__dict__", "__weakref__", "hooked", "number", "reference")
    accumulates = True
    traced = None

    def __init__(self, leaf: TensorBase) -> None:
        self.reference = weakref.ref(leaf)
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
        return self.reference()

    next_functions: tuple[tuple[Any, int], ...] = ()

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for the user's notes."""
        return self.__dict__.setdefault("_metadata", {})

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook((), grads)`` after the gradient has been added."""
        return RemovableHandle(hooks_of(self).post, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(grads)`` before the gradient is added."""
        return RemovableHandle(hooks_of(self).pre, hook)

    @property
    def leaf(self) -> TensorBase | None:
        """The leaf, while it lives."""
        return self.reference()


class Hooks:
    """Hooks of an edge: on each output's gradient, before and after the node; and outputs that retain theirs.

    ``accumulated`` are a leaf's, called once its gradient has been added.
    """

    __slots__ = ("accumulated", "post", "pre", "retain", "tensor")

    def __init__(self) -> None:
        self.tensor: dict[int, dict[int, Any]] = {}  # output -> id -> hook
        self.retain: dict[int, Any] = {}  # output -> weak reference to the tensor
        self.pre: dict[int, Any] = {}
        self.post: dict[int, Any] = {}
        self.accumulated: dict[int, Any] = {}


hooked_leaves: list[None] = []  # one entry for each leaf that ever had hooks: one test in a backward pass


def hooks_of(edge: Fn | AccumulateGrad) -> Hooks:
    """The edge's hooks, made when first asked for."""
    if edge.hooked is None:
        complete_all()
        edge.hooked = Hooks()
        if edge.accumulates:
            hooked_leaves.append(None)
    return edge.hooked


def plan(op: Operator, mask: int) -> tuple[int | None, ...]:
    """Which of ``op.saves`` are needed when the inputs in ``mask`` (bit k: input k) require grad."""
    known = op.plans.get(mask)
    if known is None:
        known = op.plans[mask] = tuple(
            [which if any(mask >> w & 1 for w in when) else None for which, when in op.saves]
        )
    return known


def mask_of(edges: Sequence[Any]) -> int:
    """Which of a call's inputs have an edge (bit k: input k)."""
    if len(edges) == 2:
        a, b = edges
        return (a is not None) + 2 * (b is not None)
    mask, bit = 0, 1
    for e in edges:
        if e is not None:
            mask |= bit
        bit += bit
    return mask


def save_inputs(fn: Fn, ins: tuple[Any, ...]) -> None:
    """Keeps the inputs that ``fn.op.saves`` names, before they can be written."""
    fn.saved = [None if w is None or w >= len(ins) else ins[w] for w in plan(fn.op, mask_of(fn.edges))]
    fn.versions = [saved_version(x) for x in fn.saved]


def saved_version(x: Any) -> int | None:
    """The version of an input that is saved; None for what is no tensor."""
    if not hasattr(x, "_s"):
        return None
    s = x._s
    if s.version < 0:
        refuse_inference_saved(s)
    return (x._vc or s).version


def refuse_inference_inputs(op: Operator, ins: tuple[Any, ...]) -> None:
    """Raises if a call that is recorded would save memory that was made in inference mode."""
    for which, needed in op.saves:
        x: Any = ins[which] if which < len(ins) else None
        if hasattr(x, "_s") and x._s.version < 0 and any([k < len(ins) and _has_edge(ins[k]) for k in needed]):  # noqa: C419
            refuse_inference_saved(x._s)


def _has_edge(x: Any) -> bool:
    return hasattr(x, "_s") and (x._e is not None or (x._view is not None and x._view.base._e is not None))


def save(fn: Fn, mask: int, ins: tuple[Any, ...], out: Any, t: Any) -> None:
    """``save_inputs`` and ``save_outputs`` for a fresh output of type ``t`` on ``out``, or for several.

    ``mask``: which inputs require grad (bit k: input k).
    """
    saved: list[Any] = []
    versions: list[int | None] = []
    count = len(ins)
    for w in fn.op.plans.get(mask) or plan(fn.op, mask):
        if w is None or count <= w < OUT:
            saved.append(None)
            versions.append(None)
        elif w >= OUT:
            saved.append(Saved(out, t, None) if isinstance(out, Storage) else Saved(out[w - OUT], t[w - OUT], None))
            versions.append(0)
        else:
            x = ins[w]
            saved.append(x)
            s = getattr(x, "_s", None)
            if s is not None and s.version < 0:
                refuse_inference_saved(s)
            versions.append(None if s is None else (x._vc or s).version)
    fn.saved = saved
    fn.versions = versions


def save_outputs(fn: Fn, outs: tuple[TensorBase, ...]) -> None:
    """Keeps the outputs that ``fn.op.saves`` names."""
    for at, w in enumerate(plan(fn.op, mask_of(fn.edges))):
        if w is not None and w >= OUT:
            y = outs[w - OUT]
            fn.saved[at] = Saved(y._s, y._ty, y._vc)  # type: ignore[index]
            fn.versions[at] = current_version(y)  # type: ignore[index]
    if packing.active:
        pack_saved(fn)


def pack_saved(fn: Fn) -> None:
    """Replaces what ``fn`` saved by what the thread's pack hook makes of it."""
    if not packing.hooks.stack:
        return
    saved, versions = list(fn.saved), list(fn.versions)
    for at, (which, _) in enumerate(fn.op.saves):
        x = saved[at] if at < len(saved) else None
        if x.__class__ is Saved or hasattr(x, "_s"):
            saved[at], versions[at] = packing.pack(x, edge_of_saved(fn, which)), None
    fn.saved, fn.versions = saved, versions
    fn.simple = False  # the pass must go through the engine, which unpacks


def edge_of_saved(fn: Fn, which: int) -> Any:
    """Where the gradient of a saved input or output goes; nowhere, if it is an output of integers."""
    if which < OUT:
        return fn.edges[which]
    outs = fn.outs
    if outs[which - OUT].dtype.kind not in "fc":
        return None
    return fn if len(outs) == 1 else Out(fn, which - OUT)


def current_version(x: Any) -> int | None:
    """The version of a saved tensor's memory; None for what is no tensor."""
    if x.__class__ is Saved:
        return (x.vc or x.storage).version
    return (x._vc or x._s).version if hasattr(x, "_s") else None
