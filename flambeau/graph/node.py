"""Hash-consed nodes: the pending computation at the granularity of PyTorch's operators."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from operator import attrgetter
from types import CodeType, FrameType
from typing import Any

from .._collector import Hiding
from ..compiler.twins import twin
from .types import CONJ, NEG, Ty, beside, like, on_meta, plainly, ty

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Operator:
    """One operator: its type rule, gradient and lowering.

    Args:
        name: the operator's name, PyTorch's where it has one.
        infer: ``(types, attrs) -> Ty`` or a tuple of them; checks the arguments and raises PyTorch's errors.
        lower: ``(b, attrs, *values) -> Value`` or a tuple; builds primitives with the builder ``b``.
        vjp: ``(f, *grads) -> gradients`` in terms of tensors, one an input (None where there is none);
            None if the operator is not differentiable.
        saves: what the gradient needs, as pairs ``(which, when)``: ``which`` is an input's number or ``OUT + k``
            for an output, ``when`` the numbers of the inputs one of which must require grad.
        grad_name: the name of the backward node, ``"MulBackward0"`` from ``mul`` by default.

    Attributes:
        across: None, or ``(sent, f, *grads) -> gradients``, the rule of a pass that knows more than one call:
            ``sent`` holds what calls visited before have said of gradients on their way. It gives None where ``vjp``
            holds.
    """

    __slots__ = ("across", "fn_class", "grad_name", "infer", "lower", "name", "plans", "saves", "vjp")

    def __init__(
        self, name: str, infer: Callable[..., Any], lower: Callable[..., Any], vjp: Callable[..., Any] | None = None,
        saves: tuple[tuple[int, tuple[int, ...]], ...] = (), grad_name: str | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.infer = infer
        self.lower = lower
        self.vjp = vjp
        self.across: Callable[..., Any] | None = None
        self.fn_class: Any = None  # the class of its backward nodes
        self.plans: dict[int, Any] = {}  # inputs that require grad, as bits -> what is saved
        self.saves = saves
        self.grad_name = grad_name or "".join(p.capitalize() for p in name.split("_")) + "Backward0"

    def __repr__(self) -> str:
        return f"<operator {self.name}>"


OUT = 1000  # ``OUT + k`` in ``Operator.saves`` means output k


class Node:
    """An interned operator call. ``attrs`` are hashable; ``place`` is where the user's first such call is.

    A node with several outputs has a tuple as ``ty``; ``parts`` are its outputs as nodes.
    """

    __slots__ = (
        "__weakref__", "attrs", "elsewhere", "ins", "op", "parts", "place", "read", "traced_leaves", "ty",
    )  # fmt: skip

    def __init__(self, op: Any, ins: tuple[Node, ...], attrs: Any, t: Any, place: Place | None) -> None:
        self.op = op
        self.ins = ins
        self.attrs = attrs
        self.ty = t
        self.place = place
        self.parts: tuple[Node, ...] | None = None
        self.read = False  # may a backward node read this value?
        # Kept here by ``traced``: this value with a history that is not recorded in this epoch, and as leaves.
        self.elsewhere: Any = None
        self.traced_leaves: list[Any] | None = None
        if t.__class__ is tuple:
            self.parts = tuple([Node(PART, (self,), k, part, place) for k, part in enumerate(t)])

    @property
    def src(self) -> tuple[str, int] | None:
        """File and line of the user's first such call."""
        return line_of(self.place)

    @property
    def differentiable(self) -> bool:
        """May the one result require grad?"""
        t = self.ty
        return t.__class__ is not tuple and t.dtype.kind in "fc"

    @property
    def numbers(self) -> bool:
        """Are there Python numbers among the inputs?"""
        for i in self.ins:  # noqa: SIM110
            if i.op is SCALAR:
                return True
        return False

    def __repr__(self) -> str:
        return f"{self.op.name}{list(self.ins)!r}:{self.ty}" if self.ins else f"{self.op.name}:{self.ty}"


def structural(name: str) -> Operator:
    """An operator that program building treats by itself."""

    def refuse(*_: Any) -> Any:
        raise AssertionError(f"{name} is not called like an operator")

    return Operator(name, refuse, refuse)


LEAF = structural("leaf")  # a realised storage; attrs: ordinal
SCALAR = structural("scalar")  # a Python number; attrs: ordinal
PART = structural("part")  # one output of a node with several; attrs: which
VIEW = structural("view")  # elements of ins[0]'s memory under ty's strides and offset
UPDATE = structural("update")  # ins[0] with the elements under the view attrs replaced by ins[1]
LAYOUT = structural("layout")  # ins[0] in ty's memory layout

nodes: dict[Any, Node] = {}
_results: dict[Any, Any] = {}  # operators, types of inputs and attributes -> types of results
Hiding(nodes, attrgetter("ins"))
_hiding = Hiding(_results)


