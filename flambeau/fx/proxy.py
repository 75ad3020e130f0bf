"""Stand-ins for values: what is done with them becomes nodes."""

from __future__ import annotations

import copy
import dis
import enum
import operator
import sys
import traceback as _traceback
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import flambeau as torch

from . import _recording
from . import traceback as fx_traceback
from ._names import home_of, magic_methods, reflectable_magic_methods
from .graph import Graph
from .immutable_collections import immutable_dict, immutable_list
from .node import Node, base_types

__all__ = [
    "Attribute", "GraphAppendingTracer", "ParameterProxy", "Proxy", "Scope", "ScopeContextManager", "TraceError",
    "TracerBase", "assert_fn",
]  # fmt: skip

_ITERATION = (
    "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a loop or as a *args or **kwargs "
    "function argument. See the torch.fx docs on pytorch.org for a more detailed explanation of what types of control "
    "flow can be traced, and check out the Proxy docstring for help troubleshooting Proxy iteration errors"
)
_FIELDS = frozenset(("_e", "_g", "_grad", "_h", "_ins", "_number", "_s", "_ty", "_vc", "_view", "_w"))
_COPIED = ("nn_module_stack", "torch_fn", "source_fn_stack", "original_aten", "from_node", "custom")


class Scope:
    """In which module a node was recorded: its path and its class."""

    def __init__(self, module_path: str, module_type: Any) -> None:
        self.module_path, self.module_type = module_path, module_type


class ScopeContextManager:
    """A block in which a scope is another one."""

    def __init__(self, scope: Scope, current_scope: Scope) -> None:
        self._before = copy.copy(scope)
        self._scope = scope
        scope.module_path, scope.module_type = current_scope.module_path, current_scope.module_type

    def __enter__(self) -> Scope:
        return self._scope

    def __exit__(self, *args: object) -> None:
        self._scope.module_path, self._scope.module_type = self._before.module_path, self._before.module_type


class TraceError(ValueError):
    """The function needs a value that tracing does not have."""


def assert_fn(x: Any) -> None:
    """What an ``assert`` of a traced function becomes."""
    assert x


class TracerBase:
    """Makes nodes of calls, and proxies of nodes."""

    graph: Graph
    record_stack_traces = False
    check_mutable_operations = False
    trace_asserts = False
    proxy_buffer_attributes = False
    traced_func_name = "forward"
    scope: Scope
    module_stack: OrderedDict[str, Any]
    node_name_to_scope: dict[str, Any]

    def create_node(
        self, kind: str, target: Any, args: Any, kwargs: Any, name: str | None = None, type_expr: Any = None
    ) -> Node:
        """A new node at the graph's place for insertions."""
        if kind == "call_function" and self.check_mutable_operations:
            _refuse_writes(_recording.original(target), kwargs)
        node = self.graph.create_node(kind, target, args, kwargs, name, type_expr)
        self.node_name_to_scope[node.name] = (self.scope.module_path, self.scope.module_type)
        if fx_traceback.has_preserved_node_meta():
            current = fx_traceback.get_current_meta()
            if current.get("stack_trace"):
                node.stack_trace = current["stack_trace"]
            node.meta.update({key: copy.copy(current[key]) for key in _COPIED if key in current})
        elif self.module_stack:
            node.meta["nn_module_stack"] = copy.copy(self.module_stack)
        if self.record_stack_traces and not node.stack_trace:
            node.stack_trace = _user_stack()
        return node

    def proxy(self, node: Node) -> Proxy:
        """The proxy of a node."""
        return Proxy(node, self)

    def create_proxy(
        self,
        kind: str,
        target: Any,
        args: Any,
        kwargs: Any,
        name: str | None = None,
        type_expr: Any = None,
        proxy_factory_fn: Callable[[Node], Proxy] | None = None,
    ) -> Any:
        """The proxy of a new node, of arguments that may hold proxies."""
        arguments, named = self.create_arg(args), self.create_arg(kwargs)
        node = self.create_node(kind, target, arguments, named, name, type_expr)
        return (proxy_factory_fn or self.proxy)(node)

    def create_arg(self, a: Any) -> Any:
        """An argument as a node takes it.

        Raises:
            NotImplementedError: Nodes have no arguments of its type.
            RuntimeError: A dictionary has a node for a key.
        """
        if isinstance(a, Proxy):
            return a.node
        if hasattr(a, "__fx_create_arg__"):
            return a.__fx_create_arg__(self)
        if isinstance(a, tuple):
            items = [self.create_arg(x) for x in a]
            return type(a)(*items) if hasattr(a, "_fields") else tuple(items)
        if isinstance(a, list):
            return [self.create_arg(x) for x in a]
        if isinstance(a, dict):
            return {self._key(k): self.create_arg(x) for k, x in a.items()}
        if isinstance(a, (slice, range)):
            return type(a)(*[self.create_arg(x) for x in (a.start, a.stop, a.step)])
        if is_dataclass(a) and not isinstance(a, type):
            kwargs = {f.name: self.create_arg(getattr(a, f.name)) for f in fields(a)}
            return self.create_node("call_function", type(a), (), kwargs)
        if isinstance(a, (*base_types, enum.Enum)) or a is None or a is ...:
            return a
        if isinstance(a, _recording.Recorder):
            return a.f
        raise NotImplementedError(f"argument of type: {type(a)}")

    def _key(self, k: Any) -> Any:
        key = self.create_arg(k)
        found: list[Node] = []
        from .node import map_arg

        map_arg(key, lambda n: found.append(n) or n)
        if found:
            raise RuntimeError(f"Keys for dictionaries used as an argument cannot contain a Node. Got key: {k}")
        return key

    def to_bool(self, obj: Proxy) -> bool:
        """What a branch on a proxy does: it raises TraceError."""
        raise TraceError("symbolically traced variables cannot be used as inputs to control flow")

    def iter(self, obj: Proxy) -> Any:
        """What a loop over a proxy does: it raises TraceError."""
        raise TraceError(_ITERATION)

    def keys(self, obj: Proxy) -> Any:
        """What ``obj.keys()`` and ``**obj`` give."""
        return Attribute(obj, "keys")()


