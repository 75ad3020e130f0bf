"""LLVM text of a kernel that walks through operands of several dimensions with a ufunc's loop.

What the kernel is told, in words: where each operand begins, ``OUTER`` sizes, for each of these dimensions a step in
bytes for each operand; then what the loop is told, its sizes and steps, as they lie.
"""

from __future__ import annotations

import functools

from ..code_cache import default
from .text import Loop, Writer

OUTER = 3  # dimensions around the loop
KERNEL = "define void @kernel(ptr %operands, i64 %chunk, ptr %workspace) nounwind"


@functools.lru_cache(1000)
def walker(loop: str, operands: int, sizes: int) -> int:
    """The address of the kernel for a module with a ``loop`` of so many operands, results included, and sizes."""
    return default().load([loop + _kernel(operands, sizes)])[0]["kernel"]


def _kernel(operands: int, sizes: int) -> str:
    w = Writer(default().target, 1)
    w.label("entry")
    given = w.put(f"alloca [{operands} x ptr]")
    places = [w.word("%operands", k, "ptr") for k in range(operands)]
    counts = [w.word("%operands", operands + d) for d in range(OUTER)]
    first = operands + OUTER
    steps = [[w.word("%operands", first + d * operands + k) for k in range(operands)] for d in range(OUTER)]
    told = first + OUTER * operands
    dims, inner = [w.put(f"getelementptr i64, ptr %operands, i64 {k}") for k in (told, told + sizes)]
    loops, before = [], "entry"
    for d, (count, own) in enumerate(zip(counts, steps)):
        loops.append(Loop(w, f"d{d}", count, before, {}, ""))
        places = [w.at(p, w.put(f"mul i64 %d{d}, {s}")) for p, s in zip(places, own)]
        before = f"d{d}.body"
    for k, place in enumerate(places):
        w.do(f"store ptr {place}, ptr {w.at(given, str(8 * k))}")
    w.do(f"call void @loop(ptr {given}, ptr {dims}, ptr {inner}, ptr null)")
    for loop in reversed(loops):
        loop.end({})
    w.do("ret void")
    return w.function(KERNEL)


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
