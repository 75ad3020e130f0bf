"""Update rules: new values from old ones, for one parameter at a time.

An optimizer is a rule `rule(flags, tensors, numbers)` without side effects. It is given what
may differ in structure (`flags`, hashable), the tensors of one parameter (value, gradient,
states) and the numbers of the step, and returns new values in the order of the tensors, None
for one that stays. So one look-up can record the step of all parameters.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import flambeau as torch

from .optimizer import _number

if TYPE_CHECKING:
    from flambeau import Tensor

_LOW = (torch.float16, torch.bfloat16)

Rule = Callable[[Any, Sequence[Any], Sequence[Any]], Sequence[Any]]


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
    stepping = _stepping()
    values = floats(numbers)
    if stepping is None:
        _apply_one_by_one(rule, flags, parameters, values)
        return None
    taken = stepping.step_all(rule, flags, parameters, values, ending[0])
    if taken is not None and taken.whole:
        ending[0] = None
    return taken


def floats(numbers: Sequence[Any]) -> list[float]:
    """The numbers of a step as Python's."""
    return [x if type(x) is float else float(x) if type(x) is int else float(_number(x)) for x in numbers]


def apply_by_key(
    rule: Rule,
    flags_of: Callable[[Any], Any],
    parameters: Sequence[Sequence[Tensor]],
    keys: Sequence[Any],
    numbers_of: Callable[[Any], Sequence[Any]],
) -> Any:
    """`apply_rule` where flags and numbers follow from a key of each parameter, as its step count.

    Parameters of one key are updated together; as a rule all have the same.
    """
    distinct = list(dict.fromkeys(keys))
    if len(distinct) == 1:
        return apply_rule(rule, flags_of(distinct[0]), parameters, numbers_of(distinct[0]))
    ending[0] = False  # there are several updates
    for key in distinct:
        members = [tensors for tensors, own in zip(parameters, keys, strict=True) if own == key]
        apply_rule(rule, flags_of(key), members, numbers_of(key))
    return None


def standing(params: Sequence[Tensor], members: Sequence[Tensor], steps: Sequence[Tensor], count: float) -> Any:
    """What tells that the next step is the one before (`ops.stepping.Standing`)."""
    return _stepping().Standing(params, members, steps, count)


def repeat(steps: Sequence[Any]) -> bool:
    """Takes the steps of all groups as they were taken before, if they are known (`ops.stepping.repeat`).

    Each is a standing that holds, the rule, flags and numbers.
    """
    return _stepping().repeat(steps)


def from_one_pass(groups: Sequence[Any]) -> bool:
    """Are the gradients of all groups those of one backward pass, which nobody has read?"""
    return _stepping().from_one_pass([group["params"] for group in groups])


def gradients(params: Sequence[Tensor]) -> list[Any]:
    """The gradient of each parameter, None where there is none; for a rule, if no gradients are recorded."""
    stepping = None if torch.is_grad_enabled() else _stepping()
    return [p.grad for p in params] if stepping is None else stepping.gradients(params)


@functools.cache
def _stepping() -> Any:
    """The lazy graph's entry points for a whole step, where there are any."""
    try:
        return importlib.import_module(f"{torch.__name__}.ops.stepping")
    except ImportError:
        return None


def _apply_one_by_one(rule: Rule, flags: Any, parameters: Sequence[Sequence[Tensor]], numbers: Sequence[Any]) -> None:
    # What a differentiable rule saves for its backward must not be what is written below.
    saves = torch.is_grad_enabled()
    for tensors in parameters:
        given = [x.clone() for x in tensors] if saves else tensors
        for old, new in zip(tensors, rule(flags, given, numbers), strict=False):
            if new is not None:
                old.copy_(new)
