"""Grad modes: ``no_grad``, ``enable_grad``, ``set_grad_enabled``, ``inference_mode``."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from ..graph.epoch import Epoch, threads
from ..graph.storage import INFERENCE, inferred

GENERATOR = 0x20  # inspect.CO_GENERATOR; inspect itself is slow to import
F = TypeVar("F", bound=Callable[..., Any])


recording: list[bool] = []  # for each derivative that is being taken, innermost last: is it one in forward mode?

pushing: list[None] = []  # one entry for each backward pass that runs to be differentiated by its vector, for jvp


def _recorded(grad: bool) -> bool:
    """Are operators recorded in this grad mode? Derivatives in forward mode do always, inference mode never."""
    return grad and not threads.epoch.inference or bool(recording) and recording[-1]


class Decorating:
    """A context manager that is also a decorator, of generator functions too: they are suspended outside of it."""

    def __enter__(self) -> Any:
        raise NotImplementedError

    def __exit__(self, *exc: Any) -> Any:
        raise NotImplementedError

    def clone(self) -> Any:
        """A fresh manager of the same settings."""
        return type(self)()

    def __call__(self, f: F) -> F:
        """Decorates a function, a generator function, or all methods' call of a class's constructor."""
        if isinstance(f, type):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You should only decorate "
                "functions or methods. To preserve the current behavior of class decoration, you can directly decorate "
                "the `__init__` method and nothing else.",
                FutureWarning,
                stacklevel=2,
            )
            f.__init__ = self(f.__init__)  # type: ignore[misc]
            return f  # type: ignore[return-value]
        if getattr(f, "__code__", None) is not None and f.__code__.co_flags & GENERATOR:
            return self._generator(f)  # type: ignore[return-value]

        @functools.wraps(f)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return f(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    def _generator(self, f: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(f)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            gen = f(*args, **kwargs)
            resume: Callable[[], Any] = functools.partial(gen.send, None)
            while True:
                try:
                    with self.clone():
                        value = resume()
                except StopIteration as stop:
                    return stop.value
                resume = yield from self._suspended(gen, value)

        return wrapped

    def _suspended(self, gen: Any, value: Any) -> Any:
        """Gives ``value`` to the caller, outside of the mode; how the generator goes on after that."""
        try:
            return functools.partial(gen.send, (yield value))
        except GeneratorExit:
            with self.clone():
                gen.close()
            raise
        except BaseException as e:
            return functools.partial(gen.throw, e)


class _Mode(Decorating):
    """Sets modes of the thread for a block."""

    _before: Any = None  # the modes outside of each block that was entered, innermost first

    def _enter(self, epoch: Epoch) -> None:
        raise NotImplementedError

    def __enter__(self) -> Any:
        epoch = threads.epoch
        self._before = epoch.grad, epoch.inference, self._before
        self._enter(epoch)
        return self

    def __exit__(self, *exc: object) -> None:
        epoch = threads.epoch
        epoch.grad, epoch.inference, self._before = self._before


class no_grad(_Mode):
    """Within it, results do not require grad (``torch.no_grad``)."""

    def __new__(cls, orig_func: Any = None) -> Any:
        """``@no_grad`` without parentheses also decorates."""
        self = object.__new__(cls)
        return self if orig_func is None else self(orig_func)

    def __enter__(self) -> Any:  # as that of other modes, in one frame: it may surround little
        epoch = threads.epoch
        self._before = epoch.grad, epoch.inference, self._before
        epoch.grad = bool(recording) and recording[-1]
        return self


class enable_grad(no_grad):
    """Within it, operators are recorded again (``torch.enable_grad``)."""

    __enter__ = _Mode.__enter__

    def _enter(self, epoch: Epoch) -> None:
        epoch.grad = not epoch.inference  # of whose tensors nothing is recorded


class set_grad_enabled(_Mode):
    """Sets grad mode, as a call or as a context manager."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self._prev = threads.epoch.grad
        threads.epoch.grad = _recorded(mode)

    def __call__(self, f: F) -> F:
        threads.epoch.grad = self._prev
        return super().__call__(f)

    def __enter__(self) -> Any:
        epoch = threads.epoch
        self._before = self._prev, epoch.inference, self._before
        epoch.grad = _recorded(self.mode)
        return self

    def clone(self) -> Any:
        """A fresh manager of the same mode."""
        return type(self)(self.mode)


class inference_mode(_Mode):
    """As ``no_grad``; tensors made within it may not be used in autograd later."""

    def __new__(cls, mode: Any = True) -> Any:
        """``@inference_mode`` without parentheses also decorates."""
        self = object.__new__(cls)
        if isinstance(mode, bool):
            self.mode = mode
            return self
        self.mode = True
        return self(mode)

    mode: bool

    def _enter(self, epoch: Epoch) -> None:
        if self.mode and _recorded(False):
            raise NotImplementedError(
                "inference_mode is not supported where a derivative in forward mode is taken (torch.func.jvp, jacfwd, "
                "a level of torch.autograd.forward_ad), since that needs what is recorded; use no_grad"
            )
        epoch.inference = INFERENCE if self.mode else 0
        inferred[0] = True
        epoch.grad = not self.mode

    def clone(self) -> Any:
        """A fresh manager of the same mode."""
        return type(self)(self.mode)


class _Flag:
    """A setting of a thread, set by a call or for a block, on which nothing depends: the engine has one way to work."""

    _now = threading.local()

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self.prev = getattr(self._now, type(self).__name__, True)
        setattr(self._now, type(self).__name__, mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        setattr(self._now, type(self).__name__, self.prev)

    def clone(self) -> Any:
        """A fresh manager of the same mode."""
        return type(self)(self.mode)


class set_multithreading_enabled(_Flag):
    """Whether PyTorch's backward may use several threads; here one thread records it, and programs use them all."""


def is_multithreading_enabled() -> bool:
    """What ``set_multithreading_enabled`` said in this thread."""
    return getattr(_Flag._now, "set_multithreading_enabled", True)


class enforce_grad_layout_policy(_Flag):
    """Whether a leaf's gradient must be laid out like the leaf; here it always is, which PyTorch then allows too."""

    def __init__(self, enable: bool) -> None:
        super().__init__(enable)


def call_with_grad_mode(mode: bool, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``f`` called within ``set_grad_enabled(mode)``, without the object that this makes."""
    epoch = threads.epoch
    before, epoch.grad = epoch.grad, mode
    try:
        return f(*args, **kwargs)
    finally:
        epoch.grad = before


def is_grad_enabled() -> bool:
    """Is grad mode on in this thread?"""
    return threads.epoch.grad


def is_inference_mode_enabled() -> bool:
    """Is inference mode on in this thread?"""
    return threads.epoch.inference < 0
