"""Native programs that come back before their end: what the pool does next waits for them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import _cpu_runtime as kernels
import numpy as np
import pytest
from test_cpu_runtime_pool import Chain, pool

from flambeau.compiler.cpu import machine
from flambeau.compiler.cpu import pool as pools
from flambeau.compiler.cpu.executor import Buffer, Constant, Executor, Kernel, KernelError, Scratch, Segment
from flambeau.compiler.cpu.pool_text import MOST_CREDIT, SHUN_RUNS, SPIN_SECONDS

pytest.importorskip("llvmlite")


DEADLINE = 100.0  # seconds after which what depends on the system's threads will never happen


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    for threads in (2, 4):
        pool(threads).stop()


class Gated:
    """Sums in a first segment; then one that waits at a gate, and one that runs after it."""

    def __init__(self, threads: int, chunks: int = 3, cost: float = 1e9, whole: float | None = None) -> None:
        total = Kernel(kernels.SUM, (Buffer(0), Buffer(1), Constant(4)))
        gate = Kernel(kernels.GATE, (Buffer(2), Buffer(3)))
        after = Kernel(kernels.SUM, (Buffer(0), Buffer(4), Constant(4)))
        segments = [Segment((total,), 1), Segment((gate,), chunks), Segment((after,), chunks)]
        self.program = Executor(segments, buffers=5, workspace=8, cost=whole, pool=pool(threads))
        self.early = self.program.returning(1, cost)
        self.a = np.arange(4 * chunks, dtype=np.float32)
        self.total = np.zeros(1, np.float32)
        self.flag = np.zeros(1, np.int64)
        self.passed = np.zeros(chunks, np.int64)
        self.after = np.zeros(chunks, np.float32)

    def start(self) -> bool:
        arrays = (self.a, self.total, self.flag, self.passed, self.after)
        return self.program.run_packed(self.program.pack(*[a.ctypes.data for a in arrays]), self.early)

    def check(self) -> None:
        """It has come to its end."""
        assert self.total[0] == 6
        assert (self.passed == 1).all()
        assert (self.after == self.a.reshape(-1, 4).sum(1)).all()


@pytest.fixture
def gated(request: pytest.FixtureRequest) -> Gated:
    """A program that waits at its gate, which opens in a moment."""
    one = Gated(getattr(request, "param", 4))
    assert one.start()
    assert one.total[0] == 6
    assert not one.passed.any()
    threading.Timer(0.05, one.flag.fill, (1,)).start()
    return one


@pytest.mark.parametrize("gated", [2, 4], indirect=True)
def test_waiting(gated: Gated) -> None:
    gated.program.pool.join()
    gated.check()
    gated.program.pool.join()  # nothing is left


def another(p: pools.Pool) -> None:
    program = Executor([Segment((kernels.add(),), 4)], buffers=2, scalars=["float32"], pool=p)
    a, out = np.ones(256, np.float32), np.zeros(256, np.float32)
    program.run([a.ctypes.data, out.ctypes.data], [2.0])
    assert (out == 3).all()


def fork(p: pools.Pool) -> None:
    p.before_fork()
    p.after_fork()


def fewer(p: pools.Pool) -> None:
    p.threads = 2
    p.threads = 4


DISTURBANCES: dict[str, Callable[[pools.Pool], Any]] = {
    "another program": another,
    "a fork": fork,
    "the end of the workers": lambda p: p.stop(),
    "a number of threads": fewer,
    "the control word": lambda p: (p.flush_denormals(True), p.flush_denormals(False)),
    "a larger workspace": lambda p: p.reserve(p._stride + 1, 0),
    "more scratch memory": lambda p: p.reserve(0, p._scratch_size + 1),
}


@pytest.mark.parametrize("what", DISTURBANCES)
def test_what_would_disturb_it_waits(what: str, gated: Gated) -> None:
    DISTURBANCES[what](gated.program.pool)
    gated.check()


def test_another_thread_waits_and_helps(gated: Gated) -> None:
    found: list[bool] = []

    def wait() -> None:
        gated.program.pool.join()
        found.append(bool((gated.passed == 1).all()))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert found == [True] * 3
    gated.check()


def test_one_after_the_other() -> None:
    """The next run of the same program waits too, and gets arguments of its own."""
    one = Gated(4)
    one.flag[0] = 1
    for k in range(2000):
        one.a[:] = k
        one.passed[:] = one.after[:] = one.total[:] = 0
        one.start()
        assert one.total[0] == 4 * k
        if k % 3:
            one.program.pool.join()
            assert (one.passed == 1).all()
            assert (one.after == 4 * k).all()
        else:
            one.start()
            one.program.pool.join()


@pytest.mark.parametrize("threads", [2, 3, 4, 8])
@pytest.mark.parametrize("cost", [0, None])
def test_chains_that_come_back(threads: int, cost: float | None) -> None:
    """Segments run in order and chunks once, shared out or on one worker, which is awake or asleep."""
    rng = random.Random(threads)
    found = []
    for _ in range(10):
        chain = Chain([rng.choice([1, 1, 2, 5, 33]) for _ in range(rng.randint(2, 9))], threads, cost)
        found.append((chain, chain.program.returning(rng.randrange(len(chain.cells)), 1e9)))
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        for _ in range(200):
            chain, early = rng.choice(found)
            chain.program.run_packed(chain.program.pack(*chain.addresses), early)
            chain.runs += 1
        time.sleep(rng.choice([0, 0.0005]))
    for chain, _ in found:
        chain.program.pool.join()
        assert chain.is_right()


@pytest.mark.skipif(machine.available_threads() < 2, reason="on one core no worker is awake while the caller is")
def test_a_small_program_is_one_workers() -> None:
    """If it is not worth sharing, a worker that is awake runs all of it, unless workers are shunned for being late."""
    one, large, end = Chain([4, 1, 3], 4, cost=0), Chain([16, 16], 4), time.monotonic() + DEADLINE
    threads: set[int] = set()
    while len(threads) != 1 or 0 in threads:
        assert time.monotonic() < end
        pool(4)._set("shunned", 0)
        large.run()  # wakes the workers
        threads = threads_of(one)


def test_workers_that_were_late_get_no_small_program_for_a_while() -> None:
    one = Gated(4, cost=1e5, whole=0)
    for _ in range(2):
        make_late(one)
        for _ in range(SHUN_RUNS):
            assert not one.start()
        assert not one.program.pool._get("shunned")


def test_workers_that_were_late_once_keep_small_programs() -> None:
    """What waiting took goes off what handing programs over has gained."""
    one = Gated(4, cost=1e5, whole=0)
    p, end, lost, took = one.program.pool, time.monotonic() + DEADLINE, 0, 0
    while not lost or p._get("shunned"):  # at first the caller finds nobody awake, or too late
        assert time.monotonic() < end
        p._set("credit", MOST_CREDIT)
        p._set("shunned", 0)
        one.flag[0] = 0
        begin = time.monotonic_ns()
        threading.Timer(0.005, one.flag.fill, (1,)).start()
        wake_workers()
        one.start()
        p.join()
        lost, took = MOST_CREDIT - p._get("credit"), time.monotonic_ns() - begin
    assert 1e9 * SPIN_SECONDS <= lost <= took + 1e9 * SPIN_SECONDS


def make_late(one: Gated) -> None:
    """Workers take whole programs, and the caller falls asleep waiting for them, until they are shunned."""
    end = time.monotonic() + DEADLINE
    while not one.program.pool._get("shunned"):
        assert time.monotonic() < end
        one.flag[0] = 0
        threading.Timer(0.05, one.flag.fill, (1,)).start()
        wake_workers()
        one.start()
        one.program.pool.join()


def wake_workers() -> None:
    """They look for work for a moment, which is shorter than a new thread of Python may take to start."""
    Chain([16, 16], 4).run()


def threads_of(chain: Chain) -> set[int]:
    """Which threads have run a chain that comes back after its first segment."""
    program = chain.program
    trace = np.zeros((4, 9, 4), np.int64)
    early = program.returning(1, 1e9)
    program._returning[-1][8:10] = trace.ctypes.data, trace.strides[0]
    program.run_packed(program.pack(*chain.addresses), early)
    program.pool.join()
    assert trace[:, 0, 0].sum() == 8
    return set(np.flatnonzero(trace[:, 0, 0]).tolist())


@pytest.mark.parametrize(("threads", "cost"), [(1, 1e9), (4, 100.0)])
def test_no_reason_to_come_back(threads: int, cost: float) -> None:
    """With one thread, or if little is left, a run comes back at its end."""
    one = Gated(threads, cost=cost)
    one.flag[0] = 1
    assert not one.start()
    one.check()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_errors_come_before(threads: int) -> None:
    look_up = Kernel(kernels.LOOK_UP, (Buffer(0), Buffer(1), Constant(10), Scratch(0)), label="look_up")
    scale = Kernel(kernels.SCALE, (Scratch(0), Buffer(2)), label="scale")
    segments = [Segment((look_up,), 40), Segment((scale,), 40)]
    program = Executor(segments, buffers=3, workspace=8, scratch=160, pool=pool(threads))
    early = program.returning(1, 1e9)
    table, index, out = np.arange(10, dtype=np.float32), np.arange(40) % 10, np.zeros(40, np.float32)
    arguments = program.pack(*[a.ctypes.data for a in (table, index, out)])
    for _ in range(100):
        program.run_packed(arguments, early)
        program.pool.join()
        assert (out == table[index] * np.float32(1e-3)).all()
        index[[9, 17]] = 10, -3
        out[:] = -1
        with pytest.raises(KernelError):
            program.run_packed(arguments, early)
        program.pool.join()
        assert (out == -1).all()
        index[[9, 17]] = 9, 7


def test_small_programs_one_upon_the_other_wake_the_workers() -> None:
    one, p, end = Chain([16, 16], 4, cost=1e5), pool(4), time.monotonic() + DEADLINE
    p._set("alone", 1)
    while p._get("alone"):
        assert time.monotonic() < end
        p._set("shunned", 0)
        one.run()


def test_small_programs_now_and_then_let_the_workers_sleep() -> None:
    one = Chain([16, 16], 4, cost=1e5)
    for _ in range(10):
        time.sleep(0.005)
        one.run()
        assert one.program.pool._get("alone")
        assert one.program.pool._get("missed") == 1e5


@pytest.mark.skipif(machine.available_threads() < 2, reason="on one core no worker is awake while the caller is")
def test_a_late_worker_in_a_small_program_is_charged() -> None:
    """The caller takes the first chunk and a worker the second, which waits at a gate."""
    total = Kernel(kernels.SUM, (Buffer(0), Buffer(1), Constant(4)))
    gate = Segment((Kernel(kernels.GATE, (Buffer(2), Buffer(3))),), 1)
    p, end, lost = pool(2), time.monotonic() + DEADLINE, 0
    program = Executor([Segment((total,), 1, (gate,))], buffers=4, workspace=8, cost=1e5, pool=p)
    a, sum_, flag, passed = np.arange(4, dtype=np.float32), np.zeros(1, np.float32), *np.zeros((2, 1), np.int64)
    while lost <= 0:  # the caller may have been at the gate itself
        assert time.monotonic() < end
        p._set("credit", MOST_CREDIT)
        p._set("shunned", 0)
        flag[0] = 0
        threading.Timer(0.005, flag.fill, (1,)).start()
        Chain([16, 16], 2).run()
        program.run_packed(program.pack(*[x.ctypes.data for x in (a, sum_, flag, passed)]))
        assert sum_[0] == 6 and passed[0] == 1
        lost = MOST_CREDIT - p._get("credit")
    assert lost >= 1e9 * SPIN_SECONDS - 1e5
