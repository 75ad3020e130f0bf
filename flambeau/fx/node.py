"""One call of a graph."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import flambeau as torch

from ._names import qualified, target_name, type_name
from ._recording import original
from .immutable_collections import immutable_dict, immutable_list

__all__ = ["Node", "has_side_effect", "map_aggregate", "map_arg"]

Target = Any  # a function, or the name of a method, a module or an attribute
Argument = Any  # nodes, numbers, texts, dtypes and the like, and lists, tuples, dictionaries and slices of them
BaseArgumentTypes = (str, int, float, bool, complex, torch.dtype, torch.Tensor, torch.device, torch.memory_format,
                     torch.layout)  # fmt: skip
base_types = BaseArgumentTypes
_legal_ops = dict.fromkeys(("placeholder", "call_method", "call_module", "call_function", "get_attr", "output", "root"))
_side_effectful_functions: set[Callable[..., Any]] = {torch._assert, operator.setitem}
_get_qualified_name = qualified
_type_repr = type_name
_RANDOM = (
    "rand randn randint randperm rand_like randn_like randint_like bernoulli multinomial normal poisson dropout"
).split()


def has_side_effect(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Makes ``eliminate_dead_code`` keep calls of a function also if nobody uses what they give."""
    _side_effectful_functions.add(fn)
    return fn


def map_arg(a: Any, fn: Callable[[Node], Any]) -> Any:
    """``a`` with ``fn(node)`` for each node in it, also inside lists, tuples, dictionaries and slices."""
    assert callable(fn), "torch.fx.map_arg(a, fn): fn must be a callable"
    return map_aggregate(a, lambda x: fn(x) if isinstance(x, Node) else x)


def map_aggregate(a: Any, fn: Callable[[Any], Any]) -> Any:
    """``fn`` of everything in ``a`` that is no list, tuple, dictionary or slice; lists and dictionaries immutable."""
    if isinstance(a, tuple):
        items = [map_aggregate(x, fn) for x in a]
        return type(a)(*items) if hasattr(a, "_fields") else tuple(items)
    if isinstance(a, list):
        return immutable_list([map_aggregate(x, fn) for x in a])
    if isinstance(a, dict):
        return immutable_dict({key: map_aggregate(x, fn) for key, x in a.items()})
    if isinstance(a, slice):
        return slice(*[map_aggregate(x, fn) for x in (a.start, a.stop, a.step)])
    return fn(a)


def _format_arg(arg: Any, max_list_len: float = float("inf")) -> str:
    """An argument in the text of a graph."""
    if hasattr(arg, "_custom_fx_repr_fn"):
        return arg._custom_fx_repr_fn()
    if isinstance(arg, (list, tuple)):
        items = ", ".join([_format_arg(a) for i, a in enumerate(arg) if i < max_list_len])
        more = "" if len(arg) < max_list_len + 1 else f", ...[total_len={len(arg)}]"
        return f"[{items}{more}]" if isinstance(arg, list) else f"({items}{',' if len(arg) == 1 else ''}{more})"
    if isinstance(arg, dict):
        return "{" + ", ".join([f"{k}: {_format_arg(v)}" for k, v in arg.items()]) + "}"
    return f"%{arg}" if isinstance(arg, Node) else str(arg)


