"""Who is told of every operator that is recorded, the backward pass's included.

Nothing asks whether somebody watches: while one does, ``call`` is another function in all modules. Backward passes are
not found again meanwhile (``autograd.memo``, ``autograd._rules``), so that their rules are run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph.node import Operator
from . import _registry

Watcher = Callable[[Operator, tuple[Any, ...], Any, Any], None]

watchers: list[Watcher] = []  # told ``(operator, inputs, attributes, result)``
_before: list[Any] = []  # ``call`` and ``call_inplace`` as they are when nobody watches
_instead: list[Any] = []  # what stands for them


def watch(watcher: Watcher) -> None:
    """Tells ``watcher`` of all calls from now on."""
    if not watchers:
        _before[:] = _registry.call, _registry.call_inplace
        _instead[:] = _told(_before[0]), _told_of_writes(_before[1])
        _put(_before, _instead)
    watchers.append(watcher)


def unwatch(watcher: Watcher) -> None:
    """Tells ``watcher`` nothing any more."""
    watchers.remove(watcher)
    if not watchers:
        _put(_instead, _before)


def _put(functions: list[Any], instead: list[Any]) -> None:
    from .._twins import put

    put(dict(zip(functions, instead)))


_within: list[bool] = []  # a call may call itself again, with other attributes


def _outermost(inner: Callable[..., Any], *args: Any) -> tuple[Any, bool]:
    """The result of a call, and whether no other call makes it."""
    if _within:
        return inner(*args), False
    _within.append(True)
    try:
        return inner(*args), True
    finally:
        _within.pop()


def _told(inner: Callable[..., Any]) -> Callable[..., Any]:
    def told(op: Operator, ins: tuple[Any, ...], attrs: Any = ()) -> Any:
        result, outermost = _outermost(inner, op, ins, attrs)
        for watcher in watchers * outermost:
            watcher(op, ins, attrs, result)
        return result

    return told


def _told_of_writes(inner: Callable[..., Any]) -> Callable[..., Any]:
    def told(
        op: Operator, x: Any, others: tuple[Any, ...] = (), attrs: Any = (), may_overlap: bool = False,
        unchanged: bool = False,
    ) -> Any:  # fmt: skip
        result, outermost = _outermost(inner, op, x, others, attrs, may_overlap, unchanged)
        for watcher in watchers * outermost:
            watcher(op, (x, *others), attrs, result)
        return result

    return told
