"""Calling operators: a call becomes a node, its results pending tensors, and autograd is told."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..compiler.twins import twin
from ..dtypes import _default as default_dtype
from ..dtypes import weak_dtype
from ..graph import packing
from ..graph.epoch import BUDGET, NODE_COST, Epoch, Turn, number, refresh, threads
from ..graph.fn import (
    Fn,
    Out,
    fn_class,
    next_number,
    numbers_of_calls,
    pack_saved,
    refuse_inference_inputs,
    save,
    save_inputs,
    save_outputs,
)
from ..graph.node import Node, Operator, TensorAttributeError, intern, new_node, nodes, plain
from ..graph.realisation import realise
from ..graph.storage import Storage, inferred
from ..graph.tape import settle
from ..graph.tensor_base import TensorBase, new_tensor
from ..graph.tensor_base import tensor_class as _tensor_class
from ..graph.traced import Several, Traced, call_again, mark_saved, traced
from ._histories import view_edge
from ._signatures import type_name

NUMBERS = (bool, int, float, complex)
_new = object.__new__
HELD_BACK = 1 << 60  # off the budget while several nodes are given memory: a realisation would outdate the later ones


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
                hs = h, number(z, default_dtype[0])
            else:
                hs = h, z._h if z._w == z._s.w else refresh(z)
        elif count == 3:
            x, z, b = ins
            h = x._h if x._w == x._s.w else refresh(x)
            hs = h, z._h if z._w == z._s.w else refresh(z), b._h if b._w == b._s.w else refresh(b)
        else:
            hs = tuple([number(x, default_dtype[0]) if x.__class__ is float else x._h if x._w == x._s.w else refresh(x)
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
    if inferred[0]:
        refuse_inference_inputs(op, ins)
    s = Storage()
    s.ty = t = h.ty
    s.h = h.value
    s.raw = None
    s.w = 0
    s.version = epoch.inference
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
    """Gives ``y`` a complete backward node, made without its constructor: half of a step's may be made here."""
    if epoch.tape:
        settle(epoch)
    edges, mask, grad = _edges(ins)
    if grad:
        fn = y._e = _new(op.fn_class or fn_class(op))
        fn.node = node
        fn.call = None
        fn.edges = edges
        fn.freed = False
        fn.hooked = None
        fn.traced = None
        fn.number = next_number()
        if op.saves:
            save(fn, mask, ins, y._s, y._ty)
            if packing.active:
                pack_saved(fn)
        else:
            fn.saved = fn.versions = ()
    else:
        y._w = -1
    if epoch.bytes > BUDGET:
        realise(epoch)


def _edges(ins: tuple[Any, ...]) -> tuple[list[Any], int, bool]:
    """Where the gradients of inputs go, which of them have such an edge (bit k: input k), and whether some input
    requires grad.
    """
    edges: list[Any] = []
    mask, bit, grad = 0, 1, False
    for x in ins:
        e = None
        if isinstance(x, TensorBase):
            e, v = x._e, x._view
            if v is not None:
                if e is None or e.traced is not None or v.edge_version != (x._vc or x._s).version:
                    e = view_edge(x)
                grad = grad or v.base._e is not None
            elif e is not None and e.traced is not None:
                e = x._edge
            if e is not None:
                mask |= bit
        edges.append(e)
        bit += bit
    return edges, mask, grad or mask > 0


def _handles(op: Operator, ins: tuple[Any, ...]) -> tuple[Node, ...]:
    """The nodes of inputs of which some are no tensors, but numbers.

    Raises:
        TypeError: an input is neither.
    """
    hs = []
    for k, x in enumerate(ins):
        if isinstance(x, TensorBase):
            hs.append(x._h if x._w == x._s.w else refresh(x))
        elif type(x) in NUMBERS or isinstance(x, numbers.Number):
            x = x.item() if isinstance(x, np.number) else x
            hs.append(number(x, weak_dtype(x)))
        else:
            name = "input" if k == 0 else "other"
            raise TypeError(f"{op.name}(): argument '{name}' (position {k + 1}) must be Tensor, not {type_name(x)}")
    return tuple(hs)


@twin
def fresh(node: Node, epoch: Epoch) -> Any:
    """A pending tensor over new memory."""
    t = node.ty
    s = Storage()
    s.ty = t
    s.h = node
    s.raw = None
    s.w = 0
    s.version = epoch.inference
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
        if inferred[0]:
            refuse_inference_inputs(op, ins)
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
    fn = unsaved_fn(op, ins, node)
    if fn is not None and op.saves:
        save_inputs(fn, ins)
    return fn


def unsaved_fn(op: Operator, ins: tuple[Any, ...], node: Node) -> Fn | None:
    """As ``record_fn``, with nothing saved yet."""
    edges, _, grad = _edges(ins)
    return (op.fn_class or fn_class(op))(node, None, edges) if grad else None
