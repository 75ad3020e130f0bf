"""Python code of a graph."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flambeau as torch
from flambeau.utils import _pytree as pytree

from . import _pytree as fx_pytree
from ._names import BUILTINS, FORMATS, INPLACE_FORMATS, is_from_torch, qualified, register_builtin, type_name
from .node import Node

register_builtin("fx_pytree", "import torch.fx._pytree as fx_pytree", fx_pytree)
register_builtin("pytree", "import torch.utils._pytree as pytree", pytree)
_TYPING = {list: typing.List, dict: typing.Dict, set: typing.Set, frozenset: typing.FrozenSet, tuple: typing.Tuple}  # noqa: UP006


@dataclass
class PythonCode:
    """Source of a graph as a method ``forward``, and what its global names stand for."""

    src: str
    globals: dict[str, Any]
    _lineno_map: dict[int, int | None] | None
    _prologue_start: int = 0


def attribute_of(base: str, path: str) -> str:
    """How code writes a dotted name, whose parts may be no identifiers."""
    text = base
    for part in path.split("."):
        text = f"{text}.{part}" if part.isidentifier() else f'getattr({text}, "{part}")'
    return text


class CodeGen:
    """Writes the code of a graph; a subclass may change the head, the result and the global names."""

    def __init__(self) -> None:
        self._body_transformer: Callable[[list[str]], list[str]] | None = None
        self._func_name = "forward"

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        """The head of the function with these parameters."""
        if not free_vars or free_vars[0] != "self":
            free_vars.insert(0, "self")
        return f"def {self._func_name}({', '.join(free_vars)}){maybe_return_annotation}:"

    def generate_output(self, output_args: Any) -> str:
        """The statement that returns the result."""
        return f"return {output_args!r}"

    def process_inputs(self, *args: Any) -> Any:
        """The graph's arguments, of the function's."""
        return args

    def process_outputs(self, outputs: Any) -> Any:
        """The function's result, of the graph's."""
        return outputs

    def additional_globals(self) -> list[tuple[str, Any]]:
        """More global names, and what they stand for."""
        return []

    def _gen_python_code(self, nodes: Iterable[Node], root_module: str, namespace: Any, **_: Any) -> PythonCode:
        return _Writer(self, root_module, namespace).code(list(nodes))


class _Shown:
    """A text that is its own ``repr``: the result as ``generate_output`` gets it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class _Writer:
    """Writes one graph."""

    def __init__(self, codegen: CodeGen, root: str, namespace: Any) -> None:
        self.codegen, self.root, self.namespace = codegen, root, namespace
        self.parameters: list[str] = []
        self.body: list[str] = []
        self.globals: dict[str, Any] = {}
        self.wrapped: dict[str, None] = {}
        self.returns = ""
        for name, (_, obj) in BUILTINS.items():
            self.add_global(name, obj)

    def add_global(self, hint: str, obj: Any) -> str:
        """The name by which the code calls an object."""
        if is_from_torch(obj) and obj is not torch.device:
            return type_name(obj) if isinstance(obj, type) else qualified(obj)
        name = self.namespace.create_name(hint, obj)
        self.globals[name] = obj
        return name

    # ---- pieces

    def annotation(self, o: Any) -> str:
        """An annotation, whose types become global names."""
        if o == ():
            return "()"
        if isinstance(o, types.UnionType):
            return "|".join([self.annotation(arg) for arg in typing.get_args(o)])
        origin = getattr(o, "__origin__", None)
        if origin is None:
            return self.add_global(type_name(o), o)
        if isinstance(o, typing._GenericAlias):  # type: ignore[attr-defined]
            origin = _TYPING.get(origin, origin)
        name = self.add_global(type_name(origin), origin)
        args = typing.get_args(o)
        return f"{name}[{','.join([self.annotation(arg) for arg in args])}]" if args else name

    def text(self, a: Any) -> str:
        """An argument."""
        if isinstance(a, Node):
            return repr(a)
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            return f"{self.add_global(qualified(type(a)), type(a))}({', '.join(map(self.text, a))})"
        if isinstance(a, enum.Enum):
            return f"{self.add_global(type(a).__name__, type(a))}.{a.name}"
        if isinstance(a, tuple):
            return "(" + ", ".join(map(self.text, a)) + ("," if len(a) == 1 else "") + ")"
        if isinstance(a, list):
            return "[" + ", ".join(map(self.text, a)) + "]"
        if isinstance(a, dict):
            return "{" + ", ".join([f"{key!r}: {self.text(x)}" for key, x in a.items()]) + "}"
        if isinstance(a, slice):
            return f"slice({self.text(a.start)}, {self.text(a.stop)}, {self.text(a.step)})"
        return self.add_global(qualified(a), a) if isinstance(a, (type, types.FunctionType)) else repr(a)

    def arguments(self, args: Iterable[Any], kwargs: dict[str, Any]) -> str:
        """The arguments between the parentheses of a call."""
        return ", ".join([*map(self.text, args), *[f"{key} = {self.text(x)}" for key, x in kwargs.items()]])

    # ---- nodes

    def code(self, nodes: list[Node]) -> PythonCode:
        """The code of the nodes in order."""
        last, numbers = last_uses(nodes), []
        for i, node in enumerate(nodes):
            self.body.append(f"# COUNTER: {i}\n")
            numbers.append(node)
            self.emit(node)
            self.forget(node, last.get(node, []))
        if not self.body:
            self.body.append("pass\n")
        body = self.codegen._body_transformer(self.body) if self.codegen._body_transformer else self.body
        for name, obj in self.codegen.additional_globals():
            self.add_global(name, obj)
        return self.joined(body)

    def joined(self, body: list[str]) -> PythonCode:
        """Head and body as one text, and which line comes of which node."""
        wrap = self.add_global("wrap", torch.fx.wrap) if self.wrapped else ""
        statements = "\n".join([f'{wrap}("{name}")' for name in self.wrapped])
        head = self.codegen.gen_fn_def(self.parameters, self.returns)
        lines: list[str] = []
        origins: dict[int, int | None] = {}
        at: int | None = None
        for line in "".join(body).split("\n"):
            counter = line.strip().removeprefix("# COUNTER: ")
            if counter != line.strip() and counter.isdigit():
                at = int(counter)
            else:
                origins[len(lines) + head.count("\n") + 1] = at
                lines.append(line)
        text = "\n".join(lines).lstrip("\n")
        text = "\n".join(["    " + line for line in text.split("\n")])
        src = f"\n{statements}\n\n{head}\n{text}"
        return PythonCode(src, self.globals, origins, statements.count("\n") + 4)

    def emit(self, node: Node) -> None:
        """Appends the statement of a node, without the end of its line."""
        if node.op == "placeholder":
            self.parameter(node)
        elif node.op == "output":
            if node.type is not None:
                self.returns = f" -> {self.annotation(node.type)}"
            self.body.append(self.codegen.generate_output(_Shown(self.text(node.args[0]))))
        else:
            self.body.append(self.statement(node, "" if node.type is None else f" : {self.annotation(node.type)}"))

    def parameter(self, node: Node) -> None:
        """Makes a placeholder a parameter."""
        annotation = "" if node.type is None else f" : {self.annotation(node.type)}"
        default = f" = {self.text(node.args[0])}" if node.args else ""
        self.parameters.append(f"{node.target}{annotation}{default}")
        name = node.target.replace("*", "")
        if name != repr(node):
            self.body.append(f"{node!r} = {name}\n")

    def statement(self, node: Node, annotation: str) -> str:
        """A call and the name of its value."""
        form = INPLACE_FORMATS.get(node.target) if node.op == "call_function" and not node.kwargs else None
        if form is not None:
            return f"{form.format(*map(self.text, node.args))};  {node!r}{annotation} = {self.text(node.args[0])}"
        return f"{node!r}{annotation} = {self.call(node)}"

    def call(self, node: Node) -> str:
        """The expression of a node."""
        if node.op == "get_attr":
            return attribute_of(self.root, node.target)
        if node.op == "call_module":
            return f"{attribute_of(self.root, node.target)}({self.arguments(node.args, node.kwargs)})"
        if node.op == "call_method":
            first, *rest = node.args
            return f"{attribute_of(self.text(first), node.target)}({self.arguments(rest, node.kwargs)})"
        form = FORMATS.get(node.target)
        if form is not None:
            return form.format(*map(self.text, node.args))
        name = self.add_global(qualified(node.target), node.target)
        if name == "getattr" and len(node.args) == 2 and isinstance(node.args[1], str) and node.args[1].isidentifier():
            return attribute_of(self.text(node.args[0]), node.args[1])
        if node.meta.get("is_wrapped"):
            self.wrapped[name] = None
        return f"{name}({self.arguments(node.args, node.kwargs)})"

    def forget(self, node: Node, dead: list[Node]) -> None:
        """Ends a node's line, and lets go of what it was the last to use."""
        if node.op == "placeholder":
            return
        if node.op != "output" and not node.users:
            dead = [*dead, node]
        if node.op == "output" or not dead:
            self.body.append("\n")
        else:
            self.body.append(f";  {' = '.join(map(repr, dead))} = None\n")


