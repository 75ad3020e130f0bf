"""Tracing: a function is run on proxies, and the functions of torch that it calls with them are recorded."""

from __future__ import annotations

import builtins
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flambeau as torch

from .graph import Graph
from .graph_module import GraphModule
from .node import Node, map_aggregate
from .proxy import Proxy

_wrapped: list[tuple[dict[str, Any], str]] = []


def wrap(fn_or_name: Any) -> Any:
    """Makes calls of a function of the caller's module nodes of their own; give it or its name at module scope."""
    name = fn_or_name if isinstance(fn_or_name, str) else fn_or_name.__name__
    _wrapped.append((sys._getframe(1).f_globals, name))
    return fn_or_name


class Tracer:
    """Records what a module or function does (``trace``); override ``is_leaf_module`` to say what stays one call."""

    def __init__(
        self, autowrap_modules: Any = (), autowrap_functions: Any = (), param_shapes_constant: bool = False
    ) -> None:
        self.graph = Graph()
        self.root: Any = torch.nn.Module()

    # ---- what subclasses override

    def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
        """Is a call of this module one node? By default of those of ``torch.nn`` but Sequential."""
        module = type(m).__module__
        ours = module.startswith((f"{torch.__package__}.nn", "torch.nn"))
        return ours and not isinstance(m, torch.nn.Sequential)

    def call_module(self, m: Any, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Records a call of a module, or goes into it."""
        path = self.path_of_module(m)
        if self.is_leaf_module(m, path):
            return self.create_proxy("call_module", path, args, kwargs)
        return forward(*args, **kwargs)

    # ---- recording

    def path_of_module(self, mod: Any) -> str:
        """The module's name in the root.

        Raises:
            NameError: it is not in the root.
        """
        for name, module in self.root.named_modules():
            if module is mod:
                return name
        raise NameError("module is not installed as a submodule")

    def create_arg(self, a: Any) -> Any:
        """An argument as a node takes it: nodes for proxies, ``get_attr`` for parameters."""
        return map_aggregate(a, self._one_arg)

    def _one_arg(self, a: Any) -> Any:
        if isinstance(a, Proxy):
            return a.node
        if isinstance(a, torch.Tensor):
            return self.graph.get_attr(self._name_of_tensor(a))
        return a

    def _name_of_tensor(self, x: Any) -> str:
        for name, own in [*self.root.named_parameters(), *self.root.named_buffers()]:
            if own is x:
                return name
        for name, own in vars(self.root).items():
            if own is x:
                return name
        number = 0
        while hasattr(self.root, f"_tensor_constant{number}"):
            number += 1
        setattr(self.root, f"_tensor_constant{number}", x)
        return f"_tensor_constant{number}"

    def create_node(
        self, kind: str, target: Any, args: Any, kwargs: Any, name: str | None = None, type_expr: Any = None
    ) -> Node:
        """A node of the graph."""
        return self.graph.create_node(kind, target, args, kwargs, name, type_expr)

    def create_proxy(
        self, kind: str, target: Any, args: Any, kwargs: Any, name: str | None = None, type_expr: Any = None
    ) -> Proxy:
        """A proxy of a new node."""
        return Proxy(
            self.create_node(kind, target, self.create_arg(args), self.create_arg(kwargs), name, type_expr), self
        )

    # ---- tracing

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> Graph:
        """The graph of a module's ``forward`` or of a function; ``concrete_args`` are values of some arguments."""
        is_module = isinstance(root, torch.nn.Module)
        self.root = root if is_module else torch.nn.Module()
        self.graph = Graph()
        fn = root.forward if is_module else root
        args, kwargs = self._placeholders(fn, concrete_args or {})
        with _recording(self):
            result = fn(*args, **kwargs)
        self.create_node("output", "output", (self.create_arg(result),), {})
        return self.graph

    def _placeholders(self, fn: Callable[..., Any], concrete: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, p in inspect.signature(fn).parameters.items():
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                continue
            default = () if p.default is p.empty else (p.default,)
            value = (
                concrete[name] if name in concrete else Proxy(self.create_node("placeholder", name, default, {}), self)
            )
            if p.kind is p.KEYWORD_ONLY:
                kwargs[name] = value
            else:
                args.append(value)
        return args, kwargs


def _has_proxy(a: Any) -> bool:
    found: list[Any] = []
    map_aggregate(a, lambda x: found.append(x) if isinstance(x, Proxy) else None)
    return bool(found)


def _recorder(tracer: Tracer, f: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if _has_proxy((args, kwargs)):
            return tracer.create_proxy("call_function", f, args, kwargs)
        return f(*args, **kwargs)

    return call


@contextmanager
def _recording(tracer: Tracer) -> Iterator[None]:
    """While tracing, functions of torch and torch.nn.functional record calls with proxies; modules ask the tracer."""
    undo: list[tuple[dict[str, Any], str, Any]] = []
    homes = [vars(torch), vars(torch.nn.functional)]
    for name in dir(torch):
        if not name.startswith("_") and name.islower():
            getattr(torch, name, None)  # families are imported when first used
    for home in homes:
        for name, f in list(home.items()):
            if inspect.isfunction(f) and not name.startswith("_"):
                undo.append((home, name, f))
                home[name] = _recorder(tracer, f)
    for home, name in _wrapped:
        f: Any = home.get(name, getattr(builtins, name, None))
        undo.append((home, name, home.get(name)))
        home[name] = _recorder(tracer, f)
    call = torch.nn.Module.__call__

    def module_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return tracer.call_module(self, lambda *a, **k: call(self, *a, **k), args, kwargs)

    torch.nn.Module.__call__ = module_call  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.nn.Module.__call__ = call  # type: ignore[method-assign]
        for home, name, f in reversed(undo):
            if f is None:
                del home[name]
            else:
                home[name] = f


def symbolic_trace(root: Any, concrete_args: dict[str, Any] | None = None) -> GraphModule:
    """A ``GraphModule`` of a module or function (https://docs.pytorch.org/docs/stable/fx.html).

    Raises:
        TraceError: the control flow depends on values.
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = type(root).__name__ if isinstance(root, torch.nn.Module) else root.__name__
    return GraphModule(tracer.root, graph, name)
