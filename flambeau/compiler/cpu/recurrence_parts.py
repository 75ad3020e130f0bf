"""LLVM text of recurrences of few rows whose weight is larger than a processor's second cache: units are shared out.

A chunk has some of the units, with its part of the weight, and takes all rows through one step. Each step is a segment
of its own, so a thread meets the same part of the weight again and again, and finds it near. What a step hands on to
the next lies in memory that lasts for the run: what is multiplied twice, as others still read the old while a chunk
writes the new. The first turn fills that memory, the last one writes the carries after.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...dtypes import dtype
from .recurrence import Laid
from .recurrence_kernel import Walker, names
from .target import LINE, Target
from .text import When, constant

_texts: dict[tuple[object, ...], tuple[str, int]] = {}


def text_of_parts(laid: Laid, needed: tuple[int, ...], dt: dtype, target: Target) -> tuple[str, int]:
    """The text and the bytes of workspace. Behind batch and steps the code takes the memory that lasts, and the turn:
    0, one for each step, and a last one."""
    key = repr(laid.how), laid.tile, laid.rows, laid.part, laid.there, laid.spaced, needed, dt, target
    if key not in _texts:
        walker = PartsWalker(laid, needed, dt, target)
        _texts[key] = walker.text(), walker.size
    return _texts[key]


def pitches(laid: Laid, itemsize: int) -> list[int]:
    """Bytes from one row of each carry to the next: a line more, so rows fall into many sets of the first cache."""
    return [-(-n * laid.how.units * itemsize // LINE) * LINE + LINE for n in laid.how.carries]


def lasting(laid: Laid, itemsize: int) -> int:
    """Bytes of the memory that lasts for the run."""
    first, *rest = pitches(laid, itemsize)
    return laid.batch * (2 * first + sum(rest))


class PartsWalker(Walker):
    """Emits the kernel of chunks of units. Arguments are those of ``Walker``."""

    def __init__(self, laid: Laid, needed: tuple[int, ...], dt: dtype, target: Target) -> None:
        super().__init__(laid, needed, dt, target)
        count = len(names(laid, needed))
        memory, self.turn = self.argument(count + 2, "ptr"), self.argument(count + 3, "i64")
        self.first, self.here = "0", self.batch
        self.column = "0"  # of the sums: where those of the panel in hand begin
        self.own = self.put(f"mul nuw nsw i64 %chunk, {laid.part * dt.itemsize}")
        for name, place in self.places.items():
            if name[0] in ("initial", "sequence", "result", "after"):
                self.places[name] = self.put(f"getelementptr i8, ptr {place}, i64 {self.own}")
        self._lay_out(memory)

    def rooms(self) -> list[tuple[int, int]]:
        """Carries do not lie in the workspace."""
        return [(0, pitch) for pitch in pitches(self.laid, self.dt.itemsize)]

    def _lay_out(self, memory: str) -> None:
        """Where each carry is read, and where it is written, in this turn; of the first, also where all units are."""
        first, *rest = [pitch for _, pitch in self.carries]
        places = [memory, self.at(memory, self.batch, first)]
        for pitch in [first, *rest[:-1]] if rest else []:
            places.append(self.at(places[-1], self.batch, pitch))
        odd = self.put(f"trunc i64 {self.turn} to i1")
        self.whole = self.put(f"select i1 {odd}, ptr {places[0]}, ptr {places[1]}")
        other = self.put(f"select i1 {odd}, ptr {places[1]}, ptr {places[0]}")
        self.old, self.new = (
            [self.put(f"getelementptr i8, ptr {place}, i64 {self.own}") for place in (one, *places[2:])]
            for one in (self.whole, other)
        )

    def text(self) -> str:
        """The kernel."""
        t = self.put(f"sub nsw i64 {self.turn}, 1")
        for condition, body in (
            (f"icmp eq i64 {self.turn}, 0", self.begin),
            (f"icmp ult i64 {t}, {self.steps}", lambda: self.step(t)),
            (f"icmp eq i64 {t}, {self.steps}", self.finish),
        ):
            self.within(When(frozenset(), False, self.put(condition)), body)
        return self.rendered("kernel")

    def of_own_units(self, body: Callable[[], None]) -> None:
        """``body`` for the units of this chunk, which may be fewer in the last one."""
        part, rest = self.laid.part, self.laid.how.units % self.laid.part
        for units, how in ((part, "ult"), (rest, "eq")) if rest else ((part, ""),):
            self.units = units
            if how:
                here = self.put(f"icmp {how} i64 %chunk, {self.laid.chunks - 1}")
                self.within(When(frozenset(), False, here), body)
            else:
                body()

    # ---- the carries before and after

    def begin(self) -> None:
        """Reads the carries."""
        for k in range(len(self.carries)):
            self.of_own_units(lambda k=k: self.over("0", self.batch, partial(self.begun, k)))  # type: ignore[misc]

    def begun(self, k: int, r: str) -> None:
        """A row of a carry before the first step."""
        source = self.of_row(self.places.get(("initial", k)), k, r)
        self.given_to(source, self.slots(self.new[k], r, self.carries[k][1], self.how.carries[k]))

    def finish(self) -> None:
        """Writes the carries after."""
        for k in range(len(self.carries)):
            if ("after", k) in self.places:
                self.of_own_units(lambda k=k: self.over("0", self.batch, partial(self.finished, k)))  # type: ignore[misc]

    def finished(self, k: int, r: str) -> None:
        """A row of a carry behind the last step."""
        source = self.slots(self.old[k], r, self.carries[k][1], self.how.carries[k])
        self.given_to(source, self.of_row(self.places["after", k], k, r))

    def of_row(self, pointer: str | None, k: int, r: str) -> list[str | None]:
        """The slots of a carry's row in an array of the program."""
        return self.slots(pointer, r, self.how.carries[k] * self.laid.how.units * self.dt.itemsize, self.how.carries[k])

    def given_to(self, source: list[str | None], target: list[str | None]) -> None:
        """Copies slots; zeros where there are none."""
        zeros = constant(0.0, self.base, self.lanes)

        def copy(x: str) -> None:
            for a, b in zip(source, target):
                assert b is not None
                self.store(zeros if a is None else self.load(self.element(a, x)), self.element(b, x))

        self.along(self.units, copy)

    # ---- a step

    def active(self, rows: str) -> None:
        """The products of some rows with the panels of this chunk, a slot after the other, then the maps."""
        blocks, each = self.laid.panels // self.how.products, self.laid.part // self.laid.tile.width
        first = self.put(f"mul nuw nsw i64 %chunk, {each}")
        count = self.least(self.put(f"sub nsw i64 {blocks}, {first}"), each)
        self.over("0", str(self.how.products), lambda slot: self.slot(slot, first, count, rows))
        self.of_own_units(lambda: self.over("0", rows, self.maps))
        if self.how.packed:
            self.of_own_units(lambda: self.over(rows, self.batch, self.stayed, guarded=True))

    def slot(self, slot: str, first: str, count: str, rows: str) -> None:
        """The products of a slot."""
        blocks = self.laid.panels // self.how.products
        start = self.put(f"add nuw nsw i64 {self.put(f'mul nuw nsw i64 {slot}, {blocks}')}, {first}")
        sums = self.put(f"mul nuw nsw i64 {slot}, {self.laid.part * self.dt.itemsize}")

        def block(j: str) -> None:
            by = self.put(f"mul nuw nsw i64 {j}, {self.laid.tile.width * self.dt.itemsize}")
            self.column = self.put(f"add nuw nsw i64 {sums}, {by}")
            self.panel(self.put(f"add nuw nsw i64 {start}, {j}"), rows)

        self.over("0", count, block)

    def sums_of(self, p: str, first: str) -> str:
        """Where the sums of the panel begin, from a row on."""
        rows = self.at("%workspace", first, self.sums[1], self.sums[0])
        return self.put(f"getelementptr i8, ptr {rows}, i64 {self.column}")

    def carry_of(self, first: str) -> str:
        """Where what is multiplied begins, from a row on."""
        return self.at(self.whole, first, self.carries[0][1])

    def share(self, p: str, first: str) -> list[tuple[str, int, bool]]:
        """Nothing is asked for: a panel takes longer than a step's maps wait."""
        return []

    def carried(self, r: str) -> tuple[list[list[str | None]], list[list[str | None]]]:
        """The slots of a row's carries: where they are, and where new ones go."""
        old, new = (
            [self.slots(place, r, pitch, n) for place, (_, pitch), n in zip(places, self.carries, self.how.carries)]
            for places in (self.old, self.new)
        )
        return old, new

    def stayed(self, r: str) -> None:
        """What is multiplied, of a row without a step."""
        old, new = self.carried(r)
        self.given_to(old[0], new[0])
