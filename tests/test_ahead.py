"""Programs that begin before they are recorded: found again if nothing has changed, dropped otherwise, same bits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from _late import idle_workers
from _thorough import search
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import _execution, nn
from flambeau.compiler import flight
from flambeau.compiler.cpu import pool, running
from flambeau.graph import ahead, realisation

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True, scope="module")
def native_code() -> Iterator[None]:
    """Programs are compiled at their first run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realisation, "executor", [_execution.run_compiled])
        patch.setattr(_execution, "tier", ["compiled"])
        realisation.forget()
        yield
        realisation.forget()


@pytest.fixture(params=["early", "late"])
def begun(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """What came of the runs that began: they are done at once, or when somebody waits for them."""
    found: list[Any] = []
    begin, outputs = running.Whole.begin, ahead.outputs

    def begin_and_end(self: Any, *args: Any) -> Any:
        run = begin(self, *args)
        if run is not None:
            run.join()
        return run

    def noted(*args: Any) -> Any:
        found.append(outputs(*args))
        return found[-1]

    with idle_workers(), pytest.MonkeyPatch.context() as patch:
        if request.param == "early":
            patch.setattr(running.Whole, "begin", begin_and_end)
        patch.setattr(ahead, "outputs", noted)
        yield found


def network(width: int = 32) -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4))


def inputs(count: int) -> list[Any]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(8, 16, generator=generator) for _ in range(count)]


def answers(step: Callable[[int, Any], Any], count: int = 12) -> list[bytes]:
    """The bits of what the steps give, without history."""
    with torch.no_grad():
        return [step(k, x).numpy().tobytes() for k, x in enumerate(inputs(count))]


