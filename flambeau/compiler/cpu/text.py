"""Writing LLVM text: types, constants, and a tree of scopes that becomes basic blocks."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from ...dtypes import bfloat16, bool_, dtype, float16, float32, float64

FLOATS = {float16: "half", bfloat16: "float", float32: "float", float64: "double"}


def base_type(dt: dtype) -> str:
    """The type of one element in a register: bool is i1, bfloat16 a float."""
    if dt is bool_:
        return "i1"
    return FLOATS.get(dt) or f"i{dt.itemsize * 8}"


def memory_type(dt: dtype) -> str:
    """The type of one element in memory."""
    if dt is bool_:
        return "i8"
    return "i16" if dt is bfloat16 else base_type(dt)


def vector(base: str, lanes: int) -> str:
    """The type of ``lanes`` elements; of one where lanes is 0."""
    return f"<{lanes} x {base}>" if lanes else base


def type_of(dt: dtype, lanes: int) -> str:
    """The type of a value of this dtype in registers."""
    return vector(base_type(dt), lanes)


def number(value: Any, base: str) -> str:
    """A constant of an LLVM type, without the type."""
    if base == "i1":
        return "true" if value else "false"
    if base.startswith("i"):
        return str(int(value))
    if base == "half":
        return f"0xH{struct.unpack('>H', struct.pack('>e', value))[0]:04X}"
    if base == "float":
        value = struct.unpack("f", struct.pack("f", value))[0]
    return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"


def constant(value: Any, base: str, lanes: int) -> str:
    """A constant, the same in all lanes."""
    one = number(value, base)
    return f"splat ({base} {one})" if lanes else one


def lane_list(values: list[int], base: str) -> str:
    """A vector constant."""
    return "<" + ", ".join(f"{base} {number(v, base)}" for v in values) + ">"


def suffix(base: str, lanes: int) -> str:
    """How intrinsics name the type: v16f32, f64, i32."""
    short = {"half": "f16", "float": "f32", "double": "f64"}.get(base, base)
    return f"v{lanes}{short}" if lanes else short


def fenced(put: Callable[[str], str], declare: Callable[[str], None], reg: str, base: str, lanes: int) -> str:
    """The same vector of floats. LLVM looks through no fence; else it tries to merge a shuffle with all before it.

    That takes most of the time of compiling a transposition, and finds nothing.
    """
    t, name = vector(base, lanes), f"@llvm.arithmetic.fence.{suffix(base, lanes)}"
    declare(f"declare {t} {name}({t})")
    return put(f"call {t} {name}({t} {reg})")


class Scope:
    """Instructions that run together: ``head`` first (what inner scopes need hoisted goes there), then ``body``.

    ``axes``: the loops whose indices are known here; ``after``: whether reductions have their results.
    """

    def __init__(self, axes: frozenset[int], after: bool) -> None:
        self.axes = axes
        self.after = after
        self.head: list[str] = []
        self.body: list[str | Scope] = []
        self.values: dict[Any, Any] = {}
        self.mask: str | None = None  # of the lanes that exist, in a vector tail
        self.functions: Any = None  # the writer of vector functions into ``head``
        self.phis: list[list[str]] = []  # register, type, first, next (and the register behind the loop)

    def render(self, out: Renderer) -> None:
        """Writes the instructions."""
        out.lines += self.head
        for part in self.body:
            if isinstance(part, str):
                out.lines.append(part)
            else:
                part.render(out)


class Loop(Scope):
    """``for index = low; index < high; index += step``; ``guarded``: it may run zero times."""

    def __init__(
        self, axes: frozenset[int], after: bool, index: str, low: str, high: str, step: int, guarded: bool
    ) -> None:
        super().__init__(axes, after)
        self.index, self.low, self.high, self.step, self.guarded = index, low, high, step, guarded

    def render(self, out: Renderer) -> None:
        head, done = out.label("loop"), out.label("done")
        before = out.here
        if self.guarded:
            some = out.fresh()
            out.lines += [
                f"  {some} = icmp ult i64 {self.low}, {self.high}",
                f"  br i1 {some}, label %{head}, label %{done}",
            ]
        else:
            out.lines.append(f"  br label %{head}")
        out.start(head)
        at = len(out.lines)
        super().render(out)
        more, again = f"{self.index}.next", out.fresh()
        out.lines += [
            f"  {more} = add nuw nsw i64 {self.index}, {self.step}",
            f"  {again} = icmp ult i64 {more}, {self.high}",
            f"  br i1 {again}, label %{head}, label %{done}",
        ]
        phis = [["i64", self.index, self.low, more], *[[t, r, first, new] for r, t, first, new, *_ in self.phis]]
        last = out.here
        out.lines[at:at] = [f"  {r} = phi {t} [ {first}, %{before} ], [ {new}, %{last} ]" for t, r, first, new in phis]
        out.start(done)
        out.lines += [
            f"  {behind} = phi {t} [ {first}, %{before} ], [ {new}, %{last} ]"
            for _, t, first, new, *more in self.phis
            for behind in more
        ]


class When(Scope):
    """Runs only where ``condition`` holds."""

    def __init__(self, axes: frozenset[int], after: bool, condition: str) -> None:
        super().__init__(axes, after)
        self.condition = condition

    def render(self, out: Renderer) -> None:
        then, done = out.label("then"), out.label("done")
        out.lines.append(f"  br i1 {self.condition}, label %{then}, label %{done}")
        out.start(then)
        super().render(out)
        out.lines.append(f"  br label %{done}")
        out.start(done)


class Renderer:
    """The text so far, and the label of the block that is being written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.here = "entry"
        self.count = 0

    def fresh(self) -> str:
        """A register for the renderer's own use."""
        self.count += 1
        return f"%c{self.count}"

    def label(self, stem: str) -> str:
        """A new label."""
        self.count += 1
        return f"{stem}{self.count}"

    def start(self, label: str) -> None:
        """Begins a block."""
        self.lines.append(f"{label}:")
        self.here = label
