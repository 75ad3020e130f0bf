"""Native programs in a process's life: warm starts, forks, exits, Ctrl-C, other processes beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import flambeau
from flambeau.compiler.cpu import machine, target
from flambeau.compiler.cpu.code_cache import CodeCache
from flambeau.compiler.cpu.disk import Disk
from flambeau.compiler.cpu.pool_text import pool_text

pytest.importorskip("llvmlite")

HERE = Path(__file__).parent
HOME = Path(flambeau.__path__[0]).parent

try:
    pool_text(target.host(Disk(None)))
except NotImplementedError as unsupported:
    pytest.skip(str(unsupported), allow_module_level=True)

# A program of 20 segments of 16 chunks, and a check of what it computes.
PRELUDE = """
import os, signal, sys, threading, time
import numpy as np
import _cpu_runtime as kernels
from flambeau.compiler.cpu import pool as pools
from flambeau.compiler.cpu.executor import Buffer, Constant, Executor, Kernel, Segment

def make(iterations=20_000, segments=20, threads=4, variant=0):
    pools.set_num_threads(threads)
    kernel = kernels.busy(iterations)
    if variant:  # another kernel that computes something else
        kernel = Kernel(kernel.text.replace("1442695040888963407", str(variant)), kernel.operands)
    return Executor([Segment((kernel,), 16)] * segments, buffers=1)

def result(program):
    out = np.zeros(16, np.int64)
    program.run([out.ctypes.data])
    return out.tobytes()

def start(program):
    result(program)
    assert pools.default().workers == pools.get_num_threads() - 1
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the pool's code and the kernels already."""
    folder = tmp_path_factory.mktemp("cache")
    assert run("result(make())", folder) == ""
    return folder


