"""The text of one twin: references, temporaries, labels, calls of Python's own functions.

A value is a reference that is either *owned*, then it waits in a slot of the frame until somebody takes it, or
*borrowed*: from a local variable or the table, which hold it as long as the twin runs, or *fragile*, from an attribute,
which may be given another value by whatever is called next.

The frame has three parts: ``locals``, which live as long as the twin; ``temporaries``, which are empty between two
statements; and ``kept``, results of attribute look-ups that did not find the attribute where they expected it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .layout import WORD

if TYPE_CHECKING:
    from .unit import Unit


class Value(NamedTuple):
    """A reference: its name in the text, the slot that owns it (None: borrowed), and whether it is fragile."""

    text: str
    slot: str | None = None
    fragile: bool = False


class Writer:
    """Writes lines of a function of the table ``%T``."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.lines: list[str] = []
        self.counted = 0
        self.error = "fail"  # where to go when a call has raised
        self.locals: list[str] = []
        self.temporaries: list[str] = []
        self.free: list[str] = []
        self.kept: list[str] = []
        self.indices: list[str] = []
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

    def branch(self, condition: str, yes: str, no: str) -> None:
        """Ends a block by a choice."""
        self.line(f"br i1 {condition}, label %{yes}, label %{no}")

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

    def slot(self) -> str:
        """An empty temporary."""
        if self.free:
            return self.free.pop()
        self.temporaries.append(self.name("%temporary"))
        return self.temporaries[-1]

    def owned(self, text: str) -> Value:
        """A new reference, which waits in a temporary."""
        slot = self.slot()
        self.line(f"store ptr {text}, ptr {slot}")
        return Value(text, slot)

    def more(self, text: str) -> None:
        """Counts a reference more; objects whose count is negative live for ever."""
        count = self.load(text, "i32")
        mortal = self.op(f"icmp sge i32 {count}, 0")
        one = self.op(f"zext i1 {mortal} to i32")
        self.line(f"store i32 {self.op(f'add i32 {count}, {one}')}, ptr {text}")

    def less(self, text: str) -> None:
        """Counts a reference less."""
        self.line(f"call void @less(ptr %T, ptr {text})")

    def take(self, value: Value) -> str:
        """A reference that is given away with the value."""
        if value.slot is None:
            self.more(value.text)
        else:
            self._empty(value.slot)
        return value.text

    def drop(self, value: Value) -> None:
        """The value is no longer used."""
        if value.slot is not None:
            self._empty(value.slot)
            self.less(value.text)

    def _empty(self, slot: str) -> None:
        self.line(f"store ptr null, ptr {slot}")
        self.free.append(slot)

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
        self.branch(condition, self.error, good)
        self.label(good)

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
        slots = [*self.locals, *self.temporaries, *self.kept]
        lines = [
            f"  %arguments = alloca [{self.most_arguments} x ptr]",
            "  %result = alloca ptr",
            "  %looked = alloca i1",
        ]
        lines += [f"  {slot} = alloca ptr" for slot in slots]
        lines += [f"  {index} = alloca i64" for index in self.indices]
        return [*lines, "  store i1 false, ptr %looked", *[f"  store ptr null, ptr {slot}" for slot in slots]]

    def ending(self) -> list[str]:
        """The lines that end it, well or by an error."""
        end = ["  %returned = load ptr, ptr %result", "  ret ptr %returned"]
        if self.kept:
            more = ["  %any = load i1, ptr %looked", "  br i1 %any, label %forget, label %end", "forget:"]
            end = [*more, *_cleared(self.kept), "  br label %end", "end:", *end]
        slots = [*self.locals, *self.temporaries, *self.kept]
        return ["leave:", *_cleared(self.locals), *end, "fail:", *_cleared(slots), "  ret ptr null"]

    def release_temporaries(self) -> None:
        """Drops what waits in temporaries, after an error."""
        self.lines.append(TEMPORARIES)

    def finished(self) -> list[str]:
        """All lines, now that it is known which temporaries there are."""
        cleared = _cleared(self.temporaries)
        return [line for one in self.lines for line in (cleared if one == TEMPORARIES else [one])]


TEMPORARIES = "; here all temporaries are dropped"


def _cleared(slots: list[str]) -> list[str]:
    return [f"  call void @clear(ptr %T, ptr {slot})" for slot in slots]
