"""Plans that serve all sizes, on the disk: a text's first tokens in a new process run as one native call each.

An entry is found by a program's structure and by what made it (source, versions, processor), as compiled programs are
(``cpu/stored.py``). It holds the steps, the kernels by the names of their code, and what sizes say of types. A
structure that a process meets once leaves a mark alone: the next process that meets it plans it at once. So what
never comes back costs no planning.
"""

from __future__ import annotations

import functools
import marshal
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..compiler.cpu import stored
from ..compiler.cpu.code_cache import default
from ..compiler.cpu.first_tier import matrices
from ..compiler.cpu.first_tier.native_program import NativeProgram
from ..compiler.cpu.first_tier.places import Memory, Place, Product, Step
from ..compiler.cpu.first_tier.sizes import Size
from ..compiler.ir import Value
from ..dtypes import get_dtype
from ..graph.node import Node
from ..graph.program import Program
from .conditions import CONDITIONS, Condition
from .patterns import Told

LOOKS = 64  # structures of a process that are looked for
MARKS = 16  # of a process that are marked
PLANS = 8  # of a process that are planned because another one has met them
MARK, REFUSED = b"met", b"refused"
LEAST, LONG = 16, 600  # nodes of a program that is looked for

_looked = [0, 0, 0]  # structures that were looked for, those that were marked, and those that are planned for that


class Plan(NamedTuple):
    """A native program before it is made: what ``NativeProgram`` takes."""

    steps: Sequence[Step]
    inputs: dict[int, Memory]
    outputs: Sequence[Memory]
    given: dict[int, Any]
    conditions: Sequence[Condition]


class Planned:
    """What programs of one structure share.

    Args:
        plan: the native program.
        operators, kinds: how many of them there are.
        types: what sizes say of the types of the nodes, in a program's order; None for those that are not computed.

    Attributes:
        native: the program.
    """

    def __init__(self, plan: Plan, operators: int, kinds: int, types: Sequence[Told | None]) -> None:
        self.native = NativeProgram(*plan)
        self.operators, self.kinds, self.types = operators, kinds, types

    def told(self, p: Program) -> dict[Node, Told | None]:
        """What sizes say of the types of the nodes of a program of this structure that are computed."""
        return {n: told for n, told in zip(p.order, self.types) if told is not None}


def looks(p: Program) -> bool:
    """Is a program's structure looked for? Those that a process meets first, as later ones are rarely there."""
    _looked[0] += 1
    return _looked[0] <= LOOKS and LEAST <= len(p.order) <= LONG


def name_of(text: str | None) -> str | None:
    """The name of a structure's entry; None if it has none."""
    return None if text is None else stored.name_of("all sizes\n" + text, {})


def refuse(name: str | None) -> None:
    """Notes that programs of a structure cannot be planned so."""
    if name is not None:
        stored.store().put(name, REFUSED)


def is_marked(name: str | None) -> bool:
    """Has a structure been met before, by another process? If not, it is marked."""
    if name is None:
        return False
    if stored.store().get(name) is not None:
        _looked[2] += 1
        return _looked[2] <= PLANS
    if _looked[1] < MARKS:
        _looked[1] += 1
        stored.store().put(name, MARK)
    return False


def keep(name: str | None, plan: Plan, planned: Planned) -> None:
    """Stores what programs of a structure share."""
    if name is None:
        return
    try:
        content = marshal.dumps((planned.operators, planned.kinds, *_Writer(plan).packed(planned.types)))
    except (ValueError, KeyError):  # a constant of another kind
        return
    stored.store().put(name, content)


def restored(name: str | None) -> Planned | bool | None:
    """What was stored under a name, if all of it is there; False if nothing can be."""
    content = None if name is None else stored.store().get(name)
    if content is None or content == MARK:
        return None
    if content == REFUSED:
        return False
    operators, kinds, kernels, products, *rest = marshal.loads(content)
    found = default().find([key for key, _ in kernels])
    if found is None:
        return None
    for in_lanes, dt, key in products:
        functions = default().find([key])
        if functions is not None:
            matrices.kernels.setdefault((in_lanes, get_dtype(dt)), functions[0]["kernel"])
    plan, types = _read([one[name] for one, (_, name) in zip(found, kernels)], *rest)
    return Planned(plan, operators, kinds, types)


# ---- writing


