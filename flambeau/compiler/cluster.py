"""Fusion: cuts a function into clusters, each run by one kernel or by NumPy.

Values are visited from the last to the first. A map goes into the cluster of its only consumer; with several
consumers it is computed again in each when it is cheap, else it is stored. A reduction takes in what it reads,
and becomes the anchor of the cluster that consumes it when there is just one. So does a contraction, which reads its
operands many times and therefore from memory, through views only. What is stored joins a consumer over the same loops
as one more output, where no cycle comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

from .cpu.contract_order import domain_labels
from .cpu.nest_reduce import LANES
from .ir import Function, Value
from .placing import IN_PLACE, PLACED, WRITABLE, domain, in_order
from .repeated import Repeated
from .sequence import Cluster, by_level, sequence
from .simplify import readers
from .triangles import hides

CHEAP = 6  # the cost below which a map is rather computed twice than stored
PICKED = 3  # the cost of an element at an index that memory holds
LARGEST = 120  # maps in one cluster
LONGEST = 600  # maps and paddings in one cluster, each as often as its kernel computes it
LONG = 150  # from which on what is computed several times over is stored
AGAIN = 32  # simple operations an element, spent on computing it again, that take longer than storing it and reading it
COSTS = {"div": 4, "sqrt": 4, "reciprocal": 4, "floor_divide": 20, "trunc_divide": 20, "remainder": 20}
SIMPLE = frozenset([
    "add", "sub", "mul", "neg", "abs", "maximum", "minimum", "fmax", "fmin", "where", "sign", "signbit", "floor",
    "ceil", "trunc", "rint", "eq", "ne", "lt", "le", "gt", "ge", "copysign", "logical_and", "logical_or",
    "logical_not", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "lshift", "rshift",
    "isnan", "isinf", "isfinite", "cast", "copy", "heaviside",
])  # fmt: skip


Supported = Callable[[Value], bool]


def clusters(
    f: Function, supported: Supported, forced: Iterable[Value] = (), survey: Survey | None = None
) -> list[Cluster]:
    """The clusters in an order in which they can run.

    ``supported`` says which values can be generated; those in ``forced`` must be stored. ``survey``: of the function,
    if it is cut several times.
    """
    cs = sequence(_Clustering(f, supported, frozenset(forced), survey or Survey(f)).run())
    return by_level(cs, f.chunks, f.lanes) if f.chunks > 1 else cs


class Survey:
    """What clustering asks of a function, whatever is to be stored.

    ``users``: who reads each value, by its number. ``stored``: values that are stored in any case. ``cost``: what
    computing each value again at one point costs, in simple operations.
    """

    def __init__(self, f: Function) -> None:
        self.users: list[list[Value]] = [[] for _ in f.values]
        for v in f.values:
            for a in dict.fromkeys(v.args):
                self.users[a.index].append(v)
        users = readers(f)
        self.stored = {v for v in f.values if hides(v, users)} | _steps(f)
        self.cost = _costs(f)


def _costs(f: Function) -> list[int]:
    """What computing a value again at one point costs, in simple operations."""
    cost = [0] * len(f.values)
    for v in f.values:
        if v.kind == "map":
            own = 1 if v.name in SIMPLE else COSTS.get(v.name, 20)
            cost[v.index] = min(1000, own + sum([cost[a.index] for a in v.args]))
        elif v.kind == "gather":
            cost[v.index] = min(1000, PICKED + sum([cost[a.index] for a in v.args]))
        elif v.kind == "view":
            cost[v.index] = cost[v.args[0].index]
    return cost


def _steps(f: Function) -> set[Value]:
    """Values to be stored so that no chain of maps, such as a sum of thousands of losses, is one kernel.

    What walks through a kernel's expressions goes as deep as they do.
    """
    depth = [0] * len(f.values)
    found: set[Value] = set()
    for v in f.values:
        if v.kind in ("map", "view", "gather"):
            depth[v.index] = 1 + max([depth[a.index] for a in v.args], default=0)
            if v.kind == "map" and depth[v.index] >= LARGEST:
                found.add(v)
                depth[v.index] = 0
    return found


class _Clustering:
    def __init__(self, f: Function, supported: Supported, forced: frozenset[Value], survey: Survey) -> None:
        self.f = f
        self.supported = supported
        self.forced = forced | {
            v.args[0] for v in f.values if v.kind in IN_PLACE and supported(v) and v.args[0].kind in WRITABLE
        }
        self.forced |= {a for v in f.values if v.kind == "recur" and supported(v) for a in v.args}
        self.forced |= survey.stored
        self.users = survey.users
        self.cost = survey.cost
        self.outputs = frozenset(f.outputs)
        self.homes: list[tuple[Cluster, ...]] = [()] * len(f.values)  # the clusters that compute a value
        self.clusters: list[Cluster] = []
        self.repeated = Repeated(self.users, self.homes)
        self.by_numpy: set[Value] = set()
        self.contracted: set[Value] = set()  # what contractions read
        self.padded: set[Value] = set()  # what they read through padding

    def run(self) -> list[Cluster]:
        for v in reversed(self.f.values):
            self.visit(v)
        return list(dict.fromkeys(self.clusters))

    # ---- one value

    def visit(self, v: Value) -> None:
        """Decides where ``v`` is computed; all its users have been visited."""
        if v.kind in ("input", "scalar") or (v.kind == "recur" and self.supported(v)):
            return
        users = self.users[v.index]
        for_numpy = [u for u in users if u in self.by_numpy] if self.by_numpy else []
        readers = tuple(dict.fromkeys([c for u in users for c in self.homes[u.index] if c.native]))
        if not (for_numpy or readers or v in self.outputs):
            return
        if not self.supported(v):
            self.alone(v, readers)
            return
        if v.kind == "contract" or (v in self.contracted and _is_affine(v)):
            self.contracted.update(v.args)
            if v.kind == "view" and (v.name == "pad" or v in self.padded):
                self.padded.update(v.args)
        if v.kind == "const":
            self.source(v, readers, for_numpy)
        elif v.kind == "part":
            self.part(v, readers)
        elif v.kind == "view" and for_numpy and v not in self.outputs:
            self.alone(v, readers)
            self.homes[v.index] += readers
        elif v.kind in PLACED:
            self.place(v, readers)
        elif v.kind in ("reduce", "contract"):
            self.reduction(v, readers, bool(for_numpy) or self.is_stored(v))
        elif for_numpy or self.is_stored(v) or not self.fuses(v, readers):
            self.store(v, readers)
        else:
            self.fuse(v, readers)

    def fuse(self, v: Value, readers: tuple[Cluster, ...]) -> None:
        """A value that is computed by the clusters that read it."""
        for c in readers:
            ways = self.repeated.ways(v, c)
            c.size += v.kind == "map"
            if v.kind == "map" or v.name == "pad":
                c.length += len(ways)
        self.homes[v.index] = readers

    def source(self, v: Value, readers: tuple[Cluster, ...], for_numpy: list[Value]) -> None:
        """A constant: computed where it is used, by NumPy too for its own."""
        if for_numpy:
            self.alone(v, ())
        self.homes[v.index] += readers

    def is_stored(self, v: Value) -> bool:
        """Must the value lie in memory, whoever reads it?"""
        if v in self.outputs or v in self.forced:
            return True
        return v in self.contracted and (not _is_affine(v) or (v.name == "pad" and v in self.padded))

    def fuses(self, v: Value, readers: tuple[Cluster, ...]) -> bool:
        """Is the value computed where it is read, rather than stored?"""
        if v.kind not in ("map", "gather"):
            return True
        cheap = self.cost[v.index] <= CHEAP
        if len(readers) > 1 and not cheap:
            return False
        for c in readers:
            if c.size >= LARGEST or self.lengthens(v, c) or self.reads_stored(v, c):
                return False
        return cheap or not any([_repeats(v, c) for c in readers])  # noqa: C419

    def lengthens(self, v: Value, c: Cluster) -> bool:
        """Would the value make the cluster's kernel too long, or a long one compute it several times over?"""
        ways = len(self.repeated.ways(v, c))
        if c.length + ways > LONGEST:
            return True
        return c.length > LONG and self.cost[v.index] > CHEAP and ways * prod(c.domain) >= 4 * prod(v.shape)

    def reads_stored(self, v: Value, c: Cluster) -> bool:
        """Should the cluster read the value from memory, where another one has stored it?"""
        return self.recomputes(v, c) or _splits_rows(v, c)

    def recomputes(self, v: Value, c: Cluster) -> bool:
        """Would the cluster compute the value over and over, as windows that overlap do?"""
        ways = len(self.repeated.ways(v, c))
        if ways == 1:
            return False
        size = prod(v.shape)
        again = ways * min(size, prod(c.domain)) - size
        return again * self.cost[v.index] >= AGAIN * size

    def alone(self, v: Value, readers: tuple[Cluster, ...]) -> None:
        """A value that NumPy computes (a view too when NumPy reads it: native readers look through it)."""
        self.by_numpy.add(v)
        c = Cluster(v.shape, native=False)
        self.keep(v, c, () if v.kind in ("view", "const") and self.supported(v) else readers)

    def store(self, v: Value, readers: tuple[Cluster, ...]) -> None:
        """Stores a value: as one more output of a cluster that reads it, or in a cluster of its own."""
        for c in readers if v not in self.forced else ():
            place = _place(v, c)
            if place and not self.reads_stored(v, c) and not self.would_cycle(c, v, readers):
                if place == "after":
                    c.after.add(v)
                self.keep(v, c, [r for r in readers if r is not c])
                return
        self.keep(v, Cluster(v.shape), readers)

    def part(self, v: Value, readers: tuple[Cluster, ...]) -> None:
        """A result of a recurrence: all are stored by one cluster."""
        whole = v.args[0].index
        c = self.homes[whole][0] if self.homes[whole] else Cluster(())
        self.keep(v, c, readers)
        self.homes[whole] = (c,)

    def place(self, v: Value, readers: tuple[Cluster, ...]) -> None:
        """What is written into memory, or runs in order: a cluster of its own, over loops of its own."""
        c = Cluster(domain(v))
        c.dims = in_order(v)
        self.keep(v, c, readers)

    def keep(self, v: Value, c: Cluster, readers: Iterable[Cluster]) -> None:
        c.outputs.append(v)
        c.size += v.kind == "map"
        c.readers.update(readers)
        c.readers.update(self.others(v))
        self.clusters.append(c)
        self.homes[v.index] = (c,)

    def others(self, v: Value) -> list[Cluster]:
        """The clusters of users that NumPy computes."""
        return [c for u in self.users[v.index] if u in self.by_numpy for c in self.homes[u.index] if not c.native]

    def would_cycle(self, c: Cluster, v: Value, readers: Iterable[Cluster]) -> bool:
        """Does a reader other than ``c`` lead back to ``c``?"""
        start = [r for r in readers if r is not c] + self.others(v)
        seen: set[Cluster] = set()
        last = c.outputs[0].index  # outputs come in descending order; who stores later values only does not lead to c
        while start:
            r = start.pop()
            if r is c:
                return True
            if r not in seen and r.outputs[-1].index < last:
                seen.add(r)
                start.extend(r.readers)
        return False

    # ---- reductions

    def reduction(self, v: Value, readers: tuple[Cluster, ...], needed: bool) -> None:
        """Anchors the only reader, or a new cluster."""
        if len(readers) == 1 and self.anchors(v, readers[0], needed):
            c = readers[0]
            c.after = set(c.outputs)
            if needed:
                c.after.add(v)
                self.keep(v, c, ())
        else:
            c = Cluster(v.shape)
            c.after.add(v)
            self.keep(v, c, readers)
        c.domain, c.dims = reduced_domain(v)
        c.reduces.append(v)
        self.homes[v.index] = (c,)

    def anchors(self, v: Value, c: Cluster, needed: bool) -> bool:
        """Can the reader become the epilogue of the reduction? Its loops are the kept ones, and nothing is repeated."""
        if not c.native or c.reduces or c.placed or _squeezed(c.domain) != _squeezed(v.shape) or v in self.contracted:
            return False
        if needed and (v.kind != "contract" or self.others(v) or v in self.forced):
            return False
        return all(_squeezed(u.shape) == _squeezed(v.shape) for u in self.users[v.index])


