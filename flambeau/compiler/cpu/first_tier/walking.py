"""LLVM text of a kernel that walks through operands of several dimensions with a ufunc's loop.

What the kernel is told, in words: where each operand begins, ``OUTER`` sizes, for each of these dimensions a step in
bytes for each operand; into how many parts the outermost dimension and that of the loop are cut (a chunk is one part of
both); then what the loop is told, its sizes and steps, as they lie.
"""

from __future__ import annotations

import functools
from itertools import count

from ..code_cache import default
from .parts import LINE, OUTER, PARTS
from .text import Loop, Writer

KERNEL = "define void @kernel(ptr %operands, i64 %chunk, ptr %workspace) nounwind"


@functools.lru_cache(1000)
def walker(loop: str, operands: int, sizes: int) -> int:
    """The address of the kernel for a module with a ``loop`` of so many operands, results included, and sizes."""
    return default().load([loop + _kernel(operands, sizes)])[0]["kernel"]


def _kernel(operands: int, sizes: int) -> str:
    """The kernel: reads what a step is told, cuts out the part that this chunk is, and walks through it."""
    w = Writer(default().target, 1)
    w.label("entry")
    given, dims = w.put(f"alloca [{operands} x ptr]"), w.put(f"alloca [{sizes} x i64]")
    places = [w.word("%operands", k, "ptr") for k in range(operands)]
    places_of_words = count(operands)

    def read(n: int) -> list[str]:
        return [w.word("%operands", next(places_of_words)) for _ in range(n)]

    counts, steps, parts, own = read(OUTER), [read(operands) for _ in range(OUTER)], read(PARTS), read(sizes)
    inner = w.put(f"getelementptr i64, ptr %operands, i64 {next(places_of_words)}")
    along = [w.word(inner, k) for k in range(operands)]
    at = [w.put(f"udiv i64 %chunk, {parts[1]}"), w.put(f"urem i64 %chunk, {parts[1]}")]
    begin, counts[0] = _part(w, counts[0], parts[0], at[0], 1)
    places = [w.at(p, w.put(f"mul i64 {begin}, {s}")) for p, s in zip(places, steps[0])]
    begin, own[0] = _part(w, own[0], parts[1], at[1], LINE if sizes == 1 else 1)
    places = [w.at(p, w.put(f"mul i64 {begin}, {s}")) for p, s in zip(places, along)]
    for k, n in enumerate(own):
        w.do(f"store i64 {n}, ptr {w.at(dims, str(8 * k))}")
    _walk(w, counts, steps, places, (given, dims, inner))
    w.do("ret void")
    return w.function(KERNEL)


def _walk(w: Writer, counts: list[str], steps: list[list[str]], places: list[str], told: tuple[str, str, str]) -> None:
    """Calls the loop for all indices around it; ``told``: where its operands, sizes and steps are noted."""
    given, dims, inner = told
    loops, before = [], "entry"
    for d, (n, step) in enumerate(zip(counts, steps)):
        loops.append(Loop(w, f"d{d}", n, before, {}, ""))
        places = [w.at(p, w.put(f"mul i64 %d{d}, {s}")) for p, s in zip(places, step)]
        before = f"d{d}.body"
    for k, place in enumerate(places):
        w.do(f"store ptr {place}, ptr {w.at(given, str(8 * k))}")
    w.do(f"call void @loop(ptr {given}, ptr {dims}, ptr {inner}, ptr null)")
    for loop in reversed(loops):
        loop.end({})


def _part(w: Writer, n: str, parts: str, at: str, unit: int) -> tuple[str, str]:
    """Where one of several parts of so many begins, and how many it has; all but the last of a multiple of a unit."""
    each = w.over(n, parts)
    if unit > 1:
        each = w.put(f"mul i64 {w.over(each, str(unit))}, {unit}")
    begin = w.least(w.put(f"mul i64 {at}, {each}"), n)
    return begin, w.least(w.put(f"sub i64 {n}, {begin}"), each)


def rows_taken() -> str:
    """The module of a loop that copies rows: of indices, the rows' memory and the result.

    It is told how many there are and the bytes of a row, the steps of all three, and that from row to row in memory.
    """
    w = Writer(default().target, 1)
    w.label("entry")
    places = [w.word("%args", k, "ptr") for k in range(3)]
    count, size = [w.word("%dims", k) for k in range(2)]
    steps = [w.word("%steps", k) for k in range(4)]
    loop = Loop(w, "i", count, "entry", {}, "")
    at = [w.at(p, w.put(f"mul i64 %i, {s}")) for p, s in zip(places, steps)]
    row = w.at(at[1], w.put(f"mul i64 {w.word(at[0], 0)}, {steps[3]}"))
    w.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {at[2]}, ptr {row}, i64 {size}, i1 false)")
    w.module.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
    loop.end({})
    w.do("ret void")
    return w.loop()
