"""Tracing: a function is run on proxies, and what it calls with them is recorded."""

from __future__ import annotations

import copy
import functools
import inspect
import math
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import count
from types import FunctionType
from typing import Any

import flambeau as torch
from flambeau._C import ScriptObject
from flambeau.utils import _pytree as pytree

from . import _recording
from ._codegen import _PyTreeCodeGen, _PyTreeInfo
from ._compatibility import compatibility
from ._names import as_torch
from ._patching import Patcher, find_proxy, leaf_function, leaf_method, named
from .graph import Graph
from .graph_module import GraphModule
from .node import base_types
from .proxy import ParameterProxy, Proxy, Scope, ScopeContextManager, TracerBase

__all__ = [
    "PH", "FunctionType", "PHBase", "PHWithMeta", "Proxy", "ProxyableClassMeta", "ScriptObject", "Tracer",
    "compatibility", "functools", "is_fx_tracing", "symbolic_trace", "wrap",
]  # fmt: skip

_wrapped_functions: dict[tuple[int, str], dict[str, Any]] = {}
_wrapped_methods_to_patch: list[tuple[type, str]] = []
_proxyable: dict[type, None] = {}
_tracing = [0]
_VARIADIC = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


def is_fx_tracing() -> bool:
    """Is a tracer at work?"""
    return _tracing[0] > 0


class ProxyableClassMeta(type):
    """Makes the construction of a class with proxies a node."""

    def __init__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> None:
        _proxyable.setdefault(cls)
        super().__init__(name, bases, attrs)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        proxy = find_proxy(args, kwargs) if is_fx_tracing() else None
        if proxy is not None:
            return proxy.tracer.create_proxy("call_function", cls, args, kwargs)
        return super().__call__(*args, **kwargs)


class PHBase:
    """Stands for an argument in ``concrete_args``."""

    def __repr__(self) -> str:
        return "PH"


PH = PHBase()


class PHWithMeta(PHBase):
    """Stands for an argument in ``concrete_args``; its attributes become the node's.

    Args:
        ph_key: A key of the user's.
    """

    def __init__(self, ph_key: str | None = None) -> None:
        self.ph_key = ph_key


def _assert_is_none(value: Any, msg: str) -> None:
    assert value is None, msg


