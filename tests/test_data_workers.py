"""Loaders with worker processes: what comes back, what goes wrong, and that nothing is left behind."""

from __future__ import annotations

import collections
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.utils import data
from flambeau.utils.data import DataLoader
from flambeau.utils.data._utils import packing
from flambeau.utils.data._utils.channel import Channel, pair

HOME = Path(torch.__path__[0]).parent
TWO_WORKERS = "ignore:This DataLoader will create"  # more than there may be cores
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HOME), "PYTHONWARNINGS": TWO_WORKERS}
pytestmark = pytest.mark.filterwarnings(TWO_WORKERS)
Pair = collections.namedtuple("Pair", "a b")
# What Python raises for local functions: PicklingError from 3.14 on.
UNPICKLABLE = (AttributeError, TypeError, pickle.PicklingError)


class Made(data.Dataset[Any]):
    """Samples that a function makes of their indices."""

    def __init__(self, length: int, make: Callable[[int], Any]) -> None:
        self.length = length
        self.make = make

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> Any:
        return self.make(i)


def own_children() -> int:
    return len(multiprocessing.active_children())


def open_files() -> int:
    """Sockets and files in memory of this process; other files come and go with Python's own start methods."""
    gc.collect()
    if not os.path.isdir("/proc/self/fd"):
        return 0
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum(os.readlink(link).startswith(("socket:", "/memfd:")) for link in links if os.path.islink(link))