def _is_affine(v: Value) -> bool:
    """Is it a view through which memory is read at affine addresses?"""
    return v.kind == "view" and not (v.name == "pad" and any(v.params[2]))


def reduced_domain(v: Value) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The loops of a reduction or a contraction, and which of them it sums over."""
    if v.kind == "reduce":
        return v.args[0].shape, v.params
    la, lb, out = v.params
    sizes = dict(zip(la, v.args[0].shape)) | dict(zip(lb, v.args[1].shape))
    labels = domain_labels(v)
    return tuple([sizes[c] for c in labels]), tuple(range(len(out), len(labels)))


def _squeezed(shape: tuple[int, ...]) -> list[int]:
    return [n for n in shape if n != 1]


def _repeats(v: Value, c: Cluster) -> bool:
    """Would the cluster's innermost loops compute ``v`` many times over? Not if it varies with outer loops only."""
    total = prod(c.domain)
    return bool(v.shape) and prod(v.shape) * 2 <= total and v.shape[-1] != 1


def _splits_rows(v: Value, c: Cluster) -> bool:
    """Would rows that the cluster sums up fall apart into loops too short for vectors?

    So they would for what is woven together of parts: rows of 32 elements are 16 times 2 then.
    """
    sums_rows = len(c.domain) - 1 in c.dims and any(r.kind == "reduce" for r in c.reduces)
    return sums_rows and v.kind == "map" and any(map(_is_woven, v.args))


def _is_woven(v: Value) -> bool:
    """Is the last dimension one of parts that are no whole vectors?"""
    if v.kind != "view" or v.name != "reshape" or not v.shape or not v.args[0].shape:
        return False
    part = v.args[0].shape[-1]
    return part < v.shape[-1] and part % LANES != 0 and part > 1


def _place(v: Value, c: Cluster) -> str:
    """Over which of the cluster's loops ``v`` can be stored: ``inside``, ``after`` its reductions, or neither."""
    if not c.native or c.placed or any(r.kind == "contract" for r in c.reduces):
        return ""
    return "inside" if v.shape == c.domain else ""