class _Writer:
    """A plan as tuples: sizes, memory and kernels by their numbers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sizes: dict[Size, int] = {}
        self.memory: dict[Memory, int] = {}

    def packed(self, types: Sequence[Told | None]) -> tuple[Any, ...]:
        """Kernels, kernels of products, sizes, memory, and then the plan and the types by these."""
        plan, code = self.plan, default()
        addresses = list(dict.fromkeys([s.kernel for s in plan.steps if s.product is None]))
        at = {address: k for k, address in enumerate(addresses)}
        dtypes = dict.fromkeys([s.product.v.dtype for s in plan.steps if s.product])
        products = [(lanes, dt.name, code.key(matrices.text(lanes, dt))) for dt in dtypes for lanes in (False, True)]
        rest = (
            [
                (
                    s.label,
                    at.get(s.kernel, -1),
                    self._places(s),
                    self._shape(s.words),
                    self._product(s),
                    self._size(s.work),
                )
                for s in plan.steps
            ],
            [(k, self._memory(m)) for k, m in plan.inputs.items()],
            [self._memory(m) for m in plan.outputs],
            [(k, dt.name) for k, dt in plan.given.items()],
            [(type(c).__name__, [self._shape(shape) for shape in c]) for c in plan.conditions],
            [None if t is None else (t.row_major, [self._shape(sums) for sums in t.sums]) for t in types],
        )
        memory = [(m.kind, m.what, self._size(m.numel), m.dtype.name) for m in self.memory]
        return code.names(addresses), products, [tuple(s) for s in self.sizes], memory, rest

    def _size(self, s: Size) -> int:
        return self.sizes.setdefault(s, len(self.sizes))

    def _shape(self, shape: Sequence[Size]) -> tuple[int, ...]:
        return tuple(map(self._size, shape))

    def _memory(self, m: Memory) -> int:
        return self.memory.setdefault(m, len(self.memory))

    def _places(self, s: Step) -> list[Any]:
        return [(self._memory(p.memory), self._shape(p.shape), self._shape(p.strides), self._shape(p.offset))
                for p in s.places]  # fmt: skip

    def _product(self, s: Step) -> Any:
        p = s.product
        if p is None:
            return None
        v = p.v.name, p.v.params, p.v.shape, p.v.dtype.name, [(a.shape, a.dtype.name) for a in p.v.args]
        shapes = [self._shape(one) for one in (*p.shapes, *p.strides, p.sums, (p.columns,))]
        return v, p.labels, shapes, [(c, self._size(n)) for c, n in p.whole]


# ---- reading


def _read(kernels: Sequence[int], sizes: Any, memory: Any, rest: Any) -> tuple[Plan, list[Told | None]]:
    """A plan and its types, by the addresses of kernels and by tables."""
    one = [Size(*s) for s in sizes]
    own = [Memory(kind, what, one[numel], get_dtype(dt)) for kind, what, numel, dt in memory]

    @functools.cache
    def shape(numbers: tuple[int, ...]) -> tuple[Size, ...]:
        return tuple([one[k] for k in numbers])

    steps, inputs, outputs, given, conditions, types = rest
    plan = Plan(
        [
            Step(
                label,
                kernels[kernel] if kernel >= 0 else 0,
                tuple([Place(own[m], shape(ns), shape(ss), shape(first)) for m, ns, ss, first in places]),
                shape(words),
                product and _product(product, shape),
                one[work],
            )
            for label, kernel, places, words, product, work in steps
        ],
        {k: own[m] for k, m in inputs},
        [own[m] for m in outputs],
        {k: get_dtype(dt) for k, dt in given},
        [CONDITIONS[name](*map(shape, shapes)) for name, shapes in conditions],
    )
    return plan, [t and Told(t[0], tuple(map(shape, t[1]))) for t in types]


def _product(found: Any, shape: Callable[[tuple[int, ...]], tuple[Size, ...]]) -> Product:
    (name, params, own, dt, operands), labels, shapes, whole = found
    args = tuple([Value("input", "input", (), (k, None), ns, get_dtype(d)) for k, (ns, d) in enumerate(operands)])
    v = Value("contract", name, args, params, own, get_dtype(dt))
    first, second, strides, others, sums, (columns,) = map(shape, shapes)
    return Product(v, (first, second), (strides, others), labels, (sums[0], sums[1]), columns,
                   tuple([(c, shape((k,))[0]) for c, k in whole]))  # fmt: skip