def environment(folder: Path | str, **more: str) -> dict[str, str]:
    path = os.pathsep.join([str(HOME), str(HERE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "FLAMBEAU_CACHE": str(folder), **more}


# A shell's background job is started with interrupts ignored, and so would be its children.
HEED_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def start(code: str, folder: Path | str, **more: str) -> subprocess.Popen[str]:
    program = HEED_INTERRUPTS + PRELUDE + textwrap.dedent(code)
    command = [sys.executable, "-W", "error", "-X", "faulthandler", "-c", program]
    return subprocess.Popen(
        command, env=environment(folder, **more), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(code: str, folder: Path | str, status: int = 0, **more: str) -> str:
    """What a new process prints; it must end with the given status and say nothing else."""
    process = start(code, folder, **more)
    try:
        out, err = process.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler tells where it hangs
        pytest.fail(f"the process hangs:\n{process.communicate()[1]}")
    assert (process.returncode, err) == (status, "")
    return out


def test_a_warm_start_does_without_llvmlite(cache: Path) -> None:
    code = """
    before = result(make())
    assert "llvmlite" not in sys.modules and "llvmlite.binding" not in sys.modules
    print(pools.default().cache.compiled, pools.default().cache.read)
    """
    assert run(code, cache) == "0 2\n"


def test_code_for_this_processor_runs_where_llvmlite_is_missing(cache: Path) -> None:
    code = """
    import importlib.util
    found = importlib.util.find_spec
    importlib.util.find_spec = lambda name, package=None: None if name == "llvmlite" else found(name, package)
    sys.modules["llvmlite"] = None
    result(make())
    try:
        make(variant=5)
    except RuntimeError as error:
        print(type(error).__name__, error)
    """
    assert run(code, cache) == "MissingCompiler native code needs llvmlite: pip install llvmlite\n"


def test_no_memory_is_writable_and_executable(cache: Path) -> None:
    code = """
    start(make())
    with open("/proc/self/maps") as maps:
        modes = [line.split()[1] for line in maps]
    print([mode for mode in modes if "w" in mode and "x" in mode])
    """
    assert run(code, cache) == "[]\n"


@pytest.mark.parametrize("name", ["sse2", "avx2", "avx512-emulated"])
def test_other_processors_compute_the_same(cache: Path, tmp_path: Path, name: str) -> None:
    try:
        target.named(name, target.host(Disk(None)))
    except ValueError as error:
        pytest.skip(str(error))
    code = "print(result(make()).hex())"
    assert run(code, tmp_path, FLAMBEAU_CPU=name) == run(code, cache)


def test_processes_that_share_a_new_cache(tmp_path: Path) -> None:
    code = """
    for i in range(10):
        found = {result(make(1000, variant=i % 5)) for _ in range(3)}
        assert len(found) == 1
    print(result(make(1000)).hex())
    """
    processes = [start(code, tmp_path / "cache") for _ in range(3)]
    outputs = {process.communicate(timeout=200) for process in processes}
    assert len(outputs) == 1 and outputs.pop()[1] == ""
    assert not list((tmp_path / "cache").rglob(".*"))


class TestFork:
    def test_children_and_parent_go_on(self, cache: Path) -> None:
        code = """
        program = make()
        start(program)
        expected = result(program)
        for _ in range(3):
            child = os.fork()
            if not child:
                assert pools.default().workers == 0
                good = result(program) == expected and pools.default().workers == 3 and result(program) == expected
                os._exit(0 if good else 1)
            assert os.waitpid(child, 0)[1] == 0
            assert result(program) == expected
        """
        run(code, cache)

    def test_while_another_thread_runs_programs(self, cache: Path) -> None:
        code = """
        program = make()
        expected = result(program)
        stop = []
        def work():
            while not stop:
                assert result(program) == expected
        worker = threading.Thread(target=work)
        worker.start()
        for _ in range(8):
            child = os.fork()
            if not child:
                os._exit(0 if result(program) == expected else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.append(1)
        worker.join()
        """
        run(code, cache)

    def test_multiprocessing(self, cache: Path) -> None:
        code = """
        import multiprocessing
        program = make()
        expected = result(program)
        def work(i):
            return result(program) == expected
        with multiprocessing.get_context("fork").Pool(2) as children:
            assert all(children.map(work, range(10)))
            assert result(program) == expected
        """
        run(code, cache)

    def test_new_kernels_in_children(self, cache: Path, tmp_path: Path) -> None:
        code = """
        program = make()
        start(program)
        children = []
        for i in range(4):
            child = os.fork()
            if not child:
                first = result(make(variant=5 + i % 2))
                os._exit(0 if result(program) != first and result(make(variant=5 + i % 2)) == first else 1)
            children.append(child)
        assert all(os.waitpid(child, 0)[1] == 0 for child in children)
        result(make(variant=5))
        """
        run(code, tmp_path)


class TestExit:
    def test_while_workers_look_for_work(self, cache: Path) -> None:
        run("start(make())", cache)

    def test_in_the_middle(self, cache: Path) -> None:
        code = """
        program = make(200_000)
        def work():
            while True:
                result(program)
        start(program)
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.01)
        sys.exit(3)
        """
        for _ in range(2):
            run(code, cache, status=3)

    def test_programs_after_it_run_on_one_thread(self, cache: Path) -> None:
        code = """
        import atexit
        def late():
            assert result(program) == expected and pools.default().workers == 0
            print("late")
        atexit.unregister(pools._at_exit)
        atexit.register(late)
        atexit.register(pools._at_exit)
        program = make()
        start(program)
        expected = result(program)
        """
        assert run(code, cache) == "late\n"

    def test_in_a_child(self, cache: Path) -> None:
        code = """
        program = make()
        start(program)
        child = os.fork()
        result(program)
        if not child:
            sys.exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
        """
        run(code, cache)


class TestInterrupt:
    def test_in_a_program(self, cache: Path) -> None:
        code = """
        program = make(100_000, 100)
        short = make()
        expected = result(short)
        start(program)
        try:
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
            while True:
                result(program)
        except KeyboardInterrupt:
            print("interrupted")
        assert result(short) == expected
        """
        assert run(code, cache) == "interrupted\n"

    def test_in_a_sleep_beside_workers(self, cache: Path) -> None:
        code = """
        start(make())
        begin = time.monotonic()
        try:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            time.sleep(30)
        except KeyboardInterrupt:
            assert time.monotonic() - begin < 25
            print("interrupted")
        """
        assert run(code, cache) == "interrupted\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_a_process_bound_to_one_processor_uses_one_thread(cache: Path) -> None:
    code = """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    assert pools.default_threads() == pools.default().threads == 1
    result(Executor(make(threads=1).segments, buffers=1))
    print(pools.default().workers)
    """
    assert run(code, cache, OMP_NUM_THREADS="") == "0\n"


@pytest.fixture
def busy_processes() -> Iterator[None]:
    """As many processes as processors that do nothing but compute."""
    count = machine.available_threads()
    running = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)]
    time.sleep(0.3)
    yield
    for process in running:
        process.kill()
    for process in running:
        process.wait()


@pytest.mark.usefixtures("busy_processes")
def test_a_loaded_machine_slows_programs_down_a_few_times_at_most(cache: Path) -> None:
    """Threads that wait for one another at barriers take up to a hundred times as long there."""
    code = """
    def mean(threads):
        program = make(20_000, 2, threads)
        result(program)
        begin = time.perf_counter()
        for _ in range(40):
            result(program)
        return time.perf_counter() - begin
    for _ in range(5):
        print(mean(max(2, pools.default_threads())) / mean(1))
    """
    assert min(map(float, run(code, cache).split())) < 4


def test_a_cache_entry_of_another_process_is_checked(cache: Path, tmp_path: Path) -> None:
    code = "print(result(make()).hex())"
    expected = run(code, tmp_path)
    for path in (tmp_path / "code-1").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x40
        path.write_bytes(data)
    assert run(code, tmp_path) == expected
    assert run("make()\nprint(pools.default().cache.compiled)", tmp_path) == "0\n"


def test_without_a_folder(tmp_path: Path) -> None:
    assert run("result(make())\nprint(pools.default().cache.compiled)", "off") == "2\n"
    assert isinstance(CodeCache(store=Disk(None)).target.vector_bytes, int)
