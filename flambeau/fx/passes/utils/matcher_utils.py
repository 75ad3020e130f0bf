"""Finding a pattern, a small graph, in another graph."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import flambeau as torch
from flambeau.fx.graph import Graph
from flambeau.fx.node import Node

__all__ = ["InternalMatch", "SubgraphMatcher"]


@dataclass
class InternalMatch:
    """Where a pattern was found: for its last nodes, for all nodes, for its arguments and for its results."""

    anchors: list[Node]
    nodes_map: dict[Node, Node] = field(default_factory=dict)
    placeholder_nodes: list[Any] = field(default_factory=list)
    returning_nodes: list[Node] = field(default_factory=list)
    name_node_map: dict[str, Node] = field(default_factory=dict)

    def __copy__(self) -> InternalMatch:
        return InternalMatch(
            self.anchors, dict(self.nodes_map), list(self.placeholder_nodes), list(self.returning_nodes)
        )


class SubgraphMatcher:
    """Finds a pattern by going from what it returns to what it takes.

    Args:
        pattern: The pattern, without calls whose results are not used.
        match_output: Must its result be the graph's?
        match_placeholder: Must its arguments be the graph's? Else they match anything.
        remove_overlapping_matches: Leave out matches with a node of an earlier one.
        ignore_literals: May numbers and the like differ?

    Raises:
        ValueError: The pattern is empty.
    """

    def __init__(
        self,
        pattern: Graph,
        match_output: bool = False,
        match_placeholder: bool = False,
        remove_overlapping_matches: bool = True,
        ignore_literals: bool = False,
    ) -> None:
        self.pattern, self.match_output, self.match_placeholder = pattern, match_output, match_placeholder
        self.remove_overlapping_matches, self.ignore_literals = remove_overlapping_matches, ignore_literals
        if len(pattern.nodes) == 0:
            raise ValueError("SubgraphMatcher cannot be initialized with an empty pattern")
        for node in pattern.nodes:
            assert node.op == "output" or node.is_impure() or node.users, (
                "SubgraphMatcher cannot be initialized with an pattern with dead code"
            )
        output = next(iter(reversed(pattern.nodes)))
        self.pattern_placeholder_nodes = [n for n in pattern.nodes if n.op == "placeholder"]
        self.pattern_returning_nodes: list[Node] = output.all_input_nodes
        self.pattern_anchors = (
            [output] if match_output else [n for n in self.pattern_returning_nodes if len(n.users) == 1]
        )

    def match(self, graph: Graph, node_name_match: str = "") -> list[InternalMatch]:
        """The matches, whose inner nodes nobody else uses.

        Args:
            graph: Where to look.
            node_name_match: A node with this in its name matches whatever it calls.
        """
        candidates = []
        for anchor in self.pattern_anchors:
            fitting = [n for n in graph.nodes if self._nodes_are_equal(anchor, n, node_name_match)]
            if fitting:
                candidates.append((anchor, fitting))
        found: list[InternalMatch] = []
        if candidates:
            self._search(candidates, InternalMatch(self.pattern_anchors), node_name_match, found)
        found = [m for m in found if self._is_contained(m.nodes_map) and _has_no_way_back(m)]
        return self._apart(found) if self.remove_overlapping_matches else found

    def _search(self, candidates: list[Any], match: InternalMatch, name: str, found: list[InternalMatch]) -> None:
        """Matches the anchors one after the other, each with all nodes that it may be."""
        if not candidates:
            match.placeholder_nodes = [match.nodes_map[n] for n in self.pattern_placeholder_nodes]
            match.returning_nodes = [match.nodes_map[n] for n in self.pattern_returning_nodes]
            found.append(match)
            return
        (anchor, nodes), *rest = candidates
        for node in nodes:
            attempt = copy.copy(match)
            if self._match_nodes(anchor, node, attempt, name):
                self._search(rest, attempt, name, found)

    def _nodes_are_equal(self, pn: Node, gn: Node, node_name_match: str = "") -> bool:
        if not self.match_placeholder and pn.op == "placeholder":
            return True
        if node_name_match and node_name_match in gn.name:
            return True
        if pn.op != gn.op:
            return False
        if pn.op in ("placeholder", "output"):
            return True
        return self._match_attributes(pn, gn) if pn.op == "get_attr" else pn.target == gn.target

    def _match_attributes(self, pn: Node, gn: Node) -> bool:
        own, other = [_attribute(n.graph.owning_module, n.target) for n in (pn, gn)]
        if type(own) is not type(other):
            return False
        if not isinstance(own, torch.Tensor):
            raise RuntimeError(f"Unsupported type {own} when matching attributes")
        return True

    def _match_nodes(self, pn: Node, gn: Node, match: InternalMatch, name: str = "") -> bool:
        if pn in match.nodes_map:
            return match.nodes_map[pn] is gn
        if gn in match.nodes_map.values() or not self._nodes_are_equal(pn, gn, name):
            return False
        match.nodes_map[pn] = gn
        if pn.op == "placeholder":
            return True
        if list(pn.kwargs) != list(gn.kwargs):
            return False
        return self._match_args([*pn.args, *pn.kwargs.values()], [*gn.args, *gn.kwargs.values()], match)

    def _match_args(self, pargs: Any, gargs: Any, match: InternalMatch) -> bool:
        return len(pargs) == len(gargs) and all([self._match_arg(p, g, match) for p, g in zip(pargs, gargs)])  # noqa: C419

    def _match_arg(self, p: Any, g: Any, match: InternalMatch) -> bool:
        if isinstance(p, Node) and isinstance(g, Node):
            return self._match_nodes(p, g, match)
        if isinstance(p, (list, tuple)) and isinstance(g, (list, tuple)):
            return self._match_args(p, g, match)
        return self._match_literals(p, g, match) or self.ignore_literals

    def _match_literals(self, p: Any, g: Any, match: InternalMatch) -> bool:
        if isinstance(p, Node):
            if p.op != "placeholder":
                return False
            known = match.nodes_map.setdefault(p, g)
            return known is g or known == g
        return not isinstance(g, Node) and type(g) is type(p) and g == p

    def _is_contained(self, nodes_map: dict[Node, Any]) -> bool:
        """Does nobody else use what is inside?"""
        inner = {g: p for p, g in nodes_map.items() if p.op != "placeholder"}
        ends = self.pattern_returning_nodes
        return all(user in inner for g, p in inner.items() if p not in ends for user in g.users)

    def _apart(self, matches: list[InternalMatch]) -> list[InternalMatch]:
        """The matches without those that share a node with an earlier one."""
        kept, taken = [], set()
        for match in matches:
            own = [g for p, g in match.nodes_map.items() if p.op not in ("placeholder", "output")]
            if taken.isdisjoint(own):
                kept.append(match)
                taken.update(own)
        return kept


def _attribute(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part)
    return module


def _has_no_way_back(match: InternalMatch) -> bool:
    """Can what is matched become one call: does nothing outside need part of it for another part?"""
    inside = {g for p, g in match.nodes_map.items() if p.op not in ("placeholder", "output")}
    ahead = [user for n in inside for user in n.users if user not in inside]
    seen: set[Node] = set()
    while ahead:
        node = ahead.pop()
        if node in inside:
            return False
        if node not in seen:
            seen.add(node)
            ahead += node.users
    return True
