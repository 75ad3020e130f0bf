"""Modules whose switches are plain attributes that can be set for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def temporarily(module: ModuleType, **values: Any) -> Iterator[None]:
    """Set attributes of a module and put them back at the end."""
    before = {name: getattr(module, name) for name in values}
    try:
        for name, value in values.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def set_flags(module: ModuleType, names: tuple[str, ...], values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sets the attributes whose value is not None; returns what all were before."""
    before = tuple([getattr(module, name) for name in names])
    for name, value in zip(names, values):
        if value is not None:
            setattr(module, name, value)
    return before


class Precision:
    """A kind of operator whose ``fp32_precision`` can be set, without effect: products are always precise.

    Raises:
        AttributeError: another attribute.
    """

    def __init__(self, fp32_precision: str) -> None:
        self.__dict__["fp32_precision"] = fp32_precision

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"Unknown attribute {name}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "fp32_precision":
            raise AttributeError(f"Unknown attribute {name}")
        if value not in ("ieee", "tf32", "bf16", "none"):
            raise RuntimeError(f"Unknown precision: {value}")
        self.__dict__[name] = value


class verbose:
    """A block in which a library that PyTorch uses prints what it does; flambeau does not use it.

    Args:
        enable: ``VERBOSE_OFF`` or ``VERBOSE_ON``.
    """

    def __init__(self, enable: int) -> None:
        self.enable = enable

    def __enter__(self) -> verbose:
        return self

    def __exit__(self, *exc: object) -> bool:
        return False
