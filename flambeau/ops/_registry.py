"""Calling operators: recording, views, in-place writes, ``out=``; and where their public functions are listed."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Sequence
from operator import index
from typing import Any, TypeVar

import numpy as np

from ..compiler.twins import twin
from ..dtypes import C_NAMES, SCALAR_NAMES, can_cast, weak_dtype
from ..graph import packing
from ..graph.epoch import BUDGET, NODE_COST, Epoch, Turn, base_node, hold, node_of, number, refresh, threads
from ..graph.fn import (
    AccumulateGrad,
    Fn,
    Out,
    fn_class,
    hooks_of,
    next_number,
    numbers_of_calls,
    pack_saved,
    record,
    save,
    save_inputs,
    save_outputs,
)  # fmt: skip
from ..graph.node import (
    OUT,
    Node,
    Operator,
    TensorAttributeError,
    intern,
    layout_node,
    new_node,
    nodes,
    plain,
    update_node,
    user_place,
    view_node,
)
from ..graph.realisation import realise
from ..graph.storage import Storage, next_token
from ..graph.tape import settle, settle_before_write
from ..graph.tensor_base import TensorBase, View, new_tensor, replaced
from ..graph.tensor_base import tensor_class as _tensor_class
from ..graph.traced import Several, Traced, call_again, mark_saved, traced
from ..graph.types import Ty, overlaps_itself, repeating_dim, ty
from ._deferred_views import deferred_view, view_type
from ._immediate import AT_ONCE, FILLING, SMALL
from ._immediate import write as write_at_once
from ._overriding import copied as renamed
from ._overriding import offer
from ._signatures import explained_function, explained_method, type_name
from ._view_rules import AS_STRIDED, CopySlices, refuse_stale_view, refuse_write

Number = (bool, int, float, complex)
F = TypeVar("F", bound=Callable[..., Any])

FUNCTIONS: dict[str, Callable[..., Any]] = {}  # torch.<name>
METHODS: dict[str, Any] = {}  # Tensor.<name>
offer("torch", FUNCTIONS)
offer("torch.Tensor", METHODS)


def export(*names: str, function: bool = True, method: bool = True) -> Callable[[F], F]:
    """Lists a function under torch and as a tensor method, under its own name and ``names``."""

    def register(f: F) -> F:
        for name in (f.__name__, *names):
            g = f if name == f.__name__ else renamed(f, name)
            if function:
                FUNCTIONS[name] = explained_function(g, name)
            if method:
                METHODS[name] = explained_method(renamed(g) if function else g, name)
        return f

    return register


def method(*names: str) -> Callable[[F], F]:
    """Lists a function as a tensor method only."""
    return export(*names, function=False)


def function(*names: str) -> Callable[[F], F]:
    """Lists a function under torch only."""
    return export(*names, method=False)


# ---- recording


@twin
def call(op: Operator, ins: tuple[Any, ...], attrs: Any = ()) -> Any:
    """Records ``op`` on tensors and Python numbers; gives a pending tensor, or a tuple of them.

    The graph is checked and typed when this structure is new, otherwise one look-up finds the node. Calls of
    up to three inputs are written out: a loop over them costs half a microsecond.
    """
    epoch = threads.epoch
    if epoch.crowded:
        return _in_turn(epoch, op, ins, attrs)
    count = len(ins)
    try:
        if count == 1:
            (x,) = ins
            hs = (x._h if x._w == x._s.w else refresh(x),)
        elif count == 2:
            x, z = ins
            h = x._h if x._w == x._s.w else refresh(x)
            if type(z) is float:
                hs = h, number(z, weak_dtype(z))
            else:
                hs = h, z._h if z._w == z._s.w else refresh(z)
        elif count == 3:
            x, z, b = ins
            h = x._h if x._w == x._s.w else refresh(x)
            hs = h, z._h if z._w == z._s.w else refresh(z), b._h if b._w == b._s.w else refresh(b)
        else:
            hs = tuple([number(x, weak_dtype(x)) if x.__class__ is float else x._h if x._w == x._s.w else refresh(x)
                        for x in ins])  # fmt: skip
    except AttributeError:
        hs = _handles(op, ins)
    key = (op, hs, attrs)
    h = (traced if epoch.grad else nodes).get(key)
    if h is None:
        try:
            h = _first(key, epoch.grad)
        except TensorAttributeError:
            return call(op, ins, plain(attrs))
    if type(h) is not Traced:
        return fresh(h, epoch) if h.parts is None else _several(op, ins, attrs, h, epoch)
    s = Storage()
    s.ty = t = h.ty
    s.h = h.value
    s.raw = None
    s.w = 0
    s.version = 0
    s.epoch = epoch
    s.pending = True
    s.owner = None
    s.notes = None
    epoch.pend.append(s)
    size = epoch.bytes = epoch.bytes + h.cost
    y = _new(_tensor_class[0])
    y._s = s
    y._ty = t
    y._h = h
    y._w = 0
    y._view = None
    y._vc = None
    y._g = None
    if h.complete and epoch.deferring and size <= BUDGET:
        if epoch.tape.setdefault(h, y) is not y:
            h = y._h = call_again(h, epoch.repeated)
            epoch.tape[h] = y
        y._e = h
        y._ins = ins
        y._number = next(numbers_of_calls)
        return y
    y._e = None
    _give_history(op, ins, h.value, y, epoch)
    return y


def _in_turn(epoch: Epoch, op: Operator, ins: tuple[Any, ...], attrs: Any) -> Any:
    """A call where other threads record too."""
    with Turn(epoch):
        return call(op, ins, attrs)


@twin
def _first(key: tuple[Operator, tuple[Any, ...], Any], grad: bool) -> Any:
    """What a call of this form gives, kept for the next: a traced node if it is recorded for autograd."""
    for i in key[1]:
        if i.__class__ is Traced:
            return _first_with_history(key, grad)
    h: Any = (nodes.get(key) if grad else None) or new_node(key)
    if grad:
        traced[key] = h
    return h


@twin
def _first_with_history(key: tuple[Operator, tuple[Any, ...], Any], grad: bool) -> Any:
    """As ``_first`` for a call on values that require grad."""
    op, hs, attrs = key
    h: Any = intern(op, tuple([i.value if i.__class__ is Traced else i for i in hs]), attrs)
    if not grad:
        nodes[key] = h
        return h
    if op.vjp is not None:
        h = _with_history(op, hs, attrs, h, all([i.complete for i in hs if i.__class__ is Traced]))  # noqa: C419
    traced[key] = h
    return h


def _with_history(op: Operator, hs: tuple[Any, ...], attrs: Any, node: Node, complete: bool) -> Any:
    """The traced node of a call, or the plain one if no result may require grad."""
    outs = node.parts or (node,)
    if not any(h.differentiable for h in outs):
        return node
    cls = fn_class(op)
    complete = complete and cls.simple
    h = Several(outs, node, complete, op, hs, attrs) if node.parts else Traced(node, complete, op, hs, attrs)
    h.fn_class = cls
    h.cost = sum([v.ty.nbytes + NODE_COST for v in outs])
    mark_saved(op, node.ins, outs)
    return h


def _give_history(op: Operator, ins: tuple[Any, ...], node: Node, y: Any, epoch: Epoch) -> None:
    """Gives ``y`` a complete backward node."""
    if epoch.tape:
        settle(epoch)
    fn = y._e = _unsaved_fn(op, ins, node)
    if fn is None:
        y._w = -1
    elif op.saves:
        save(fn, ins, y._s, y._ty)
        if packing.active:
            pack_saved(fn)
    if epoch.bytes > BUDGET:
        realise(epoch)


def _handles(op: Operator, ins: tuple[Any, ...]) -> tuple[Node, ...]:
    """The nodes of inputs of which some are no tensors, but numbers.

    Raises:
        TypeError: an input is neither.
    """
    hs = []
    for k, x in enumerate(ins):
        if isinstance(x, TensorBase):
            hs.append(x._h if x._w == x._s.w else refresh(x))
        elif type(x) in Number or isinstance(x, numbers.Number):
            x = x.item() if isinstance(x, np.number) else x
            hs.append(number(x, weak_dtype(x)))
        else:
            name = "input" if k == 0 else "other"
            raise TypeError(f"{op.name}(): argument '{name}' (position {k + 1}) must be Tensor, not {type_name(x)}")
    return tuple(hs)


_new = object.__new__
HELD_BACK = 1 << 60  # off the budget while several nodes are given memory: a realisation would outdate the later ones


@twin
def fresh(node: Node, epoch: Epoch) -> Any:
    """A pending tensor over new memory."""
    t = node.ty
    s = Storage()
    s.ty = t
    s.h = node
    s.raw = None
    s.w = 0
    s.version = 0
    s.epoch = epoch
    s.pending = True
    s.owner = None
    s.notes = None
    epoch.pend.append(s)
    epoch.bytes += t.nbytes + NODE_COST
    if epoch.bytes > BUDGET:
        realise(epoch)
        return new_tensor(s, t)
    y = _new(_tensor_class[0])
    y._s = s
    y._ty = t
    y._h = node
    y._w = 0
    y._e = None
    y._view = None
    y._vc = None
    y._g = None
    return y


def _several(op: Operator, ins: tuple[Any, ...], attrs: Any, h: Any, epoch: Epoch) -> tuple[Any, ...]:
    """Pending tensors for the results of a call with several."""
    node: Node = h
    if type(h) is Several:
        if h.complete and epoch.deferring and epoch.bytes + h.cost <= BUDGET:
            return _deferred_several(ins, h, epoch)
        settle(epoch)
        node = h.value
    fn = record_fn(op, ins, attrs, node) if epoch.grad and op.vjp is not None else None
    outs = _fresh_all(node.parts, epoch)  # type: ignore[arg-type]
    if fn is not None:
        for k, y in enumerate(outs):
            if y._ty.dtype.kind in "fc":
                y._e, y._w = Out(fn, k), -1
        save_outputs(fn, outs)
    if epoch.bytes > BUDGET:
        realise(epoch)
    return outs


def _fresh_all(parts: Sequence[Node], epoch: Epoch) -> tuple[Any, ...]:
    epoch.bytes -= HELD_BACK
    outs = tuple([fresh(part, epoch) for part in parts])
    epoch.bytes += HELD_BACK
    return outs


def _deferred_several(ins: tuple[Any, ...], h: Several, epoch: Epoch) -> tuple[Any, ...]:
    """Results whose backward node is completed later."""
    fn = _new(h.fn_class)
    if epoch.tape.setdefault(h, fn) is not fn:
        h = call_again(h, epoch.repeated)
        epoch.tape[h] = fn
    outs = _fresh_all(h.value.parts, epoch)  # type: ignore[arg-type]
    fn.traced = h
    fn.given = ins
    fn.out = tuple([y._s for y in outs])
    fn.number = next_number()
    for k, y in enumerate(outs):
        if type(h.parts[k]) is Traced:
            y._h, y._e = h.parts[k], Out(fn, k)
    return outs


def record_fn(op: Operator, ins: tuple[Any, ...], attrs: Any, node: Node) -> Fn | None:
    """The autograd node of a call, or None if no input requires grad."""
    fn = _unsaved_fn(op, ins, node)
    if fn is not None and op.saves:
        save_inputs(fn, ins)
    return fn


def _unsaved_fn(op: Operator, ins: tuple[Any, ...], node: Node) -> Fn | None:
    """As ``record_fn``, with nothing saved yet."""
    edges = []
    grad = False
    for x in ins:
        e = None
        if isinstance(x, TensorBase):
            e = x._e
            if x._view is not None:
                e = view_edge(x)
                grad = grad or e is not None or x._view.base._e is not None
            elif e is not None:
                grad = True
                if e.traced is not None:
                    e = x._edge
        edges.append(e)
    return (op.fn_class or fn_class(op))(node, None, edges) if grad else None


@twin
def requires_grad(x: TensorBase) -> bool:
    """As ``Tensor.requires_grad``: a view also if its base does."""
    return x._e is not None or (x._view is not None and x._view.base._e is not None)


def version_of(x: TensorBase) -> int:
    """As ``Tensor._version``."""
    return (x._vc or x._s).version


def view_edge(x: TensorBase) -> Any:
    """The edge of a view, made anew from the base when the memory was written since."""
    v, edge = x._view, x._e
    if edge is None and v.base._e is None:  # type: ignore[union-attr]
        return None
    edge, base = x._edge, v.base._edge  # type: ignore[union-attr]
    if base is None and not isinstance(edge, (Fn, Out)):
        return edge
    version = version_of(x)
    if v.edge_version != version:  # type: ignore[union-attr]
        refuse_stale_view(x)
        fresh_edge = strided_edge(x)
        _move_retained(x, fresh_edge)
        x._e = edge = fresh_edge
        v.edge_version = version  # type: ignore[union-attr]
    return edge


def strided_edge(x: TensorBase) -> Fn:
    """``AsStridedBackward0`` from the base of a view."""
    base = x._view.base  # type: ignore[union-attr]
    return record(AS_STRIDED, x._ty, (base._edge,), (base._ty,), (x._ty,), None)


# ---- views


@twin
def view(op: Operator, x: TensorBase, attrs: Any = ()) -> Any:
    """A tensor that shares ``x``'s memory, of the type that ``op`` infers from ``x``'s."""
    epoch = threads.epoch
    try:
        y = deferred_view(op, x, attrs, epoch) if epoch.deferring and epoch.grad else None
        if y is not None:
            return y
        t = view_type(op, x, attrs)
    except TensorAttributeError:
        return view(op, x, plain(attrs))
    fn = _view_fn(op, x, attrs, (t,)) if epoch.grad else None
    return _view_of(x, t, fn, creation_of(x))


def views(op: Operator, x: TensorBase, attrs: Any = ()) -> tuple[Any, ...]:
    """As ``view`` for operators that return several views, which may not be written in place."""
    epoch = threads.epoch
    try:
        known = deferred_view(op, x, attrs, epoch) if epoch.deferring and epoch.grad else None
        if known is not None:
            return known
        tys = view_type(op, x, attrs)
    except TensorAttributeError:
        return views(op, x, plain(attrs))
    fn = _view_fn(op, x, attrs, tys) if epoch.grad else None
    outs = tuple([_view_of(x, t, None, "multi" if epoch.grad else creation_of(x)) for t in tys])
    if fn is not None:
        for k, y in enumerate(outs):
            y._e = Out(fn, k)
    return outs


def _view_fn(op: Operator, x: TensorBase, attrs: Any, outs: tuple[Ty, ...]) -> Fn | None:
    """The autograd node of a view, or of several, that autograd sees."""
    if (x._e is None and x._view is None) or outs and outs[0].dtype.kind not in "fc":
        return None
    edge = x._edge if x._view is None else view_edge(x)
    if edge is None and not requires_grad(x):
        return None
    fn = record(op, attrs, (edge,), (x._ty,), outs, None)
    if op.saves:
        save_inputs(fn, (x,))
    return fn


@twin
def _view_of(x: TensorBase, t: Ty, fn: Fn | None, creation: str) -> Any:
    of, vc = x._view, x._vc
    y = new_tensor(x._s, t)
    y._vc = vc
    y._e = fn
    y._view = View(x if of is None else of.base, creation, (vc or x._s).version)
    return y


@twin
def creation_of(x: TensorBase) -> str:
    """How a view of ``x`` made now may be written later."""
    epoch = threads.epoch
    if epoch.inference:
        return "inference"
    if not epoch.grad:
        return "no_grad"
    return "default" if x._view is None else x._view.creation


def alias(x: TensorBase) -> Any:
    """Another tensor object on the same memory and version counter, outside the autograd graph (``detach``)."""
    h = x._h
    y = new_tensor(x._s, x._ty, h.value if type(h) is Traced else h, x._w)
    y._vc = x._vc
    return y


def view_inplace(op: Operator, x: TensorBase, attrs: Any = ()) -> Any:
    """Gives ``x`` itself the geometry of a view (``t_``): memory stays, its version and history change."""
    try:
        t = view_type(op, x, attrs)
    except TensorAttributeError:
        return view_inplace(op, x, plain(attrs))
    grad = threads.epoch.grad and requires_grad(x)
    if grad:
        refuse_write(x)
    fn = _view_fn(op, x, attrs, (t,)) if grad else None
    epoch = threads.epoch
    if epoch.sampling is not None:
        epoch.sampling.require_own(x._s)
    epoch.moved = True
    settle(epoch)
    epoch.written = next_number()
    replaced[0] += 1
    x._ty = t
    x._w = -1
    (x._vc or x._s).version += 1
    if fn is not None:
        rebase(x, fn)
    return x


# ---- in-place writes


def call_inplace(
    op: Operator, x: TensorBase, others: tuple[Any, ...] = (), attrs: Any = (), may_overlap: bool = False
) -> Any:
    """Records ``op(x, *others)`` and writes the result into ``x``; returns ``x``.

    ``may_overlap``: elements of ``x`` may share memory, as PyTorch allows for a few operators (``fill_``).

    Raises:
        RuntimeError: ``x`` is a leaf that requires grad, overlaps itself, or cannot hold the result.
    """
    epoch = threads.epoch
    if epoch.crowded:
        with Turn(epoch):
            return call_inplace(op, x, others, attrs, may_overlap)
    s, t = x._s, x._ty
    if t.numel <= SMALL and op in (AT_ONCE if t.numel == 1 else FILLING) and write_at_once(op, x, others, epoch):
        return x
    if t is s.ty and t.dense and x._e is None and x._view is None and s.owner is None and _are_apart(others, s):
        node = _written_node(op, (x, *others), attrs)
        if node.ty is t:
            _overwrite(x, node, epoch)
        else:
            check_result(op, node.ty, t)
            write(x, node)
        return x
    repeated = None if may_overlap or isinstance(attrs, Ty) else repeating_dim(x._ty)
    if repeated is not None:
        return _piece_by_piece(op, x, others, attrs, repeated)
    ins = (x, *others)
    grad = begin_write(x, ins, may_overlap)
    node = None if grad or op not in FILLING else _source(x, others)
    if node is None:
        node = _written_node(op, ins, attrs)
    check_result(op, node.ty, x._ty)
    fn = None
    if grad and op.vjp is not None and x._ty.dtype.kind in "fc":
        fn = record_fn(op, ins, attrs, node)
        if fn is not None:
            _keep_original(fn, x, node.ins[0])
            if packing.active:
                pack_saved(fn)
    write(x, node, fn)
    if fn is not None:
        save_outputs(fn, (x,))
    return x


def _are_apart(ys: tuple[Any, ...], s: Storage) -> bool:
    """Has no tensor a history, or memory in ``s``?"""
    for y in ys:  # noqa: SIM110
        if isinstance(y, TensorBase) and (y._s is s or y._e is not None or y._view is not None):
            return False
    return True


def _written_node(op: Operator, ins: tuple[Any, ...], attrs: Any) -> Node:
    """The node of a call that autograd does not see."""
    hs: Any = []
    for x in ins:
        if isinstance(x, TensorBase):
            h = x._h if x._w == x._s.w else refresh(x)
            hs.append(h.value if type(h) is Traced else h)
        else:
            hs.append(number(x, weak_dtype(x)))
    return intern(op, tuple(hs), attrs)


def _source(x: TensorBase, others: tuple[Any, ...]) -> Node | None:
    """The value of a tensor that is copied to a part of memory as it is: a node that knows nothing of the place."""
    y = others[0] if others else None
    if not isinstance(y, TensorBase) or y._ty.shape != x._ty.shape or x._ty is x._s.ty or x._ty.meta or y._ty.meta:
        return None
    return fit(node_of(y), packed(x._ty))


def packed(t: Ty) -> Ty:
    """The type of a value that is written under a type."""
    return t if t.dense and not t.offset else ty(t.shape, t.dtype)


def _overwrite(x: TensorBase, node: Node, epoch: Epoch) -> None:
    """``record_write`` for a tensor that is all of its memory and has no history, and a value of that very type."""
    s = x._s
    if epoch.sampling is not None:
        epoch.sampling.require_own(s)
    notes = s.notes or s.note()
    settle_before_write(s, s.h or base_node(s), epoch)
    s.h = x._h = node
    if not s.pending:
        s.pending = True
        s.epoch = epoch
        epoch.pend.append(s)
        epoch.bytes += s.ty.nbytes + NODE_COST
    s.w = x._w = next_token()
    (x._vc or s).version += 1
    epoch.written = next_number()
    notes.written = user_place()


def _piece_by_piece(op: Operator, x: Any, others: tuple[Any, ...], attrs: Any, dim: int) -> Any:
    """Windows that share elements are written one after the other, so that shared elements change several times."""

    def piece(y: Any, i: int) -> Any:
        at = dim - x._ty.ndim
        if not isinstance(y, TensorBase) or y._ty.ndim < -at or y._ty.shape[at] == 1:
            return y
        return y.select(at, i)  # type: ignore[attr-defined]

    counter = x._vc or x._s
    version = counter.version + 1
    for i in range(x._ty.shape[dim]):
        call_inplace(op, x.select(dim, i), tuple([piece(y, i) for y in others]), attrs)
    counter.version = version
    return x


REPEATED = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)


def begin_write(x: TensorBase, ins: Sequence[Any], may_overlap: bool = False) -> bool:
    """Checks that ``x`` may be written; does the write take part in autograd?"""
    if threads.epoch.sampling is not None:
        threads.epoch.sampling.require_own(x._s)
    grad = threads.epoch.grad and any([isinstance(i, TensorBase) and requires_grad(i) for i in ins])  # noqa: C419
    if grad:
        refuse_write(x)
    if not may_overlap and overlaps_itself(x._ty):
        raise RuntimeError(REPEATED)
    for i in ins:
        if i is not x and isinstance(i, TensorBase) and i._s is x._s:
            refuse_overlap(x._ty, i._ty)
    return grad


def refuse_overlap(out: Ty, other: Ty) -> None:
    """Raises if an input shares some, but not all, of the memory that is written."""
    if out is other or out.numel == 0 or other.numel == 0:
        return
    if out.numel == other.numel and out.offset == other.offset and _same_layout(out, other):
        return
    if not (out.dense and other.dense):
        return
    if out.offset < other.offset + other.numel and other.offset < out.offset + out.numel:
        raise RuntimeError(
            "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single "
            "memory location. Please clone() the tensor before performing the operation."
        )


def _same_layout(a: Ty, b: Ty) -> bool:
    return a.strides == b.strides and a.shape == b.shape


def check_result(op: Operator, result: Ty, target: Ty) -> None:
    """Raises if ``result`` cannot be stored in place in ``target``."""
    if not can_cast(result.dtype, target.dtype):
        raise RuntimeError(f"result type {SCALAR_NAMES[result.dtype]} can't be cast to the desired output type "
                           f"{SCALAR_NAMES[target.dtype]}")  # fmt: skip
    if result.shape != target.shape:
        raise RuntimeError(f"output with shape {list(target.shape)} doesn't match the broadcast shape "
                           f"{list(result.shape)}")  # fmt: skip


def _keep_original(fn: Fn, x: TensorBase, h: Node) -> None:
    """Where the gradient needs the value before the write, it is kept in memory of its own."""
    for at, (which, _) in enumerate(fn.op.saves):
        if which == 0 and at < len(fn.saved) and fn.saved[at] is x:
            t = h.ty if h.ty.dense and not h.ty.offset else ty(h.ty.shape, h.ty.dtype)
            s = Storage.of(t, layout_node(h, t))
            hold(s, threads.epoch)
            old = new_tensor(s, t)
            old._edge = fn.edges[0]
            fn.saved[at] = old  # type: ignore[index]
            fn.versions[at] = 0  # type: ignore[index]


CAST = Operator(
    "_to_copy",
    lambda tys, attrs: attrs,
    lambda b, attrs, x: b.cast(x, attrs.dtype),
    lambda f, g: (g,),
    grad_name="ToCopyBackward0",
)


def fit(node: Node, t: Ty) -> Node:
    """The node's values with the dtype and memory layout of ``t``, whose shape they have."""
    if node.ty is t:
        return node
    if node.ty.dtype is not t.dtype:
        return intern(CAST, (node,), t)
    return layout_node(node, t)