def last_uses(nodes: list[Node]) -> dict[Node, list[Node]]:
    """For each node what it is the last to use."""
    last: dict[Node, list[Node]] = {}
    seen: set[Node] = set()
    for node in reversed(nodes):
        fresh = [n for n in node._input_nodes if n not in seen]
        seen.update(fresh)
        if fresh:
            last[node] = fresh
    return last


class _PyTreeInfo(NamedTuple):
    """The names of a function's arguments, and how these and its result are nested."""

    orig_args: list[str]
    in_spec: Any
    out_spec: Any


class _PyTreeCodeGen(CodeGen):
    """Code of a function whose arguments and result are nested, of a graph whose are flat."""

    def __init__(self, pytree_info: _PyTreeInfo) -> None:
        super().__init__()
        self.pytree_info: _PyTreeInfo = pytree_info

    def process_inputs(self, *inputs: Any) -> Any:
        """The leaves of the arguments."""
        return pytree.tree_leaves(inputs)

    def process_outputs(self, outputs: Any) -> Any:
        """The nested result."""
        if self.pytree_info.out_spec is None:
            return outputs
        flat = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return pytree.tree_unflatten(flat, self.pytree_info.out_spec)

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        """The head, and the statement that flattens the arguments."""
        names = list(self.pytree_info.orig_args)
        if names and names[0] == "self":
            free_vars.insert(0, "self")
        head = super().gen_fn_def(list(names), maybe_return_annotation)
        if not free_vars:
            return head
        annotated = "".join([f"{x}; " for x in free_vars if ":" in x])
        flat = ", ".join([x.partition(":")[0].partition("#")[0] for x in free_vars])
        return (
            head
            + (f"\n    {annotated}\n" if annotated else "")
            + f"\n    {flat}, = fx_pytree.tree_flatten_spec([{', '.join(names)}], self._in_spec)"
        )

    def generate_output(self, output_args: Any) -> str:
        """The statement that returns the nested result."""
        if self.pytree_info.out_spec is None:
            return super().generate_output(output_args)
        return f"return pytree.tree_unflatten({output_args!r}, self._out_spec)"
