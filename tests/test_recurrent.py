"""Recurrent networks: one operator a layer and direction, and the loop over time as native code."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import _two_tiers as two_tiers
import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import memory, on_numpy, types_of
from _gradients import gradients_hold
from _thorough import thorough
from test_nest import TARGETS, pool_for

import flambeau as torch
from flambeau import dtypes as dt
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import inspection, local, recurrence, recurrence_kernel, recurrence_stages
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.ir import Function
from flambeau.compiler.recurrence import Operands, Recurrence
from flambeau.compiler.verifier import Malformed, verify
from flambeau.graph import realisation
from flambeau.ops import recurrent as recurrent_operators
from flambeau.ops.recurrent_cells import CELLS, backward, forward

nn = torch.nn
GOLDEN = Path(__file__).parent / "golden" / "recurrence.txt"
KINDS = {
    "lstm": lambda *sizes, **more: nn.LSTM(*sizes, **more),
    "gru": lambda *sizes, **more: nn.GRU(*sizes, **more),
    "tanh": lambda *sizes, **more: nn.RNN(*sizes, **more),
    "relu": lambda *sizes, **more: nn.RNN(*sizes, nonlinearity="relu", **more),
    "projected": lambda *sizes, **more: nn.LSTM(*sizes, proj_size=2, **more),
}


def recurrent(
    name: str, units: int, sizes: list[int], back: bool = False, reverse: bool = False, packed: bool = False,
    dtype: Any = dt.float32, absent: tuple[int, ...] = (), group: int = 0,
) -> Function:  # fmt: skip
    """A pass over steps of so many rows; operands whose numbers are ``absent`` are zeros."""
    how = (backward if back else forward)(CELLS[name], dtype, units, reverse, packed, group)
    rows, batch, columns = sum(sizes), sizes[0], how.products * units
    shapes = [(how.carries[0] * units, columns), (columns,)]
    shapes += [(batch, k * units) for k in how.carries] + [(rows, k * units) for k in how.sequences]
    b, args = Builder(), []
    for k, shape in enumerate(shapes):
        strides = (shape[1], 1) if len(shape) == 2 else (1,)
        args.append(b.const(0, dtype, shape) if k in absent else b.input(k, shape, dtype, (strides, 0)))
    starts = b.input(len(shapes), (len(sizes) + 1,), dt.int64, ((1,), 0)) if packed else None
    b.f.outputs = list(b.recur(name, how, how.operands([*args, starts])))
    return b.f


def inputs_for(f: Function, sizes: list[int]) -> list[np.ndarray]:
    """Numbers for the inputs of such a pass."""
    found: dict[int, np.ndarray] = {}
    for v in f.values:
        if v.kind == "input":
            numbers = np.random.default_rng(v.params[0]).standard_normal(v.shape) / np.sqrt(v.shape[-1] ** 0.5)
            found[v.params[0]] = memory(numbers, v.dtype) if v.dtype.kind == "f" else np.cumsum([0, *sizes])
    return [found.get(k, np.zeros(0)) for k in range(max(found) + 1)]


def check(f: Function, sizes: list[int], pool: Any = None) -> list[np.ndarray]:
    """Native code against the NumPy executor; its results."""
    verify(f)
    inputs = inputs_for(f, sizes)
    program = Executable(f, types_of(f), pool)
    assert program.whole is not None
    found = [a.copy() for a in program.run(inputs, [])]
    for again, once in zip(program.run(inputs, []), found, strict=True):
        assert again.tobytes() == once.tobytes()
    for a, b in zip(found, on_numpy(f, inputs), strict=True):
        tolerance = 1e-11 if a.dtype == np.float64 else 3e-5
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max()))
    return found


def walks(program: Executable) -> list[str]:
    """The texts of a program's recurrences."""
    return [k.text for k in program.kernels if k is not None and isinstance(k.nest, recurrence.Walk)]


# ---- the loop over time as native code


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("back", [False, True])
def test_sizes(name: str, back: bool) -> None:
    for units, batch in ((1, 1), (1, 17), (5, 3), (20, 1), (20, 17), (33, 3), (33, 17), (128, 1), (128, 3)):
        check(recurrent(name, units, [batch] * 3, back), [batch] * 3)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_packed(name: str, reverse: bool) -> None:
    sizes = [19, 19, 16, 9, 8, 8, 3, 1]
    for units, back in itertools.product((5, 16), (False, True)):
        check(recurrent(name, units, sizes, back, reverse, True), sizes)


