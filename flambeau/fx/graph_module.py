"""Modules made of a graph."""

from __future__ import annotations

import linecache
from itertools import count
from typing import Any

import flambeau as torch

from .graph import Graph

_numbers = count()


class GraphModule(torch.nn.Module):
    """A module whose ``forward`` is the code of a graph.

    Args:
        root: The module, or a dictionary, that has what the graph's nodes name.
        graph: The graph.
        class_name: The class's name.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return super().__new__(type(cls.__name__, (cls,), {"__module__": cls.__module__}))

    def __init__(self, root: Any, graph: Graph, class_name: str = "GraphModule") -> None:
        super().__init__()
        type(self).__name__ = class_name
        self.training = getattr(root, "training", True)
        named = [str(n.target) for n in graph.nodes if n.op in ("call_module", "get_attr")]
        for path in named:
            _copy(root, self, path)
        self.graph = graph

    @property
    def graph(self) -> Graph:
        """The graph; setting it compiles its code."""
        return self._graph

    @graph.setter
    def graph(self, g: Graph) -> None:
        self._graph = g
        g.owning_module = self
        self.recompile()

    @property
    def code(self) -> str:
        """The Python code of ``forward``."""
        return self._code

    def recompile(self) -> Any:
        """Makes ``forward`` anew after the graph has changed; returns the code."""
        made = self._graph.python_code("self")
        self._code = made.src
        name = f"<eval_with_key>.{next(_numbers)}"
        linecache.cache[name] = (len(made.src), None, made.src.splitlines(keepends=True), name)
        scope = dict(made.globals)
        exec(compile(made.src, name, "exec"), scope)
        type(self).forward = scope["forward"]  # type: ignore[method-assign]
        return made

    def print_readable(self, print_output: bool = True, *_: Any, **__: Any) -> str:
        """The code under the class's name; printed unless ``print_output`` is false."""
        text = f"class {type(self).__name__}(torch.nn.Module):" + self._code.replace("\n", "\n    ")
        if print_output:
            print(text)
        return text

    def __str__(self) -> str:
        return "\n".join(
            [super().__str__(), self._code, "# To see more debug info, please use `graph_module.print_readable()`"]
        )


def _copy(source: Any, target: Any, path: str) -> None:
    """Gives ``target`` what ``source`` has under a dotted name."""
    *parents, last = path.split(".")
    if isinstance(source, dict):
        value = source[path]
    else:
        value = source
        for part in (*parents, last):
            value = getattr(value, part)
    for part in parents:
        if not hasattr(target, part):
            target.add_module(part, torch.nn.Module())
        target = getattr(target, part)
    if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
        target.register_buffer(last, value)
    else:
        setattr(target, last, value)
