"""``torch.futures``: results that are set later, by this or another thread
(https://docs.pytorch.org/docs/stable/futures.html)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]


T = TypeVar("T")


class Future(Generic[T]):
    """A value or an exception that somebody sets once.

    Args:
        devices: accepted and ignored; values are on the CPU.
    """

    def __init__(self, *, devices: Any = None) -> None:
        self._changed = threading.Condition()
        self._done = False
        self._value: Any = None
        self._error: Exception | None = None
        self._callbacks: list[Callable[[Future[T]], Any]] = []

    def done(self) -> bool:
        """Has a result or an exception been set?"""
        return self._done

    def wait(self) -> T:
        """The value, as soon as it is set; raises the exception if that was set."""
        with self._changed:
            self._changed.wait_for(self.done)
        return self._result()

    def value(self) -> T:
        """The value of a future that is done.

        Raises:
            RuntimeError: it is not done.
        """
        if not self._done:
            raise RuntimeError("Cannot get the value of a Future that is not completed")
        return self._result()

    def then(self, callback: Callable[[Future[T]], Any]) -> Future[Any]:
        """A future of what ``callback(self)`` gives once this one is done."""
        following: Future[Any] = Future()

        def run(done: Future[T]) -> None:
            try:
                following.set_result(callback(done))
            except Exception as error:
                following.set_exception(RuntimeError(_failed(error)))

        self.add_done_callback(run)
        return following

    def add_done_callback(self, callback: Callable[[Future[T]], Any]) -> None:
        """Calls ``callback(self)`` once this future is done, at once if it is; what it raises is only logged."""
        with self._changed:
            if not self._done:
                self._callbacks.append(callback)
                return
        self._call(callback)

    def _call(self, callback: Callable[[Future[T]], Any]) -> None:
        try:
            callback(self)
        except Exception as error:
            import logging

            logging.getLogger(__name__).error(_failed(error))

    def set_result(self, result: T) -> None:
        """Sets the value.

        Raises:
            RuntimeError: the future is done already.
        """
        self._complete(result, None)

    def set_exception(self, result: Exception) -> None:
        """Sets an exception, which ``wait`` and ``value`` raise."""
        assert isinstance(result, Exception), f"{result} is of type {type(result)}, not an Exception."
        self._complete(None, result)

    def _complete(self, value: Any, error: Exception | None) -> None:
        with self._changed:
            if self._done:
                raise RuntimeError("Future can only be marked completed once")
            self._value, self._error, self._done = value, error, True
            callbacks, self._callbacks = self._callbacks, []
            self._changed.notify_all()
        for callback in callbacks:
            self._call(callback)

    def __reduce__(self) -> Any:
        raise RuntimeError("Can not pickle torch.futures.Future")

    def _result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._value


def _failed(error: Exception) -> str:
    return f"Got the following error when running the callback: {type(error).__name__}: {error}"


def collect_all(futures: Sequence[Future[Any]]) -> Future[list[Future[Any]]]:
    """A future of the list of these futures, done when all are.

    Raises:
        RuntimeError: one of them is None.
    """
    if any(future is None for future in futures):
        raise RuntimeError("Future can't be None")
    together: Future[list[Future[Any]]] = Future()
    waiting = len(futures)
    lock = threading.Lock()

    def count(_: Future[Any]) -> None:
        nonlocal waiting
        with lock:
            waiting -= 1
            last = waiting == 0
        if last:
            together.set_result(list(futures))

    for future in futures:
        future.add_done_callback(count)
    if not futures:
        together.set_result([])
    return together


def wait_all(futures: Sequence[Future[Any]]) -> list[Any]:
    """The values of all; raises the first exception among them."""
    return [future.wait() for future in collect_all(futures).wait()]
