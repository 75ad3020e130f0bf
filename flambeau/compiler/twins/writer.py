"""The text of one twin: references, temporaries, labels, calls of Python's own functions.

A value is a reference that is either *owned*, then somebody must take it, or *borrowed*: from a local variable or the
table, which hold it as long as the twin runs, or *fragile*, from an attribute, which may be given another value by
whatever is called next.

Which owned values there are is known at each place of the text (``held``). A call that may raise goes, if it does, to
cold code that drops these; so no owned value needs a place in memory. Of the frame's memory LLVM makes registers:
``locals``, which live as long as the twin; ``meetings``, in which a value arrives by several ways; the positions of
loops. Only ``%kept`` stays, a list of what attribute look-ups gave that did not find the attribute where they expected
it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .layout import WORD

if TYPE_CHECKING:
    from .unit import Unit


class Value(NamedTuple):
    """A reference: its name in the text, whether it is owned, and whether it is fragile."""

    text: str
    owned: bool = False
    fragile: bool = False


class Writer:
    """Writes lines of a function of the table ``%T``."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.lines: list[str] = []
        self.counted = 0
        self.error = "fail"  # where to go when a call has raised
        self.locals: list[str] = []
        self.meetings: list[str] = []
        self.indices: list[str] = []
        self.held: list[str] = []  # the owned values
        self.failures: dict[tuple[str, ...], str] = {}  # where the last of these is dropped
        self.keeps = False  # may something be in ``%kept``?
        self.most_arguments = 1

    # ---- lines

    def name(self, prefix: str = "%v") -> str:
        """A new name."""
        self.counted += 1
        return f"{prefix}{self.counted}"

    def line(self, text: str) -> None:
        """Adds an instruction."""
        self.lines.append(f"  {text}")

    def op(self, text: str) -> str:
        """Adds an instruction with a result; its name."""
        found = self.name()
        self.line(f"{found} = {text}")
        return found

    def label(self, name: str) -> None:
        """Begins a block."""
        self.lines.append(f"{name}:")

    def jump(self, to: str) -> None:
        """Ends a block."""
        self.line(f"br label %{to}")

    def branch(self, condition: str, yes: str, no: str, weights: str = "") -> None:
        """Ends a block by a choice."""
        self.line(f"br i1 {condition}, label %{yes}, label %{no}{weights}")

    # ---- memory

    def place(self, base: str, offset: int) -> str:
        """The address so many bytes behind another."""
        return self.op(f"getelementptr inbounds i8, ptr {base}, i64 {offset}") if offset else base

    def load(self, address: str, kind: str = "ptr") -> str:
        """What lies at an address."""
        return self.op(f"load {kind}, ptr {address}")

    def entry(self, index: int) -> str:
        """An entry of the table."""
        return self.load(self.place("%T", WORD * index))

    def type_of(self, x: str) -> str:
        """The type of an object."""
        return self.load(self.place(x, WORD))

    def is_type(self, x: str, cls: type) -> str:
        """Is an object of exactly this type?"""
        return self.op(f"icmp eq ptr {self.type_of(x)}, {self.constant(cls).text}")

    # ---- references

    def constant(self, value: Any) -> Value:
        """An object that the table holds."""
        return Value(self.entry(self.unit.constant(value)))

    def local(self) -> str:
        """A new slot that lives as long as the twin."""
        self.locals.append(self.name("%local"))
        return self.locals[-1]

    def index(self) -> str:
        """Memory for the position of a loop."""
        self.indices.append(self.name("%index"))
        return self.indices[-1]

    def meeting(self) -> str:
        """Memory for a value that arrives by several ways."""
        self.meetings.append(self.name("%meeting"))
        return self.meetings[-1]

    def owned(self, text: str) -> Value:
        """A new reference."""
        self.held.append(text)
        return Value(text, True)

    def more(self, text: str) -> None:
        """Counts a reference more."""
        self.line(f"call void @more(ptr {text})")

    def less(self, text: str) -> None:
        """Counts a reference less."""
        self.line(f"call void @less(ptr %T, ptr {text})")

    def take(self, value: Value) -> str:
        """A reference that is given away with the value."""
        if value.owned:
            self.held.remove(value.text)
        else:
            self.more(value.text)
        return value.text

    def drop(self, value: Value) -> None:
        """The value is no longer used."""
        if value.owned:
            self.held.remove(value.text)
            self.less(value.text)

    def safe(self, value: Value) -> Value:
        """The same value, whatever is called next."""
        if not value.fragile:
            return value
        self.more(value.text)
        return self.owned(value.text)

    def assign(self, slot: str, reference: str) -> None:
        """Puts a reference in the place of the one that a slot holds."""
        self.line(f"call void @assign(ptr %T, ptr {slot}, ptr {reference})")

    # ---- calls

    def raised(self, condition: str) -> None:
        """Goes to where errors are handled if the condition holds."""
        good = self.name("good")
        self.branch(condition, self.failing(), good, ", !prof !0")
        self.label(good)

    def failing(self) -> str:
        """Where an error leads here: to what drops the owned values, one after the other, and goes where errors go."""
        return self._failing((self.error, *self.held))

    def _failing(self, path: tuple[str, ...]) -> str:
        if len(path) == 1:
            return path[0]
        if path not in self.failures:
            self._failing(path[:-1])
            self.failures[path] = self.name("failing")
        return self.failures[path]

    def api(self, function: str, *arguments: str, result: str = "ptr") -> str:
        """The result of one of Python's functions, unchecked."""
        address = self.entry(self.unit.api(function))
        return self.op(f"call {result} {address}({', '.join(arguments)})")

    def new(self, function: str, *arguments: str) -> Value:
        """The new reference that one of Python's functions gives."""
        found = self.api(function, *[f"ptr {a}" for a in arguments])
        self.raised(self.op(f"icmp eq ptr {found}, null"))
        return self.owned(found)

    def status(self, function: str, *arguments: str, result: str = "i32") -> str:
        """The number that one of Python's functions gives; negative is an error."""
        found = self.api(function, *arguments, result=result)
        self.raised(self.op(f"icmp slt {result} {found}, 0"))
        return found

    def arguments(self, values: list[str]) -> str:
        """An array of arguments."""
        self.most_arguments = max(self.most_arguments, len(values))
        for k, text in enumerate(values):
            self.line(f"store ptr {text}, ptr {self.place('%arguments', WORD * k)}")
        return "%arguments"

    # ---- the whole

    def frame(self) -> list[str]:
        """The lines that make the frame."""
        empty = [*self.locals, *["%kept"] * self.keeps]
        lines = [f"  %arguments = alloca [{self.most_arguments} x ptr]", "  %result = alloca ptr"]
        lines += [f"  {slot} = alloca ptr" for slot in (*empty, *self.meetings)]
        lines += [f"  {index} = alloca i64" for index in self.indices]
        return [*lines, *[f"  store ptr null, ptr {slot}" for slot in empty]]

    def ending(self) -> list[str]:
        """The lines that end it, well or by an error."""
        slots = [*self.locals, *["%kept"] * self.keeps]
        lines = ["leave:"]
        for k, slot in enumerate(slots):
            lines += [f"  %last{k} = load ptr, ptr {slot}", f"  call void @less_if(ptr %T, ptr %last{k})"]
        lines += ["  %returned = load ptr, ptr %result", "  ret ptr %returned"]
        for (*path, last), label in self.failures.items():
            lines += [f"{label}:", f"  call void @forget(ptr %T, ptr {last})"]
            lines += [f"  br label %{self._failing(tuple(path))}"]
        lines.append("fail:")
        for k, slot in enumerate(slots):
            lines += [f"  %lost{k} = load ptr, ptr {slot}", f"  call void @forget(ptr %T, ptr %lost{k})"]
        return [*lines, "  ret ptr null"]
