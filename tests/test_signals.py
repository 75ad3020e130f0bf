"""Handlers of signals are called between operators, as with PyTorch."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import flambeau as torch

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs signals")

INSIDE = """
def operator(log):
    log.append("begins")
    signal.raise_signal(signal.SIGUSR1)
    log.append("ends")

def twice(log):
    operator(log)
    operator(log)

def operator_that_fails(log):
    signal.raise_signal(signal.SIGUSR1)
    raise KeyError
"""


def code_of_the_package(name: str) -> Any:
    """A function that looks as if its file were one of the operators'."""
    names: dict[str, Any] = {"signal": signal}
    exec(compile(INSIDE, torch.ops.__file__.replace("__init__", "one"), "exec"), names)
    return names[name]


operator, twice, operator_that_fails = map(code_of_the_package, ("operator", "twice", "operator_that_fails"))


@pytest.fixture(autouse=True)
def handlers_of_before() -> Iterator[None]:
    before = [(n, signal.getsignal(n)) for n in (signal.SIGUSR1, signal.SIGALRM)]
    yield
    for n, handler in before:
        signal.signal(n, handler)


def logging(log: list[Any]) -> Any:
    return lambda number, frame: log.append((number, frame.f_code.co_name))


def test_a_handler_waits_for_the_operator() -> None:
    log: list[Any] = []
    signal.signal(signal.SIGUSR1, logging(log))
    operator(log)
    log.append("goes on")
    assert log == ["begins", "ends", (signal.SIGUSR1, "test_a_handler_waits_for_the_operator"), "goes on"]


def test_outside_of_operators_it_is_called_at_once() -> None:
    log: list[Any] = []
    signal.signal(signal.SIGUSR1, logging(log))
    signal.raise_signal(signal.SIGUSR1)
    assert len(log) == 1


def test_also_if_the_caller_returns_or_fails() -> None:
    log: list[Any] = []
    signal.signal(signal.SIGUSR1, logging(log))

    def returns() -> None:
        return operator(log)

    def fails() -> None:
        operator_that_fails(log)

    returns()
    assert log == ["begins", "ends", (signal.SIGUSR1, "returns")]
    with pytest.raises(KeyError):
        fails()
    assert log[3:] == [(signal.SIGUSR1, "fails")]


def test_what_it_raises_comes_after_the_operator() -> None:
    log: list[Any] = []

    def handler(number: int, frame: Any) -> None:
        raise TimeoutError("too late")

    signal.signal(signal.SIGUSR1, handler)
    with pytest.raises(TimeoutError, match="too late"):
        operator(log)
        log.append("never")
    assert log == ["begins", "ends"]


def test_several_wait_in_turn() -> None:
    log: list[Any] = []

    def handler(number: int, frame: Any) -> None:
        log.append(number)
        if len(log) == 1:
            raise TimeoutError

    def calls() -> None:
        twice([])

    signal.signal(signal.SIGUSR1, handler)
    with pytest.raises(TimeoutError):
        calls()
    assert log == [signal.SIGUSR1] * 2
    calls()
    assert len(log) == 4


def test_one_that_comes_while_another_is_handled() -> None:
    log: list[Any] = []

    def handler(number: int, frame: Any) -> None:
        log.append("in")
        if len(log) == 1:
            operator([])
        log.append("out")

    signal.signal(signal.SIGUSR1, handler)
    operator([])
    assert log == ["in", "out", "in", "out"]


def test_a_tracer_stays() -> None:
    lines: list[str] = []

    def tracer(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_name == "traced":
            lines.append(event)
            return tracer
        return None

    def traced() -> None:
        operator(log)
        log.append("goes on")

    log: list[Any] = []
    signal.signal(signal.SIGUSR1, logging(log))
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        traced()
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
    assert lines == ["call", "line", "line", "return"]
    assert log == ["begins", "ends", (signal.SIGUSR1, "traced"), "goes on"]


def test_what_the_program_gave_is_what_it_gets() -> None:
    def handler(number: int, frame: Any) -> None:
        raise AssertionError

    signal.signal(signal.SIGUSR1, handler)
    assert signal.getsignal(signal.SIGUSR1) is handler
    assert signal.signal(signal.SIGUSR1, signal.SIG_IGN) is handler
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    with pytest.raises(TypeError):
        signal.signal(signal.SIGUSR1, "nothing")  # type: ignore[arg-type]
    signal.signal(signal.SIGUSR1, signal.default_int_handler)
    assert signal.getsignal(signal.SIGUSR1) is signal.default_int_handler


def test_an_interrupt_waits_unless_it_comes_twice() -> None:
    log: list[Any] = []
    signal.signal(signal.SIGUSR1, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        operator(log)
    assert log == ["begins", "ends"]
    with pytest.raises(KeyboardInterrupt):
        twice(log)
    assert log == ["begins", "ends", "begins", "ends", "begins"]


BEFORE = """
import signal
from signal import signal as set_handler
def handler(number, frame): pass
def other(number, frame): pass
signal.signal(signal.SIGUSR1, handler)
import flambeau, _signal
from flambeau import _signals
assert signal.getsignal(signal.SIGUSR1) is handler
assert type(_signals._get(signal.SIGUSR1)) is _signals.Handler
set_handler(signal.SIGUSR2, other)
assert type(_signals._get(signal.SIGUSR2)) is _signals.Handler
"""
IN_A_THREAD = """
import signal, threading
signal.signal(signal.SIGUSR1, print)
thread = threading.Thread(target=lambda: __import__("flambeau"))
thread.start(); thread.join()
assert signal.getsignal(signal.SIGUSR1) is print
"""


@pytest.mark.parametrize("program", [BEFORE, IN_A_THREAD])
def test_handlers_of_before_the_import(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)


TRAINING = """
import random, signal
import flambeau as torch
from flambeau import _signals, nn

class Training:
    def __init__(self):
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
        self.optimizer = torch.optim.Adam(self.net.parameters())
        self.x = torch.randn(32, 8)

    def step(self):
        self.optimizer.zero_grad()
        loss = (self.net(self.x) - 1).square().mean()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def state(self):
        return b"".join(p.detach().numpy().tobytes() for p in self.net.parameters())
"""
COMPUTING = """
expected, training, seen = Training(), Training(), []

def handler(number, frame):
    signal.setitimer(signal.ITIMER_REAL, 0)
    with torch.no_grad():
        seen.append((training.net(training.x).sum() * 2).item())
    seen.append(training.state())
    signal.setitimer(signal.ITIMER_REAL, 1.1e-3)

losses = [expected.step() for _ in range(300)]
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 1e-3)
assert losses == [training.step() for _ in range(300)]
signal.signal(signal.SIGALRM, signal.SIG_IGN)  # a handler that is under way sets the timer again
assert seen
assert training.state() == expected.state()
assert not _signals._waiting
"""
INTERRUPTED = """
training, steps = Training(), {}
for k in range(1000):
    steps[training.state()] = k
    training.step()
training, at, interrupts = Training(), 0, 0
signal.signal(signal.SIGALRM, signal.default_int_handler)
while at < 900 and interrupts < 50:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-4, 3e-3))
        while True:
            training.step()
    except KeyboardInterrupt:
        interrupts += 1
    at = steps[training.state()] + 1
    training.step()
    assert steps[training.state()] == at
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
@pytest.mark.parametrize("program", [COMPUTING, INTERRUPTED])
def test_a_signal_may_come_anywhere(program: str) -> None:
    """Its handler computes with the network that is trained; or interrupts, and training goes on after a whole step."""
    subprocess.run([sys.executable, "-c", TRAINING + program], check=True)
