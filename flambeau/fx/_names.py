"""Names: of functions and types as PyTorch's code calls them, and names that are unique in a graph."""

from __future__ import annotations

import builtins
import inspect
import keyword
import math
import operator
import re
import types
from collections.abc import Callable
from typing import Any

import flambeau as torch

from ._recording import original

_PACKAGE = __name__.partition(".")[0]
_HOMES = {"torch.functional": torch.functional, "torch": torch, "torch.nn.functional": torch.nn.functional}
_MORE_HOMES = ("linalg", "fft", "special")
_NAME = re.compile(r"([a-zA-Z_][0-9a-zA-Z_]*?)(?:_(\d+))?")


def home_of(target: Any) -> str | None:
    """PyTorch's module in which a function of flambeau is public."""
    name = getattr(target, "__name__", "")
    for path, module in _HOMES.items():
        if original(getattr(module, name, None)) is target:
            return path
    for path in _MORE_HOMES:
        if original(getattr(getattr(torch, path), name.removeprefix(f"{path}_"), None)) is target:
            return f"torch.{path}"
    return None


def as_torch(module: str) -> str:
    """A module's name as PyTorch has it."""
    head, dot, rest = module.partition(".")
    if head != _PACKAGE:
        return module
    return f"torch{rest}" if rest.partition(".")[0] == "vision" else f"torch{dot}{rest}"


def qualified(target: Callable[..., Any]) -> str:
    """How code calls a function: ``torch.relu``, ``_operator.add``, ``torch.nn.functional.linear``.

    Raises:
        RuntimeError: a function without a name.
    """
    name = target.__name__
    if getattr(builtins, name, None) is target:
        return name
    home = home_of(target)
    if home is None and getattr(torch.Tensor, name, None) is target:
        return f"torch.Tensor.{name}"
    if name == "<lambda>":
        try:
            name = inspect.getsource(target).split("=")[0].strip()
        except Exception as e:
            raise RuntimeError("Unable to represent lambda") from e
    if home is not None:
        name = name.removeprefix(home.rpartition(".")[2] + "_")
    return f"{home or as_torch(target.__module__ or '')}.{name}"


def call_name(target: Callable[..., Any]) -> str:
    """What the value of a call is called: the function's name, with its space (``linalg_norm``) if it has one."""
    home = home_of(target)
    space = "" if home in _HOMES or home is None else home.rpartition(".")[2] + "_"
    return target.__name__ if target.__name__.startswith(space) else space + target.__name__


def is_from_torch(obj: Any) -> bool:
    """Does generated code reach the object through ``torch``?"""
    if isinstance(obj, types.ModuleType) or not hasattr(obj, "__name__"):
        return False
    return home_of(obj) is not None or as_torch(getattr(obj, "__module__", None) or "").partition(".")[0] == "torch"


def type_name(obj: Any) -> str:
    """How an annotation shows."""
    if isinstance(obj, type) and not isinstance(obj, types.GenericAlias):
        if obj.__module__ == "builtins":
            return obj.__qualname__
        home = home_of(obj)
        return f"{home or as_torch(obj.__module__)}.{obj.__qualname__}"
    if obj is ...:
        return "..."
    if isinstance(obj, types.FunctionType):
        return obj.__name__
    return repr(obj).replace(f"{_PACKAGE}.tensor.", "torch.").replace(f"{_PACKAGE}.", "torch.")


def target_name(target: Any) -> str:
    """How the text of a graph shows what a node calls."""
    if isinstance(target, str):
        return target
    module = getattr(target, "__module__", None)
    if module == "builtins":
        return f"builtins.{target.__name__}"
    if module == "_operator":
        return f"operator.{target.__name__}"
    return qualified(target)


def snake_case(s: str) -> str:
    """``pascalCase`` as ``pascal_case``."""
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", s).lower()


NoneType = type(None)
# What the names of standard objects stand for in generated code, and how to import them:
BUILTINS: dict[str, tuple[str, Any]] = {
    "inf": ("from math import inf", math.inf),
    "nan": ("from math import nan", math.nan),
    "NoneType": ("NoneType = type(None)", NoneType),
    "torch": ("import torch", torch),
    "device": ("from torch import device", torch.device),
}
_TAKEN: dict[str, Any] = {k: object() for k in keyword.kwlist} | vars(builtins)


def register_builtin(name: str, statement: str, obj: Any) -> None:
    """Makes generated code know an object under a name, which no node gets."""
    BUILTINS[name] = statement, obj
    _TAKEN[name] = obj


for _name, (_statement, _obj) in list(BUILTINS.items()):
    register_builtin(_name, _statement, _obj)


class Namespace:
    """Gives objects names that are unique, and are those of builtins for these alone."""

    def __init__(self) -> None:
        self._of: dict[Any, str] = {}
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}

    def create_name(self, candidate: str, obj: Any) -> str:
        """A new name like ``candidate``; for an object that has one, its name."""
        if obj is not None and obj in self._of:
            return self._of[obj]
        match = _NAME.fullmatch(candidate)
        if match is None:
            candidate = re.sub("[^0-9a-zA-Z_]+", "_", candidate) or "_unnamed"
            candidate = f"_{candidate}" if candidate[0].isdigit() else candidate
            match = _NAME.fullmatch(candidate)
        assert match is not None
        base, number = match.groups()
        if number is None or candidate in self._used:
            count = self._counts.get(base, 0)
            if _TAKEN.get(candidate, obj) is not obj:
                count += 1
                candidate = f"{base}_{count}"
        else:
            count = int(number)
        while candidate in self._used:
            count += 1
            candidate = f"{base}_{count}"
        self._used.add(candidate)
        self._counts[base] = count
        if obj is not None:
            self._of[obj] = candidate
        return candidate

    def associate_name_with_obj(self, name: str, obj: Any) -> None:
        """Notes that an object has this name."""
        assert self._of.setdefault(obj, name) is name, "obj is already associated"

    def _rename_object(self, obj: Any, name: str) -> None:
        self._of[obj] = name
        self._used.add(name)


_BINARY = {
    "add": "+", "sub": "-", "mul": "*", "floordiv": "//", "truediv": "/", "mod": "%", "pow": "**", "lshift": "<<",
    "rshift": ">>", "and_": "&", "or_": "|", "xor": "^", "matmul": "@",
}  # fmt: skip
_COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}
_UNARY = {"pos": "+{}", "neg": "-{}", "invert": "~{}"}
reflectable_magic_methods = {name: f"{{}} {sign} {{}}" for name, sign in _BINARY.items()}
magic_methods = {
    **{name: f"{{}} {sign} {{}}" for name, sign in _COMPARISONS.items()},
    **_UNARY,
    "getitem": "{}[{}]",
    **reflectable_magic_methods,
}
inplace_methods = {f"i{name.strip('_')}": f"{{}} {sign}= {{}}" for name, sign in _BINARY.items()}
inplace_methods["setitem"] = "{}[{}] = {}"
FORMATS = {getattr(operator, name): form for name, form in magic_methods.items()}
INPLACE_FORMATS = {getattr(operator, name): form for name, form in inplace_methods.items()}
