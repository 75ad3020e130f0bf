"""Nested lists, tuples, dictionaries and named tuples taken apart into leaves and put together again."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ..return_types import Result

__all__ = [
    "GetAttrKey", "LeafSpec", "MappingKey", "SequenceKey", "TreeSpec", "arg_tree_leaves", "keystr",
    "register_pytree_node", "tree_all", "tree_all_only", "tree_any", "tree_any_only", "tree_flatten",
    "tree_flatten_with_path", "tree_is_leaf", "tree_iter", "tree_leaves", "tree_leaves_with_path", "tree_map",
    "tree_map_", "tree_map_only", "tree_map_only_", "tree_map_with_path", "tree_structure", "tree_unflatten",
]  # fmt: skip

PyTree = Any


class MappingKey(NamedTuple):
    """The step from a dictionary to one of its values."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, parent: Any) -> Any:
        """The child of this parent."""
        return parent[self.key]


class SequenceKey(NamedTuple):
    """The step from a sequence to one of its items."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, parent: Any) -> Any:
        """The child of this parent."""
        return parent[self.idx]


class GetAttrKey(NamedTuple):
    """The step from an object to one of its attributes."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, parent: Any) -> Any:
        """The child of this parent."""
        return getattr(parent, self.name)


def keystr(kp: Iterable[Any]) -> str:
    """A path of keys as Python would write it behind the tree's name: ``['a'][0]``."""
    return "".join([str(key) for key in kp])


class NodeDef(NamedTuple):
    """How one type is taken apart: ``flatten_fn(x) -> (children, context)`` and back.

    ``flatten_with_keys_fn(x) -> ([(key, child), ...], context)``: the same with the way to each child.
    """

    flatten_fn: Callable[[Any], tuple[list[Any], Any]]
    unflatten_fn: Callable[[Iterable[Any], Any], Any]
    flatten_with_keys_fn: Callable[[Any], tuple[list[tuple[Any, Any]], Any]] | None = None


class TreeSpec(NamedTuple):
    """The structure of a tree; ``type`` None is a leaf."""

    type: Any
    context: Any
    children_specs: tuple[TreeSpec, ...]

    def __repr__(self) -> str:
        if self.type is None:
            return "*"
        children = ",\n".join([repr(child) for child in self.children_specs]).replace("\n", "\n  ")
        return f"TreeSpec({self.type.__name__}, {self.context}, [{children}])"

    @property
    def num_leaves(self) -> int:
        """How many leaves the tree has."""
        return 1 if self.type is None else sum(child.num_leaves for child in self.children_specs)

    @property
    def num_children(self) -> int:
        """How many children the root has."""
        return len(self.children_specs)

    def children(self) -> list[TreeSpec]:
        """The structures of the root's children."""
        return list(self.children_specs)

    def child(self, index: int) -> TreeSpec:
        """The structure of one child."""
        return self.children_specs[index]

    def is_leaf(self) -> bool:
        """Is the tree one leaf?"""
        return self.type is None

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree with these leaves."""
        return tree_unflatten(leaves, self)


class _NamedTuple:
    """Stands for all classes of named tuples."""


def LeafSpec() -> TreeSpec:
    """The structure of a leaf."""
    return TreeSpec(None, None, ())


def _dict_flatten(d: Any) -> tuple[list[Any], list[Any]]:
    return list(d.values()), list(d)


def _dict_unflatten(values: Iterable[Any], context: list[Any]) -> dict[Any, Any]:
    return dict(zip(context, values))


def _dict_flatten_with_keys(d: Any) -> tuple[list[tuple[Any, Any]], list[Any]]:
    return [(MappingKey(key), value) for key, value in d.items()], list(d)


def _mapping(make: Callable[[Any], Any]) -> NodeDef:
    return NodeDef(_dict_flatten, lambda values, keys: make(zip(keys, values)), _dict_flatten_with_keys)


def _items_with_keys(x: Any) -> tuple[list[tuple[Any, Any]], Any]:
    return [(SequenceKey(i), item) for i, item in enumerate(x)], SUPPORTED_NODES[_get_node_type(x)].flatten_fn(x)[1]


def _list_flatten(x: Any) -> tuple[list[Any], None]:
    return list(x), None


def _list_unflatten(values: Iterable[Any], context: None) -> list[Any]:
    return list(values)


def _list_flatten_with_keys(x: Any) -> tuple[list[tuple[Any, Any]], None]:
    return [(SequenceKey(i), item) for i, item in enumerate(x)], None


SUPPORTED_NODES: dict[Any, NodeDef] = {
    list: NodeDef(_list_flatten, _list_unflatten, _list_flatten_with_keys),
    tuple: NodeDef(lambda x: (list(x), None), lambda items, _: tuple(items), _items_with_keys),
    dict: _mapping(dict),
    OrderedDict: _mapping(OrderedDict),
    defaultdict: NodeDef(
        lambda d: (list(d.values()), [d.default_factory, list(d)]),
        lambda values, context: defaultdict(context[0], zip(context[1], values)),
        lambda d: (_dict_flatten_with_keys(d)[0], [d.default_factory, list(d)]),
    ),
    deque: NodeDef(lambda x: (list(x), x.maxlen), lambda items, limit: deque(items, limit), _items_with_keys),
    _NamedTuple: NodeDef(
        lambda x: (list(x), type(x)),
        lambda items, cls: cls(*items),
        lambda x: ([(GetAttrKey(name), item) for name, item in zip(x._fields, x)], type(x)),
    ),
    Result: NodeDef(
        lambda x: (list(x), type(x)),
        lambda items, cls: cls(items),
        lambda x: ([(GetAttrKey(name), item) for name, item in zip(x.fields, x)], type(x)),
    ),
}


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


def _get_node_type(x: Any) -> Any:
    if type(x) in SUPPORTED_NODES:
        return type(x)
    if isinstance(x, Result):
        return Result
    return _NamedTuple if isinstance(x, tuple) and hasattr(x, "_fields") else None


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
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec refers to a pytree that "
            f"holds {treespec.num_leaves} items ({treespec})."
        )
    return _unflatten(iter(leaves), treespec)


def _unflatten(leaves: Any, spec: TreeSpec) -> Any:
    if spec.type is None:
        return next(leaves)
    return SUPPORTED_NODES[spec.type].unflatten_fn(
        [_unflatten(leaves, child) for child in spec.children_specs], spec.context
    )


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
    others = [tree_leaves(rest, is_leaf) for rest in rests]
    return tree_unflatten([func(path, leaf, *more) for (path, leaf), *more in zip(found, *others)], spec)


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """The structure."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """A tree of ``func`` of the leaves, of several trees of one structure if more are given."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [tree_leaves(rest, is_leaf) for rest in rests]
    return tree_unflatten([func(*row) for row in zip(leaves, *others, strict=True)], spec)


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
