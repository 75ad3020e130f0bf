"""Runs that go on after Python has its number: whoever looks at what is late waits, and no bit is another."""

from __future__ import annotations

import copy
import gc
import io
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _late import all_late, idle_workers

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import _execution, nn
from flambeau.compiler import flight
from flambeau.compiler.cpu import pool
from flambeau.compiler.cpu.executor import Executor
from flambeau.graph import realisation


@pytest.fixture(autouse=True, scope="module")
def native_code_planned_once() -> Iterator[None]:
    """Programs run as native code, and the tests share their plans: to plan a step takes longer than to run it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realisation, "executor", [_execution.run_compiled])
        realisation.forget()
        yield


class Training:
    """A network whose step comes back with the loss while gradients and parameters are late."""

    def __init__(self, data: np.ndarray | None = None) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 5))
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)
        self.x = torch.randn(128, 64) if data is None else torch.from_numpy(data)
        self.y = torch.randint(0, 5, (128,))

    def step(self) -> float:
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @property
    def weight(self) -> Any:
        return self.net[0].weight

    def state(self) -> list[bytes]:
        """The bits of all parameters."""
        return [p.detach().numpy().tobytes() for p in self.net.parameters()]


@pytest.fixture
def idle() -> Iterator[None]:
    with idle_workers():
        yield


@pytest.fixture
def late() -> Iterator[None]:
    with all_late():
        yield


def trained(steps: int = 3) -> Training:
    """A network after so many steps, none of which is late."""
    flight.enabled[0] = False
    try:
        training = Training()
        for _ in range(steps):
            training.step()
    finally:
        flight.enabled[0] = True
    return training


def in_flight(steps: int = 3) -> Training:
    """The same while the last step goes on."""
    training = Training()
    for _ in range(steps):
        training.step()
    assert flight.flights, "the step did not come back early"
    return training


def saved(x: Any) -> Any:
    file = io.BytesIO()
    torch.save(x, file)
    file.seek(0)
    return torch.load(file).detach().numpy()


def written(x: Any, write: Callable[[Any], Any]) -> Any:
    with torch.no_grad():
        write(x)
    return x.detach().numpy()


def on_numpy(x: Any) -> Any:
    before, realisation.executor[0] = realisation.executor[0], _execution.run_on_numpy
    try:
        return (x * 2).detach().numpy()
    finally:
        realisation.executor[0] = before


def in_first_tier(x: Any) -> Any:
    before, _execution.tier[0] = _execution.tier[0], "first"
    try:
        return (x * 2).detach().numpy()
    finally:
        _execution.tier[0] = before


LOOKS: dict[str, Callable[[Any], Any]] = {
    "numpy": lambda x: x.detach().numpy(),
    "__array__": lambda x: np.asarray(x.detach()),
    "tolist": lambda x: x.tolist(),
    "item": lambda x: x[3, 4].item(),
    "repr": repr,
    "iteration": lambda x: [float(v) for v in x.detach()[0]],
    "dlpack": lambda x: np.from_dlpack(x.detach()),
    "storage": lambda x: x.untyped_storage().tolist(),
    "storage element": lambda x: x.untyped_storage()[5],
    "typed storage": lambda x: list(x.detach()._typed_storage()),
    "save": saved,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)).detach().numpy(),
    "deepcopy": lambda x: copy.deepcopy(x).detach().numpy(),
    "clone": lambda x: x.detach().clone().numpy(),
    "operator": lambda x: (x @ x.t()).sum().item(),
    "view": lambda x: x.view(-1)[3:9].detach().numpy(),
    "gradient": lambda x: x.grad.numpy(),
    "gradient of an element": lambda x: x.grad[0, 0].item(),
    "fill": lambda x: written(x, lambda x: x.fill_(3.0)),
    "set one": lambda x: written(x, lambda x: x.__setitem__((1, 2), 3.0)),
    "add in place": lambda x: written(x, lambda x: x.add_(1.0)),
    "random fill": lambda x: written(x, lambda x: x[0].zero_()),
    "NumPy's write": lambda x: written(x, lambda x: x.detach().numpy().__setitem__((0, 0), 7.0)),
    "storage write": lambda x: written(x, lambda x: x.untyped_storage().__setitem__(1, 7)),
    "resize": lambda x: written(x, lambda x: x.detach().resize_(20000)),
    "share_memory_": lambda x: x.detach().share_memory_().numpy(),
    "equal": lambda x: torch.equal(x, x.detach().clone()),
    "NumPy executor": on_numpy,
    "first tier": in_first_tier,
    "bytes": lambda x: bytes(x.untyped_storage()),
}


@pytest.mark.parametrize("how", LOOKS)
def test_who_looks_waits(how: str, idle: None) -> None:
    look = LOOKS[how]
    expected_from, training = trained(), in_flight()
    expected, found = look(expected_from.weight), look(training.weight)
    if isinstance(expected, np.ndarray):
        assert expected.tobytes() == found.tobytes()
    else:
        assert expected == found
    assert training.state() == expected_from.state()


def test_an_address_is_given_when_nothing_is_late(idle: None) -> None:
    for address in (lambda x: x.data_ptr(), lambda x: x.untyped_storage().data_ptr()):
        training = in_flight()
        address(training.x)
        assert not flight.flights


def test_what_is_early_is_there_at_once(idle: None) -> None:
    training = in_flight()
    training.optimizer.zero_grad()
    loss = F.cross_entropy(training.net(training.x), training.y)  # labels are looked at, which no run writes
    assert flight.flights
    loss.backward()
    training.optimizer.step()
    loss.item()
    assert loss.item() == loss.tolist()
    assert flight.flights
    expected = trained(4)
    assert training.state() == expected.state()


WRITES: dict[str, Callable[[Any], Any]] = {
    "element": lambda x: x.__setitem__((0, 0), float("nan")),
    "element of a view": lambda x: x[0][1].fill_(float("nan")),
    "row": lambda x: x[3].fill_(float("nan")),
    "all": lambda x: x.fill_(float("nan")),
    "arithmetic": lambda x: x[0, 0].add_(1e9),
    "drawn": lambda x: x.normal_(),
    "NumPy": lambda x: x.numpy().fill(np.nan),
    "storage": lambda x: x.untyped_storage().fill_(255),
    "data": lambda x: x.data.copy_(torch.zeros(128, 64)),
    "replaced": lambda x: x.set_(torch.zeros(3)),
    "resized": lambda x: x.resize_(3),
}


@pytest.mark.parametrize("how", WRITES)
def test_what_a_run_reads_is_written(how: str, idle: None) -> None:
    training = in_flight()
    WRITES[how](training.x)
    assert training.state() == trained().state()


def test_memory_of_numpy_may_be_written_at_once(idle: None) -> None:
    """The user fills one array with batch after batch."""
    batches = np.random.default_rng(0).standard_normal((4, 128, 64)).astype(np.float32)
    states = []
    for on in (False, True):
        flight.enabled[0] = on
        data = np.zeros((128, 64), np.float32)
        training = Training(data)
        for batch in batches:
            data[...] = batch
            training.step()
            assert bool(flight.flights) == on
            data[...] = np.nan
        states.append(training.state())
    assert states[0] == states[1]


def test_a_view_handed_out_before(idle: None) -> None:
    """A parameter that NumPy sees is written when the step comes back."""
    states = []
    for on in (False, True):
        flight.enabled[0] = on
        training = Training()
        seen = training.weight.detach().numpy()
        for _ in range(3):
            training.step()
        states.append(seen.copy().tobytes())
    assert states[0] == states[1]


@pytest.mark.usefixtures("small_heap")
def test_a_tensor_that_is_a_held_input_is_let_go(idle: None) -> None:
    """What only a flight knows is freed by the next run, and what it reads stays until its end."""
    training = in_flight()
    expected = trained()
    del training.x, training.y
    gc.collect()
    for _ in range(20):
        np.full((128, 64), np.nan, np.float32)
    assert training.state() == expected.state()


@pytest.mark.usefixtures("small_heap")
def test_a_network_that_dies_in_flight(idle: None) -> None:
    training = in_flight()
    del training
    gc.collect()
    realisation.forget()
    gc.collect()
    expected = trained().state()
    assert flight.flights == []
    assert in_flight().state() == expected


def test_switched_off(idle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight, "enabled", [False])
    training = Training()
    training.step()
    assert not flight.flights


def test_one_thread_computes_all(idle: None) -> None:
    pool.set_num_threads(1)
    training = Training()
    training.step()
    assert not flight.flights
    training.step()
    training.step()
    assert training.state() == trained().state()


def test_a_setting_in_flight(idle: None) -> None:
    expected = trained().state()
    for count in (1, 2, 4):
        pool.set_num_threads(3)
        training = in_flight()
        pool.set_num_threads(count)
        assert training.state() == expected
    pool.set_num_threads(3)
    training = in_flight()
    pool.set_flush_denormal(True)
    pool.set_flush_denormal(False)
    assert training.state() == expected


def test_a_second_thread_reads(idle: None) -> None:
    expected, training, found = trained().state(), in_flight(), []
    reader = threading.Thread(target=lambda: found.append(training.state()))
    reader.start()
    reader.join(300)
    assert found == [expected]
    assert not flight.flights


def test_two_threads_train() -> None:
    """With real workers: flights of two Python threads follow one another."""
    expected, found = trained(60).state(), []

    def work(training: Training) -> None:
        for _ in range(60):
            training.step()
        found.append(training.state())

    threads = [threading.Thread(target=work, args=(training,)) for training in (Training(), Training())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert found == [expected, expected]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_in_flight(idle: None) -> None:
    expected, training = trained().state(), in_flight()
    pid = os.fork()
    if not pid:
        os._exit(0 if training.state() == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert training.state() == expected


def test_an_error_comes_before_anything_is_written(late: None) -> None:
    """A kernel that may fail is done when a run comes back, so it says so there, and parameters are as before."""
    torch.manual_seed(0)
    table = nn.Embedding(10, 4)
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1)
    before = table.weight.detach().numpy().copy()
    index = torch.arange(12).remainder(11)  # known only when it runs
    loss = table(index).square().sum()
    loss.backward()
    with pytest.raises(IndexError):
        optimizer.step()
    assert not flight.flights
    assert (table.weight.detach().numpy() == before).all()


def test_an_interrupt_just_after_it_came_back(idle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets the outputs, so the run comes to its end before its memory is let go of."""
    training = in_flight()
    plain = Executor.run_packed

    def interrupted(self: Any, *args: Any) -> Any:
        assert plain(self, *args)
        raise KeyboardInterrupt

    monkeypatch.setattr(Executor, "run_packed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.step()
    monkeypatch.undo()
    assert not flight.flights


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_a_signal_handler_that_looks() -> None:
    """It comes between any two steps of the interpreter."""
    expected, training, seen = trained(100).state(), Training(), []
    training.step()
    weight = training.weight._s
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(weight.buf.sum()))
    signal.setitimer(signal.ITIMER_REAL, 5e-4, 5e-4)
    try:
        for _ in range(99):
            training.step()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen
    assert training.state() == expected


