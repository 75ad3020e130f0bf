"""Gradient rules as nodes: what a rule records for calls of one form is recorded once.

A graph that is new has the rule of each of its calls run, though most calls are like others before them: the steps of
an episode, the words of a sentence. What a rule records follows from the *form* of a call: its operator, attributes
and types, which inputs want a gradient, the types of what was saved and of what arrives, and saved numbers. So when a
form has come a few times, its rule is run on *places*, tensors of these types that have no values, in an epoch of
their own. What it records then is kept and made again for each call, with the nodes of what that call saved where the
places are: the very nodes that the rule would record, without its tensors, checks and inference.

A rule that asks for values, or reads memory that is not the call's, has no such pattern and goes on being run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph.epoch import BUDGET, Epoch, exchange, node_of, number, threads
from ..graph.fn import Fn, Saved
from ..graph.keeping import beside
from ..graph.node import (
    LAYOUT,
    LEAF,
    PART,
    SCALAR,
    UPDATE,
    VIEW,
    Node,
    layout_node,
    nodes,
    structural,
    update_node,
    user_place,
    view_node,
)
from ..graph.program import in_order
from ..graph.realisation import forget_hooks, realise
from ..graph.storage import Storage
from ..graph.tensor_base import new_tensor, view_of
from ..graph.types import Ty
from ..ops._registry import HELD_BACK, creation_of, fresh
from ..ops._rule_context import CallContext

TIMES = 2  # how often a form's rule is run as it is before its pattern is made
MOST = 10_000  # forms that are remembered
PLACE = structural("place")  # stands for the value of a storage that a rule reads
Rule = Callable[[Fn, Any, list[Any]], list[Any]]  # applies the rule of a call: of what is saved there, to gradients

# Form -> its pattern; None if it has none; how often it came until then:
_patterns: dict[tuple[Any, ...], Pattern | int | None] = {}
forget_hooks.append(_patterns.clear)


class NoPatternError(Exception):
    """A rule did something that other calls of the form may not do alike."""


class OnPlaces(CallContext):
    """A call with places for what was saved."""

    __slots__ = ("_saved",)

    def __init__(self, fn: Fn, saved: Sequence[Any]) -> None:
        super().__init__(fn, fn.ins)
        self._saved = {which: x for (which, _), x in zip(fn.op.saves, saved)}

    def saved(self, i: int) -> Any:
        """The place of the saved input ``i`` (a Python number as it is)."""
        return self._saved[i]


class Result:
    """A gradient in a pattern: the tensor ``given`` that arrived or a view of it, or the step that makes its memory.

    ``ty`` is its type, if it is not just that memory, ``viewing``: is it then a view? ``version``: of its memory.
    """

    __slots__ = ("at", "given", "ty", "version", "viewing")

    def __init__(self, given: int | None, at: int, t: Ty | None, version: int, viewing: bool) -> None:
        self.given = given
        self.at = at
        self.ty = t
        self.version = version
        self.viewing = viewing


class Pattern:
    """What a rule records: ``steps``, of which each reads places and earlier steps by number, and the gradients.

    ``read`` are the places of which the values count.
    """

    __slots__ = ("read", "results", "steps")

    def __init__(self, steps: list[tuple[Any, tuple[int, ...], Any, Any]], results: list[Result | None]) -> None:
        self.steps = steps
        self.results = results
        self.read = frozenset([i for _, ins, _, _ in steps for i in ins])

    def made(self, given: Sequence[Any], env: list[Any], epoch: Epoch) -> list[Any]:
        """The gradients of a call, of what arrived and the nodes ``env`` of its places."""
        line = user_place()
        for op, ins, attrs, t in self.steps:
            special = _SPECIAL.get(op)
            if special is not None:
                env.append(special(env, ins, attrs, t))
                continue
            read = tuple([env[i] for i in ins])
            key = op, read, attrs
            node = nodes.get(key)
            if node is None:
                node = nodes[key] = Node(op, read, attrs, t, line)
            env.append(node)
        epoch.bytes -= HELD_BACK
        out = [None if r is None else _gradient(r, given, env, epoch) for r in self.results]
        epoch.bytes += HELD_BACK
        if epoch.bytes > BUDGET:
            realise(epoch)
        return out


_SPECIAL: dict[Any, Callable[[list[Any], tuple[int, ...], Any, Any], Node]] = {
    SCALAR: lambda env, ins, value, t: number(value, t.dtype),
    VIEW: lambda env, ins, attrs, t: view_node(env[ins[0]], t),
    LAYOUT: lambda env, ins, attrs, t: layout_node(env[ins[0]], t),
    UPDATE: lambda env, ins, view, t: update_node(env[ins[0]], env[ins[1]], view),
    PART: lambda env, ins, which, t: env[ins[0]].parts[which],
}


def _gradient(r: Result, given: Sequence[Any], env: list[Any], epoch: Epoch) -> Any:
    """A gradient as a tensor."""
    if r.given is None:
        x = fresh(env[r.at], epoch)
        x._s.version = r.version
    else:
        x = given[r.given]
    return x if r.ty is None else _under(x, r.ty, r.viewing)


def _under(x: Any, t: Ty, viewing: bool) -> Any:
    """A tensor on the memory of a gradient under a type."""
    y = new_tensor(x._s, t)
    y._vc = x._vc
    if viewing:
        y._view = view_of(x if x._view is None else x._view.base, creation_of(x), (x._vc or x._s).version)
    return y


def apply_known(fn: Fn, grads: list[Any], rule: Rule) -> list[Any] | None:
    """The gradients of a call by the pattern of its form; None if the rule must run.

    Nothing that the call saved may have been written since.
    """
    if not fn.simple or fn.op.vjp is None:
        return None
    form = _form(fn, grads)
    if form is None:
        return None
    known = _patterns.get(form, 0)
    if isinstance(known, int):
        known = _patterns[form] = known + 1 if known < TIMES else _pattern(fn, grads, rule)
        if len(_patterns) > MOST:
            _patterns.clear()
    if not isinstance(known, Pattern):
        return None
    epoch = threads.epoch
    env = _bound(fn, grads, known.read)
    return None if env is None else known.made(grads, env, epoch)


def _form(fn: Fn, grads: list[Any]) -> tuple[Any, ...] | None:
    """What the nodes that a call's rule records follow from; None if that cannot be told."""
    call, node = fn.call, fn.node
    form: list[Any] = [fn.op]
    form += (node.attrs, tuple([i.ty for i in node.ins]), node.ty) if call is None else call
    form += [e is None for e in fn.edges]
    for g in grads:
        if g is not None and g.is_sparse:
            return None
        form += (None, None) if g is None else (g._ty, g._s.ty)
    for x in fn.saved:
        if x is None:
            form += (None, None)
        elif x.__class__ is Saved:
            form += (x.ty, x.storage.ty)
        elif hasattr(x, "_s"):
            form += (x._ty, x._s.ty)
        elif x.__class__ in (bool, int, float, complex):
            form += (x.__class__, repr(x))  # tells 0.0 from -0.0
        else:
            return None
    return tuple(form)