def write(x: TensorBase, node: Node, fn: Any = None) -> None:
    """Makes ``node`` the value of ``x``'s memory: a new version that all its views see."""
    record_write(x, node, fn)
    if x._s.owner is not None and x._s.shared:
        # NumPy may look at this memory at any time.
        realise(threads.epoch)


def record_write(x: TensorBase, node: Node, fn: Any = None) -> None:
    """``write`` that leaves it to the caller to realise memory shared with NumPy."""
    s = x._s
    epoch = threads.epoch
    if epoch.sampling is not None:
        epoch.sampling.require_own(s)
    settle_before_write(s, base_node(s), epoch)  # the old value is a leaf of this epoch from now on, if it was not yet
    if x._ty is s.ty:
        s.h = node = fit(node, s.ty)
    else:
        t = packed(x._ty)
        node = fit(node, t)
        if fn is None and x._view is not None and t.numel <= SMALL and not s.pending:
            epoch.placed.add(id(s))
        s.h = update_node(s.h, node, x._ty)
        node = view_node(s.h, x._ty)
    if not s.pending:
        hold(s, epoch)
    s.w = next_token()
    x._h, x._w = node, s.w if x._e is None and x._view is None else -1
    (x._vc or s).version += 1
    epoch.written = next_number()
    s.note().written = user_place()
    if fn is not None:
        rebase(x, fn)


