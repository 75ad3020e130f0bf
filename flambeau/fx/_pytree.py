"""Flattening by a structure that is known, which generated code does with its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.utils import _pytree

__all__ = ["register_pytree_flatten_spec", "tree_flatten_spec"]

_flatten: dict[type, Callable[[Any, Any], list[Any]]] = {}


def register_pytree_flatten_spec(cls: type, flatten_fn_spec: Callable[[Any, Any], list[Any]], *_: Any) -> None:
    """Says how objects of a class are taken apart: ``flatten_fn_spec(x, spec)`` gives their parts."""
    _flatten[cls] = flatten_fn_spec


def tree_flatten_spec(pytree: Any, spec: Any) -> list[Any]:
    """The leaves of nested data, which must have the structure ``spec``.

    Raises:
        ValueError: The structure is another one.
    """
    leaves: list[Any] = []
    _collect(pytree, spec, leaves)
    return leaves


def _collect(x: Any, spec: Any, leaves: list[Any]) -> None:
    if spec.is_leaf():
        leaves.append(x)
        return
    children = spec.children()
    for item, child in zip(_parts(x, spec, len(children)), children):
        _collect(item, child, leaves)


def _parts(x: Any, spec: Any, number: int) -> list[Any]:
    """What an object is made of, looked up part by part, because it may be a proxy."""
    if spec.type in _flatten:
        return _flatten[spec.type](x, spec)
    if spec.type is dict:
        return [x[key] for key in spec.context]
    if spec.type in (list, tuple) or spec.type not in _pytree.SUPPORTED_NODES or hasattr(spec.context, "_fields"):
        return [x[i] for i in range(number)]
    items = _pytree.SUPPORTED_NODES[spec.type].flatten_fn(x)[0]
    if len(items) != number:
        raise ValueError(f"expected {number} items, but got {len(items)}")
    return items
