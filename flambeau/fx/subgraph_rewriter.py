"""Replacing patterns in graphs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flambeau as torch

from ._symbolic_trace import symbolic_trace
from .graph import Graph
from .graph_module import GraphModule
from .node import Node

__all__ = ["Match", "ReplacedPatterns", "replace_pattern", "replace_pattern_with_filters"]


class Match(NamedTuple):
    """Where a pattern was found: its last node, and the node for each of its nodes."""

    anchor: Node
    nodes_map: dict[Node, Node]


@dataclass
class ReplacedPatterns:
    """Where a pattern was found, and the nodes that stand there now."""

    anchor: Node
    nodes_map: dict[Node, Node]
    replacements: list[Node]


def replace_pattern(gm: GraphModule, pattern: Any, replacement: Any) -> list[Match]:
    """Replaces every match of a pattern that overlaps no earlier one.

    Args:
        gm: The module whose graph is changed.
        pattern: A function or module; what it does with its arguments is looked for.
        replacement: A function or module of as many arguments; what it does stands there then.

    Returns:
        Where the pattern was found.
    """
    found = replace_pattern_with_filters(gm, pattern, replacement)
    return [Match(anchor=m.anchor, nodes_map=m.nodes_map) for m in found]


def replace_pattern_with_filters(
    gm: GraphModule,
    pattern: Any,
    replacement: Any = None,
    match_filters: list[Callable[..., bool]] | None = None,
    ignore_literals: bool = False,
    replacement_callback: Callable[..., Graph] | None = None,
    node_name_match: str = "",
) -> list[ReplacedPatterns]:
    """``replace_pattern`` of the matches that all filters take.

    Args:
        gm: The module whose graph is changed.
        pattern: A function, module or graph to look for.
        replacement: A function, module or graph that stands there then.
        match_filters: Functions of the match, the graph and the pattern's graph.
        ignore_literals: May numbers and the like differ?
        replacement_callback: Gives the replacement of a match, of the match, the graph and the pattern's graph.
        node_name_match: A node with this in its name matches whatever it calls.
    """
    from .passes.utils.matcher_utils import SubgraphMatcher

    graph, wanted = gm.graph, _graph_of(pattern)
    matches = SubgraphMatcher(wanted, ignore_literals=ignore_literals).match(graph, node_name_match)
    matches = [m for m in matches if all(f(m, graph, wanted) for f in match_filters or ())]
    assert replacement is not None or replacement_callback is not None, (
        "Must provide either a replacement GraphModule or a replacement callback"
    )
    common = None if replacement is None else _graph_of(replacement)
    changed: dict[Node, Node] = {}
    done = []
    for match in matches:
        new = replacement_callback(match, graph, wanted) if replacement_callback is not None else common
        done.append(_replace(gm, match, wanted, new, changed))
    gm.recompile()
    if isinstance(replacement, torch.nn.Module):
        _replace_attributes(gm, replacement)
    return done


def _graph_of(x: Any) -> Graph:
    if isinstance(x, GraphModule):
        return x.graph
    return x if isinstance(x, Graph) else symbolic_trace(x).graph


def _replace(gm: GraphModule, match: Any, wanted: Graph, new: Any, changed: dict[Node, Node]) -> ReplacedPatterns:
    """Puts a graph in the place of one match; ``changed`` are the nodes that earlier ones have replaced."""
    graph = gm.graph
    arguments = [n for n in new.nodes if n.op == "placeholder"]
    assert len(match.placeholder_nodes) == len(arguments), "pattern and replacement differ in their arguments"
    now = {pn: changed.get(gn, gn) if isinstance(gn, Node) else gn for pn, gn in match.nodes_map.items()}
    given = [changed.get(g, g) if isinstance(g, Node) else g for g in match.placeholder_nodes]
    values = dict(zip(arguments, given))
    with graph.inserting_before(_first_reader(graph, match)):
        results = graph.graph_copy(new, values)
    results = (results,) if isinstance(results, Node) else results
    assert len(match.returning_nodes) == len(results), "pattern and replacement differ in their results"
    for old, made in zip(match.returning_nodes, results):
        old.replace_all_uses_with(made)
        changed[old] = made
    for node in reversed(wanted.nodes):
        if node.op not in ("placeholder", "output"):
            graph.erase_node(match.nodes_map[node])
    made = [v for v in values.values() if not any(v is g for g in given)]
    return ReplacedPatterns(match.anchors[0], now, made)


def _first_reader(graph: Graph, match: Any) -> Node:
    """The first node that uses a result of the match, else the one behind its last result."""
    users = {user for n in match.returning_nodes for user in n.users}
    for node in graph.nodes:
        if node in users:
            return node
    last = next(n for n in reversed(graph.nodes) if n in match.returning_nodes)
    return last.next


def _replace_attributes(gm: GraphModule, replacement: Any) -> None:
    """Gives the module what the replacement's nodes name.

    Raises:
        RuntimeError: Neither module has it.
    """
    gm.delete_all_unused_submodules()
    if isinstance(replacement, GraphModule):
        replacement.graph.lint()
    for node in gm.graph.nodes:
        if node.op not in ("call_module", "get_attr"):
            continue
        own, other = _fetched(gm, node.target), _fetched(replacement, node.target)
        if own is None and other is None:
            raise RuntimeError(
                f'Attempted to create a "{node.op}" node during subgraph rewriting with target {node.target}, but the '
                "referenced attribute does not exist in the replacement GraphModule"
            )
        if own is None:
            setattr_path(gm, node.target, copy.deepcopy(other))
    gm.graph.lint()


def _fetched(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part, None)
    return module


def setattr_path(gm: GraphModule, path: str, value: Any) -> None:
    """Puts a value under a dotted name."""
    if isinstance(value, torch.nn.Module):
        gm.add_submodule(path, value)
        return
    parent, _, name = path.rpartition(".")
    setattr(gm.get_submodule(parent), name, value)
