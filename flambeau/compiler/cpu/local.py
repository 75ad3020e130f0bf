"""Values that live within a chunk: written and read by the kernels of one group only, each chunk for itself.

They lie in the workspace of the thread that computes the chunk, one chunk after another in the same place, which so
stays in that thread's cache; in the arena every chunk's part would be memory of its own. A kernel gets such a value's
place in the workspace as an operand, less what the chunks before its own would take (``Nest.local``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ..ir import Value
from ..memory import ALIGNMENT, Span, plan
from ..placing import IN_PLACE
from .nest_loops import Kernel
from .recurrence import Walk

MOST = 1 << 22  # bytes that a chunk may have of what a recurrence reads or writes: each thread has room for as many


def local_values(
    kernels: Sequence[Kernel | None],
    groups: Sequence[int],
    home: Callable[[Value], Value],
    kept: Collection[Value],
) -> dict[Value, int]:
    """The values that live within a chunk, and how many bytes of each a chunk has.

    Args:
        kernels: in the order in which they run; None is what NumPy computes.
        groups: the number of each one's group.
        home: whose memory a value lies in.
        kept: outputs and other values that must lie in memory as a whole, such as what NumPy reads. So must what
            recurrences read and write, but for small pieces of their chunks.
    """
    found: dict[Value, int] = {}
    used: dict[Value, set[int]] = {}
    read: set[Value] = set()
    walked: set[Value] = set()
    shared = set(kept)
    for k, group in zip(kernels, groups):
        for v, written in k.operands if k is not None else ():
            used.setdefault(v, set()).add(group)
            read.update(() if written else (v,))
            in_pieces = k.nest.in_pieces() if k is not None and isinstance(k.nest, Walk) else None
            walked.update(() if in_pieces is None else (v,))
            if home(v) is not v or (in_pieces is not None and v not in in_pieces):
                shared.update((v, home(v)))
            if written and k is not None and k.chunks > 1 and k.axis >= 0 and v.kind not in IN_PLACE:
                store = next(s for s in k.nest.stores if s.value is v)
                found[v] = k.apart(store.address) * v.dtype.itemsize
    shared.update([v for v in walked if found.get(v, 0) > MOST])
    return {v: n for v, n in found.items() if n > 0 and v in read and v not in shared and len(used[v]) == 1}


def local_places(
    kernels: Sequence[Kernel | None], values: dict[Value, int], taken: int
) -> tuple[dict[Value, int], int]:
    """Where in the workspace they lie, behind the bytes that kernels take for themselves, and the size of it all."""
    spans: dict[Value, Span] = {}
    for i, k in enumerate(kernels):
        for v, _ in k.operands if k is not None else ():
            if v in values:
                first = spans[v].first if v in spans else i
                spans[v] = Span(values[v], first, i)
    offsets, size = plan(spans)
    start = -(-taken // ALIGNMENT) * ALIGNMENT
    return {v: start + at for v, at in offsets.items()}, start + size
