"""Outputs that are written in place of the inputs that they replace, and those that must not be."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import functions, types_of
from _thorough import search
from hypothesis import given

import flambeau as torch
from flambeau import _execution, nn
from flambeau import dtypes as dt
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import donation, execute, nest_loops, running, schedule
from flambeau.compiler.cpu.allocation import empty
from flambeau.compiler.cpu.code_cache import default
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.cpu.executor import KernelError
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.pooled import pooled
from flambeau.graph import realisation
from flambeau.ops._table_rows import refuse_rows

F32 = dt.float32


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(4, default())


class Cell:
    """Holds memory as a storage does, as programs give it: other memory is not written where it begins badly."""

    def __init__(self, values: np.ndarray) -> None:
        self.buf = empty(values.size, values.dtype)
        self.buf[:] = values


def replaced(f: Function, cells: list[Cell], olds: dict[int, int], pool: Pool | None = None) -> list[bool]:
    """Runs a function whose outputs replace inputs, as realisation does, and checks them against a run with other
    memory; which outputs are in place of their inputs."""
    given = [c.buf.copy() for c in cells]
    expected = [a.copy() for a in Executable(f, types_of(f), pool).run(given, [])]
    program = Executable(f, types_of(f), pool, olds)
    inputs = [c.buf for c in cells]
    before = [cells[olds[k]].buf if k in olds else None for k in range(len(f.outputs))]
    outs = program.run(inputs, [], before)
    for a, b in zip(outs, expected):
        assert a.tobytes() == b.tobytes(), f
    kept = [a for j, a in enumerate(inputs) if not any(a is out for out in outs)]
    originals = [a for j, a in enumerate(given) if not any(inputs[j] is out for out in outs)]
    assert [a.tobytes() for a in kept] == [a.tobytes() for a in originals]
    return [outs[k] is cells[j].buf for k, j in olds.items()]


def vector(b: Builder, k: int, n: int = 100) -> Value:
    return b.input(k, (n,), F32, ((1,), 0))


def cells(*sizes: int) -> list[Cell]:
    return [Cell(np.random.default_rng(k).standard_normal(n).astype(np.float32)) for k, n in enumerate(sizes)]


# ---- one function


def test_an_elementwise_update() -> None:
    b = Builder()
    w, g = vector(b, 0), vector(b, 1)
    b.f.outputs = [b.map("sub", w, b.map("exp", g))]
    assert replaced(b.f, cells(100, 100), {0: 0}) == [True]


def test_two_outputs_that_read_both_inputs() -> None:
    """What replaces one input and reads the other, and the other way round: one of the two needs memory of its own."""
    b = Builder()
    x, y = vector(b, 0), vector(b, 1)
    shifted = b.map("exp", b.flip(x, [0]))
    b.f.outputs = [b.map("add", shifted, y), b.map("mul", b.map("exp", b.flip(y, [0])), x)]
    found = replaced(b.f, cells(100, 100), {0: 1, 1: 0})
    assert sum(found) < 2


def test_neighbours_are_read() -> None:
    b = Builder()
    x = vector(b, 0)
    b.f.outputs = [b.map("add", x, b.flip(x, [0]))]
    assert replaced(b.f, cells(100), {0: 0}) == [False]


def test_what_reads_the_old_value_runs_before() -> None:
    """The largest value of the old memory is asked for too, by a kernel that would come later."""
    b = Builder()
    w, g = vector(b, 0), vector(b, 1)
    new = b.map("sub", w, b.map("exp", g))
    b.f.outputs = [new, b.reduce("sum", b.map("exp", b.flip(w, [0])), (0,))]
    assert replaced(b.f, cells(100, 100), {0: 0}) == [True]


def test_what_needs_the_new_and_the_old_value() -> None:
    b = Builder()
    w, g = vector(b, 0), vector(b, 1)
    new = b.map("sub", w, b.map("exp", g))
    total = b.reduce("sum", new, (0,), keepdim=True)
    b.f.outputs = [new, b.map("mul", b.flip(w, [0]), b.expand(total, (100,)))]
    assert replaced(b.f, cells(100, 100), {0: 0}) == [False]


def test_a_reduction_of_the_old_value(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As clipping by the norm does: all chunks of the sum come before the update."""
    monkeypatch.setattr(nest_loops, "CHUNK", 64)
    monkeypatch.setattr(schedule, "POINT", 1e6)
    b = Builder()
    w = b.input(0, (50, 70), F32, ((70, 1), 0))
    total = b.reduce("sum", b.map("mul", w, w), (0, 1), keepdim=True)
    b.f.outputs = [b.map("div", w, b.expand(b.map("sqrt", total), (50, 70)))]
    for _ in range(20):
        assert replaced(b.f, cells(3500), {0: 0}, pool) == [True]


