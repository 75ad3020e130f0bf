"""Calls that twins make: of one another directly, of what they know by heart without a call, of all else by Python."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any

from .expressions import Expressions, is_loop
from .layout import UnsupportedError
from .writer import Value


class Calls(Expressions):
    """Writes calls."""

    def call_value(self, node: ast.Call) -> Value:
        """A call."""
        function = self.known(node.func)
        plain = not node.keywords and not any(isinstance(a, ast.Starred) for a in node.args)
        if isinstance(function, ast.Attribute):
            return self.method(function, node) if plain else self.general(node)
        if isinstance(function, ast.AST) or not plain:
            return self.general(node)
        if _hashable(function) and function in self.unit.by_function:
            return self.direct(self.unit.by_function[function], node)
        by_heart = self._by_heart(function, node)
        return self.general(node) if by_heart is None else by_heart(node)

    def _by_heart(self, function: Any, node: ast.Call) -> Callable[[ast.Call], Value] | None:
        """How a call of this function is written without one."""
        if function in (all, any) and is_loop(node):
            return lambda node: self.chosen(lambda yes, no: self.quantified(node, yes, no))
        if function is tuple and len(node.args) == 1 and isinstance(node.args[0], ast.ListComp):
            return lambda node: self.as_tuple(self.value(node.args[0]))
        if isinstance(function, type) and function in self.unit.plain:
            return lambda node: self.fresh(self.constant(function))
        known = {type: self.type_value, len: self.length, next: self.following, sys.getrefcount: self.references,
                 object.__new__: lambda node: self.fresh(self.value(node.args[0]))}  # fmt: skip
        return known.get(function) if len(node.args) == 1 and _hashable(function) else None

    def direct(self, twin: Any, node: ast.Call) -> Value:
        """A call of a twin."""
        given = [self.safe(x) for x in self.values(node.args)]
        if not twin.least <= len(given) <= len(twin.parameters):
            raise UnsupportedError(f"wrong arguments in line {node.lineno}")
        texts = [x.text for x in given]
        texts += [self.constant(twin.defaults[name]).text for name in twin.parameters[len(given) :]]
        found = self.op(f"call ptr @{twin.symbol}({', '.join(['ptr %T', *[f'ptr {t}' for t in texts]])})")
        return self.result(found, given)

    def general(self, node: ast.Call) -> Value:
        """A call by Python."""
        if any(isinstance(a, ast.Starred) for a in node.args):
            return self._spread(node)
        if any(k.arg is None for k in node.keywords):
            raise UnsupportedError(f"** in line {node.lineno}")
        values = self.values([node.func, *node.args, *[k.value for k in node.keywords]])
        function, *given = [self.safe(x) for x in values]
        names = tuple([k.arg for k in node.keywords])
        texts = [function.text, self.arguments([x.text for x in given])]
        found = self.api("PyObject_Vectorcall", *[f"ptr {t}" for t in texts], f"i64 {len(node.args)}",
                         f"ptr {self.constant(names).text if names else 'null'}")  # fmt: skip
        return self.result(found, [function, *given])

    def _spread(self, node: ast.Call) -> Value:
        """A call whose arguments are known as a sequence only."""
        if node.keywords:
            raise UnsupportedError(f"* and names in line {node.lineno}")
        function = self.safe(self.value(node.func))
        given = self.tuple_value(ast.Tuple(node.args, ast.Load()))
        found = self.api("PyObject_Call", f"ptr {function.text}", f"ptr {given.text}", "ptr null")
        return self.result(found, [function, given])

    def method(self, function: ast.Attribute, node: ast.Call) -> Value:
        """A call of an object's method."""
        base, *given = [self.safe(x) for x in self.values([function.value, *node.args])]
        slot, done = self.meeting(), self.name("done")
        for cls, write in self._by_type().get((function.attr, len(given)), ()):
            fits, other = self.name("fits"), self.name("other")
            self.branch(self.is_type(base.text, cls), fits, other)
            self.label(fits)
            self.line(f"store ptr {write(base, given)}, ptr {slot}")
            self.jump(done)
            self.label(other)
        found = self._method_call(function.attr, base, given)
        self.raised(self.op(f"icmp eq ptr {found}, null"))
        self.line(f"store ptr {found}, ptr {slot}")
        self.jump(done)
        self.label(done)
        self._drop_all([base, *given])
        return self.owned(self.load(slot))

    def _by_type(self) -> dict[tuple[str, int], list[tuple[type, Callable[[Value, list[Value]], str]]]]:
        """Methods with so many arguments that are written without a look for them, by the type of their object."""
        return {
            ("append", 1): [(list, self._append)],
            ("clear", 0): [(list, self._clear_list), (dict, self._clear_dict)],
            ("get", 1): [(dict, self._get)],
            ("setdefault", 2): [(dict, self._set_default)],
        }

    def _method_call(self, name: str, base: Value, given: list[Value]) -> str:
        texts = [self.constant(name).text, self.arguments([base.text, *[x.text for x in given]])]
        return self.api("PyObject_VectorcallMethod", *[f"ptr {t}" for t in texts], f"i64 {1 + len(given)}", "ptr null")

    def _append(self, base: Value, given: list[Value]) -> str:
        self.append(base.text, given[0])
        return self.take(self.constant(None))

    def _get(self, base: Value, given: list[Value]) -> str:
        found = self.op(f"call ptr @get(ptr %T, ptr {base.text}, ptr {given[0].text})")
        self.raised(self.op(f"icmp eq ptr {found}, null"))
        return found

    def _set_default(self, base: Value, given: list[Value]) -> str:
        found = self.api("PyDict_SetDefault", *[f"ptr {x.text}" for x in (base, *given)])
        self.raised(self.op(f"icmp eq ptr {found}, null"))
        self.more(found)
        return found

    def _clear_list(self, base: Value, given: list[Value]) -> str:
        self.status("PyList_SetSlice", f"ptr {base.text}", "i64 0", f"i64 {sys.maxsize}", "ptr null")
        return self.take(self.constant(None))

    def _clear_dict(self, base: Value, given: list[Value]) -> str:
        self.line(f"call void {self.entry(self.unit.api('PyDict_Clear'))}(ptr {base.text})")
        return self.take(self.constant(None))

    # ---- by heart

    def type_value(self, node: ast.Call) -> Value:
        """`type(x)`."""
        x = self.value(node.args[0])
        found = Value(self.type_of(x.text), fragile=True)
        if x.owned:
            found = self.safe(found)
        self.drop(x)
        return found

    def length(self, node: ast.Call) -> Value:
        """`len(x)`."""
        x = self.safe(self.value(node.args[0]))
        size = self.status("PyObject_Size", f"ptr {x.text}", result="i64")
        self.drop(x)
        return self._integer(size)

    def _integer(self, number: str) -> Value:
        return self.result(self.api("PyLong_FromSsize_t", f"i64 {number}"), [])

    def following(self, node: ast.Call) -> Value:
        """`next(x)` of an iterator that has no end."""
        x = self.safe(self.value(node.args[0]))
        found = self.new("PyIter_Next", x.text)
        self.drop(x)
        return found

    def references(self, node: ast.Call) -> Value:
        """`getrefcount(x)`: others than Python itself would count, as nothing refers to an argument."""
        x = self.value(node.args[0])
        count = self.op(f"zext i32 {self.load(x.text, 'i32')} to i64")
        self.drop(x)
        return self._integer(count)

    def fresh(self, cls: Value) -> Value:
        """A new object of a class without a constructor."""
        found = self.api("PyType_GenericAlloc", f"ptr {cls.text}", "i64 0")
        return self.result(found, [cls])


def _hashable(x: Any) -> bool:
    try:
        hash(x)
    except TypeError:
        return False
    return True


__all__ = ["Calls"]