class Node:
    """A call: ``op`` says what kind, ``target`` what is called, ``args`` and ``kwargs`` may hold other nodes.

    Args:
        graph: The graph that it belongs to.
        name: What its value is called.
        op: placeholder, get_attr, call_function, call_method, call_module or output.
        target: The function, or the name of the argument, attribute, method or module.
        args: The arguments.
        kwargs: The arguments by name.
        return_type: The annotation of the value.

    Raises:
        ValueError: A call of a function whose target cannot be called.
    """

    graph: Any
    target: Any

    def __init__(
        self, graph: Any, name: str, op: str, target: Any, args: Any, kwargs: Any, return_type: Any = None
    ) -> None:
        if op == "call_function" and not callable(target):
            raise ValueError(
                f"Node [graph = {graph}, name = '{name}'] target {target} has type {torch.typename(target)} but a "
                "Callable is expected"
            )
        assert op in _legal_ops, op
        self.graph, self.name, self.op, self.target = graph, name, op, target
        self.type = return_type
        self.users: dict[Node, None] = {}
        self.meta: dict[str, Any] = {}
        self._args: Any = ()
        self._kwargs: Any = {}
        self._input_nodes: dict[Node, None] = {}
        self._prev = self._next = self
        self._erased = False
        self._repr_fn: Callable[[Node], str] | None = None
        self._update(args, kwargs)

    def _update(self, args: Any, kwargs: Any) -> None:
        for old in self._input_nodes:
            old.users.pop(self, None)
        found: dict[Node, None] = {}
        self._args = map_arg(args, lambda n: found.setdefault(n) or n)
        self._kwargs = map_arg(kwargs, lambda n: found.setdefault(n) or n)
        self._input_nodes = found
        for new in found:
            new.users[self] = None

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments."""
        return self._args

    @args.setter
    def args(self, a: tuple[Any, ...]) -> None:
        self._update(tuple(a), self._kwargs)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments by name."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, k: dict[str, Any]) -> None:
        self._update(self._args, dict(k))

    @property
    def all_input_nodes(self) -> list[Node]:
        """The nodes among the arguments, each once."""
        return list(self._input_nodes)

    @property
    def stack_trace(self) -> str | None:
        """Where the call was recorded, if tracing noted it."""
        return self.meta.get("stack_trace")

    @stack_trace.setter
    def stack_trace(self, trace: str | None) -> None:
        self.meta["stack_trace"] = trace

    # ---- place

    @property
    def next(self) -> Node:
        """The node after this one, the graph's root after the last."""
        return self._next

    @property
    def prev(self) -> Node:
        """The node before this one, the graph's root before the first."""
        return self._prev

    def prepend(self, x: Node) -> None:
        """Moves ``x`` before this node."""
        assert self.graph is x.graph, "Attempting to move a Node into a different Graph"
        if self is x:
            return
        x._remove_from_list()
        x._prev, x._next = self._prev, self
        self._prev._next = x
        self._prev = x

    def append(self, x: Node) -> None:
        """Moves ``x`` after this node."""
        self._next.prepend(x)

    def _remove_from_list(self) -> None:
        self._prev._next, self._next._prev = self._next, self._prev

    def __lt__(self, other: Node) -> bool:
        return self.graph._position(self) < self.graph._position(other)

    def __gt__(self, other: Node) -> bool:
        return other < self

    def __le__(self, other: Node) -> bool:
        return self is other or self < other

    def __ge__(self, other: Node) -> bool:
        return self is other or other < self

    # ---- arguments

    def insert_arg(self, idx: int, arg: Any) -> None:
        """Puts an argument before the one at ``idx``."""
        assert 0 <= idx <= len(self.args), "insert_args index must be between 0 and len(self.args)"
        self.args = (*self._args[:idx], arg, *self._args[idx:])

    def update_arg(self, idx: int, arg: Any) -> None:
        """Replaces one argument."""
        args = list(self._args)
        args[idx] = arg
        self.args = tuple(args)

    def update_kwarg(self, key: str, arg: Any) -> None:
        """Replaces one argument by name."""
        self.kwargs = {**self._kwargs, key: arg}

    def replace_input_with(self, old_input: Node, new_input: Node) -> None:
        """Replaces a node wherever it is an argument of this one."""
        self._tell_hooks(old_input, new_input.name, self)
        self._update(*map_arg((self._args, self._kwargs), lambda n: new_input if n is old_input else n))

    def replace_all_uses_with(
        self,
        replace_with: Node,
        delete_user_cb: Callable[[Node], bool] | None = None,
        *,
        propagate_meta: bool = False,
    ) -> list[Node]:
        """Makes the users of this node use another, and returns them.

        Args:
            replace_with: The other node.
            delete_user_cb: Which users; all by default.
            propagate_meta: Give the other node this one's ``meta``; it must have none.
        """
        if propagate_meta:
            assert not replace_with.meta, (
                "Called node.replace_all_uses_with(replace_with, propagate_meta=True), but replace_with already has "
                ".meta keys"
            )
            replace_with.meta.update(self.meta)
        changed = [user for user in list(self.users) if delete_user_cb is None or delete_user_cb(user)]
        for user in changed:
            user.replace_input_with(self, replace_with)
        return changed

    def _tell_hooks(self, old: Node, new: str, user: Node) -> None:
        for hook in getattr(self.graph.owning_module, "_replace_hooks", ()):
            hook(old=old, new=new, user=user)

    def _rename(self, candidate: str) -> None:
        if candidate != self.name:
            self.name = self.graph._graph_namespace.create_name(candidate, None)
            self.graph._graph_namespace._rename_object(self, self.name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "name" and "name" in self.__dict__:
            for user in self.users:
                self._tell_hooks(self, value, user)
        object.__setattr__(self, name, original(value) if name == "target" else value)

    # ---- questions

    def is_impure(self, impure_random: bool = True) -> bool:
        """Must the call stay also if nobody uses what it gives?"""
        if self.op in ("placeholder", "output"):
            return True
        if self.op == "call_function":
            name = getattr(self.target, "__name__", "")
            return self.target in _side_effectful_functions or impure_random and name in _RANDOM
        if self.op == "call_module":
            owner = self.graph.owning_module
            assert owner is not None, "self.graph.owning_module not set for purity check"
            return getattr(owner.get_submodule(self.target), "_is_impure", False)
        return False

    def normalized_arguments(
        self, root: Any, arg_types: Any = None, kwarg_types: Any = None, normalize_to_only_use_kwargs: bool = False
    ) -> Any:
        """The arguments as the function's or module's signature orders them, or None if they cannot be read so."""
        from .operator_schemas import normalize_function, normalize_module

        if self.op == "call_function":
            return normalize_function(
                self.target, self.args, self.kwargs, arg_types, kwarg_types, normalize_to_only_use_kwargs
            )
        if self.op == "call_module":
            return normalize_module(root, self.target, self.args, self.kwargs, normalize_to_only_use_kwargs)
        return None

    # ---- text

    def __repr__(self) -> str:
        return self._repr_fn(self) if self._repr_fn else self.name

    @staticmethod
    def _pretty_print_target(target: Any) -> str:
        return target_name(target)

    def format_node(self, placeholder_names: Any = None, maybe_return_typename: Any = None, **_: Any) -> str | None:
        """One line of the graph's text."""
        shown = f"{type_name(self.type)} " if self.type else ""
        if self.op == "output":
            if self.type and maybe_return_typename:
                maybe_return_typename[0] = f" -> {shown.rstrip()}"
            return f"return {self.args[0]}"
        head = f"%{self.name} : {shown}[num_users={len(self.users)}] = {self.op}[target={target_name(self.target)}]"
        if self.op == "placeholder":
            if placeholder_names:
                placeholder_names.append(f"{self.target}: {shown.rstrip()}" if self.type else self.target)
                return None
            return head + (f"(default={self.args[0]})" if self.args else "")
        if self.op == "get_attr":
            return head
        return f"{head}(args = {_format_arg(self.args)}, kwargs = {_format_arg(self.kwargs)})"
