"""LLVM text of recurrences. A chunk's rows go through all steps; each step is the product, then the body's maps.

The product keeps a tile of sums in registers, rows by vectors of columns, and adds its products in the order of the
first carry's slots and units with fused multiply-adds. Smaller tiles serve the last rows of a batch and the steps in
which sequences have ended; a row's bits do not depend on the rows beside it. The carries and the sums of a step lie in
the workspace. The numbers of rows and steps are arguments: other lengths and batches run the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any

from ...dtypes import dtype
from ..ir import Value
from ..loops import Nest
from . import nest_maps as maps
from .points import Points
from .recurrence import Laid
from .recurrence_stages import Stage, stages
from .target import LINE, Target
from .text import Loop, Scope, When, base_type, constant, lane_list, suffix, vector

UNROLLED = 4  # products of each sum in one run through the innermost loop

Name = tuple[str, int]  # what an operand is, and which of these

_texts: dict[Any, tuple[str, int]] = {}


def names(laid: Laid, needed: tuple[int, ...]) -> list[Name]:
    """The operands in their order: weight, bias, initial, sequence, starts, result, after."""
    how, results = laid.how, len(laid.how.results)
    given = [("bias", 0), *[("initial", k) for k in range(len(how.carries))]]
    given += [("sequence", k) for k in range(len(how.sequences))]
    found = [("weight", 0), *[name for name, there in zip(given, laid.there) if there]]
    found += [("starts", 0)] if how.packed else []
    return found + [("result", k) if k < results else ("after", k - results) for k in needed]


def text_of(
    laid: Laid, needed: tuple[int, ...], dt: dtype, target: Target, local: frozenset[Name] = frozenset()
) -> tuple[str, int]:
    """The text and the bytes of workspace. The code takes the operands, the needed results, and batch and steps.

    ``local``: the operands of which a chunk has its piece in the workspace.
    """
    key = repr(laid.how), laid.tile, laid.rows, laid.there, laid.spaced, needed, dt, target, local
    if key not in _texts:
        walker = Walker(laid, needed, dt, target, local)
        _texts[key] = walker.text(), walker.size
    return _texts[key]


def shared_rows(laid: Laid) -> tuple[int, int]:
    """How many panels' products share in asking for a row, and for how many rows those of a panel ask."""
    return max(1, laid.panels // laid.tile.rows), -(-laid.tile.rows // laid.panels)


def shared_bytes(laid: Laid, pitch: int) -> tuple[int, int]:
    """The bytes of an array that a panel's products ask for, and how many of them with each run through their loop."""
    parts, together = shared_rows(laid)
    own = -(-pitch * together // parts)
    each = -(-own // (laid.depth // UNROLLED))
    return own, -(-each // UNROLLED) * UNROLLED


class Walker(Points):
    """Emits the kernel of chunks of rows. The products of a step ask for the memory that its maps will read and
    write, a line or less at a time: asked for at once, or not at all, it comes late.

    Args:
        laid: the recurrence.
        needed: which of its results, and of the carries after, are written.
        dt: of all its numbers.
        target: the processor.
        local: the operands of which a chunk has its piece in the workspace.
    """

    def __init__(
        self, laid: Laid, needed: tuple[int, ...], dt: dtype, target: Target, local: frozenset[Name] = frozenset()
    ) -> None:
        super().__init__(Nest([], []), None, laid.tile.lanes, target)
        self.laid = laid
        self.how = laid.how
        self.dt = dt
        self.base = base_type(dt)
        self.vector = vector(self.base, self.lanes)
        self.fma = target.fma
        self.size = 0  # bytes of the workspace
        self.units = laid.how.units  # that the maps of a row go over
        self.carries = self.rooms()
        self.sums = self.room(laid.how.products * laid.part or laid.panels * laid.tile.width)
        self.places = self.operand_places(names(laid, needed), local)
        self.stages = stages(laid.how, self.written(), target.is_narrow)
        self.waiting = {v: k for k, v in enumerate(v for stage in self.stages for v in stage.later)}
        self.between = self.size
        self.size += self.vectors_of(len(self.waiting) * laid.how.units)

    def rooms(self) -> list[tuple[int, int]]:
        """Where the rows of each carry begin in the workspace, and from one row to the next."""
        return [self.room(k * self.laid.how.units) for k in self.how.carries]

    def room(self, elements: int) -> tuple[int, int]:
        """Where each row's elements begin in the workspace, and from one row to the next: whole vectors."""
        pitch = self.vectors_of(elements)
        at, self.size = self.size, self.size + pitch * self.laid.rows
        return at, pitch

    def vectors_of(self, elements: int) -> int:
        """Bytes of whole vectors that hold so many elements."""
        return -(-elements // self.lanes) * self.lanes * self.dt.itemsize

    def written(self) -> tuple[int, ...]:
        """The numbers of the body's outputs that have a place: those of results that are needed, and the carries."""
        how = self.how
        there = [("result", k) in self.places for k, n in enumerate(how.results) for _ in range(n)]
        return tuple([k for k in range(len(how.body.outputs)) if k >= len(there) or there[k]])

    def operand_places(self, there: list[Name], local: frozenset[Name]) -> dict[Name, str]:
        """The addresses of what is there."""
        self.batch, self.steps = (self.argument(len(there) + k, "i64") for k in range(2))
        return {name: self.piece(name, k) if name in local else self.argument(k, "ptr") for k, name in enumerate(there)}

    def piece(self, name: Name, k: int) -> str:
        """The address of what is in the workspace, less what the chunks before would take there."""
        kind, number = name
        size, how = self.dt.itemsize, self.how
        row = self.laid.pitch(number, size) if kind == "result" else how.sequences[number] * how.units
        before = self.put(f"mul nuw nsw i64 %chunk, {self.laid.rows * row * size}", self.entry)
        before = self.put(f"mul nuw nsw i64 {before}, {self.steps}", self.entry)
        place = self.put(f"sub nsw i64 {self.argument(k, 'i64')}, {before}", self.entry)
        return self.put(f"getelementptr i8, ptr %workspace, i64 {place}", self.entry)

    def argument(self, k: int, t: str) -> str:
        """What the table of operands holds."""
        at = self.put(f"getelementptr inbounds ptr, ptr %operands, i64 {k}", self.entry)
        return self.put(f"load {t}, ptr {at}, align 8", self.entry)

    # ---- scopes and addresses

    def text(self) -> str:
        """The kernel."""
        rows = self.laid.rows
        self.first = self.put(f"mul nuw nsw i64 %chunk, {rows}")
        self.here = self.least(self.put(f"sub nsw i64 {self.batch}, {self.first}"), rows)
        self.begin()
        self.walk()
        self.finish()
        return self.rendered("kernel")

    def within(self, scope: Scope, body: Callable[[], None]) -> None:
        """Puts what ``body`` emits into a scope of the innermost one."""
        self.chain[-1].body.append(scope)
        self.chain.append(scope)
        body()
        self.chain.pop()

    def over(self, low: str, high: str, body: Callable[[str], None], step: int = 1, guarded: bool = False) -> None:
        """A loop; ``guarded``: it may run zero times."""
        index = self.fresh()
        loop = Loop(frozenset(), False, index, low, high, step, guarded)
        self.within(loop, lambda: body(index))

    def along(self, elements: int, body: Callable[[str], None]) -> None:
        """``body`` for the first element of each vector; the last has lanes that do not exist."""
        whole, rest = elements - elements % self.lanes, elements % self.lanes
        if whole:
            self.over("0", str(whole), body, self.lanes)
        if rest:
            scope = Scope(frozenset(), False)
            scope.mask = lane_list([j < rest for j in range(self.lanes)], "i1")
            self.within(scope, lambda: body(str(whole)))

    def moved(self, pointer: str, by: int) -> str:
        """An address some bytes on."""
        return pointer if by == 0 else self.put(f"getelementptr i8, ptr {pointer}, i64 {by}")

    def at(self, pointer: str, index: str, pitch: int, by: int = 0) -> str:
        """The address of a row."""
        if index == "0":
            return self.moved(pointer, by)
        offset = self.put(f"mul nsw i64 {index}, {pitch}")
        return self.moved(self.put(f"getelementptr i8, ptr {pointer}, i64 {offset}"), by)

    def element(self, pointer: str, index: str) -> str:
        """The address of an element."""
        return self.put(f"getelementptr {self.base}, ptr {pointer}, i64 {index}")

    def load(self, pointer: str) -> str:
        """A vector."""
        scope = self.chain[-1]
        mask = (scope.mask, True) if scope.mask else ("true", False)
        return self.load_run(self.base, pointer, 1, mask, self.dt.itemsize, scope)

    def store(self, register: str, pointer: str) -> None:  # type: ignore[override]
        """Writes a vector."""
        self.store_lanes(register, self.base, pointer, 1, self.dt.itemsize, self.chain[-1])

    # ---- the carries before and after

    def begin(self) -> None:
        """Reads the carries; rows that do not exist have zeros."""
        for k, (at, pitch) in enumerate(self.carries):
            rows, low = str(self.laid.rows), "0"
            if ("initial", k) in self.places:
                low = self.here
                self.over("0", low, partial(self.copy, k, "initial"))
            self.over(low, rows, partial(self.clear, at, pitch), guarded=True)

    def clear(self, at: int, pitch: int, r: str) -> None:
        """Zeros in a row of the workspace."""
        row = self.at("%workspace", r, pitch, at)
        zeros = constant(0.0, self.base, self.lanes)
        self.along(pitch // self.dt.itemsize, lambda x: self.store(zeros, self.element(row, x)))

    def copy(self, k: int, name: str, r: str) -> None:
        """A row of a carry, from where it is before, or to where it is after."""
        at, pitch = self.carries[k]
        elements = self.how.carries[k] * self.laid.how.units
        outside = self.at(self.places[name, k], self.row(r), elements * self.dt.itemsize)
        inside = self.at("%workspace", r, pitch, at)
        source, target = (outside, inside) if name == "initial" else (inside, outside)
        self.along(elements, lambda x: self.store(self.load(self.element(source, x)), self.element(target, x)))

    def row(self, r: str) -> str:
        """The number of a row in the batch."""
        return self.put(f"add nuw nsw i64 {self.first}, {r}")

    def finish(self) -> None:
        """Writes the carries after."""
        for k in range(len(self.carries)):
            if ("after", k) in self.places:
                self.over("0", self.here, partial(self.copy, k, "after"))

    # ---- a step

    def walk(self) -> None:
        """All steps."""
        self.over("0", self.steps, self.step, guarded=True)

    def step(self, t: str) -> None:
        """One step of the rows that have one."""
        if self.how.reverse:
            t = self.put(f"sub nsw i64 {self.put(f'sub nsw i64 {self.steps}, 1')}, {t}")
        if not self.how.packed:
            self.first_row = self.put(f"mul nsw i64 {t}, {self.how.group or self.batch}")
            self.active(self.here)
            return
        low = self.put(f"getelementptr i64, ptr {self.places['starts', 0]}, i64 {t}")
        high = self.put(f"getelementptr i64, ptr {low}, i64 1")
        self.first_row, end = (self.put(f"load i64, ptr {p}, align 8") for p in (low, high))
        left = self.put(f"sub nsw i64 {self.put(f'sub nsw i64 {end}, {self.first_row}')}, {self.first}")
        some = self.put(f"icmp sgt i64 {left}, 0")
        rows = self.least(left, self.laid.rows)
        self.within(When(frozenset(), False, some), lambda: self.active(rows))

    def active(self, rows: str) -> None:
        """The products of some rows, a panel after the other, then the maps."""
        self.over("0", str(self.laid.panels), lambda p: self.panel(p, rows))
        self.over("0", rows, self.maps)

    def panel(self, p: str, rows: str) -> None:
        """The sums of one panel, a tile of rows after the other."""
        if self.laid.rows == self.laid.tile.rows:
            self.tile(p, "0", rows)
        else:
            self.over("0", rows, lambda r: self.tile(p, r, self.put(f"sub nsw i64 {rows}, {r}")), self.laid.tile.rows)

    def tile(self, p: str, first: str, rows: str) -> None:
        """The sums of a tile, by the smallest code that serves its rows."""
        laid, width = self.laid, self.laid.tile.width * self.dt.itemsize
        weight = self.at(self.places["weight", 0], p, laid.depth * width)
        sums = self.sums_of(p, first)
        carry = self.carry_of(first)
        biases = self.biases(p)
        self.asked = self.share(p, first) if laid.depth >= UNROLLED else []
        rows = self.least(rows, laid.tile.rows)
        for most in [laid.tile.rows >> k for k in range(laid.tile.rows.bit_length())]:
            above = self.put(f"icmp ugt i64 {rows}, {most // 2}")
            fits = self.put(f"icmp ule i64 {rows}, {most}")
            scope = When(frozenset(), False, self.put(f"and i1 {above}, {fits}"))
            self.within(scope, partial(self.added_up, most, biases, weight, carry, sums))

    def sums_of(self, p: str, first: str) -> str:
        """Where the sums of a panel begin, from a row on."""
        rows = self.at("%workspace", first, self.sums[1], self.sums[0])
        return self.at(rows, p, self.laid.tile.width * self.dt.itemsize)

    def carry_of(self, first: str) -> str:
        """Where what is multiplied begins, from a row on."""
        return self.at("%workspace", first, self.carries[0][1], self.carries[0][0])

    def added_up(self, rows: int, biases: list[str], weight: str, carry: str, sums: str) -> None:
        """The sums of so many rows."""
        laid, current = self.laid, biases * rows
        whole = laid.depth - laid.depth % UNROLLED
        if whole:
            current = self.inner(rows, weight, carry, current, whole)
        scope = Scope(frozenset(), False)
        self.within(scope, lambda: self.rest(rows, weight, carry, current, whole, sums))

    def biases(self, p: str) -> list[str]:
        """What the sums of a row begin with."""
        tile = self.laid.tile
        if ("bias", 0) not in self.places:
            return [constant(0.0, self.base, self.lanes)] * tile.vectors
        row = self.at(self.places["bias", 0], p, tile.width * self.dt.itemsize)
        return [self.load(self.moved(row, v * self.lanes * self.dt.itemsize)) for v in range(tile.vectors)]

    def inner(self, rows: int, weight: str, carry: str, sums: list[str], whole: int) -> list[str]:
        """The loop over what is summed; the sums behind it."""
        index, inside = self.fresh(), [self.fresh() for _ in sums]
        loop = Loop(frozenset(), False, index, "0", str(whole), UNROLLED, False)
        new = list(inside)

        def body() -> None:
            row, own = self.at(weight, index, self.laid.tile.width * self.dt.itemsize), self.element(carry, index)
            if rows == self.laid.tile.rows:
                self.ask(index)
            for u in range(UNROLLED):
                new[:] = self.added(rows, row, own, u, new)

        self.within(loop, body)
        loop.phis = [[register, self.vector, *ends] for register, *ends in zip(inside, sums, new)]
        return new

    def rest(self, rows: int, weight: str, carry: str, sums: list[str], whole: int, place: str) -> None:
        """The products that the loop leaves over, and the sums written."""
        for k in range(whole, self.laid.depth):
            sums = self.added(rows, weight, carry, k, sums)
        vectors, size = self.laid.tile.vectors, self.dt.itemsize
        for k, register in enumerate(sums):
            r, v = divmod(k, vectors)
            self.store(register, self.moved(place, r * self.sums[1] + v * self.lanes * size))

    def added(self, rows: int, weight: str, carry: str, k: int, sums: list[str]) -> list[str]:
        """The sums of a tile with the products of one element of each row."""
        tile, size, pitch = self.laid.tile, self.dt.itemsize, self.carries[0][1]
        ws = [self.load(self.moved(weight, (k * tile.width + v * self.lanes) * size)) for v in range(tile.vectors)]
        new = []
        for r in range(rows):
            own = self.put(f"load {self.base}, ptr {self.moved(carry, r * pitch + k * size)}, align {size}")
            x = self.in_all_lanes(own)
            new += [self.multiplied(x, w, s) for w, s in zip(ws, sums[r * tile.vectors :])]
        return new

    def in_all_lanes(self, register: str) -> str:
        """An element in all lanes."""
        t = self.vector
        one = self.put(f"insertelement {t} poison, {self.base} {register}, i64 0")
        return self.put(f"shufflevector {t} {one}, {t} poison, <{self.lanes} x i32> zeroinitializer")

    def multiplied(self, a: str, b: str, s: str) -> str:
        """A product added to a sum."""
        t = self.vector
        if not self.fma:
            return self.put(f"fadd {t} {s}, {self.put(f'fmul {t} {a}, {b}')}")
        name = f"@llvm.fma.{suffix(self.base, self.lanes)}"
        self.module.declare(f"declare {t} {name}({t}, {t}, {t})")
        return self.put(f"call {t} {name}({t} {a}, {t} {b}, {t} {s})")

    # ---- the body

    def share(self, p: str, first: str) -> list[tuple[str, int, bool]]:
        """What the maps of a tile will read and write, as much as a panel's products ask for: where that begins, the
        bytes for each run through their loop, and whether it is written.

        Rows of different groups do not lie together, so some of what is asked for may be in vain.
        """
        parts, together = shared_rows(self.laid)
        row = self.put(f"mul nuw nsw i64 {self.put(f'udiv i64 {p}, {parts}')}, {together}")
        row = self.row_of_step(self.put(f"add nuw nsw i64 {first}, {row}"))
        part = self.put(f"urem i64 {p}, {parts}")
        found = []
        for name, pitch in self.pitches().items():
            own, each = shared_bytes(self.laid, pitch)
            start = self.at(self.at(self.places[name], row, pitch), part, own)
            found.append((start, each, name[0] == "result"))
        return found

    def pitches(self) -> dict[Name, int]:
        """Bytes of a row of each sequence and result that is there."""
        size = self.dt.itemsize
        found = {("sequence", k): n * self.laid.how.units * size for k, n in enumerate(self.how.sequences)}
        found |= {("result", k): self.laid.pitch(k, size) * size for k in range(len(self.how.results))}
        return {name: pitch for name, pitch in found.items() if name in self.places}

    def ask(self, index: str) -> None:
        """Asks for the lines that are a run's part of what is asked for."""
        self.module.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        for start, each, written in self.asked:
            by = self.put(f"mul nuw nsw i64 {index}, {each // UNROLLED}")
            place = self.put(f"getelementptr i8, ptr {start}, i64 {by}")
            for line in range(0, each, LINE):
                to = self.moved(place, line)
                self.chain[-1].body.append(f"  call void @llvm.prefetch.p0(ptr {to}, i32 {int(written)}, i32 2, i32 1)")

    def row_of_step(self, r: str) -> str:
        """The number of a row among those of all steps."""
        row = self.row(r)
        if self.how.group:
            inside = self.put(f"urem i64 {row}, {self.how.group}")
            before = self.put(f"sub nuw nsw i64 {row}, {inside}")
            row = self.put(f"add nuw nsw i64 {self.put(f'mul nuw nsw i64 {before}, {self.steps}')}, {inside}")
        return self.put(f"add nuw nsw i64 {self.first_row}, {row}")

    def maps(self, r: str) -> None:
        """The body for all units of a row."""
        row = self.row_of_step(r)
        units, size, how = self.laid.how.units, self.dt.itemsize, self.how

        def outside(name: str, slots: Iterable[int], pitches: Iterable[int]) -> list[list[str | None]]:
            arrays = zip(slots, pitches)
            return [self.slots(self.places.get((name, k)), row, p * size, n) for k, (n, p) in enumerate(arrays)]

        carried, new = self.carried(r)
        sums = self.slots("%workspace", r, self.sums[1], how.products, self.sums[0], self.laid.part)
        sequences = outside("sequence", how.sequences, [n * units for n in how.sequences])
        results = outside("result", how.results, [self.laid.pitch(k, size) for k in range(len(how.results))])
        given = [*chain(*sequences), *sums, *chain(*carried)]
        to = [*chain(*results), *chain(*new)]
        for stage in self.stages:
            self.along(self.units, partial(self.unit, stage, given, to))

    def carried(self, r: str) -> tuple[list[list[str | None]], list[list[str | None]]]:
        """The slots of a row's carries: where they are, and where new ones go."""
        found = [self.slots("%workspace", r, pitch, n, at) for (at, pitch), n in zip(self.carries, self.how.carries)]
        return found, found

    def slots(
        self, pointer: str | None, row: str, pitch: int, slots: int, by: int = 0, of: int = 0
    ) -> list[str | None]:
        """Where the slots of a row begin, ``of`` so many elements; None if the array is not there."""
        if pointer is None:
            return [None] * slots
        start = self.at(pointer, row, pitch, by)
        return [self.moved(start, k * (of or self.laid.how.units) * self.dt.itemsize) for k in range(slots)]

    def unit(self, stage: Stage, given: list[str | None], to: list[str | None], x: str) -> None:
        """A stage of the body for a vector of units."""
        known = {v: self.load(self.element(self.kept(v), x)) for v in stage.earlier}

        def value(v: Value) -> str:
            if v not in known:
                known[v] = self.computed_value(v, given, x, value)
            return known[v]

        outputs = [(self.how.body.outputs[k], to[k]) for k in stage.outputs]
        found = [(value(v), place) for v, place in outputs if place is not None]
        found += [(value(v), self.kept(v)) for v in stage.later]
        for register, place in found:
            self.store(register, self.element(place, x))

    def kept(self, v: Value) -> str:
        """Where a row's numbers wait for the next stage."""
        return self.moved("%workspace", self.between + self.waiting[v] * self.how.units * self.dt.itemsize)

    def computed_value(self, v: Value, given: list[str | None], x: str, value: Callable[[Value], str]) -> str:
        """A value of the body."""
        if v.kind == "input":
            place = given[v.params[0]]
            return constant(0.0, self.base, self.lanes) if place is None else self.load(self.element(place, x))
        if v.kind == "const":
            return constant(v.params, base_type(v.dtype), self.lanes)
        args = [value(a) for a in v.args]
        return maps.emit(self.ops(self.lanes), v.name, args, tuple([a.dtype for a in v.args]), v.dtype)
