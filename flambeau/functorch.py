"""``functorch``, which became ``torch.func``: the same transforms with a warning, and modules as functions.

https://pytorch.org/docs/main/func.migrating.html
"""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import flambeau as torch
from flambeau import func

__version__ = torch.__version__

Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = [
    "FunctionalModule",
    "FunctionalModuleWithBuffers",
    "combine_state_for_ensemble",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "make_functional",
    "make_functional_with_buffers",
    "vjp",
    "vmap",
]


def _deprecated(now: str) -> Callable[[Function], Function]:
    """For a function that warns that PyTorch has another name for it."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def warning(*args: Any, **kwargs: Any) -> Any:
            warnings.warn(
                "We've integrated functorch into PyTorch. As the final step of the integration, "
                f"`functorch.{function.__name__}` is deprecated as of PyTorch 2.0 and will be deleted in a future "
                f"version of PyTorch >= 2.3. Please use `{now}` instead; see the PyTorch 2.0 release notes and/or the "
                "`torch.func` migration guide for more details https://pytorch.org/docs/main/func.migrating.html",
                FutureWarning,
                stacklevel=2,
            )
            return function(*args, **kwargs)

        return warning  # type: ignore[return-value]

    return decorate


grad = _deprecated("torch.func.grad")(func.grad)
grad_and_value = _deprecated("torch.func.grad_and_value")(func.grad_and_value)
hessian = _deprecated("torch.func.hessian")(func.hessian)
jacfwd = _deprecated("torch.func.jacfwd")(func.jacfwd)
jacrev = _deprecated("torch.func.jacrev")(func.jacrev)
jvp = _deprecated("torch.func.jvp")(func.jvp)
vjp = _deprecated("torch.func.vjp")(func.vjp)
vmap = _deprecated("torch.vmap")(func.vmap)


class FunctionalModuleWithBuffers(torch.nn.Module):
    """A module as a function of its parameters and buffers, in the order of their names."""

    def __init__(
        self, stateless_model: torch.nn.Module, param_names: Sequence[str], buffer_names: Sequence[str]
    ) -> None:
        super().__init__()
        self.stateless_model = stateless_model
        self.param_names = tuple(param_names)
        self.buffer_names = tuple(buffer_names)

    def forward(self, params: Iterable[Any], buffers: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """What the module gives with these parameters and buffers."""
        state = dict(zip((*self.param_names, *self.buffer_names), (*params, *buffers)))
        return func.functional_call(self.stateless_model, state, args, kwargs)


class FunctionalModule(torch.nn.Module):
    """A module without buffers as a function of its parameters, in the order of their names."""

    def __init__(self, stateless_model: torch.nn.Module, param_names: Sequence[str]) -> None:
        super().__init__()
        self.stateless_model = stateless_model
        self.param_names = tuple(param_names)

    def forward(self, params: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """What the module gives with these parameters."""
        return func.functional_call(self.stateless_model, dict(zip(self.param_names, params)), args, kwargs)


def _taken_out(model: torch.nn.Module, untracked: bool) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A copy of a module, and the copy's parameters and buffers by name."""
    model = copy.deepcopy(model)
    params = dict(model.named_parameters())
    if untracked:
        for p in params.values():
            p.requires_grad_(False)
    return model, params, dict(model.named_buffers())


@_deprecated("torch.func.functional_call")
def make_functional(
    model: torch.nn.Module, disable_autograd_tracking: bool = False
) -> tuple[FunctionalModule, tuple[Any, ...]]:
    """A module without buffers as a function of its parameters, and copies of these, which may be without gradients.

    Raises:
        RuntimeError: it has buffers.
    """
    if next(model.buffers(), None) is not None:
        raise RuntimeError(
            "make_functional(model): `model` has buffers. Please use make_functional_with_buffers(model) instead."
        )
    model, params, _ = _taken_out(model, disable_autograd_tracking)
    return FunctionalModule(model, list(params)), (*params.values(),)


@_deprecated("torch.func.functional_call")
def make_functional_with_buffers(
    model: torch.nn.Module, disable_autograd_tracking: bool = False
) -> tuple[FunctionalModuleWithBuffers, tuple[Any, ...], tuple[Any, ...]]:
    """A module as a function of its parameters and buffers, and copies of these, which may be without gradients."""
    return _with_buffers(model, disable_autograd_tracking)


def _with_buffers(model: torch.nn.Module, untracked: bool = False) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    model, params, buffers = _taken_out(model, untracked)
    return FunctionalModuleWithBuffers(model, list(params), list(buffers)), (*params.values(),), (*buffers.values(),)


@_deprecated("torch.func.stack_module_state")
def combine_state_for_ensemble(
    models: Sequence[torch.nn.Module],
) -> tuple[FunctionalModuleWithBuffers, tuple[Any, ...], tuple[Any, ...]]:
    """One of several modules as a function for `vmap`, and the parameters and buffers of all, stacked (M, ...).

    Raises:
        RuntimeError: there is none, or they differ in class or mode.
    """
    _check_alike(models)
    made = [_with_buffers(model) for model in models]
    params, buffers = (tuple(torch.stack(column).detach() for column in zip(*[m[k] for m in made])) for k in (1, 2))
    return made[0][0], params, buffers


def _check_alike(models: Sequence[torch.nn.Module]) -> None:
    what = "combine_state_for_ensemble: Expected"
    if not models:
        raise RuntimeError(f"{what} at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError(f"{what} all models to have the same training/eval mode.")
    if len({type(m) for m in models}) > 1:
        raise RuntimeError(f"{what} all models to be of the same class.")
