"""From a cluster to a loop nest: what is computed at one point of its loops, where it is read and written.

Everything is pulled: an output at the loops' indices asks for its operands at theirs, a view changes the
coordinates on the way, and what lies in memory becomes a load at an affine address. An index that is known at run time
only, as that of a gather, counts as one more axis: ``Nest.runtime`` has the nodes that compute such indices.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from .._records import Record
from ..dtypes import dtype
from .affine import Affine, Coords, Guard, NotAffineError, axis, linear, operand_coords, row_major, same_strides
from .cpu.contract_order import domain_labels
from .ir import Value
from .picking import INDEXED, picked, regrouped, spaced
from .placing import PLACED, place
from .sequence import Cluster, is_chunked
from .triangles import zero_below


class Node:
    """One computation at a point of the loops. ``axes``: what loops it depends on; ``after``: on a reduction too.

    Indices that loads, positions and guards take at run time are the last ones of ``args``.
    """

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

    def again(self, args: tuple[Node, ...], params: Any) -> Node:
        """The same computation from other operands, which depend on the same loops."""
        node = object.__new__(Node)
        node.op, node.name, node.args, node.params = self.op, self.name, args, params
        node.dtype, node.axes, node.after = self.dtype, self.axes, self.after
        return node


class Layout(Record):
    """How a value lies in memory, counted in elements."""

    strides: tuple[int, ...]
    offset: int


class Load(Record):
    """An element of a value in memory; read only where the guards hold."""

    value: Value
    address: Affine
    guards: tuple[Guard, ...]


class Store(Record):
    """A node's value written to its place in an output."""

    node: Node
    value: Value
    address: Affine


class RunTime(Record):
    """An index that a node computes: at least 0 and below ``size``."""

    node: Node
    size: int


class Reduction(Record):
    """A reduce over the reduced loops."""

    value: Value
    node: Node


@dataclass
class Nest:
    """Loops ``sizes`` (outermost first; reduced ones last, in their order), and what is done inside.

    ``reduced`` is 0 for a kept loop; reduced loops that were neighbouring dimensions have the same number. ``serial``:
    the scan or scatter that the store is for, whose reduced loops run in order. Axes from ``len(sizes)`` on are indices
    computed at run time.
    """

    sizes: list[int]
    reduced: list[int]
    reductions: list[Reduction] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)  # operands before users
    chunked: bool = False  # the first loop counts chunks of a batch, each of which is a task
    runtime: list[RunTime] = field(default_factory=list)
    serial: Value | None = None
    pieces: int = 0  # into how many equal pieces the first loop is cut, if somebody says so
    local: dict[Value, int] = field(default_factory=dict)  # values in the workspace, and bytes of them for each chunk
    bands: tuple[Affine, ...] = ()  # where one of these is negative, products are zero or nobody sees their sum

    @property
    def extents(self) -> list[int]:
        """The size of every axis."""
        return self.sizes + [r.size for r in self.runtime]

    def reach(self, x: Affine) -> Affine:
        """The expression, with the loops that its run-time indices depend on as far strides."""
        terms, first = {a: c for a, c in x.terms if a < len(self.sizes)}, len(self.sizes)
        for a, _ in x.terms:
            if a >= first:
                terms.update(dict.fromkeys(self.runtime[a - first].node.axes, FAR))
        return Affine(x.const, tuple(sorted(terms.items())))


FAR = 1 << 40


def nest(
    c: Cluster,
    in_memory: Callable[[Value], bool],
    layouts: Mapping[Value, Layout],
    divided: Collection[Value] = (),
    chunks: int = 0,
    lanes: int = 0,
) -> Nest:
    """The loop nest of a cluster. Dimensions are split where a reshape needs it, then merged where all agree.

    ``divided``: views whose coordinates may be computed by division at run time.
    ``chunks``: into how many chunks of ``lanes`` samples the function's batch is cut. A loop over them stays one.

    Raises:
        NotAffineError: some access is not affine, whatever the split.
    """
    factors: list[list[int]] = [[n] for n in c.domain]
    by_division: set[Value] = set()
    while True:
        try:
            n = _Pull(c, in_memory, layouts, factors, by_division).nest()
            n.chunked = is_chunked(c, chunks, lanes) and n.sizes[0] == chunks
            return _merged(n)
        except NotAffineError as e:
            if e.split and any(v.kind == "contract" for v in c.reduces):
                raise  # one copy of an operand is cheaper than more loops around every product
            if e.split and sum(map(len, factors)) <= 12 and _refine(factors, *e.split):
                continue
            if e.view not in divided or e.view in by_division:
                raise
            by_division.add(e.view)


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


