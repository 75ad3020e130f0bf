"""Native programs on threads: the same results for any number of them, errors, arguments, profiles."""

from __future__ import annotations

import ctypes
import functools
import itertools
import random
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

import _cpu_runtime as kernels
import numpy as np
import pytest

from flambeau.compiler.cpu import pool as pools
from flambeau.compiler.cpu.code_cache import CodeCache
from flambeau.compiler.cpu.disk import Disk
from flambeau.compiler.cpu.executor import (
    Array,
    Buffer,
    Constant,
    Executor,
    Kernel,
    KernelError,
    Scalar,
    Scratch,
    Segment,
)
from flambeau.compiler.cpu.pool_text import MAX_CHUNKS

pytest.importorskip("llvmlite")


@functools.cache
def cache() -> CodeCache:
    return CodeCache(store=Disk(None))


@functools.cache
def pool(threads: int) -> pools.Pool:
    try:
        return pools.Pool(threads, cache())
    except NotImplementedError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def quiet() -> Any:
    yield
    for threads in (2, 3, 4, 8):
        pool(threads).stop()


def address(array: np.ndarray) -> int:
    return array.ctypes.data


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("chunks", [0, 1, 2, 3, 5, 64, 1000])
def test_a_map(threads: int, chunks: int) -> None:
    program = Executor(
        [Segment((kernels.add(),), chunks)], buffers=2, scalars=["float32"], cost=None, pool=pool(threads)
    )
    a = np.arange(64 * chunks, dtype=np.float32)
    out = np.zeros_like(a)
    for s in (1.5, -2.0):
        program.run([address(a), address(out)], [s])
        assert (out == a + np.float32(s)).all()


def reduction(threads: int, chunks: int, length: int) -> Executor:
    """Sums chunks, then the partial sums in one chunk, then adds the total to the input."""
    partial = Kernel(kernels.SUM, (Buffer(0), Scratch(0), Constant(length)), label="partial")
    total = Kernel(kernels.SUM, (Scratch(0), Buffer(1), Constant(chunks)), label="total")
    return Executor(
        [Segment((partial,), chunks), Segment((total,), 1)],
        buffers=2,
        workspace=64,
        scratch=4 * chunks,
        pool=pool(threads),
    )


def test_a_reduction_has_the_same_bits_for_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    a = (rng.standard_normal(100 * 77) * 10.0 ** rng.integers(-3, 3, 100 * 77)).astype(np.float32)
    found = set()
    for threads in (1, 2, 3, 4):
        program = reduction(threads, 77, 100)
        for _ in range(50):
            out = np.zeros(1, np.float32)
            program.run([address(a), address(out)])
            found.add(out.tobytes())
    assert len(found) == 1
    rows = functools.reduce(np.add, a.reshape(77, 100).T)
    assert np.frombuffer(found.pop(), np.float32)[0] == functools.reduce(np.add, rows)


class Chain:
    """Segments that each check that the one before is done, all of it, and nothing after it."""

    def __init__(self, counts: Sequence[int], threads: int, cost: float | None = None) -> None:
        self.cells = [np.zeros(n, np.int64) for n in counts]
        self.wrong = np.zeros(1, np.int64)
        self.runs = 0
        last = len(counts) - 1
        segments = []
        for i, n in enumerate(counts):
            before = i - 1 if i else last
            operands = (Buffer(before), Constant(counts[before]), Buffer(i), Buffer(last + 1), Constant(int(i > 0)))
            segments.append(Segment((Kernel(kernels.ORDER, operands),), n, light=5 * i % (n + 1)))
        self.program = Executor(segments, buffers=len(counts) + 1, cost=cost, pool=pool(threads))
        self.addresses = [*map(address, self.cells), address(self.wrong)]

    def run(self) -> None:
        self.program.run(self.addresses)
        self.runs += 1

    def is_right(self) -> bool:
        return not self.wrong[0] and all((cells == self.runs).all() for cells in self.cells)


class Braid(Chain):
    """Chains of the same length whose segments run beside one another."""

    def __init__(self, counts: Sequence[Sequence[int]], threads: int) -> None:
        chains = [Chain(one, threads) for one in counts]
        segments = []
        for stage in zip(*[one.program.segments for one in chains]):
            shift = itertools.accumulate([len(one.addresses) for one in chains], initial=0)
            first, *beside = [shifted(segment, by) for segment, by in zip(stage, shift)]
            segments.append(first._replace(beside=tuple(beside)))
        self.chains = chains
        self.addresses = [address for one in chains for address in one.addresses]
        self.program = Executor(segments, buffers=len(self.addresses), pool=pool(threads))

    def run(self) -> None:
        self.program.run(self.addresses)
        for one in self.chains:
            one.runs += 1

    def is_right(self) -> bool:
        return all(one.is_right() for one in self.chains)


