"""Calls that a class of tensors or a mode answers itself: PyTorch's ``__torch_function__``.

PyTorch's functions ask each argument. Here they ask nothing, so that calls stay cheap, until there is somebody to ask:
the first tensor of a class other than ``Tensor`` and ``Parameter``, or a mode that is entered. Then every public
function gets other code (its ``__code__``), which looks for such arguments before it does what it did before. Objects
stay what they are: names that a program has taken before ask too, and whoever answers finds ``torch.add`` under the
object that he knows.

The modules of public functions say what they offer (``offer``), whenever they are imported.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType
from typing import Any

from ..graph.tensor_base import tensor_class

Call = Callable[[tuple[Any, ...], dict[str, Any]], Any]


class _Thread(threading.local):
    """What holds in a thread: do classes answer, the modes that do, is a call under way that nobody answered?

    ``entered``: how many modes are, those included that are set aside while they answer.
    """

    classes = True
    modes: tuple[Any, ...] = ()
    entered = 0
    within = False


state = _Thread()
spaces: dict[str, list[Mapping[str, Any]]] = {}  # what each module offers; "torch.Tensor" stands for the class
active: dict[str, bool] = {"classes": False, "modes": False}  # who may want to be asked
_swapped: dict[int, tuple[FunctionType, FunctionType]] = {}  # functions that ask, and copies of what they were

# Methods that answer under another name, as PyTorch's operators are its methods.
METHOD_OF = {
    "__add__": "add", "__radd__": "add", "__iadd__": "add_", "__sub__": "sub", "__isub__": "sub_", "__mul__": "mul",
    "__rmul__": "mul", "__imul__": "mul_", "__truediv__": "div", "__itruediv__": "div_", "__div__": "div",
    "__idiv__": "div_", "__mod__": "remainder", "__imod__": "remainder_", "__matmul__": "matmul", "__ne__": "ne",
    "__lt__": "lt", "__le__": "le", "__gt__": "gt", "__ge__": "ge", "__neg__": "neg", "__pos__": "positive",
    "__abs__": "abs", "__rand__": "bitwise_and", "__ror__": "bitwise_or", "__rxor__": "bitwise_xor",
}  # fmt: skip
OPERATORS = frozenset(
    f"__{form}{name}__"
    for name in "add sub mul truediv div floordiv mod pow matmul and or xor lshift rshift".split()
    for form in ("", "r", "i")
) | {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"}
# What makes a plain tensor of any other, and methods that no class answers.
UNANSWERED = frozenset("tensor as_tensor asarray from_numpy frombuffer".split())
UNANSWERED_METHODS = frozenset(
    "__new__ __init__ __hash__ __dir__ __setstate__ __torch_function__ __init_subclass__ __iter__ _make_subclass "
    "_make_wrapper_subclass as_subclass _numpy _flat_values _value _one _real _typed_storage _adopt".split()
)
CALLING = frozenset(["backward"])  # runs hooks and functions of the program, which may be answered


def disabled(func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """As a class's ``__torch_function__``: it answers nothing, and within the call nor does any other class."""
    before, state.classes = state.classes, False
    try:
        return func(*args, **(kwargs or {}))
    finally:
        state.classes = before


# ---- who is asked


plain: set[type] = {
    int,
    float,
    bool,
    str,
    type(None),
    complex,
    type,
    slice,
    type(Ellipsis),
}  # types that answer nothing


def answers(cls: type) -> bool:
    """Does a class answer calls?"""
    return cls not in plain and getattr(cls, "__torch_function__", disabled) is not disabled


def answering(args: Iterable[Any], kwargs: Mapping[str, Any] | None = None) -> list[Any]:
    """Of arguments, and of items of lists and tuples among them, those who answer: one of each class.

    Subclasses come before their bases, else all in their order.
    """
    found: list[Any] = []
    for a in (*args, *kwargs.values()) if kwargs else args:
        kind = type(a)
        if kind in plain:
            continue
        for x in a if kind is tuple or kind is list else (a,):
            if answers(type(x)) and not any([type(x) is type(y) for y in found]):  # noqa: C419
                at = next((k for k, y in enumerate(found) if isinstance(x, type(y))), len(found))
                found.insert(at, x)
    return found


class Unanswered(TypeError):
    """Nobody who was asked had an answer."""


def answer(func: Any, found: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str = "") -> Any:
    """What the innermost mode, or else an argument, answers a call.

    Raises:
        TypeError: none of them does.
    """
    types = tuple(map(type, found))
    mode = state.modes[-1] if state.modes else None
    if mode is not None:
        state.modes = state.modes[:-1]
        try:
            result = mode.__torch_function__(func, types, args, kwargs)
        finally:
            state.modes = (*state.modes, mode)
        if result is not NotImplemented:
            return result
    for x in found:
        result = type(x).__torch_function__(func, types, args, kwargs)
        if result is not NotImplemented:
            return result
    who = [f"  - mode object {mode!r}"] if mode is not None else []
    who += [f"  - tensor subclass {type(x)}" for x in found]
    raise Unanswered(
        f"Multiple dispatch failed for '{name or func}'; all __torch_function__ handlers returned NotImplemented:\n\n"
        + "\n".join(who)
        + "\n\nFor more information, try re-running with TORCH_LOGS=not_implemented"
    )


