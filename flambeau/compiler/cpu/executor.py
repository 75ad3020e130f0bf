"""Programs: tables of kernels that one native call runs."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import Any, Union

import numpy as np

from ..._records import Record
from . import pool as pools
from .pool_text import MAX_CHUNKS

__all__ = ["Array", "Buffer", "Constant", "Executor", "Kernel", "KernelError"]
__all__ += ["Operand", "Profile", "Scalar", "Scratch", "Segment"]


class Buffer(Record):
    """An operand: the address `index` of a run's addresses plus `offset` bytes."""

    index: int
    offset: int = 0


class Array(Record):
    """An operand: where the data of the NumPy array `index` of a run's arrays begins, plus `offset` bytes."""

    index: int
    offset: int = 0


class Scratch(Record):
    """An operand: the address `offset` bytes into memory that lasts for one run."""

    offset: int = 0


class Scalar(Record):
    """An operand: the scalar `index` of a run, in the first bytes of the 8."""

    index: int


class Constant(Record):
    """An operand: a 64-bit integer, the same in every run."""

    value: int


Operand = Union[Buffer, Array, Scratch, Scalar, Constant]

# How a run's scalars are written: 8 bytes each, the value first.
SCALARS = {"float64": "d", "float32": "f4x", "int64": "q", "uint64": "Q", "int32": "i4x", "bool": "?7x"}


class Kernel(Record):
    """A function of LLVM text, `void (ptr operands, i64 chunk, ptr workspace)`, and what it works on.

    Operands lie at `operands`, 8 bytes each. The workspace belongs to the thread, is aligned to 128 bytes and keeps
    its contents from one kernel of a chunk to the next; scratch memory is aligned to a page. A kernel reports an error
    by storing a code that is not zero at `workspace + ERROR_CODE` and a value to tell at `workspace + ERROR_VALUE`
    (`pool_text`). It must not touch what another chunk of its segment writes. Floating-point arithmetic rounds to
    nearest in every thread, whatever the caller has set.

    Behind its operands lie so many zeros, which whoever knows the program's tables may change. ``turn``: of a kernel
    that runs in several segments, which time this is; profiles show one kernel.
    """

    text: str
    operands: tuple[Operand, ...]
    function: str = "kernel"
    label: str = ""
    zeros: int = 0
    turn: int = 0


class Segment(Record):
    """Kernels that run one after another for each of so many chunks, while chunks run in any order.

    ``beside``: further kernels, with chunks of their own, that run at the same time; none depends on others of them.
    ``light``: how many chunks at the end take little: threads get equal shares of the others.
    """

    kernels: tuple[Kernel, ...]
    chunks: int
    beside: tuple[Segment, ...] = ()
    light: int = 0

    @property
    def groups(self) -> tuple[Segment, ...]:
        """All that runs at the same time."""
        return (self, *self.beside)


class KernelError(RuntimeError):
    """A kernel found a value that it cannot work with. Segments after its own did not run.

    Attributes:
        code: what the kernel reported.
        value: the value that it told.
        step: which of the program's kernels.
        chunk: in which of the kernel's chunks; of several of a segment the first, however threads ran.
    """

    def __init__(self, code: int, value: int, step: int, chunk: int, label: str) -> None:
        super().__init__(f"kernel {step} ({label}) reported error {code} with value {value} in chunk {chunk}")
        self.code, self.value, self.step, self.chunk = code, value, step, chunk


class Profile(Record):
    """What ran when in one run: an entry for each chunk of each kernel, in the order of threads and time.

    Attributes:
        step: which kernel.
        chunk: which chunk.
        thread: on which thread; 0 is the calling one.
        begin: seconds since the run began.
        end: seconds since the run began.
        labels: the kernels' labels, by step.
        seconds: the whole run's time.
    """

    step: np.ndarray
    chunk: np.ndarray
    thread: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    labels: list[str]
    seconds: float

    def by_kernel(self) -> np.ndarray:
        """Each kernel's time in seconds, summed over chunks and threads."""
        return np.bincount(self.step, self.end - self.begin, len(self.labels))


