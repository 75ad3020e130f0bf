"""What hooks may give back: a gradient in the place of each that they were given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..graph.tensor_base import TensorBase
from ..ops._signatures import type_name


def gradients(hook: Callable[..., Any], given: Sequence[Any], result: Any) -> list[Any]:
    """The gradients after a hook of several: its result, which replaces all of them.

    Raises:
        TypeError: the result is not a tuple of tensors.
        RuntimeError: it has not as many items, or one is of another size or dtype.
    """
    if not isinstance(result, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type_name(result)}'")
    if len(result) != len(given):
        raise RuntimeError(
            f"hook '{_name(hook)}' has returned an incorrect number of values (got {len(result)}, "
            f"but expected {len(given)})"
        )
    return [r if r is None else gradient(hook, g, r) for g, r in zip(given, result)]


def gradient(hook: Callable[..., Any], given: Any, result: Any) -> Any:
    """The gradient after a hook: its result.

    Raises:
        TypeError: the result is no tensor.
        RuntimeError: it is of another size or dtype, or there was no gradient.
    """
    if given is None:
        raise RuntimeError("can't replace a None gradient with a non-None value")
    if not isinstance(result, TensorBase):
        raise TypeError(f"expected Variable, but hook returned '{type_name(result)}'")
    x: Any = result
    if x._ty.dtype is not given._ty.dtype or x.layout is not given.layout:
        raise RuntimeError(f"hook '{_name(hook)}' has changed the type of value (was {given.type()} got {x.type()})")
    if x._ty.shape != given._ty.shape:
        raise RuntimeError(f"hook '{_name(hook)}' has changed the size of value")
    return x


def _name(hook: Callable[..., Any]) -> str:
    return getattr(hook, "__name__", "<unknown>")