def shifted(segment: Segment, by: int) -> Segment:
    """The segment with other buffers."""
    (kernel,) = segment.kernels
    moved = [Buffer(o.index + by, o.offset) if isinstance(o, Buffer) else o for o in kernel.operands]
    return segment._replace(kernels=(kernel._replace(operands=tuple(moved)),))


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8])
def test_kernels_run_beside_one_another(threads: int) -> None:
    rng = random.Random(threads)
    braids = []
    for _ in range(10):
        length, width = rng.randint(2, 6), rng.randint(2, 5)
        counts = [[rng.choice([1, 1, 2, 3, 4, 16]) for _ in range(length)] for _ in range(width)]
        braids.append(Braid(counts, threads))
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        for _ in range(100):
            rng.choice(braids).run()
        time.sleep(0.0005)
    assert all(braid.is_right() for braid in braids)


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8])
def test_segments_run_in_order_and_chunks_once(threads: int) -> None:
    rng = random.Random(threads)
    counts = [[rng.choice([1, 1, 2, 3, 4, 5, 7, 16, 33]) for _ in range(rng.randint(2, 12))] for _ in range(10)]
    chains = [Chain(one, threads) for one in counts]
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        for _ in range(200):
            rng.choice(chains).run()
        time.sleep(0.0005)  # now and then the workers fall asleep
    assert all(chain.is_right() for chain in chains)


def test_two_python_threads() -> None:
    chains = [Chain([4, 1, 7, 16], 3), Chain([5, 5], 3)]

    def work(chain: Chain) -> None:
        for _ in range(2000):
            chain.run()

    both = [threading.Thread(target=work, args=(chain,)) for chain in chains]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert all(chain.is_right() and chain.runs == 2000 for chain in chains)


