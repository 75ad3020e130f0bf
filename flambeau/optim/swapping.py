"""An optimizer on other parameters and another state for a while."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import flambeau as torch

from .optimizer import Optimizer

_NAME = "swap_in_optimizer_params_and_state"
_Group = dict[str, Any]


@contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Optimizer, swapin_parameters: dict[str, Any], swapin_optim_state: dict[str, Any]
) -> Iterator[None]:
    """A block in which ``optimizer`` has other parameters, options and state; after it, its own again.

    ``load_state_dict`` leaves the parameters in their groups; here ``step()`` updates those that are given. What it
    writes in place into tensors of ``swapin_optim_state`` is seen there, new entries are not.

    Args:
        optimizer: has a state already: it has made a step.
        swapin_parameters: as many tensors as it has parameters, in the order of its groups.
        swapin_optim_state: in the form of ``optimizer.state_dict()``.

    Raises:
        RuntimeError: one of the two does not fit the optimizer.

    Source: torch.optim.swap_in_optimizer_params_and_state.
    """
    saved = _checked_state(optimizer, swapin_optim_state)
    groups = _checked_groups(optimizer.param_groups, swapin_optim_state.get("param_groups"))
    members = _dealt(list(swapin_parameters.values()), groups)
    _refuse_others(saved, groups)
    state, own = optimizer.state, [dict(group) for group in optimizer.param_groups]
    try:
        optimizer.state = defaultdict(dict)
        for group, new, params in zip(optimizer.param_groups, groups, members):
            group.update(new, params=params)
            for param, number in zip(params, new["params"]):
                optimizer.state[param] = dict(saved.get(number, {}))
        yield
    finally:
        for group, before in zip(optimizer.param_groups, own):
            group.clear()
            group.update(before)
        optimizer.state = state


def _require(fits: bool, text: str) -> None:
    if not fits:
        raise RuntimeError(text)


def _checked_state(optimizer: Optimizer, given: Any) -> dict[Any, Any]:
    """The states of parameters by their numbers."""
    _require(bool(optimizer.state), f"{_NAME} requires initialized optimizer state.")
    _require(isinstance(given, dict), f"{_NAME} requires a DCP-style optimizer state_dict.")
    state = given.get("state")
    _require(
        isinstance(state, dict),
        f"{_NAME} requires swapin_optim_state['state'] to be a dict mapping packed parameter ids to per-param state "
        f"dicts, got {type(state).__name__}.",
    )
    numbered = not any(isinstance(k, torch.Tensor) for k in state)
    _require(numbered, f"{_NAME} requires optimizer.state_dict()-style state keyed by packed parameter ids.")
    whole = all(isinstance(v, dict) for k, v in state.items() if isinstance(k, int))
    _require(whole, f"{_NAME} requires per-parameter optimizer state entries to be dictionaries.")
    return state


def _checked_groups(live: Sequence[_Group], groups: Any) -> list[_Group]:
    _require(
        isinstance(groups, list),
        f"{_NAME} requires swapin_optim_state['param_groups'] to be a list of param-group dicts, "
        f"got {type(groups).__name__}.",
    )
    _require(
        len(groups) == len(live),
        "swapin_optim_state has a different number of parameter groups than the live optimizer.",
    )
    for i, (group, own) in enumerate(zip(groups, live)):
        _check_group(i, group, own)
    return groups


def _check_group(i: int, group: Any, own: _Group) -> None:
    """A group must have the numbers of as many parameters, and the same options."""
    _require(isinstance(group, dict), f"{_NAME} requires each optimizer param group to be a dictionary.")
    numbers = group.get("params")
    _require(
        isinstance(numbers, list) and all(isinstance(n, int) for n in numbers),
        f"{_NAME} requires optimizer.state_dict()-style param_groups[*]['params'] entries keyed by packed parameter "
        "ids.",
    )
    _require(
        len(numbers) == len(own["params"]),
        f"swapin_optim_state param group {i} has a different number of params than the live optimizer param group.",
    )
    _require(
        group.keys() == own.keys(),
        f"{_NAME} requires optimizer.state_dict()-style param group keys to exactly match the live optimizer group "
        f"keys for group {i}. Keys only in swap-in: {[k for k in group if k not in own]}. "
        f"Keys only in live: {[k for k in own if k not in group]}.",
    )


def _dealt(params: list[Any], groups: Sequence[_Group]) -> list[list[Any]]:
    """The parameters of each group."""
    rest = iter(params)
    dealt = [[x for _, x in zip(group["params"], rest)] for group in groups]
    enough = all(len(found) == len(group["params"]) for found, group in zip(dealt, groups))
    _require(enough, f"{_NAME} requires the explicit parameter state to match optimizer.param_groups ordering.")
    return dealt


def _refuse_others(state: dict[Any, Any], groups: Sequence[_Group]) -> None:
    known = {number for group in groups for number in group["params"]}
    extra = [k for k in state if k not in known]
    _require(
        not extra,
        f"{_NAME} requires swapin_optim_state['state'] to be keyed only by packed parameter ids from "
        f"param_groups[*]['params']; got extra keys {extra!r}.",
    )
