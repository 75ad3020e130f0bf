"""Several functions as one text, and the objects that their code reads."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import textwrap
from collections.abc import Sequence
from functools import cache
from types import CodeType, FunctionType
from typing import Any

from ..cpu.assemble import PLAIN
from . import attributes, layout
from .layout import API, CONSTANTS, OWN, WORD, UnsupportedError
from .linking import shape_of, symbol_of
from .statements import Statements


def _syntax_of(function: FunctionType) -> ast.Module:
    """The syntax of a function's source.

    Raises:
        UnsupportedError: its file has been replaced since it was imported.
    """
    lines, _ = inspect.findsource(function)
    code = function.__code__
    if shape_of(code) not in _shapes("".join(lines), code.co_firstlineno):
        raise UnsupportedError(f"the file of {function.__qualname__} has changed since it was imported")
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _shapes(text: str, line: int) -> list[tuple[Any, ...]]:
    """What the functions do that begin at a line of a file's text."""
    return [shape_of(code) for code in _codes(text) if code.co_firstlineno == line]


@cache
def _codes(text: str) -> list[CodeType]:
    try:
        found = [compile(text, "file", "exec", dont_inherit=True)]
    except SyntaxError:
        return []
    for code in found:  # which grows
        found += [c for c in code.co_consts if isinstance(c, CodeType)]
    return found


class Twin:
    """A function that gets a twin: its syntax, parameters and default values."""

    def __init__(self, function: FunctionType, number: int) -> None:
        self.function = function
        self.symbol = symbol_of(function, number)
        node = _syntax_of(function).body[0]
        if not isinstance(node, ast.FunctionDef) or function.__closure__:
            raise UnsupportedError(f"{function.__qualname__} is no plain function")
        given = node.args
        if given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs:
            raise UnsupportedError(f"{function.__qualname__} has parameters of other kinds")
        self.node = node
        self.parameters = [a.arg for a in given.args]
        defaults = function.__defaults__ or ()
        self.least = len(self.parameters) - len(defaults)
        self.defaults = dict(zip(self.parameters[self.least :], defaults))


