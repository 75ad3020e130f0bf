"""Graphs: calls in the order in which they run."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import flambeau as torch

from ._codegen import CodeGen, PythonCode, _PyTreeCodeGen, _PyTreeInfo, attribute_of
from ._names import (
    Namespace,
    call_name,
    inplace_methods,
    magic_methods,
    qualified,
    reflectable_magic_methods,
    register_builtin,
    snake_case,
)
from .node import Node, _legal_ops, map_arg

__all__ = ["CodeGen", "Graph", "PythonCode", "inplace_methods", "magic_methods", "reflectable_magic_methods"]

_Namespace = Namespace
_register_custom_builtin = register_builtin
_format_target = attribute_of
_snake_case = snake_case


class _InsertPoint:
    """A block in which new nodes go to another place."""

    def __init__(self, graph: Graph, new_insert: Callable[[Node], None]) -> None:
        self.graph = graph
        self.orig_insert, graph._insert = graph._insert, new_insert

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.graph._insert = self.orig_insert


class _node_list:
    """The nodes in order; the graph may change while they are walked."""

    def __init__(self, graph: Graph, direction: str = "_next") -> None:
        assert direction in ("_next", "_prev")
        self.graph, self.direction = graph, direction

    def __len__(self) -> int:
        return self.graph._len

    def __iter__(self) -> Iterator[Any]:
        node = getattr(self.graph._root, self.direction)
        while node is not self.graph._root:
            if not node._erased:
                yield node
            node = getattr(node, self.direction)

    def __reversed__(self) -> Iterator[Any]:
        return iter(_node_list(self.graph, "_prev" if self.direction == "_next" else "_next"))


class Graph:
    """Calls in the order in which they run (https://docs.pytorch.org/docs/stable/fx.html#torch.fx.Graph).

    Args:
        owning_module: The module whose code it is.
        tracer_cls: The class of the tracer that made it.
        tracer_extras: What a module made of the graph keeps for the tracer when it is pickled.
    """

    def __init__(self, owning_module: Any = None, tracer_cls: Any = None, tracer_extras: Any = None) -> None:
        self._root = Node(self, "", "root", "", (), {})
        self._used_names: dict[str, int] = {}
        self._insert: Callable[[Node], None] = self._root.prepend
        self._len = 0
        self._graph_namespace = Namespace()
        self._owning_module = owning_module
        self._owners = 0
        self._tracer_cls, self._tracer_extras = tracer_cls, tracer_extras
        self._codegen: Any = CodeGen()
        self._co_fields: dict[str, Any] = {}
        self._order: dict[Node, int] = {}

    @property
    def owning_module(self) -> Any:
        """The module whose code it is, or None."""
        return self._owning_module

    @owning_module.setter
    def owning_module(self, mod: Any) -> None:
        self._owning_module = mod

    @property
    def nodes(self) -> _node_list:
        """The nodes in order; also ``reversed``."""
        return _node_list(self)

    def output_node(self) -> Node:
        """The node that returns the result.

        Raises:
            StopIteration: There is none.
        """
        return next(node for node in reversed(self.nodes) if node.op == "output")

    def find_nodes(self, *, op: str, target: Any = None, sort: bool = True) -> list[Node]:
        """The nodes of a kind, of functions with this target."""
        assert op != "call_function" or target is not None, "target must be given for call_function"
        return [n for n in self.nodes if n.op == op and (target is None or n.target == target)]

    def _position(self, node: Node) -> int:
        """Which node of the list it is."""
        if self._order.get(node) is None or len(self._order) != self._len or not self._in_order(node):
            self._order = {n: i for i, n in enumerate(self.nodes)}
        return self._order[node]

    def _in_order(self, node: Node) -> bool:
        at, before, after = self._order[node], node._prev, node._next
        return self._order.get(before, -1) == at - 1 and self._order.get(after, self._len) == at + 1

    # ---- making nodes

    def create_node(
        self, op: str, target: Any, args: Any = None, kwargs: Any = None, name: str | None = None, type_expr: Any = None
    ) -> Node:
        """A new node at the place for insertions.

        Args:
            op: The kind of node.
            target: What is called.
            args: The arguments, a tuple.
            kwargs: The arguments by name.
            name: What the value is to be called, if no other node is.
            type_expr: The annotation of the value.
        """
        assert op in _legal_ops, op
        args, kwargs = () if args is None else args, {} if kwargs is None else kwargs
        assert isinstance(args, tuple), "args must be a tuple"
        assert isinstance(kwargs, dict), "kwargs must be a dict"
        unique = self._graph_namespace.create_name(name if name is not None else self._target_to_str(target), None)
        node = Node(self, unique, op, target, args, kwargs, type_expr)
        for hook in getattr(self.owning_module, "_create_node_hooks", ()):
            hook(node)
        self._graph_namespace.associate_name_with_obj(unique, node)
        self._insert(node)
        self._len += 1
        return node

    def placeholder(self, name: str, type_expr: Any = None, default_value: Any = ...) -> Node:
        """An argument of the graph."""
        args = () if default_value is ... else (default_value,)
        return self.create_node("placeholder", name, args=args, type_expr=type_expr)

    def get_attr(self, qualified_name: str, type_expr: Any = None) -> Node:
        """A parameter, buffer or module of the module; warns if that has none of this name."""
        if self.owning_module is not None and not _has_reference(self.owning_module, qualified_name):
            warnings.warn(
                "Attempted to insert a get_attr Node with no underlying reference in the owning GraphModule! Call "
                "GraphModule.add_submodule to add the necessary submodule, GraphModule.add_parameter to add the "
                "necessary Parameter, or nn.Module.register_buffer to add the necessary buffer",
                stacklevel=2,
            )
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_module(self, module_name: str, args: Any = None, kwargs: Any = None, type_expr: Any = None) -> Node:
        """A call of a module inside the module; warns if that has none of this name."""
        if self.owning_module is not None and not _has_submodule(self.owning_module, module_name):
            warnings.warn(
                "Attempted to insert a call_module Node with no underlying reference in the owning GraphModule! Call "
                "GraphModule.add_submodule to add the necessary submodule",
                stacklevel=2,
            )
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def call_method(self, method_name: str, args: Any = None, kwargs: Any = None, type_expr: Any = None) -> Node:
        """A call of a method of the first argument."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_function(
        self, the_function: Any, args: Any = None, kwargs: Any = None, type_expr: Any = None, name: str | None = None
    ) -> Node:
        """A call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name, type_expr)

    def output(self, result: Any, type_expr: Any = None) -> Node:
        """What the graph returns."""
        return self.create_node("output", "output", args=(result,), type_expr=type_expr)

    def node_copy(self, node: Node, arg_transform: Callable[[Node], Any] = lambda x: x) -> Node:
        """A copy of a node, perhaps of another graph, its arguments given by ``arg_transform``."""
        args, kwargs = map_arg(node.args, arg_transform), map_arg(node.kwargs, arg_transform)
        new = self.create_node(node.op, node.target, args, kwargs, node.name, node.type)
        new.meta = copy.copy(node.meta)
        return new

    def graph_copy(self, g: Graph, val_map: dict[Node, Any], return_output_node: bool = False) -> Any:
        """Copies the nodes of another graph here; returns what that graph returns.

        Args:
            g: The other graph.
            val_map: What its nodes have become; it is filled.
            return_output_node: Return the node of the result as well.
        """
        for node in g.nodes:
            if node in val_map:
                continue
            if node.op == "output":
                result = map_arg(node.args[0], lambda n: val_map[n])
                return (result, node) if return_output_node else result
            val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def __deepcopy__(self, memo: Any = None) -> Graph:
        memo = memo or {}
        g = Graph(tracer_cls=self._tracer_cls)
        result = g.graph_copy(self, memo, return_output_node=True)
        g._codegen = copy.deepcopy(self._codegen)
        if result is not None:
            value, old = result
            new = g.create_node("output", "output", (value,), {}, old.name, old.type)
            new.meta = copy.copy(old.meta)
        return g

    def _target_to_str(self, target: Any) -> str:
        if callable(target):
            name = call_name(target)
        else:
            name = target
            if name.startswith("__") and name.endswith("__"):
                name = name[2:-2]
        return snake_case(name)

    # ---- changing

    def inserting_before(self, n: Node | None = None) -> _InsertPoint:
        """A block in which new nodes go before ``n`` (to the beginning without one)."""
        if n is None:
            return self.inserting_after(self._root)
        assert n.graph is self, "Node to insert before is not in graph."
        return _InsertPoint(self, n.prepend)

    def inserting_after(self, n: Node | None = None) -> _InsertPoint:
        """A block in which new nodes go after ``n`` (to the end without one)."""
        if n is None:
            return self.inserting_before(self._root)
        assert n.graph is self, "Node to insert after is not in graph."
        return _InsertPoint(self, n.append)

    def erase_node(self, to_erase: Node) -> None:
        """Removes a node; warns if that was done before.

        Raises:
            RuntimeError: Others use it, or it is another graph's.
        """
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in the graph: "
                f"{to_erase.users}!"
            )
        if to_erase.graph is not self:
            raise RuntimeError(f"Attempting to remove {to_erase} from wrong graph!")
        if to_erase._erased:
            warnings.warn(f"erase_node({to_erase}) on an already erased node", stacklevel=2)
            return
        for hook in getattr(self.owning_module, "_erase_node_hooks", ()):
            hook(to_erase)
        to_erase._remove_from_list()
        to_erase._erased = True  # who walks over the nodes may still hold it
        self._len -= 1
        to_erase._update(map_arg(to_erase.args, lambda n: None), map_arg(to_erase.kwargs, lambda n: None))

    def eliminate_dead_code(self, is_impure_node: Callable[[Node], bool] | None = None) -> bool:
        """Removes the calls whose results nobody uses and that have no other effect; were there any?

        Args:
            is_impure_node: Says which must stay; by default ``Node.is_impure``.
        """
        self.lint()
        before = self._len
        for node in reversed(self.nodes):
            impure = node.is_impure() if is_impure_node is None else is_impure_node(node)
            if not impure and not node.users:
                self.erase_node(node)
        return self._len < before

    def lint(self) -> None:
        """Checks that nodes come before their users and names are unique, and that the module has what they name.

        Raises:
            RuntimeError: They do not.
            ValueError: A call's target is of the wrong kind.
        """
        seen: set[Node] = set()
        names: set[str] = set()
        for node in self.nodes:
            if node.op not in _legal_ops:
                raise RuntimeError(f"Node {node} had unknown opcode {node.op}!")
            if node.graph is not self:
                raise RuntimeError(f"Node '{node}' does not belong to this Graph!")
            for used in node.all_input_nodes:
                self._check_argument(used, node, seen)
            if node.name in names:
                raise RuntimeError(f"Node redefined name {node.name}!")
            seen.add(node)
            names.add(node.name)
        for node in self.nodes:
            self._check_target(node)

    def _check_argument(self, used: Node, node: Node, seen: set[Node]) -> None:
        if used.graph is not self:
            raise RuntimeError(
                f"Argument '{used}' of Node '{node}' does not belong to this Graph, but was used as an argument! If "
                "you are copying nodes from another graph, make sure to use ``arg_transform`` on node_copy() to remap "
                f"values\n{self}"
            )
        if used not in seen:
            raise RuntimeError(
                f"Argument '{used}' of Node '{node}' was used before it has been defined! Please check that Nodes in "
                f"the graph are topologically ordered\n{self}"
            )

    def _check_target(self, node: Node) -> None:
        kind = f"Node {node} target {node.target} has type {torch.typename(node.target)} but"
        if node.op == "call_function" and not callable(node.target):
            raise ValueError(f"{kind} a Callable is expected")
        if node.op != "call_function" and not isinstance(node.target, str):
            raise ValueError(f"{kind} a str is expected")
        if self.owning_module is None or node.op not in ("get_attr", "call_module"):
            return
        at = self.owning_module
        parts = node.target.split(".")
        for i, atom in enumerate(parts):
            where = f"{'.'.join(parts[:i])}"
            new = getattr(at, atom, None)
            if new is None:
                raise RuntimeError(
                    f"Node {node} target {node.target} references nonexistent attribute {atom} of {where}"
                )
            if node.op == "call_module" and not isinstance(new, torch.nn.Module):
                raise RuntimeError(
                    f"Node {node} target {node.target} {atom} of {where} does not reference an nn.Module"
                )
            at = new

    # ---- code and text

    def process_inputs(self, *args: Any) -> Any:
        """The arguments as the graph takes them."""
        return self._codegen.process_inputs(*args)

    def process_outputs(self, out: Any) -> Any:
        """The result as the function returns it."""
        return self._codegen.process_outputs(out)

    def python_code(self, root_module: str, **options: Any) -> PythonCode:
        """The graph as a method ``forward``, in which ``root_module`` is the module."""
        namespace = Namespace()
        with self._names_of(namespace):
            return self._codegen._gen_python_code(self.nodes, root_module, namespace, **options)

    @contextmanager
    def _names_of(self, namespace: Namespace) -> Iterator[None]:
        """A block in which nodes show names that are unique in the code too."""
        before = {node: node._repr_fn for node in self.nodes}
        for node in self.nodes:
            node._repr_fn = lambda n: namespace.create_name(n.name, n)
        try:
            yield
        finally:
            for node in self.nodes:
                node._repr_fn = before[node]

    def set_codegen(self, codegen: CodeGen) -> None:
        """Sets what writes the code."""
        self._codegen = codegen

    def on_generate_code(self, make_transformer: Callable[[Any], Any]) -> Any:
        """Changes the code's lines: ``make_transformer`` gets the function that did so before, or None.

        Returns:
            A block after which the former one holds again.
        """
        before = self._codegen._body_transformer
        self._codegen._body_transformer = make_transformer(before)

        @contextmanager
        def restoring() -> Iterator[None]:
            try:
                yield
            finally:
                self._codegen._body_transformer = before

        return restoring()

    def __str__(self) -> str:
        return "graph():" + "".join([f"\n    {node.format_node()}" for node in self.nodes])

    def print_tabular(self) -> None:
        """Prints the nodes as a table.

        Raises:
            ImportError: The package tabulate is not there.
        """
        try:
            from tabulate import tabulate
        except ImportError:
            print(
                "`print_tabular` relies on the library `tabulate`, which could not be found on this machine. Run `pip "
                "install tabulate` to install the library."
            )
            raise
        rows = [[n.op, n.name, n.target, n.args, n.kwargs] for n in self.nodes]
        print(tabulate(rows, headers=["opcode", "name", "target", "args", "kwargs"]))


def _has_submodule(module: Any, path: str) -> bool:
    try:
        return module.get_submodule(path) is not None
    except AttributeError:
        return False


def _has_reference(module: Any, path: str) -> bool:
    parent, _, name = path.rpartition(".")
    try:
        owner = module.get_submodule(parent)
    except AttributeError:
        warnings.warn(f"Failed to fetch module {parent}!", stacklevel=3)
        return False
    value = getattr(owner, name, None)
    return isinstance(value, (torch.nn.Module, torch.nn.Parameter)) or name in owner._buffers


_get_qualified_name = qualified
__all__ += ["_PyTreeCodeGen", "_PyTreeInfo"]