@pytest.mark.parametrize("target", TARGETS)
def test_processors(target: str) -> None:
    pool = pool_for(target)
    for name, back, dtype in itertools.product(CELLS, (False, True), (dt.float32, dt.float64)):
        check(recurrent(name, 21, [11] * 2, back, dtype=dtype), [11] * 2, pool)
        if dtype is dt.float32:
            check(recurrent(name, 21, [16] * 2, back, group=8), [16] * 2, pool)


def test_large_weights_serve_several_tiles_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrence, "NEAR", 0)
    for sizes in ([150] * 2, [37] * 2, [140, 131, 129, 70, 8, 1]):
        for back in (False, True):
            check(recurrent("lstm", 20, sizes, back, packed=sizes[0] != sizes[1]), sizes)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("back", [False, True])
def test_groups(name: str, back: bool) -> None:
    """Sequences that lie together have the bits that they have among all."""
    steps = 3
    for batch, group, reverse in itertools.product((8, 24), (4, 8), (False, True)):
        plain = recurrent(name, 20, [batch] * steps, back, reverse)
        grouped = recurrent(name, 20, [batch] * steps, back, reverse, group=group)
        ours = check(grouped, [batch] * steps)
        given = inputs_for(grouped, [batch] * steps)
        order = np.arange(steps * batch).reshape(batch // group, steps, group).swapaxes(0, 1).reshape(-1)

        def by_steps(a: np.ndarray, rows: int = steps * batch, order: np.ndarray = order) -> np.ndarray:
            return np.ascontiguousarray(a.reshape(rows, -1)[order]).reshape(-1)

        sequences = {v.params[0] for v in grouped.values if v.kind == "input" and v.shape[0] == steps * batch}
        moved = [by_steps(a) if k in sequences else a for k, a in enumerate(given)]
        theirs = Executable(plain, types_of(plain)).run(moved, [])
        for v, a, b in zip(grouped.outputs, ours, theirs, strict=True):
            assert (by_steps(a) if v.shape[0] == steps * batch else a).tobytes() == b.tobytes()


@pytest.mark.parametrize("name", CELLS)
def test_bits_do_not_depend_on_stages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for together in (1, 2, 3, 100):
        monkeypatch.setattr(recurrence_stages, "TOGETHER", together)
        monkeypatch.setattr(recurrence_kernel, "_texts", {})
        found.append([a.tobytes() for a in check(recurrent(name, 21, [6] * 3), [6] * 3)])
    assert all(one == found[0] for one in found)


def test_stages() -> None:
    """Few functions in each, none of which waits for another; carries are written in the last one."""
    lstm = forward(CELLS["lstm"], dt.float32, 8, False, False)
    first, second = recurrence_stages.stages(lstm, tuple(range(10)), True)
    assert first.outputs == (1, 2, 3, 6, 7) and second.outputs == (0, 4, 5, 8, 9)
    assert first.later == second.earlier == (lstm.body.outputs[9],) and not first.earlier and not second.later
    assert recurrence_stages.stages(lstm, tuple(range(10)), False) == [recurrence_stages.Stage(tuple(range(10)))]
    inference = recurrence_stages.stages(lstm, (0, 8, 9), True)
    assert [s.outputs for s in inference] == [(), (0, 8, 9)]
    gru = forward(CELLS["gru"], dt.float32, 8, False, False)
    assert len(recurrence_stages.stages(gru, tuple(range(7)), True)) == 2
    for name, back in (("rnn_tanh", False), ("lstm", True), ("gru", True)):
        how = (backward if back else forward)(CELLS[name], dt.float32, 8, False, False)
        assert len(recurrence_stages.stages(how, tuple(range(len(how.body.outputs))), True)) == 1


def test_groups_have_enough_rows() -> None:
    given: Any = {"num_layers": 1, "dropout": 0.0, "train": True}
    found = [
        recurrent_operators._group(*sizes, **given) for sizes in ((32, 64), (32, 12), (32, 11), (20, 64), (20, 11))
    ]
    assert found == [4, 4, 8, 4, 0]
    assert [recurrent_operators._group(*sizes, **given) for sizes in ((0, 64), (3, 64))] == [0, 0]
    assert recurrent_operators._group(32, 64, num_layers=2, dropout=0.5, train=True) == 0


def test_many_rows() -> None:
    check(recurrent("rnn_relu", 1, [40_000] * 2), [40_000] * 2)


def test_zeros_are_not_read() -> None:
    for absent in ((1,), (2, 3), (1, 2), (4,)):
        f = recurrent("lstm", 7, [5] * 3, absent=absent)
        check(f, [5] * 3)
        (laid,) = [v for v in Executable(f, types_of(f)).f.values if v.kind == "recur"]
        assert len(laid.args) == 5 - len(absent)


@pytest.mark.parametrize("sizes", [[11] * 3, [9, 9, 2]])
def test_results_whose_rows_are_summed_have_lines_between(sizes: list[int]) -> None:
    """Where else they would fall into few sets of the cache; unless they are outputs. The bits are the same."""
    found = []
    for shown in (False, True):
        f = recurrent("lstm", 128, sizes, True, packed=sizes[0] != sizes[-1])
        b, gates = Builder(), f.outputs[0]
        b.f = f
        f.outputs = [b.contract("rg,rh->gh", gates, b.slice(gates, 1, 0, 40)), *[gates] * shown]
        found.append(check(f, sizes))
        (laid,) = [v for v in Executable(f, types_of(f)).f.values if v.kind == "recur"]
        assert laid.params.spaced == (frozenset() if shown else {0})
    assert [a.tobytes() for a in found[0]] == [a.tobytes() for a in found[1][:1]]


def test_rows_do_not_depend_on_their_neighbours() -> None:
    """A row has the same bits in whichever tile of rows it is, and packed or not."""
    most = recurrent("gru", 20, [17] * 4)
    given = inputs_for(most, [17] * 4)
    whole = Executable(most, types_of(most)).run(given, [])[0].reshape(4, 17, 20).copy()
    for n in (1, 2, 3, 8, 9):
        f = recurrent("gru", 20, [n] * 4, packed=n == 3)
        inputs = [*given[:2], given[2][: n * 20], given[3].reshape(4, 17, 60)[:, :n].reshape(-1)]
        inputs += [np.arange(5) * n] * (n == 3)
        found = Executable(f, types_of(f)).run([np.ascontiguousarray(a) for a in inputs], [])[0]
        assert found.tobytes() == np.ascontiguousarray(whole[:, :n]).tobytes()


def test_lengths_and_batches_share_their_code() -> None:
    def text(sizes: list[int]) -> str:
        f = recurrent("lstm", 12, sizes)
        return walks(Executable(f, types_of(f)))[0]

    assert len({text([n] * t) for n, t in ((3, 2), (3, 9), (20, 2), (1, 1))}) == 1


def test_operands_in_other_layouts() -> None:
    """A transposed sequence, a slice and a broadcast state are copied; a reshape is read where it is."""
    how = forward(CELLS["rnn_tanh"], dt.float32, 6, False, False)
    b = Builder()
    weight, x = b.input(0, (6, 6), dt.float32, ((1, 6), 3)), b.input(1, (6, 12), dt.float32, ((1, 6), 0))
    bias, h = b.input(2, (6,), dt.float32, ((2,), 1)), b.input(3, (6,), dt.float32, ((1,), 2))
    o = Operands(weight, bias, [b.expand(h, (4, 6))], [b.reshape(x, (12, 6))], None)
    b.f.outputs = list(b.recur("rnn_tanh", how, o))[:1]
    inputs = [np.random.default_rng(k).standard_normal(80).astype(np.float32) for k in range(4)]
    found = Executable(b.f, types_of(b.f)).run(inputs, [])
    np.testing.assert_allclose(found[0], on_numpy(b.f, inputs)[0], rtol=1e-5, atol=1e-6)


def test_facts() -> None:
    """What is shown of a recurrence: its steps, and the operations of its products and maps."""
    f = recurrent("rnn_tanh", 6, [4] * 5)
    facts = [one for one in inspection.kernels(Executable(f, types_of(f))) if "steps" in one.title]
    assert [one.title for one in facts] == ["rnn_tanh over 5 steps -> float32[20, 6], float32[20, 6], float32[20, 6], "
                                            "float32[4, 6]"]  # fmt: skip
    assert facts[0].flops == 20 * (2 * 36 + 2 * 6)


def test_malformed() -> None:
    f = recurrent("gru", 3, [2] * 2)
    call = next(v for v in f.values if v.kind == "recur")
    how: Recurrence = call.params
    call.params = Recurrence(how.body, 3, how.sequences, how.carries, 2, how.results, False, False)
    with pytest.raises(Malformed, match="a recurrence whose operands do not fit"):
        verify(f)


@pytest.mark.parametrize("units", [4, 20, 128, 512])
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_relu"])
@pytest.mark.parametrize("cpu", ["avx2", "avx512"])
def test_products_ask_for_what_maps_read(units: int, kind: str, cpu: str) -> None:
    """The runs through the loops of all panels reach each cache line of a tile's rows."""
    for make in (forward, backward):
        how = make(CELLS[kind], dt.float32, units, False, False)
        laid = recurrence.laid_for(how, dt.float32, 32, 5, pool_for(cpu).cache.target)
        parts, together = recurrence_kernel.shared_rows(laid)
        for slots in (*how.sequences, *how.results):
            pitch = slots * units * 4
            own, each = recurrence_kernel.shared_bytes(laid, pitch)
            starts = [p // parts * together * pitch + p % parts * own for p in range(laid.panels)]
            runs = range(0, laid.depth // recurrence_kernel.UNROLLED * each, each)
            asked = {at + run + more for at in starts for run in runs for more in range(0, each, 64)}
            assert {at // 64 for at in asked} >= set(range(-(-laid.tile.rows * pitch // 64)))


def test_large_weights_are_read_for_several_tiles_where_four_chunks_are_left() -> None:
    how = forward(CELLS["lstm"], dt.float32, 512, False, False)
    target = pool_for("avx512").cache.target
    chunks = [recurrence.laid_for(how, dt.float32, batch, 5, target).chunks for batch in (16, 32, 64, 128, 256)]
    assert chunks == [2, 4, 4, 4, 8]


def listing() -> str:
    """The kernel of a small network, and the function that it is in."""
    f = recurrent("rnn_relu", 18, [5] * 3, absent=(2,))
    program = Executable(f, types_of(f), pool_for("avx512"))
    return "\n".join([repr(program.f), *walks(program)])


def test_listing() -> None:
    """A change of the generator shows as a difference; ``tests/golden/make_recurrence.py`` writes it."""
    assert listing() == GOLDEN.read_text()


# ---- networks


def state_for(net: Any, batch: int) -> Any:
    """A state that is not zero."""
    layers = net.num_layers * (2 if net.bidirectional else 1)
    h = torch.randn(layers, batch, net.proj_size or net.hidden_size, dtype=torch.float64, requires_grad=True)
    if net.mode != "LSTM":
        return h
    return h, torch.randn(layers, batch, net.hidden_size, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True])
def test_gradients(kind: str, packed: bool) -> None:
    """First derivatives of two layers in both directions, and second derivatives of one, by finite differences."""
    for many in (True, False):
        torch.manual_seed(0)
        net = KINDS[kind](1, 3, num_layers=1 + many, bidirectional=many, dtype=torch.float64)
        state, x = state_for(net, 2), torch.randn(2, 2, 1, dtype=torch.float64)
        name = "bias_hh_l1_reverse" if many else "weight_hh_l0"

        def run(x: Any, w: Any, *state: Any, net: Any = net, name: str = name) -> Any:
            given = nn.utils.rnn.pack_padded_sequence(x, [2, 1]) if packed else x
            hx = state if net.mode == "LSTM" else state[0]
            y, after = torch.func.functional_call(net, {name: w}, (given, hx))
            return (y.data if packed else y), *(after if net.mode == "LSTM" else [after])

        inputs = (x, getattr(net, name), *(state if net.mode == "LSTM" else [state]))
        assert gradients_hold(run, inputs, second=not many)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(6, 3, 4), (16, 3, 4)])
def test_steps_agree_with_the_layer(kind: str, sizes: tuple[int, ...]) -> None:
    """The gradients that are recorded for a second derivative are those of the backward operator."""
    torch.manual_seed(1)
    net = KINDS[kind](4, 5, bidirectional=True, batch_first=sizes[0] == 16, dtype=torch.float64)
    x = torch.randn(*sizes, dtype=torch.float64)
    loss = net(x)[0].square().sum()
    first = torch.autograd.grad(loss, net.parameters(), retain_graph=True)
    second = torch.autograd.grad(loss, net.parameters(), create_graph=True)
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b)


