"""Context managers that decorate, under PyTorch's private names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
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


class _Entering(Decorating):
    """Enters a context manager that a function makes."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __enter__(self) -> Any:
        self.entered = self.make()
        return self.entered.__enter__()

    def __exit__(self, *exc: Any) -> Any:
        return self.entered.__exit__(*exc)

    def clone(self) -> _Entering:
        return _Entering(self.make)


def context_decorator(ctx: Any, func: Callable[..., Any]) -> Callable[..., Any]:
    """A function that runs within a context manager, or within one that the function ``ctx`` makes for each call.

    Raises:
        RuntimeError: a class.
    """
    if inspect.isclass(func):
        raise RuntimeError(
            "Cannot decorate classes; it is ambiguous whether or not only the constructor or all methods should have "
            "the context manager applied; additionally, decorating a class at definition-site will prevent use of the "
            "identifier as a conventional type.  To specify which methods to decorate, decorate each of them "
            "individually."
        )
    return _Entering(ctx if callable(ctx) else lambda: ctx)(func)
