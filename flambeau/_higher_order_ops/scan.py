"""A function called with one slice after the other and with what it gave before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as torch
from flambeau.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["scan", "slices"]


def slices(xs: list[Any], dim: int) -> int:
    """How many slices along ``dim`` all of the tensors have.

    Raises:
        IndexError: one has no such dimension.
        RuntimeError: there is no tensor, none has a slice, or they differ.
    """
    if not xs or not all(isinstance(x, torch.Tensor) for x in xs):
        raise RuntimeError("xs leaves must be a Tensor, and there must be at least one")
    counts = {x.size(dim) for x in xs}
    if len(counts) > 1 or 0 in counts:
        raise RuntimeError(f"All xs leaves must have the same scan dimension, larger than 0, but got {sorted(counts)}")
    return counts.pop()


def scan(
    combine_fn: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, *, dim: int = 0, reverse: bool = False
) -> tuple[Any, Any]:
    """``carry, y = combine_fn(carry, x)`` for each slice ``x``.

    Args:
        combine_fn: Gives the next carry, like ``init``, and a result of this step.
        init: The first carry: tensors, possibly nested in containers.
        xs: Tensors, possibly nested, which are scanned along ``dim``.
        dim: The dimension.
        reverse: From the last slice to the first.

    Returns:
        The last carry, and the results of all steps, which lie along ``dim`` in the order of the slices.

    Raises:
        RuntimeError: the tensors have no or not equally many slices, or ``combine_fn`` gives something else.
    """
    leaves, form = tree_flatten(xs)
    count = slices(leaves, dim)
    carry, results = init, []
    form_of_results: Any = None
    for i in reversed(range(count)) if reverse else range(count):
        found = combine_fn(carry, tree_unflatten([x.select(dim, i) for x in leaves], form))
        if not isinstance(found, tuple) or len(found) != 2:
            raise RuntimeError(f"Expect combine_fn to return a tuple (next_carry, y) but got {type(found)}")
        _check_carry(carry, found[0])
        carry = found[0]
        ys, form_of_results = tree_flatten(found[1])
        results.append(ys)
    columns = zip(*(reversed(results) if reverse else results))
    return carry, tree_unflatten([torch.stack(ys, dim) for ys in columns], form_of_results)


def _check_carry(before: Any, after: Any) -> None:
    (xs, was), (ys, now) = tree_flatten(before), tree_flatten(after)
    if was != now or any(x.shape != y.shape or x.dtype is not y.dtype for x, y in zip(xs, ys, strict=True)):
        raise RuntimeError("Expected init and carry to have same metadata: structure, shapes and dtypes must be kept")
