"""Settings of PyTorch's compiler that programs make: kept, and without effect."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any


class Settings(ModuleType):
    """A module whose attributes can be set to anything; what was neither there nor set is an AttributeError."""

    @contextlib.contextmanager
    def patch(self, changes: Any = None, **more: Any) -> Iterator[None]:
        """Sets attributes in a block: a dictionary, or keyword arguments; dots lead into groups."""
        wanted = {**(changes or {}), **more}
        places = [self._find(name) for name in wanted]
        before = [(group, last, last in vars(group), vars(group).get(last)) for group, last in places]
        for (group, last), value in zip(places, wanted.values()):
            setattr(group, last, value)
        try:
            yield
        finally:
            for group, last, was_there, value in before:
                if was_there:
                    setattr(group, last, value)
                else:
                    delattr(group, last)

    def _find(self, name: str) -> tuple[ModuleType, str]:
        group: ModuleType = self
        *groups, last = name.split(".")
        for word in groups:
            group = getattr(group, word)
        return group, last


def groups(settings: ModuleType, *names: str) -> None:
    """Makes groups of settings."""
    for name in names:
        setattr(settings, name, Settings(f"{settings.__name__}.{name}"))
