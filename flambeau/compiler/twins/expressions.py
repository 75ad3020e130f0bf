"""Expressions and conditions of twins."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Sequence
from typing import Any

from .layout import WORD, UnsupportedError
from .writer import Value, Writer

_BINARY: dict[type, str] = {ast.Add: "Add", ast.Mult: "Multiply", ast.Sub: "Subtract"}
_ORDER: dict[type, int] = {ast.Lt: 0, ast.LtE: 1, ast.Eq: 2, ast.NotEq: 3, ast.Gt: 4, ast.GtE: 5}
_BY_IDENTITY: dict[type, str] = {ast.Is: "eq", ast.IsNot: "ne"}


class Expressions(Writer):
    """Writes expressions; names are local variables (``slots``) or stand for what they stand for now."""

    def __init__(self, unit: Any, names: dict[str, Any]) -> None:
        super().__init__(unit)
        self.names = names  # globals and builtins
        self.slots: dict[str, str] = {}  # local variables
        self.given: dict[str, str] = {}  # arguments, which are not assigned to
        self.assigned: set[str] = set()
        self.made: dict[str, type] = {}  # local variables that are new objects of these classes

    def value(self, node: ast.expr) -> Value:
        """Writes an expression."""
        write = _EXPRESSIONS.get(type(node))
        if write is None:
            raise UnsupportedError(f"{type(node).__name__} in line {node.lineno}")
        return write(self, node)

    def values(self, nodes: Sequence[ast.expr]) -> list[Value]:
        """Writes several expressions; what the later ones call leaves the earlier ones whole."""
        found = []
        for k, node in enumerate(nodes):
            x = self.value(node)
            calls = any(not isinstance(later, (ast.Name, ast.Constant)) for later in nodes[k + 1 :])
            found.append(self.safe(x) if calls else x)
        return found

    # ---- names and attributes

    def constant_value(self, node: ast.Constant) -> Value:
        """A number, a text, None and the like."""
        return self.constant(node.value)

    def name_value(self, node: ast.Name) -> Value:
        """A variable."""
        if node.id in self.given:
            return Value(self.given[node.id])
        if node.id in self.slots:
            if node.id not in self.assigned:
                raise UnsupportedError(f"{node.id} may have no value in line {node.lineno}")
            return Value(self.load(self.slots[node.id]))
        return self.constant(self.known(node))

    def known(self, node: ast.expr) -> Any:
        """What a name stands for that is no variable; the node itself if that is not known."""
        if not isinstance(node, ast.Name) or node.id in self.slots or node.id in self.given:
            return node
        if node.id not in self.names:
            raise UnsupportedError(f"{node.id} stands for nothing in line {node.lineno}")
        return self.names[node.id]

    def attribute_value(self, node: ast.Attribute) -> Value:
        """An attribute: read from its place if the object is of a class that has one."""
        holder = self.known(node.value)
        if isinstance(holder, threading.local) and node.attr in getattr(holder, "ONCE", ()):
            found = self.op(f"call ptr @{self.unit.own(holder, node.attr)}(ptr %T)")
            self.raised(self.op(f"icmp eq ptr {found}, null"))
            return Value(found, fragile=True)
        base = self.value(node.value)
        if node.attr not in self.unit.places or self._is_elsewhere(node):
            base = self.safe(base)
            found = self.new("PyObject_GetAttr", base.text, self.constant(node.attr).text)
            self.drop(base)
            return found
        found = Value(self.attribute(base.text, node.attr), fragile=True)
        if base.owned:
            found = self.safe(found)
            self.drop(base)
        return found

    def _is_elsewhere(self, node: ast.Attribute) -> bool:
        """Is this an attribute of a known object, whose class has no place for it?"""
        known = self.known(node.value)
        return not isinstance(known, ast.AST) and node.attr not in self.unit.slots.get(type(known), ())

    def attribute(self, base: str, attr: str) -> str:
        """The value of an attribute that some classes have a place for; others' is kept as long as the frame."""
        self.keeps = True
        found = self.op(f"call ptr @{self.unit.reader(attr)}(ptr %T, ptr {base}, ptr %kept)")
        self.raised(self.op(f"icmp eq ptr {found}, null"))
        return found

    # ---- conditions

    def condition(self, node: ast.expr, yes: str, no: str) -> None:
        """Goes where the truth of an expression says."""
        if isinstance(node, ast.BoolOp):
            self._junction(node, yes, no)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.condition(node.operand, no, yes)
        elif isinstance(node, ast.Compare):
            self.branch(self.comparison(node), yes, no)
        elif isinstance(node, ast.Call) and self.known(node.func) in (all, any) and is_loop(node):
            self.quantified(node, yes, no)
        else:
            self.branch(self.truth(self.value(node)), yes, no)

    def _junction(self, node: ast.BoolOp, yes: str, no: str) -> None:
        before = set(self.assigned)
        for one in node.values[:-1]:
            more = self.name("more")
            self.condition(one, *((more, no) if isinstance(node.op, ast.And) else (yes, more)))
            self.label(more)
        self.condition(node.values[-1], yes, no)
        self.assigned = before

    def truth(self, x: Value) -> str:
        """Is a value true?"""
        x = self.safe(x)
        found = self.is_true(x.text)
        self.drop(x)
        return found

    def is_true(self, text: str) -> str:
        """Is an object true?"""
        found = self.op(f"call i32 @truth(ptr %T, ptr {text})")
        self.raised(self.op(f"icmp slt i32 {found}, 0"))
        return self.op(f"icmp ne i32 {found}, 0")

    def comparison(self, node: ast.Compare) -> str:
        """Does a comparison hold?"""
        if len(node.ops) > 1:
            raise UnsupportedError(f"several comparisons in line {node.lineno}")
        how = type(node.ops[0])
        x, y = self.values([node.left, node.comparators[0]])
        if how in _BY_IDENTITY:
            found = self.op(f"icmp {_BY_IDENTITY[how]} ptr {x.text}, {y.text}")
            self._drop_all([x, y])
            return found
        x, y = self.safe(x), self.safe(y)
        if how in _ORDER:
            found = self.op(f"call i32 @compare(ptr %T, ptr {x.text}, ptr {y.text}, i32 {_ORDER[how]})")
        elif how in (ast.In, ast.NotIn):
            found = self.api("PySequence_Contains", f"ptr {y.text}", f"ptr {x.text}", result="i32")
        else:
            raise UnsupportedError(f"{how.__name__} in line {node.lineno}")
        self.raised(self.op(f"icmp slt i32 {found}, 0"))
        self._drop_all([x, y])
        return self.op(f"icmp {'eq' if how is ast.NotIn else 'ne'} i32 {found}, 0")

    def _drop_all(self, values: Sequence[Value]) -> None:
        for x in values:
            self.drop(x)

    def chosen(self, write: Callable[[str, str], None]) -> Value:
        """True or False, as what ``write`` writes goes to its first or its second label."""
        yes, no, done = self.name("yes"), self.name("no"), self.name("done")
        slot = self.meeting()
        write(yes, no)
        for label, value in ((yes, True), (no, False)):
            self.label(label)
            self.line(f"store ptr {self.take(self.constant(value))}, ptr {slot}")
            self.jump(done)
        self.label(done)
        return self.owned(self.load(slot))

    def condition_value(self, node: ast.expr) -> Value:
        """A comparison or a negation as a value."""
        return self.chosen(lambda yes, no: self.condition(node, yes, no))

    def comparison_value(self, node: ast.Compare) -> Value:
        """A comparison as a value, which need not be True or False."""
        if len(node.ops) > 1 or type(node.ops[0]) not in _ORDER:
            return self.condition_value(node)
        x, y = map(self.safe, self.values([node.left, node.comparators[0]]))
        found = self.api("PyObject_RichCompare", f"ptr {x.text}", f"ptr {y.text}", f"i32 {_ORDER[type(node.ops[0])]}")
        return self.result(found, [x, y])

    def result(self, found: str, given: Sequence[Value]) -> Value:
        """A new reference that a call has given, which may have failed; its arguments are no longer used."""
        self.raised(self.op(f"icmp eq ptr {found}, null"))
        value = self.owned(found)
        self._drop_all(given)
        return value

    def junction_value(self, node: ast.BoolOp) -> Value:
        """`a and b`, `a or b`: one of the values."""
        slot, done = self.meeting(), self.name("done")
        for one in node.values[:-1]:
            x = self.value(one)
            x = x if x.owned else self.owned(self.take(x))
            holds, more = self.is_true(x.text), self.name("more")
            self.line(f"store ptr {x.text}, ptr {slot}")
            self.branch(holds, *((more, done) if isinstance(node.op, ast.And) else (done, more)))
            self.label(more)
            self.drop(x)
        self.line(f"store ptr {self.take(self.value(node.values[-1]))}, ptr {slot}")
        self.jump(done)
        self.label(done)
        return self.owned(self.load(slot))

    def either_value(self, node: ast.IfExp) -> Value:
        """`a if c else b`."""
        slot, yes, no, done = self.meeting(), self.name("yes"), self.name("no"), self.name("done")
        self.condition(node.test, yes, no)
        for label, one in ((yes, node.body), (no, node.orelse)):
            self.label(label)
            self.line(f"store ptr {self.take(self.value(one))}, ptr {slot}")
            self.jump(done)
        self.label(done)
        return self.owned(self.load(slot))

    # ---- arithmetic

    def binary_value(self, node: ast.BinOp) -> Value:
        """A sum, a difference or a product."""
        if type(node.op) not in _BINARY:
            raise UnsupportedError(f"{type(node.op).__name__} in line {node.lineno}")
        x, y = map(self.safe, self.values([node.left, node.right]))
        found = self.new("PyNumber_" + _BINARY[type(node.op)], x.text, y.text)
        self._drop_all([x, y])
        return found

    def unary_value(self, node: ast.UnaryOp) -> Value:
        """`not a`, or a negative number."""
        if isinstance(node.op, ast.Not):
            return self.condition_value(node)
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return self.constant(-node.operand.value)  # type: ignore[operator]
        raise UnsupportedError(f"{type(node.op).__name__} in line {node.lineno}")

    # ---- containers

    def tuple_value(self, node: ast.Tuple) -> Value:
        """A tuple."""
        if not node.elts:
            return self.constant(())
        if any(isinstance(x, ast.Starred) for x in node.elts):
            return self.as_tuple(self.list_value(ast.List(node.elts, ast.Load())))
        return self.packed(self.values(node.elts))

    def packed(self, values: Sequence[Value]) -> Value:
        """A tuple of values."""
        values = [self.safe(x) for x in values]
        found = self.api("PyTuple_New", f"i64 {len(values)}")
        self.raised(self.op(f"icmp eq ptr {found}, null"))
        for k, x in enumerate(values):
            at = self.place(found, self.unit.tuple_items + WORD * k)
            self.line(f"store ptr {self.take(x)}, ptr {at}")
        return self.owned(found)

    def as_tuple(self, items: Value) -> Value:
        """The tuple of a list."""
        found = self.new("PyList_AsTuple", items.text)
        self.drop(items)
        return found

    def list_value(self, node: ast.List) -> Value:
        """A list."""
        found = self.empty_list()
        for item in node.elts:
            if isinstance(item, ast.Starred):
                x = self.safe(self.value(item.value))
                self.drop(self.new("PySequence_InPlaceConcat", found.text, x.text))
            else:
                x = self.safe(self.value(item))
                self.append(found.text, x)
            self.drop(x)
        return found

    def empty_list(self) -> Value:
        """A new list."""
        return self.result(self.api("PyList_New", "i64 0"), [])

    def append(self, items: str, x: Value) -> None:
        """Adds to a list."""
        self.status("PyList_Append", f"ptr {items}", f"ptr {x.text}")

    def item_value(self, node: ast.Subscript) -> Value:
        """`a[k]`, `a[i:j]`."""
        if isinstance(node.slice, ast.Slice):
            return self._part(node.value, node.slice)
        if isinstance(node.slice, ast.Constant) and type(node.slice.value) is int and node.slice.value >= 0:
            return self._numbered(node.value, node.slice)
        x, at = map(self.safe, self.values([node.value, node.slice]))
        found = self.new("PyObject_GetItem", x.text, at.text)
        self._drop_all([x, at])
        return found

    def _numbered(self, whole: ast.expr, at: ast.Constant) -> Value:
        """An item by its number: of a list or a tuple without a call."""
        x = self.safe(self.value(whole))
        slot, near, far, done = self.meeting(), self.name("near"), self.name("far"), self.name("done")
        item = self.op(f"call ptr @item_of(ptr %T, ptr {x.text}, i64 {at.value})")
        self.branch(self.op(f"icmp ne ptr {item}, null"), near, far)
        self.label(near)
        self.more(item)
        self.line(f"store ptr {item}, ptr {slot}")
        self.jump(done)
        self.label(far)
        found = self.api("PyObject_GetItem", f"ptr {x.text}", f"ptr {self.constant(at.value).text}")
        self.raised(self.op(f"icmp eq ptr {found}, null"))
        self.line(f"store ptr {found}, ptr {slot}")
        self.jump(done)
        self.label(done)
        self.drop(x)
        return self.owned(self.load(slot))

    def _part(self, whole: ast.expr, part: ast.Slice) -> Value:
        none = ast.Constant(None)
        ends = [part.lower or none, part.upper or none, part.step or none]
        x, *bounds = map(self.safe, self.values([whole, *ends]))
        at = self.new("PySlice_New", *[b.text for b in bounds])
        found = self.new("PyObject_GetItem", x.text, at.text)
        self._drop_all([x, *bounds, at])
        return found

    def table_value(self, node: ast.Dict) -> Value:
        """An empty dictionary."""
        if node.keys:
            raise UnsupportedError(f"a dictionary with entries in line {node.lineno}")
        return self.new("PyDict_New")

    # ---- loops in expressions

    def comprehension_value(self, node: ast.ListComp) -> Value:
        """A list by a loop."""
        found = self.empty_list()

        def add() -> None:
            x = self.safe(self.value(node.elt))
            self.append(found.text, x)
            self.drop(x)

        self.each(node, add)
        return found

    def quantified(self, node: ast.Call, yes: str, no: str) -> None:
        """`all([…])`, `any([…])`: goes on to the end only as long as it must."""
        loop: Any = node.args[0]
        wants_all = self.known(node.func) is all
        found = self.name("found")

        def test() -> None:
            more = self.name("more")
            self.condition(loop.elt, *((more, found) if wants_all else (found, more)))
            self.label(more)

        self.each(loop, test)
        self.jump(yes if wants_all else no)
        self.label(found)
        self.jump(no if wants_all else yes)

    def each(self, node: Any, body: Callable[[], None]) -> None:
        """Writes the loop of a comprehension, whose variables are its own."""
        if len(node.generators) > 1:
            raise UnsupportedError(f"a loop in a loop in line {node.lineno}")
        loop = node.generators[0]
        outer = dict(self.slots), dict(self.given), set(self.assigned), dict(self.made)

        def one(end: str, again: str) -> None:
            for test in loop.ifs:
                kept = self.name("kept")
                self.condition(test, kept, again)
                self.label(kept)
            body()

        self.loop(loop.target, loop.iter, one, own=True)
        self.slots, self.given, self.assigned, self.made = outer

    def loop(self, target: ast.expr, source: ast.expr, body: Callable[[str, str], None], own: bool = False) -> None:
        """Runs ``body``, which is given the labels of the end and of the next turn, for each item of ``source``."""
        sources, targets = self._sources(target, source)
        sequences = []
        for x in sources:
            found = self.new("PySequence_Fast", x.text, self.constant("expected a sequence").text)
            self.drop(x)
            sequences.append(self.local())
            self.assign(sequences[-1], self.take(found))
        if own:
            for one in targets:
                self._own_variables(one)
        at, head, again, end = self.index(), self.name("head"), self.name("again"), self.name("end")
        self.line(f"store i64 0, ptr {at}")
        self.jump(head)
        self.label(head)
        i = self.load(at, "i64")
        items = [self._item(slot, i, end) for slot in sequences]
        before = set(self.assigned)
        for one, item in zip(targets, items):
            self.assign_to(one, Value(item, fragile=True))
        body(end, again)
        self.assigned = before
        self.jump(again)
        self.label(again)
        self._advance(at)
        self.jump(head)
        self.label(end)
        for slot in sequences:
            self.assign(slot, "null")

    def _advance(self, at: str) -> None:
        i = self.load(at, "i64")
        self.line(f"store i64 {self.op(f'add i64 {i}, 1')}, ptr {at}")

    def _sources(self, target: ast.expr, source: ast.expr) -> tuple[list[Value], list[ast.expr]]:
        """What a loop goes through, and where its items go: several sequences side by side, or one."""
        if isinstance(source, ast.Call) and self.known(source.func) is zip and isinstance(target, ast.Tuple):
            if len(target.elts) == len(source.args) and not source.keywords:
                return [self.safe(x) for x in self.values(source.args)], target.elts
        return [self.safe(self.value(source))], [target]

    def _own_variables(self, target: ast.expr) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                self.given.pop(node.id, None)
                self.slots[node.id] = self.local()

    def _item(self, slot: str, i: str, end: str) -> str:
        """The next item of a sequence; ends the loop if there is none."""
        item = self.op(f"call ptr @item(ptr %T, ptr {self.load(slot)}, i64 {i})")
        more = self.name("more")
        self.branch(self.op(f"icmp eq ptr {item}, null"), end, more)
        self.label(more)
        return item

    def assign_to(self, target: ast.expr, x: Value) -> None:
        """Gives a target its value (``statements``)."""
        raise NotImplementedError

    def call_value(self, node: ast.Call) -> Value:
        """A call (``calls``)."""
        raise NotImplementedError


def is_loop(node: ast.Call) -> bool:
    """Is a loop all that a call is given?"""
    return len(node.args) == 1 and isinstance(node.args[0], (ast.ListComp, ast.GeneratorExp))


_EXPRESSIONS: dict[type, Callable[[Any, Any], Value]] = {
    ast.Constant: Expressions.constant_value,
    ast.Name: Expressions.name_value,
    ast.Attribute: Expressions.attribute_value,
    ast.Call: lambda self, node: self.call_value(node),
    ast.Compare: Expressions.comparison_value,
    ast.BoolOp: Expressions.junction_value,
    ast.UnaryOp: Expressions.unary_value,
    ast.BinOp: Expressions.binary_value,
    ast.IfExp: Expressions.either_value,
    ast.Tuple: Expressions.tuple_value,
    ast.List: Expressions.list_value,
    ast.ListComp: Expressions.comprehension_value,
    ast.Subscript: Expressions.item_value,
    ast.Dict: Expressions.table_value,
}