@pytest.fixture(autouse=True, scope="module")
def workers_are_forked() -> Iterator[None]:
    """Most data sets here hold local functions, which only a fork carries over; Python 3.14 no longer forks unasked."""
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("fork", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture(autouse=True, scope="module")
def older_objects_are_not_looked_at() -> None:
    """What other tests have left is looked through neither by the collections below nor in each worker."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    before = open_files()
    yield
    gc.collect()
    assert (own_children(), open_files()) == (0, before)


def through_a_worker(make: Callable[[int], Any], length: int = 1, **options: Any) -> list[Any]:
    return list(DataLoader(Made(length, make), batch_size=None, num_workers=1, collate_fn=lambda x: x, **options))


# ---- what comes back ------------------------------------------------------------------------


VALUES: dict[str, Callable[[], Any]] = {
    "small": lambda: torch.arange(6.0).reshape(2, 3),
    "large": lambda: torch.arange(100_000).reshape(1000, 100),
    "transposed": lambda: torch.arange(60_000.0).reshape(200, 300).t(),
    "part": lambda: torch.arange(50_000.0)[100:40_000:7],
    "bfloat16": lambda: torch.arange(40_000).bfloat16() / 3,
    "complex": lambda: torch.arange(4) * (1 + 2j),
    "bool": lambda: torch.arange(70_000) % 3 == 0,
    "empty": lambda: torch.empty(0, 3),
    "number": lambda: torch.tensor(3.5),
    "pending": lambda: (torch.arange(5.0) + 1).sqrt(),
    "bytes": lambda: torch.arange(8, dtype=torch.int32).view(torch.uint8),
}


@pytest.mark.parametrize("shares_memory", [True, False])
@pytest.mark.parametrize("name", VALUES)
def test_tensors(name: str, shares_memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "SHARES_MEMORY", shares_memory and packing.SHARES_MEMORY)
    (found,) = through_a_worker(lambda i: VALUES[name]())
    expected = VALUES[name]()
    assert (found.dtype, found.shape, found.stride()) == (expected.dtype, expected.shape, expected.stride())
    assert torch.equal(found, expected)
    if found.dtype.is_floating_point:
        found.add_(1)
        assert torch.equal(found, expected + 1)


def test_structures() -> None:
    def make(i: int) -> Any:
        big = np.arange(20_000).reshape(100, 200)
        return {"x": [torch.ones(2), "text"], "y": Pair(big, np.float32(2)), "z": (None, np.asfortranarray(big), b"b")}

    (found,) = through_a_worker(make)
    assert type(found["y"]) is Pair and found["x"][1] == "text" and found["z"][0] is None and found["z"][2] == b"b"
    assert found["y"].a.tolist() == found["z"][1].tolist() == np.arange(20_000).reshape(100, 200).tolist()
    found["y"].a[0, 0] = 7  # arrays can be written


def test_views_of_one_memory_stay_views() -> None:
    def make(i: int) -> Any:
        x = torch.zeros(30_000)
        return x[10:20], x[15:20_000], x

    ((a, b, whole),) = through_a_worker(make)
    whole += 1
    b[0] = 5
    assert a.tolist() == [1, 1, 1, 1, 1, 5, 1, 1, 1, 1]


def test_of_a_view_only_what_it_sees_is_sent() -> None:
    rows = torch.arange(1_000_000.0).reshape(1000, 1000)
    payload, descriptor = packing.pack([rows[3, :5], rows[4, 2:4]])
    assert descriptor is None and len(payload) < 8000
    assert [x.tolist() for x in packing.unpack(payload, descriptor)] == [[3000, 3001, 3002, 3003, 3004], [4002, 4003]]


def test_gradients_do_not_cross_processes() -> None:
    (leaf,) = through_a_worker(lambda i: torch.ones(2, requires_grad=True))
    assert leaf.requires_grad and leaf.is_leaf
    (parameter,) = through_a_worker(lambda i: torch.nn.Parameter(torch.ones(2)))
    assert type(parameter) is torch.nn.Parameter
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor which requires_grad"):
        through_a_worker(lambda i: torch.ones(2, requires_grad=True) * 2)


def test_memory_is_handed_over_page_by_page() -> None:
    batches = list(DataLoader(Made(8, lambda i: torch.full((3, 64, 64), float(i))), batch_size=4, num_workers=2))
    assert [float(batch.sum()) for batch in batches] == [3 * 64 * 64 * 6.0, 3 * 64 * 64 * 22.0]
    batches[0].zero_()
    assert float(batches[1].sum()) == 3 * 64 * 64 * 22.0


def test_iterators_have_pytorchs_names() -> None:
    from flambeau.utils.data import dataloader

    with_workers = iter(DataLoader(Made(1, lambda i: i), num_workers=1))
    assert isinstance(with_workers, dataloader._MultiProcessingDataLoaderIter)
    assert isinstance(with_workers, dataloader._BaseDataLoaderIter)
    assert isinstance(iter(DataLoader([1])), dataloader._SingleProcessDataLoaderIter)  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="has no attribute '_no'"):
        _ = dataloader._no


def test_rows_of_tensors() -> None:
    dataset = data.TensorDataset(torch.arange(20.0).reshape(10, 2), torch.arange(10))
    loader = DataLoader(dataset, batch_size=4, num_workers=2)
    assert [batch[1].tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


# ---- workers ---------------------------------------------------------------------------------


def test_worker_info_and_init_function() -> None:
    def start(number: int) -> None:
        info = data.get_worker_info()
        assert info is not None and info.id == number
        info.dataset.make = lambda i: (info.id, info.num_workers, info.seed - number, os.getpid(), i)

    dataset = Made(4, lambda i: (i,))
    loader = DataLoader(dataset, batch_size=2, num_workers=2, worker_init_fn=start, collate_fn=lambda x: x)
    first, second = loader
    assert [s[:2] + s[4:] for s in first + second] == [(0, 2, 0), (0, 2, 1), (1, 2, 2), (1, 2, 3)]
    assert first[0][2] == second[0][2]
    assert len({first[0][3], second[0][3], os.getpid()}) == 3
    assert dataset.make(1) == (1,) and data.get_worker_info() is None


def test_persistent_workers_stay_and_unfinished_epochs_do_no_harm() -> None:
    loader = DataLoader(Made(6, lambda i: (os.getpid(), i)), None, num_workers=2, persistent_workers=True)
    first = list(loader)
    next(iter(loader))
    again = list(loader)
    assert first == again and len({pid for pid, _ in first}) == 2
    loader._iterator = None


def test_persistent_workers_that_were_killed_are_replaced() -> None:
    loader = DataLoader(Made(2, lambda i: i), None, num_workers=1, persistent_workers=True)
    assert list(loader) == [0, 1]
    (worker,) = multiprocessing.active_children()
    worker.kill()
    worker.join()
    assert list(loader) == [0, 1]
    loader._iterator = None


@pytest.mark.parametrize("in_order", [True, False])
def test_any_order(in_order: bool) -> None:
    """The worker that makes the first sample waits until another one is made, or has come."""
    go = multiprocessing.Event()

    def late_first(i: int) -> int:
        if i == 0:
            assert go.wait(60)
        elif in_order:
            go.set()
        return i

    samples = iter(DataLoader(Made(6, late_first), None, num_workers=2, in_order=in_order))
    first = next(samples)
    go.set()
    found = [first, *samples]
    assert sorted(found) == list(range(6)) and (found == sorted(found)) is in_order


def test_much_that_waits_on_both_sides_blocks_nobody() -> None:
    loader = DataLoader(
        Made(400_000, lambda i: "x" * 40),
        batch_size=4000,
        num_workers=2,
        prefetch_factor=50,
        collate_fn=lambda samples: samples,
    )
    assert sum(len(batch) for batch in loader) == 400_000


class Counted(data.Dataset[Any]):
    """Known by name, so that any start method can send it to a worker."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> Any:
        return torch.full((5000,), i), multiprocessing.get_start_method(allow_none=True)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_start_methods(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no start method {method} on this system")
    loader = DataLoader(Counted(), batch_size=2, num_workers=1, multiprocessing_context=method)
    assert [batch[0][:, 0].tolist() for batch in loader] == [[0, 1], [2, 3]]
    warned = pytest.warns(UserWarning, match="Got pickle error when attempting to start a worker Process")
    with warned, pytest.raises(UNPICKLABLE):
        list(DataLoader(Made(1, lambda i: i), num_workers=1, multiprocessing_context=method))


def test_more_workers_than_processors() -> None:
    with pytest.warns(UserWarning, match="This DataLoader will create 5000 worker processes in total. Our suggested"):
        DataLoader(Made(1, lambda i: i), num_workers=5000)


# ---- what goes wrong ---------------------------------------------------------------------------


class TwoArguments(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(a, b)


def failing(error: Callable[[], BaseException]) -> Callable[[int], Any]:
    def make(i: int) -> Any:
        if i == 1:
            raise error()
        return i

    return make


def local_error() -> Exception:
    class Local(Exception):
        pass

    return Local("of the function")


ERRORS: list[tuple[Callable[[], Exception], type[Exception], str]] = [
    (lambda: KeyError("missing"), KeyError, "KeyError: 'missing'"),
    (lambda: ValueError("bad value"), ValueError, "ValueError: bad value"),
    (lambda: TwoArguments(1, 2), RuntimeError, "TwoArguments: (1, 2)"),
    (local_error, RuntimeError, "Local: of the function"),
    (lambda: StopIteration("early"), StopIteration, "StopIteration: early"),
]


@pytest.mark.parametrize(("make", "kind", "text"), ERRORS)
def test_errors_are_raised_again_by_type(make: Callable[[], Exception], kind: type[Exception], text: str) -> None:
    iterator = iter(DataLoader(Made(3, failing(make)), batch_size=None, num_workers=1))
    assert next(iterator) == 0
    with pytest.raises(kind) as caught:
        next(iterator)
    message = str(caught.value)
    assert message.startswith("Caught ") and " in DataLoader worker process 0.\nOriginal Traceback" in message
    assert text in message and "failing" not in message.splitlines()[0]
    assert next(iterator) == 2


def test_errors_of_the_init_function_and_of_pickling() -> None:
    def start(number: int) -> None:
        raise ValueError("cannot start")

    with pytest.raises(ValueError, match="cannot start"):
        list(DataLoader(Made(2, lambda i: i), num_workers=1, worker_init_fn=start))
    with pytest.raises((*UNPICKLABLE, RuntimeError), match="pickle"):
        through_a_worker(lambda i: lambda: i)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda: os._exit(3), "exited unexpectedly with exit code 3. Details are lost due to multiprocessing"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "is killed by signal: Killed"),
    ],
)
def test_a_worker_that_dies(end: Callable[[], Any], reason: str) -> None:
    loader = DataLoader(Made(8, lambda i: end() if i == 3 else i), batch_size=None, num_workers=2)
    found = []
    with pytest.raises(RuntimeError, match=r"^DataLoader worker \(pid\(s\) \d+\) exited unexpectedly$") as caught:
        for x in loader:
            found.append(x)
    assert reason in str(caught.value.__cause__)
    assert found == list(range(len(found))) and len(found) <= 3
    assert own_children() == 0