def _bound(fn: Fn, grads: list[Any], read: frozenset[int]) -> list[Any] | None:
    """The nodes of what the places in ``read`` stand for; None where the rule would read memory in another way."""
    env: list[Any] = []
    for x in (*grads, *fn.saved):
        if x.__class__ is not Saved and not hasattr(x, "_s"):
            continue
        h = None
        if len(env) in read:
            h = _memory(new_tensor(x.storage, x.ty) if x.__class__ is Saved else x)
            if h is None:
                return None
        env.append(h)
    return env


def _memory(x: Any) -> Node | None:
    """The node of the whole memory of a tensor; None if NumPy may write it, or if a part of it is a leaf by itself."""
    s = x._s
    if s.owner is not None and s.shared:
        return None
    h = node_of(x)
    if x._ty.lazy:
        return None
    if x._ty is not s.ty and h.op is VIEW:
        h = h.ins[0]
    return h if h.ty is s.ty else None


# ---- making a pattern


def _pattern(fn: Fn, grads: list[Any], rule: Rule) -> Pattern | None:
    """The pattern of a call's form, or None if it has none."""
    epoch = Epoch()
    epoch.grad, epoch.inference = False, threads.epoch.inference
    with beside():
        outer = exchange(epoch)
        try:
            found = _recorded(fn, grads, rule, epoch)
        except Exception:  # the rule itself says what is wrong, if something is
            found = None
        finally:
            exchange(outer)
        realise(epoch)  # if the rule has made a table that it keeps, others may read it
    return found


def _recorded(fn: Fn, grads: list[Any], rule: Rule, epoch: Epoch) -> Pattern:
    """The pattern of what the rule records in this epoch."""
    given = [_place(g, epoch) for g in grads]
    saved = [_place(x, epoch) for x in fn.saved]
    out = rule(fn, OnPlaces(fn, saved), list(given))
    return _read(out, given, [x for x in (*given, *saved) if hasattr(x, "_s")], epoch)


def _place(x: Any, epoch: Epoch) -> Any:
    """A tensor without values like ``x``; Python numbers and None are themselves."""
    if x.__class__ is Saved:
        whole, t = x.storage.ty, x.ty
    elif hasattr(x, "_s"):
        whole, t = x._s.ty, x._ty
    else:
        return x
    if whole.meta:
        raise NoPatternError
    s = Storage.of(whole, Node(PLACE, (), None, whole, None))
    s.pending = True
    s.epoch = epoch
    return new_tensor(s, t)


def _read(out: Sequence[Any], given: list[Any], places: list[Any], epoch: Epoch) -> Pattern:
    """The pattern of what was recorded for the gradients ``out``.

    Raises:
        NoPatternError: something was computed, memory of others was read, or a place was written.
    """
    if epoch.serial or epoch.leaves or epoch.computed or epoch.meta:
        raise NoPatternError
    new: list[Any] = []
    for r in out:
        if r is not None and not any(r._s is x._s for x in places):
            new.append(r)
    if len({id(r._s) for r in new}) < len(new) or any(x._s.h.op is not PLACE for x in places):
        raise NoPatternError
    at = {x._s.h: k for k, x in enumerate(places)}
    steps = []
    for n in in_order(tuple([r._s.h for r in new])):
        if n.op is LEAF:
            raise NoPatternError
        if n.op is not PLACE:
            at[n] = len(at)
            attrs = epoch.scalars[n.attrs] if n.op is SCALAR else n.attrs
            steps.append((n.op, tuple([at[i] for i in n.ins]), attrs, n.ty))
    return Pattern(steps, [None if r is None else _result(r, given, at) for r in out])


def _result(r: Any, given: list[Any], at: dict[Node, int]) -> Result:
    """What is noted of a gradient."""
    k = next((k for k, g in enumerate(given) if g is not None and g._s is r._s), None)
    if r._vc is not None or (k is None and (r._s.h.op is PLACE or r._s.h.ty is not r._s.ty)):
        raise NoPatternError
    t = r._ty
    if k is not None:
        return Result(k, -1, None if r is given[k] else t, 0, r._view is not None)
    plain = t is r._s.ty and r._view is None
    return Result(None, at[r._s.h], None if plain else t, r._s.version, r._view is not None)
