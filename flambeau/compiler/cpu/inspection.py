"""What a planned program consists of, as plain facts: its kernels, what NumPy computes, its memory.

Read by what shows programs (``FLAMBEAU_SHOW``, ``flambeau explain``, the profiler); nothing here is used to run them.
"""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any, NamedTuple

from ..ir import Function, Value
from ..loops import Nest, Node
from .execute import Executable
from .executor import Executor
from .nest import Kernel
from .recurrence import Walk
from .stored import Restored


class KernelFacts(NamedTuple):
    """One generated kernel.

    Attributes:
        title: what it computes, and the type of what it writes.
        calls: the operators that its sums and results come from, by line: ``conv2d, relu at train.py:22``.
        reads: the values that it reads.
        writes: the values that it writes.
        sizes: of its loops, outermost first.
        chunks: into how many independent parts it is cut.
        flops: arithmetic operations, a function such as ``exp`` counting as one.
        bytes: the memory that it reads and writes, each operand once.
        text: LLVM assembly.
    """

    title: str
    calls: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    sizes: tuple[int, ...]
    chunks: int
    flops: float
    bytes: float
    text: str


class MemoryFacts(NamedTuple):
    """Bytes that a program holds between runs or needs in one.

    Attributes:
        inputs: read from the user's tensors.
        outputs: written to new tensors, or to memory that a tensor gave up.
        donated: those outputs' share that is written in place of an input which nobody else holds.
        arena: results between kernels, placed so that those that are never alive together share memory.
        separate: what those results would take one beside the other.
        workspace: of each thread.
        kept: buffers of outputs that are written again as soon as nobody holds them.
        places: offset and bytes of each result in the arena.
    """

    inputs: int
    outputs: int
    donated: int
    arena: int
    separate: int
    workspace: int
    kept: int
    places: dict[str, tuple[int, int]]


def kernels(executable: Executable | Restored) -> list[KernelFacts]:
    """The generated kernels, in the order in which they run."""
    return [_facts(k) for k in planned(executable).kernels if k is not None]


def natives(executable: Executable | Restored) -> list[Executor]:
    """The native programs, in the order in which they run; together they have the kernels that ``kernels`` gives."""
    if isinstance(executable, Restored):
        return [executable.native]
    return [step.native for step in executable.steps if not isinstance(step, Value)]


def by_numpy(executable: Executable | Restored) -> list[Value]:
    """What NumPy computes between them."""
    return [step for step in planned(executable).steps if isinstance(step, Value)]


def memory(executable: Executable | Restored) -> MemoryFacts:
    """The memory plan."""
    outputs, executable = executable.outputs, planned(executable)
    places = {name_of(v): (at, nbytes(v)) for v, at in executable.offsets.items()}
    return MemoryFacts(
        inputs=sum(nbytes(v) for v in executable.f.values if v.kind == "input"),
        outputs=sum(t.nbytes for t in executable.types),
        donated=sum(executable.types[k].nbytes for k in executable.inplace),
        arena=executable.arena.size,
        separate=sum(size for _, size in places.values()),
        workspace=executable.workspace,
        kept=outputs.nbytes,
        places=places,
    )


def name_of(v: Value) -> str:
    """A value as listings show it."""
    return f"%{v.index}"


def type_of(v: Value) -> str:
    """A value's dtype and shape."""
    return f"{v.dtype.name}{list(v.shape)}"


def nbytes(v: Value) -> int:
    """The bytes of a value in memory."""
    return prod(v.shape) * v.dtype.itemsize


def listing(f: Function) -> str:
    """A function in the IR, one definition a line; long parameters are cut."""
    lines = [line if len(line) <= 160 else line[:157] + "..." for line in repr(f).splitlines()]
    return "\n".join(lines)


def _facts(k: Kernel) -> KernelFacts:
    reads = tuple([name_of(v) for v, written in k.operands if not written])
    writes = tuple([name_of(v) for v, written in k.operands if written])
    moved = float(sum(nbytes(v) for v, _ in k.operands))
    sizes = tuple(k.nest.sizes)
    return KernelFacts(_title(k), _calls(k), reads, writes, sizes, k.chunks, _flops(k.nest), moved, k.text)


def _calls(k: Kernel) -> tuple[str, ...]:
    values = [r.value for r in k.nest.reductions] + [v for v, written in k.operands if written]
    lines: dict[str, dict[str, None]] = {}
    for origin in [v.origin for v in values if v.origin is not None]:
        place = f" at {origin.line[0]}:{origin.line[1]}" if origin.line else ""
        lines.setdefault(place, {})[origin.operator] = None
    return tuple([", ".join(operators) + place for place, operators in lines.items()])


def _title(k: Kernel) -> str:
    results = ", ".join(type_of(v) for v, written in k.operands if written)
    return f"{k.nest.title if isinstance(k.nest, Walk) else _words(k)} -> {results}"


def _words(k: Kernel) -> str:
    length = prod(size for size, reduced in zip(k.nest.sizes, k.nest.reduced) if reduced)
    reductions = [r.value.kind if r.value.kind == "contract" else r.value.name for r in k.nest.reductions]
    maps = Counter(node.name for node in k.nest.nodes if node.op == "map")
    if "contract" in reductions:
        maps["mul"] -= 1
    summed = [f"{name} over {length}" for name in dict.fromkeys(reductions)]
    words = [*summed, *[f"{name} x {n}" if n > 1 else name for name, n in maps.items() if n > 0]]
    return " + ".join(words) or "copy"


def _flops(n: Nest) -> float:
    """Operations at all points of the loops. A node is computed once for each index of the loops it depends on."""
    if isinstance(n, Walk):
        return n.flops
    kept = prod(size for size, reduced in zip(n.sizes, n.reduced) if not reduced)
    counted = [node for node in n.nodes if node.op == "map" and node.name != "cast"]
    return float(len(n.reductions) * prod(n.sizes) + sum(kept if a.after else _times(n, a) for a in counted))


def _times(n: Nest, node: Node) -> int:
    return prod(n.sizes[k] for k in node.axes)


def is_native(cache: Any) -> bool:
    """Is this (``Program.cache``) native code, planned in this process or found on the disk?"""
    return isinstance(cache, (Executable, Restored))


def planned(cache: Executable | Restored) -> Executable:
    """The program as it was planned, also if this process found it on the disk."""
    return cache.planned if isinstance(cache, Restored) else cache
