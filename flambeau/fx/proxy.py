"""Stand-ins for values: what is done with them becomes nodes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

from .node import Node

_ITERATION = (
    "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a loop or as a *args or **kwargs "
    "function argument. See the torch.fx docs on pytorch.org for a more detailed explanation of what types of control "
    "flow can be traced, and check out the Proxy docstring for help troubleshooting Proxy iteration errors"
)


class TraceError(ValueError):
    """The function needs a value that tracing does not have."""


class Proxy:
    """Stands for the result of ``node``."""

    def __init__(self, node: Node, tracer: Any = None) -> None:
        self.node = node
        self.tracer = tracer

    def __repr__(self) -> str:
        return f"Proxy({self.node.name})"

    def __getattr__(self, name: str) -> Attribute:
        if name.startswith("__"):
            raise AttributeError(name)
        return Attribute(self, name)

    def __iter__(self) -> NoReturn:
        raise TraceError(_ITERATION)

    def __bool__(self) -> NoReturn:
        raise TraceError("symbolically traced variables cannot be used as inputs to control flow")

    def __len__(self) -> NoReturn:
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be recorded, please call "
            "torch.fx.wrap('len') at module scope"
        )

    def __abs__(self) -> Proxy:
        return self.tracer.create_proxy("call_function", abs, (self,), {})


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

    def __call__(self, *args: Any, **kwargs: Any) -> Proxy:
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


def _operator(f: Callable[..., Any], reflected: bool) -> Callable[..., Any]:
    def method(self: Proxy, *args: Any) -> Proxy:
        return self.tracer.create_proxy("call_function", f, (*args, self) if reflected else (self, *args), {})

    return method


_NAMES = ("add sub mul truediv floordiv mod pow matmul lshift rshift and_ or_ xor").split()
for _name in _NAMES:
    _bare, _function = _name.strip("_"), getattr(operator, _name)
    setattr(Proxy, f"__{_bare}__", _operator(_function, False))
    setattr(Proxy, f"__r{_bare}__", _operator(_function, True))
for _name in ("lt", "gt", "le", "ge", "eq", "ne", "neg", "pos", "invert", "getitem"):
    setattr(Proxy, f"__{_name}__", _operator(getattr(operator, _name), False))
Proxy.__hash__ = object.__hash__  # type: ignore[method-assign]
