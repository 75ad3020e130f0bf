"""Lists and dictionaries that nobody changes: what a node's arguments are made of."""

from __future__ import annotations

from typing import Any, NoReturn

from flambeau.utils import _pytree

__all__ = ["immutable_dict", "immutable_list"]

_HELP = (
    "If you are attempting to modify the kwargs or args of a torch.fx.Node object,\n"
    "instead create a new copy of it and assign the copy to the node:\n"
    "    new_args = ... # copy and mutate args\n"
    "    node.args = new_args\n"
)


def _refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    raise TypeError(f"{type(self).__name__!r} object does not support mutation. {_HELP}")


def _frozen(kind: type, names: str) -> Any:
    return type(f"_frozen_{kind.__name__}", (kind,), dict.fromkeys(names.split(), _refuse))


_List: Any = _frozen(
    list, "__delitem__ __iadd__ __imul__ __setitem__ append clear extend insert pop remove reverse sort"
)
_Dict: Any = _frozen(dict, "__delitem__ __ior__ __setitem__ clear pop popitem setdefault update")


class immutable_list(_List):
    """A list that cannot be changed; it can be hashed if its elements can.

    Raises:
        TypeError: Something tries to change it.
    """

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return immutable_list, (tuple(self),)


class immutable_dict(_Dict):
    """A dictionary that cannot be changed; it can be hashed if its values can.

    Raises:
        TypeError: Something tries to change it.
    """

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return immutable_dict, (dict(self),)


_pytree.register_pytree_node(immutable_list, lambda x: (list(x), None), lambda values, context: immutable_list(values))
_pytree.register_pytree_node(
    immutable_dict,
    lambda x: (list(x.values()), list(x.keys())),
    lambda values, context: immutable_dict(zip(context, values)),
)
