"""Why pending work was realised, read from the call stack, and why a program was compiled, read from its nodes."""

from __future__ import annotations

import os
import sysconfig
from collections import Counter
from collections.abc import Iterable
from types import FrameType
from typing import Any, NamedTuple

from ..graph.epoch import BUDGET, threads
from ..graph.node import PACKAGE, Node
from ..graph.program import in_order

STANDARD = sysconfig.get_path("stdlib") + os.sep
SHOWN_DIFFERENCES = 3

# What a user called, by the function of flambeau that the call entered.
CALLS = {
    "__repr__": "print", "__str__": "print", "__format__": "print", "__bool__": "a branch (bool)",
    "__float__": "float()", "__int__": "int()", "__index__": "an index (int)", "__complex__": "complex()",
    "__array__": "numpy", "__iter__": "iteration", "__contains__": "in", "__reduce_ex__": "pickling",
    "__deepcopy__": "deepcopy", "__dlpack__": "DLPack", "_settle": "the profiler begins or ends",
}  # fmt: skip
FOLDERS = {"optim": "optimizer.step", "serialization": "saving or loading"}
SEVERAL_THREADS = ("_take_over", "__enter__")


class Cause(NamedTuple):
    """Why pending work was run.

    Attributes:
        what: item, print, numpy, optimizer.step, budget, ...
        file: the user's file.
        line: the user's line; 0 if no code of the user is on the stack.
    """

    what: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.what} at {self.file}:{self.line}" if self.line else self.what


def cause(frame: FrameType | None) -> Cause:
    """Why the work is realised that the caller of this frame realises."""
    entered: list[tuple[str, str]] = []
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE):
            entered.append((file[len(PACKAGE) :].replace(os.sep, "/"), frame.f_code.co_name))
        elif not file.startswith((STANDARD, "<frozen")) or "site-packages" in file:
            break
        frame = frame.f_back
    file, line = (frame.f_code.co_filename, frame.f_lineno) if frame else ("", 0)
    return Cause(_what(entered), file, line)


def _what(entered: list[tuple[str, str]]) -> str:
    if threads.epoch.bytes > BUDGET:
        return "budget: pending results would take too much memory, or are too many"
    if any(file == "graph/epoch.py" and name in SEVERAL_THREADS for file, name in entered):
        return "another thread goes on"
    for file, name in entered:
        if name in CALLS:
            return CALLS[name]
        if file.split("/")[0] in FOLDERS:
            return FOLDERS[file.split("/")[0]]
    return entered[-1][1] if entered else "the end of the program"


# ---- why a program is compiled


class Outline(NamedTuple):
    """A program's nodes in order: their operators with the numbers of their inputs, their types, their constants."""

    calls: tuple[tuple[str, tuple[int, ...]], ...]
    results: tuple[int, ...]
    types: tuple[Any, ...]
    constants: tuple[Any, ...]
    nodes: tuple[Node, ...]

    @property
    def operators(self) -> Counter[str]:
        """How often each operator is there."""
        return Counter(name for name, _ in self.calls if name not in ("leaf", "scalar", "part"))


def outline(key: tuple[Node, ...]) -> Outline:
    """The outline of the program of these nodes."""
    order = in_order(key)
    number = {node: k for k, node in enumerate(order)}
    calls = tuple([(node.op.name, tuple([number[i] for i in node.ins])) for node in order])
    constants = tuple([node.attrs for node in order])
    return Outline(calls, tuple([number[n] for n in key]), tuple([n.ty for n in order]), constants, tuple(order))


def why_compiled(new: Outline, known: Iterable[tuple[int, Outline]]) -> str:
    """What distinguishes a program from the nearest of those compiled before, which come with their numbers."""
    before = list(known)
    if not before:
        return "the first program"
    alike = [(k, o) for k, o in before if o.calls == new.calls]
    if not alike:
        k, other = min(before, key=lambda one: _distance(new, one[1]))
        return f"new structure: {_operator_difference(new, other)} (nearest: program {k})"
    differences = [(_differences(new, o), k) for k, o in alike]
    found, k = min(differences, key=lambda one: len(one[0]))
    if not found:
        return f"the operators of program {k}, of which other results are held"
    more = f", and {len(found) - SHOWN_DIFFERENCES} more" if len(found) > SHOWN_DIFFERENCES else ""
    return f"program {k} with other {'; '.join(found[:SHOWN_DIFFERENCES])}{more}"


def _distance(a: Outline, b: Outline) -> int:
    return sum(((a.operators - b.operators) + (b.operators - a.operators)).values())


def _operator_difference(new: Outline, other: Outline) -> str:
    added, gone = new.operators - other.operators, other.operators - new.operators
    words = [f"+{n} {name}" for name, n in added.most_common()] + [f"-{n} {name}" for name, n in gone.most_common()]
    if not words:
        return "the same operators, connected otherwise"
    return ", ".join(words[:8]) + (f", and {len(words) - 8} more" if len(words) > 8 else "")


def _differences(new: Outline, other: Outline) -> list[str]:
    """Types of inputs that differ; where they do not, constants of operators; where those do not, results' types."""
    types = [(k, a, b) for k, (a, b) in enumerate(zip(new.types, other.types)) if a is not b]
    inputs = [f"{_kind(a, b)}: {a} for {b}" for k, a, b in types if new.calls[k][0] in ("leaf", "scalar")]
    if inputs:
        return list(dict.fromkeys(inputs))
    constants = [
        f"constant of {new.calls[k][0]}{_place(new.nodes[k])}: {_short(a)} for {_short(b)}"
        for k, (a, b) in enumerate(zip(new.constants, other.constants))
        if a != b
    ]
    return constants or [f"{_kind(a, b)} of {new.calls[k][0]}{_place(new.nodes[k])}: {a} for {b}" for k, a, b in types]


def _kind(a: Any, b: Any) -> str:
    if isinstance(a, tuple) or isinstance(b, tuple):
        return "types"
    if a.dtype is not b.dtype:
        return "dtype"
    return "shape" if a.shape != b.shape else "layout"


def _place(node: Node) -> str:
    return f" at {node.src[0]}:{node.src[1]}" if node.src else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
