"""Calling operators whose results share memory with their input."""

from __future__ import annotations

from typing import Any

from ..compiler.twins import twin
from ..graph.epoch import threads
from ..graph.fn import Fn, Out, next_number, record, save_inputs
from ..graph.node import Operator, TensorAttributeError, plain
from ..graph.storage import refuse_inference_write
from ..graph.tape import settle
from ..graph.tensor_base import TensorBase, new_tensor, replaced, view_of
from ..graph.traced import Traced
from ..graph.types import Ty
from ._deferred_views import deferred_view, view_type
from ._histories import requires_grad, reshaped, view_edge
from ._view_rules import refuse_write


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


@twin
def seen_as(op: Operator, x: TensorBase, attrs: Any) -> Any:
    """A view that forgets whose it is, where autograd does not look: as an operand, or as a fresh tensor."""
    y = new_tensor(x._s, view_type(op, x, attrs))
    y._vc = x._vc
    return y


@twin
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
    creation = "multi" if epoch.grad else creation_of(x)
    outs = tuple([_view_of(x, t, None, creation) for t in tys])
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
    y._view = view_of(x if of is None else of.base, creation, (vc or x._s).version)
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


@twin
def is_known(t: Ty, op: Operator, sizes: tuple[Any, ...]) -> bool:
    """Has a tensor of this type been seen under these sizes, all integers, before?"""
    for n in sizes:
        if type(n) is not int:
            return False
    return t.views.get((op, sizes)) is not None


def alias(x: TensorBase) -> Any:
    """Another tensor object on the same memory and version counter, outside the autograd graph (``detach``)."""
    h = x._h
    y = new_tensor(x._s, x._ty, h.value if type(h) is Traced else h, x._w)
    y._vc = x._vc
    return y


def forgetting(y: TensorBase) -> Any:
    """A view of a fresh tensor that nobody else has, as a tensor that is no view."""
    y._view = None
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
    refuse_inference_write(x._s)
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
        reshaped(x, fn)
    return x