def alike(make: Callable[[], Callable[[int, Any], Any]], begun: list[Any], hits: int | None = None) -> None:
    """The steps give the same with and without runs that begin ahead; ``hits`` of these were of use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flight, "enabled", [False])
        expected = answers(make())
    assert not begun
    assert answers(make()) == expected
    assert begun, "nothing began ahead"
    if hits is not None:
        assert sum(found is not None for found in begun) == hits


def test_a_steady_loop_begins_each_run_but_the_first(begun: list[Any]) -> None:
    def make() -> Any:
        net = network()
        return lambda k, x: net(x)

    alike(make, begun, 11)


def test_the_run_has_begun_when_the_first_operator_has_seen_the_input(begun: list[Any]) -> None:
    net, (*first, y) = network(), inputs(4)
    with torch.no_grad():
        for x in first:
            net(x).numpy()
        assert not flight.flights
        hidden = net[0](y)
        assert len(flight.flights) == 1
        hidden = net[1:](hidden)
        hidden.numpy()
    assert not flight.flights
    assert begun[-1] is not None


def test_outputs_that_are_held_stay(begun: list[Any]) -> None:
    net = network()
    held, values = [], []
    with torch.no_grad():
        for x in inputs(8):
            held.append(net(x))
            values.append(held[-1].numpy().copy())
    assert [y.numpy().tobytes() for y in held] == [v.tobytes() for v in values]
    assert len(begun) >= 7
    assert all(found is not None for found in begun[-7:])


WRITES: dict[str, Callable[[Any], Any]] = {
    "in_place": lambda w: w.mul_(2),
    "copy": lambda w: w.copy_(torch.ones(w.shape)),
    "one_element": lambda w: w.__setitem__((0, 0), 3.0),
    "numpy": lambda w: w.numpy().__imul__(2),
    "data": lambda w: setattr(w, "data", w * 3),
    "data_in_place": lambda w: w.data.add_(1),
    "fill": lambda w: nn.init.constant_(w, 0.25),
    "set": lambda w: w.set_(torch.ones(w.shape)),
}


@pytest.mark.parametrize("write", list(WRITES))
def test_memory_that_is_written_while_the_run_goes_on(write: str, begun: list[Any]) -> None:
    def make() -> Any:
        net = network()

        def step(k: int, x: Any) -> Any:
            hidden = net[1](net[0](x))
            if k % 5 == 4:
                WRITES[write](net[2].weight)
            return net[4](net[3](net[2](hidden)))

        return step

    alike(make, begun)


@pytest.mark.parametrize("write", ["in_place", "numpy", "one_element"])
def test_the_input_is_written_while_the_run_goes_on(write: str, begun: list[Any]) -> None:
    def make() -> Any:
        net = network()

        def step(k: int, x: Any) -> Any:
            hidden = net[0](x)
            if k % 5 == 4:
                WRITES[write](x)
            return net[1:](hidden) + (x.sum() if k == 9 else 0)

        return step

    alike(make, begun)


def test_another_program_comes(begun: list[Any]) -> None:
    def make() -> Any:
        net = network()

        def step(k: int, x: Any) -> Any:
            y = net(x)
            return y.exp() if k % 4 == 3 else y

        return step

    alike(make, begun)
    assert None in begun


def test_where_it_is_often_in_vain_nothing_begins(begun: list[Any]) -> None:
    net = network()
    with torch.no_grad():
        for k, x in enumerate(inputs(40)):
            y = net(x)
            (y.exp() if k % 2 else y).numpy()
    assert len(begun) <= 10


def test_another_network_has_the_numbers_of_one_that_is_gone(begun: list[Any]) -> None:
    """Its memory is smaller: the program of the one before would read behind its end."""
    x, *more = inputs(8)
    with torch.no_grad():
        wide = network(64)
        for _ in range(3):
            wide(x).numpy()
        del wide
        realisation.sweep()
        narrow = network(8)
        found = [narrow(x).numpy().tobytes() for x in more]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flight, "enabled", [False])
            assert found == [narrow(x).numpy().tobytes() for x in more]


def test_numbers_count_by_their_bits(begun: list[Any]) -> None:
    numbers = itertools.cycle([float("1.5"), float("1.5"), 2.5, 0.0, -0.0, float("nan"), float("nan")])

    def make() -> Any:
        net = network()
        return lambda k, x: net(x) * next(numbers)

    expected = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flight, "enabled", [False])
        expected = answers(make(), 14)
    assert answers(make(), 14) == expected
    assert begun


def test_rows_of_a_data_set_and_memory_that_numpy_shares(begun: list[Any]) -> None:
    data = np.random.default_rng(0).standard_normal((12, 16)).astype(np.float32)
    row = np.zeros((1, 16), np.float32)

    def make() -> Any:
        net, rows, shared = network(), torch.tensor(data), torch.from_numpy(row)

        def step(k: int, x: Any) -> Any:
            if k < 6:
                return net(rows[k : k + 1])
            row[:] = data[k]
            hidden = net[0](shared)
            row[:] = 7
            return net[1:](hidden)

        return step

    alike(make, begun, 10)


def test_an_error_in_the_middle(begun: list[Any]) -> None:
    def make() -> Any:
        net = network()

        def step(k: int, x: Any) -> Any:
            if k % 3 == 2:
                with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
                    net[4](net[0](x)[:, :3])
            return net(x)

        return step

    alike(make, begun)


def test_a_number_that_is_looked_at_in_the_middle(begun: list[Any]) -> None:
    def make() -> Any:
        net = network()

        def step(k: int, x: Any) -> Any:
            hidden = net[:2](x)
            if k % 3 == 1 and hidden.sum().item() > 1e9:
                hidden = hidden * 2
            return net[2:](hidden)

        return step

    alike(make, begun)


def test_training_does_not_begin_ahead(begun: list[Any]) -> None:
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for x in inputs(6):
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), torch.zeros(8, 4))
        loss.backward()
        optimizer.step()
        loss.item()
    assert not begun


def test_what_no_other_thread_takes_begins_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    count = []
    begin = running.Whole.begin
    monkeypatch.setattr(running.Whole, "begin", lambda *args: count.append(None) or begin(*args))
    with idle_workers(), torch.no_grad():
        for cost in ("hot_cost", "cold_cost", "leave_cost"):
            pool.default()._set(cost, 1 << 60)
        net = network()
        for x in inputs(40):
            net(x).numpy()
    assert len(count) == 1


def test_one_thread_begins_nothing() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        net, (*first, y) = network(), inputs(4)
        with torch.no_grad():
            for x in first:
                net(x).numpy()
            hidden = net[0](y)
            assert not flight.flights
            net[1:](hidden).numpy()
    finally:
        torch.set_num_threads(threads)


MIDDLES: dict[str, Callable[[Any, Any], Any]] = {
    "nothing": lambda net, x: None,
    "first weight": lambda net, x: net[0].weight.mul_(1.5),
    "last bias": lambda net, x: net[4].bias.add_(1),
    "written by numpy": lambda net, x: net[2].weight.numpy().__iadd__(0.5),
    "loaded": lambda net, x: net.load_state_dict({k: v * 0.5 for k, v in net.state_dict().items()}),
    "another parameter": lambda net, x: setattr(net[2], "bias", nn.Parameter(torch.full((32,), 0.1))),
    "looked at": lambda net, x: net[2].weight.sum().item(),
    "input": lambda net, x: x.add_(1),
    "random": lambda net, x: torch.rand(3).sum().item(),
    "other network": lambda net, x: network(8)(x).sum().item(),
}


@search(30)
@given(middles=st.lists(st.sampled_from(list(MIDDLES)), min_size=6, max_size=16), at=st.integers(1, 4))
def test_whatever_comes_in_the_middle(middles: list[str], at: int) -> None:
    def make() -> Any:
        net = network()

        def step(k: int, x: Any) -> Any:
            hidden = net[:at](x)
            MIDDLES[middles[k]](net, x)
            return net[at:](hidden)

        return step

    with idle_workers():
        found = answers(make(), len(middles))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flight, "enabled", [False])
            assert found == answers(make(), len(middles))