def test_one_program_in_two_python_threads() -> None:
    """Arguments belong to a call, not to the program."""
    program = Executor([Segment((kernels.add(),), 8)], buffers=2, scalars=["float32"], pool=pool(2))
    wrong = []

    def work(s: float) -> None:
        a, out = np.ones(512, np.float32), np.zeros(512, np.float32)
        for _ in range(1000):
            program.run([address(a), address(out)], [s])
            if (out != 1 + s).any():
                wrong.append(s)

    both = [threading.Thread(target=work, args=(s,)) for s in (1.0, 2.0, 3.0)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert not wrong


class TestArguments:
    def test_scalars_of_all_types(self) -> None:
        text = kernels.HEAD + "".join(kernels.operand(f"v{i}", i, "i64") for i in range(6))
        text += kernels.operand("out", 6)
        for i in range(6):
            text += f"  %q{i} = getelementptr i64, ptr %out, i64 {i}\n  store i64 %v{i}, ptr %q{i}\n"
        kinds = ["float64", "float32", "int64", "uint64", "int32", "bool"]
        operands = (*map(Scalar, range(6)), Buffer(0))
        program = Executor(
            [Segment((Kernel(text + "  ret void\n}", operands),), 1)], buffers=1, scalars=kinds, pool=pool(1)
        )
        out = np.zeros(6, np.int64)
        program.run([address(out)], [0.1, 0.1, -5, 2**64 - 1, -7, True])
        assert out.tobytes() == struct.pack("<df4xqQi4x?7x", 0.1, 0.1, -5, 2**64 - 1, -7, True)

    def test_packed(self) -> None:
        program = Executor([Segment((kernels.add(),), 2)], buffers=2, scalars=["float32"], pool=pool(2))
        a, out = np.ones(128, np.float32), np.zeros(128, np.float32)
        arguments = program.pack(address(a), address(out), 2.0)
        for _ in range(3):
            out[:] = 0
            program.run_packed(arguments)
            assert (out == 3).all()

    def test_offsets_and_constants(self) -> None:
        kernel = Kernel(kernels.SUM, (Buffer(0, 8), Buffer(0, 40), Constant(3)))
        program = Executor([Segment((kernel,), 1)], buffers=1, workspace=8, pool=pool(1))
        a = np.arange(12, dtype=np.float32)
        program.run([address(a)])
        assert a[10] == 2 + 3 + 4

    def test_wrong_numbers_of_arguments(self) -> None:
        program = Executor([Segment((kernels.add(),), 1)], buffers=2, scalars=["float32"], pool=pool(1))
        for wrong in (([1], [1.0]), ([1, 2], []), ([1, 2, 3], [1.0])):
            with pytest.raises(struct.error):
                program.run(*wrong)

    @pytest.mark.parametrize(
        ("kernel", "chunks", "message"),
        [
            (kernels.add(source=2), 1, "the program has 2 buffers"),
            (kernels.add(scalar=1), 1, "the program has 1 scalars"),
            (kernels.add(), MAX_CHUNKS + 1, "expected at most 65535"),
            (kernels.add(), -1, "-1 chunks"),
            (Kernel(kernels.SCALE, (Scratch(8), Buffer(0))), 1, "the program has 8 scratch bytes"),
        ],
    )
    def test_wrong_tables(self, kernel: Kernel, chunks: int, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Executor([Segment((kernel,), chunks)], buffers=2, scalars=["float32"], scratch=8, pool=pool(1))

    def test_arrays_by_their_objects(self) -> None:
        """Native code finds the data of whatever arrays it is given, and never that of those before."""
        add = Kernel(kernels.ADD, (Array(0, 4), Array(1), Scalar(0)))
        program = Executor([Segment((add,), 2)], arrays=2, scalars=["float32"], pool=pool(2))
        for k in range(50):
            a, out = np.full(129, k, np.float32), np.zeros(128, np.float32)
            a[0] = np.nan
            program.run_packed(program.pack(id(a), id(out), 0.5))
            assert (out == k + 0.5).all()
        with pytest.raises(ValueError, match="the program has 1 arrays"):
            Executor([Segment((add,), 2)], arrays=1, scalars=["float32"], pool=pool(2))

    def test_pythons_without_such_objects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pools, "ARRAY_DATA", 8)
        with pytest.raises(NotImplementedError, match="programs run on NumPy"):
            pools.Pool(1, cache())

    def test_no_segments(self) -> None:
        Executor([], buffers=0, pool=pool(4)).run([])


class TestErrors:
    def program(self, threads: int, chunks: int) -> Executor:
        look_up = Kernel(kernels.LOOK_UP, (Buffer(0), Buffer(1), Constant(10), Scratch(0)), label="look_up")
        scale = Kernel(kernels.SCALE, (Scratch(0), Buffer(2)), label="scale")
        return Executor(
            [Segment((look_up,), chunks), Segment((scale,), chunks)],
            buffers=3,
            workspace=8,
            scratch=4 * chunks,
            pool=pool(threads),
        )

    @pytest.mark.parametrize("threads", [1, 2, 4])
    def test_the_first_one_comes_back(self, threads: int) -> None:
        program = self.program(threads, 40)
        table = np.arange(10, dtype=np.float32)
        index = np.arange(40) % 10
        out = np.zeros(40, np.float32)
        places = [address(table), address(index), address(out)]
        for _ in range(100):
            program.run(places)
            assert (out == table[index] * np.float32(1e-3)).all()
            index[[9, 17, 39]] = 10, -3, 99
            out[:] = -1
            with pytest.raises(
                KernelError, match=r"kernel 0 \(look_up\) reported error 7 with value 10 in chunk 9"
            ) as e:
                program.run(places)
            assert (e.value.code, e.value.value, e.value.step, e.value.chunk) == (7, 10, 0, 9)
            assert (out == -1).all()  # nothing after the segment ran
            index[[9, 17, 39]] = 9, 7, 9

    @pytest.mark.parametrize("threads", [1, 4])
    def test_beside_others(self, threads: int) -> None:
        """The chunk is counted within the kernel's own; what runs beside it runs all the same."""
        group = self.program(threads, 40).segments[0]
        scale = Kernel(kernels.SCALE, (Buffer(0), Buffer(2)), label="scale")
        beside = Segment((scale,), 10, (group,))
        program = Executor([beside], buffers=3, workspace=8, scratch=160, pool=pool(threads))
        table, index, out = np.ones(10, np.float32), np.arange(40) % 10, np.zeros(10, np.float32)
        index[[17, 30]] = 12, 13
        with pytest.raises(KernelError, match=r"kernel 1 \(look_up\) .* value 12 in chunk 17"):
            program.run([address(table), address(index), address(out)])
        assert (out == np.float32(1e-3)).all()

    def test_a_negative_value(self) -> None:
        program = self.program(2, 3)
        table, index, out = np.ones(10, np.float32), np.array([0, 0, -3]), np.zeros(3, np.float32)
        with pytest.raises(KernelError, match="value -3 in chunk 2"):
            program.run([address(table), address(index), address(out)])


class TestSettings:
    def test_number_of_threads(self) -> None:
        one = pools.Pool(2, cache())
        program = Executor([Segment((kernels.add(),), 100)], buffers=2, scalars=["float32"], pool=one)
        a = np.arange(6400, dtype=np.float32)
        for threads in (3, 1, 4, 2):
            one.threads = threads
            out = np.zeros_like(a)
            program.run([address(a), address(out)], [1.0])
            assert (out == a + 1).all()
            assert one.workers == threads - 1 and one.threads == threads
        one.stop()
        assert one.workers == 0
        for wrong in (0, -1, 257):
            with pytest.raises(ValueError, match="expected 1 to 256"):
                one.threads = wrong

    def test_threads_change_while_programs_run(self) -> None:
        one = pools.Pool(2, cache())
        program = Executor([Segment((kernels.add(),), 20)], buffers=2, scalars=["float32"], pool=one)
        stop, wrong = [], []

        def work() -> None:
            a, out = np.ones(1280, np.float32), np.zeros(1280, np.float32)
            while not stop:
                out[:] = 0
                program.run([address(a), address(out)], [1.0])
                wrong.extend(out[out != 2])

        worker = threading.Thread(target=work)
        worker.start()
        for i in range(60):
            one.threads = 1 + i % 4
            one.reserve(4096 * i, 8192 * i)
        stop.append(1)
        worker.join()
        one.stop()
        assert not wrong

    def test_the_environment_sets_the_number_of_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        assert pools.default_threads() == 3
        monkeypatch.setenv("OMP_NUM_THREADS", "no")
        monkeypatch.setattr(pools.machine, "available_threads", lambda: 5)
        assert pools.default_threads() == 5

    def test_little_work_stays_on_one_thread(self) -> None:
        one = pools.Pool(4, cache())
        Executor([Segment((kernels.busy(10),), 4)], buffers=1, cost=100, pool=one).run([address(np.zeros(4))])
        assert one.workers == 0
        Executor([Segment((kernels.busy(10),), 4)], buffers=1, cost=1e9, pool=one).run([address(np.zeros(4))])
        assert one.workers == 3
        one.stop()

    def test_a_system_that_starts_no_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one = pools.Pool(4, cache())
        original, started = pools._thread.start_new_thread, []

        def limited(function: Any, arguments: Any) -> int:
            if started:
                raise RuntimeError("can't start new thread")
            started.append(1)
            return original(function, arguments)

        monkeypatch.setattr(pools._thread, "start_new_thread", limited)
        chain = Executor([Segment((kernels.busy(10),), 40)], buffers=1, pool=one)
        out = np.zeros(40, np.int64)
        chain.run([address(out)])
        assert (out != 0).all() and one.threads == 1

    def test_the_process_s_pool(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in (("_default", None), ("_wanted", None), ("_flush", False)):
            monkeypatch.setattr(pools, name, value)
        monkeypatch.setattr(pools.code_cache, "default", cache)
        pools.set_num_threads(3)
        pools.set_flush_denormal(True)
        assert pools.get_num_threads() == 3 and pools._default is None
        one = pools.default()
        assert pools.default() is one and one.threads == 3
        program = Executor([Segment((Kernel(kernels.SCALE, (Buffer(0), Buffer(1))),), 1)], buffers=2)
        a, out = np.full(1, 1e-37, np.float32), np.ones(1, np.float32)
        program.run([address(a), address(out)])
        assert out[0] == 0
        pools.set_flush_denormal(False)
        program.run([address(a), address(out)])
        assert out[0] > 0
        pools.set_num_threads(2)
        assert one.threads == pools.get_num_threads() == 2
        with pytest.raises(ValueError, match="got 0"):
            pools.set_num_threads(0)
        one.stop()

    def test_denormals(self) -> None:
        one = pools.Pool(2, cache())
        program = Executor([Segment((Kernel(kernels.SCALE, (Buffer(0), Buffer(1))),), 64)], buffers=2, pool=one)
        a, out = np.full(64, 1e-37, np.float32), np.zeros(64, np.float32)
        for flush in (False, True, False):
            one.flush_denormals(flush)
            for _ in range(20):
                program.run([address(a), address(out)])
                assert (out == (0 if flush else a * np.float32(1e-3))).all()
            assert np.float32(1e-37) * np.float32(1e-3) > 0  # the caller's own arithmetic is left alone
        one.stop()

    def test_stacks_and_workspaces_are_aligned(self) -> None:
        text = kernels.HEAD + kernels.operand("out", 0)
        text += """  %slot = alloca <16 x float>, align 64
  store volatile <16 x float> zeroinitializer, ptr %slot, align 64
  %a = ptrtoint ptr %slot to i64
  %b = ptrtoint ptr %w to i64
  %ab = or i64 %a, %b
  %low = and i64 %ab, 63
  %p = getelementptr i64, ptr %out, i64 %c
  store i64 %low, ptr %p
  ret void
}"""
        program = Executor([Segment((Kernel(text, (Buffer(0),)),), 200)], buffers=1, workspace=100, pool=pool(4))
        out = np.ones(200, np.int64)
        program.run([address(out)])
        assert not out.any()


def test_the_clock_counts() -> None:
    assert 1e6 < pool(1).ticks_per_second < 1e11


def test_profile() -> None:
    first, second = kernels.busy(200_000), Kernel(kernels.BUSY, (Buffer(0), Constant(20_000)), label="short")
    program = Executor([Segment((first, second), 6), Segment((second,), 1)], buffers=1, pool=pool(2))
    out = np.zeros(6, np.int64)
    program.run([address(out)])
    profile = program.profile([address(out)])
    assert len(profile.step) == 13 and profile.labels == ["busy", "short", "short"]
    assert sorted(zip(profile.step, profile.chunk)) == [*((s, c) for s in (0, 1) for c in range(6)), (2, 0)]
    assert set(profile.thread) <= {0, 1}
    long, short = (min((profile.end - profile.begin)[profile.step == step]) for step in (0, 1))
    assert 3 < long / short < 30
    assert profile.by_kernel()[0] >= 6 * long and profile.by_kernel()[1] >= 6 * short
    assert (profile.begin >= 0).all() and (profile.begin <= profile.end).all() and profile.end.max() <= profile.seconds
    assert profile.begin[profile.step == 2][0] >= profile.end[profile.step == 1].max()
    ctypes.memset(address(out), 0, out.nbytes)
    program.run([address(out)])
    assert out.all()


def test_profile_of_what_runs_beside_one_another() -> None:
    one, other = kernels.busy(1000), kernels.busy(1000, 1)
    program = Executor([Segment((one,), 3, (Segment((other, other), 2),))], buffers=2, pool=pool(2))
    out = np.zeros((2, 3), np.int64)
    profile = program.profile([address(out[0]), address(out[1])])
    calls = [*((0, c) for c in range(3)), *((s, c) for s in (1, 2) for c in range(2))]
    assert sorted(zip(profile.step, profile.chunk)) == calls and out[0].all() and out[1, :2].all()


def test_light_chunks_come_last() -> None:
    """The last thread begins with its share of the others, however many there are."""
    segment = Segment((kernels.busy(20_000),), 2, (Segment((kernels.busy(2000, 1),), 10),), light=10)
    program = Executor([segment], buffers=2, pool=pool(2))
    out = np.zeros((2, 10), np.int64)
    end = time.monotonic() + 100  # a busy machine may not let the worker run at once
    while True:
        profile = program.profile([*map(address, out)])
        own = [(step, chunk) for step, chunk, thread in zip(profile.step, profile.chunk, profile.thread) if thread]
        if own:
            break
        assert time.monotonic() < end
    assert own[0] == (0, 1)
    with pytest.raises(ValueError, match="13 of a segment's 12 chunks are light"):
        Executor([segment._replace(light=13)], buffers=2, pool=pool(2))


def test_work_is_shared() -> None:
    program = Executor([Segment((kernels.busy(100_000),), 16)], buffers=1, pool=pool(4))
    out = np.zeros(16, np.int64)
    end = time.monotonic() + 100  # a busy machine may not let the workers run at once
    while len(set(program.profile([address(out)]).thread)) < 2:
        assert time.monotonic() < end
