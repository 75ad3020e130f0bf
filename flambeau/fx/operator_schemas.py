"""Arguments of calls in the order of the called function's signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau as torch

__all__ = ["ArgsKwargsPair", "get_signature_for_torch_op", "normalize_function", "normalize_module"]


class ArgsKwargsPair(NamedTuple):
    """Arguments by position and by name."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def get_signature_for_torch_op(op: Callable[..., Any]) -> list[inspect.Signature] | None:
    """The signatures of a function of torch, of which there is one here; None if Python does not tell it."""
    try:
        return [inspect.signature(inspect.unwrap(op))]
    except (TypeError, ValueError):
        return None


def normalize_function(
    target: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    arg_types: Any = None,
    kwarg_types: Any = None,
    normalize_to_only_use_kwargs: bool = False,
) -> ArgsKwargsPair | None:
    """The arguments of a call of a function, with defaults; None where its signature does not tell.

    Args:
        target: The function.
        args: The arguments by position.
        kwargs: The arguments by name.
        arg_types: Not used: functions here have one signature.
        kwarg_types: Not used.
        normalize_to_only_use_kwargs: Give all arguments by name.
    """
    try:
        signature = inspect.signature(inspect.unwrap(target))
    except (TypeError, ValueError):
        return None
    return _normalized(signature, args, kwargs or {}, normalize_to_only_use_kwargs)


def normalize_module(
    root: Any,
    target: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    normalize_to_only_use_kwargs: bool = False,
) -> ArgsKwargsPair | None:
    """The arguments of a call of a module of PyTorch inside ``root``; None for other modules.

    Raises:
        RuntimeError: ``root`` has no such module.
    """
    try:
        module = root.get_submodule(target)
    except AttributeError as error:
        raise RuntimeError(
            f"Tried to normalize node with target {target} but root did not have that target!"
        ) from error
    if getattr(torch.nn, type(module).__name__, None) is not type(module):
        return None
    return _normalized(inspect.signature(module.forward), args, kwargs or {}, normalize_to_only_use_kwargs)


def _normalized(signature: Any, args: Any, kwargs: Any, by_name: bool) -> ArgsKwargsPair | None:
    fixed = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if any(p.kind not in fixed for p in signature.parameters.values()):
        return None
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    given = {name: bound.arguments[name] for name in signature.parameters}
    if by_name:
        return ArgsKwargsPair((), given)
    first = [n for n, p in signature.parameters.items() if p.kind is fixed[0] and n not in kwargs]
    return ArgsKwargsPair(tuple([given[n] for n in first]), {n: v for n, v in given.items() if n not in first})