MOST_RESULTS = 100_000
MOST_LINES = 10_000
MOST_GUESSES = 3
Place = tuple[CodeType, int]


def _user_frame(frame: FrameType | None) -> tuple[FrameType | None, int]:
    """The innermost frame from this one on that runs code outside the package, and how many are before it."""
    before = 0
    while frame is not None:
        name = frame.f_code.co_filename
        ours = _ours.get(name)
        if ours is None:
            ours = _ours[name] = name.startswith((PACKAGE, "<frozen"))
        if not ours:
            return frame, before
        frame = frame.f_back
        before += 1
    return None, before


@twin
def user_place(what: Any = None) -> Place | None:
    """Code and instruction of the innermost caller outside the package, for ``line_of``.

    A walk over the callers takes longer than the rest of a node. So where the same (``what``) came after the place
    before, one look is taken at where it came from the last times.
    """
    if _place[0] is not None:
        return _place[0]
    key = what, _after[1]
    for place, depth, number in _after[0].get(key, ()):
        try:
            frame = sys._getframe(depth)
        except ValueError:
            frame = None
        if frame is not None and frame.f_code is place[0] and frame.f_lasti == place[1]:
            _after[1] = number
            return place
    return _walked(key)


def _walked(key: tuple[Any, int]) -> Place | None:
    """The place by a walk over the callers, which is noted for the next time.

    How deep it is counts from ``user_place`` on, whose twin has no frame.
    """
    found, before = _user_frame(sys._getframe(1))
    if found is None:
        return None
    if len(_after[0]) >= MOST_LINES:
        _after[0].clear()
    place = found.f_code, found.f_lasti
    _after[1] = hash((id(found.f_code), found.f_lasti))
    _after[0][key] = (place, before, _after[1]), *_after[0].get(key, ())[: MOST_GUESSES - 1]
    return place


def line_of(place: Place | None) -> tuple[str, int] | None:
    """File and line of an instruction."""
    if place is None:
        return None
    code, at = place
    known = _lines.get((id(code), at))  # by identity: equal functions of two files are equal
    if known is None or known[0] is not code:
        lines = [line for start, end, line in code.co_lines() if start <= at < end and line is not None]
        known = _lines[id(code), at] = code, lines[0] if lines else code.co_firstlineno
        if len(_lines) > MOST_LINES:
            _lines.clear()
    return code.co_filename, known[1]


class on_one_line:
    """While this is held, all is recorded by the innermost caller outside the package: nobody looks for it again.

    Not a generator of ``contextlib``, whose frame would be that caller.
    """

    __slots__ = ("before",)

    def __enter__(self) -> None:
        self.before = _place[0]
        _place[0] = user_place()

    def __exit__(self, *exc: object) -> None:
        _place[0] = self.before


_place: list[Place | None] = [None]
_after: list[Any] = [{}, 0]  # by what is recorded and the place before: places, how deep they were, their numbers
_lines: dict[tuple[int, int], tuple[CodeType, int]] = {}
_ours: dict[str, bool] = {}  # files, and whether they are the package's or Python's own


@twin
def intern(op: Operator, ins: tuple[Node, ...], attrs: Any) -> Node:
    """The node for this call; types are inferred and arguments checked when it is new."""
    key = (op, ins, attrs)
    return nodes.get(key) or new_node(key)


@twin
def new_node(key: tuple[Operator, tuple[Node, ...], Any]) -> Node:
    """The node of a call that is not there yet.

    What an operator gives for the types of its inputs, its rule is asked for once.
    """
    op, ins, attrs = key
    if len(ins) == 2:
        a, b = ins
        known = (op, (a.ty, b.ty), attrs)
    else:
        known = (op, tuple([i.ty for i in ins]), attrs)
    t = _results.get(known)
    if t is None:
        if len(_results) >= MOST_RESULTS:
            _hiding.show()
            _results.clear()
        t = _results[known] = inferred(op, known[1], attrs)
    if t.__class__ is tuple:
        n = Node(op, ins, attrs, t, user_place(op))
    else:
        n = _with_one_result(op, ins, attrs, t, user_place(op))
    nodes[key] = n
    return n


@twin
def _with_one_result(op: Operator, ins: tuple[Node, ...], attrs: Any, t: Ty, place: Place | None) -> Node:
    """What ``Node`` makes."""
    n = _new(Node)
    n.op = op
    n.ins = ins
    n.attrs = attrs
    n.ty = t
    n.place = place
    n.parts = None
    n.read = False
    n.elsewhere = None
    n.traced_leaves = None
    return n


_new = object.__new__


@twin
def inferred(op: Operator, tys: tuple[Ty, ...], attrs: Any) -> Any:
    """What an operator gives for inputs of these types: without memory if one of them has none."""
    t = inferred_view(op, tys, attrs)
    return tuple([plainly(part) for part in t]) if t.__class__ is tuple else plainly(t)


