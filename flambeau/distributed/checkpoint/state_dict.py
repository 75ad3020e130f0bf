"""State_dicts of models and optimizers whose keys are parameters' names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import flambeau as torch

__all__ = [
    "StateDictOptions", "get_model_state_dict", "get_optimizer_state_dict", "get_state_dict", "set_model_state_dict",
    "set_optimizer_state_dict", "set_state_dict",
]  # fmt: skip

_WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put in front of names


@dataclass
class StateDictOptions:
    """How state_dicts are made. What is about several processes has no effect."""

    full_state_dict: bool = False
    cpu_offload: bool = False
    ignore_frozen_params: bool = False
    keep_submodule_prefixes: bool = True
    strict: bool = True
    broadcast_from_rank0: bool = False
    flatten_optimizer_state_dict: bool = False
    dsd_fqn_modifiers: str = "_fqn_modifiers"


def _options(options: StateDictOptions | None) -> StateDictOptions:
    options = options or StateDictOptions()
    if options.flatten_optimizer_state_dict:
        raise NotImplementedError("StateDictOptions(flatten_optimizer_state_dict=True) is not supported")
    return options


def _plain(name: str) -> str:
    """A parameter's name without those of wrappers."""
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper).replace("." + wrapper, ".")
    return name


def _listed(optimizers: Any) -> list[Any]:
    return [optimizers] if isinstance(optimizers, torch.optim.Optimizer) else list(optimizers)


def get_model_state_dict(model: Any, *, submodules: Any = None, options: StateDictOptions | None = None) -> Any:
    """The model's state_dict, without the names of wrappers."""
    _refuse_submodules(submodules)
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    left_out = frozen if _options(options).ignore_frozen_params else set()
    state = model.state_dict()
    return type(state)((_plain(k), v) for k, v in state.items() if k not in left_out)


def get_optimizer_state_dict(
    model: Any, optimizers: Any, *, submodules: Any = None, options: StateDictOptions | None = None
) -> dict[str, Any]:
    """The optimizers' state_dicts as one, by names of parameters. Optimizers without states get their first ones.

    Raises:
        RuntimeError: such an optimizer's parameters have gradients.
    """
    _refuse_submodules(submodules)
    _options(options)
    names = {p: _plain(n) for n, p in model.named_parameters()}
    out: dict[str, Any] = {"state": {}, "param_groups": []}
    for optimizer in _listed(optimizers):
        _begin(optimizer)
        ordered = [names[p] for group in optimizer.param_groups for p in group["params"]]
        state = optimizer.state_dict()
        out["state"] |= {ordered[k]: v for k, v in state["state"].items()}
        out["param_groups"] += [{**g, "params": [ordered[k] for k in g["params"]]} for g in state["param_groups"]]
    return out


def _begin(optimizer: Any) -> None:
    """The states of a first step, which changes no parameter: without gradients and at a learning rate of 0."""
    if optimizer.state:
        return
    params = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    if any(p.grad is not None for p in params):
        raise RuntimeError(
            "state_dict can only be used if the optimizer states are initialized (usually after one step() with "
            "gradients) or gradients are None."
        )
    rates = [group.get("lr") for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        if "lr" in group:
            group["lr"] = torch.tensor(0.0) if isinstance(group["lr"], torch.Tensor) else 0.0
    for p in params:
        p.grad = torch.zeros_like(p)
    optimizer.step(closure=None)
    for group, rate in zip(optimizer.param_groups, rates):
        if "lr" in group:
            group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)


def get_state_dict(
    model: Any, optimizers: Any, *, submodules: Any = None, options: StateDictOptions | None = None
) -> tuple[Any, dict[str, Any]]:
    """``get_model_state_dict`` and ``get_optimizer_state_dict``."""
    return (
        get_model_state_dict(model, submodules=submodules, options=options),
        get_optimizer_state_dict(model, optimizers, submodules=submodules, options=options),
    )


def set_model_state_dict(model: Any, model_state_dict: Any, *, options: StateDictOptions | None = None) -> Any:
    """Loads what ``get_model_state_dict`` gave; the keys that did not fit."""
    wrapped = {_plain(k): k for k in model.state_dict()}
    state = {wrapped.get(k, k): v for k, v in model_state_dict.items()}
    return model.load_state_dict(state, strict=_options(options).strict)


def set_optimizer_state_dict(
    model: Any, optimizers: Any, optim_state_dict: dict[str, Any], *, options: StateDictOptions | None = None
) -> None:
    """Loads what ``get_optimizer_state_dict`` gave.

    Raises:
        RuntimeError: a group of parameters is not there.
    """
    _options(options)
    names = {p: _plain(n) for n, p in model.named_parameters()}
    for optimizer in _listed(optimizers):
        groups, at, state = [], 0, {}
        for group in optimizer.param_groups:
            own = [names[p] for p in group["params"]]
            state |= {at + k: optim_state_dict["state"][n] for k, n in enumerate(own) if n in optim_state_dict["state"]}
            saved = _group_of(own, optim_state_dict["param_groups"])
            groups.append({**saved, "params": list(range(at, at + len(own)))})
            at += len(own)
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def _group_of(names: Iterable[str], groups: list[dict[str, Any]]) -> dict[str, Any]:
    wanted = set(names)
    found = next((g for g in groups if set(g["params"]) == wanted), None)
    if found is None:
        raise RuntimeError(f"the checkpoint has no group of the parameters {sorted(wanted)}")
    return found


def set_state_dict(
    model: Any, optimizers: Any, *, model_state_dict: Any, optim_state_dict: dict[str, Any],
    options: StateDictOptions | None = None,
) -> Any:  # fmt: skip
    """``set_model_state_dict`` and ``set_optimizer_state_dict``; the keys of the model's that did not fit."""
    found = set_model_state_dict(model, model_state_dict, options=options)
    set_optimizer_state_dict(model, optimizers, optim_state_dict, options=options)
    return found


def _refuse_submodules(submodules: Any) -> None:
    if submodules is not None:
        raise NotImplementedError("get_state_dict(submodules=...) is not supported: give the module itself")
