"""``torch.overrides``: flambeau does not dispatch on ``__torch_function__``; these names answer so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import flambeau as torch

__all__ = [
    "TorchFunctionMode", "handle_torch_function", "has_torch_function", "is_tensor_like",
    "is_tensor_method_or_property",
]  # fmt: skip


class TorchFunctionMode:
    """A context in which every operator would first ask ``__torch_function__``: it can be made, not entered."""

    def __enter__(self) -> Any:
        raise NotImplementedError(
            "torch.overrides.TorchFunctionMode: operators do not ask a mode before they run; call what should happen "
            "instead by name"
        )

    def __exit__(self, *exc: object) -> None:
        pass


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Does an argument override operators? Never here."""
    return False


def has_torch_function_unary(x: Any) -> bool:
    """As ``has_torch_function``, of one argument."""
    return False


has_torch_function_variadic = has_torch_function_unary


def handle_torch_function(public_api: Callable[..., Any], relevant_args: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls the override of an argument.

    Raises:
        TypeError: none of them has one.
    """
    for x in relevant_args:
        override = getattr(type(x), "__torch_function__", None)
        if override is not None:
            return x.__torch_function__(public_api, tuple(map(type, relevant_args)), args, kwargs)
    raise TypeError(f"no implementation found for '{public_api}' on types that implement __torch_function__")


def is_tensor_like(inp: Any) -> bool:
    """Is this a tensor, or an object that overrides operators?"""
    return isinstance(inp, torch.Tensor) or hasattr(inp, "__torch_function__")


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Is this a method or property of tensors?"""
    return getattr(torch.Tensor, getattr(func, "__name__", ""), None) is func