def steps_of(net: Any, x: Any, looked: bool = False, threads: int = 1) -> list[bytes]:
    """The bits of a network's parameters after three steps of training."""
    torch.set_num_threads(threads)
    try:
        optimizer = torch.optim.Adam(net.parameters(), 0.01)
        for _ in range(3):
            y, after = net(x)
            if looked:
                str(y)
            optimizer.zero_grad()
            loss = y.square().mean() + sum(a.sum() for a in after)
            if looked:
                loss.item()
            loss.backward()
            optimizer.step()
        return [p.detach().numpy().tobytes() for p in net.parameters()]
    finally:
        torch.set_num_threads(1)


OF_KINDS = ["lstm", "gru", "relu", *thorough(["tanh", "projected"])]


@pytest.mark.usefixtures("native_code")
@pytest.mark.parametrize("kind", OF_KINDS)
def test_bits(kind: str) -> None:
    """They depend neither on threads nor on looking."""
    threads = torch.get_num_threads()
    try:
        found = []
        for looked, count in ((False, 1), (False, 4), (True, 1), (True, 3)):
            torch.manual_seed(0)
            net = KINDS[kind](9, 20, num_layers=2, bidirectional=True)
            found.append(steps_of(net, torch.randn(5, 21, 9), looked, count))
    finally:
        torch.set_num_threads(threads)
    assert all(one == found[0] for one in found)


