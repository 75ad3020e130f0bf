"""Loop nests made once for clusters that compute the same over other values, like those of a network's layers.

A nest follows from the expressions of its cluster down to what lies in memory, and from how that lies there. So two
clusters whose expressions are equal when their values are numbered as they are met have the same nest, but for the
values that it reads and writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from .affine import NotAffineError
from .ir import Value
from .loops import Layout, Load, Nest, Node, Reduction, RunTime, Store, nest
from .sequence import Cluster
from .simplify import hashable
from .triangles import zero_below


class _Known(NamedTuple):
    """What became of a cluster: its values in the order in which they are met, and its nest or why there is none.

    ``over``: the nest over other values; clusters that are cut again as they were have the same.
    """

    values: tuple[Value, ...]
    found: Nest | NotAffineError
    over: dict[tuple[Value, ...], Nest]


class Nests:
    """The nests of a function's clusters.

    Args:
        chunks: into how many chunks the function's batch is cut.
        lanes: samples in each.
    """

    def __init__(self, chunks: int, lanes: int = 0) -> None:
        self.chunks = chunks
        self.lanes = lanes
        self._known: dict[Any, _Known] = {}
        self._forms: dict[Any, _Form] = {}
        self._rows = _Rows()

    def of(
        self,
        c: Cluster,
        in_memory: Callable[[Value], bool],
        layouts: Mapping[Value, Layout],
        divided: Collection[Value] = (),
    ) -> Nest:
        """The nest of a cluster; arguments and errors are those of ``nest``."""
        form = self._form(c, in_memory, layouts, divided)
        values = form.values
        known = self._known.get(form.key)
        if known is None:
            found = self._new(c, in_memory, layouts, divided)
            over = {} if isinstance(found, NotAffineError) else {values: found}
            known = self._known[form.key] = _Known(values, found, over)
        n = known.over.get(values)
        if n is None:
            moved = dict(zip(known.values, values))
            if isinstance(known.found, NotAffineError):
                raise NotAffineError(moved[known.found.view], known.found.split)
            n = known.over[values] = _over(known.found, moved)
        return n

    def _form(self, c: Cluster, in_memory: Any, layouts: Any, divided: Any) -> _Form:
        """The cluster's expressions: those that it had when it was cut so before, if its values still lie as then."""
        after = tuple([v in c.after for v in c.outputs])
        cut = c.domain, c.dims, tuple(c.outputs), tuple(c.reduces), after
        form = self._forms.get(cut)
        if form is None or not form.holds(in_memory, divided):
            form = self._forms[cut] = _Form(c, in_memory, layouts, divided, self._rows)
        return form

    def _new(self, c: Cluster, in_memory: Any, layouts: Any, divided: Any) -> Nest | NotAffineError:
        try:
            return nest(c, in_memory, layouts, divided, self.chunks, self.lanes)
        except NotAffineError as e:
            return NotAffineError(e.view, e.split)  # without the frames that it came through


class _Rows:
    """What values are apart from their operands, as numbers: equal ones where it is equal.

    How a value lies in memory, if it does, is the same for all clusters.
    """

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._computed: dict[Value, int] = {}
        self._stored: dict[Value, int] = {}

    def computed(self, v: Value) -> int:
        """For a value that the cluster computes."""
        found = self._computed.get(v)
        if found is None:
            found = self._computed[v] = self._number((v.kind, v.name, hashable(v.params), v.shape, v.dtype))
        return found

    def stored(self, v: Value, layouts: Mapping[Value, Layout]) -> int:
        """For a value that lies in memory."""
        found = self._stored.get(v)
        if found is None:
            found = self._stored[v] = self._number((layouts[v], v.shape, v.dtype, zero_below(v)))
        return found

    def _number(self, row: tuple[Any, ...]) -> int:
        return self._numbers.setdefault(row, len(self._numbers))


class _Form:
    """A cluster's expressions: the ``numbers`` of values as they are met, and a ``key`` that has these for them."""

    def __init__(
        self,
        c: Cluster,
        in_memory: Callable[[Value], bool],
        layouts: Mapping[Value, Layout],
        divided: Collection[Value],
        known: _Rows,
    ) -> None:
        self.own = {*c.outputs, *c.reduces}
        self.in_memory = in_memory
        self.layouts = layouts
        self.divided = divided
        self.known = known
        self.numbers: dict[Value, int] = {}
        self.rows: list[Any] = []
        for v in (*c.outputs, *c.reduces):
            self.visit(v)
        outputs = tuple([(self.numbers[v], v in c.after, layouts[v]) for v in c.outputs])
        reduces = tuple([self.numbers[v] for v in c.reduces])
        self.key = c.domain, c.dims, outputs, reduces, tuple(self.rows)
        self.values = tuple(self.numbers)
        self.lie = self.places(in_memory, divided)

    def places(self, in_memory: Callable[[Value], bool], divided: Collection[Value]) -> tuple[list[bool], list[bool]]:
        """Which of its values lie in memory, and which are divided."""
        return [in_memory(v) for v in self.values], [v in divided for v in self.values]

    def holds(self, in_memory: Callable[[Value], bool], divided: Collection[Value]) -> bool:
        """Would the cluster have the same expressions now?"""
        return self.places(in_memory, divided) == self.lie

    def visit(self, v: Value) -> None:
        """Numbers a value and what it is computed from, operands first."""
        if v in self.numbers:
            return
        if v not in self.own and self.in_memory(v):
            row: Any = self.known.stored(v, self.layouts)
        else:
            for a in v.args:
                self.visit(a)
            row = self.known.computed(v), v in self.divided, *[self.numbers[a] for a in v.args]
        self.numbers[v] = len(self.numbers)
        self.rows.append(row)


def _over(n: Nest, moved: Mapping[Value, Value]) -> Nest:
    """The nest over other values."""
    nodes: dict[Node, Node] = {}
    for node in n.nodes:
        params = node.params
        if node.op == "load":
            params = Load(moved[params.value], params.address, params.guards)
        nodes[node] = node.again(tuple([nodes[a] for a in node.args]), params)
    return Nest(
        n.sizes[:],
        n.reduced[:],
        [Reduction(moved[r.value], nodes[r.node]) for r in n.reductions],
        [Store(nodes[s.node], moved[s.value], s.address) for s in n.stores],
        list(nodes.values()),
        n.chunked,
        [RunTime(nodes[r.node], r.size) for r in n.runtime],
        None if n.serial is None else moved[n.serial],
        bands=n.bands,
    )
