"""`import torch` and `import torchvision` resolve to flambeau.

`install()` puts one finder in front of `sys.meta_path`. `torch.nn.functional` is then the very module object
`flambeau.nn.functional`: nothing is loaded twice. An installed PyTorch is hidden, not touched. The finder also answers
`importlib.util.find_spec("torch")` and `importlib.metadata.version("torch")`, which is how packages look for torch.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import urllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import flambeau
from flambeau._later import imported
from flambeau.ops import FUNCTIONS, show_at_home
from flambeau.version import __version__

__all__ = ["ALIASES", "AliasFinder", "install", "real_name", "uninstall", "user_name"]

ALIASES = {"torch": "flambeau", "torchvision": "flambeau.vision", "functorch": "flambeau.functorch"}
_EVERYTHING = importlib.metadata.DistributionFinder.Context()
VERSIONS = {"torch": __version__.partition("+")[0], "torchvision": "0.28.0"}


def real_name(name: str) -> str | None:
    """The flambeau module that an aliased name means: `torch.nn` is `flambeau.nn`; None for any other name."""
    head, dot, rest = name.partition(".")
    target = ALIASES.get(head)
    return None if target is None else target + dot + rest


def user_name(name: str) -> str:
    """The name under which a PyTorch program knows a module of flambeau.

    `flambeau.vision.utils` is `torchvision.utils`; a name outside flambeau comes back unchanged.
    """
    for alias, target in sorted(ALIASES.items(), key=lambda item: -len(item[1])):
        if name == target or name.startswith(target + "."):
            return alias + name[len(target) :]
    return name


class AliasLoader(importlib.abc.Loader):
    """Hands out a module that was imported under its real name."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._spec: importlib.machinery.ModuleSpec | None = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Import the real module and return it."""
        module = importlib.import_module(self.target)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back: the import system has just set the alias's, which would mislead it."""
        module.__spec__ = self._spec


_SHOWN_AS_TORCH = frozenset(f"flambeau.{name}" for name in ("tensor", "graph.types", "dtypes", "device", "storage"))


_shown: list[tuple[type, str]] = []  # the classes shown as torch's, and their real modules


def show_as_torch(module: ModuleType) -> None:
    """Gives the classes of a module the module name that PyTorch shows: `print(type(x))` says torch.Tensor."""
    name = module.__name__
    shown = "torch" if name in _SHOWN_AS_TORCH else user_name(name)
    if shown != "torch":
        sys.modules.setdefault(shown, module)  # where annotations of its classes are looked up
    for value in list(imported(module).values()):  # of packages whose other names are imported when they are used
        if isinstance(value, type) and value.__module__ == name and shown != name:
            _shown.append((value, name))
            value.__module__ = shown


class ShownLoader(importlib.machinery.SourceFileLoader):
    """Loads a module of flambeau, whose classes then show as torch's."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        super().exec_module(module)
        show_as_torch(module)


class AliasDistribution(importlib.metadata.Distribution):
    """The metadata that `importlib.metadata` shows for an aliased package."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        """METADATA with a name and a version; None for every other file."""
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {VERSIONS[self._name]}\nSummary: flambeau\n"

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        """A path relative to the folder that holds the package."""
        return Path(flambeau.__path__[0]).parent / path


class AliasFinder(importlib.metadata.DistributionFinder):
    """Finds `torch`, `torchvision` and what is below them in flambeau."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec under the aliased name; None where the name is no alias or flambeau has no such module."""
        real = real_name(fullname)
        if real is None:
            return self._shown(fullname, path)
        found = self._find_real(real)
        if found is None:
            return None
        spec = importlib.machinery.ModuleSpec(
            fullname,
            AliasLoader(real),
            origin=found.origin,
            is_package=found.submodule_search_locations is not None,
        )
        if found.submodule_search_locations is not None:
            spec.submodule_search_locations = list(found.submodule_search_locations)
        return spec

    @staticmethod
    def _shown(name: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module of flambeau with a loader that shows its classes as torch's."""
        if not name.startswith("flambeau."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = ShownLoader(name, spec.loader.path)
        return spec

    @staticmethod
    def _find_real(real: str) -> importlib.machinery.ModuleSpec | None:
        try:
            return importlib.util.find_spec(real)
        except (ModuleNotFoundError, ValueError):
            return None

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context = _EVERYTHING
    ) -> Iterator[importlib.metadata.Distribution]:
        """What `importlib.metadata` asks: the aliased packages of that name, or all when it names none."""
        for name in VERSIONS:
            if context.name is None or context.name.lower() == name:
                yield AliasDistribution(name)


def _part_of_urllib(name: str) -> ModuleType:
    """`urllib.request` after a mere `import urllib`: importing PyTorch imports it, and programs rely on that."""
    if name not in ("error", "parse", "request", "response"):
        raise AttributeError(f"module 'urllib' has no attribute '{name}'")
    return importlib.import_module(f"urllib.{name}")


def install() -> AliasFinder:
    """Make `import torch` and `import torchvision` mean flambeau in this process, from now on.

    Returns the finder; calling again changes nothing.

    Raises:
        RuntimeError: PyTorch itself was imported before.
    """
    for finder in sys.meta_path:
        if isinstance(finder, AliasFinder):
            return finder
    _refuse_loaded_modules()
    finder = AliasFinder()
    sys.meta_path.insert(0, finder)
    for name, module in list(sys.modules.items()):
        if name.startswith("flambeau."):
            show_as_torch(module)
    urllib.__getattr__ = _part_of_urllib
    flambeau.__name__ = "torch"  # which some packages compare with the names of what they patch
    show_at_home(FUNCTIONS)
    return finder


def uninstall() -> None:
    """Undo `install()`: names imported already stay bound where a program bound them."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, AliasFinder)]
    for name in [name for name in sys.modules if real_name(name) is not None]:
        del sys.modules[name]
    while _shown:
        cls, module = _shown.pop()
        cls.__module__ = module
    urllib.__dict__.pop("__getattr__", None)
    flambeau.__name__ = "flambeau"
    show_at_home(FUNCTIONS)


def _refuse_loaded_modules() -> None:
    for name in ALIASES:
        module = sys.modules.get(name)
        if module is not None and module is not sys.modules.get(ALIASES[name]):
            raise RuntimeError(
                f"{name} was imported from {getattr(module, '__file__', '?')} before flambeau could take its place; "
                f"call flambeau.tools.alias.install() before the first `import {name}`"
            )
