"""Trees of lists, tuples and dictionaries: structures, several trees at once (PyTorch 2.13's results)."""

from __future__ import annotations

from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest

import flambeau as torch
from flambeau.utils import _pytree as pytree

Pair = namedtuple("Pair", "a b")


def pairs(x: Any, y: Any) -> Any:
    return x, y


def test_what_a_structure_knows() -> None:
    spec = pytree.tree_structure({"b": [1, (2, 3)], "a": Pair(4, {"x": 5})})
    assert (spec.num_nodes, spec.num_leaves, spec.num_children) == (10, 5, 2)
    assert spec.child(0) == pytree.tree_structure([0, (0, 0)]) and spec.child(1).child(0).is_leaf()
    assert spec == pytree.tree_structure({"b": [0, (0, 0)], "a": Pair(0, {"x": 0})}) != spec.child(0)
    assert hash(spec) == hash(pytree.tree_structure({"b": [0, (0, 0)], "a": Pair(0, {"x": 0})}))
    assert pytree.treespec_pprint(spec) == "{'b': [*, (*, *)], 'a': Pair(a=*, b={'x': *})}"
    assert repr(spec.child(1)).startswith("TreeSpec(namedtuple, <class ") and pytree.treespec_leaf().is_leaf()


def test_dictionaries_meet_by_their_keys() -> None:
    first, second = {"a": 1, "b": [2, 3]}, OrderedDict(b=[20, 30], a=10)
    assert pytree.tree_map(pairs, first, second) == {"a": (1, 10), "b": [(2, 20), (3, 30)]}
    found = pytree.tree_map_with_path(lambda path, x, y: (pytree.keystr(path), y), first, second)
    assert found == {"a": ("['a']", 10), "b": [("['b'][0]", 20), ("['b'][1]", 30)]}


def test_further_trees_need_only_begin_alike() -> None:
    assert pytree.tree_map(pairs, [1, 2], [[3, 4], {"q": 5}]) == [(1, [3, 4]), (2, {"q": 5})]
    assert pytree.tree_map(pairs, deque([1]), deque([2], 4)) == deque([(1, 2)])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1, 2], [1], "Node arity mismatch; expected 2, but got 1."),
        ([1], (1,), "Node type mismatch; expected <class 'list'>, but got <class 'tuple'>."),
        ([1], 3, "Node type mismatch; expected <class 'list'>, but got <class 'int'>."),
        ({"a": 1}, {"b": 1}, r"Node keys mismatch; missing key\(s\): {'a'}; extra key\(s\): {'b'}."),
        ({"a": 1}, {"a": 1, "b": 2}, "Node arity mismatch; expected 1, but got 2."),
        (Pair(1, 2), (1, 2), "Node type mismatch; expected <function namedtuple"),
    ],
)
def test_other_structures_are_refused(first: Any, second: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pytree.tree_map(pairs, first, second)


def test_too_few_leaves() -> None:
    with pytest.raises(ValueError, match="`leaves` has length 1 but the spec refers to a pytree that holds 2 items"):
        pytree.tree_unflatten([1], pytree.tree_structure((0, 0)))


def test_children_specs_are_deprecated() -> None:
    with pytest.warns(FutureWarning, match="`treespec.children_specs` is deprecated"):
        assert pytree.tree_structure([1]).children_specs == [pytree.LeafSpec()]


@dataclass
class Point:
    x: Any
    y: Any = None


class Constant:
    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.n == other.n

    def __hash__(self) -> int:
        return hash(self.n)


def test_registered_dataclasses_and_constants() -> None:
    pytree.register_dataclass(Point)
    pytree.register_constant(Constant)
    assert pytree.tree_map(lambda x: x + 1, [Point(1), Point(1, 2)]) == [Point(2), Point(2, 3)]
    assert [pytree.keystr(path) for path, _ in pytree.tree_leaves_with_path(Point(1, [2]))] == [".x", ".y[0]"]
    assert pytree.tree_leaves([Constant(1), 2]) == [2]
    one, same, two = (pytree.tree_structure(Constant(n)) for n in (1, 1, 2))
    assert one == same != two


def test_what_cannot_be_registered() -> None:
    with pytest.raises(ValueError, match="it is not a dataclass"):
        pytree.register_dataclass(int)
    with pytest.raises(ValueError, match="Missing fields in `field_names`: {'y'}"):
        pytree.register_dataclass(Point, field_names=["x"])
    with pytest.raises(TypeError, match="non-default `__eq__`"):
        pytree.register_constant(type("Plain", (), {}))
    with pytest.raises(TypeError, match="non-default `__hash__`"):
        pytree.register_constant(type("Equal", (), {"__eq__": lambda self, other: True}))


def test_paths_lead_to_their_leaves() -> None:
    tree = {"a": [1, Pair(2, 3)]}
    assert [pytree.key_get(tree, path) for path, _ in pytree.tree_leaves_with_path(tree)] == [1, 2, 3]


def test_the_parameters_of_a_module_are_taken_apart_as_a_dictionary() -> None:
    layer = torch.nn.Linear(2, 1)
    leaves, spec = pytree.tree_flatten((1, layer._parameters))
    assert leaves[1] is layer.weight and leaves[2] is layer.bias and "TreeSpec(dict, ['weight', 'bias']" in str(spec)
    doubled = pytree.tree_map(lambda t: 2 * t, layer._parameters)
    assert type(doubled) is dict and torch.equal(doubled["bias"], 2 * layer.bias)
