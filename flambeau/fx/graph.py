"""Graphs: a list of nodes, and the Python code that they stand for."""

from __future__ import annotations

import builtins
import keyword
import operator
import re
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import Any

import flambeau as torch

from .node import Node, map_arg, qualified

_BINARY = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "lshift": "<<", "rshift": ">>", "and_": "&", "or_": "|", "xor": "^", "lt": "<", "gt": ">", "le": "<=", "ge": ">=",
    "eq": "==", "ne": "!=",
}  # fmt: skip
_FORMATS = {getattr(operator, name): f"{{}} {sign} {{}}" for name, sign in _BINARY.items()}
_FORMATS |= {
    operator.neg: "-{}",
    operator.pos: "+{}",
    operator.invert: "~{}",
    operator.getitem: "{}[{}]",
    getattr: "getattr({}, {})",
}


class Graph:
    """Calls in the order in which they run."""

    def __init__(self, owning_module: Any = None, tracer_cls: Any = None, tracer_extras: Any = None) -> None:
        self._list: list[Node] = []
        self._names: set[str] = set()
        self._root = Node(self, "", "root", "", (), {})
        self._at: int | None = None  # where new nodes go: at the end by default
        self.owning_module = owning_module

    @property
    def nodes(self) -> list[Node]:
        """The nodes in order; a copy, so that the graph may change while it is walked."""
        return list(self._list)

    # ---- making nodes

    def create_node(
        self, op: str, target: Any, args: Any = None, kwargs: Any = None, name: str | None = None, type_expr: Any = None
    ) -> Node:
        """A new node at the place for insertions."""
        node = Node(
            self, self._name_for(name or self._candidate(op, target)), op, target, args or (), kwargs or {}, type_expr
        )
        at = len(self._list) if self._at is None else self._at
        self._list.insert(at, node)
        if self._at is not None:
            self._at += 1
        return node

    def placeholder(self, name: str, type_expr: Any = None, default_value: Any = ...) -> Node:
        """An argument of the graph."""
        return self.create_node(
            "placeholder", name, () if default_value is ... else (default_value,), type_expr=type_expr
        )

    def get_attr(self, qualified_name: str, type_expr: Any = None) -> Node:
        """A parameter or attribute of the module."""
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_module(self, module_name: str, args: Any = None, kwargs: Any = None, type_expr: Any = None) -> Node:
        """A call of a module inside the module."""
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def call_method(self, method_name: str, args: Any = None, kwargs: Any = None, type_expr: Any = None) -> Node:
        """A call of a method of the first argument."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_function(
        self,
        the_function: Callable[..., Any],
        args: Any = None,
        kwargs: Any = None,
        type_expr: Any = None,
        name: Any = None,
    ) -> Node:
        """A call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name, type_expr)

    def output(self, result: Any, type_expr: Any = None) -> Node:
        """What the graph returns."""
        return self.create_node("output", "output", (result,), type_expr=type_expr)

    def node_copy(self, node: Node, arg_transform: Callable[[Node], Any] = lambda x: x) -> Node:
        """A copy of a node, perhaps of another graph, its arguments given by ``arg_transform``."""
        args, kwargs = map_arg((node.args, node.kwargs), arg_transform)
        new = self.create_node(node.op, node.target, args, kwargs, node.name, node.type)
        new.meta = dict(node.meta)
        return new

    def graph_copy(self, g: Graph, val_map: dict[Node, Node], return_output_node: bool = False) -> Any:
        """Copies the nodes of another graph here; returns what that graph returns."""
        for node in g.nodes:
            if node.op == "output":
                result = map_arg(node.args[0], lambda n: val_map[n])
                return (result, node) if return_output_node else result
            if node not in val_map:
                val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def _candidate(self, op: str, target: Any) -> str:
        name = target if isinstance(target, str) else getattr(target, "__name__", "call")
        if op == "call_method" or op == "call_function":
            name = name.strip("_")
        return name.replace(".", "_")

    def _name_for(self, candidate: str) -> str:
        base = re.sub(r"[^0-9a-zA-Z_]+", "_", candidate) or "_unnamed"
        base = f"_{base}" if base[0].isdigit() else base
        match = re.fullmatch(r"(.*)_(\d+)", base)
        stem, count = (match[1], int(match[2])) if match else (base, 0)
        name = base
        while (
            name in self._names or keyword.iskeyword(name) or name in vars(builtins) or name in ("torch", "inf", "nan")
        ):
            count += 1
            name = f"{stem}_{count}"
        self._names.add(name)
        return name

    # ---- changing the order

    def _neighbour(self, node: Node, by: int) -> Node:
        at = self._list.index(node) + by
        return self._list[at] if 0 <= at < len(self._list) else self._root

    def _move(self, node: Node, where: Node, by: int) -> None:
        self._list.remove(node)
        self._list.insert(self._list.index(where) + by, node)

    @contextmanager
    def _inserting(self, at: int) -> Any:
        before, self._at = self._at, at
        try:
            yield
        finally:
            self._at = before

    def inserting_before(self, n: Node | None = None) -> Any:
        """A block in which new nodes go before ``n`` (to the beginning without one)."""
        return self._inserting(0 if n is None else self._list.index(n))

    def inserting_after(self, n: Node | None = None) -> Any:
        """A block in which new nodes go after ``n`` (to the end without one)."""
        return self._inserting(len(self._list) if n is None else self._list.index(n) + 1)

    def erase_node(self, to_erase: Node) -> None:
        """Removes a node.

        Raises:
            RuntimeError: others use it.
        """
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in the graph: "
                f"{to_erase.users}!"
            )
        to_erase._update((), {})
        self._list.remove(to_erase)

    def eliminate_dead_code(self, is_impure_node: Any = None) -> bool:
        """Removes the calls whose results nobody uses; were there any?"""
        before = len(self._list)
        for node in reversed(self.nodes):
            if not node.users and node.op not in ("placeholder", "output"):
                self.erase_node(node)
        return len(self._list) < before

    def lint(self) -> None:
        """Checks that names are unique and arguments come before their users.

        Raises:
            RuntimeError: they do not.
        """
        seen: set[Node] = set()
        names: set[str] = set()
        for node in self._list:
            for used in node.all_input_nodes:
                if used.graph is not self:
                    raise RuntimeError(
                        f"Argument '{used}' of Node '{node}' does not belong to this Graph, but was used as an "
                        "argument! If you are copying nodes from another graph, make sure to use ``arg_transform`` on "
                        "node_copy() to remap values"
                    )
                if used not in seen:
                    raise RuntimeError(
                        f"Argument '{used}' of Node '{node}' was used before it has been defined! Please check that "
                        "Nodes in the graph are topologically ordered"
                    )
            if node.name in names:
                raise RuntimeError(f"Node redefined name {node.name}!")
            seen.add(node)
            names.add(node.name)

    def find_nodes(self, *, op: str, target: Any = None, sort: bool = True) -> list[Node]:
        """The nodes of a kind."""
        return [n for n in self._list if n.op == op and (target is None or n.target == target)]

    # ---- text

    def __str__(self) -> str:
        return "graph():" + "".join(f"\n    {node.format_node()}" for node in self._list)

    def python_code(self, root_module: str = "self") -> Code:
        """The graph as a method ``forward``."""
        return Code(self, root_module)