class Unit:
    """The twins of ``functions``.

    Args:
        functions: plain functions of a module.
        classes: those whose attributes are read from their places in their objects.
        plain: those of them that have no constructor, so that a new object is empty memory.

    Attributes:
        text: the code, which is the same in every process.
        constants: the objects that it reads, in the order of the table.
    """

    def __init__(self, functions: Sequence[FunctionType], classes: Sequence[type], plain: Sequence[type]) -> None:
        self.tuple_items = layout.tuple_items()
        self.plain = frozenset(plain)
        self.slots = {cls: layout.slots_of(cls) for cls in classes}
        self.places = _by_attribute(self.slots)
        self.constants: list[Any] = []
        self._places: dict[int, int] = {}
        self._attributes: dict[str, str] = {}
        self._own: tuple[Any, str] | None = None
        self.by_function: dict[Any, Twin] = {f: Twin(f, k) for k, f in enumerate(functions)}
        texts = [_HELPERS, *[self._text(t) for t in self.by_function.values()]]
        self.text = PLAIN + self._filled("\n\n".join([*texts, *self._attributes.values()]))

    def api(self, name: str) -> int:
        """Where one of Python's functions is in the table."""
        return API.index(name)

    def constant(self, value: Any) -> int:
        """Where an object is in the table."""
        at = self._places.get(id(value))
        if at is None:
            at = self._places[id(value)] = len(self.constants)
            self.constants.append(value)
        return CONSTANTS + at

    def reader(self, attr: str) -> str:
        """The function that reads an attribute from its place."""
        return self._accessor(f"read.{attr}", attr, attributes.reader, "PyObject_GetAttr")

    def writer(self, attr: str) -> str:
        """The function that writes an attribute to its place."""
        return self._accessor(f"write.{attr}", attr, attributes.writer, "PyObject_SetAttr")

    def own(self, holder: Any, attr: str) -> str:
        """The function that reads what a thread has of its own, which it is given once.

        Raises:
            UnsupportedError: the table has a place for something else of this kind.
        """
        if (self._own or (holder, attr)) != (holder, attr):
            raise UnsupportedError("two objects that each thread has of its own")
        if self._own is None:
            self._own = holder, attr
            self._attributes["own"] = attributes.own(OWN, self.constant(holder), self.constant(attr), self.api)
        return "own"

    def _accessor(self, symbol: str, attr: str, text: Any, other: str) -> str:
        if symbol not in self._attributes:
            places = [(at, [self.constant(cls) for cls in classes]) for at, classes in self.places[attr]]
            self._attributes[symbol] = text(symbol, places, self.constant(attr), self.api(other))
        return symbol

    def _text(self, twin: Twin) -> str:
        names = {**vars(builtins), **twin.function.__globals__}
        try:
            body = Statements(self, names).function(twin.node, twin.symbol)
        except UnsupportedError as error:
            raise UnsupportedError(f"{twin.function.__qualname__}: {error}") from None
        return body + "\n\n" + self._entry(twin)

    def _entry(self, twin: Twin) -> str:
        """How Python calls a twin: by position as it is, else as the function itself would be called."""
        most, loads = len(twin.parameters), []
        for k, name in enumerate(twin.parameters):
            loads.append(f"  %p{k} = getelementptr inbounds ptr, ptr %args, i64 {k}")
            if name in twin.defaults:
                at = self.constant(twin.defaults[name])
                loads += [
                    f"  %d{k} = getelementptr inbounds ptr, ptr %T, i64 {at}",
                    f"  %g{k} = icmp sgt i64 %n, {k}",
                    f"  %q{k} = select i1 %g{k}, ptr %p{k}, ptr %d{k}",
                    f"  %a{k} = load ptr, ptr %q{k}",
                ]
            else:
                loads.append(f"  %a{k} = load ptr, ptr %p{k}")
        arguments = ", ".join(["ptr %T", *[f"ptr %a{k}" for k in range(most)]])
        return _ENTRY.format(
            symbol=twin.symbol, content=layout.bytes_content(), least=twin.least, most=most, loads="\n".join(loads),
            arguments=arguments, original=self.constant(twin.function), vectorcall=self.api("PyObject_Vectorcall"),
        )  # fmt: skip

    def _filled(self, text: str) -> str:
        """The helpers' text with the places of what they read."""
        for name, value in _COUNTING.items():
            text = text.replace(f"${name}$", value)
        for name in API:
            text = text.replace(f"${name}$", str(WORD * self.api(name)))
        for name, value in _NAMED.items():
            text = text.replace(f"${name}$", str(WORD * self.constant(value)))
        return text.replace("$list_items$", str(layout.list_items())).replace("$tuple_items$", str(self.tuple_items))


def _by_attribute(slots: dict[type, dict[str, int]]) -> dict[str, list[tuple[int, list[type]]]]:
    """For each attribute the places that it has, and in objects of which classes."""
    found: dict[str, dict[int, list[type]]] = {}
    for cls, places in slots.items():
        for name, at in places.items():
            found.setdefault(name, {}).setdefault(at, []).append(cls)
    return {name: list(places.items()) for name, places in found.items()}


_NAMED = {"None": None, "True": True, "False": False, "int": int, "str": str, "list": list, "tuple": tuple}

# How references are counted: since Python 3.12 objects whose count is negative live for ever.
_COUNTING = {
    "count": "i32",
    "forever": "; objects whose count is negative live for ever",
    "more": """%mortal = icmp sge i32 %count, 0
  %one = zext i1 %mortal to i32
  %more = add i32 %count, %one""",
    "if_forever": """%forever = icmp slt i32 %count, 0
  br i1 %forever, label %out, label %mortal""",
}
if sys.version_info < (3, 12):
    _COUNTING = {"count": "i64", "forever": "", "more": "%more = add i64 %count, 1", "if_forever": "br label %mortal"}

_ENTRY = """define ptr @"call.{symbol}"(ptr %self, ptr %args, i64 %n, ptr %names) {{
entry:
  %content = getelementptr inbounds i8, ptr %self, i64 {content}
  %T = load ptr, ptr %content
  %plain = icmp eq ptr %names, null
  %enough = icmp sge i64 %n, {least}
  %few = icmp sle i64 %n, {most}
  %counted = and i1 %enough, %few
  %usual = and i1 %plain, %counted
  br i1 %usual, label %fits, label %other
fits:
{loads}
  %found = call ptr @{symbol}({arguments})
  ret ptr %found
other:
  %originalp = getelementptr inbounds ptr, ptr %T, i64 {original}
  %original = load ptr, ptr %originalp
  %callp = getelementptr inbounds ptr, ptr %T, i64 {vectorcall}
  %call = load ptr, ptr %callp
  %result = call ptr %call(ptr %original, ptr %args, i64 %n, ptr %names)
  ret ptr %result
}}"""