def test_timeout() -> None:
    with pytest.raises(RuntimeError, match=r"^DataLoader timed out after 0\.2 seconds$"):
        through_a_worker(lambda i: time.sleep(10), timeout=0.2)


# ---- nothing is left behind ---------------------------------------------------------------------


def big(i: int) -> Any:
    return torch.full((50_000,), float(i))


def test_leaving_a_loop_early() -> None:
    for x in DataLoader(Made(50, big), batch_size=None, num_workers=2):
        if x[0] == 3:
            break
    assert own_children() == 0


def test_an_iterator_that_nobody_wants() -> None:
    with pytest.raises(ZeroDivisionError):
        for x in DataLoader(Made(50, big), batch_size=None, num_workers=2):
            1 / float(x[0])
    iterator = iter(DataLoader(Made(50, big), batch_size=None, num_workers=2))
    del iterator
    assert own_children() == 0


def test_channels_close_descriptors_that_nobody_took() -> None:
    before = open_files()
    channel, there = pair()
    other = Channel(there)
    for _ in range(3):
        other.send(*packing.pack(big(1)))
    channel.read()
    channel.close()
    with pytest.raises(OSError):
        other.send(b"x")
    other.close()
    assert open_files() == before


SCRIPT = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where interrupts were ignored
import multiprocessing, os, sys, time
multiprocessing.set_start_method("fork")
import flambeau as torch
from flambeau.utils.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 1000
    def __getitem__(self, i):
        if i > 3:
            time.sleep(SLEEP)
        return torch.full((50_000,), float(i))

