"""How often the kernel of a cluster computes a value: once for each way in which views lead from its loops to it.

A chain of maps whose values are read at several elements each, as those of a solver that keeps its state in a vector,
is computed twice at each step, and 2^n times after n. So clusters count what they compute by these ways.
"""

from __future__ import annotations

from .ir import Value
from .sequence import Cluster

Ways = frozenset[int]  # the views from a cluster's loops to a value, each chain of them as its hash
DIRECT: Ways = frozenset([0])


class Repeated:
    """The ways to the values that are visited so far, from the last to the first."""

    def __init__(self, users: list[list[Value]], homes: list[tuple[Cluster, ...]]) -> None:
        self.users = users
        self.homes = homes
        self.known: dict[tuple[Value, Cluster], Ways] = {}  # but direct ones
        self.visited: Value | None = None
        self.to_visited: dict[Cluster, Ways] = {}

    def ways(self, v: Value, c: Cluster) -> Ways:
        """Those to ``v``, the value that is visited, where the cluster computes it as part of what reads it."""
        if v is not self.visited:
            self.visited, self.to_visited = v, {}
        found = self.to_visited.get(c)
        if found is None:
            found = self.to_visited[c] = self._ways(v, c)
            if found is not DIRECT:
                self.known[v, c] = found
        return found

    def _ways(self, v: Value, c: Cluster) -> Ways:
        own = [self._through(u, c) for u in self.users[v.index] if c in self.homes[u.index]]
        if len(own) < 2:
            return own[0] if own else DIRECT
        return own[0].union(*own[1:]) if any([w is not own[0] for w in own]) else own[0]  # noqa: C419

    def _through(self, u: Value, c: Cluster) -> Ways:
        ways = self.known.get((u, c), DIRECT)
        if u.kind == "map":
            return ways
        return frozenset([hash((w, u.kind, u.name, u.params)) for w in ways])