_HELPERS = """
; What a branch that is hardly ever taken weighs.
!0 = !{!"branch_weights", i32 1, i32 4000}

; A reference more$forever$.
define internal void @more(ptr %x) alwaysinline {
  %count = load $count$, ptr %x
  $more$
  store $count$ %more, ptr %x
  ret void
}

; A reference less to an object, which may be the last one.
define internal void @less(ptr %T, ptr %x) alwaysinline {
  %count = load $count$, ptr %x
  $if_forever$
mortal:
  %less = sub $count$ %count, 1
  store $count$ %less, ptr %x
  %last = icmp eq $count$ %less, 0
  br i1 %last, label %free, label %out
free:
  call void @free(ptr %T, ptr %x)
  br label %out
out:
  ret void
}

; The end of an object.
define internal void @free(ptr %T, ptr %x) noinline {
  %p = getelementptr inbounds i8, ptr %T, i64 $_Py_Dealloc$
  %f = load ptr, ptr %p
  tail call void %f(ptr %x)
  ret void
}

; A reference less, if there is one.
define internal void @less_if(ptr %T, ptr %x) alwaysinline {
  %none = icmp eq ptr %x, null
  br i1 %none, label %out, label %drop
drop:
  call void @less(ptr %T, ptr %x)
  br label %out
out:
  ret void
}

; The same after an error.
define internal void @forget(ptr %T, ptr %x) cold noinline {
  call void @less_if(ptr %T, ptr %x)
  ret void
}

; Puts a reference where another one is, or none.
define internal void @assign(ptr %T, ptr %slot, ptr %x) alwaysinline {
  %old = load ptr, ptr %slot
  store ptr %x, ptr %slot
  call void @less_if(ptr %T, ptr %old)
  ret void
}

; Puts a new reference, if there is one, into a list, which is made for the first. The same reference, borrowed.
define internal ptr @keep(ptr %T, ptr %kept, ptr %x) cold noinline {
  %failed = icmp eq ptr %x, null
  br i1 %failed, label %error, label %found
error:
  ret ptr null
found:
  %old = load ptr, ptr %kept
  %first = icmp eq ptr %old, null
  br i1 %first, label %make, label %add
make:
  %newp = getelementptr inbounds i8, ptr %T, i64 $PyList_New$
  %new = load ptr, ptr %newp
  %made = call ptr %new(i64 0)
  store ptr %made, ptr %kept
  %unmade = icmp eq ptr %made, null
  br i1 %unmade, label %lost, label %add
add:
  %list = phi ptr [%old, %found], [%made, %make]
  %appendp = getelementptr inbounds i8, ptr %T, i64 $PyList_Append$
  %append = load ptr, ptr %appendp
  %status = call i32 %append(ptr %list, ptr %x)
  %full = icmp slt i32 %status, 0
  br i1 %full, label %lost, label %kept_now
kept_now:
  call void @less(ptr %T, ptr %x)
  ret ptr %x
lost:
  call void @less(ptr %T, ptr %x)
  ret ptr null
}

; An item of a list or a tuple, which goes on holding it; null behind the last one.
define internal ptr @item(ptr %T, ptr %sequence, i64 %i) {
  %sizep = getelementptr inbounds i8, ptr %sequence, i64 16
  %size = load i64, ptr %sizep
  %there = icmp slt i64 %i, %size
  br i1 %there, label %kind, label %end
kind:
  %typep = getelementptr inbounds i8, ptr %sequence, i64 8
  %type = load ptr, ptr %typep
  %listp = getelementptr inbounds i8, ptr %T, i64 $list$
  %list = load ptr, ptr %listp
  %is_list = icmp eq ptr %type, %list
  br i1 %is_list, label %in_list, label %in_tuple
in_list:
  %itemsp = getelementptr inbounds i8, ptr %sequence, i64 $list_items$
  %items = load ptr, ptr %itemsp
  %lp = getelementptr inbounds ptr, ptr %items, i64 %i
  %l = load ptr, ptr %lp
  ret ptr %l
in_tuple:
  %first = getelementptr inbounds i8, ptr %sequence, i64 $tuple_items$
  %tp = getelementptr inbounds ptr, ptr %first, i64 %i
  %t = load ptr, ptr %tp
  ret ptr %t
end:
  ret ptr null
}

; The same; null also if it is neither a list nor a tuple.
define internal ptr @item_of(ptr %T, ptr %x, i64 %i) {
  %typep = getelementptr inbounds i8, ptr %x, i64 8
  %type = load ptr, ptr %typep
  %listp = getelementptr inbounds i8, ptr %T, i64 $list$
  %list = load ptr, ptr %listp
  %tuplep = getelementptr inbounds i8, ptr %T, i64 $tuple$
  %tuple = load ptr, ptr %tuplep
  %is_list = icmp eq ptr %type, %list
  %is_tuple = icmp eq ptr %type, %tuple
  %known = or i1 %is_list, %is_tuple
  br i1 %known, label %look, label %other
look:
  %item = call ptr @item(ptr %T, ptr %x, i64 %i)
  ret ptr %item
other:
  ret ptr null
}

; `d.get(key)` of a dictionary: a new reference; null is an error.
define internal ptr @get(ptr %T, ptr %d, ptr %key) {
  %p = getelementptr inbounds i8, ptr %T, i64 $PyDict_GetItemWithError$
  %f = load ptr, ptr %p
  %found = call ptr %f(ptr %d, ptr %key)
  %none = icmp eq ptr %found, null
  br i1 %none, label %missing, label %there
missing:
  %ep = getelementptr inbounds i8, ptr %T, i64 $PyErr_Occurred$
  %e = load ptr, ptr %ep
  %error = call ptr %e()
  %good = icmp eq ptr %error, null
  br i1 %good, label %without, label %failed
failed:
  ret ptr null
without:
  %np = getelementptr inbounds i8, ptr %T, i64 $None$
  %nothing = load ptr, ptr %np
  br label %there
there:
  %x = phi ptr [%found, %0], [%nothing, %without]
  call void @more(ptr %x)
  ret ptr %x
}

; Is an object true? 1 or 0; -1 is an error.
define internal i32 @truth(ptr %T, ptr %x) {
  %tp = getelementptr inbounds i8, ptr %T, i64 $True$
  %t = load ptr, ptr %tp
  %is_true = icmp eq ptr %x, %t
  br i1 %is_true, label %yes, label %second
yes:
  ret i32 1
second:
  %fp = getelementptr inbounds i8, ptr %T, i64 $False$
  %f = load ptr, ptr %fp
  %is_false = icmp eq ptr %x, %f
  %np = getelementptr inbounds i8, ptr %T, i64 $None$
  %n = load ptr, ptr %np
  %is_none = icmp eq ptr %x, %n
  %nothing = or i1 %is_false, %is_none
  br i1 %nothing, label %no, label %third
no:
  ret i32 0
third:
  %ap = getelementptr inbounds i8, ptr %T, i64 $PyObject_IsTrue$
  %a = load ptr, ptr %ap
  %found = call i32 %a(ptr %x)
  ret i32 %found
}

; Does a comparison hold? 1 or 0; -1 is an error. A number or a text is equal to itself.
define internal i32 @compare(ptr %T, ptr %x, ptr %y, i32 %how) {
  %same = icmp eq ptr %x, %y
  br i1 %same, label %one, label %general
one:
  %typep = getelementptr inbounds i8, ptr %x, i64 8
  %type = load ptr, ptr %typep
  %intp = getelementptr inbounds i8, ptr %T, i64 $int$
  %int = load ptr, ptr %intp
  %strp = getelementptr inbounds i8, ptr %T, i64 $str$
  %str = load ptr, ptr %strp
  %is_int = icmp eq ptr %type, %int
  %is_str = icmp eq ptr %type, %str
  %known = or i1 %is_int, %is_str
  br i1 %known, label %equal, label %general
equal:
  %le = icmp eq i32 %how, 1
  %eq = icmp eq i32 %how, 2
  %ge = icmp eq i32 %how, 5
  %either = or i1 %le, %eq
  %holds = or i1 %either, %ge
  %h = zext i1 %holds to i32
  ret i32 %h
general:
  %cp = getelementptr inbounds i8, ptr %T, i64 $PyObject_RichCompare$
  %c = load ptr, ptr %cp
  %result = call ptr %c(ptr %x, ptr %y, i32 %how)
  %failed = icmp eq ptr %result, null
  br i1 %failed, label %error, label %found
error:
  ret i32 -1
found:
  %truth = call i32 @truth(ptr %T, ptr %result)
  call void @less(ptr %T, ptr %result)
  ret i32 %truth
}
"""