def rebase(x: TensorBase, fn: Any) -> None:
    """The history of ``x`` after a write recorded as ``fn``."""
    if x._view is None:
        _move_retained(x, fn)
        x._edge = fn
        return
    base = x._view.base
    whole = CopySlices(base._edge, base._ty, x._ty, fn)
    _move_retained(base, whole)
    base._edge = whole
    edge = strided_edge(x)
    _move_retained(x, edge)
    x._edge = edge
    x._view.edge_version = version_of(x)


def _move_retained(x: TensorBase, fn: Fn) -> None:
    """``retain_grad`` follows the tensor to its new history."""
    if not isinstance(x._edge, (Fn, Out)):
        return
    old, k = (x._edge.fn, x._edge.number) if isinstance(x._edge, Out) else (x._edge, 0)
    if old.hooked is not None and k in old.hooked.retain:
        hooks_of(fn).retain[0] = old.hooked.retain.pop(k)


def at_version(y: Any, version: int) -> Any:
    """A fresh gradient that PyTorch makes by so many in-place writes, which its ``_version`` shows."""
    y._s.version = version
    return y


# ---- out=


def into(result: Any, out: Any, name: str = "") -> Any:
    """Stores a result in ``out`` and returns ``out``; gives the result itself if ``out`` is None.

    Raises:
        RuntimeError: an argument requires grad, or ``out`` cannot hold the dtype.
    """
    if out is None:
        return result
    if isinstance(result, tuple):
        for r, o in zip(result, out):
            into(r, o, name)
        return type(result)(*out) if hasattr(result, "_fields") else tuple(out)
    if not isinstance(out, TensorBase):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if threads.epoch.grad and (requires_grad(result) or requires_grad(out)):
        raise RuntimeError(f"{name}(): functions with out=... arguments don't support automatic differentiation, "
                           "but one of the arguments requires grad.")  # fmt: skip
    if result._ty.meta is not out._ty.meta:
        raise RuntimeError(f"Attempting to copy from device {result.device} to device {out.device}, but cross-device "
                           "copies are not allowed!")  # fmt: skip
    if not can_cast(result._ty.dtype, out._ty.dtype):
        raise RuntimeError(f"result type {SCALAR_NAMES[result._ty.dtype]} can't be cast to the desired output type "
                           f"{SCALAR_NAMES[out._ty.dtype]}")  # fmt: skip
    if out._ty.shape != result._ty.shape:
        _resize_out(result, out)
    if overlaps_itself(out._ty):
        raise RuntimeError(REPEATED)
    write(out, node_of(result))
    return out


