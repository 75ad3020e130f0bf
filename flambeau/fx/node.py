"""One call of a graph."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

import flambeau as torch

_PACKAGE = __name__.partition(".")[0]
OPS = ("placeholder", "call_method", "call_module", "call_function", "get_attr", "output", "root")


def map_arg(a: Any, fn: Callable[[Node], Any]) -> Any:
    """``a`` with ``fn(node)`` for each node in it, also inside lists, tuples, dictionaries and slices."""
    return map_aggregate(a, lambda x: fn(x) if isinstance(x, Node) else x)


def map_aggregate(a: Any, fn: Callable[[Any], Any]) -> Any:
    """``fn`` of everything in ``a`` that is no list, tuple, dictionary or slice."""
    if isinstance(a, tuple):
        items = [map_aggregate(x, fn) for x in a]
        return type(a)(*items) if hasattr(a, "_fields") else tuple(items)
    if isinstance(a, list):
        return [map_aggregate(x, fn) for x in a]
    if isinstance(a, dict):
        return {key: map_aggregate(x, fn) for key, x in a.items()}
    if isinstance(a, slice):
        return slice(*[map_aggregate(x, fn) for x in (a.start, a.stop, a.step)])
    return fn(a)


def qualified(target: Any) -> str:
    """How code calls a function: ``torch.relu``, ``operator.add``, ``torch.nn.functional.linear``."""
    name = getattr(target, "__name__", repr(target))
    if getattr(builtins, name, None) is target:
        return name
    for home, prefix in ((operator, "operator"), (torch, "torch"), (torch.nn.functional, "torch.nn.functional")):
        if getattr(home, name, None) is target:
            return f"{prefix}.{name}"
    module = getattr(target, "__module__", None) or ""
    if module == _PACKAGE or module.startswith(f"{_PACKAGE}."):
        module = "torch" + module[len(_PACKAGE) :]
    return f"{module}.{name}"


class Node:
    """A call: ``op`` says what kind, ``target`` what is called, ``args`` and ``kwargs`` may hold other nodes."""

    def __init__(
        self, graph: Any, name: str, op: str, target: Any, args: Any, kwargs: Any, type_expr: Any = None
    ) -> None:
        self.graph, self.name, self.op, self.target = graph, name, op, target
        self.type = type_expr
        self.users: dict[Node, None] = {}
        self.meta: dict[str, Any] = {}
        self._args: tuple[Any, ...] = ()
        self._kwargs: dict[str, Any] = {}
        self._input_nodes: dict[Node, None] = {}
        self._update(args, kwargs)

    def _update(self, args: Any, kwargs: Any) -> None:
        for old in self._input_nodes:
            old.users.pop(self, None)
        self._args, self._kwargs, self._input_nodes = tuple(args), dict(kwargs), {}
        map_arg((self._args, self._kwargs), lambda n: self._input_nodes.setdefault(n))
        for new in self._input_nodes:
            new.users[self] = None

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments."""
        return self._args

    @args.setter
    def args(self, a: tuple[Any, ...]) -> None:
        self._update(a, self._kwargs)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments by name."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, k: dict[str, Any]) -> None:
        self._update(self._args, k)

    @property
    def all_input_nodes(self) -> list[Node]:
        """The nodes among the arguments, each once."""
        return list(self._input_nodes)

    @property
    def next(self) -> Node:
        """The node after this one, the graph's root after the last."""
        return self.graph._neighbour(self, 1)

    @property
    def prev(self) -> Node:
        """The node before this one, the graph's root before the first."""
        return self.graph._neighbour(self, -1)

    def prepend(self, x: Node) -> None:
        """Moves ``x`` before this node."""
        self.graph._move(x, self, 0)

    def append(self, x: Node) -> None:
        """Moves ``x`` after this node."""
        self.graph._move(x, self, 1)

    def update_arg(self, idx: int, arg: Any) -> None:
        """Replaces one argument."""
        self.args = (*self._args[:idx], arg, *self._args[idx + 1 :])

    def update_kwarg(self, key: str, arg: Any) -> None:
        """Replaces one argument by name."""
        self.kwargs = {**self._kwargs, key: arg}

    def replace_input_with(self, old_input: Node, new_input: Node) -> None:
        """Replaces a node wherever it is an argument of this one."""
        args, kwargs = map_arg((self._args, self._kwargs), lambda n: new_input if n is old_input else n)
        self._update(args, kwargs)

    def replace_all_uses_with(self, replace_with: Node, delete_user_cb: Any = lambda user: True) -> list[Node]:
        """Makes the users of this node use another; returns them."""
        changed = [user for user in list(self.users) if delete_user_cb(user)]
        for user in changed:
            user.replace_input_with(self, replace_with)
        return changed

    def __repr__(self) -> str:
        return self.name

    def format_node(self) -> str | None:
        """One line of the graph's text."""
        if self.op == "output":
            return f"return {self.args[0]}"
        head = f"%{self.name} : [num_users={len(self.users)}] = {self.op}"
        if self.op == "placeholder":
            return f"{head}[target={self.target}]" + (f"(default={self.args[0]})" if self.args else "")
        if self.op == "get_attr":
            return f"{head}[target={self.target}]"
        target = qualified(self.target) if self.op == "call_function" else self.target
        return f"{head}[target={target}](args = {_shown(self.args)}, kwargs = {_shown(self.kwargs)})"


def _shown(a: Any) -> str:
    if isinstance(a, tuple):
        return "(" + ", ".join(map(_shown, a)) + ("," if len(a) == 1 else "") + ")"
    if isinstance(a, list):
        return "[" + ", ".join(map(_shown, a)) + "]"
    if isinstance(a, dict):
        return "{" + ", ".join(f"{key}: {_shown(x)}" for key, x in a.items()) + "}"
    return f"%{a.name}" if isinstance(a, Node) else str(a)