def wrap(fn_or_name: Any) -> Any:
    """Makes calls of a function of the caller's module nodes of their own; give it or its name at module scope.

    Raises:
        RuntimeError: It is neither a function nor a name.
        NotImplementedError: This is not the top level of a module.
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    name = fn_or_name if isinstance(fn_or_name, str) else fn_or_name.__name__
    frame = sys._getframe(1)
    if frame.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    _wrapped_functions[id(frame.f_globals), name] = frame.f_globals
    return fn_or_name


def wrap_method(cls: type, name: str) -> None:
    """Makes calls of a method nodes of their own."""
    _wrapped_methods_to_patch.append((cls, name))


class Tracer(TracerBase):
    """Records what a module or function does (``trace``); override ``is_leaf_module`` to say what stays one call.

    Args:
        autowrap_modules: Modules whose functions become nodes when they get proxies.
        autowrap_functions: More such functions.
        param_shapes_constant: Are the shapes of parameters numbers, not nodes?
    """

    def __init__(
        self,
        autowrap_modules: tuple[Any, ...] = (math,),
        autowrap_functions: tuple[Callable[..., Any], ...] = (),
        param_shapes_constant: bool = False,
    ) -> None:
        functions = [f for m in autowrap_modules for name, f in vars(m).items() if name[0] != "_" and callable(f)]
        self._autowrap_function_ids = {id(f) for f in (*functions, *autowrap_functions)}
        self._autowrap_search = list(autowrap_modules)
        self.param_shapes_constant = param_shapes_constant
        self.submodule_paths: dict[Any, str] | None = None
        self.root_module_name = ""
        self.scope = Scope("", None)
        self.module_stack = OrderedDict()
        self.num_calls: dict[str, int] = {}
        self.node_name_to_scope = {}
        self.tensor_attrs: dict[Any, str] = {}
        self.root: Any = torch.nn.Module()
        self.graph = Graph(tracer_cls=type(self))

    # ---- what subclasses override

    def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
        """Is a call of this module one node? By default of those of ``torch.nn`` but Sequential."""
        return as_torch(type(m).__module__).startswith("torch.nn") and not isinstance(m, torch.nn.Sequential)

    def call_module(self, m: Any, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Records a call of a module, or goes into it."""
        path = self.path_of_module(m)
        with ScopeContextManager(self.scope, Scope(path, type(m))) as scope:
            calls = self.num_calls.get(path, 0)
            key = f"{scope.module_path}@{calls}" if calls else scope.module_path
            self.module_stack[key] = (path, scope.module_type)
            self.num_calls[path] = calls + 1
            leaf = self.is_leaf_module(m, path)
            result = self.create_proxy("call_module", path, args, kwargs) if leaf else forward(*args, **kwargs)
            self.module_stack.popitem()
        return result

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """What an attribute of a module is while it is traced: a proxy for a parameter of the root."""
        if isinstance(attr_val, torch.nn.Parameter):
            found = self._proxy_of(attr_val, self.root.named_parameters(), parameter_proxy_cache)
        elif self.proxy_buffer_attributes and isinstance(attr_val, torch.Tensor):
            found = self._proxy_of(attr_val, self.root.named_buffers(), parameter_proxy_cache)
        else:
            return attr_val
        return attr_val if found is None else found

    def _proxy_of(self, value: Any, named: Iterable[tuple[str, Any]], known: dict[str, Any]) -> Any:
        name = next((n for n, x in named if x is value), None)
        if name is None:
            return None
        if name not in known:
            options: dict[str, Any] = {}
            if self.param_shapes_constant and isinstance(value, torch.nn.Parameter):
                options["proxy_factory_fn"] = lambda node: ParameterProxy(self, node, name, value)
            known[name] = self.create_proxy("get_attr", name, (), {}, **options)
        return known[name]

    def path_of_module(self, mod: Any) -> str:
        """The module's name in the root.

        Raises:
            NameError: It is not in the root.
        """
        paths = self.submodule_paths or {m: name for name, m in self.root.named_modules()}
        if mod not in paths:
            raise NameError("module is not installed as a submodule")
        return paths[mod]

    def create_arg(self, a: Any) -> Any:
        """An argument as a node takes it: ``get_attr`` for parameters, buffers and other tensors."""
        if isinstance(a, torch.nn.Parameter):
            return self.create_node("get_attr", self._name_in(a, self.root.named_parameters(), "parameter"), (), {})
        if isinstance(a, torch.Tensor):
            for name, buffer in self.root.named_buffers():
                if buffer is a:
                    return self.create_node("get_attr", name, (), {})
            return self.create_node("get_attr", self._constant("_tensor_constant", a), (), {})
        if isinstance(a, torch.nn.Module):
            return self.create_node("get_attr", self._name_in(a, self.root.named_modules(), "module"), (), {})
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            return self.create_node("call_function", type(a), tuple([self.create_arg(x) for x in a]), {})
        if type(a) in _proxyable:
            return self.create_node("get_attr", self._constant(f"_{type(a).__name__}_constant_", a), (), {})
        return super().create_arg(a)

    def _name_in(self, a: Any, named: Iterable[tuple[str, Any]], kind: str) -> str:
        for name, own in named:
            if own is a:
                return name
        raise NameError(f"{kind} is not a member of this module")

    def _constant(self, base: str, a: Any) -> str:
        """The name of a value in the root, which gets one if it has none."""
        name = self.tensor_attrs.get(a) if isinstance(a, torch.Tensor) else None
        if name is None:
            name = self.get_fresh_qualname(base)
            if isinstance(a, torch.Tensor):
                self.tensor_attrs[a] = name
            setattr(self.root, name, a)
        return name

    def get_fresh_qualname(self, prefix: str) -> str:
        """A name that the root does not have yet."""
        return next(f"{prefix}{i}" for i in count() if not hasattr(self.root, f"{prefix}{i}"))

    # ---- tracing

    def trace(self, root: Any, concrete_args: Any = None) -> Graph:
        """The graph of a module's ``forward`` or of a function.

        Args:
            root: The module or function.
            concrete_args: Values of arguments, by name or as a tuple, which the graph is specialised to; ``PH`` in
                nested values stands for an argument of its own.

        Raises:
            TraceError: The control flow depends on values.
        """
        _tracing[0] += 1
        try:
            return self._trace(root, concrete_args)
        finally:
            _tracing[0] -= 1

    def _trace(self, root: Any, concrete_args: Any) -> Graph:
        is_module = isinstance(root, torch.nn.Module)
        self.root = root if is_module else torch.nn.Module()
        assert not is_module or hasattr(type(root), self.traced_func_name), (
            f"traced_func_name={self.traced_func_name} doesn't exist in {type(root).__name__}"
        )
        fn = getattr(type(root), self.traced_func_name) if is_module else root
        if is_module:
            self.root_module_name = root._get_name()
            self.submodule_paths = {m: name for name, m in root.named_modules()}
        self.graph = Graph(tracer_cls=type(self))
        self.tensor_attrs = dict(_tensors_of(self.root, ""))
        code = getattr(fn, "__code__", None)
        if code is not None:
            names = ("co_name", "co_filename", "co_firstlineno")
            self.graph._co_fields = {name: getattr(code, name) for name in names}
        home, outer = fn.__globals__, fn
        with Patcher() as patcher:
            _recording.install()
            patcher.later(_recording.uninstall)
            fn, args = self.create_args_for_root(fn, is_module, concrete_args)
            self._patch(patcher, home)
            patcher.closure(outer)
            returns = _annotations(inspect.unwrap(fn)).get("return")
            result = self.create_arg(fn(*args))
            self.create_node("output", "output", (result,), {}, type_expr=returns)
        self.submodule_paths = None
        return self.graph

    def _patch(self, patcher: Patcher, home: dict[str, Any]) -> None:
        """Makes modules and wrapped functions ask this tracer."""
        known: dict[str, Any] = {}
        inner: Any = torch.nn.Module.__call__
        lookup: Any = torch.nn.Module.__getattribute__

        def called(module: Any, *args: Any, **kwargs: Any) -> Any:
            patcher.namespace(getattr(type(module).forward, "__globals__", {}), self._autowrap_function_ids)
            patcher.closure(type(module).forward)
            return self.call_module(module, lambda *a, **k: inner(module, *a, **k), args, kwargs)

        def looked_up(module: Any, name: str) -> Any:
            value = lookup(module, name)
            is_tensor = isinstance(value, torch.Tensor)
            return self.getattr(name, value, known) if is_tensor else _recording.recorder_of(value)

        patcher.method(torch.nn.Module, "__getattribute__", looked_up)
        patcher.method(torch.nn.Module, "__call__", called)
        _patch_wrapped_functions(patcher)
        patcher.namespace(home, self._autowrap_function_ids)
        for module in self._autowrap_search:
            patcher.namespace(vars(module), self._autowrap_function_ids)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """The function to run and its arguments: the root, and proxies of new placeholders.

        Raises:
            RuntimeError: ``concrete_args`` has another number of arguments, or a module's function takes no ``self``.
        """
        inner = inspect.unwrap(root_fn)
        code = inner.__code__
        total = code.co_argcount + code.co_kwonlyargcount
        names = list(code.co_varnames[:total])
        variadic = [f"*{code.co_varnames[total]}"] if code.co_flags & inspect.CO_VARARGS else []
        if code.co_flags & inspect.CO_VARKEYWORDS:
            variadic.append(f"**{code.co_varnames[total + len(variadic)]}")
        if is_module and total == 0:
            raise RuntimeError("``self`` argument cannot be part of *args expansion!")
        args: list[Any] = [self.root] if is_module else []
        free = names[len(args) :]
        if isinstance(concrete_args, tuple):
            if concrete_args and variadic and total == 1:
                return root_fn, [*args, *[self._flat_input(i, x) for i, x in enumerate(concrete_args)]]
            if len(free) != len(concrete_args):
                raise RuntimeError(
                    f"Tracing expected {len(free)} arguments but got {len(concrete_args)} concrete arguments"
                )
            concrete_args = dict(zip(free, concrete_args))
        signature = inspect.signature(inner)
        args += [self._placeholder(name, concrete_args or {}, signature, inner) for name in (*free, *variadic)]
        if code.co_kwonlyargcount or variadic:
            root_fn = _by_position(root_fn, len(args))
        return self._flattening(root_fn, args, names)

    def _flattening(self, fn: Any, args: list[Any], names: list[str]) -> tuple[Any, list[Any]]:
        """The function itself, or one of the leaves of nested arguments."""
        flat, spec = pytree.tree_flatten(tuple(args))
        if all(child.is_leaf() for child in spec.children()):
            return fn, args
        codegen = self.graph._codegen = _PyTreeCodeGen(_PyTreeInfo(names, spec, None))

        def flattened(*leaves: Any) -> Any:
            out, out_spec = pytree.tree_flatten(fn(*pytree.tree_unflatten(list(leaves), spec)))
            codegen.pytree_info = codegen.pytree_info._replace(out_spec=out_spec)
            return out

        return flattened, flat

    def _flat_input(self, number: int, value: Any) -> Any:
        proxy = self.create_proxy("placeholder", f"input_{number}", (), {})
        _give_attributes(value, proxy.node)
        return proxy

    def _placeholder(self, name: str, concrete: dict[str, Any], signature: Any, fn: Any) -> Any:
        default = signature.parameters[name].default if name[0] != "*" else inspect.Parameter.empty
        defaults = () if default is inspect.Parameter.empty else (default,)
        if name not in concrete:
            annotation = _annotations(fn).get(name)
            return self.create_proxy("placeholder", name, defaults, {}, type_expr=annotation)
        numbers = count(1)

        def specialised(x: Any) -> Any:
            out = self.create_proxy("placeholder", f"{name}_{next(numbers)}", defaults, {})
            if isinstance(x, PHBase):
                _give_attributes(x, out.node)
                return out
            self._assert_value(out, x, name)
            return x

        return pytree.tree_map(specialised, concrete[name])

    def _assert_value(self, out: Any, x: Any, name: str) -> None:
        """Records that an argument must be what the graph is specialised to."""
        text = f"{name} has been specialized to have value {x} but got another value"
        if type(x) is bool or (type(x) in base_types and type(x) is not torch.Tensor):
            torch._assert(out == x, text)
        elif x is None:
            self.create_proxy("call_function", _assert_is_none, (out, text), {})
        else:
            warnings.warn(
                f"Was not able to add assertion to guarantee correct input {name} to specialized function. It is up to "
                "the user to make sure that your inputs match the inputs you specialized the function with.",
                stacklevel=2,
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> Tracer:
        made = Tracer.__new__(type(self))
        for name, value in self.__dict__.items():
            made.__dict__[name] = copy.copy(value) if name == "_autowrap_search" else copy.deepcopy(value, memo)
        return made


# ---- parts of PyTorch's tracer, with which packages write tracers of their own


_orig_module_call: Any = torch.nn.Module.__call__


def _orig_module_getattr(module: Any, name: str) -> Any:
    """An attribute of a module that is not being traced."""
    return torch.nn.Module.__getattribute__(module, name)


class _Patcher(Patcher):
    """A block in which torch's functions record calls with proxies, and in which more can be replaced."""

    def __enter__(self) -> _Patcher:
        _recording.install()
        self.later(_recording.uninstall)
        return self

    def patch(self, frame_dict: dict[str, Any], name: str, new_fn: Any, deduplicate: bool = True) -> None:
        """Replaces a name of a namespace."""
        self.item(frame_dict, name, new_fn)

    def patch_method(self, cls: type, name: str, new_fn: Any, deduplicate: bool = True) -> None:
        """Replaces a method of a class."""
        self.method(cls, name, new_fn)


def _patch_wrapped_functions(patcher: Patcher) -> None:
    """Makes calls of what was given to ``wrap`` nodes."""
    for (_, name), module in list(_wrapped_functions.items()):
        patcher.item(module, name, leaf_function(named(module, name)))
    for cls, name in _wrapped_methods_to_patch:
        patcher.method(cls, name, leaf_method(cls, name))


def _autowrap_check(patcher: Patcher, frame_dict: dict[str, Any], function_ids: set[int]) -> None:
    """Makes functions of a namespace record calls with proxies: torch's, and those with these identities."""
    patcher.namespace(frame_dict, function_ids)


def _tensors_of(module: Any, prefix: str) -> Iterable[tuple[Any, str]]:
    """The tensors that modules have as plain attributes, with their dotted names."""
    for name, value in vars(module).items():
        if isinstance(value, torch.Tensor) and name not in module._parameters and name not in module._buffers:
            yield value, f"{prefix}{name}"
    for name, child in module.named_children():
        yield from _tensors_of(child, f"{prefix}{name}.")


def _annotations(fn: Any) -> dict[str, Any]:
    """The annotations of a function; those of this package are none of PyTorch's."""
    return {} if as_torch(fn.__module__ or "").startswith("torch.") else fn.__annotations__


def _give_attributes(source: Any, node: Any) -> None:
    """Gives a node the attributes that the user has put on a placeholder."""
    if isinstance(source, PHBase) and source is not PH:
        for name in dir(source):
            value = getattr(source, name)
            if not name.startswith("__") and not callable(value) and not hasattr(node, name):
                setattr(node, name, value)


def _by_position(fn: Any, number: int) -> Any:
    """The function with all its parameters, also ``*args`` and ``**kwargs``, taken by position."""
    code = fn.__code__.replace(
        co_argcount=number, co_posonlyargcount=0, co_kwonlyargcount=0, co_flags=fn.__code__.co_flags & ~_VARIADIC
    )
    return type(fn)(code, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)


def symbolic_trace(root: Any, concrete_args: Any = None) -> GraphModule:
    """A ``GraphModule`` of a module or function (https://docs.pytorch.org/docs/stable/fx.html).

    Args:
        root: The module or function.
        concrete_args: Values of arguments that the graph is specialised to.

    Raises:
        TraceError: The control flow depends on values.
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = type(root).__name__ if isinstance(root, torch.nn.Module) else root.__name__
    return GraphModule(tracer.root, graph, name)


_assert_is_none.__module__ = "torch.fx._symbolic_trace"