class _Table(Record):
    """A program's arrays, which native code reads."""

    segments: Any
    steps: Any
    operands: Any
    arguments: Any
    scratch: Any
    arrays: Any


class Tables(Record):
    """What native code reads, to be changed between runs: ``segments`` of (first step, steps, chunks), ``steps`` of
    (function, operands, first chunk, chunks), ``arguments`` and ``arrays`` of (operand, offset of the source, addend).
    """

    header: np.ndarray
    segments: np.ndarray
    steps: np.ndarray
    operands: np.ndarray
    arguments: np.ndarray
    arrays: np.ndarray


class Executor:
    """A program, ready to run.

    Args:
        segments: what runs, in order.
        buffers: how many addresses each run gets.
        arrays: how many NumPy arrays each run gets, by their objects' addresses: `id(array)`.
        scalars: the types of each run's scalars: float64, float32, int64, uint64, int32, bool.
        workspace: bytes that a chunk of a segment needs for itself; contents are undefined at the start.
        scratch: bytes that the program needs between segments; contents are undefined at the start.
        cost: nanoseconds that other threads are thought to be able to take off the calling one; programs for which
            those are few stay on the calling thread. None: many.
        pool: the threads; by default the process's.
        functions: for each kernel the addresses of its text's functions, where they are known already.

    Attributes:
        pack: makes one bytes object of all arrays' ids, addresses and scalars, in order.

    Raises:
        CompileError: LLVM refuses a kernel.
        ValueError: an operand or a number of chunks is out of range.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        *,
        buffers: int = 0,
        arrays: int = 0,
        scalars: Sequence[str] = (),
        workspace: int = 0,
        scratch: int = 0,
        cost: float | None = None,
        pool: pools.Pool | None = None,
        functions: Sequence[dict[str, int]] | None = None,
    ) -> None:
        self.segments = tuple(segments)
        self.kernels = tuple(kernel for group in self.groups for kernel in group.kernels)
        self.pool = pools.default() if pool is None else pool
        self._check(buffers, arrays, len(scalars), scratch)
        self.pool.reserve(workspace, scratch)
        self.pack = struct.Struct(f"@{arrays + buffers}P" + "".join(SCALARS[scalar] for scalar in scalars)).pack
        if functions is None:
            functions = self.pool.cache.load([kernel.text for kernel in self.kernels])
        self._begin(self._tabulate(functions, arrays, arrays + buffers), len(self.segments), cost)

    @classmethod
    def of_tables(cls, told: Sequence[bytes], labels: Sequence[str], addresses: int, workspace: int) -> Executor:
        """A program whose tables were made before, each of its segments one kernel without scratch memory.

        Args:
            told: segments, steps, operands, arguments and arrays as in ``Tables``, where functions are not set yet and
                operands, instead of addresses, numbers of words in their table.
            labels: of the kernels.
            addresses: how many each run gets, those of arrays first.
            workspace: as of other programs.
        """
        self = cls.__new__(cls)
        self.segments, self.kernels = (), tuple([Kernel("", (), label=label) for label in labels])
        self.pool = pools.default()
        self.pool.reserve(workspace, 0)
        self.pack = struct.Struct(f"@{addresses}P").pack
        segments, steps, operands, arguments, arrays = map(_words_of, told)
        self._begin(_Table(segments, steps, operands, arguments, _words(()), arrays), len(labels), None)
        first, t = ctypes.addressof(operands), self.tables
        for rows, column in ((t.steps, 1), (t.arguments, 0), (t.arrays, 0)):
            rows[:, column] = rows[:, column] * 8 + first
        return self

    def _begin(self, table: _Table, segments: int, cost: float | None) -> None:
        """Notes what a run is told."""
        self._table = table
        self._header = self._describe(segments, cost)
        self._program = ctypes.c_void_p(ctypes.addressof(self._header))
        self._returning: list[Any] = []
        self._run = self.pool.native["run"]
        self._state = ctypes.c_void_p(self.pool.state)

    @property
    def tables(self) -> Tables:
        """The tables that native code reads. Whoever changes them sees to it that the program does not run."""
        t = self._table
        parts = [(self._header, 1), (t.segments, 3), (t.steps, 4), (t.operands, 1), (t.arguments, 3), (t.arrays, 3)]
        found = [np.frombuffer(part, np.int64) if len(part) else np.zeros(0, np.int64) for part, _ in parts]
        return Tables(*[a if width == 1 else a.reshape(-1, width) for a, (_, width) in zip(found, parts)])

    @property
    def groups(self) -> list[Segment]:
        """The groups of all segments."""
        return [group for segment in self.segments for group in segment.groups]

    def run(self, addresses: Sequence[int], scalars: Sequence[Any] = ()) -> None:
        """Runs the program to its end.

        Args:
            addresses: of the buffers.
            scalars: values of the types that the program was made with.

        Raises:
            KernelError: a kernel reported an error.
            struct.error: the number or a type of the arguments is not what the program takes.
        """
        self.run_packed(self.pack(*addresses, *scalars))

    def run_packed(self, arguments: bytes, program: Any = None) -> bool:
        """The same with arguments that `pack(*ids, *addresses, *scalars)` made. Arrays must live until it is done.

        Args:
            arguments: the arguments.
            program: by `returning`, to run it so.

        Returns:
            Whether the program still goes on. `Pool.join`, and whatever the pool does next, waits until it is done.
        """
        status = self._run(self._state, program or self._program, arguments)
        return status != 0 and self._conclude(status, program or self._program, arguments)

    def returning(self, segments: int, cost: float) -> Any:
        """The program for runs that come back once its first segments are done, while the rest goes on.

        Args:
            segments: how many; no kernel after them may report an error.
            cost: nanoseconds that the rest takes; if they are few, the run comes back at the end.
        """
        header = type(self._header)(*self._header)
        header[12:14] = segments, int(cost)
        self._returning.append(header)
        return ctypes.c_void_p(ctypes.addressof(header))

    def profile(self, addresses: Sequence[int], scalars: Sequence[Any] = ()) -> Profile:
        """Runs the program and says what ran when. The arguments and errors are those of `run`."""
        return self.profile_packed(self.pack(*addresses, *scalars))

    def profile_packed(self, arguments: bytes) -> Profile:
        """The same with arguments that `pack` made. Profilers put this in the place of the class's `run_packed`."""
        calls = int(self.tables.steps[:, 3].sum())
        clock = self.pool.native["clock"]
        rate = self.pool.ticks_per_second
        with self.pool.unchanged():
            trace = np.zeros((self.pool.threads, calls + 1, 4), np.int64)
            header = type(self._header)(*self._header)
            header[8:10] = trace.ctypes.data, trace.strides[0]
            program = ctypes.c_void_p(ctypes.addressof(header))
            begin = clock()
            status = self._run(self._state, program, arguments)
            if status:
                self._conclude(status, program, arguments)
            end = clock()
        return self._profile(trace, begin, end, rate)

    def _profile(self, trace: np.ndarray, begin: int, end: int, rate: float) -> Profile:
        thread = np.repeat(np.arange(len(trace)), trace[:, 0, 0])
        events = np.concatenate([one[1 : 1 + one[0, 0]] for one in trace])
        begins, ends = ((events[:, i] - begin) / rate for i in (0, 1))
        labels = [kernel.label or kernel.function for kernel in self.kernels if not kernel.turn]
        step = np.array(self._shown(), np.int64)[events[:, 2]]
        return Profile(step, events[:, 3], thread, begins, ends, labels, (end - begin) / rate)

    def _shown(self) -> list[int]:
        """For each kernel its number among those that profiles show: that of its first turn."""
        first: dict[str, int] = {}
        found: list[int] = []
        count = 0
        for kernel in self.kernels:
            if not kernel.turn:
                first[kernel.label], count = count, count + 1
            found.append(first[kernel.label])
        return found

    def _conclude(self, status: int, program: ctypes.c_void_p, arguments: bytes) -> bool:
        """Starts the workers where they are missing; raises an error that a kernel reported; does it still go on?"""
        while status == -1:
            self.pool.start()
            status = self._run(self._state, program, arguments)
        if status > 0:
            code, value, step, chunk = self.pool.error(status)
            kernel, first = self.kernels[step], self._table.steps[4 * step + 2]
            raise KernelError(code, value, step, chunk - first, kernel.label or kernel.function)
        return status < 0

    def _check(self, buffers: int, arrays: int, scalars: int, scratch: int) -> None:
        limits: dict[type, tuple[str, int]] = {Buffer: ("buffer", buffers), Array: ("array", arrays)}
        limits |= {Scalar: ("scalar", scalars), Scratch: ("scratch byte", max(scratch, 1))}
        for segment in self.segments:
            chunks = sum(group.chunks for group in segment.groups)
            if min(group.chunks for group in segment.groups) < 0 or chunks > MAX_CHUNKS:
                raise ValueError(f"a segment has {chunks} chunks; expected at most {MAX_CHUNKS}")
            if not 0 <= segment.light <= chunks:
                raise ValueError(f"{segment.light} of a segment's {chunks} chunks are light")
        for operand in (operand for kernel in self.kernels for operand in kernel.operands):
            name, limit = limits.get(type(operand), ("", 1))
            if name and not 0 <= operand[0] < limit:
                raise ValueError(f"{operand}: the program has {limit} {name}s")

    def _tabulate(self, functions: Sequence[dict[str, int]], first_buffer: int, first_scalar: int) -> _Table:
        """The tables that native code reads: steps, operands, and where each argument has to be written among these."""
        counts = [len(kernel.operands) + kernel.zeros for kernel in self.kernels]
        operands = (ctypes.c_uint64 * (sum(counts) + 1))()
        place = ctypes.addressof(operands)
        constants: list[int] = []  # in the places of operands
        steps: list[int] = []
        arguments: list[int] = []
        scratch: list[int] = []
        arrays: list[int] = []
        for kernel, found, chunks in zip(self.kernels, functions, self._ranges()):
            steps += found[kernel.function], place, *chunks
            for operand in kernel.operands:
                is_constant = isinstance(operand, Constant)
                constants.append(operand.value if is_constant else 0)
                if isinstance(operand, Scratch):
                    scratch += place, 0, operand.offset
                elif isinstance(operand, Array):
                    arrays += place, 8 * operand.index, operand.offset
                elif isinstance(operand, Buffer):
                    arguments += place, 8 * (first_buffer + operand.index), operand.offset
                elif not is_constant:
                    arguments += place, 8 * (first_scalar + operand.index), 0
                place += 8
            constants += [0] * kernel.zeros
            place += 8 * kernel.zeros
        operands[: len(constants)] = constants
        first, more = (_words(self._segment_words()), _words(steps)), (arguments, scratch, arrays)
        return _Table(*first, operands, *[_words(one) for one in more])

    def _ranges(self) -> list[tuple[int, int]]:
        """For each kernel the first of its chunks in its segment, and how many it has."""
        ranges = []
        for segment in self.segments:
            first = 0
            for group in segment.groups:
                ranges += [(first, group.chunks)] * len(group.kernels)
                first += group.chunks
        return ranges

    def _segment_words(self) -> list[int]:
        words, first = [], 0
        for segment in self.segments:
            count = sum(len(group.kernels) for group in segment.groups)
            words += [first, count, sum(group.chunks for group in segment.groups) | segment.light << 32]
            first += count
        return words

    def _describe(self, segments: int, cost: float | None) -> Any:
        table = self._table
        whole = 1 << 62 if cost is None else int(min(max(cost, 0), 1 << 62))
        places = [ctypes.addressof(part) for part in table]
        return _words(
            [
                *(segments, places[0], places[1]),
                *(places[3], len(table.arguments) // 3, places[4], len(table.scratch) // 3),
                *(whole, 0, 0),
                *(places[5], len(table.arrays) // 3),
                *(segments, 0),
            ]
        )


def _words(values: Sequence[int]) -> Any:
    return (ctypes.c_int64 * len(values))(*values)


def _words_of(content: bytes) -> Any:
    return (ctypes.c_int64 * (len(content) // 8)).from_buffer_copy(content)
