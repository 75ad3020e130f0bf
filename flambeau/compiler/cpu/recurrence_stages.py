"""In which order a recurrence's body is computed: stage by stage, each for all units of a row.

A vector function is a chain of dozens of operations, and a processor that looks a few hundred instructions ahead
overlaps those of one or two vectors. Few functions in a loop, none of which waits for another, as the tanh of an LSTM's
new cell would for its gates, keep more of them under way. Bits do not change.
"""

from __future__ import annotations

from ..._records import Record
from ..ir import Value
from ..recurrence import Recurrence
from .vector_math import FUNCTIONS

TOGETHER = 3  # functions in a loop, at most


class Stage(Record):
    """A loop over the units of a row.

    Attributes:
        outputs: the numbers of the body's outputs that it writes.
        earlier: values of stages before that it reads.
        later: values that it keeps for stages behind it.
    """

    outputs: tuple[int, ...]
    earlier: tuple[Value, ...] = ()
    later: tuple[Value, ...] = ()


def stages(how: Recurrence, needed: tuple[int, ...], apart: bool) -> list[Stage]:
    """The stages that write some of the body's outputs; one, unless functions come ``apart``.

    Carries are written in the last one, as each may read them.
    """
    outputs = how.body.outputs
    at = _stage_of(how) if apart else {}
    own = {k: at.get(outputs[k], 0) for k in needed}
    last = max(own.values(), default=0)
    own |= {k: last for k in needed if k >= sum(how.results)}
    parts = [tuple([k for k in needed if own[k] == n]) for n in range(last + 1)]
    later: list[dict[Value, None]] = [{} for _ in parts]
    earlier: list[tuple[Value, ...]] = [()] * len(parts)
    for n in reversed(range(last + 1)):
        read = _from_before(n, [*[outputs[k] for k in parts[n]], *later[n]], at)
        earlier[n] = tuple(read)
        for v in read:
            later[at[v]][v] = None
    return [Stage(*parts) for parts in zip(parts, earlier, map(tuple, later))]


def _stage_of(how: Recurrence) -> dict[Value, int]:
    """The stage in which each value that needs functions can be computed.

    One begins where the one before has enough functions, or where a function waits for one of these.
    """
    found: dict[Value, int] = {}
    stage = count = 0
    for v in how.body.values:
        own = [found[a] for a in v.args if a in found]
        if v.name in FUNCTIONS:
            if count == TOGETHER or stage in own:
                stage, count = stage + 1, 0
            count += 1
            own = [stage]
        if own:
            found[v] = max(own)
    return found


def _from_before(stage: int, wanted: list[Value], at: dict[Value, int]) -> list[Value]:
    """What these values of a stage need of stages before; what needs no function is computed again."""
    found: dict[Value, None] = {}
    todo, seen = list(wanted), set(wanted)
    while todo:
        v = todo.pop()
        if at.get(v, stage) < stage:
            found[v] = None
            continue
        new = [a for a in v.args if a not in seen]
        seen.update(new)
        todo += new
    return list(found)