def into_flat(result: TensorBase, out: Any, name: str) -> Any:
    """``into`` for vectors: an ``out`` of as many elements keeps its shape."""
    if out is not None and out._ty.numel == result._ty.numel:
        result = result.reshape(out._ty.shape)  # type: ignore[attr-defined]
    return into(result, out, name)


def _resize_out(result: TensorBase, out: TensorBase) -> None:
    if out._ty.numel:
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(out._ty.shape)}, which does not "
            f"match the required output shape {list(result._ty.shape)}. This behavior is deprecated, and in a future "
            "PyTorch release outputs will not be resized unless they have zero elements. You can explicitly reuse an "
            "out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
            stacklevel=4,
        )
    t = result._ty
    out.resize_(t.shape)  # type: ignore[attr-defined]
    if t.dense and t.strides != out._ty.strides:
        out.as_strided_(t.shape, t.strides, out._ty.offset)  # type: ignore[attr-defined]


# ---- arguments


def is_tensor(x: Any) -> bool:
    """Is this a tensor?"""
    return isinstance(x, TensorBase)


def is_number(x: Any) -> bool:
    """Is this a number, Python's or NumPy's?"""
    return isinstance(x, (*Number, np.number))


def wrap_dim(dim: int, ndim: int) -> int:
    """A dimension counted from the front.

    Raises:
        IndexError: it is out of range.
        TypeError: it is no integer.
    """
    if type(dim) is not int:
        dim = _integer(dim)
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim % n


