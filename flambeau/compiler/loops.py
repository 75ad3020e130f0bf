"""From a cluster to a loop nest: what is computed at one point of its loops, where it is read and written.

Everything is pulled: an output at the loops' indices asks for its operands at theirs, a view changes the
coordinates on the way, and what lies in memory becomes a load at an affine address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..dtypes import dtype
from .affine import Affine, Coords, Guard, NotAffineError, axis, linear, operand_coords, row_major
from .cluster import Cluster, domain_labels
from .ir import Value


class Node:
    """One computation at a point of the loops. ``axes``: what loops it depends on; ``after``: on a reduction too."""

    __slots__ = ("after", "args", "axes", "dtype", "name", "op", "params")

    def __init__(
        self, op: str, name: str, args: tuple[Node, ...], params: Any, dt: dtype, axes: frozenset[int]
    ) -> None:
        self.op = op  # load, const, index, map, pad, reduced
        self.name = name
        self.args = args
        self.params = params
        self.dtype = dt
        self.axes = axes.union(*[a.axes for a in args])
        self.after = op == "reduced" or any(a.after for a in args)


class Layout(NamedTuple):
    """How a value lies in memory, counted in elements."""

    strides: tuple[int, ...]
    offset: int


class Load(NamedTuple):
    """An element of a value in memory; read only where the guards hold."""

    value: Value
    address: Affine
    guards: tuple[Guard, ...]


class Store(NamedTuple):
    """A node's value written to its place in an output."""

    node: Node
    value: Value
    address: Affine


class Reduction(NamedTuple):
    """A reduce over the reduced loops."""

    value: Value
    node: Node


@dataclass
class Nest:
    """Loops ``sizes`` (outermost first; reduced ones last, in their order), and what is done inside.

    ``reduced`` is 0 for a kept loop; reduced loops that were neighbouring dimensions have the same number.
    """

    sizes: list[int]
    reduced: list[int]
    reductions: list[Reduction] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)  # operands before users
    chunked: bool = False  # the first loop counts chunks of a batch, each of which is a task


def nest(c: Cluster, in_memory: Callable[[Value], bool], layouts: Mapping[Value, Layout]) -> Nest:
    """The loop nest of a cluster. Dimensions are split where a reshape needs it, then merged where all agree.

    Raises:
        NotAffineError: some access is not affine, whatever the split.
    """
    factors: list[list[int]] = [[n] for n in c.domain]
    while True:
        try:
            return _merged(_Pull(c, in_memory, layouts, factors).nest())
        except NotAffineError as e:
            if e.split is None or sum(map(len, factors)) > 12:
                raise
            _refine(factors, *e.split)


def _runs(c: Cluster) -> list[int]:
    """For each dimension 0, or the number of the run of neighbouring reduced dimensions in which it is."""
    out, run, within = [], 0, False
    for d, n in enumerate(c.domain):
        if d in c.dims:
            run += not within
            within = True
        elif n != 1:
            within = False
        out.append(run if d in c.dims else 0)
    return out


