"""Context managers that decorate, under PyTorch's private names."""

from __future__ import annotations

from typing import Any

from flambeau.autograd.grad_mode import Decorating

__all__: list[str] = []


class _DecoratorContextManager(Decorating):
    """To be derived from: ``clone`` makes a manager of the same settings for each call."""


class _NoParamDecoratorContextManager(_DecoratorContextManager):
    """One that takes no settings, so that it decorates without parentheses too."""

    def __new__(cls, orig_func: Any = None) -> Any:
        """The manager, or the function decorated."""
        self = object.__new__(cls)
        return self if orig_func is None else self(orig_func)