def test_a_product_with_an_update_behind_it(pool: Pool) -> None:
    """A gradient of a weight with the optimizer's update, beside the product that reads the weight."""
    b = Builder()
    w = b.input(0, (40, 60), F32, ((60, 1), 0))
    x, dy = b.input(1, (32, 60), F32, ((60, 1), 0)), b.input(2, (32, 40), F32, ((40, 1), 0))
    dx = b.contract("no,oi->ni", dy, w)
    dw = b.contract("no,ni->oi", dy, x)
    new = b.map("sub", w, b.map("mul", dw, b.const(0.01, F32)))
    b.f.outputs = [new, b.map("mul", dx, b.const(2.0, F32))]
    assert replaced(b.f, cells(2400, 1920, 1280), {0: 0}, pool) == [True]


def test_memory_of_others_is_not_written() -> None:
    b = Builder()
    b.f.outputs = [b.map("exp", vector(b, 0))]
    part = cells(100)
    part[0].buf = np.zeros(300, np.float32)[100:200]  # sees memory of a larger array
    assert replaced(b.f, part, {0: 0}) == [False]
    held = cells(100)
    somebody = held[0].buf[3:5]
    assert replaced(b.f, held, {0: 0}) == [False] and somebody[0] != 0


def test_what_may_refuse_a_value_runs_before(pool: Pool) -> None:
    """Rows are checked before the table's new values take the place of the old ones."""
    b = Builder()
    table, g = b.input(0, (10, 4), F32, ((4, 1), 0)), b.input(1, (10, 4), F32, ((4, 1), 0))
    rows = b.map("add", b.input(2, (6,), dt.int64, ((1,), 0)), b.const(1, dt.int64))
    rows = b.extern("check_rows", refuse_rows, (rows,), [((6,), dt.int64)], 10)
    b.f.outputs = [b.map("sub", table, b.map("exp", g)), b.take(table, rows, 0)]
    given = [*cells(40, 40), Cell(np.arange(6))]
    assert replaced(b.f, given, {0: 0}, pool) == [True]
    given[2].buf[3] = 9
    before = [c.buf.copy() for c in given]
    program = Executable(b.f, types_of(b.f), pool, {0: 0})
    for _ in range(20):
        with pytest.raises(KernelError):
            program.run([c.buf for c in given], [], [given[0].buf, None])
        assert all((c.buf == old).all() for c, old in zip(given, before))


# ---- what NumPy computes among the kernels


def _reversed(x: np.ndarray) -> np.ndarray:
    return x[::-1]


def _refused(x: np.ndarray) -> np.ndarray:
    raise ValueError("refused")


def test_an_update_behind_what_numpy_computes() -> None:
    b = Builder()
    w, g = vector(b, 0), vector(b, 1)
    other = b.extern("reversed", _reversed, (b.map("exp", g),), [((100,), F32)])
    b.f.outputs = [b.map("sub", w, other), b.map("mul", b.map("exp", b.flip(w, [0])), other)]
    assert replaced(b.f, cells(100, 100), {0: 0}) == [True]


def test_numpy_may_see_the_old_memory_to_the_end() -> None:
    b = Builder()
    w, g = vector(b, 0), vector(b, 1)
    seen = b.extern("reversed", _reversed, (w,), [((100,), F32)])
    b.f.outputs = [b.map("sub", w, b.map("exp", g)), b.map("add", seen, g)]
    assert replaced(b.f, cells(100, 100), {0: 0}) == [False]
    b = Builder()
    w, g = vector(b, 0), vector(b, 1)
    b.f.outputs = [b.map("sub", w, g), b.extern("reversed", _reversed, (b.map("exp", w),), [((100,), F32)]), w]
    replaced(b.f, cells(100, 100), {0: 0})


def test_what_numpy_refuses_comes_before_writes() -> None:
    b = Builder()
    w, g = vector(b, 0), vector(b, 1)
    b.f.outputs = [b.map("sub", w, b.map("exp", g)), b.extern("refused", _refused, (g,), [((100,), F32)])]
    given = cells(100, 100)
    before = given[0].buf.copy()
    program = Executable(b.f, types_of(b.f), None, {0: 0})
    assert program.inplace == {0: 0}
    with pytest.raises(ValueError, match="refused"):
        program.run([c.buf for c in given], [], [given[0].buf, None])
    assert np.array_equal(given[0].buf, before)


# ---- rows of a table


def added(b: Builder, w: Value, rows: Value, values: Value) -> Value:
    return b.index_put("add", w, (0,), [rows], values)