@pytest.mark.usefixtures("native_code")
@pytest.mark.parametrize("kind", ["lstm", "gru", *thorough(["tanh"])])
def test_a_batch_that_comes_first_runs_in_pieces(kind: str) -> None:
    """From the first layer to the last, a few sequences on each thread; bits do not depend on the number of threads."""
    threads = torch.get_num_threads()
    try:
        found = []
        for looked, count in ((False, 1), (False, 3), (True, 4)):
            realisation.forget()
            torch.manual_seed(0)
            net = KINDS[kind](64, 96, num_layers=2, batch_first=True)
            found.append(steps_of(net, torch.randn(32, 44, 64), looked, count))
            if not looked:
                assert max(walks_in_a_group(p.cache) for p in realisation.programs.values()) >= 2
                assert any(walks_in_the_workspace(p.cache) for p in realisation.programs.values())
    finally:
        torch.set_num_threads(threads)
    assert all(one == found[0] for one in found)


def walks_in_a_group(cache: Any) -> int:
    """How many recurrences of a program run one after the other for each chunk, with products between them."""
    if not inspection.is_native(cache):
        return 0
    program = inspection.planned(cache)
    groups = [g for k, g in zip(program.kernels, program.groups) if k and isinstance(k.nest, recurrence.Walk)]
    return max([groups.count(g) for g in groups], default=0)


