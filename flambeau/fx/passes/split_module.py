"""Cutting a graph into modules."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from flambeau.fx.graph import Graph
from flambeau.fx.graph_module import GraphModule
from flambeau.fx.node import Node, map_arg

__all__ = ["Partition", "split_module"]


class Partition:
    """A part: its nodes, what it takes and gives, and which parts it needs and which need it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.submod_name = f"submod_{name}"
        self.node_names: list[str] = []
        self.inputs: dict[Node, None] = {}
        self.outputs: dict[Node, None] = {}
        self.needs: dict[str, None] = {}
        self.graph = Graph()
        self.environment: dict[Node, Node] = {}
        self.targets: dict[str, Any] = {}

    def __repr__(self) -> str:
        inputs, outputs = list(self.inputs), list(self.outputs)
        return f"name: {self.name},\n nodes: {self.node_names},\n inputs: {inputs},\n outputs: {outputs}"


def split_module(
    m: GraphModule,
    root_m: Any,
    split_callback: Callable[[Node], Any],
    qualname_map: dict[str, str] | None = None,
    keep_original_order: bool | None = False,
    keep_original_node_name: bool | None = False,
    keep_original_input_name: bool = True,
    **_: Any,
) -> GraphModule:
    """A module of modules, one for each part of a graph.

    Args:
        m: The module whose graph is cut.
        root_m: The module that has what its nodes name.
        split_callback: Says to which part a node belongs.
        qualname_map: Filled with the old names of what the parts have, by the new ones.
        keep_original_order: Call the parts in the order in which their first nodes stand.
        keep_original_node_name: Keep the names of nodes in the parts.
        keep_original_input_name: Keep the names of what parts take.

    Raises:
        RuntimeError: Two parts need each other.
    """
    return _Split(m, root_m, split_callback, qualname_map).module(bool(keep_original_order))


class _Split:
    def __init__(self, m: GraphModule, root: Any, part_of: Callable[[Node], Any], names: dict[str, str] | None) -> None:
        self.m, self.root, self.names = m, root, names
        self.parts: dict[str, Partition] = {}
        self.home: dict[Node, Partition | None] = {}
        for node in m.graph.nodes:
            if node.op in ("placeholder", "get_attr", "output"):
                self.home[node] = None
                continue
            name = str(part_of(node))
            part = self.parts.setdefault(name, Partition(name))
            part.node_names.append(node.name)
            self.home[node] = part

    def module(self, in_order: bool) -> GraphModule:
        """The module of the parts."""
        for node in self.m.graph.nodes:
            for used in node.all_input_nodes:
                self._note(used, node)
        order = list(self.parts.values()) if in_order else self._sorted()
        self._fill()
        return self._assembled(order)

    def _note(self, used: Node, node: Node) -> None:
        """Notes that a node uses another, perhaps of another part."""
        source, here = self.home[used], self.home[node]
        if source is here:
            return
        if source is not None:
            source.outputs[used] = None
        if here is not None:
            here.inputs[used] = None
            if source is not None:
                here.needs[source.name] = None

    def _sorted(self) -> list[Partition]:
        """The parts so that each comes behind those that it needs."""
        left = {name: set(part.needs) for name, part in self.parts.items()}
        order: list[Partition] = []
        ready = [name for name, needs in left.items() if not needs]
        while ready:
            name = ready.pop(0)
            order.append(self.parts[name])
            for other, needs in left.items():
                if name in needs:
                    needs.discard(name)
                    if not needs:
                        ready.append(other)
        if len(order) != len(self.parts):
            raise RuntimeError("cycle exists between partitions!")
        return order

    def _fill(self) -> None:
        """Makes the graphs of the parts."""
        for part in self.parts.values():
            for used in part.inputs:
                part.environment[used] = self._input(part, used)
        for node in self.m.graph.nodes:
            part = self.home[node]
            if part is not None:
                self._copy(part, node)

    def _input(self, part: Partition, used: Node) -> Node:
        if used.op == "get_attr":
            target = used.target.replace(".", "_")
            part.targets[target] = _attribute(self.root, used.target)
            made = part.graph.get_attr(target)
        else:
            made = part.graph.placeholder(used.name, used.type)
        made.meta = dict(used.meta)
        return made

    def _copy(self, part: Partition, node: Node) -> None:
        target = node.target
        if node.op == "call_module":
            target = node.target.replace(".", "_")
            part.targets[target] = _attribute(self.root, node.target)
            self._rename(part, target, node.target)
        args, kwargs = map_arg((node.args, node.kwargs), lambda n: part.environment[n])
        made = part.graph.create_node(node.op, target, args, kwargs, node.name, node.type)
        made.meta = dict(node.meta)
        part.environment[node] = made

    def _rename(self, part: Partition, new: str, old: str) -> None:
        if self.names is not None:
            self.names[f"{part.submod_name}.{new}"] = old

    def _assembled(self, order: list[Partition]) -> GraphModule:
        graph, values, base = Graph(), dict[Node, Any](), dict[str, Any]()
        for node in self.m.graph.nodes:
            if node.op == "placeholder":
                default = node.args[0] if node.args else ...
                values[node] = graph.placeholder(node.target, node.type, default)
                values[node].meta = dict(node.meta)
            elif node.op == "get_attr":
                values[node] = graph.get_attr(node.target)
                values[node].meta = dict(node.meta)
                base[node.target] = _attribute(self.m, node.target)
        for part in order:
            self._call(part, graph, values, base)
        for node in self.m.graph.nodes:
            if node.op == "output":
                graph.output(map_arg(node.args[0], lambda n: values[n]))
        _erase_unused(graph)
        return GraphModule(base, graph)

    def _call(self, part: Partition, graph: Graph, values: dict[Node, Any], base: dict[str, Any]) -> None:
        """Calls a part, and takes what it gives apart."""
        outputs = list(part.outputs)
        results = tuple([part.environment[n] for n in outputs])
        part.graph.output(results[0] if len(results) == 1 else results)
        base[part.submod_name] = GraphModule(part.targets, part.graph)
        taken = tuple([values[n] for n in part.inputs if n.op != "get_attr"])
        made = graph.call_module(part.submod_name, taken)
        if len(outputs) == 1:
            values[outputs[0]] = made
            return
        for i, node in enumerate(outputs):
            values[node] = graph.call_function(operator.getitem, (made, i))


def _erase_unused(graph: Graph) -> None:
    """Removes attributes that only parts use."""
    for node in reversed(graph.nodes):
        if node.op == "get_attr" and not node.users:
            graph.erase_node(node)


def _attribute(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part)
    return module
