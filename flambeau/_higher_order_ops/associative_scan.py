"""All prefixes of an associative function, in about twice the logarithm of the number of slices of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as torch
from flambeau.utils._pytree import tree_flatten, tree_unflatten

from .scan import slices

__all__ = ["associative_scan"]


def associative_scan(
    combine_fn: Callable[[Any, Any], Any], xs: Any, dim: int, reverse: bool = False, combine_mode: str = "pointwise"
) -> Any:
    """``combine_fn`` of all slices up to each.

    Args:
        combine_fn: An associative function of two slices, each like ``xs`` without ``dim``; it gives one more.
        xs: Tensors, possibly nested in containers.
        dim: The dimension along which they are scanned.
        reverse: From the last slice to the first.
        combine_mode: "generic"; PyTorch has "pointwise" on a GPU only.

    Raises:
        ValueError: an argument is none of these.
        IndexError: a tensor has no such dimension.
    """
    if not callable(combine_fn):
        raise ValueError(f"Combine_fn must be a callable, but got {combine_fn}")
    if combine_mode not in ("pointwise", "generic"):
        raise ValueError(f"Combine_mode must either 'pointwise' or 'generic', but got {combine_mode}")
    if combine_mode == "pointwise":
        raise ValueError("For combine_mode='pointwise', all input tensors need to be on CUDA or XPU")
    leaves, form = tree_flatten(xs)
    slices(leaves, dim)
    first = [x.movedim(dim, 0) for x in leaves]
    first = [x.flip(0) for x in first] if reverse else first
    after = _prefixes(_combining(combine_fn, form), first)
    after = [x.flip(0) for x in after] if reverse else after
    return tree_unflatten([x.movedim(0, dim) for x in after], form)


def _combining(combine_fn: Callable[[Any, Any], Any], form: Any) -> Callable[..., list[Any]]:
    """The function for many pairs of slices, which lie along the first dimension of lists of tensors."""

    def one(left: list[Any], right: list[Any]) -> list[Any]:
        found, given = tree_flatten(combine_fn(tree_unflatten(left, form), tree_unflatten(right, form)))
        if given != form:
            raise RuntimeError(f"combine_fn must return what it is given: expected {form}, but got {given}")
        return found

    return torch.vmap(one)


def _prefixes(combine: Callable[..., list[Any]], xs: list[Any]) -> list[Any]:
    """The prefixes of pairs are every second prefix; each of the others is one more slice."""
    count = xs[0].shape[0]
    if count < 2:
        return xs
    odd = _prefixes(combine, combine([x[:-1:2] for x in xs], [x[1::2] for x in xs]))
    if count == 2:
        return [torch.cat([x[:1], y]) for x, y in zip(xs, odd)]
    rest = combine([y[: (count - 1) // 2] for y in odd], [x[2::2] for x in xs])
    even = [torch.cat([x[:1], y]) for x, y in zip(xs, rest)]
    return [_interleaved(a, b) for a, b in zip(even, odd)]


def _interleaved(even: Any, odd: Any) -> Any:
    """``even[0], odd[0], even[1], …``; there may be one more of the first."""
    pairs = torch.stack([even[: odd.shape[0]], odd], 1).flatten(0, 1)
    return torch.cat([pairs, even[odd.shape[0] :]])
