"""Nested lists, tuples, dictionaries and named tuples taken apart into leaves and put together again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ._pytree_nodes import (
    SUPPORTED_NODES,
    GetAttrKey,
    LeafSpec,
    MappingKey,
    NodeDef,
    SequenceKey,
    TreeSpec,
    _dict_flatten,
    _dict_flatten_with_keys,
    _dict_unflatten,
    _list_flatten,
    _list_flatten_with_keys,
    _list_unflatten,
    _namedtuple_flatten,
    _namedtuple_unflatten,
    keystr,
)
from ._pytree_nodes import get_node_type as _get_node_type

__all__ = [
    "GetAttrKey",
    "LeafSpec",
    "MappingKey",
    "SequenceKey",
    "TreeSpec",
    "_dict_flatten",
    "_dict_flatten_with_keys",
    "_dict_unflatten",
    "_list_flatten",
    "_list_flatten_with_keys",
    "_list_unflatten",
    "_namedtuple_flatten",
    "_namedtuple_unflatten",
    "arg_tree_leaves",
    "key_get",
    "keystr",
    "register_constant",
    "register_dataclass",
    "register_pytree_node",
    "tree_all",
    "tree_all_only",
    "tree_any",
    "tree_any_only",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_is_leaf",
    "tree_iter",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_",
    "tree_map_only",
    "tree_map_only_",
    "tree_map_with_path",
    "tree_structure",
    "tree_unflatten",
    "treespec_leaf",
    "treespec_pprint",
]  # fmt: skip

PyTree = Any


def register_pytree_node(
    cls: type, flatten_fn: Any, unflatten_fn: Any, *, flatten_with_keys_fn: Any = None, **_: Any
) -> None:
    """Makes a class one that is taken apart.

    Raises:
        ValueError: it is one already.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    SUPPORTED_NODES[cls] = NodeDef(flatten_fn, unflatten_fn, flatten_with_keys_fn)


def register_dataclass(
    cls: type, *, field_names: list[str] | None = None, drop_field_names: list[str] | None = None, **_: Any
) -> None:
    """Makes a dataclass one that is taken apart; fields that are None are no children.

    Raises:
        ValueError: the class is no dataclass and no fields are named, or not all of them are.
    """
    names = _fields_of(cls, field_names, drop_field_names or [])

    def flatten(x: Any) -> tuple[list[Any], Any]:
        there = [name for name in names if getattr(x, name) is not None]
        return [getattr(x, name) for name in there], [there, [name for name in names if name not in there]]

    def unflatten(values: Iterable[Any], context: Any) -> Any:
        return cls(**dict(zip(context[0], values)), **dict.fromkeys(context[1]))

    def flatten_with_keys(x: Any) -> tuple[list[tuple[Any, Any]], Any]:
        values, context = flatten(x)
        return [(GetAttrKey(name), value) for name, value in zip(context[0], values)], context

    register_pytree_node(cls, flatten, unflatten, flatten_with_keys_fn=flatten_with_keys)


def _fields_of(cls: type, named: list[str] | None, dropped: list[str]) -> list[str]:
    if not dataclasses.is_dataclass(cls):
        if named is None:
            raise ValueError("field_names must be specified with a list of all fields used to "
                             f"initialize {cls}, as it is not a dataclass.")  # fmt: skip
        return named
    made = [field.name for field in dataclasses.fields(cls) if field.init]
    if named is None:
        return made
    missing, unexpected = set(made) - set(dropped) - set(named), set(named) - (set(made) - set(dropped))
    if missing or unexpected:
        raise ValueError(
            "field_names does not include all dataclass fields.\n"
            + (f"Missing fields in `field_names`: {missing}. If you want to include these fields in the pytree, please "
               "add them to `field_names`, otherwise please add them to `drop_field_names`.\n" if missing else "")
            + (f"Unexpected fields in `field_names`: {unexpected}. Please remove these fields, or add them to "
               "`drop_field_names`.\n" if unexpected else "")
        )  # fmt: skip
    return named


def register_constant(cls: type) -> None:
    """Makes a class one whose objects have no leaves and are part of the structure.

    Raises:
        TypeError: the class does not say when its objects are equal, or has no hash.
    """
    for name in ("__eq__", "__hash__"):
        if getattr(cls, name) in (None, getattr(object, name) if name == "__eq__" else None):
            raise TypeError(f"register_constant(cls) expects `cls` to have a non-default `{name}` implementation.")
    register_pytree_node(cls, lambda x: ([], x), lambda _, x: x, flatten_with_keys_fn=lambda x: ([], x))


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves from left to right, and the structure."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, is_leaf, leaves)