def test_rows_are_added_where_the_table_is() -> None:
    """Also rows that are computed of it: they are read before the first is written."""
    b = Builder()
    w, rows = b.input(0, (50, 6), F32, ((6, 1), 0)), b.input(1, (20,), dt.int64, ((1,), 0))
    b.f.outputs = [added(b, w, rows, b.map("exp", b.take(w, rows, 0)))]
    given = [*cells(300), Cell(np.arange(20) * 7 % 11)]
    assert replaced(b.f, given, {0: 0}) == [True]


def test_a_copy_in_place_is_left_out() -> None:
    """What copies the table for the case that others hold it touches nothing where they do not."""
    b = Builder()
    w, rows = b.input(0, (50, 6), F32, ((6, 1), 0)), b.input(1, (20,), dt.int64, ((1,), 0))
    b.f.outputs = [added(b, w, rows, b.const(1.0, F32, (20, 6)))]
    program = Executable(b.f, types_of(b.f), None, {0: 0})
    assert "icmp eq ptr %p0, %p1" in next(k.text for k in program.kernels if k is not None)


counted: list[bool] = []


@search(120)
@given(case=functions([dt.float32, dt.int32]))
def check_random(pool: Pool, case: Any) -> None:
    f, inputs, _ = case
    sizes = [int(np.prod(v.shape)) for v in f.outputs]
    olds = {k: next((j for j, a in enumerate(inputs) if a.size == n), -1) for k, n in enumerate(sizes)}
    olds = {k: j for k, j in olds.items() if j >= 0}
    counted.extend(replaced(f, [Cell(a) for a in inputs], olds, pool))


def test_random_functions(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nest_loops, "CHUNK", 16)
    monkeypatch.setattr(schedule, "POINT", 1e6)
    check_random(pool)
    assert True in counted and False in counted


# ---- users' programs


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(realisation, "executor", [_execution.run_compiled])
    realisation.forget()
    yield
    realisation.forget()


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda ps: torch.optim.SGD(ps, lr=0.1),
    "momentum": lambda ps: torch.optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda ps: torch.optim.Adam(ps, lr=0.01, weight_decay=1e-3),
    "adamw": lambda ps: torch.optim.AdamW(ps, lr=0.01),
    "rmsprop": lambda ps: torch.optim.RMSprop(ps, lr=0.01),
}


def network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 40), nn.Tanh(), nn.Linear(40, 3))


def batch() -> tuple[Any, Any]:
    x, y = torch.randn(32, 20), torch.randint(0, 3, (32,))
    torch.cat([x.flatten(), y]).sum().item()
    return x, y


def places(net: Any, optimizer: Any) -> list[int]:
    states = [v for s in optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor) and v.ndim]
    return [t.data_ptr() for t in [*net.parameters(), *states]]