class Code:
    """Python source of a graph (``src``) and the names that it uses (``globals``)."""

    def __init__(self, graph: Graph, root: str) -> None:
        self.globals: dict[str, Any] = {
            "torch": torch,
            "inf": float("inf"),
            "nan": float("nan"),
            "device": torch.device,
        }
        self._root, self._parameters, self._last = root, [], _last_uses(graph)
        lines = [line for node in graph.nodes for line in self._line(node)] or ["pass"]
        head = f"def forward({', '.join([root, *self._parameters])}):"
        self.src = f"\n\n\n{head}\n    " + "\n    ".join(lines) + "\n    "

    def _line(self, node: Node) -> Iterable[str]:
        if node.op == "placeholder":
            default = f" = {self._text(node.args[0])}" if node.args else ""
            self._parameters.append(f"{node.target}{default}")
            return [] if node.name == node.target else [f"{node.name} = {node.target}"]
        if node.op == "output":
            return [f"return {self._text(node.args[0])}"]
        dead = self._last.get(node, [])
        tail = f";  {' = '.join(n.name for n in dead)} = None" if dead else ""
        return [f"{node.name} = {self._call(node)}{tail}"]

    def _call(self, node: Node) -> str:
        if node.op == "get_attr":
            return _attribute(self._root, node.target)
        if node.op == "call_module":
            return f"{_attribute(self._root, node.target)}({self._arguments(node.args, node.kwargs)})"
        if node.op == "call_method":
            first, *rest = node.args
            return f"{self._text(first)}.{node.target}({self._arguments(rest, node.kwargs)})"
        form = _FORMATS.get(node.target)
        if form is not None and not node.kwargs:
            return form.format(*map(self._text, node.args))
        return f"{self._function(node.target)}({self._arguments(node.args, node.kwargs)})"

    def _function(self, target: Any) -> str:
        path = qualified(target)
        head = path.partition(".")[0]
        if head == "torch" or "." not in path:
            return path
        name = path.replace(".", "_").replace("<", "").replace(">", "")
        self.globals[name] = target
        return name

    def _arguments(self, args: Iterable[Any], kwargs: dict[str, Any]) -> str:
        return ", ".join([*map(self._text, args), *(f"{key} = {self._text(x)}" for key, x in kwargs.items())])

    def _text(self, a: Any) -> str:
        if isinstance(a, tuple):
            return "(" + ", ".join(map(self._text, a)) + ("," if len(a) == 1 else "") + ")"
        if isinstance(a, list):
            return "[" + ", ".join(map(self._text, a)) + "]"
        if isinstance(a, dict):
            return "{" + ", ".join(f"{key!r}: {self._text(x)}" for key, x in a.items()) + "}"
        if isinstance(a, slice):
            return f"slice({', '.join(map(self._text, (a.start, a.stop, a.step)))})"
        return a.name if isinstance(a, Node) else self._function(a) if callable(a) else repr(a)


def _attribute(root: str, path: str) -> str:
    text = root
    for part in path.split("."):
        text = f"{text}.{part}" if part.isidentifier() else f'getattr({text}, "{part}")'
    return text


def _last_uses(graph: Graph) -> dict[Node, list[Node]]:
    """For each node what it is the last to use, in the order of its arguments from the last."""
    last: dict[Node, list[Node]] = {}
    seen: set[Node] = set()
    for node in reversed(graph.nodes):
        fresh = [n for n in node.all_input_nodes if n not in seen]
        seen.update(fresh)
        if fresh:
            last[node] = fresh
    return last
