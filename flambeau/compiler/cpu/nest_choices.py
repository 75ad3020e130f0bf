"""Which loop of a nest runs in vectors, and how wide they are."""

from __future__ import annotations

from math import prod

from ..affine import Affine
from ..loops import Nest, accesses
from . import nest_reduce as partial
from .nest_reduce import LANES
from .target import Target
from .vector_math import FUNCTIONS

ABREAST = 4  # vectors for which a function is computed at a time, where registers are many
MANY = 1 << 18  # points from which on that is worth the time to compile it
SHORT = {"sqrt", "rsqrt", "reciprocal"}  # single instructions, more or less
LOOKING = {"sin", "cos", "tan"}  # at all lanes before they go on, and gain nothing
CHAINS = frozenset(FUNCTIONS) - SHORT - LOOKING


def choose(n: Nest) -> tuple[int | None, bool]:
    """The loop that runs in vectors, and whether it is a reduced one."""
    kept = [k for k, r in enumerate(n.reduced) if not r]
    gone = [k for k, r in enumerate(n.reduced) if r]
    accessed = _weighed(n, gone)
    scores = {k: score(accessed, k, n.sizes[k]) for k in range(len(n.sizes))}
    best = max(kept, key=lambda k: (scores[k], k), default=None)
    if not gone or not row_fits(n, gone):
        return best, False
    row = best is None or n.sizes[gone[-1]] >= 4 and scores[gone[-1]] > scores[best]
    return (gone[-1], True) if row else (best, False)


def reached(n: Nest) -> list[Affine]:
    """Every access, as the loops step through it."""
    return [n.reach(x) for x in accesses(n)]


def across(n: Nest, axis: int | None) -> int | None:
    """A loop along which an array is contiguous that lies across the loop that runs in vectors."""
    if axis is None:
        return None
    far = [x for x in reached(n) if abs(x.of(axis)) > 1]
    found = [k for k in range(len(n.sizes)) if k != axis and any(abs(x.of(k)) == 1 for x in far)]
    return max(found, key=n.sizes.__getitem__, default=None)


Weighed = list[tuple[Affine, float, bool]]


def _weighed(n: Nest, gone: list[int]) -> Weighed:
    """Every access with how often it happens: a store counts twice, what happens once for each result less.

    And is it a store?
    """
    written, rarely = {s.address for s in n.stores}, 1 / prod([n.sizes[k] for k in gone])
    return [
        (r, (2 if x in written else 1) * (1 if not gone or any(r.of(k) for k in gone) else rarely), x in written)
        for x, r in zip(accesses(n), reached(n))
    ]


def score(accessed: Weighed, k: int, size: int) -> float:
    """How well a loop runs in vectors: accesses to neighbours, against strided ones."""
    total = 0.0
    for x, weight, is_store in accessed:
        step = x.of(k)
        near = 0.5 if step == 2 and not is_store else -1  # every second element is read as two vectors
        total += weight * (1 if abs(step) == 1 else 0 if step == 0 else near)
    return total + min(size, 16) / 16


def row_fits(n: Nest, gone: list[int]) -> bool:
    """Do whole vectors of the innermost reduced loop keep the order of the partial results?"""
    last = [k for k in gone if n.reduced[k] == n.reduced[gone[-1]]]
    return len(last) == 1 or n.sizes[last[-1]] % LANES == 0


def lanes(n: Nest, vector_bytes: int, axis: int | None) -> int:
    """As many lanes as the widest dtype of the nest has in a vector, or fewer for a short loop."""
    outside = {r.node for r in n.runtime if axis not in r.node.axes}
    dtypes = [node.dtype for node in n.nodes if node not in outside] + [
        partial.partial_dtype(r.value.name, r.value.dtype) for r in n.reductions
    ]
    widest = max([dt.itemsize for dt in dtypes])
    most = max(2, vector_bytes // max(widest, 2))
    if axis is None or n.reduced[axis]:
        return most
    return min(most, max(4, 1 << (n.sizes[axis] - 1).bit_length()))


def abreast(n: Nest, axis: int | None, target: Target) -> int:
    """For how many vectors at a time a map is computed.

    Each step of a function waits for the one before, which those of other vectors fill.
    """
    if axis is None or n.reductions or n.runtime or target.vector_bytes < 64 or prod(n.sizes) < MANY:
        return 1
    width = ABREAST * lanes(n, target.vector_bytes, axis)
    fits = n.sizes[axis] % width == 0 or n.sizes[axis] >= 4 * width
    plain = all(x.of(axis) in (0, 1) for x in reached(n)) and not any(node.op == "pad" for node in n.nodes)
    dear = any(node.op == "map" and node.name in CHAINS and node.dtype.itemsize >= 4 for node in n.nodes)
    return ABREAST if fits and plain and dear else 1
