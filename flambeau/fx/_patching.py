"""Names and methods that are others while a tracer works."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import Any

from . import _recording
from .node import map_aggregate

_ABSENT = object()


class Patcher:
    """A block at whose end all that was replaced is as before."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []
        self._seen: set[int] = set()

    def __enter__(self) -> Patcher:
        return self

    def __exit__(self, *exc: object) -> None:
        while self._undo:
            self._undo.pop()()

    def later(self, undo: Callable[[], None]) -> None:
        """Calls ``undo`` at the end."""
        self._undo.append(undo)

    def item(self, home: dict[str, Any], name: str, value: Any) -> None:
        """Replaces a name of a namespace."""
        before = home.get(name, _ABSENT)
        home[name] = value
        self.later(lambda: home.pop(name) if before is _ABSENT else home.__setitem__(name, before))

    def method(self, cls: type, name: str, value: Any) -> None:
        """Replaces a method of a class."""
        before = cls.__dict__.get(name, _ABSENT)
        setattr(cls, name, value)
        self.later(lambda: delattr(cls, name) if before is _ABSENT else setattr(cls, name, before))

    def namespace(self, home: dict[str, Any], functions: set[int]) -> None:
        """Makes functions in a namespace record calls with proxies: torch's, and those with these identities."""
        if id(home) in self._seen:
            return
        self._seen.add(id(home))
        for name, f in _recording.replace_in(home):
            self.later(functools.partial(home.__setitem__, name, f))
        for name, f in list(home.items()):
            if not name.startswith("_") and id(f) in functions and callable(f):
                self.item(home, name, leaf_function(f))

    def closure(self, f: Any) -> None:
        """Replaces torch's functions among the variables that a function has from around it."""
        for cell in getattr(f, "__closure__", None) or ():
            try:
                before = cell.cell_contents
            except ValueError:
                continue  # not assigned yet
            if _recording.recorder_of(before) is not before:
                cell.cell_contents = _recording.recorder_of(before)
                self.later(functools.partial(setattr, cell, "cell_contents", before))


def find_proxy(*args: Any) -> Any:
    """A proxy among nested arguments, or None."""
    found: list[Any] = []
    map_aggregate(args, lambda x: found.append(x) if isinstance(x, _recording.is_proxy[0]) else None)
    return found[-1] if found else None


def leaf_function(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that becomes one node when it gets a proxy."""
    if hasattr(f, "_fx_leaf"):
        return f

    @functools.wraps(f)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        proxy = find_proxy(args, kwargs)
        if proxy is None:
            return f(*args, **kwargs)
        made = proxy.tracer.create_proxy("call_function", f, args, kwargs)
        made.node.meta["is_wrapped"] = True
        return made

    recorded._fx_leaf = True  # type: ignore[attr-defined]
    return recorded


def leaf_method(cls: type, name: str) -> Callable[..., Any]:
    """A method that becomes one node when it gets a proxy."""
    f = getattr(cls, name)

    @functools.wraps(f)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        proxy = find_proxy(args, kwargs)
        return f(*args, **kwargs) if proxy is None else proxy.tracer.create_proxy("call_method", name, args, kwargs)

    return recorded


def named(home: dict[str, Any], name: str) -> Any:
    """What a name stands for in a module."""
    return home[name] if name in home else getattr(builtins, name)
