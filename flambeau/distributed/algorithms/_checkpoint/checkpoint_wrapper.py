"""Modules around modules that keep less for the backward pass. Names of parameters stay those of the inner modules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any

from flambeau import nn
from flambeau.autograd.graph import save_on_cpu
from flambeau.utils.checkpoint import checkpoint

__all__ = [
    "ActivationWrapper", "CheckpointImpl", "CheckpointWrapper", "OffloadWrapper", "apply_activation_checkpointing",
    "checkpoint_wrapper", "offload_wrapper",
]  # fmt: skip

_NAME = "_checkpoint_wrapped_module"
_PREFIX = f"{_NAME}."


class CheckpointImpl(Enum):
    """Which variant of ``torch.utils.checkpoint.checkpoint`` is used."""

    REENTRANT = auto()
    NO_REENTRANT = auto()


class ActivationWrapper(nn.Module, ABC):
    """A module that calls another; attributes, names of parameters and the ``state_dict`` are the other's."""

    def __init__(self, mod: nn.Module) -> None:
        super().__init__()
        self._checkpoint_wrapped_module = mod
        self._register_state_dict_hook(self._post_state_dict_hook)
        self.register_load_state_dict_pre_hook(self._pre_load_state_dict_hook)

    @abstractmethod
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the module."""
        raise ValueError("Subclasses should implement forward().")

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._checkpoint_wrapped_module, name)

    def __getitem__(self, key: int) -> Any:
        return self._checkpoint_wrapped_module.__getitem__(key)

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters, under names without this wrapper's."""
        for name, parameter in super().named_parameters(*args, **kwargs):
            yield name.replace(_PREFIX, ""), parameter

    @staticmethod
    def _post_state_dict_hook(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> dict[str, Any]:
        _renamed(state, f"{prefix}{_PREFIX}", prefix)
        return state

    @staticmethod
    def _pre_load_state_dict_hook(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        _renamed(state, prefix, f"{prefix}{_PREFIX}")


def _renamed(state: dict[str, Any], old: str, new: str) -> None:
    """Gives the entries that begin with ``old`` names that begin with ``new``, in place."""
    for key in [key for key in state if key.startswith(old)]:
        state[new + key[len(old) :]] = state.pop(key)


class OffloadWrapper(ActivationWrapper):
    """Keeps what backward needs in the CPU's memory, where it is anyway."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the module."""
        with save_on_cpu(pin_memory=True):
            return self._checkpoint_wrapped_module(*args, **kwargs)


class CheckpointWrapper(ActivationWrapper):
    """Keeps a module's inputs, and computes it again in the backward pass.

    Args:
        mod: The module.
        checkpoint_impl: Which variant is used.
        checkpoint_fn: A function in place of ``torch.utils.checkpoint.checkpoint``.
        **checkpoint_fn_kwargs: Keywords of that function.
    """

    def __init__(
        self,
        mod: nn.Module,
        checkpoint_impl: CheckpointImpl = CheckpointImpl.NO_REENTRANT,
        checkpoint_fn: Callable[..., Any] | None = None,
        **checkpoint_fn_kwargs: Any,
    ) -> None:
        super().__init__(mod)
        self.checkpoint_impl = checkpoint_impl
        own = {} if checkpoint_fn is not None else {"use_reentrant": checkpoint_impl == CheckpointImpl.REENTRANT}
        self._call, self._keywords = checkpoint_fn or checkpoint, own | checkpoint_fn_kwargs

    def checkpoint_fn(self, *args: Any, **kwargs: Any) -> Any:
        """The function that calls the module, with its keywords."""
        return self._call(*args, **self._keywords, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the module; the older variant, which has no keywords, gets their values as arguments."""
        if not kwargs or self.checkpoint_impl != CheckpointImpl.REENTRANT:
            return self.checkpoint_fn(self._checkpoint_wrapped_module, *args, **kwargs)
        count, names = len(args), tuple(kwargs)

        def call(*values: Any) -> Any:
            return self._checkpoint_wrapped_module(*values[:count], **dict(zip(names, values[count:], strict=True)))

        return self.checkpoint_fn(call, *args, *kwargs.values())


def offload_wrapper(module: nn.Module) -> OffloadWrapper:
    """A module that keeps what backward needs of ``module`` in the CPU's memory."""
    return OffloadWrapper(module)


def checkpoint_wrapper(
    module: nn.Module,
    checkpoint_impl: CheckpointImpl = CheckpointImpl.NO_REENTRANT,
    checkpoint_fn: Callable[..., Any] | None = None,
    **checkpoint_fn_kwargs: Any,
) -> CheckpointWrapper:
    """A module that computes ``module`` again in the backward pass; arguments as of `CheckpointWrapper`."""
    return CheckpointWrapper(module, checkpoint_impl, checkpoint_fn, **checkpoint_fn_kwargs)


def apply_activation_checkpointing(
    model: nn.Module,
    checkpoint_wrapper_fn: Callable[[nn.Module], nn.Module] = checkpoint_wrapper,
    check_fn: Callable[[nn.Module], bool] = lambda _: True,
    auto_wrap_policy: Callable[..., bool] | None = None,
) -> None:
    """Wraps modules within ``model``, in place, the inner ones first.

    Args:
        model: The module whose submodules are wrapped, not itself.
        checkpoint_wrapper_fn: What wraps a module.
        check_fn: Whether a module shall be wrapped.
        auto_wrap_policy: A policy ``(module, recurse, nonwrapped_numel)`` to ask in place of ``check_fn``.
    """

    def chosen(module: nn.Module) -> bool:
        if auto_wrap_policy is None:
            return check_fn(module)
        count = sum(p.numel() for p in module.parameters())
        return auto_wrap_policy(module=module, recurse=False, nonwrapped_numel=count)

    for name, child in model.named_children():
        apply_activation_checkpointing(child, checkpoint_wrapper_fn, check_fn, auto_wrap_policy)
        if chosen(child):
            model.register_module(name, checkpoint_wrapper_fn(child))
