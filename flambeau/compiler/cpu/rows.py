"""Rows: what runs along one leading dimension of a program, from the first layer to the gradients, in the same pieces.

A network of matrix products whose rows do not depend on one another (the samples of a transformer's batch) runs piece
by piece, each from end to end on one thread, so that what one kernel writes is in that thread's cache when the next one
reads it, and nobody waits for anybody in between. What crosses the rows (the gradients of weights, losses, the
optimizer) comes after or before. ``batch`` does the same for networks whose layers are too narrow for vectors; here
every value stays as it is, and only the loops are shared out alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod

from ..affine import Affine, Guard
from ..ir import Value
from ..loops import Nest
from ..placing import IN_PLACE
from ..sequence import Cluster, in_levels
from .recurrence import Walk

Steps = list[tuple[Cluster, Nest | None]]

PIECES = range(8, 49)  # into how many the rows may be cut
FEW = (4,)  # and also, where recurrences have so many chunks, which others would wait for anyway
ROWS = 48  # of a matrix product with a weight in a piece, at least: so that reading the weight costs little
CHAIN = 2  # products in a row, at least: one alone finds nothing in the cache
SHARE = 0.5  # of the program's products that must run along the rows
LEAST = 1 << 22  # products in a piece, at least
BATCHED = 1 << 20  # products of a matrix with another, at least, for what follows to run matrix by matrix
MEMORY = 512 << 20  # bytes that values along the rows may take, as they keep places of their own
AT_ONCE = 4  # pieces that are worked on at a time, about


def in_rows(steps: Steps) -> Steps:
    """The steps in an order in which those along the rows come together, which ``Nest.pieces`` then says of them."""
    total = sum(products(n) for _, n in steps if n is not None)
    found = _best([n for _, n in steps if n is not None], total)
    if found:
        pieces, members = found
        for n in members:
            n.pieces = pieces
    else:
        members = _batched([n for _, n in steps if n is not None])
    if not members:
        return steps
    own = {id(n) for n in members}
    order = in_levels([c for c, _ in steps], {c: id(n) in own for c, n in steps})
    place = {c: k for k, c in enumerate(order)}
    return sorted(steps, key=lambda step: place[step[0]])


def _batched(nests: list[Nest]) -> list[Nest]:
    """Products of many matrices, and what is computed of each result alone, which then runs matrix by matrix too.

    So runs attention where nothing else does: the scores of a head stay in the cache until they have been used.
    """
    pieces: dict[Value, tuple[int, int]] = {}  # into how many pieces a value is cut, and how large they are
    members = []
    for n in nests:
        count = _matrices(n)
        if not products(n):
            count = _followed(n, pieces)
            n.pieces = count
        if count:
            members.append(n)
            pieces.update({s.value: (count, prod(s.value.shape) // count) for s in n.stores})
    return members


def _matrices(n: Nest) -> int:
    """How many matrices a contraction multiplies with as many others, all apart from one another; 0 if that is few."""
    if not n.reductions or not products(n):
        return 0
    loads = [node.params.address for node in n.reductions[0].node.args if node.op == "load"]
    outer = [k for k, r in enumerate(n.reduced) if not r and len(loads) == 2 and all(x.of(k) for x in loads)]
    count = prod([n.sizes[k] for k in outer])
    large = outer == list(range(len(outer))) and count in PIECES and products(n) >= BATCHED * count
    return count if large else 0


def _followed(n: Nest, pieces: Mapping[Value, tuple[int, int]]) -> int:
    """Into how many pieces a nest may be cut so that each reads its own piece of a value and writes its own."""
    for v, accesses in _reads(n):
        count, size = pieces.get(v, (0, 0))
        if count and is_cut(n, count) and within(accesses, size, n, count):
            return count
    return 0


def products(n: Nest) -> int:
    """How many products a contraction or a recurrence sums; 0 for other nests."""
    if isinstance(n, Walk):
        return n.rows * n.laid.depth * n.laid.columns
    return prod(n.sizes) if n.reductions and n.reductions[0].value.kind == "contract" else 0


def _best(nests: list[Nest], total: int) -> tuple[int, list[Nest]] | None:
    """The number of pieces with which most products run along the rows, and what does; None where it does not pay."""
    best: tuple[tuple[int, bool, int], int, list[Nest]] | None = None
    walks = {n.laid.chunks for n in nests if isinstance(n, Walk)}
    for pieces in sorted({*PIECES, *walks.intersection(FEW)}):
        rows = [n for n in nests if is_cut(n, pieces)]
        work = sum(map(products, rows))
        if work < max(SHARE * total, LEAST * pieces) or (best and work < best[0][0]):
            continue
        members = _largest(rows, pieces)
        if sum(products(n) > 0 for n in members) < CHAIN:
            continue
        work = sum(map(products, members))
        score = work, pieces % 4 == 0, -pieces
        if work >= max(SHARE * total, LEAST * pieces) and (best is None or score > best[0]):
            best = score, pieces, members
    if best is None or _memory(best[1], best[2], nests) > MEMORY:
        return None
    return best[1:]


def _memory(pieces: int, members: list[Nest], nests: list[Nest]) -> float:
    """Bytes of what the nests along the rows store: of values that others or recurrences read all, else some pieces."""
    own = {id(n) for n in members}
    read = {v for n in nests if id(n) not in own or isinstance(n, Walk) for v, _ in _reads(n)}
    read |= {s.value for n in nests if isinstance(n, Walk) for s in n.stores}
    sizes = [(s.value in read, prod(s.value.shape) * s.value.dtype.itemsize) for n in members for s in n.stores]
    return sum(size if whole else size * AT_ONCE / pieces for whole, size in sizes)


def is_cut(n: Nest, pieces: int) -> bool:
    """Can the outermost loop be cut into so many equal pieces, each of which writes a part of its own?"""
    if isinstance(n, Walk):
        return bool(n.stores) and n.laid.batch == pieces * n.laid.rows
    if not n.sizes or n.reduced[0] or n.sizes[0] % pieces or n.serial is not None:
        return False
    if any(s.value.kind in IN_PLACE and s.value.kind != "update" for s in n.stores) or not _is_product_of_rows(
        n, pieces
    ):
        return False
    return all(within([(s.address, ())], part(s.address, n, pieces), n, pieces) for s in n.stores)


def _is_product_of_rows(n: Nest, pieces: int) -> bool:
    """Is it no contraction, or one of matrices, with enough rows in a piece if its weight is the same for all?"""
    if not products(n):
        return True
    loads = [node.params for node in n.reductions[0].node.args if node.op == "load"]
    if len(loads) < 2 or sum(r > 0 for r in n.reduced) > 1:
        return False
    batched = all(at.address.of(0) for at in loads)
    return batched or (any(at.address.of(0) for at in loads) and n.sizes[0] // pieces >= ROWS)


def part(x: Affine, n: Nest, pieces: int) -> int:
    """How many elements of memory further the next piece is."""
    return x.of(0) * (n.sizes[0] // pieces)


def within(accesses: Iterable[tuple[Affine, tuple[Guard, ...]]], step: int, n: Nest, pieces: int) -> bool:
    """Does each piece access the ``step`` elements that are its own only?"""
    sizes = [n.sizes[0] // pieces, *n.extents[1:]]
    for x, _ in accesses:
        low, high = x.bounds(sizes)
        if step <= 0 or part(x, n, pieces) != step or low < 0 or high >= step:
            return False
    return True


def _largest(rows: list[Nest], pieces: int) -> list[Nest]:
    """Of the nests that only read what their own piece of others has written: those connected with most products."""
    home = list(range(len(rows)))

    def find(k: int) -> int:
        while home[k] != k:
            home[k] = home[home[k]]
            k = home[k]
        return k

    writers: dict[Value, tuple[int, int]] = {}
    for k, n in enumerate(rows):
        for s in n.stores:
            writers[s.value] = k, part(s.address, n, pieces)
    for k, n in enumerate(rows):
        for v, accesses in _reads(n):
            if v in writers and within(accesses, writers[v][1], n, pieces):
                home[find(k)] = find(writers[v][0])
    work: dict[int, int] = {}
    for k, n in enumerate(rows):
        work[find(k)] = work.get(find(k), 0) + products(n)
    root = max(work, key=lambda k: (work[k], -k))
    return [n for k, n in enumerate(rows) if find(k) == root]


def _reads(n: Nest) -> list[tuple[Value, Sequence[tuple[Affine, tuple[Guard, ...]]]]]:
    found: dict[Value, list[tuple[Affine, tuple[Guard, ...]]]] = {}
    for node in n.nodes:
        if node.op == "load":
            found.setdefault(node.params.value, []).append((node.params.address, node.params.guards))
    return list(found.items())
