"""What trees are made of: the types that are taken apart, the keys that lead to their parts, structures."""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ..return_types import Result


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


class TreeSpec:
    """The structure of a tree; ``type`` None is a leaf."""

    __slots__ = ("_children", "context", "num_children", "num_leaves", "num_nodes", "type")
    __match_args__ = ("type", "context")

    def __init__(self, type: Any, context: Any, children_specs: Iterable[TreeSpec]) -> None:
        self.type = type
        self.context = context
        self._children = list(children_specs)
        self.num_nodes = 1 + sum(child.num_nodes for child in self._children)
        self.num_leaves = 1 if type is None else sum(child.num_leaves for child in self._children)
        self.num_children = len(self._children)

    def __repr__(self) -> str:
        if self.type is None:
            return "*"
        children = ",\n".join([repr(child) for child in self._children]).replace("\n", "\n  ")
        return f"TreeSpec({self.type.__name__}, {self.context}, [{children}])"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TreeSpec):
            return NotImplemented
        same = str(self.type) == str(other.type) and self.context == other.context
        return same and self._children == other._children

    def __hash__(self) -> int:
        return hash((self.type, self.num_nodes, tuple(self._children)))

    @property
    def children_specs(self) -> list[TreeSpec]:
        """The structures of the root's children (deprecated, as in PyTorch)."""
        warnings.warn(
            "`treespec.children_specs` is deprecated. Use `treespec.child(index)` to access a single child, "
            "or `treespec.children()` to get all children.",
            FutureWarning,
            stacklevel=2,
        )
        return self._children

    def children(self) -> list[TreeSpec]:
        """The structures of the root's children."""
        return self._children.copy()

    def child(self, index: int) -> TreeSpec:
        """The structure of one child."""
        return self._children[index]

    def is_leaf(self) -> bool:
        """Is the tree one leaf?"""
        return self.type is None

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The parts of a tree that stand where this structure has its leaves.

        Raises:
            ValueError: the tree does not begin with this structure.
        """
        if self.type is None:
            return [tree]
        parts = zip(self._children, _parts_like(self, tree), strict=True)
        return [leaf for child, part in parts for leaf in child.flatten_up_to(part)]

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree with these leaves.

        Raises:
            ValueError: there are too few or too many.
        """
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(leaves)} but the spec refers to a pytree that "
                f"holds {self.num_leaves} items ({self})."
            )
        return _put_together(iter(leaves), self)


def LeafSpec() -> TreeSpec:
    """The structure of a leaf."""
    return TreeSpec(None, None, ())


def _put_together(leaves: Iterator[Any], spec: TreeSpec) -> Any:
    if spec.type is None:
        return next(leaves)
    return SUPPORTED_NODES[spec.type].unflatten_fn(
        [_put_together(leaves, child) for child in spec.children()], spec.context
    )


def _parts_like(spec: TreeSpec, tree: Any) -> list[Any]:
    """The children of a tree whose root is of this structure; those of dictionaries by their keys."""
    kind = get_node_type(tree)
    if spec.type in _DICTS and kind in _DICTS:
        return _values_like(spec, tree)
    if kind != spec.type:
        what = "Node type" if spec.type in _BUILTIN else "Type"
        raise ValueError(f"{what} mismatch; expected {spec.type!r}, but got {type(tree) if kind is None else kind!r}.")
    parts, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    if len(parts) != spec.num_children:
        raise ValueError(f"Node arity mismatch; expected {spec.num_children}, but got {len(parts)}.")
    if context != spec.context and kind is not deque:
        raise _other_context(spec, context)
    return parts


def _other_context(spec: TreeSpec, context: Any) -> ValueError:
    if spec.type not in _BUILTIN:
        return ValueError(f"Node context mismatch for custom node type {spec.type!r}.")
    return ValueError(f"Node context mismatch for node type {spec.type!r}; "
                      f"expected {spec.context!r}, but got {context!r}.")  # fmt: skip


def _values_like(spec: TreeSpec, tree: dict[Any, Any]) -> list[Any]:
    if len(tree) != spec.num_children:
        raise ValueError(f"Node arity mismatch; expected {spec.num_children}, but got {len(tree)}.")
    keys = spec.context[1] if spec.type is defaultdict else spec.context
    if set(keys) != set(tree):
        missing, extra = set(keys) - set(tree), set(tree) - set(keys)
        words = (f"; missing key(s): {missing}" if missing else "") + (f"; extra key(s): {extra}" if extra else "")
        raise ValueError(f"Node keys mismatch{words}.")
    return [tree[key] for key in keys]


def _dict_flatten(d: Any) -> tuple[list[Any], list[Any]]:
    return list(d.values()), list(d)


def _dict_unflatten(values: Iterable[Any], context: list[Any]) -> dict[Any, Any]:
    return dict(zip(context, values))


def _dict_flatten_with_keys(d: Any) -> tuple[list[tuple[Any, Any]], list[Any]]:
    return [(MappingKey(key), value) for key, value in d.items()], list(d)


def _mapping(make: Callable[[Any], Any]) -> NodeDef:
    return NodeDef(_dict_flatten, lambda values, keys: make(zip(keys, values)), _dict_flatten_with_keys)


def _items_with_keys(x: Any) -> tuple[list[tuple[Any, Any]], Any]:
    return [(SequenceKey(i), item) for i, item in enumerate(x)], SUPPORTED_NODES[get_node_type(x)].flatten_fn(x)[1]


def _list_flatten(x: Any) -> tuple[list[Any], None]:
    return list(x), None


def _list_unflatten(values: Iterable[Any], context: None) -> list[Any]:
    return list(values)


def _list_flatten_with_keys(x: Any) -> tuple[list[tuple[Any, Any]], None]:
    return [(SequenceKey(i), item) for i, item in enumerate(x)], None


def _namedtuple_flatten(x: Any) -> tuple[list[Any], type]:
    return list(x), type(x)


def _namedtuple_unflatten(items: Iterable[Any], cls: Any) -> Any:
    return cls(*items)


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
    namedtuple: NodeDef(
        _namedtuple_flatten,
        _namedtuple_unflatten,
        lambda x: ([(GetAttrKey(name), item) for name, item in zip(x._fields, x)], type(x)),
    ),
    Result: NodeDef(
        lambda x: (list(x), type(x)),
        lambda items, cls: cls(items),
        lambda x: ([(GetAttrKey(name), item) for name, item in zip(x.fields, x)], type(x)),
    ),
}

_DICTS = frozenset({dict, OrderedDict, defaultdict})
_BUILTIN = _DICTS | {deque, list, tuple, namedtuple}


def get_node_type(x: Any) -> Any:
    if type(x) in SUPPORTED_NODES:
        return type(x)
    if isinstance(x, Result):
        return Result
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return namedtuple
    return getattr(type(x), "_stands_for", None)
