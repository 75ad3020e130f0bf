"""What this machine can do at most, measured: floating-point operations and bytes a second, by so many threads.

Times of programs are shown beside these. Where no native code can be run, NumPy's product and copy stand in.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .executor import Buffer, Constant, Executor, Kernel, Segment
from .pool import Pool, default
from .target import MissingCompiler

ACCUMULATORS = 12  # enough for two units of a latency of 4, few enough for 16 registers
TURNS = 20_000
STREAM = 1 << 26  # bytes that are copied: more than caches hold, of most machines
SECONDS = 0.2


class Peak(NamedTuple):
    """The machine's best.

    Attributes:
        flops: float32 operations a second, a fused multiplication and addition counting as two.
        bytes: bytes read and written a second by a copy of large memory.
        threads: by how many threads.
    """

    flops: float
    bytes: float
    threads: int


@functools.cache
def peak(threads: int | None = None) -> Peak:
    """As ``measure``, once in a process for each number of threads."""
    return measure(threads)


def measure(threads: int | None = None) -> Peak:
    """Measures for about half a second.

    Args:
        threads: how many; by default the number of threads of the process's pool.
    """
    try:
        pool = default() if threads is None else Pool(threads, default().cache)
    except (MissingCompiler, NotImplementedError):
        return _by_numpy(threads or 1)
    try:
        return Peak(_flops(pool), _bytes(pool), pool.threads)
    finally:
        if threads is not None:
            pool.stop()


def _flops(pool: Pool) -> float:
    target = pool.cache.target
    lanes = target.vector_bytes // 4
    chunks = 16 * pool.threads
    values = np.zeros(16 * chunks, np.float32)
    kernel = Kernel(_multiply_add(lanes), (Buffer(0), Constant(TURNS)))
    program = Executor([Segment((kernel,), chunks)], buffers=1, pool=pool)
    address = values.ctypes.data
    return 2.0 * lanes * ACCUMULATORS * TURNS * chunks / _best(lambda: program.run([address]))


def _bytes(pool: Pool) -> float:
    lanes = pool.cache.target.vector_bytes // 4
    source, result = (np.ones(STREAM // 4, np.float32) for _ in range(2))
    chunks = 64
    kernel = Kernel(_copy(lanes), (Buffer(0), Buffer(1), Constant(STREAM // (4 * lanes * chunks))))
    program = Executor([Segment((kernel,), chunks)], buffers=2, pool=pool)
    addresses = [source.ctypes.data, result.ctypes.data]
    return 2.0 * STREAM / _best(lambda: program.run(addresses))


def _best(call: Callable[[], object]) -> float:
    """The shortest of the times of calls made for a while."""
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < SECONDS:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def _by_numpy(threads: int) -> Peak:
    a = np.ones((1024, 1024), np.float32)
    source, result = (np.ones(STREAM // 4, np.float32) for _ in range(2))
    flops = 2.0 * 1024**3 / _best(lambda: a @ a)
    return Peak(flops, 2.0 * STREAM / _best(lambda: np.copyto(result, source)), threads)


def _multiply_add(lanes: int) -> str:
    """A kernel of independent chains of fused multiplications and additions; the last values are stored."""
    vector = f"<{lanes} x float>"
    lines = [f"declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})"]
    lines += ["define void @kernel(ptr noalias %o, i64 %c, ptr %w) nounwind {", "entry:", "  %a = load ptr, ptr %o"]
    lines += ["  %np = getelementptr i8, ptr %o, i64 8", "  %n = load i64, ptr %np", "  %at = mul i64 %c, 16"]
    lines += [
        "  %p = getelementptr float, ptr %a, i64 %at",
        f"  %v = load {vector}, ptr %w, align 4",
        "  br label %loop",
    ]
    lines += ["loop:", "  %k = phi i64 [0, %entry], [%k1, %loop]"]
    lines += [f"  %x{i} = phi {vector} [%v, %entry], [%y{i}, %loop]" for i in range(ACCUMULATORS)]
    for i in range(ACCUMULATORS):
        lines += [f"  %y{i} = call {vector} @llvm.fma.v{lanes}f32({vector} %x{i}, {vector} %v, {vector} %v)"]
    lines += ["  %k1 = add i64 %k, 1", "  %e = icmp eq i64 %k1, %n", "  br i1 %e, label %end, label %loop", "end:"]
    lines += [f"  store volatile {vector} %y{i}, ptr %w, align 4" for i in range(ACCUMULATORS)]
    return "\n".join([*lines, "  store float 0.0, ptr %p", "  ret void", "}"])


def _copy(lanes: int) -> str:
    """A kernel that copies a share of memory, in vectors."""
    vector = f"<{lanes} x float>"
    return f"""define void @kernel(ptr noalias %o, i64 %c, ptr %w) nounwind {{
entry:
  %a = load ptr, ptr %o
  %bp = getelementptr i8, ptr %o, i64 8
  %b = load ptr, ptr %bp
  %np = getelementptr i8, ptr %o, i64 16
  %n = load i64, ptr %np
  %first = mul i64 %c, %n
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%k1, %loop]
  %at = add i64 %first, %k
  %p = getelementptr {vector}, ptr %a, i64 %at
  %q = getelementptr {vector}, ptr %b, i64 %at
  %x = load {vector}, ptr %p, align 4
  store {vector} %x, ptr %q, align 4
  %k1 = add i64 %k, 1
  %e = icmp eq i64 %k1, %n
  br i1 %e, label %end, label %loop
end:
  ret void
}}"""