def _refuse_writes(target: Any, kwargs: Any) -> None:
    """Raises for a function of torch that writes into an argument."""
    name = target.__name__
    if home_of(target) is not None and ("out" in kwargs or name.endswith("_")):
        raise RuntimeError(
            f"Tried to trace mutable operation aten::{name}{'.out' if 'out' in kwargs else ''}. FX only supports "
            "functional code, so operations that mutate operands in-place (e.g. via `out` arguments) are not supported"
        )


def _user_stack() -> str | None:
    """The frames from the first ``forward`` on, without those of this package."""
    frames = list(_traceback.extract_stack())
    names = [f.name for f in frames]
    if "forward" not in names:
        return None
    kept = [f for f in frames[names.index("forward") :] if not f.filename.startswith(_HERE)]
    return "".join(_traceback.StackSummary.from_list(kept).format()).strip()


_HERE = __file__.rpartition("fx")[0]


class GraphAppendingTracer(TracerBase):
    """Appends to a graph outside of tracing."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.scope = Scope("", None)
        self.module_stack = OrderedDict()
        self.node_name_to_scope = {}


class Proxy:
    """Stands for the value of a node: operators, methods and functions of torch make nodes of its graph.

    Args:
        node: The node.
        tracer: What makes the nodes; without one they are appended to the node's graph.
    """

    def __init__(self, node: Node, tracer: Any = None) -> None:
        if tracer is None:
            tracer = GraphAppendingTracer(node.graph)
        if isinstance(tracer, GraphAppendingTracer) or not _recording.installed():
            _recording.install()  # functions must know this proxy as long as it lives
            weakref.finalize(self, _recording.uninstall).atexit = False
        self.tracer = tracer
        self.node = node

    def __repr__(self) -> str:
        return f"Proxy({self.node.name})"

    def __getattr__(self, name: str) -> Attribute:
        if name in _FIELDS or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name, name=name, obj=self)
        return Attribute(self, name)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, d: dict[str, Any]) -> None:
        self.__dict__.update(d)

    def __deepcopy__(self, memo: dict[int, Any]) -> Proxy:
        parts = copy.deepcopy(self.__dict__, memo)
        made = Proxy(parts["node"], parts["tracer"])
        made.__dict__.update(parts)
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Proxy:
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __iter__(self) -> Iterator[Any]:
        """The items that an assignment to several names wants; else what the tracer says of loops."""
        code = _instruction(sys._getframe(1))
        if code.opname == "UNPACK_SEQUENCE":
            return iter([self[i] for i in range(code.argval)])  # type: ignore[index]
        return self.tracer.iter(self)

    def __abs__(self) -> Proxy:
        return self.tracer.create_proxy("call_function", operator.abs, (self,), {})

    def __bool__(self) -> bool:
        if self.tracer.trace_asserts and _is_asserted(sys._getframe(1)):
            self.tracer.create_proxy("call_function", assert_fn, (self,), {})
            return True
        return self.tracer.to_bool(self)

    def keys(self) -> Any:
        """What ``**proxy`` asks for."""
        return self.tracer.keys(self)

    def __len__(self) -> int:
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be recorded, please call "
            "torch.fx.wrap('len') at module scope"
        )

    @classmethod
    def __torch_function__(cls, orig_method: Any, types: Any, args: Any = None, kwargs: Any = None) -> Any:
        """Records a call of a function of torch."""
        return _recording.Recorder(_recording.original(orig_method))(*(args or ()), **(kwargs or {}))


_recording.is_proxy.append(Proxy)


def _instructions(frame: Any) -> tuple[list[Any], int]:
    found = list(dis.get_instructions(frame.f_code))
    return found, max(i for i, code in enumerate(found) if code.offset <= max(frame.f_lasti, 0))


def _instruction(frame: Any) -> Any:
    found, at = _instructions(frame)
    return found[at]


def _is_asserted(frame: Any) -> bool:
    """Does the frame ask for the truth of an ``assert``?"""
    found, at = _instructions(frame)
    codes = [c for c in found[at : at + 4] if c.opname not in ("TO_BOOL", "CACHE", "NOP", "COPY")]
    jump = next((i for i, c in enumerate(codes) if "POP_JUMP" in c.opname and "IF_TRUE" in c.opname), None)
    if jump is None or jump + 1 >= len(codes):
        return False
    after = codes[jump + 1]
    return after.opname == "LOAD_ASSERTION_ERROR" or after.argval in ("AssertionError", AssertionError)


class Attribute(Proxy):
    """An attribute of a proxy: called, it is a method; used otherwise, ``getattr``."""

    def __init__(self, root: Proxy, attr: str) -> None:
        self.root, self.attr, self.tracer = root, attr, root.tracer
        self._node: Node | None = None

    @property
    def node(self) -> Node:  # type: ignore[override]
        """The node of ``getattr``, made when it is needed."""
        node = self._node
        if node is None:
            node = self._node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {}).node
        return node

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


class ParameterProxy(Proxy):
    """Stands for a parameter, whose shape is known.

    Args:
        tracer: What makes nodes.
        node: The node of the parameter.
        name: Its name.
        param: The parameter.
    """

    def __init__(self, tracer: Any, node: Node, name: str, param: Any) -> None:
        super().__init__(node, tracer)
        assert isinstance(param, torch.nn.Parameter)
        self.param, self.name = param, name

    def __repr__(self) -> str:
        return f"ParameterProxy({self.name})"

    @property
    def shape(self) -> Any:
        """The parameter's shape."""
        return self.param.shape

    def size(self, *args: Any) -> Any:
        """The parameter's shape, or the size of one dimension."""
        return self.param.size(*args)

    def dim(self) -> int:
        """The number of dimensions."""
        return self.param.dim()

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.param.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.param.numel()

    def nelement(self) -> int:
        """The number of elements."""
        return self.param.nelement()


def _operator(name: str) -> Callable[..., Any]:
    f = getattr(operator, name)

    def method(*args: Any, **kwargs: Any) -> Any:
        return args[0].tracer.create_proxy("call_function", f, args, kwargs)

    method.__name__ = method.__qualname__ = f"__{name.strip('_')}__"
    return method


def _reflected(name: str) -> Callable[..., Any]:
    f = getattr(operator, name)

    def method(self: Any, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", f, (other, self), {})

    method.__name__ = method.__qualname__ = f"__r{name.strip('_')}__"
    return method


for _name in magic_methods:
    setattr(Proxy, f"__{_name.strip('_')}__", _operator(_name))
for _name in reflectable_magic_methods:
    setattr(Proxy, f"__r{_name.strip('_')}__", _reflected(_name))
Proxy.__hash__ = object.__hash__  # type: ignore[method-assign]
__all__ += ["immutable_dict", "immutable_list"]
