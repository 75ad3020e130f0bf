"""What native programs are beside their sizes, as plain data: tables, made once of the steps that a planner gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..contract_order import decisive
from . import parts
from .native_program import AlikeTold, Tables
from .places import Memory, Place, Product, Step
from .sizes import ONE, Size, flat, times

ARENA, NUMBERS = 0, 1  # buffers of a run, behind its arrays
OPERANDS, ARGUMENTS, ARRAYS = range(3)  # tables that sizes are written to


def tables(
    steps: Sequence[Step], inputs: dict[int, Memory], outputs: Sequence[Memory], given: dict[int, Any],
    conditions: Sequence[Any],
) -> tuple[Tables, list[int]]:  # fmt: skip
    """The tables of a native program, and the addresses of its kernels.

    Args:
        steps: its steps, in order.
        inputs: the numbers of the inputs that they read, with their memory.
        outputs: the memory of its outputs.
        given: the dtypes of the run-time numbers, by ordinal.
        conditions: what must hold of sizes for the steps to serve them.
    """
    seen = dict.fromkeys([p.memory for s in steps for p in s.places])
    kept = [m for m in seen if m.kind in ("constant", "counts")]
    own = [m for m in seen if m.kind == "own"]
    numbers = [m for m in seen if m.kind == "number"]
    addresses = list(dict.fromkeys([s.kernel for s in steps if s.product is None]))
    layout = _Layout(steps, [*inputs.values(), *outputs, *kept], own, numbers)
    at = {address: k for k, address in enumerate(addresses)}
    alike = _alike(steps, layout.begins)
    walked = [k for k, s in enumerate(steps) if s.product is None]
    sums = [*layout.sums, *[[m.numel] for m in outputs], [times(*s.places[-1].shape) for s in steps]]
    sums += [[n] for product, which in alike for n in _asked(product, steps[which[0]])]
    return Tables(
        inputs=[*inputs],
        outputs=[m.dtype.name for m in outputs],
        kept=[(m.kind, m.what, _plain(m.numel), m.dtype.name) for m in kept],
        own=_lives(steps, own),
        numbers=[(m.what, m.dtype.name) for m in numbers],
        given=[(k, dt.name) for k, dt in given.items()],
        labels=[s.label for s in steps],
        kernels=[at.get(s.kernel, -1) for s in steps],
        executor=layout.executor(),
        fixed=_words(layout.own_rows),
        moving=_words(layout.moving),
        places=_words(layout.places),
        words=layout.words,
        sums=tuple(flat(sums)),
        walked=_words([walked, [layout.begins[k] for k in walked], [len(steps[k].places) for k in walked]]),
        work=[(parts.NANOSECONDS.get(steps[k].label, parts.OTHERS), _plain(steps[k].work)) for k in walked],
        products=[tuple(_told(product, which, steps, layout.begins)) for product, which in alike],
        conditions=[(type(c).__name__, [[_plain(s) for s in shape] for shape in c]) for c in conditions],
    ), addresses


def _plain(s: Size) -> tuple[int, tuple[int, ...]]:
    return s.factor, s.places


def _words(rows: Sequence[Any]) -> bytes:
    return np.array(rows, np.int64).tobytes()


class _Layout:
    """Where the executor's tables have what: operands' addresses and words of each step, one after the other.

    Attributes:
        begins: of each step's words.
        sums: what follows from sizes and is written there: words, then where memory begins.
        words: how many of these are words.
        places: for each of them the table and the byte.
        own_rows: for each place in memory between steps its row among arguments, the memory, and where it begins there.
        moving: for each place whose beginning follows from sizes the memory between steps that it is in, or -1.
    """

    def __init__(
        self, steps: Sequence[Step], arrays: Sequence[Memory], own: Sequence[Memory], numbers: Sequence[Memory]
    ) -> None:
        self.arrays = {m: k for k, m in enumerate(arrays)}
        self.own = {m: k for k, m in enumerate(own)}
        self.numbers = {m: 8 * k for k, m in enumerate(numbers)}
        self.operands: list[int] = []
        self.rows: dict[int, list[list[int]]] = {ARGUMENTS: [], ARRAYS: []}
        self.begins: list[int] = []
        self.steps: list[list[int]] = []
        self.own_rows: list[tuple[int, int, int]] = []
        self.moving: list[int] = []
        words: list[tuple[int, list[Size]]] = []
        offsets: list[tuple[int, int, list[Size]]] = []
        for s in steps:
            self.steps.append([0, len(self.operands), 0, 1])
            for p in s.places:
                offsets += self._place(p)
            self.begins.append(len(self.operands))
            words += [(len(self.operands) + k, [w]) for k, w in enumerate(s.words) if w.places]
            self.operands += [w.factor for w in s.words]
        self.words = len(words)
        self.sums = [*[one for _, one in words], *[one for *_, one in offsets]]
        self.places = [
            *[(OPERANDS, 8 * k) for k, _ in words],
            *[(table, 8 * (3 * row + 2)) for table, row, _ in offsets],
        ]

    def _place(self, p: Place) -> list[tuple[int, int, list[Size]]]:
        """Adds an operand; where it begins, if that follows from sizes."""
        m = p.memory
        table = ARRAYS if m in self.arrays else ARGUMENTS
        rows = self.rows[table]
        first = sum([o.factor for o in p.offset if not o.places])
        index = self.arrays.get(m, len(self.arrays) + (ARENA if m.kind == "own" else NUMBERS))
        rows.append([len(self.operands), 8 * index, self.numbers.get(m, first)])
        self.operands.append(0)
        if m.kind == "own":
            self.own_rows.append((len(rows) - 1, self.own[m], first))
        if not any(o.places for o in p.offset):
            return []
        self.moving.append(self.own.get(m, -1))
        return [(table, len(rows) - 1, list(p.offset))]

    def executor(self) -> list[bytes]:
        """The tables of the executor, as ``Executor.of_tables`` takes them."""
        segments = [[k, 1, 1] for k in range(len(self.steps))]
        return [*map(_words, (segments, self.steps, [*self.operands, 0], self.rows[ARGUMENTS], self.rows[ARRAYS]))]


def _lives(steps: Sequence[Step], own: Sequence[Memory]) -> list[tuple[Any, int, int, int]]:
    """Of memory between steps the elements, bytes of one, the first and the last step that reads or writes it."""
    found: dict[Memory, tuple[int, int]] = {}
    for k, s in enumerate(steps):
        for p in s.places:
            if p.memory.kind == "own":
                found[p.memory] = found.get(p.memory, (k, k))[0], k
    return [(_plain(m.numel), m.dtype.itemsize, *found[m]) for m in own]


# ---- products


def _alike(steps: Sequence[Step], begins: Sequence[int]) -> list[tuple[Product, list[int]]]:
    """The products of a program with the steps that they are, those together that are the same but for their memory."""
    found: dict[Any, tuple[Product, list[int]]] = {}
    for k, s in enumerate(steps):
        p = s.product
        if p is not None:
            found.setdefault((p.v.params, p.v.name, p.v.dtype, *p[1:], s.words), (p, []))[1].append(k)
    return list(found.values())


def _asked(product: Product, s: Step) -> list[Size]:
    """What of sizes decides how a product is computed: of its labels, how far apart columns lie, of what is whole."""
    return [*s.words[: len(product.labels)], product.columns, *[n for _, n in product.whole]]


def _told(product: Product, which: Sequence[int], steps: Sequence[Step], begins: Sequence[int]) -> AlikeTold:
    """What a run must know of a product to decide for its own sizes how it is computed."""
    v, one = product.v, steps[which[0]]
    shapes = [n for own in (*product.shapes, *product.strides, product.sums) for n in own]
    told = [*shapes, product.columns, *one.words, *[n for _, n in product.whole]]
    deciding = decisive(v)
    names = [*product.labels, *[c for c, _ in product.whole]]
    read = zip(product.shapes, product.strides)
    return AlikeTold(
        name=v.name, params=v.params, shape=v.shape, dtype=v.dtype.name,
        operands=[(a.shape, a.dtype.name) for a in v.args],
        which=[*which], words=[begins[k] + len(steps[k].words) for k in which],
        count=len(product.labels), asked=len(_asked(product, one)),
        decisive=sorted({k for n in told for k in n.places}),
        names=names, exact=[c in deciding for c in names],
        dense=all(s.factor or n == ONE for shape, own in read for n, s in zip(shape, own)),
        shapes=[[_plain(n) for n in own] for own in product.shapes],
        strides=[[_plain(n) for n in own] for own in product.strides],
        sums=[_plain(n) for n in product.sums],
    )  # fmt: skip
