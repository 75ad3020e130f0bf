"""Pictures of graphs, drawn with the package pydot."""

from __future__ import annotations

import importlib.util
from typing import Any

from flambeau.fx._names import target_name
from flambeau.fx.node import Node, _format_arg

__all__ = ["FxGraphDrawer"]

_COLORS = {
    "get_attr": "LightGrey", "call_function": "PowderBlue", "call_method": "PowderBlue", "call_module": "PapayaWhip",
    "placeholder": "AliceBlue", "output": "PowderBlue",
}  # fmt: skip


class FxGraphDrawer:
    """Draws the graph of a module, and of the graphs inside it.

    Args:
        graph_module: The module.
        name: The picture's name.
        ignore_getattr: Leave out parameters and buffers.
        ignore_parameters_and_buffers: The same of modules.
        skip_node_names_in_args: Leave nodes out of the arguments that are shown.

    Raises:
        RuntimeError: pydot is not installed.
    """

    def __init__(
        self,
        graph_module: Any,
        name: str,
        ignore_getattr: bool = False,
        ignore_parameters_and_buffers: bool = False,
        skip_node_names_in_args: bool = True,
        **_: Any,
    ) -> None:
        if importlib.util.find_spec("pydot") is None:
            raise RuntimeError(
                "FXGraphDrawer requires the pydot package to be installed. Please install pydot through your favorite "
                "Python package manager."
            )
        self._name, self._ignore_getattr = name, ignore_getattr
        self._skip_nodes = skip_node_names_in_args
        self._dot_graphs = {name: self._drawn(graph_module, name)}
        for child_name, child in graph_module.named_children():
            if hasattr(child, "graph"):
                self._dot_graphs[f"{name}_{child_name}"] = self._drawn(child, f"{name}_{child_name}")

    def get_dot_graph(self, submod_name: str | None = None) -> Any:
        """The picture of the module, or of one inside it, as pydot's graph."""
        return self._dot_graphs[self._name if submod_name is None else submod_name]

    def get_main_dot_graph(self) -> Any:
        """The picture of the module."""
        return self._dot_graphs[self._name]

    def get_submod_dot_graph(self, submod_name: str) -> Any:
        """The picture of a module inside it."""
        return self._dot_graphs[f"{self._name}_{submod_name}"]

    def get_all_dot_graphs(self) -> dict[str, Any]:
        """All pictures by name."""
        return self._dot_graphs

    def _drawn(self, module: Any, name: str) -> Any:
        import pydot  # pyright: ignore[reportMissingImports]

        dot = pydot.Dot(name, rankdir="TB")
        nodes = [n for n in module.graph.nodes if not (self._ignore_getattr and n.op == "get_attr")]
        for node in nodes:
            style = {
                "shape": "record",
                "fillcolor": _COLORS[node.op],
                "style": "filled,rounded",
                "fontcolor": "#000000",
            }
            dot.add_node(pydot.Node(node.name, label=self._label(node), **style))
        for node in nodes:
            for user in node.users:
                dot.add_edge(pydot.Edge(node.name, user.name))
        return dot

    def _label(self, node: Node) -> str:
        lines = [f"name=%{node.name}", f"op_code={node.op}", f"target={target_name(node.target)}"]
        for what, given in (("args", node.args), ("kwargs", node.kwargs)):
            if given and not (self._skip_nodes and all(isinstance(a, Node) for a in given)):
                lines.append(f"{what}={_format_arg(given, max_list_len=8)}")
        lines.append(f"num_users={len(node.users)}")
        text = r"\n".join(lines)
        for sign in "{}<>|":
            text = text.replace(sign, "\\" + sign)
        return "{" + text + "}"
