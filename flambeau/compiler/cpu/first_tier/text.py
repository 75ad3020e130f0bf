"""LLVM text of a ufunc's loop: ``void loop(ptr args, ptr dims, ptr steps, ptr data)``."""

from __future__ import annotations

from ....dtypes import dtype
from ..nest_maps import Ops
from ..target import Target
from ..text import lane_list, memory_type, suffix
from . import apart

LEAST_MASKED = 4  # bytes of an element of which AVX reads and writes some lanes


class Writer:
    """The lines of one function, and what its module declares."""

    def __init__(self, target: Target, lanes: int) -> None:
        from ..vector_math.emitter import VectorMath  # code is found on the disk sooner than this is imported
        from ..vector_math.ssa import Module

        self.target = target
        self.lanes = lanes
        self.module = Module(fma=target.fma, scalef=target.has_masks, attributes="nounwind")
        self.lines: list[str] = []
        self.math = VectorMath(self.lines, self.module, "f")
        self.count = self.stores = 0

    def inner(self) -> Writer:
        """The writer of another function of the module."""
        w = Writer(self.target, self.lanes)
        w.module = self.module
        return w

    def put(self, instruction: str) -> str:
        """Appends an instruction with a result."""
        self.count += 1
        self.lines.append(f"  %v{self.count} = {instruction}")
        return f"%v{self.count}"

    def label(self, name: str) -> None:
        """Begins a block."""
        self.lines.append(f"{name}:")

    def do(self, instruction: str) -> None:
        """Appends an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def ops(self, lanes: int | None = None) -> Ops:
        """Arithmetic on vectors."""
        return Ops(self.put, self.module.declare, self.math.emit, self.lanes if lanes is None else lanes)

    def word(self, table: str, k: int | str, t: str = "i64") -> str:
        """Entry ``k`` of a table of numbers or addresses."""
        return self.put(f"load {t}, ptr {self.put(f'getelementptr {t}, ptr {table}, i64 {k}')}")

    def at(self, base: str, steps: str) -> str:
        """An address some bytes further on."""
        return self.put(f"getelementptr i8, ptr {base}, i64 {steps}")

    def least(self, a: str, b: str) -> str:
        """The smaller of two numbers."""
        return self.put(f"select i1 {self.put(f'icmp slt i64 {a}, {b}')}, i64 {a}, i64 {b}")

    def over(self, a: str, b: str) -> str:
        """``a / b`` rounded up."""
        more = self.put(f"add i64 {a}, {self.put(f'sub i64 {b}, 1')}")
        return self.put(f"udiv i64 {more}, {b}")

    def columns(self, base: str, first: str, left: str, step: str, count: int) -> list[str]:
        """Where ``count`` columns begin, ``step`` bytes apart, from ``first`` on; after the last comes the last."""
        last = self.put(f"sub i64 {left}, 1")
        numbers = [self.least(self.put(f"add i64 {first}, {k}"), last) for k in range(count)]
        return [self.at(base, self.put(f"mul i64 {k}, {step}")) for k in numbers]

    def splat(self, reg: str, t: str) -> str:
        """A register in all lanes."""
        w = self.lanes
        one = self.put(f"insertelement <{w} x {t}> poison, {t} {reg}, i64 0")
        return self.put(f"shufflevector <{w} x {t}> {one}, <{w} x {t}> poison, <{w} x i32> zeroinitializer")

    def first(self, count: str) -> str:
        """The mask of the first ``count`` lanes."""
        w = self.lanes
        few = self.put(f"trunc i64 {self.least(count, str(w))} to i32")
        return self.put(f"icmp sgt <{w} x i32> {self.splat(few, 'i32')}, {lane_list(list(range(w)), 'i32')}")

    def spread(self, base: str, step: str) -> str:
        """Addresses ``step`` bytes apart."""
        w = self.lanes
        numbers = lane_list(list(range(w)), "i64")
        offsets = self.put(f"mul <{w} x i64> {self.splat(step, 'i64')}, {numbers}")
        return self.put(f"getelementptr i8, ptr {base}, <{w} x i64> {offsets}")

    def whole(self, dt: dtype, base: str) -> str:
        """A whole vector of neighbours."""
        return self.put(f"load <{self.lanes} x {memory_type(dt)}>, ptr {base}, align {dt.itemsize}")

    def lane_by_lane(self, dt: dtype, step: str | None) -> bool:
        """Has the processor no instruction for some lanes of such a vector?"""
        return not self.target.has("avx512f") and (step is not None or dt.itemsize < LEAST_MASKED)

    def bits(self, mask: str) -> str:
        """The lanes of a mask as bits of a number."""
        w = self.lanes
        found = self.put(f"bitcast <{w} x i1> {mask} to i{w}")
        return found if w == 64 else self.put(f"zext i{w} {found} to i64")

    def load(self, dt: dtype, base: str, mask: str, step: str | None = None) -> str:
        """A vector of neighbours, or of elements ``step`` bytes apart, in the lanes of the mask."""
        w, t = self.lanes, memory_type(dt)
        if self.lane_by_lane(dt, step):
            function = apart.read(self.module, w, t, dt.itemsize)
            given = f"ptr {base}, i64 {dt.itemsize if step is None else step}, i64 {self.bits(mask)}"
            return self.put(f"call <{w} x {t}> {function}({given})")
        tail = f"i32 {dt.itemsize}, <{w} x i1> {mask}, <{w} x {t}> zeroinitializer"
        if step is None:
            name = f"@llvm.masked.load.{suffix(t, w)}.p0"
            self.module.declare(f"declare <{w} x {t}> {name}(ptr, i32, <{w} x i1>, <{w} x {t}>)")
            return self.put(f"call <{w} x {t}> {name}(ptr {base}, {tail})")
        name = f"@llvm.masked.gather.{suffix(t, w)}.v{w}p0"
        self.module.declare(f"declare <{w} x {t}> {name}(<{w} x ptr>, i32, <{w} x i1>, <{w} x {t}>)")
        return self.put(f"call <{w} x {t}> {name}(<{w} x ptr> {self.spread(base, step)}, {tail})")

    def store(self, dt: dtype, value: str, base: str, mask: str, step: str | None = None) -> None:
        """Writes the lanes of the mask.

        Whole vectors of neighbours are written without it, where masks would cost several cycles.
        """
        w, t = self.lanes, memory_type(dt)
        k = self.stores = self.stores + 1
        if step is None and not self.target.has("avx512f"):
            whole = self.put(f"icmp eq i{w} {self.put(f'bitcast <{w} x i1> {mask} to i{w}')}, -1")
            self.do(f"br i1 {whole}, label %whole{k}, label %masked{k}")
            self.label(f"whole{k}")
            self.do(f"store <{w} x {t}> {value}, ptr {base}, align {dt.itemsize}")
            self.do(f"br label %written{k}")
            self.label(f"masked{k}")
        if self.lane_by_lane(dt, step):
            function = apart.written(self.module, w, t, dt.itemsize)
            given = f"ptr {base}, i64 {dt.itemsize if step is None else step}, i64 {self.bits(mask)}"
            self.do(f"call void {function}(<{w} x {t}> {value}, {given})")
            self.do(f"br label %written{k}")
            self.label(f"written{k}")
            return
        name, kind = f"@llvm.masked.store.{suffix(t, w)}.p0", "ptr"
        if step is not None:
            base, name, kind = self.spread(base, step), f"@llvm.masked.scatter.{suffix(t, w)}.v{w}p0", f"<{w} x ptr>"
        self.module.declare(f"declare void {name}(<{w} x {t}>, {kind}, i32, <{w} x i1>)")
        self.do(f"call void {name}(<{w} x {t}> {value}, {kind} {base}, i32 {dt.itemsize}, <{w} x i1> {mask})")
        self.do(f"br label %written{k}")
        self.label(f"written{k}")

    def function(self, head: str) -> str:
        """The function with this head."""
        return "\n".join([f"{head} {{", *self.lines, "}", ""])

    def loop(self) -> str:
        """The module, if these are a ufunc's loop."""
        text = self.function("define void @loop(ptr %args, ptr %dims, ptr %steps, ptr %data) nounwind")
        return "\n".join([self.module.text(), text])