def _refine(factors: list[list[int]], loop: int, inner: int) -> None:
    for f in factors:
        if loop < len(f):
            f[loop : loop + 1] = [f[loop] // inner, inner]
            return
        loop -= len(f)


class _Pull:
    """Evaluates a cluster at the indices of loops that ``factors`` gives for each dimension of its domain."""

    def __init__(
        self, c: Cluster, in_memory: Callable[[Value], bool], layouts: Mapping[Value, Layout], factors: list[list[int]]
    ) -> None:
        self.cluster = c
        self.in_memory = in_memory
        self.layouts = layouts
        self.sizes = [n for f in factors for n in f]
        self.coords = self._coords(factors)
        self.kept = tuple([x for d, x in enumerate(self.coords) if d not in c.dims])
        self.interned: dict[Any, Node] = {}
        self.at: dict[Any, Node] = {}
        self.pulled: list[Reduction] = []
        runs = _runs(c)
        self.result = Nest(self.sizes, [runs[d] for d, f in enumerate(factors) for _ in f])

    def _coords(self, factors: list[list[int]]) -> Coords:
        out, k = [], 0
        for f in factors:
            axes = [axis(k + j) for j in range(len(f))]
            out.append(linear(axes, row_major(f)))
            k += len(f)
        return tuple(out)

    def nest(self) -> Nest:
        """Pulls every output."""
        r = self.result
        for v in self.cluster.reduces:
            node = self.products(v) if v.kind == "contract" else self.pull(v.args[0], self.coords, ())
            r.reductions.append(Reduction(v, node))
        for v in self.cluster.outputs:
            coords = self.root(v)
            layout = self.layouts[v]
            r.stores.append(Store(self.evaluate(v, coords, ()), v, linear(coords, layout.strides, layout.offset)))
        r.nodes = list(self.interned.values())
        return r

    def products(self, v: Value) -> Node:
        """What a contraction sums."""
        at = dict(zip(domain_labels(v), self.coords))
        args = tuple([self.pull(a, tuple([at[c] for c in labels]), ()) for a, labels in zip(v.args, v.params)])
        return self.node("map", "mul", args, None, v.dtype)

    def root(self, v: Value) -> Coords:
        """The loops' indices as coordinates of an output; dimensions of size 1 may have been added or dropped."""
        if v not in self.cluster.after:
            return self.coords
        shape = [n for d, n in enumerate(self.cluster.domain) if d not in self.cluster.dims]
        own = iter([x for n, x in zip(shape, self.kept) if n != 1])
        return tuple([Affine(0) if n == 1 else next(own) for n in v.shape])

    def pull(self, v: Value, coords: Coords, guards: tuple[Guard, ...]) -> Node:
        """The value at these coordinates."""
        key = v, coords, guards
        node = self.at.get(key)
        if node is None:
            own = v in self.cluster.outputs or v in self.cluster.reduces
            node = self.load(v, coords, guards) if self.in_memory(v) and not own else self.evaluate(v, coords, guards)
            self.at[key] = node
        return node

    def load(self, v: Value, coords: Coords, guards: tuple[Guard, ...]) -> Node:
        """A value that lies in memory."""
        layout = self.layouts[v]
        return self.load_at(v, linear(coords, layout.strides, layout.offset), guards)

    def load_at(self, v: Value, address: Affine, guards: tuple[Guard, ...]) -> Node:
        axes = {a for a, _ in address.terms}.union(*[{a for a, _ in g.index.terms} for g in guards])
        return self.node("load", "load", (), Load(v, address, guards), v.dtype, frozenset(axes))

    def evaluate(self, v: Value, coords: Coords, guards: tuple[Guard, ...]) -> Node:
        """A value that is computed here."""
        if v.kind == "map":
            args = tuple([self.pull(a, coords, guards) for a in v.args])
            return self.node("map", v.name, args, None, v.dtype)
        if v.kind == "view":
            return self.view(v, coords, guards)
        if v.kind in ("reduce", "contract"):
            return self.reduced(v, coords)
        if v.name == "iota":
            index = coords[0]
            return self.node("index", "index", (), index, v.dtype, frozenset([a for a, _ in index.terms]))
        return self.node("const", "const", (), v.params, v.dtype)

    def view(self, v: Value, coords: Coords, guards: tuple[Guard, ...]) -> Node:
        """The operand where the view reads it."""
        a = v.args[0]
        if self.in_memory(a) and a not in self.cluster.outputs and a not in self.cluster.reduces:
            position = self.position(v, coords)
            if position is not None:
                return self.load_at(a, position, guards)
        own, more = operand_coords(v, coords, self.sizes)
        node = self.pull(a, own, guards + more)
        if not more:
            return node
        axes = frozenset().union(*[{k for k, _ in g.index.terms} for g in more])
        return self.node("pad", "pad", (node,), (more, v.params[1]), v.dtype, axes)

    def position(self, v: Value, coords: Coords) -> Affine | None:
        """Where a reshape or a strided view of an array without gaps reads memory, or None."""
        a, layout = v.args[0], self.layouts[v.args[0]]
        if v.name == "reshape" and _same_strides(layout.strides, row_major(a.shape), a.shape):
            return linear(coords, row_major(v.shape), layout.offset)
        if v.name == "strided" and v.dtype is a.dtype:
            dense, strides, offset = v.params
            if _same_strides(layout.strides, dense, a.shape):
                return linear(coords, strides, layout.offset + offset)
        return None

    def reduced(self, v: Value, coords: Coords) -> Node:
        """The result of one of the cluster's reductions, which only the kept loops may index."""
        own = [x for n, x in zip(v.shape, coords) if n != 1]
        if own != [x for n, x in zip(v.shape, self.kept) if n != 1]:
            raise NotAffineError(v)
        axes = frozenset([a for x in self.kept for a, _ in x.terms])
        return self.node("reduced", v.name, (), self.cluster.reduces.index(v), v.dtype, axes)

    def node(
        self, op: str, name: str, args: tuple[Node, ...], params: Any, dt: dtype, axes: frozenset[int] = frozenset()
    ) -> Node:
        """The node, made once: equal computations are shared."""
        key = op, name, tuple(map(id, args)), params if op != "const" else repr(params), dt
        if key not in self.interned:
            self.interned[key] = Node(op, name, args, params, dt, axes)
        return self.interned[key]


def _same_strides(a: tuple[int, ...], b: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return all(n == 1 or x == y for n, x, y in zip(shape, a, b))


# ---- order and merging of loops


def _merged(n: Nest) -> Nest:
    """Drops loops of one iteration, orders the kept ones as the first store lies in memory, merges what runs as one."""
    first = n.stores[0].address if n.stores else Affine(0)
    kept = [k for k, r in enumerate(n.reduced) if not r and n.sizes[k] > 1]
    kept.sort(key=lambda k: -first.of(k))
    groups: list[list[int]] = []
    for k in kept + [k for k, r in enumerate(n.reduced) if r and n.sizes[k] > 1]:
        if groups and _runs_on(n, groups[-1][-1], k):
            groups[-1].append(k)
        else:
            groups.append([k])
    return _renumbered(n, groups)


def _runs_on(n: Nest, outer: int, inner: int) -> bool:
    """Is every access the same when the two loops run as one?"""
    if n.reduced[outer] != n.reduced[inner]:
        return False
    return all(x.of(outer) == x.of(inner) * n.sizes[inner] for x in accesses(n))


def accesses(n: Nest) -> list[Affine]:
    """Every affine expression of the nest."""
    out = [s.address for s in n.stores]
    for node in n.nodes:
        if node.op == "load":
            out += [node.params.address, *[g.index for g in node.params.guards]]
        elif node.op == "index":
            out.append(node.params)
        elif node.op == "pad":
            out += [g.index for g in node.params[0]]
    return out


def _renumbered(n: Nest, groups: list[list[int]]) -> Nest:
    """The nest with each group of loops as one; a group's index steps as its innermost loop did."""
    place = {g[-1]: k for k, g in enumerate(groups)}
    group = {a: k for k, g in enumerate(groups) for a in g}

    def moved(x: Affine) -> Affine:
        return Affine(x.const, tuple(sorted([(place[a], c) for a, c in x.terms if a in place])))

    def guards(gs: tuple[Guard, ...]) -> tuple[Guard, ...]:
        return tuple([Guard(moved(g.index), g.size) for g in gs])

    for node in n.nodes:
        node.axes = frozenset([group[a] for a in node.axes if a in group])
        if node.op == "load":
            node.params = Load(node.params.value, moved(node.params.address), guards(node.params.guards))
        elif node.op == "index":
            node.params = moved(node.params)
        elif node.op == "pad":
            node.params = guards(node.params[0]), node.params[1]
    sizes = [_product([n.sizes[a] for a in g]) for g in groups]
    reduced = [n.reduced[g[0]] for g in groups]
    stores = [Store(s.node, s.value, moved(s.address)) for s in n.stores]
    return Nest(sizes, reduced, n.reductions, stores, n.nodes)


def _product(ns: list[int]) -> int:
    total = 1
    for k in ns:
        total *= k
    return total
