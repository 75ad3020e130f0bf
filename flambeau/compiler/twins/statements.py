"""Statements of twins, and the whole function."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from .calls import Calls
from .layout import WORD, UnsupportedError
from .writer import Value

_IN_PLACE: dict[type, str] = {
    ast.Add: "PyNumber_InPlaceAdd",
    ast.Mult: "PyNumber_InPlaceMultiply",
    ast.Sub: "PyNumber_InPlaceSubtract",
}


class Statements(Calls):
    """Writes a function."""

    def __init__(self, unit: Any, names: dict[str, Any]) -> None:
        super().__init__(unit, names)
        self.loops: list[tuple[str, str]] = []  # where `break` and `continue` go

    def function(self, node: ast.FunctionDef, symbol: str) -> str:
        """The text of a function of borrowed references that gives a new one, or null."""
        parameters = [a.arg for a in node.args.args]
        stored = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        for name in dict.fromkeys(stored):
            self.slots[name] = self.local()
        for name in parameters:
            if name in self.slots:
                self.more(f"%given.{name}")
                self.line(f"store ptr %given.{name}, ptr {self.slots[name]}")
                self.assigned.add(name)
            else:
                self.given[name] = f"%given.{name}"
        self._find_made(node, stored)
        if self.block(node.body):
            self.line(f"store ptr {self.take(self.constant(None))}, ptr %result")
            self.jump("leave")
        lines = [f"define internal ptr @{symbol}({', '.join(['ptr %T', *[f'ptr %given.{p}' for p in parameters]])}) {{"]
        return "\n".join([*lines, "entry:", *self.frame(), *self.lines, *self.ending(), "}"])

    def _find_made(self, node: ast.FunctionDef, stored: list[str]) -> None:
        """Notes variables that are given a value once, which is a new object of a class without a constructor."""
        for n in ast.walk(node):
            if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call) and isinstance(n.value.func, ast.Name):
                cls = self.names.get(n.value.func.id)
                for target in n.targets:
                    if isinstance(target, ast.Name) and stored.count(target.id) == 1 and cls in self.unit.plain:
                        self.made[target.id] = cls

    # ---- blocks

    def block(self, nodes: Sequence[ast.stmt]) -> bool:
        """Writes statements; False if what follows them is never reached."""
        for node in nodes:
            write = _STATEMENTS.get(type(node))
            if write is None:
                raise UnsupportedError(f"{type(node).__name__} in line {node.lineno}")
            if write(self, node) is False:
                return False
        return True

    def expression(self, node: ast.Expr) -> None:
        """A call for what it does."""
        if not isinstance(node.value, ast.Constant):
            self.drop(self.value(node.value))

    def returned(self, node: ast.Return) -> bool:
        """The end, with a value."""
        x = self.value(node.value or ast.Constant(None))
        self.line(f"store ptr {self.take(x)}, ptr %result")
        self.jump("leave")
        return False

    def raising(self, node: ast.Raise) -> bool:
        """The end, with an error."""
        if node.exc is None or node.cause is not None:
            raise UnsupportedError(f"this kind of raise in line {node.lineno}")
        x = self.safe(self.value(node.exc))
        address = self.entry(self.unit.api("PyErr_SetObject"))
        self.line(f"call void {address}(ptr {self.type_of(x.text)}, ptr {x.text})")
        self.drop(x)
        self.jump(self.failing())
        return False

    def choice(self, node: ast.If) -> bool:
        """`if`."""
        yes, no, done = self.name("yes"), self.name("no"), self.name("done")
        self.condition(node.test, yes, no if node.orelse else done)
        before = set(self.assigned)
        states = [] if node.orelse else [before]
        for label, body in ((yes, node.body), (no, node.orelse)):
            if label == yes or body:
                self.assigned = set(before)
                self.label(label)
                if self.block(body):
                    self.jump(done)
                    states.append(self.assigned)
        return self._joined(done, states)

    def _joined(self, done: str, states: list[set[str]]) -> bool:
        """Goes on where several ways meet, if any of them gets there."""
        if states:
            self.assigned = set.intersection(*states)
            self.label(done)
        return bool(states)

    def for_loop(self, node: ast.For) -> None:
        """`for`."""
        if node.orelse:
            raise UnsupportedError(f"else of a loop in line {node.lineno}")

        def body(end: str, again: str) -> None:
            self.loops.append((end, again))
            if not self.block(node.body):
                self.label(self.name("unreached"))
            self.loops.pop()

        self.loop(node.target, node.iter, body)

    def while_loop(self, node: ast.While) -> None:
        """`while`."""
        head, body, end = self.name("head"), self.name("body"), self.name("end")
        self.jump(head)
        self.label(head)
        self.condition(node.test, body, end)
        self.label(body)
        before = set(self.assigned)
        self.loops.append((end, head))
        if self.block(node.body):
            self.jump(head)
        self.loops.pop()
        self.assigned = before
        self.label(end)

    def break_loop(self, node: ast.Break) -> bool:
        """`break`."""
        self.jump(self.loops[-1][0])
        return False

    def continue_loop(self, node: ast.Continue) -> bool:
        """`continue`."""
        self.jump(self.loops[-1][1])
        return False

    def attempt(self, node: ast.Try) -> bool:
        """`try` with handlers of classes of errors."""
        if node.orelse or node.finalbody:
            raise UnsupportedError(f"else or finally in line {node.lineno}")
        outer, handler, done = self.error, self.name("handler"), self.name("done")
        before, states = set(self.assigned), []
        self.error = handler
        if self.block(node.body):
            self.jump(done)
            states.append(self.assigned)
        self.error = outer
        self.label(handler)
        for one in node.handlers:
            self.assigned = set(before)
            other = self.name("other")
            if self._handled(one, other):
                self.jump(done)
                states.append(self.assigned)
            self.label(other)
        self.jump(outer)
        return self._joined(done, states)

    def _handled(self, node: ast.ExceptHandler, other: str) -> bool:
        if node.type is None or node.name is not None:
            raise UnsupportedError(f"this kind of except in line {node.lineno}")
        fits = self.name("fits")
        kind = self.value(node.type)
        matches = self.api("PyErr_ExceptionMatches", f"ptr {kind.text}", result="i32")
        self.drop(kind)
        self.branch(self.op(f"icmp ne i32 {matches}, 0"), fits, other)
        self.label(fits)
        self.line(f"call void {self.entry(self.unit.api('PyErr_Clear'))}()")
        return self.block(node.body)

    # ---- assignments

    def assignment(self, node: ast.Assign) -> None:
        """`a = b = c`."""
        x = self.value(node.value)
        if len(node.targets) > 1 and not x.owned:
            x = self.safe(x)
        for target in node.targets[:-1]:
            self.assign_to(target, Value(x.text))
        self.assign_to(node.targets[-1], x)

    def annotated(self, node: ast.AnnAssign) -> None:
        """`a: T = b`."""
        if node.value is not None:
            self.assign_to(node.target, self.value(node.value))

    def in_place(self, node: ast.AugAssign) -> None:
        """`a += b`."""
        if type(node.op) not in _IN_PLACE:
            raise UnsupportedError(f"this kind of update in line {node.lineno}")
        old: Any = ast.copy_location(_LOADED[type(node.target)](node.target), node.target)
        x, y = [self.safe(v) for v in self.values([old, node.value])]
        found = self.new(_IN_PLACE[type(node.op)], x.text, y.text)
        self._drop_all([x, y])
        self.assign_to(node.target, found)

    def assign_to(self, target: ast.expr, x: Value) -> None:
        """Gives a target its value, which is used up."""
        if isinstance(target, ast.Name):
            self.assign(self.slots[target.id], self.take(x))
            self.assigned.add(target.id)
        elif isinstance(target, ast.Attribute):
            self._assign_attribute(target, self.safe(x))
        elif isinstance(target, ast.Tuple):
            self._unpack(target.elts, self.safe(x))
        elif isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Slice):
            base, at = [self.safe(v) for v in self.values([target.value, target.slice])]
            x = self.safe(x)
            self.status("PyObject_SetItem", f"ptr {base.text}", f"ptr {at.text}", f"ptr {x.text}")
            self._drop_all([base, at, x])
        else:
            raise UnsupportedError(f"this kind of target in line {target.lineno}")

    def _assign_attribute(self, target: ast.Attribute, x: Value) -> None:
        """``base.name = x``: at its place in an object that the function made, else after a look at the type."""
        base = self.safe(self.value(target.value))
        made = self.made.get(target.value.id) if isinstance(target.value, ast.Name) else None
        offset = self.unit.slots[made].get(target.attr) if made is not None else None
        if offset is not None:
            self.assign(self.place(base.text, offset), self.take(x))
            return
        if target.attr in self.unit.places:
            status = self.op(f"call i32 @{self.unit.writer(target.attr)}(ptr %T, ptr {base.text}, ptr {self.take(x)})")
        else:
            texts = [base.text, self.constant(target.attr).text, x.text]
            status = self.api("PyObject_SetAttr", *[f"ptr {t}" for t in texts], result="i32")
            self.drop(x)
        self.raised(self.op(f"icmp slt i32 {status}, 0"))
        self.drop(base)

    def _unpack(self, targets: Sequence[ast.expr], x: Value) -> None:
        """Several targets."""
        if any(isinstance(t, ast.Starred) for t in targets):
            raise UnsupportedError(f"* in line {targets[0].lineno}")
        items = self.new("PySequence_Tuple", x.text)
        self.drop(x)
        size = self.status("PyObject_Size", f"ptr {items.text}", result="i64")
        right, wrong = self.name("right"), self.name("wrong")
        self.branch(self.op(f"icmp eq i64 {size}, {len(targets)}"), right, wrong)
        self.label(wrong)
        message = self.constant(f"expected {len(targets)} values to unpack").text
        self.line(f"call void {self.entry(self.unit.api('PyErr_SetObject'))}(ptr {self.constant(ValueError).text}, "
                  f"ptr {message})")  # fmt: skip
        self.jump(self.failing())
        self.label(right)
        for k, target in enumerate(targets):
            item = self.load(self.place(items.text, self.unit.tuple_items + WORD * k))
            self.assign_to(target, Value(item, fragile=True))
        self.drop(items)


_LOADED: dict[type, Callable[[Any], ast.expr]] = {
    ast.Name: lambda n: ast.Name(n.id, ast.Load()),
    ast.Attribute: lambda n: ast.Attribute(n.value, n.attr, ast.Load()),
    ast.Subscript: lambda n: ast.Subscript(n.value, n.slice, ast.Load()),
}

_STATEMENTS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Expr: Statements.expression,
    ast.Return: Statements.returned,
    ast.Raise: Statements.raising,
    ast.If: Statements.choice,
    ast.For: Statements.for_loop,
    ast.While: Statements.while_loop,
    ast.Break: Statements.break_loop,
    ast.Continue: Statements.continue_loop,
    ast.Try: Statements.attempt,
    ast.Assign: Statements.assignment,
    ast.AnnAssign: Statements.annotated,
    ast.AugAssign: Statements.in_place,
    ast.Pass: lambda self, node: None,
}
