"""Plans that serve all sizes, on the disk: a text's first tokens in a new process run as one native call each.

An entry is found by a program's structure and by what made it (source, versions, processor), as compiled programs are
(``cpu/stored.py``). It holds the steps, the kernels by the names of their code, and what sizes say of types. A
structure that a process meets once leaves a mark alone: the next process that meets it plans it at once. So what
never comes back costs no planning.
"""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from typing import Any

from ..compiler.cpu import stored
from ..compiler.cpu.code_cache import default
from ..compiler.cpu.first_tier import matrices
from ..compiler.cpu.first_tier.native_program import NativeProgram, Tables
from ..dtypes import get_dtype
from ..graph.node import Node
from ..graph.program import Program
from .patterns import Told

LOOKS = 64  # structures of a process that are looked for
MARKS = 16  # of a process that are marked
PLANS = 8  # of a process that are planned because another one has met them
MARK, REFUSED = b"met", b"refused"
LEAST, LONG = 16, 600  # nodes of a program that is looked for

_looked = [0, 0, 0]  # structures that were looked for, those that were marked, and those that are planned for that


class Planned:
    """What programs of one structure share.

    Args:
        tables: the native program.
        kernels: the addresses of its kernels.
        operators, kinds: how many of them there are.
        types: what sizes say of the types of the nodes, in a program's order; None for those that are not computed.

    Attributes:
        native: the program.
    """

    def __init__(
        self, tables: Tables, kernels: Sequence[int], operators: int, kinds: int, types: Sequence[Told | None]
    ) -> None:
        self.native = NativeProgram(tables, kernels, _holding(tables.conditions))
        self.kernels, self.operators, self.kinds, self.types = kernels, operators, kinds, types

    def told(self, p: Program) -> dict[Node, Told | None]:
        """What sizes say of the types of the nodes of a program of this structure that are computed."""
        return {n: told for n, told in zip(p.order, self.types) if told is not None}


def _holding(conditions: Sequence[tuple[str, Any]]) -> list[Any]:
    """What must hold of sizes, as functions."""
    if not conditions:
        return []
    from .conditions import CONDITIONS

    return [CONDITIONS[name](*shapes) for name, shapes in conditions]


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


def keep(name: str | None, planned: Planned) -> None:
    """Stores what programs of a structure share."""
    if name is None:
        return
    code, tables = default(), planned.native.tables
    dtypes = dict.fromkeys([one.dtype for one in planned.native.products])
    products = [(lanes, dt.name, code.key(matrices.text(lanes, dt))) for dt in dtypes for lanes in (False, True)]
    told = {t: k for k, t in enumerate(dict.fromkeys(filter(None, planned.types)))}
    types = [-1 if t is None else told[t] for t in planned.types]
    plain = [(t.row_major, tuple([tuple([tuple(s) for s in one]) for one in t.sums])) for t in told]
    try:
        kernels = code.names(planned.kernels)
        content = marshal.dumps((planned.operators, planned.kinds, kernels, products, tuple(tables), plain, types))
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
    operators, kinds, kernels, products, tables, plain, types = marshal.loads(content)
    found = default().find([key for key, _ in kernels])
    if found is None:
        return None
    for in_lanes, dt, key in products:
        functions = default().find([key])
        if functions is not None:
            matrices.kernels.setdefault((in_lanes, get_dtype(dt)), functions[0]["kernel"])
    told = [*[Told(*one) for one in plain], None]
    addresses = [one[called] for one, (_, called) in zip(found, kernels)]
    return Planned(Tables(*tables), addresses, operators, kinds, [told[k] for k in types])
