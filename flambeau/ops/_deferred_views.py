"""Views whose backward nodes are completed later (``graph.tape``)."""

from __future__ import annotations

from typing import Any

from ..compiler.twins import twin
from ..graph.epoch import Epoch, refresh
from ..graph.fn import Out, fn_class, next_number, numbers_of_calls
from ..graph.node import Operator, inferred_view, view_node
from ..graph.tensor_base import TensorBase, tensor_class, view_of
from ..graph.traced import Several, Traced, call_again, traced
from ..graph.types import Ty, lazily, plainly

_new = object.__new__


@twin
def view_type(op: Operator, x: TensorBase, attrs: Any) -> Any:
    """The type that ``op`` infers from ``x``'s, or several."""
    known = x._ty.views
    t = known.get((op, attrs))
    if t is None:
        t = known[op, attrs] = _inferred(op, x._ty, attrs)
    return t


def _inferred(op: Operator, t: Ty, attrs: Any) -> Any:
    """What the rule says of plain memory, read as ``t`` is; ``conj`` of what is read conjugated is plain."""
    found = inferred_view(op, (plainly(t),), attrs)
    if not t.lazy:
        return found
    if type(found) is tuple:
        return tuple([lazily(part, part.lazy ^ t.lazy) for part in found])
    return lazily(found, found.lazy ^ t.lazy)


@twin
def _at_rest(x: TensorBase) -> bool:
    """Does the memory of ``x`` keep its leaf? Then what ``x`` caches is made good."""
    notes = x._s.notes
    if notes is None or notes.kept is None or x._s.h is not notes.kept:
        return False
    refresh(x)
    return True


@twin
def deferred_view(op: Operator, x: Any, attrs: Any, epoch: Epoch) -> Any:
    """A view, or several, whose backward node is completed later; None if it must be complete from the beginning."""
    s = x._s
    if x._e is None or (x._w != s.w and not _at_rest(x)):
        return None
    h = traced.get((op, x._h, s.h, attrs)) or _first_view(op, x, attrs)
    if not h.complete:
        return None
    if s.notes is not None and s.notes.kept is not None:
        epoch.viewed.append(s)
    if type(h) is Several:
        return _deferred_parts(h, x, epoch)
    if h in epoch.tape:
        h = call_again(h, epoch.repeated)
    y = epoch.tape[h] = _view_at(h, x, h, "default")
    y._ins = (x,)
    y._number = next(numbers_of_calls)
    return y


def _deferred_parts(h: Any, x: Any, epoch: Epoch) -> tuple[Any, ...]:
    """Several views of ``x``, whose backward node is completed later."""
    fn = _new(h.fn_class)
    if epoch.tape.setdefault(h, fn) is not fn:
        h = call_again(h, epoch.repeated)
        epoch.tape[h] = fn
    fn.traced = h
    fn.given = (x,)
    fn.out = None
    fn.number = next_number()
    return tuple([_view_at(part, x, Out(fn, k), "multi") for k, part in enumerate(h.parts)])


@twin
def _view_at(h: Any, x: Any, edge: Any, creation: str) -> Any:
    """A view of ``x`` with this traced node and edge."""
    s = x._s
    y = _new(tensor_class[0])
    y._s = s
    y._ty = h.ty
    y._h = h
    y._w = s.w
    y._e = edge
    y._g = None
    vc = y._vc = x._vc
    of, version = x._view, (vc or s).version
    if of is None:
        y._view = view_of(x, creation, version)
    else:
        y._view = view_of(of.base, of.creation if creation == "default" else creation, version)
    return y


def _first_view(op: Operator, x: Any, attrs: Any) -> Traced:
    """What a view of this form is, or several, kept for the next."""
    source, types, cls = x._h, view_type(op, x, attrs), fn_class(op)
    base: Any = x._s.h
    tys = types if type(types) is tuple else (types,)
    complete = base is not None and source.complete and not op.saves and cls.simple
    complete = complete and all(t.dtype.kind in "fc" for t in tys) and _says_how(source, x._ty, types)
    values = [view_node(base, t) if complete else source.value for t in tys]  # type: ignore[arg-type]
    h = (
        Several(values, source.value, complete, op, (source,), attrs)
        if type(types) is tuple
        else Traced(values[0], complete, op, (source,), attrs, types)
    )
    h.fn_class = cls
    traced[op, source, base, attrs] = h
    return h


def _says_how(source: Any, t: Ty, types: Any) -> bool:
    """Do the traced nodes of a view and of what it is one of say how elements are read? Those of several do not."""
    if type(types) is tuple:
        return not t.lazy
    return source.ty.lazy == t.lazy