def _refine(factors: list[list[int]], loop: int, inner: int) -> bool:
    """Splits a loop; False if that axis is an index computed at run time."""
    for f in factors:
        if loop < len(f):
            f[loop : loop + 1] = [f[loop] // inner, inner]
            return True
        loop -= len(f)
    return False


class _Pull:
    """Evaluates a cluster at the indices of loops that ``factors`` gives for each dimension of its domain."""

    def __init__(
        self,
        c: Cluster,
        in_memory: Callable[[Value], bool],
        layouts: Mapping[Value, Layout],
        factors: list[list[int]],
        divided: set[Value],
    ) -> None:
        self.cluster = c
        self.divided = divided
        self.in_memory = in_memory
        self.layouts = layouts
        self.factors = factors
        self.sizes = [n for f in factors for n in f]
        self.extents = list(self.sizes)
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
        if self.cluster.outputs[0].kind in PLACED:
            place(self, self.cluster.outputs[0])
            r.nodes = list(self.interned.values())
            return r
        for v in self.cluster.reduces:
            node = self.products(v) if v.kind == "contract" else self.pull(v.args[0], self.coords, ())
            r.reductions.append(Reduction(v, node))
        for v in self.cluster.outputs:
            coords = self.root(v)
            layout = self.layouts[v]
            self.store(self.evaluate(v, coords, ()), v, linear(coords, layout.strides, layout.offset))
        r.nodes = list(self.interned.values())
        if any(v.kind == "contract" for v in self.cluster.reduces):
            r.bands += tuple(_hiding(r.stores))
        return r

    def products(self, v: Value) -> Node:
        """What a contraction sums."""
        at = dict(zip(domain_labels(v), self.coords))
        args = tuple([self.pull(a, tuple([at[c] for c in labels]), ()) for a, labels in zip(v.args, v.params)])
        zeros = [(zero_below(a), labels) for a, labels in zip(v.args, v.params)]
        self.result.bands = tuple([linear_in(x, [at[c] for c in labels]) for x, labels in zeros if x is not None])
        return self.node("map", "mul", args, None, v.dtype)

    def store(self, node: Node, v: Value, address: Affine) -> None:
        """Notes what is written where."""
        self.result.stores.append(Store(node, v, address))

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
        axes, indices = self.depends(address, *[g.index for g in guards])
        return self.node("load", "load", indices, Load(v, address, guards), v.dtype, axes)

    def depends(self, *xs: Affine) -> tuple[frozenset[int], tuple[Node, ...]]:
        """The loops that expressions depend on, and the nodes of their run-time indices."""
        axes, first = dict.fromkeys([a for x in xs for a, _ in x.terms]), len(self.sizes)
        nodes = [self.result.runtime[a - first].node for a in axes if a >= first]
        return frozenset([a for a in axes if a < first]), tuple(nodes)

    def at_run_time(self, node: Node, size: int) -> Affine:
        """An index that a node computes, as an axis."""
        found = RunTime(node, size)
        if found not in self.result.runtime:
            self.result.runtime.append(found)
            self.extents.append(size)
        return axis(len(self.sizes) + self.result.runtime.index(found))

    def evaluate(self, v: Value, coords: Coords, guards: tuple[Guard, ...]) -> Node:
        """A value that is computed here."""
        if v.kind == "map":
            args = tuple([self.pull(a, coords, guards) for a in v.args])
            return self.node("map", v.name, args, None, v.dtype)
        if v.kind == "view":
            return self.view(v, coords, guards)
        if v.kind in ("reduce", "contract"):
            return self.reduced(v, coords)
        if v.kind in INDEXED:
            return picked(self, v, coords, guards)
        if v.name == "iota":
            return self.index(coords[0], v.dtype)
        return self.node("const", "const", (), v.params, v.dtype)

    def index(self, x: Affine, dt: dtype) -> Node:
        """A position as a value."""
        axes, indices = self.depends(x)
        return self.node("index", "index", indices, x, dt, axes)

    def view(self, v: Value, coords: Coords, guards: tuple[Guard, ...]) -> Node:
        """The operand where the view reads it."""
        a = v.args[0]
        if self.in_memory(a) and a not in self.cluster.outputs and a not in self.cluster.reduces:
            position = self.position(v, coords)
            if position is not None:
                return self.load_at(a, position, guards)
        own, more = self.operand_coords(v, coords)
        node = self.pull(a, own, guards + more)
        if not more:
            return node
        axes, indices = self.depends(*[g.index for g in more])
        return self.node("pad", "pad", (node, *indices), (more, v.params[1]), v.dtype, axes)

    def operand_coords(self, v: Value, coords: Coords) -> tuple[Coords, tuple[Guard, ...]]:
        """Where a view reads its operand, and under which guards."""
        if v.name == "pad" and any(v.params[2]):
            return spaced(self, v, coords)
        if v in self.divided:
            return regrouped(self, v, coords), ()
        return operand_coords(v, coords, self.extents)

    def position(self, v: Value, coords: Coords) -> Affine | None:
        """Where a reshape or a strided view of an array without gaps reads memory, or None."""
        a, layout = v.args[0], self.layouts[v.args[0]]
        if v.name == "reshape" and same_strides(layout.strides, row_major(a.shape), a.shape):
            return linear(coords, row_major(v.shape), layout.offset)
        if v.name == "strided" and v.dtype is a.dtype:
            dense, strides, offset = v.params
            if same_strides(layout.strides, dense, a.shape):
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


def linear_in(x: Affine, coords: Sequence[Affine]) -> Affine:
    """The expression of coordinates that are expressions themselves."""
    return linear([coords[d] for d, _ in x.terms], [c for _, c in x.terms], x.const)


# ---- sums that are not seen


def _hiding(stores: Sequence[Store]) -> frozenset[Affine]:
    """Expressions where, if one is negative, nothing that is stored depends on a reduction."""
    return frozenset.intersection(*[_hidden(s.node) for s in stores])


def _hidden(node: Node) -> frozenset[Affine]:
    """The same of a node that depends on a reduction."""
    found = frozenset.intersection(*after) if (after := [_hidden(a) for a in node.args if a.after]) else frozenset()
    if node.name != "where" or not node.args[1].after or node.args[0].after or node.args[2].after:
        return found
    cond = node.args[0]
    if cond.name != "ge" or any(a.op != "index" or a.args for a in cond.args):
        return found
    a, b = [x.params for x in cond.args]
    return found | {a.plus(b.times(-1))}


# ---- order and merging of loops


def _merged(n: Nest) -> Nest:
    """Drops loops of one iteration, orders the kept ones as the first store lies in memory, merges what runs as one."""
    first = n.stores[0].address if n.stores else Affine(0)
    kept = [k for k, r in enumerate(n.reduced) if not r and n.sizes[k] > 1]
    kept.sort(key=lambda k: -first.of(k))
    groups: list[list[int]] = []
    apart = any(_adds_positions(r.value) for r in n.reductions)
    for k in kept + [k for k, r in enumerate(n.reduced) if r and n.sizes[k] > 1]:
        if groups and not (apart and n.reduced[k]) and _runs_on(n, groups[-1][-1], k):
            groups[-1].append(k)
        else:
            groups.append([k])
    return _renumbered(n, groups)


def _adds_positions(v: Value) -> bool:
    """Is this a sum over positions of windows, as a convolution's weight gradient is?

    If its loops ran as one where they can, the order of a sum would depend on whether the padding is stored.
    """
    if v.kind != "contract":
        return False
    windows = [(a.params[0], labels) for a, labels in zip(v.args, v.params) if a.kind == "view" and a.name == "window"]
    return any(labels[d] not in v.params[2] for dims, labels in windows for d in dims)


def _runs_on(n: Nest, outer: int, inner: int) -> bool:
    """Is every access the same when the two loops run as one?"""
    if n.reduced[outer] != n.reduced[inner] or (n.chunked and outer == 0):
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
    return [*out, *n.bands]


def _renumbered(n: Nest, groups: list[list[int]]) -> Nest:
    """The nest with each group of loops as one; a group's index steps as its innermost loop did."""
    place = {g[-1]: k for k, g in enumerate(groups)}
    place |= {len(n.sizes) + j: len(groups) + j for j in range(len(n.runtime))}
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
    sizes = [prod([n.sizes[a] for a in g]) for g in groups]
    reduced = [n.reduced[g[0]] for g in groups]
    stores = [Store(s.node, s.value, moved(s.address)) for s in n.stores]
    chunked = n.chunked and groups[:1] == [[0]]
    bands = tuple([moved(x) for x in n.bands])
    return Nest(sizes, reduced, n.reductions, stores, n.nodes, chunked, n.runtime, n.serial, bands=bands)
