"""``rearrange``: axes named in a pattern, in another order, joined and split (https://einops.rocks)."""

from __future__ import annotations

import re
from math import prod
from typing import Any

import flambeau as torch

__all__ = ["rearrange"]

_DOTS = "..."
Groups = list[list[str]]  # one a dimension: the axes that it is made of, outermost first
_OTHERS = [_DOTS]  # this very group, outside of brackets, stands for any number of dimensions


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """A tensor with its axes as ``pattern`` says: ``rearrange(x, "b (h p) c -> b h (p c)", p=2)``.

    Args:
        tensor: a tensor, or tensors of one shape, which are stacked first.
        pattern: names of the dimensions before and after ``->``; brackets around the axes that make one dimension,
            ``1`` for a dimension of one element, ``...`` for any other dimensions.
        **axes_lengths: how long axes are that do not follow from the tensor's shape.

    Raises:
        ValueError: the pattern is none, its sides name different axes, or it does not fit the number of dimensions.
        TypeError: a length is no int.
        RuntimeError: the lengths do not fit the shape.
    """
    x = tensor if isinstance(tensor, torch.Tensor) else torch.stack(tensor)
    left, right = _sides(pattern)
    _check(left, right, axes_lengths)
    extra = _extra(left, x.dim())
    left, right = _without_dots(left, extra), _without_dots(right, extra)
    lengths = dict(axes_lengths)
    for size, group in zip(x.shape, left):
        _find_length(size, group, lengths)
    before = [axis for group in left for axis in group]
    after = [axis for group in right for axis in group]
    x = x.reshape([lengths[axis] for axis in before]).permute([before.index(axis) for axis in after])
    return x.reshape([prod(lengths[axis] for axis in group) for group in right])


def _sides(pattern: str) -> tuple[Groups, Groups]:
    if pattern.count("->") != 1:
        raise ValueError("Pattern must contain a single '->' separator")
    left, right = (_groups(side) for side in pattern.split("->"))
    open_ended = any(group is _OTHERS for group in left)
    if not open_ended and any(_DOTS in group for group in left):
        raise ValueError(f"Ellipsis is parenthesis in the left side is not allowed: {pattern}")
    if not open_ended and any(_DOTS in group for group in right):
        raise ValueError(f"Ellipsis found in right side, but not left side of a pattern {pattern}")
    return left, right


def _groups(side: str) -> Groups:
    groups: Groups = []
    inside: list[str] | None = None
    for token in re.findall(r"\.\.\.|\w+|\S", side):
        if token == "(":
            if inside is not None:
                raise ValueError("Axis composition is one-level (brackets inside brackets not allowed)")
            inside = []
        elif token == ")":
            if inside is None:
                raise ValueError("Brackets are not balanced")
            groups.append(inside)
            inside = None
        else:
            axis = [] if token == "1" else _OTHERS if token == _DOTS else [_checked_name(token)]
            groups.append(axis) if inside is None else inside.extend(axis)
    if inside is not None:
        raise ValueError(f"Imbalanced parentheses in expression: '{side}'")
    _refuse_repeated([axis for group in groups for axis in group])
    return groups


def _refuse_repeated(axes: list[str]) -> None:
    for k, axis in enumerate(axes):
        if axis in axes[:k]:
            if axis == _DOTS:
                raise ValueError(
                    "Expression may contain dots only inside ellipsis (...); only one ellipsis for tensor "
                )
            raise ValueError(f"Indexing expression contains duplicate dimension '{axis}'")


def _checked_name(token: str) -> str:
    if token == ".":
        raise ValueError("Expression may contain dots only inside ellipsis (...)")
    if not re.fullmatch(r"\w+", token):
        raise ValueError(f"Unknown character '{token}'")
    if token.isdecimal():
        raise ValueError("rearrange only supports unnamed axes of size 1")
    if not token.isidentifier():
        raise ValueError(f"Invalid axis identifier: {token}\nnot a valid python identifier")
    if token[0] == "_" or token[-1] == "_":
        raise ValueError(f"Invalid axis identifier: {token}\naxis name should should not start or end with underscore")
    return token


def _check(left: Groups, right: Groups, lengths: dict[str, int]) -> None:
    for length in lengths.values():
        if type(length) is not int:
            raise TypeError(f"rearrange axis lengths must be integers, got: {type(length)}")
    named, again = ({axis for group in side for axis in group} for side in (left, right))
    if named != again:
        raise ValueError(f"Identifiers only on one side of rearrange expression (should be on both): {named ^ again}")
    if lengths.keys() - named:
        raise ValueError(f"Identifiers not found in rearrange expression: {lengths.keys() - named}")


def _extra(left: Groups, ndim: int) -> int:
    """How many dimensions ``...`` stands for."""
    dots = any(group is _OTHERS for group in left)
    named = len(left) - dots
    if (ndim < named) if dots else (ndim != named):
        most = "less than or " if dots else ""
        raise ValueError(
            f"Number of dimensions in pattern ({named}) must be {most}equal to the number of dimensions in the tensor "
            f"({ndim})"
        )
    return ndim - named


def _without_dots(groups: Groups, extra: int) -> Groups:
    """The groups with names for the dimensions that ``...`` stands for."""
    names = [f"{_DOTS}{k}" for k in range(extra)]
    found: Groups = []
    for group in groups:
        if group is _OTHERS:
            found += [[name] for name in names]
        else:
            found.append([name for axis in group for name in (names if axis == _DOTS else [axis])])
    return found


def _find_length(size: int, group: list[str], lengths: dict[str, int]) -> None:
    """Adds to ``lengths`` the one axis of a dimension that is not there."""
    unknown = [axis for axis in group if axis not in lengths]
    known = prod(lengths[axis] for axis in group if axis in lengths)
    if len(unknown) > 1:
        raise RuntimeError(
            f"rearrange: the lengths of the axes {unknown} do not follow from a dimension of size {size}"
        )
    if (size % known if known else size) or (not unknown and size != known):
        raise RuntimeError(f"rearrange: the axes {group} of {known} elements do not fit a dimension of size {size}")
    if unknown:
        lengths[unknown[0]] = size // known if known else 0