def walks_in_the_workspace(cache: Any) -> int:
    """How many recurrences read or write values of which each thread has a chunk's piece alone."""
    program = inspection.planned(cache) if inspection.is_native(cache) else None
    walks = [k for k in program.kernels if k and isinstance(k.nest, recurrence.Walk)] if program else []
    return sum(any(v in program.local for v, _ in k.operands) for k in walks)


@pytest.mark.usefixtures("native_code")
def test_long_sequences_stay_in_common_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too large for every thread to have its piece; the bits are the same."""
    found = []
    for most, is_small in ((local.MOST, True), (1000, False)):
        monkeypatch.setattr(local, "MOST", most)
        realisation.forget()
        torch.manual_seed(0)
        net = nn.LSTM(64, 96, num_layers=2, batch_first=True)
        found.append(steps_of(net, torch.randn(32, 36, 64), False, 2))
        assert any(walks_in_the_workspace(p.cache) for p in realisation.programs.values()) == is_small
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", OF_KINDS)
def test_bits_in_the_first_tier(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realisation, "executor", [two_tiers.run])
    monkeypatch.setattr(two_tiers, "ran", {"both": 0, "compiled": 0, "shared": 0})
    realisation.forget()
    torch.manual_seed(0)
    net = KINDS[kind](3, 5, num_layers=2, bidirectional=True)
    for x in (torch.randn(4, 9, 3), torch.randn(7, 2, 3)):
        net(x)[0].square().sum().backward()
        lengths = [4, *[2] * (x.shape[1] - 1)]
        packed, after = net(nn.utils.rnn.pack_padded_sequence(x, lengths))
        (packed.data.square().sum() + sum(a.sum() for a in after)).backward()
        assert all(p.grad.sum().isfinite() for p in net.parameters())
    realisation.forget()
    assert two_tiers.ran["both"] > two_tiers.ran["compiled"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_comes_first(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results, their strides and gradients are those of the transposed sequences, whether they lie in groups or not."""
    groups = recurrent_operators.GROUPS
    for batch, steps in ((3, 3), (8, 7), (12, 13)):
        torch.manual_seed(0)
        net = KINDS[kind](4, 5, num_layers=2, bidirectional=True, dtype=torch.float64)
        x, state = torch.randn(steps, batch, 4, dtype=torch.float64, requires_grad=True), state_for(net, batch)
        found = []
        for first, sizes in ((False, groups), (True, ()), (True, groups)):
            monkeypatch.setattr(recurrent_operators, "GROUPS", sizes)
            net.batch_first = first
            y, after = net(x.transpose(0, 1) if first else x, state)
            y = y.transpose(0, 1) if first else y
            assert y.is_contiguous()
            given = [x, *net.parameters(), *(state if net.mode == "LSTM" else [state])]
            loss = (y * y).sum() + sum([s.sin().sum() for s in after])
            found.append([y, *(after if net.mode == "LSTM" else [after]), *torch.autograd.grad(loss, given)])
        for one in found[1:]:
            torch.testing.assert_close(one, found[0])


