"""``torch.func``: transforms of functions (https://docs.pytorch.org/docs/stable/func.html)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flambeau as torch
from flambeau.func._gradients import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from flambeau.func._rearrange import rearrange
from flambeau.func._vmap import vmap

__all__ = [
    "debug_unwrap",
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "rearrange",
    "stack_module_state",
    "vjp",
    "vmap",
]


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with other parameters and buffers, by name; several dictionaries may not overlap.

    Raises:
        ValueError: a name is in several dictionaries, or they are no dictionaries.
    """
    given = parameter_and_buffer_dicts
    if not isinstance(given, (dict, list, tuple)):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, "
            f"but got {type(parameter_and_buffer_dicts)}"
        )
    if not isinstance(given, dict):
        if not all(isinstance(d, dict) for d in given):
            raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
        names = [name for d in given for name in d]
        repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if repeated:
            raise ValueError(f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        given = {name: x for d in given for name, x in d.items()}
    call = torch.nn.utils.stateless._functional_call
    arguments = () if args is None else args
    return call(module, given, arguments, kwargs, tie_weights=tie_weights, strict=strict)


def stack_module_state(models: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters, and the buffers, of models of one class, each stacked along a new first dimension.

    Raises:
        RuntimeError: there are no models, or they differ in class, mode, or in what requires grad.
    """
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or not any(m.training for m in models)):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if not all(type(m) is type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    return (
        _stacked([dict(m.named_parameters()) for m in models]),
        _stacked([dict(m.named_buffers()) for m in models]),
    )


def _stacked(states: list[dict[str, Any]]) -> dict[str, Any]:
    """For each name the tensors of all models, stacked: a leaf that requires grad if they do."""
    found = {}
    for name in states[0]:
        wants = {state[name].requires_grad for state in states}
        if len(wants) > 1:
            raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
        found[name] = torch.stack([state[name].detach() for state in states]).requires_grad_(wants.pop())
    return found


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """``func`` itself: what is recorded of it has neither writes nor views (https://docs.pytorch.org/docs/stable/func.html).

    Raises:
        RuntimeError: ``remove`` is neither ``"mutations"`` nor ``"mutations_and_views"``.
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. Valid options are:\n"
            "     remove='mutations': all inplace and out= operators will be removed from the program, and replaced "
            "with their out-of-place equivalents.\n"
            "     remove='mutations_and_views': In addition to the above, all aliasing operators {view} will be "
            "replaced with their non-aliasing counterparts, {view}_copy.\n"
        )

    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return run


def debug_unwrap(tensor: Any, *, recurse: bool = True) -> Any:
    """The tensor itself: functions that are transformed here get ordinary tensors."""
    return tensor


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Batch normalisation layers of a model use the batch's statistics and keep none; changes and gives the model."""
    for module in root.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


__all__ += ["replace_all_batch_norm_modules_"]