def _integer(dim: Any) -> int:
    """A dimension that may be a NumPy integer, or a tensor of one."""
    try:
        return index(dim)
    except TypeError:
        raise TypeError(f"argument 'dim' must be int, not {type_name(dim)}") from None


def int_tuple(value: Any) -> tuple[int, ...]:
    """One integer or several, also NumPy's and tensors without dimensions, as a tuple.

    Raises:
        TypeError: one is no integer.
    """
    if isinstance(value, int):
        return (value,)
    if hasattr(value, "__index__"):
        return (index(value),)
    return tuple([index(v) for v in value])


def wrap_dims(dims: Any, ndim: int) -> tuple[int, ...]:
    """Several dimensions counted from the front; None means all.

    Raises:
        RuntimeError: one appears twice.
    """
    if dims is None:
        return tuple(range(ndim))
    if isinstance(dims, int) or hasattr(dims, "__index__"):
        dims = (dims,)
    if len(dims) == 0:
        return tuple(range(ndim))
    out = tuple(wrap_dim(d, ndim) for d in dims)
    for i, d in enumerate(out):
        if d in out[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return tuple(d for d in out if ndim)


def c_name(dt: Any) -> str:
    """The dtype's name in PyTorch's C++ error messages."""
    return C_NAMES[dt] if dt in C_NAMES else dt.name


__all__ = [
    "CAST", "FUNCTIONS", "METHODS", "OUT", "AccumulateGrad", "Operator", "alias", "c_name", "call", "call_inplace",
    "export", "function", "into", "is_number", "is_tensor", "method", "requires_grad", "view", "views", "wrap_dim",
    "wrap_dims", "write",
]  # fmt: skip