# ---- functions that ask


def _asking(func: Any, name: str, inner: Callable[..., Any]) -> Call:
    """What a public function does once somebody may want to be asked: ``inner``, if nobody does."""
    operator = name.startswith("torch.Tensor.__") and name[len("torch.Tensor.") :] in OPERATORS
    blind = name.removeprefix("torch.") in UNANSWERED
    calling = name.rpartition(".")[2] in CALLING

    def ask(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if state.within:
            return inner(*args, **kwargs)
        found = answering(args, kwargs) if state.classes and not blind else []
        if found or state.modes:
            try:
                return answer(func, found, args, kwargs, name)
            except Unanswered:
                if operator:
                    return NotImplemented
                raise
        state.within = not calling
        try:
            return inner(*args, **kwargs)
        finally:
            state.within = False

    return ask


@functools.cache
def _stand_in(cells: int) -> CodeType:
    """Code that calls its constant "ask", with so many variables of functions around it.

    They must be there as compiled code has them, and not by name alone: whoever looks at the frame reads them.
    """
    names = ", ".join([f"cell{k}" for k in range(cells)])
    space: dict[str, Any] = {}
    exec(_STAND_IN.format(names=names), space)
    return space["make"](*range(cells)).__code__


_STAND_IN = """
def make({names}):
    def stand_in(*args, **kwargs):
        ask = "ask"
        return ask(args, kwargs)
        ({names})
    return stand_in
"""


def _code_that_asks(f: FunctionType, ask: Call) -> CodeType:
    """Code for a function that leaves all to ``ask``."""
    code = _stand_in(len(f.__code__.co_freevars))
    return code.replace(
        co_consts=tuple([ask if c == "ask" else c for c in code.co_consts]),
        co_freevars=f.__code__.co_freevars,
        co_name=f.__code__.co_name,
    )


def _make_ask(f: FunctionType, func: Any, name: str) -> None:
    """Gives a function, which is known as ``func``, code that asks."""
    if id(f) in _swapped:
        return
    inner = copied(f)
    _swapped[id(f)] = f, inner
    ask = _asking(func, name, inner)
    f.__code__ = _code_that_asks(f, ask)
    f.__dict__.setdefault("__wrapped__", inner)


def copied(f: FunctionType, name: str | None = None) -> FunctionType:
    """Another object for the same function, under another name if one is given."""
    g = FunctionType(f.__code__, f.__globals__, name or f.__name__, f.__defaults__, f.__closure__)
    g.__kwdefaults__, g.__doc__, g.__module__, g.__annotations__ = (
        f.__kwdefaults__, f.__doc__, f.__module__, f.__annotations__,
    )  # fmt: skip
    g.__qualname__ = name or f.__qualname__
    g.__dict__.update(f.__dict__)
    return g


def itself(f: Any) -> Any:
    """A function as it is when nobody is asked."""
    return _swapped.get(id(f), (f, f))[1]


def _make_all_ask(space: str, names: Mapping[str, Any]) -> None:
    for name, f in names.items():
        if space == "torch.Tensor":
            _make_member_ask(name, f)
        elif isinstance(f, FunctionType):
            _make_ask(f, f, f"{space}.{name}")


def _make_member_ask(name: str, f: Any) -> None:
    """Makes a method, or how a property is got and set, ask."""
    full = f"torch.Tensor.{name}"
    if isinstance(f, FunctionType):
        if name not in UNANSWERED_METHODS:
            _make_ask(f, getattr(tensor_class[0], METHOD_OF[name]) if name in METHOD_OF else f, full)
    elif isinstance(f, property):
        if isinstance(f.fget, FunctionType):
            _make_ask(f.fget, f.__get__, f"{full}.__get__")  # type: ignore[attr-defined]
        if isinstance(f.fset, FunctionType):
            _make_ask(f.fset, f.__set__, f"{full}.__set__")  # type: ignore[attr-defined]


# ---- what there is, and when it asks


def offer(space: str, names: Mapping[str, Any]) -> None:
    """Says which public functions a module has, now and later; ``torch.Tensor`` offers methods and properties.

    Args:
        space: PyTorch's name of the module.
        names: the functions; what is none is passed over.
    """
    spaces.setdefault(space, []).append(names)
    added(space, names)


def added(space: str, names: Mapping[str, Any]) -> None:
    """There are new ones among what a module offers."""
    if active["classes"] or active["modes"]:
        _make_all_ask(space, names)


def activate(who: str) -> None:
    """Makes all public functions ask: ``classes`` of tensors for good, ``modes`` until ``deactivate``."""
    asked = any(active.values())
    active[who] = True
    if not asked:
        for space, offered in [*spaces.items()]:
            for names in offered:
                _make_all_ask(space, {**names})


def deactivate(who: str) -> None:
    """Nobody of a kind wants to be asked any more."""
    active[who] = False
    if any(active.values()):
        return
    for f, inner in _swapped.values():
        f.__code__ = inner.__code__
        if f.__dict__.get("__wrapped__") is inner:
            del f.__dict__["__wrapped__"]
    _swapped.clear()


def note_class(cls: type) -> None:
    """A tensor of this class is made."""
    if not active["classes"] and answers(cls):
        activate("classes")