class Loop:
    """``for name = 0; name < size; name += step``, opened; ``end`` closes it.

    ``carried``: registers that go from turn to turn, and what they begin with.
    """

    def __init__(self, w: Writer, name: str, size: str, before: str, carried: dict[str, str], t: str) -> None:
        self.w, self.name, self.t = w, name, t
        self.carried = carried
        w.do(f"br label %{name}.head")
        w.label(f"{name}.head")
        w.do(f"%{name} = phi i64 [ 0, %{before} ], [ %{name}.next, %{name}.last ]")
        for reg, first in carried.items():
            w.do(f"{reg} = phi {t} [ {first}, %{before} ], [ {reg}.new, %{name}.last ]")
        w.do(f"%{name}.some = icmp slt i64 %{name}, {size}")
        w.do(f"br i1 %{name}.some, label %{name}.body, label %{name}.done")
        w.label(f"{name}.body")

    def end(self, new: dict[str, str], step: int | str = 1) -> None:
        """The end of a turn, with the carried registers' new values."""
        w, name = self.w, self.name
        w.do(f"br label %{name}.last")
        w.label(f"{name}.last")
        for reg, value in new.items():
            w.do(f"{reg}.new = bitcast {self.t} {value} to {self.t}")
        w.do(f"%{name}.next = add i64 %{name}, {step}")
        w.do(f"br label %{name}.head")
        w.label(f"{name}.done")