def train(name: str, steps: int) -> tuple[list[int], list[int], bytes]:
    """Places after some steps and at the end, and the parameters."""
    net = network()
    optimizer, (x, y) = OPTIMIZERS[name](net.parameters()), batch()
    for k in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
        if k == 0:
            early = places(net, optimizer)
    values = [p.detach().numpy().tobytes() for p in net.parameters()]
    return early, places(net, optimizer), b"".join(values)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_keep_one_buffer_a_parameter(native: None, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    early, late, values = train(name, 8)
    assert early == late  # what the first program made, the later ones go on with
    realisation.forget()
    monkeypatch.setattr(donation._Search, "add", lambda *_: None)
    early, late, elsewhere = train(name, 8)
    assert elsewhere == values and early != late


def test_accumulated_gradients_keep_their_buffers(native: None) -> None:
    net, (x, y) = network(), batch()
    found = []
    for _ in range(5):
        nn.functional.cross_entropy(net(x), y).backward()
        found.append([p.grad.data_ptr() for p in net.parameters()])
    assert found[1] == found[2] == found[3] == found[4]


def test_old_values_that_somebody_holds(native: None) -> None:
    p = torch.arange(1000.0)
    p.requires_grad_()
    optimizer = torch.optim.SGD([p], lr=0.5)
    clones, arrays, kept = [], [], []
    for k in range(6):
        optimizer.zero_grad()
        (p * p).sum().backward()
        clones.append(p.detach().clone())
        kept.append(p.detach() * 2)
        arrays.append(p.detach().numpy() if k == 3 else None)  # shares memory with p for good
        optimizer.step()
        p.sum().item()
    del optimizer
    for k in range(6):
        expected = np.arange(1000.0) * (0.0 if k else 1.0)
        np.testing.assert_array_equal(clones[k].numpy(), expected)
        np.testing.assert_array_equal(kept[k].numpy(), 2 * expected)
    assert arrays[3] is not None and arrays[3].ctypes.data == p.data_ptr()


def test_writes_reach_what_numpy_sees(native: None) -> None:
    x = torch.arange(1000.0)
    seen = x.numpy()
    for _ in range(4):
        x.mul_(2.0).add_(1.0)
        x.sum().item()
    expected = np.arange(1000.0)
    for _ in range(4):
        expected = expected * 2 + 1
    np.testing.assert_array_equal(seen, expected.astype(np.float32))


def test_part_of_a_tensor_is_written(native: None) -> None:
    x = torch.zeros(1000)
    old = x.clone()
    rows = []
    for k in range(5):
        x[10 * k : 10 * k + 10] += k + 1
        rows.append(x[:100] * 1)
        x.sum().item()
    assert [int(r.sum().item()) for r in rows] == [10, 30, 60, 100, 150] and old.sum().item() == 0


def random_writes(seed: int) -> list[np.ndarray]:
    """What becomes of four tensors and of what is held of them, under random writes and observations."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    xs = [torch.randn(64) for _ in range(4)]
    held: list[Any] = []
    sums = []
    for _ in range(40):
        k, x, y = rng.randrange(4), xs[rng.randrange(4)], xs[rng.randrange(4)]
        writes: list[Callable[[], Any]] = [
            lambda x=x, y=y: x.add_(y),
            lambda x=x, y=y: x.mul_(0.5).add_(y, alpha=0.25),
            lambda k=k, x=x, y=y: xs.__setitem__(k, x * y),
            lambda x=x, y=y: x[3:20].add_(y[5:22] * 1.5),
            lambda x=x, y=y: x.copy_(y.flip(0)),
            lambda x=x, y=y: x.view(8, 8).t().sub_(y.view(8, 8) * 0.5),
            lambda x=x: held.append(x.numpy()),
            lambda x=x: held.append(x.clone()),
            lambda x=x: (held.append(x[2:30] * 2), x.tanh_()),
        ]
        rng.choice(writes)()
        if rng.random() < 0.5:
            sums.append(xs[rng.randrange(4)].sum().item())
        if held and rng.random() < 0.1:
            held.pop(rng.randrange(len(held)))
        for t in xs:
            t.clamp_(-3, 3)
    return [np.array(a.tolist()) for a in [*xs, *held]] + [np.array(sums)]


@pytest.mark.parametrize("seed", range(4))
def test_random_writes_as_with_numpy(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for run in (_execution.run_compiled, _execution.run_on_numpy):
        monkeypatch.setattr(realisation, "executor", [run])
        realisation.forget()
        found.append(random_writes(seed))
    realisation.forget()
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_several_python_threads_hold_their_own(native: None) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def loop(seed: int) -> float:
        p = torch.full((500,), float(seed))
        for _ in range(30):
            p.add_(1.0)
            p.sum().item()
        return p.sum().item()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(loop, range(4))) == [500.0 * (30 + k) for k in range(4)]


def test_labels_that_change_are_checked_again(native: None) -> None:
    """What is known of memory holds it, so nothing new is written there."""
    x, y = torch.randn(50, 4), torch.zeros(50, dtype=torch.int64)
    x.sum().item()
    for _ in range(3):
        nn.functional.cross_entropy(x, y).item()
        y.add_(1)
        y.sum().item()
    nn.functional.cross_entropy(x, y).item()
    y.add_(1)
    y.sum().item()
    with pytest.raises(IndexError, match="Target 4 is out of bounds"):
        nn.functional.cross_entropy(x, y).item()


@pytest.mark.usefixtures("small_heap")
def test_what_is_kept_is_known_by_living_arrays(native: None) -> None:
    """An array that takes the place of a freed one is not taken for it."""
    for _ in range(3):
        x = torch.ones(1000)
        for _ in range(3):
            x = x * 2
            x.sum().item()
        del x
        realisation.forget()
        gc.collect()
    gc.unfreeze()  # what is set aside is not listed
    kept = {id(a) for o in gc.get_objects() if type(o) is running.Outputs for a in o.kept}
    assert pooled == kept


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("part", [slice(None), slice(1, 3)])
def test_inputs_that_are_outputs_are_copied_by_native_code(part: slice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_execution, "tier", ["compiled"])
    realisation.forget()
    x = torch.arange(4.0) * 1
    x.sum().item()
    copied, doubled = x[part].clone(), x * 2
    copied += 0
    assert copied.tolist() == x[part].tolist() and doubled.tolist() == [0, 2, 4, 6]
    ran = [p.cache for p in realisation.programs.values() if p.cache is not None]
    assert ran and all(cache.whole is not None for cache in ran)
    copied.add_(1)
    assert x.tolist() == [0, 1, 2, 3]


def test_nothing_is_replaced() -> None:
    b = Builder()
    b.f.outputs = [b.map("exp", vector(b, 0))]
    program: Any = SimpleNamespace(function=b.f, outputs=types_of(b.f), cache=None, olds=[], signature=None)
    a = np.zeros(100, np.float32)
    (out,) = execute.run_native(program, [a], [])
    assert out is not a and (out == 1).all() and not a.any()