def test_a_program_does_not_grow_with_the_sequence() -> None:
    def size(length: int, batch_first: bool) -> int:
        realisation.forget()
        net = nn.GRU(3, 4, 2, bidirectional=True, batch_first=batch_first)
        net(torch.randn(length, length, 3))[0].sum().backward()
        assert net.weight_hh_l0.grad is not None
        net.weight_hh_l0.grad.sum().item()
        return max(len(p.function.values) for p in realisation.programs.values())

    for batch_first in (False, True):
        assert size(60, batch_first) <= size(20, batch_first)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: Any) -> None:
    torch.manual_seed(0)
    net, x = nn.LSTM(4, 5, dtype=dtype), torch.randn(3, 2, 4, dtype=dtype)
    wide = nn.LSTM(4, 5)
    wide.load_state_dict({k: v.float() for k, v in net.state_dict().items()})
    y, (h, c) = net(x)
    assert (y.dtype, h.dtype, c.dtype) == (dtype, dtype, dtype)
    torch.testing.assert_close(y.float(), wide(x.float())[0], rtol=0.02, atol=0.02)
    y.sum().backward()
    assert net.weight_hh_l0.grad is not None and net.weight_hh_l0.grad.dtype is dtype


def test_autocast() -> None:
    """As in PyTorch, a GRU gives float32."""
    for kind, dtype in (("lstm", torch.bfloat16), ("tanh", torch.bfloat16), ("gru", torch.float32)):
        net, x = KINDS[kind](3, 4), torch.randn(5, 2, 3)
        with torch.autocast("cpu"):
            y, _ = net(x)
        y.float().sum().backward()
        assert y.dtype is dtype and net.weight_ih_l0.grad.dtype is torch.float32


def test_functions_in_both_forms() -> None:
    net, x = nn.GRU(3, 4, bidirectional=True), torch.randn(5, 2, 3)
    state, params = torch.zeros(2, 2, 4), list(net.parameters())
    y, h = torch.gru(x, state, params, True, 1, 0.0, False, True, False)
    torch.testing.assert_close((y, h), net(x))
    data, after = torch.gru(x.reshape(10, 3), torch.tensor([2] * 5), state, params, True, 1, 0.0, False, True)
    torch.testing.assert_close((data.reshape(5, 2, 8), after), (y, h))
    with pytest.raises(RuntimeError, match="Expected sequence length to be larger than 0 in RNN"):
        torch.gru(x[:0], state, params, True, 1, 0.0, False, True, False)


@pytest.mark.parametrize(
    ("kind", "options", "dt", "name"),
    [
        ("LSTM", {}, torch.float32, "MkldnnRnnLayerBackward0"),
        ("LSTM", {"num_layers": 2}, torch.float32, "MkldnnRnnLayerBackward0"),
        ("LSTM", {}, torch.float64, "StackBackward0"),
        ("LSTM", {"proj_size": 2}, torch.float32, "StackBackward0"),
        ("LSTM", {"batch_first": True}, torch.float32, "TransposeBackward0"),
        ("LSTM", {"bidirectional": True}, torch.float32, "CatBackward0"),
        ("GRU", {}, torch.float32, "StackBackward0"),
        ("GRU", {"batch_first": True}, torch.float32, "TransposeBackward1"),
        ("RNN", {"bidirectional": True}, torch.float64, "CatBackward0"),
    ],
)
def test_the_history_of_all_steps_has_pytorchs_name(kind, options, dt, name):
    network = getattr(torch.nn, kind)(4, 5, **options).to(dt)
    steps, state = network(torch.randn(3, 2, 4, dtype=dt))
    assert steps.grad_fn.name() == name
    assert (state[0] if kind == "LSTM" else state).grad_fn.name() == "StackBackward0"
