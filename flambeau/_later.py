"""Packages whose names are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any


def imported(module: ModuleType) -> dict[str, Any]:
    """The names that a module has so far."""
    return vars(ModuleType)["__dict__"].__get__(module)


class Package(ModuleType):
    """Such a package. Whoever looks at its ``__dict__`` (``vars``, ``dir``) finds all names there."""

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """The names, all imported."""
        own = imported(self)
        for name in own["_HOMES"]:
            getattr(self, name)
        return own


def homes(**files: str) -> dict[str, str]:
    """Where names are defined, of names by files."""
    return {name: file for file, names in files.items() for name in names.split()}


def finder(package: str, homes: dict[str, str]) -> Callable[[str], Any]:
    """``__getattr__`` of a package with names in these of its modules, which are attributes too."""
    module = sys.modules[package]
    module.__class__ = Package
    files = frozenset(homes.values())

    def find(name: str) -> Any:
        """A name that has not been imported yet."""
        if name in files:
            return import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(module, name, found)
        return found

    return find
