"""Nested lists, tuples and dictionaries as flat lists and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _rebuild(tree: Any, children: list[Any]) -> Any:
    """A container like ``tree`` with other children."""
    if isinstance(tree, dict):
        return type(tree)(zip(tree, children))
    return type(tree)(*children) if hasattr(tree, "_fields") else type(tree)(children)


def _children(tree: Any) -> list[Any] | None:
    if isinstance(tree, dict):
        return list(tree.values())
    return list(tree) if isinstance(tree, (list, tuple)) else None


def flatten(tree: Any) -> list[Any]:
    """The leaves, left to right."""
    children = _children(tree)
    return [tree] if children is None else [leaf for child in children for leaf in flatten(child)]


def structure(tree: Any) -> Any:
    """What two trees have in common that differ in nothing but their leaves."""
    children = _children(tree)
    if children is None:
        return "*"
    return type(tree), tuple(tree) if isinstance(tree, dict) else (), tuple([structure(child) for child in children])


def unflatten(tree: Any, leaves: list[Any]) -> Any:
    """A tree like ``tree`` with these leaves."""
    rest = iter(leaves)
    return map_leaves(lambda _: next(rest), tree)


def map_leaves(f: Callable[[Any], Any], tree: Any) -> Any:
    """The tree of ``f`` of each leaf."""
    children = _children(tree)
    return f(tree) if children is None else _rebuild(tree, [map_leaves(f, child) for child in children])


def broadcast_to(prefix: Any, tree: Any, atom: tuple[type, ...]) -> list[Any] | None:
    """One value a leaf of ``tree`` from a tree that may stop earlier; None if the two do not fit."""
    if isinstance(prefix, atom):
        return [prefix] * len(flatten(tree))
    mine, theirs = _children(prefix), _children(tree)
    if mine is None or theirs is None or type(prefix) is not type(tree) or len(mine) != len(theirs):
        return None
    if isinstance(prefix, dict):
        if prefix.keys() != tree.keys():
            return None
        mine = [prefix[key] for key in tree]
    out: list[Any] = []
    for a, b in zip(mine, theirs):
        part = broadcast_to(a, b, atom)
        if part is None:
            return None
        out += part
    return out
