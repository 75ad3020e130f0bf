"""``torch.fx``: functions and modules as graphs of calls, recorded by running them on stand-ins."""

from __future__ import annotations

from .graph import Graph
from .graph_module import GraphModule
from .interpreter import Interpreter, Transformer
from .node import Node, map_arg
from .proxy import Proxy, TraceError
from .tracer import Tracer, symbolic_trace, wrap

__all__ = [
    "Graph", "GraphModule", "Interpreter", "Node", "Proxy", "TraceError", "Tracer", "Transformer", "map_arg",
    "symbolic_trace", "wrap",
]  # fmt: skip