def inferred_view(op: Operator, tys: tuple[Ty, ...], attrs: Any) -> Any:
    """As ``inferred`` for a view operator, whose rule may say that elements are read lazily."""
    _refuse_tensors(op, attrs)
    t = op.infer(tys, attrs)
    for i in tys:
        if i.meta:
            refuse_devices(op, tys)
            return tuple([on_meta(part) for part in t]) if t.__class__ is tuple else on_meta(t)
    return t


class TensorAttributeError(TypeError):
    """A tensor where a number is needed: its value could change while the call is remembered."""


def _refuse_tensors(op: Operator, attrs: Any) -> None:
    if type(attrs) is tuple:
        for a in attrs:
            if type(a) is not int:
                _refuse_tensors(op, a)
    elif hasattr(attrs, "_ty"):
        raise TensorAttributeError(f"{op.name}(): a tensor was given where a number is needed: call .item() on it")


def plain(attrs: Any) -> Any:
    """Attributes with its value in place of each tensor."""
    if hasattr(attrs, "_ty"):
        return attrs.item()
    return tuple([plain(a) for a in attrs]) if type(attrs) is tuple else attrs


def refuse_devices(op: Operator, tys: tuple[Ty, ...]) -> None:
    """Raises if some inputs are on the CPU and some on the meta device.

    Python numbers and tensors without dimensions may be on the CPU, and so may indices, tables of weights that
    resampling is done with, and what is copied.

    Raises:
        RuntimeError: they are mixed.
    """
    if op.name.startswith(_ANYWHERE):
        return
    places = [i.meta for i in tys if i.meta or i.ndim]
    if not all(places):
        names = ("cpu", "meta") if not places[0] else ("meta", "cpu")
        raise RuntimeError(f"Tensor on device {names[1]} is not on the expected device {names[0]}!")


# What the names of operators that may mix devices begin with:
_ANYWHERE = ("copy", "embedding", "gather", "index", "put", "scatter", "take", "upsample")


def forget_nodes() -> None:
    """Drops all nodes, and what was inferred."""
    nodes.clear()
    _results.clear()


@twin
def leaf_node(t: Ty, ordinal: int) -> Node:
    """The node of the epoch's leaf number ``ordinal``."""
    n = t.leaves.get(ordinal)
    if n is None:
        n = t.leaves[ordinal] = _with_one_result(LEAF, (), ordinal, t, None)
    return n


@twin
def scalar_node(dt: Any, ordinal: int) -> Node:
    """The node of the epoch's Python number ``ordinal``."""
    t = _weak.get(dt)
    if t is None:
        t = _weak[dt] = ty((), dt, weak=True)
    n = t.leaves.get(ordinal)
    if n is None:
        n = t.leaves[ordinal] = _with_one_result(SCALAR, (), ordinal, t, None)
    return n


_weak: dict[Any, Ty] = {}  # the types of Python numbers


@twin
def view_node(h: Node, t: Ty) -> Node:
    """The elements of ``h``'s memory under the strides and offset of ``t``."""
    if t is h.ty:
        return h
    key: Any = (h, t)
    n = nodes.get(key)
    if n is None:
        n = nodes[key] = _first_view(h, t)
    return n


@twin
def _first_view(h: Node, t: Ty) -> Node:
    if t.lazy:
        return applied(view_node(h, plainly(t)), t.lazy)
    given = h.ty
    return _with_one_result(VIEW, (h,), None, beside(t, given) if given.meta else t, user_place(VIEW))


def applied(h: Node, lazy: int) -> Node:
    """What is read where memory holds ``h``, and also what memory holds where ``h`` is written."""
    if lazy & CONJ:
        h = intern(CONJUGATED, (h,), ())
    return intern(NEGATED, (h,), ()) if lazy & NEG else h


CONJUGATED = Operator("conj", lambda tys, attrs: like(tys[0]), lambda b, attrs, x: b.map("conj", x))
NEGATED = Operator("neg", lambda tys, attrs: like(tys[0]), lambda b, attrs, x: b.map("neg", x))


def layout_node(h: Node, t: Ty) -> Node:
    """The same values of the same dtype, laid out in memory as ``t`` says."""
    if t is h.ty:
        return h
    n = nodes.get((LAYOUT, h, t))
    if n is None:
        if t.lazy:
            return layout_node(h, plainly(t))
        n = nodes[LAYOUT, h, t] = Node(LAYOUT, (h,), None, beside(t, h.ty), user_place(LAYOUT))
    return n


def update_node(base: Node, value: Node, view: Ty) -> Node:
    """``base`` with the elements under ``view`` replaced by ``value``."""
    key = (UPDATE, base, value, view)
    n = nodes.get(key)
    if n is None:
        if view.lazy:
            n = nodes[key] = update_node(base, applied(value, view.lazy), plainly(view))
        else:
            n = nodes[key] = Node(UPDATE, (base, value), view, base.ty, user_place(UPDATE))
    return n
