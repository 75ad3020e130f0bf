"""A signal that comes in the middle of an operator is handled after it.

Python calls the handler of a signal between any two instructions of the main thread. PyTorch's operators are C++, so
there it comes between two operators, and handlers that save a checkpoint or print a loss rely on that. Here operators
are Python too: a handler that used tensors in the middle of one would end the epoch that it is recorded in. So handlers
are wrapped where they are given to Python (``_signal``, through which ``signal.signal`` goes, however it was imported).
If one is called inside an operator, it waits until the function outside that called the operator goes on.
``signal.getsignal`` gives the program's own handler.

So it is with Ctrl-C: programs catch ``KeyboardInterrupt`` to save or evaluate what they have trained so far. Pressed
again while it waits, it interrupts at once.
"""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports]
import os
import sys
from types import FrameType
from typing import Any

import numpy as np

INSIDE, OUTSIDE, EITHER = range(3)  # code of operators, of the program, and what both call
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# Of the package what waits, runs programs, or holds nothing but tensors while operators run:
_OPEN = tuple(
    [os.path.join(_PACKAGE, name) for name in (
        "nn/modules/", "nn/parallel/", "utils/", "distributed/", "distributions/", "multiprocessing/", "vision/",
        "tools/", "testing/", "onnx/", "__main__.py", "_signals.py", "futures.py", "hub.py",
    )]
)  # fmt: skip
_NUMPY = os.path.dirname(np.__file__) + os.sep
_PYTHON = (os.path.dirname(os.__file__) + os.sep, "<")
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)

_kinds: dict[str, int] = {}  # files, and which of the three their code is
_waiting: list[tuple[Any, int]] = []  # handlers and the signals that they are called with
_arranged = [False]  # will those that wait be called?


class Handler:
    """A program's handler, which is not called inside an operator."""

    __slots__ = ("given",)

    def __init__(self, given: Any) -> None:
        self.given = given

    def __call__(self, number: int, frame: FrameType | None) -> None:
        caller, call = _caller_of_operator(frame), (self.given, number)
        if caller is None or (self.given is _signal.default_int_handler and call in _waiting):
            self.given(number, frame)
            return
        _waiting.append(call)
        if not _arranged[0]:
            _arranged[0] = True
            _when_it_goes_on(caller)


def _kind_of(frame: FrameType) -> int:
    file = frame.f_code.co_filename
    kind = _kinds.get(file)
    if kind is None:
        kind = _kinds[file] = _kind(file)
    return kind


def _kind(file: str) -> int:
    if file.startswith(_PACKAGE):
        return EITHER if file.startswith(_OPEN) else INSIDE
    if file.startswith(_NUMPY):
        return EITHER
    return EITHER if file.startswith(_PYTHON) and not any(part in file for part in _INSTALLED) else OUTSIDE


def _caller_of_operator(frame: FrameType | None) -> FrameType | None:
    """Where the operator was called that runs; None if none does that was called since the program's own code ran."""
    caller = None
    while frame is not None and (kind := _kind_of(frame)) != OUTSIDE:
        frame = frame.f_back
        if kind == INSIDE:
            caller = frame
    return caller


def _when_it_goes_on(frame: FrameType) -> None:
    """Has the handlers that wait called before a frame's next instruction, or as it ends."""
    tracer, local, opcodes = sys.gettrace(), frame.f_trace, frame.f_trace_opcodes

    def go_on(frame: FrameType, event: str, argument: Any) -> Any:
        sys.settrace(tracer)
        frame.f_trace, frame.f_trace_opcodes = local, opcodes
        if local is not None and (event != "opcode" or opcodes):
            frame.f_trace = local(frame, event, argument)
        _handle_waiting(frame)
        return frame.f_trace

    frame.f_trace, frame.f_trace_opcodes = go_on, True
    sys.settrace(tracer or _trace_nothing)


def _trace_nothing(frame: FrameType, event: str, argument: Any) -> None:
    """New frames are of no interest."""


def _handle_waiting(frame: FrameType) -> None:
    """Calls all handlers that wait, also if one raises: Python takes that as the end of tracing."""
    handler, number = _waiting.pop(0)
    try:
        handler(number, frame)
    finally:
        if _waiting:
            _handle_waiting(frame)
        _arranged[0] = False


def _wrapped(handler: Any) -> Any:
    return Handler(handler) if callable(handler) and not isinstance(handler, Handler) else handler


def _given(handler: Any) -> Any:
    return handler.given if isinstance(handler, Handler) else handler


def _signal_between_operators(signalnum: Any, handler: Any, /) -> Any:
    return _given(_set(signalnum, _wrapped(handler)))


def _getsignal(signalnum: Any, /) -> Any:
    return _given(_get(signalnum))


_set, _get = _signal.signal, _signal.getsignal


def install() -> None:
    """Wraps the handlers that there are and all that come."""
    _signal.signal, _signal.getsignal = _signal_between_operators, _getsignal
    for number in range(1, _signal.NSIG):
        try:
            handler = _get(number)
            if _wrapped(handler) is not handler:
                _set(number, _wrapped(handler))
        except ValueError:
            return  # another thread than the main one imports the package