x = torch.ones(300, 300)
(x @ x).sum().item()  # the threads of native programs have run
iterator = iter(DataLoader(Slow(), None, num_workers=2, persistent_workers=True))
next(iterator)
(x @ x).sum().item()
print(*(p.pid for p in iterator._crew.processes), flush=True)
"""


def started(sleep: float, rest: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A program with two workers, and their process numbers."""
    environment = {**ENVIRONMENT, "FLAMBEAU_EXECUTOR": "native", "OMP_NUM_THREADS": "2"}
    source = SCRIPT.replace("SLEEP", str(sleep)) + rest
    program = subprocess.Popen(
        [sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert program.stdout is not None
    pids = [int(pid) for pid in program.stdout.readline().split()]
    assert len(pids) == 2
    return program, pids


def gone(pid: int, seconds: float) -> bool:
    """Does a process end within this time?"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            status = Path(f"/proc/{pid}/stat")
            if status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_the_end_of_the_program_ends_the_workers() -> None:
    program, pids = started(0.0, "")
    assert program.communicate(timeout=100) == ("", "") and program.returncode == 0
    assert all(gone(pid, 60) for pid in pids)


def test_interrupt() -> None:
    program, pids = started(0.05, "for _ in iterator: pass")
    time.sleep(0.2)
    os.killpg(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=100)
    assert program.returncode != 0 and err.count("KeyboardInterrupt") == 1 and err.count("Traceback") == 1
    assert all(gone(pid, 60) for pid in pids)


def test_workers_do_not_outlive_a_program_that_was_killed() -> None:
    program, pids = started(0.05, "for _ in iterator: pass")
    program.kill()
    program.communicate(timeout=100)
    assert all(gone(pid, 60) for pid in pids)


ALIASED = """
import multiprocessing, torch
from torch.utils.data import DataLoader, TensorDataset, get_worker_info

def rows(batch):
    return torch.stack([x for (x,) in batch]), get_worker_info().id

if __name__ == "__main__":
    dataset = TensorDataset(torch.arange(40_000.0).reshape(4, 10_000))
    for method in ("fork", "spawn"):
        for x, worker in DataLoader(dataset, 2, num_workers=2, multiprocessing_context=method, collate_fn=rows):
            print(method, worker, x[:, 0].tolist(), type(x).__module__)
"""


@pytest.mark.slow
def test_under_the_name_torch(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(ALIASED)
    command = [sys.executable, "-m", "flambeau", "run", "program.py"]
    found = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    expected = "{0} 0 [0.0, 10000.0] torch\n{0} 1 [20000.0, 30000.0] torch\n"
    assert (found.stdout, found.stderr) == (expected.format("fork") + expected.format("spawn"), "")