def _flatten(tree: Any, is_leaf: Callable[[Any], bool] | None, leaves: list[Any]) -> TreeSpec:
    kind = None if is_leaf is not None and is_leaf(tree) else _get_node_type(tree)
    if kind is None:
        leaves.append(tree)
        return LeafSpec()
    children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    return TreeSpec(kind, context, tuple(_flatten(child, is_leaf, leaves) for child in children))


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The tree of a structure with these leaves.

    Raises:
        ValueError: there are too few or too many.
    """
    return treespec.unflatten(leaves)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves from left to right."""
    return tree_flatten(tree, is_leaf)[0]


def arg_tree_leaves(*args: Any, **kwargs: Any) -> list[Any]:
    """The leaves of the arguments of a call."""
    return tree_leaves((args, tuple(kwargs.values())))


def tree_leaves_with_path(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves from left to right, each with the keys that lead to it.

    Raises:
        ValueError: a class among them was registered without ``flatten_with_keys_fn``.
    """
    kind = None if is_leaf is not None and is_leaf(tree) else _get_node_type(tree)
    if kind is None:
        return [((), tree)]
    with_keys = SUPPORTED_NODES[kind].flatten_with_keys_fn
    if with_keys is None:
        raise ValueError(f"Did not find a flatten_with_keys_fn for type: {kind}. Please pass a flatten_with_keys_fn "
                         "argument to register_pytree_node.")  # fmt: skip
    return [((key, *path), leaf) for key, child in with_keys(tree)[0]
            for path, leaf in tree_leaves_with_path(child, is_leaf)]  # fmt: skip


def tree_flatten_with_path(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[tuple[tuple[Any, ...], Any]], TreeSpec]:
    """The leaves with their paths, and the structure."""
    return tree_leaves_with_path(tree, is_leaf), tree_structure(tree, is_leaf)


def tree_map_with_path(
    func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """The tree of ``func(path, leaf, ...)``."""
    found, spec = tree_flatten_with_path(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    return tree_unflatten([func(path, leaf, *more) for (path, leaf), *more in zip(found, *others)], spec)


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """The structure."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """A tree of ``func`` of the leaves; of what stands in their places in further trees, if there are any.

    Raises:
        ValueError: a further tree does not begin with the structure of the first.
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    return tree_unflatten([func(*row) for row in zip(leaves, *others)], spec)


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """Calls ``func`` with the leaves, as ``tree_map``, and returns the tree itself."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def _test_of(kinds: Any) -> Callable[[Any], bool]:
    """Whether something is of these types, or fulfils a predicate."""
    if callable(kinds) and not isinstance(kinds, type):
        return kinds  # type: ignore[return-value]
    return lambda x: isinstance(x, kinds)


def tree_map_only(
    type_or_types_or_pred: Any, /, func: Callable[..., Any], tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """``tree_map`` that leaves alone what is not of these types (or for which the predicate is false)."""
    fits = _test_of(type_or_types_or_pred)
    return tree_map(lambda x: func(x) if fits(x) else x, tree, is_leaf=is_leaf)


def tree_map_only_(
    type_or_types_or_pred: Any, /, func: Callable[..., Any], tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """Calls a function with the leaves of these types, and gives the tree itself."""
    tree_map_only(type_or_types_or_pred, func, tree, is_leaf)
    return tree


def tree_all_only(
    type_or_types: Any, /, pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> bool:
    """Does the predicate hold for every leaf of these types?"""
    fits = _test_of(type_or_types)
    return all([pred(x) for x in tree_leaves(tree, is_leaf) if fits(x)])  # noqa: C419


def tree_any_only(
    type_or_types: Any, /, pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> bool:
    """Does the predicate hold for a leaf of these types?"""
    fits = _test_of(type_or_types)
    return any([pred(x) for x in tree_leaves(tree, is_leaf) if fits(x)])  # noqa: C419


def tree_iter(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Iterator[Any]:
    """The leaves one by one."""
    yield from tree_leaves(tree, is_leaf)


def tree_is_leaf(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Is this a leaf?"""
    return bool(is_leaf and is_leaf(tree)) or _get_node_type(tree) not in SUPPORTED_NODES


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: Any = None) -> bool:
    """Does the predicate hold for every leaf?"""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: Any = None) -> bool:
    """Does the predicate hold for a leaf?"""
    return any(map(pred, tree_leaves(tree, is_leaf)))


def key_get(obj: Any, kp: Iterable[Any]) -> Any:
    """What stands at the end of a path."""
    for key in kp:
        obj = key.get(obj)
    return obj


def treespec_leaf() -> TreeSpec:
    """The structure of a leaf."""
    return LeafSpec()


class _Asterisk(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "*"


def treespec_pprint(treespec: TreeSpec) -> str:
    """The tree of a structure as Python would write it, with ``*`` for leaves."""
    return repr(treespec.unflatten([_Asterisk()] * treespec.num_leaves))