def test_a_signal_handler_that_looks_just_before_a_run_begins(idle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run that is about to begin stays known, so that what it writes is waited for."""
    expected, training = trained(4).state(), in_flight()
    plain = Executor.run_packed

    def interrupted(self: Any, *args: Any) -> Any:
        flight.land()
        return plain(self, *args)

    monkeypatch.setattr(Executor, "run_packed", interrupted)
    training.step()
    monkeypatch.undo()
    assert flight.flights
    assert training.state() == expected
    assert not flight.flights


NEW_PROCESS = """
import sys
from test_overlap import Training
from flambeau.compiler import flight
training = Training()
for _ in range(20): training.step()
"""
ENDS = {
    "the end": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an error": ("raise SystemExit(4)", 4),
    "atexit": ("import atexit; atexit.register(lambda: training.step() and training.state())", 0),
    "os._exit": ("import os; os._exit(5)", 5),
    "a thread": ("import threading; threading.Thread(target=lambda: [training.step() for _ in range(20)]).start()", 0),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_process_ends_in_flight(end: str) -> None:
    code, status = ENDS[end]
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(torch.__path__[0]).parent)])
    environment = {**os.environ, "PYTHONPATH": path, "FLAMBEAU_EXECUTOR": "native"}
    command = [sys.executable, "-W", "error", "-c", NEW_PROCESS + code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (status, "")


def test_looks_at_random_moments() -> None:
    """With real workers: what is read at some moment is what it would be if every run came back at its end."""
    names = [name for name in LOOKS if name not in ("share_memory_", "resize")]
    found = []
    for on in (False, True):
        flight.enabled[0] = on
        generator, training, log = random.Random(0), Training(), []
        for _ in range(150):
            log.append(training.step())
            if generator.random() < 0.5:
                parameter = generator.choice(list(training.net.parameters()))
                if parameter.ndim == 2:
                    seen = LOOKS[generator.choice(names)](parameter)
                    log.append(seen.tobytes() if isinstance(seen, np.ndarray) else seen)
        found.append((log, training.state()))
    assert repr(found[0]) == repr(found[1])


# ---- small writes and reads, which are done at once


@pytest.mark.usefixtures("idle")
def test_small_writes_to_what_a_run_reads_or_writes_wait_for_it() -> None:
    def changed(training: Training) -> list[bytes]:
        with torch.no_grad():
            training.weight[0, 1] += 0.5
            training.net[2].bias[3] = 2.0
            training.net[4].weight[1] = training.net[4].weight[0]
            training.x[0, 0] = 7.0
        training.step()
        return training.state()

    assert changed(in_flight()) == changed(trained())


@pytest.mark.usefixtures("idle")
def test_small_writes_to_other_memory_do_not_wait() -> None:
    losses, count = torch.zeros(5), torch.zeros((), dtype=torch.int64)
    _ = in_flight()
    losses[2] = 3.5
    count += 1
    assert flight.flights
    assert (losses.tolist(), count.item()) == ([0, 0, 3.5, 0, 0], 1)


@pytest.mark.usefixtures("idle")
def test_numbers_that_are_late_are_recorded() -> None:
    training = in_flight()
    first = training.weight.detach()[0, 0]
    larger, sum_ = first > 0.0, first + 1.0
    assert flight.flights
    expected = trained().weight[0, 0].item()
    assert (larger.item(), sum_.item()) == (expected > 0, float(np.float32(expected) + np.float32(1)))
