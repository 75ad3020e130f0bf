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
    """What became of a cluster: its values in the order in which they are met, and its nest or why there is none."""

    values: list[Value]
    found: Nest | NotAffineError


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

    def of(
        self,
        c: Cluster,
        in_memory: Callable[[Value], bool],
        layouts: Mapping[Value, Layout],
        divided: Collection[Value] = (),
    ) -> Nest:
        """The nest of a cluster; arguments and errors are those of ``nest``."""
        form = _Form(c, in_memory, layouts, divided)
        known = self._known.get(form.key)
        if known is None:
            known = self._known[form.key] = _Known(form.values, self._new(c, in_memory, layouts, divided))
        found, moved = known.found, dict(zip(known.values, form.values))
        if isinstance(found, NotAffineError):
            raise NotAffineError(moved[found.view], found.split)
        return found if known.values == form.values else _over(found, moved)

    def _new(self, c: Cluster, in_memory: Any, layouts: Any, divided: Any) -> Nest | NotAffineError:
        try:
            return nest(c, in_memory, layouts, divided, self.chunks, self.lanes)
        except NotAffineError as e:
            return NotAffineError(e.view, e.split)  # without the frames that it came through


class _Form:
    """A cluster's expressions: ``values`` as they are met, and a ``key`` in which these are numbers."""

    def __init__(
        self,
        c: Cluster,
        in_memory: Callable[[Value], bool],
        layouts: Mapping[Value, Layout],
        divided: Collection[Value],
    ) -> None:
        self.own = {*c.outputs, *c.reduces}
        self.in_memory = in_memory
        self.layouts = layouts
        self.divided = divided
        self.numbers: dict[Value, int] = {}
        self.rows: list[Any] = []
        for v in (*c.outputs, *c.reduces):
            self.visit(v)
        outputs = tuple([(self.numbers[v], v in c.after, layouts[v]) for v in c.outputs])
        reduces = tuple([self.numbers[v] for v in c.reduces])
        self.key = c.domain, c.dims, outputs, reduces, tuple(self.rows)

    @property
    def values(self) -> list[Value]:
        """The values in the order of their numbers."""
        return list(self.numbers)

    def visit(self, v: Value) -> None:
        """Numbers a value and what it is computed from, operands first."""
        if v in self.numbers:
            return
        if v not in self.own and self.in_memory(v):
            row: Any = self.layouts[v], v.shape, v.dtype, zero_below(v)
        else:
            for a in v.args:
                self.visit(a)
            args = tuple([self.numbers[a] for a in v.args])
            row = v.kind, v.name, hashable(v.params), args, v.shape, v.dtype, v in self.divided
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
