"""Names of classes and functions in files: there they are PyTorch's, ``torch.nn.modules.linear Linear``."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ..device import device
from ..dtypes import dtype
from ..graph.types import Size
from ..storage import LEGACY_NAMES, TypedStorage, UntypedStorage
from ..tensor import Tensor

_PACKAGE = __name__.partition(".")[0]
_WRITTEN: dict[Any, tuple[str, str]] = {
    Tensor: ("torch", "Tensor"),
    Size: ("torch", "Size"),
    device: ("torch", "device"),
    dtype: ("torch", "dtype"),
    TypedStorage: ("torch.storage", "TypedStorage"),
    UntypedStorage: ("torch.storage", "UntypedStorage"),
    **{made: ("torch", name) for name, made in LEGACY_NAMES.items()},
}
# Where PyTorch has the members of modules that exist only here.
_MOVED = {
    f"{_PACKAGE}.nn.modules._lazy_conv": "torch.nn.modules.conv",
    f"{_PACKAGE}.nn.modules._attention": "torch.nn.modules.activation",
    f"{_PACKAGE}.nn.modules._parameter_containers": "torch.nn.modules.container",
    **{f"{_PACKAGE}.nn.modules.{part}": "torch.nn.modules.module" for part in ("_hooks", "_attributes", "_state")},
    f"{_PACKAGE}.random.generator": "torch._C",
}
_FOUND = {
    "torch._C._nn": f"{_PACKAGE}.nn.functional",
    "torch._C": _PACKAGE,
    "torch.tensor": f"{_PACKAGE}._tensor",
    "torch.cuda": f"{_PACKAGE}.storage",  # old files name its storage classes
}


def is_ours(module: str | None) -> bool:
    """Is this the name of a module of the package?"""
    return module is not None and (module == _PACKAGE or module.startswith(_PACKAGE + "."))


def _aliased(module: str) -> str:
    vision = f"{_PACKAGE}.vision"
    if module == vision or module.startswith(vision + "."):
        return "torchvision" + module[len(vision) :]
    return "torch" + module[len(_PACKAGE) :]


def _is_private(module: str) -> bool:
    """Is this a module whose members PyTorch has elsewhere?"""
    _, first, *rest = [*module.split("."), ""]
    if first in ("_utils", "_tensor"):
        return False
    return first in ("ops", "graph", "dtypes", "device") or any(part.startswith("_") for part in (first, *rest))


def _public_home(obj: Any, module: str, name: str) -> str | None:
    """The nearest package above a private module that exports ``obj``; for operators, where users find them."""
    homes = [f"{_PACKAGE}.nn.functional", _PACKAGE] if ".ops." in module or module.endswith("._noise") else []
    parts = module.split(".")
    homes += [".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]
    for home in homes:
        if getattr(importlib.import_module(home), name, None) is obj:
            return home
    return None


def written(obj: Any) -> tuple[str, str] | None:
    """The module and name under which a file names a class or function of flambeau; None for what is not ours."""
    try:
        known = _WRITTEN.get(obj)
    except TypeError:
        known = None
    if known is not None:
        return known
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or not is_ours(module):
        return None
    if module in _MOVED:
        return _MOVED[module], name
    if _is_private(module):
        home = _public_home(obj, module, name)
        if home is not None:
            return _aliased(home), name
    return _aliased(module), name


def full_path(obj: Any) -> str:
    """``torch.nn.modules.linear.Linear``: how an allow-list writes a class or function."""
    module, name = written(obj) or (obj.__module__, obj.__qualname__)
    return f"{module}.{name}"


def real_module(module: str) -> str | None:
    """The module of flambeau that a module name in a file means; None for a name that is not PyTorch's."""
    if module in _FOUND:
        return _FOUND[module]
    if module == "torchvision" or module.startswith("torchvision."):
        return f"{_PACKAGE}.vision{module[len('torchvision') :]}"
    if module == "torch" or module.startswith("torch."):
        return _PACKAGE + module[len("torch") :]
    return None


class VariableFunctions:
    """Stands for the class of PyTorch's built-in functions: ``getattr`` gives flambeau's."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.modules[_PACKAGE], name)


def resolve(module: str, name: str) -> Any:
    """The class or function of flambeau that a file names.

    Raises:
        AttributeError: flambeau has nothing of this name.
        ModuleNotFoundError: nor the module.
    """
    if name.startswith("_VariableFunctions"):
        return VariableFunctions()
    real = real_module(module)
    assert real is not None
    if real == f"{_PACKAGE}.storage" or name in LEGACY_NAMES:
        return getattr(sys.modules[f"{_PACKAGE}.storage"], name)
    return _member(real, name, f"{module}.{name}")


def _member(home: str, name: str, asked: str) -> Any:
    """``name`` in the module ``home``, or in a package above it: flambeau's files are cut differently."""
    parts = home.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        try:
            for part in name.split("."):
                found = getattr(found, part)
        except AttributeError:
            continue
        return found
    raise AttributeError(f"flambeau has no {asked}; the file can be loaded only where that exists")
