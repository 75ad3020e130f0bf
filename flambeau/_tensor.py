"""The tensor class under the module name that PyTorch's files use, and how its subclasses are rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .tensor import Tensor

__all__ = ["Tensor", "_rebuild_from_type_v2"]


def _rebuild_from_type_v2(func: Callable[..., Any], new_type: type, args: tuple[Any, ...], state: Any) -> Any:
    """A tensor that ``func(*args)`` rebuilds, as an object of ``new_type`` with the attributes of ``state``."""
    x = func(*args)
    if type(x) is not new_type:
        x = x.as_subclass(new_type)
    if getattr(new_type, "__setstate__", None) is not None:
        x.__setstate__(state)
    else:
        set_state(x, state)
    return x


def state_of(x: Any) -> Any:
    """What a program has stored on a tensor: a dict, or a pair of it and a dict of its class's slots."""
    own = [cls for cls in type(x).__mro__ if not issubclass(Tensor, cls)]
    names = [n for cls in own for n in _names_of_slots(cls)]
    slots = {n: getattr(x, n) for n in names if hasattr(x, n)}
    return (dict(x.__dict__), slots) if slots else dict(x.__dict__)


def _names_of_slots(cls: type) -> tuple[str, ...]:
    slots = cls.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def set_state(x: Any, state: Any) -> None:
    """Gives a tensor its saved attributes: a dict, or a pair of a dict and a dict of slots."""
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    x.__dict__.update(attributes or {})
    for name, value in (slots or {}).items():
        setattr(x, name, value)
