"""What tracing writes into the ``meta`` of new nodes while a graph is run again."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = [
    "format_stack", "get_current_meta", "has_preserved_node_meta", "preserve_node_meta", "set_current_meta",
    "set_stack_trace",
]  # fmt: skip

_current: dict[str, Any] = {}
_preserving = [False]


@contextmanager
def preserve_node_meta(enable: bool = True) -> Iterator[None]:
    """A block in which new nodes get the ``meta`` of the node that is run."""
    before, meta = _preserving[0], dict(_current)
    _preserving[0] = enable
    try:
        yield
    finally:
        _preserving[0] = before
        _current.clear()
        _current.update(meta)


def has_preserved_node_meta() -> bool:
    """Do new nodes get the ``meta`` of the node that is run?"""
    return _preserving[0]


def get_current_meta() -> dict[str, Any]:
    """The ``meta`` that new nodes get."""
    return _current


def set_stack_trace(stack: list[str]) -> None:
    """Sets the stack trace that new nodes get."""
    if _preserving[0] and stack:
        _current["stack_trace"] = "".join(stack)


def format_stack() -> list[str]:
    """The stack trace that new nodes get, else the stack."""
    if _preserving[0]:
        return [_current.get("stack_trace", "")]
    return traceback.format_list(traceback.extract_stack()[:-1])


@contextmanager
def set_current_meta(node: Any, pass_name: str = "") -> Iterator[None]:
    """A block in which new nodes get the ``meta`` of ``node``, if it is preserved at all."""
    if not _preserving[0] or not node.meta:
        yield
        return
    before = dict(_current)
    _current.clear()
    _current.update(node.meta)
    _current["from_node"] = [*_current.get("from_node", ()), (node.name, node.target)]
    try:
        yield
    finally:
        _current.clear()
        _current.update(before)
