"""``torch.autograd.profiler``: times of ``record_function`` blocks and of the programs that flambeau runs.

Operators are recorded and fused into programs, so there are no times of single operators: an event named
``flambeau::program`` is one run of all that was pending.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from ..compiler.flight import land
from ..graph import realisation
from .profiler_util import EventList, FunctionEvent, FunctionEventAvg

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "emit_itt", "emit_nvtx", "profile", "record_function"]

F = TypeVar("F", bound=Callable[..., Any])
PROGRAM = "flambeau::program"
_recording: list[profile] = []  # the profilers that run, the innermost last
_open = threading.local()  # .stack: the events of the thread that have not ended


def _begin(name: str) -> FunctionEvent | None:
    """An event that starts now, if a profiler runs."""
    if not _recording:
        return None
    event = FunctionEvent(name, threading.get_ident(), time.perf_counter_ns() / 1000)
    stack = _open.__dict__.setdefault("stack", [])
    if stack:
        event.cpu_parent = stack[-1]
        stack[-1].cpu_children.append(event)
    stack.append(event)
    for p in _recording:
        p.function_events.append(event)
    return event


def _end(event: FunctionEvent | None) -> None:
    if event is not None:
        event.end = time.perf_counter_ns() / 1000
        _open.stack.remove(event)


class record_function:
    """A block, or with ``@`` a function, that the profiler lists under a name."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name
        self.args = args
        self._event: FunctionEvent | None = None

    def __enter__(self) -> record_function:
        self._event = _begin(self.name)
        return self

    def __exit__(self, *exc: object) -> None:
        _end(self._event)

    def __call__(self, f: F) -> F:
        @functools.wraps(f)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return f(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class _Timed:
    """An executor that reports each run as an event."""

    def __init__(self, inner: Callable[..., Any]) -> None:
        self.inner = inner

    def __call__(self, *args: Any) -> Any:
        event = _begin(PROGRAM)
        try:
            return self.inner(*args)
        finally:
            land()
            _end(event)


def _start(p: profile) -> None:
    if not _recording:
        realisation.executor[0] = _Timed(realisation.executor[0])
    _recording.append(p)


def _stop(p: profile) -> None:
    _recording.remove(p)
    if not _recording and isinstance(realisation.executor[0], _Timed):  # else something else wraps it, and it is idle
        realisation.executor[0] = realisation.executor[0].inner


class profile:
    """Measures a block (https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.profiler.profile).

    Pending work is run when the block begins and when it ends, so that what was recorded inside is measured inside.

    Args:
        enabled: False makes it do nothing.
        **options: PyTorch's other options, of which those for devices, shapes, stacks and memory change nothing.
    """

    def __init__(self, enabled: bool = True, **options: Any) -> None:
        self.enabled = enabled
        self.options = options
        self.entered = False
        self.function_events = EventList()

    def __enter__(self) -> profile:
        if not self.enabled:
            return self
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant")
        self.entered = True
        _settle()
        _start(self)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.enabled:
            _settle()
            _stop(self)

    def _checked(self) -> EventList:
        if not self.entered:
            raise RuntimeError("Profiler didn't finish running")
        return self.function_events

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> EventList:
        """The events summed by name."""
        return self._checked().key_averages(group_by_input_shape, group_by_stack_n)

    def total_average(self) -> FunctionEventAvg:
        """The sum of all events."""
        return self._checked().total_average()

    def table(self, sort_by: str | None = None, row_limit: int = 100, **options: Any) -> str:
        """The events as a text table."""
        return self._checked().table(sort_by, row_limit, **options)

    def export_chrome_trace(self, path: str) -> None:
        """Writes the events as a trace that chrome://tracing shows."""
        self._checked().export_chrome_trace(path)

    @property
    def self_cpu_time_total(self) -> float:
        """The microseconds of all events."""
        return self._checked().self_cpu_time_total

    def __str__(self) -> str:
        return str(self.function_events) if self.entered else "<unfinished torch.autograd.profile>"


def _settle() -> None:
    """Runs what is pending in this thread, to its end."""
    realisation.finish()


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"torch.autograd.profiler.{name} marks ranges for tools that flambeau does not feed; use profile"
    )


class emit_nvtx:
    """Raises NotImplementedError: there is no CUDA."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("emit_nvtx")


class emit_itt:
    """Raises NotImplementedError: there is no VTune interface."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("emit_itt")
