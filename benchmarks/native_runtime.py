"""What it costs to call, share out, load and compile native programs, beside the work that they do.

    python -m benchmarks.native_runtime

prints the figures of docs/performance/running.md. The kernels are hand-written: one that does nothing, one
that computes for a given time, one that multiplies matrices in registers.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from flambeau.compiler.cpu import loader, machine
from flambeau.compiler.cpu.assemble import assemble, assemble_all
from flambeau.compiler.cpu.code_cache import CodeCache
from flambeau.compiler.cpu.disk import Disk
from flambeau.compiler.cpu.executor import Constant, Executor, Kernel, Segment
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.cpu.pool_text import pool_text

NOTHING = "define void @kernel(ptr %o, i64 %c, ptr %w) {\n  ret void\n}"
BUSY = """
define void @kernel(ptr noalias %o, i64 %c, ptr %w) nounwind {
entry:
  %n = load i64, ptr %o
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%k1, %loop]
  %x = phi i64 [%c, %entry], [%x2, %loop]
  %x1 = mul i64 %x, 6364136223846793005
  %x2 = add i64 %x1, 1442695040888963407
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %loop, label %end
end:
  store volatile i64 %x2, ptr %w
  ret void
}
"""


def product_text(rows: int, lanes: int, number: int) -> str:
    """A kernel like those of matrix products: `rows` accumulators of `lanes` lanes, a loop of 1000 + `number` steps."""
    vector = f"<{lanes} x float>"
    lines = [f"declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})"]
    lines += ["define void @kernel(ptr noalias %o, i64 %c, ptr %w) nounwind {", "entry:", "  %a = load ptr, ptr %o"]
    lines += ["  %bp = getelementptr i8, ptr %o, i64 8", "  %b = load ptr, ptr %bp", "  br label %loop", "loop:"]
    lines += ["  %k = phi i64 [0, %entry], [%k1, %loop]"]
    lines += [f"  %c{i} = phi {vector} [zeroinitializer, %entry], [%n{i}, %loop]" for i in range(rows)]
    lines += [f"  %q = getelementptr {vector}, ptr %b, i64 %k", f"  %v = load {vector}, ptr %q, align 4"]
    for i in range(rows):
        lines += [f"  %i{i} = add i64 %k, {i * 64}", f"  %p{i} = getelementptr float, ptr %a, i64 %i{i}"]
        lines += [f"  %s{i} = load float, ptr %p{i}", f"  %t{i} = insertelement {vector} poison, float %s{i}, i64 0"]
        lines += [f"  %u{i} = shufflevector {vector} %t{i}, {vector} poison, <{lanes} x i32> zeroinitializer"]
        lines += [f"  %n{i} = call {vector} @llvm.fma.v{lanes}f32({vector} %u{i}, {vector} %v, {vector} %c{i})"]
    lines += [
        "  %k1 = add i64 %k, 1",
        f"  %e = icmp eq i64 %k1, {1000 + number}",
        "  br i1 %e, label %end, label %loop",
    ]
    lines += ["end:"]
    for i in range(rows):
        lines += [f"  %r{i} = getelementptr {vector}, ptr %a, i64 {i}", f"  store {vector} %n{i}, ptr %r{i}, align 4"]
    return "\n".join([*lines, "  ret void", "}"])


def timed(call: Callable[[], object], count: int, sleep: float = 0.0) -> np.ndarray:
    """Microseconds of each of `count` calls."""
    times = np.empty(count)
    for i in range(count):
        if sleep:
            time.sleep(sleep)
        begin = time.perf_counter_ns()
        call()
        times[i] = (time.perf_counter_ns() - begin) / 1000
    return times


def show(name: str, times: np.ndarray) -> None:
    """Median, mean and 99th percentile."""
    print(f"{name:58} {np.median(times):9.2f} {times.mean():9.2f} {np.percentile(times, 99):9.2f}", flush=True)


def program(pool: Pool, segments: int, chunks: int, kernels: int = 1, iterations: int = 0) -> Executor:
    """A program of equal segments of the kernel that does nothing, or of the one that computes."""
    kernel = Kernel(BUSY, (Constant(iterations),)) if iterations else Kernel(NOTHING, ())
    return Executor([Segment((kernel,) * kernels, chunks)] * segments, buffers=0, workspace=64, pool=pool)


def iterations_of(pool: Pool, microseconds: float) -> int:
    """How many turns of the computing kernel take that long."""
    one = program(pool, 1, 1, iterations=200_000)
    return int(200_000 * microseconds / timed(lambda: one.run(()), 50).min())


def latency(cache: CodeCache, threads: int) -> None:
    """Calls of programs that do nothing or little."""
    pool = Pool(threads, cache)
    empty, single, several = program(pool, 0, 0), program(pool, 1, 1), program(pool, 1, threads)
    for one in (empty, single, several):
        one.run(())
    head = f"{threads} threads: "
    show(head + "no segment", timed(lambda: empty.run(()), 5000))
    show(head + "one chunk", timed(lambda: single.run(()), 5000))
    show(head + "one chunk a thread", timed(lambda: several.run(()), 5000))
    show(head + "one chunk a thread, after 10 ms of sleep", timed(lambda: several.run(()), 100, 0.01))
    kinds = {
        "one more segment of a chunk a thread": ([program(pool, n, threads) for n in (10, 210)], 200),
        "one more segment of one chunk": ([program(pool, n, 1) for n in (10, 210)], 200),
        "one more chunk": ([program(pool, 1, n) for n in (100, 5100)], 5000),
        "one more kernel": ([program(pool, 1, 1, n) for n in (10, 2010)], 2000),
    }
    for name, ((small, large), more) in kinds.items():
        found = [np.median(timed(lambda one=one: one.run(()), 300)) for one in (small, large)]
        print(f"{head + name:58} {(found[1] - found[0]) / more:9.4f}")
    pool.stop()


def sharing(cache: CodeCache, note: str) -> None:
    """Two segments of 16 chunks of 20 µs each."""
    turns = iterations_of(Pool(1, cache), 20)
    for threads in sorted({1, 2, machine.available_threads()}):
        pool = Pool(threads, cache)
        one = program(pool, 2, 16, iterations=turns)
        one.run(())
        show(f"{note}, {threads} threads: 2 x 16 x 20 µs", timed(lambda one=one: one.run(()), 2000))
        pool.stop()


def loaded(cache: CodeCache) -> None:
    """The same beside as many processes that compute as there are processors."""
    count = machine.available_threads()
    busy = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.3)
        sharing(cache, f"beside {count} busy processes")
    finally:
        for process in busy:
            process.kill()
            process.wait()


def loading(cache: CodeCache, folder: Path) -> None:
    """Compiling, reading and loading 200 kernels."""
    lanes = cache.target.vector_bytes // 4
    texts = [product_text(14 if lanes > 8 else 6, lanes, i) for i in range(200)]
    assemble(texts[0], cache.target)
    begin = time.perf_counter()
    for text in texts[:20]:
        assemble(text, cache.target)
    print(f"{'compile a kernel, one thread':58} {(time.perf_counter() - begin) / 20 * 1e3:9.2f} ms")
    begin = time.perf_counter()
    objects = list(assemble_all(texts, cache.target))
    print(f"{'compile a kernel, all threads':58} {(time.perf_counter() - begin) / 200 * 1e3:9.2f} ms")
    begin = time.perf_counter()
    images = [loader.prepare([content], []) for content in objects]
    print(f"{'object to image':58} {(time.perf_counter() - begin) / 200 * 1e6:9.2f} µs")
    for size in (1, 20, 200):
        begin = time.perf_counter()
        for _ in range(20):
            loader.load(images[:size])
        print(f"{f'load an image, {size} at once':58} {(time.perf_counter() - begin) / 20 / size * 1e6:9.2f} µs")
    CodeCache(cache.target, Disk(folder)).load(texts)
    begin = time.perf_counter()
    warm = CodeCache(cache.target, Disk(folder))
    warm.load(texts)
    assert warm.read == 200
    print(f"{'a kernel from disk, verified and loaded':58} {(time.perf_counter() - begin) / 200 * 1e6:9.2f} µs")
    begin = time.perf_counter()
    warm.load(texts)
    print(f"{'a kernel that is loaded already':58} {(time.perf_counter() - begin) / 200 * 1e6:9.2f} µs")
    begin = time.perf_counter()
    assemble(pool_text(cache.target), cache.target)
    print(f"{'compile the pool':58} {(time.perf_counter() - begin) * 1e3:9.2f} ms")


START = """
import time, sys
import flambeau
begin = time.perf_counter()
from flambeau.compiler.cpu import pool
from flambeau.compiler.cpu.executor import Executor, Kernel, Segment
text = "define void @kernel(ptr %o, i64 %c, ptr %w) {\\n  ret void\\n}"
Executor([Segment((Kernel(text, ()),), 4)], buffers=0).run(())
print((time.perf_counter() - begin) * 1e3, "llvmlite" in sys.modules)
"""


def starting(folder: Path) -> None:
    """From `import flambeau` to the end of the first program, in new processes."""
    import os

    for name in ("empty cache", "warm cache", "warm cache"):
        environment = {**os.environ, "FLAMBEAU_CACHE": str(folder)}
        done = subprocess.run(
            [sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True
        )
        took, imported = done.stdout.split()
        print(f"{f'first program after import, {name}':58} {float(took):9.2f} ms, llvmlite imported: {imported}")


def main() -> None:
    """Prints everything."""
    with tempfile.TemporaryDirectory() as folder:
        cache = CodeCache(store=Disk(Path(folder) / "pool"))
        print(f"{'µs':58} {'median':>9} {'mean':>9} {'p99':>9}")
        for threads in sorted({1, 2, machine.available_threads()}):
            latency(cache, threads)
        sharing(cache, "quiet")
        loaded(cache)
        loading(cache, Path(folder) / "kernels")
        starting(Path(folder) / "start")


if __name__ == "__main__":
    main()
