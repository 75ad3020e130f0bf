"""Update rules: new values from old ones, for one parameter at a time.

An optimizer is a rule `rule(flags, tensors, numbers)` without side effects. It is given what
may differ in structure (`flags`, hashable), the tensors of one parameter (value, gradient,
states) and the numbers of the step, and returns new values in the order of the tensors, None
for one that stays. So one look-up can record the step of all parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import flambeau as torch

from .._records import Record
from ..ops import stepping
from .optimizer import _number

if TYPE_CHECKING:
    from flambeau import Tensor

_LOW = (torch.float16, torch.bfloat16)

Rule = Callable[[Any, Sequence[Any], Sequence[Any]], Sequence[Any]]


def one_more(values: Sequence[float], rounded: Callable[[float], float]) -> tuple[float, ...]:
    """What a step depends on if that is its count."""
    return (values[0] + 1.0,)


class Update(Record):
    """How the parameters of a group are updated, as its options say.

    Attributes:
        rule: the rule.
        keys: the states that it is given, after value and gradient.
        at: flags and numbers of a parameter's step, by what ``following`` gives.
        counted: 0-dim states on whose values the step depends, the step count first.
        following: what a step depends on, by these values and what rounds as the last of them does: their new values,
            which the rule writes, and anything else.
    """

    rule: Rule
    keys: tuple[str, ...]
    at: Callable[..., tuple[Any, Sequence[Any]]]
    counted: tuple[str, ...] = ("step",)
    following: Callable[[Sequence[float], Callable[[float], float]], tuple[float, ...]] = one_more


def steady(rule: Rule, keys: tuple[str, ...], flags: Any, numbers: Sequence[Any]) -> Update:
    """An update whose flags and numbers are the same in every step."""
    same = flags, numbers
    return Update(rule, keys, lambda: same, ())


# ---- arithmetic in one rounding, as PyTorch's add, lerp, addcmul and addcdiv do for 16-bit dtypes --------


def plus_scaled(x: Tensor, y: Tensor, by: Any) -> Tensor:
    """`x + by * y`; PyTorch rounds this factor, and only this one, to a 16-bit dtype first."""
    if x.dtype in _LOW:
        by = (by if isinstance(by, torch.Tensor) else torch.tensor(by)).to(x.dtype).float()
    return _narrow(_wide(x) + _wide(y) * by, x)


def plus_product(x: Tensor, y: Tensor, z: Tensor, by: Any) -> Tensor:
    """`x + by * y * z`."""
    return _narrow(_wide(x) + _wide(y) * by * _wide(z), x)


def plus_quotient(x: Tensor, y: Tensor, z: Tensor, by: Any) -> Tensor:
    """`x + by * y / z`."""
    return _narrow(_wide(x) + _wide(y) * by / _wide(z), x)


def moved(x: Tensor, towards: Tensor, weight: Any) -> Tensor:
    """`x + weight * (towards - x)`."""
    start = _wide(x)
    return _narrow(start + (_wide(towards) - start) * weight, x)


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in _LOW else x


def _narrow(y: Tensor, like: Tensor) -> Tensor:
    return y.to(like.dtype) if like.dtype in _LOW else y


# Is the next update the last of its step, so that all that is pending may be computed with it? A matter of speed alone:
# work in another thread may find it too early, or not at all. None once that has been done.
ending: list[bool | None] = [False]


# ---- running a rule ----------------------------------------------------------------------------------


def apply_rule(rule: Rule, flags: Any, parameters: Sequence[Sequence[Tensor]], numbers: Sequence[Any]) -> Any:
    """Updates the tensors of all parameters in place by a rule; the numbers are the same for all.

    The result is what a ``Standing`` can learn, or None.
    """
    if not parameters:
        return None
    if torch.is_grad_enabled():
        # A differentiable step: numbers may be tensors with gradients of their own.
        _apply_one_by_one(rule, flags, parameters, numbers)
        return None
    taken = stepping.step_all(rule, flags, parameters, floats(numbers), ending[0])
    if taken is not None and taken.whole:
        ending[0] = None
    return taken


def floats(numbers: Sequence[Any]) -> list[float]:
    """The numbers of a step as Python's."""
    return [x if type(x) is float else float(x) if type(x) is int else float(_number(x)) for x in numbers]


def apply_by_key(
    rule: Rule, at: Callable[..., tuple[Any, Sequence[Any]]], parameters: Sequence[Any], keys: Sequence[Any]
) -> Any:
    """`apply_rule` where flags and numbers follow from a key of each parameter, as its step count.

    Parameters of one key are updated together; as a rule all have the same.
    """
    distinct = list(dict.fromkeys(keys))
    if len(distinct) == 1:
        flags, numbers = at(*distinct[0])
        return apply_rule(rule, flags, parameters, numbers)
    ending[0] = False  # there are several updates
    for key in distinct:
        members = [tensors for tensors, own in zip(parameters, keys, strict=True) if own == key]
        flags, numbers = at(*key)
        apply_rule(rule, flags, members, numbers)
    return None


def gradients(params: Sequence[Tensor]) -> list[Any]:
    """The gradient of each parameter, None where there is none; for a rule, if no gradients are recorded."""
    return [p.grad for p in params] if torch.is_grad_enabled() else stepping.gradients(params)


def _apply_one_by_one(rule: Rule, flags: Any, parameters: Sequence[Sequence[Tensor]], numbers: Sequence[Any]) -> None:
    # What a differentiable rule saves for its backward must not be what is written below.
    saves = torch.is_grad_enabled()
    for tensors in parameters:
        given = [x.clone() for x in tensors] if saves else tensors
        for old, new in zip(tensors, rule(flags, given, numbers), strict=False):
            if new is not None:
                old.copy_(new)
