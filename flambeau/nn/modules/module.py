"""``Module``, the base class of all neural networks, and the hooks that apply to every module.

The class is written in parts, each in a file of its own: attributes (``_attributes``), calls and hooks (``_hooks``),
the tree of submodules (``_tree``), saving and loading (``_state``).
"""

from __future__ import annotations

import inspect
from typing import Any

from . import _attributes, _hooks, _state
from ._attributes import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from ._hooks import (
    register_module_backward_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
)
from ._lookup import Lookup, answers_itself, asks_for_lookup

__all__ = [
    "Module",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]


def _addindent(s_: str, numSpaces: int) -> str:
    """Indents all lines but the first; empty lines stay empty."""
    first, *rest = s_.split("\n")
    return "\n".join([first, *(" " * numSpaces + line if line.strip() else "" for line in rest)])


class Module(_state.ModuleState):
    """The base class of all neural networks.

    A subclass makes its layers in ``__init__`` (after ``super().__init__()``) and uses them in ``forward``; parameters
    and modules assigned as attributes are registered. Calling the module runs ``forward`` and the hooks around it.

    Attributes:
        training: Whether the module is in training mode; set by :meth:`train` and :meth:`eval`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if asks_for_lookup(cls) and not issubclass(cls, Lookup):
            cls.__bases__ = (*cls.__bases__, Lookup)
        cls._mirrors = not answers_itself(cls)

    def extra_repr(self) -> str:
        """What ``repr`` prints between the parentheses; for subclasses to override."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {_addindent(repr(module), 2)}" for name, module in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        lines += children
        body = "\n  " + "\n  ".join(lines) + "\n" if lines else ""
        return f"{self._get_name()}({body})"


def __getattr__(name: str) -> object:
    # PyTorch has all of this in one file; some programs look for its private names here.
    for part in (_hooks, _attributes, _state):
        if name in vars(part):
            return vars(part)[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _name_after_module() -> None:
    """Methods of the parts are called ``Module.parameters`` and the like, also in the text of their generators."""
    for part in Module.__mro__[1:-1]:
        for method in vars(part).values():
            if inspect.isfunction(method):
                method.__qualname__ = f"Module.{method.__name__}"


_name_after_module()
