"""Steps that are known: backward nodes that are completed late, passes found by the loss's node, repeated updates.

Each scenario runs several times, so that it is known, and once with every backward node completed at once; all
must agree to the bit.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn, optim
from flambeau.autograd import memo
from flambeau.graph import realise
from flambeau.graph.epoch import threads
from flambeau.graph.gradients import Gradients

Scenario = Callable[[], list[Any]]


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """One entry for each pass that was found by the traced node alone."""
    if not isinstance(memo.replay, FunctionType):
        pytest.skip("a twin calls its own functions")
    found: list[Any] = []
    released = memo.released
    monkeypatch.setattr(memo, "released", lambda *a: (found.append(a), released(*a))[1])
    return found


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """A fresh epoch, of a process in which no other thread has recorded anything."""
    realise()
    epoch = threads.epoch
    before = epoch.alone, epoch.deferring, epoch.crowded
    epoch.alone, epoch.deferring, epoch.crowded = True, True, False
    yield
    realise()
    epoch.alone, epoch.deferring, epoch.crowded = before


def at_once(scenario: Scenario) -> list[Any]:
    """The scenario with backward nodes that are complete from the beginning."""
    realise()
    epoch = threads.epoch
    before = epoch.alone, epoch.deferring
    epoch.alone = epoch.deferring = False
    try:
        return scenario()
    finally:
        realise()
        epoch.alone, epoch.deferring = before


def plain(x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return x.dtype, tuple(x.shape), x.detach().tolist(), x._version
    return x


def same(scenario: Scenario, times: int = 3) -> list[Any]:
    """What the scenario gives, which must be the same every time."""
    expected = [plain(x) for x in at_once(scenario)]
    for _ in range(times):
        realise()
        assert [plain(x) for x in scenario()] == expected
    return expected


def leaf(*values: float) -> Any:
    x: Any = torch.tensor(values, requires_grad=True)
    return x


def error_of(f: Callable[[], Any]) -> str:
    try:
        f()
    except RuntimeError as e:
        return str(e).splitlines()[0]
    return "no error"


def names(fn: Any, depth: int = 6) -> Any:
    if fn is None or depth == 0:
        return None
    return fn.name(), [names(f, depth - 1) for f, _ in fn.next_functions]


# ---- passes


def test_a_known_pass_is_found_without_a_walk(replays: list[Any]) -> None:
    x: Any = leaf(1.0, 2.0)
    for _ in range(4):
        realise()
        x.grad = None
        (x * x).sum().backward()
        assert plain(x.grad)[2] == [2.0, 4.0]
    assert len(replays) >= 3


def test_gradients_add_up() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(1.0, 2.0)
        for k in range(3):
            (x.exp() * (k + 1)).sum().backward()
        return [x.grad]

    same(scenario)


def test_numbers_that_the_gradient_depends_on() -> None:
    x: Any = leaf(1.0, 2.0)
    for factor in (2.0, 3.0, 2.0, 3.0, -1.5):
        realise()
        x.grad = None
        (x * factor).sum().backward()
        assert plain(x.grad)[2] == [factor, factor]


def test_a_second_pass_through_a_freed_graph_is_refused() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(1.0, 2.0)
        y = x * x
        loss = y.sum()
        loss.backward()
        return [error_of(loss.backward), error_of((y * 2).sum().backward), x.grad]

    assert "a second time" in same(scenario)[0]


def test_a_pass_from_within_a_graph_that_another_has_freed() -> None:
    def scenario() -> list[Any]:
        x = leaf(1.0, 2.0)
        y = (x * 2).sum()
        y.exp().backward()
        return [error_of(y.backward), x.grad]

    assert "a second time" in same(scenario)[0]


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad * 2


def test_nodes_that_are_complete_at_once_come_after_those_on_the_tape() -> None:
    def scenario() -> list[Any]:
        x = leaf(1.0)
        first, middle, last = x * 2e8, Doubled.apply(x), x * -2e8  # whose gradients, latest first, add up to zero
        (first + middle + last).sum().backward()
        return [x.grad]

    assert same(scenario)[0][2] == [0.0]


def test_nodes_that_only_a_later_one_holds_are_completed() -> None:
    def scenario() -> list[Any]:
        x = leaf(1.0, 2.0)
        loss = ((x * 2).exp().view(2, 1).sin() + x.cos()).sum()
        seen = names(loss.grad_fn)
        loss.backward()
        return [seen, x.grad]

    same(scenario)


def test_a_graph_may_be_retained() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(1.0, 2.0)
        loss = (x * x).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        return [x.grad, error_of(loss.backward)]

    same(scenario)


def test_a_graph_that_saved_nothing_may_be_used_again() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(1.0, 2.0)
        loss = (x + x).sum()
        loss.backward()
        loss.backward()
        return [x.grad]

    same(scenario)


def test_calls_that_are_equal_are_two_calls() -> None:
    def scenario() -> list[Any]:
        x = leaf(0.3, 0.7)
        a, b = torch.sin(x), torch.sin(x)
        (a * b).sum().backward()
        first = a.sum()
        return [x.grad, a.grad_fn is b.grad_fn, a is b, error_of(first.backward)]

    same(scenario)


def test_two_graphs_of_one_form_in_one_epoch() -> None:
    def scenario() -> list[Any]:
        x, y = leaf(0.3, 0.7), leaf(1.0, 2.0)
        one, two = (x * x).sum(), (y * y).sum()
        two.backward()
        one.backward()
        return [x.grad, y.grad, error_of(one.backward)]

    same(scenario)


def test_a_freed_graph_can_still_be_shown() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(1.0, 2.0)
        y = (x * 2).tanh()
        loss = y.view(2, 1).sum()
        loss.backward()
        inner = loss.grad_fn.next_functions[0][0].next_functions[0][0]
        acc = y.grad_fn.next_functions[0][0].next_functions[0][0]
        return [names(loss.grad_fn), inner is y.grad_fn, acc.variable is x, names(y.grad_fn)]

    shown = same(scenario)
    assert shown[1:3] == [True, True]
    assert shown[0][0] == "SumBackward0"


def test_a_freed_graph_is_shown_after_its_epoch() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(1.0, 2.0)
        y = (x * 2).tanh()
        loss = y.sum()
        loss.backward()
        realise()
        other = torch.ones(3, requires_grad=True)
        (other * 2).sum().backward()
        return [names(loss.grad_fn), error_of(loss.backward), error_of((y * 2).sum().backward)]

    same(scenario)


def test_a_graph_goes_on_from_a_freed_one() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(1.0, 2.0)
        y = x * 2
        y.sum().backward()
        z = (y * 1)[0]
        x.detach().add_(1)
        return [names(z.grad_fn), error_of((z * 2).backward)]

    same(scenario)


def test_what_was_saved_may_not_be_written() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(1.0, 2.0)
        y = x.exp()
        loss = y.sum()
        with torch.no_grad():
            y.mul_(2)
        a = error_of(loss.backward)
        z = x * x
        x.data.add_(1)
        z.sum().backward()
        w = torch.ones(2)
        u = x * w
        w.add_(1)
        return [a, error_of(u.sum().backward), x.grad]

    assert "modified by an inplace operation" in same(scenario)[0]


def test_part_of_memory_that_is_written_later() -> None:
    def scenario() -> list[Any]:
        data = torch.tensor([[float(3 * i + j) for j in range(3)] for i in range(4)])
        x = leaf(1.0, 2.0, 3.0)
        loss = (x * data[1]).sum()
        data[1].add_(1)
        return [error_of(loss.backward), x.grad]

    same(scenario)


def test_memory_that_numpy_writes_between_forward_and_backward() -> None:
    def scenario() -> list[Any]:
        array = np.array([1.0, 2.0], dtype=np.float32)
        x, w = leaf(1.0, 1.0), torch.from_numpy(array)
        loss = (x * w).sum()
        array[:] = 5.0
        loss.backward()
        rows = torch.ones(3, 2)
        seen = rows.numpy()
        loss = (x * rows[1]).sum()
        seen[:] = 7.0
        loss.backward()
        return [x.grad]

    assert same(scenario)[0][2] == [12.0, 12.0]


def test_a_write_into_the_graph() -> None:
    def scenario() -> list[Any]:
        x = leaf(1.0, 2.0, 3.0)
        y = x * 2
        y[0] = 5.0
        y.add_(x)
        (y * y).sum().backward()
        return [x.grad, names(y.grad_fn)]

    same(scenario)


def test_values_looked_at_before_the_pass() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(1.0, 2.0)
        y = x.exp()
        loss = (y * y).sum()
        seen = loss.item()
        loss.backward()
        return [seen, x.grad]

    same(scenario)


def test_hooks_registered_on_a_known_graph() -> None:
    x: Any = leaf(1.0, 2.0)

    def step(how: str) -> list[Any]:
        realise()
        x.grad = None
        seen: list[Any] = []
        y = x * 3
        loss = (y * y).sum()
        handle = None
        if how == "tensor":
            handle = y.register_hook(lambda g: seen.append(g.tolist()))
        elif how == "node":
            handle = loss.grad_fn.register_hook(lambda *a: seen.append("node"))
        elif how == "leaf":
            handle = x.register_hook(lambda g: seen.append(g.tolist()) or g * 2)
        elif how == "retain":
            y.retain_grad()
        loss.backward()
        if handle is not None:
            handle.remove()
        return [seen, plain(x.grad)[2], y.grad.tolist() if how == "retain" else None]

    for _ in range(3):
        usual = step("none")
    assert step("tensor") == [[[6.0, 12.0]], usual[1], None]
    assert step("node") == [["node"], usual[1], None]
    assert step("retain") == [[], usual[1], [6.0, 12.0]]
    assert step("leaf") == [[usual[1]], [2 * g for g in usual[1]], None]
    assert step("none") == usual


def test_a_leaf_that_no_longer_wants_a_gradient() -> None:
    def scenario() -> list[Any]:
        x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
        (x * w).sum().backward()
        w.requires_grad_(False)
        x.grad = None
        (x * w).sum().backward()
        w.requires_grad_()
        view = w.view(1, 2)
        (x * view).sum().backward()
        return [x.grad, w.grad]

    same(scenario)


def test_views_of_a_tensor_that_begins_to_want_a_gradient() -> None:
    def scenario() -> list[Any]:
        x = torch.ones(2, 2)
        v = x[0]
        a = v * 2
        x.requires_grad_()
        return [a.requires_grad, (x[0] * 2).requires_grad, (v * 2).requires_grad]

    same(scenario)


def test_no_grad_and_grad_mode_do_not_share_calls() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(1.0, 2.0)
        with torch.no_grad():
            a = x * 2
        b = x * 2
        with torch.no_grad():
            c = b * 2
        return [a.requires_grad, b.requires_grad, c.requires_grad, x.detach().requires_grad, (x.detach() * b).is_leaf]

    same(scenario)


def test_a_saved_tensor_hook_sees_what_is_saved() -> None:
    def scenario() -> list[Any]:
        seen: list[Any] = []
        x: Any = leaf(1.0, 2.0)
        y = x.exp()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: (seen.append(t.shape), t)[1], lambda t: t):
            loss = (y * y).sum()
        loss.backward()
        return [len(seen), x.grad]

    same(scenario)


@pytest.mark.usefixtures("small_heap")
def test_what_nobody_holds_is_freed() -> None:
    import weakref

    x: Any = leaf(1.0, 2.0)
    for _ in range(3):
        realise()
        y = x * 2
        gone = weakref.ref(y)
        loss = y.exp().sum()
        loss.backward()
        del y
        realise()
        gc.collect()
        assert gone() is None
        assert loss.grad_fn is not None


# ---- calls with several results, and equal calls


class Attention(nn.Module):
    """Views of one product, layer norm, and a linear layer that sees the same rows three times."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24, bias=False)
        self.gates = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])

    def forward(self, x: Any) -> Any:
        q, k, v = [t.view(2, 3, 2, 4).transpose(1, 2) for t in self.qkv(self.norm(x)).split(8, dim=2)]
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 3, 8)
        a, b, c = [gate(y) for gate in self.gates]
        return (a * b.sigmoid() + c).mean()


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Any) -> Any:
        return self.norm(self.conv(x.view(2, 1, 3, 8))).max(3)[0].square().mean()


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 4, batch_first=True)

    def forward(self, x: Any) -> Any:
        y, (h, _) = self.lstm(x)
        first, *_ = y.unbind(1)
        return (y.mean(1) * h[0]).sum() + first.sum()


@pytest.mark.parametrize("network", [Attention, Normalised, Recurrent])
def test_steps_with_several_results(network: Any, replays: list[Any]) -> None:
    def scenario() -> list[Any]:
        torch.manual_seed(0)
        net, x = network(), torch.randn(2, 3, 8)
        opt = optim.Adam(net.parameters(), lr=0.1)
        losses = []
        for _ in range(6):
            opt.zero_grad()
            loss = net(x)
            loss.backward()
            opt.step()
            losses.append(loss.item())
        return [*losses, *net.parameters(), *net.buffers()]

    same(scenario, 2)
    assert len(replays) >= 8


def test_results_of_which_some_are_used() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(0.3, 0.7, 0.5, 0.1)
        values, places = x.view(2, 2).max(1)
        a, b = (x * 2).split(2)
        shown = names(values.grad_fn), names(b.grad_fn), b.grad_fn is a.grad_fn, b.output_nr
        (values * places + a).sum().backward(retain_graph=True)
        (a * values).sum().backward()
        return [x.grad, *shown, error_of(values.sum().backward), values.grad_fn.name()]

    same(scenario)


def test_several_results_of_a_freed_graph_can_be_shown() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(0.3, 0.7, 0.5, 0.1)
        y, places = (x * 2).view(2, 2).max(1)
        a, b = y.exp().split(1)
        loss = (a * b).sum()
        loss.backward()
        fn = loss.grad_fn.next_functions[0][0]
        outputs = [number for _, number in fn.next_functions]
        return [names(loss.grad_fn), outputs, fn.next_functions[0][0] is a.grad_fn, error_of(y.sum().backward), places]

    shown = same(scenario)
    assert shown[1:3] == [[0, 1], True]


def test_memory_of_several_results_is_written() -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(0.3, 0.7, 0.5, 0.1)
        y = x * 2
        a, b = y.split(2)
        errors = [error_of(lambda: a.mul_(2)), error_of(lambda: y.sum().backward(retain_graph=True))]
        y.mul_(3)
        errors.append(error_of(lambda: (a + b).sum().backward()))
        return [x.grad, *errors]

    same(scenario)


def test_memory_that_no_gradient_reads_may_be_written(replays: list[Any]) -> None:
    """Also where the gradients of another program read such zeros."""
    (leaf(1.0, 2.0) * torch.zeros(2)).sum().backward()
    realise()

    def scenario() -> list[Any]:
        x: Any = leaf(0.3, 0.7)
        seen = torch.zeros(2)
        for k in range(4):
            y = (x + seen).sin()
            seen += 1
            (y * (k + 1)).sum().backward()
        return [x.grad, seen]

    same(scenario, 8)
    assert len(replays) >= 12


def test_leaves_that_nobody_else_holds() -> None:
    for _ in range(4):
        loss = (leaf(1.0, 2.0) * 3).sum()
        loss.backward()
        assert loss.item() == 9.0


def test_equal_calls_in_one_pass_and_in_several(replays: list[Any]) -> None:
    def scenario() -> list[Any]:
        x: Any = leaf(0.3, 0.7)
        for _ in range(3):
            a, b, c = x.exp(), x.exp(), x.view(2, 1)
            (a * b * x.view(2, 1).view(2) * c.view(2)).sum().backward()
        return [x.grad]

    same(scenario, 8)
    assert len(replays) >= 12


# ---- optimizer steps


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Linear(4, 2, bias=False)

    def forward(self, x: Any) -> Any:
        return self.second(F.relu(self.first(x)))


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "adafactor": lambda p: optim.Adafactor(p, lr=0.1),
    "asgd": lambda p: optim.ASGD(p, lr=0.1),
    "groups": lambda p: (lambda q: optim.SGD([{"params": q[:1]}, {"params": q[1:], "lr": 0.01}], lr=0.1, momentum=0.9))(
        list(p)
    ),
}


def train(make: Callable[[Any], Any], between: Callable[[int, Any, Any, Any], None] | None = None) -> list[Any]:
    torch.manual_seed(0)
    net, x, y = Net(), torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1])
    opt = make(net.parameters())
    losses = []
    for k in range(8):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        if between is not None:
            between(k, net, opt, loss)
        opt.step()
        losses.append(loss.item())
    return [*losses, *net.parameters(), *[p.grad for p in net.parameters()]]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_known_steps(name: str) -> None:
    same(lambda: train(OPTIMIZERS[name]), 2)


def _clip(k: int, net: Any, opt: Any, loss: Any) -> None:
    nn.utils.clip_grad_norm_(net.parameters(), 0.1)


def _look(k: int, net: Any, opt: Any, loss: Any) -> None:
    if k % 3 == 2:
        assert net.first.weight.grad is net.first.weight.grad


def _drop(k: int, net: Any, opt: Any, loss: Any) -> None:
    if k in (3, 6):
        net.first.bias.grad = None


def _realise(k: int, net: Any, opt: Any, loss: Any) -> None:
    if k % 2:
        loss.item()


def _schedule(k: int, net: Any, opt: Any, loss: Any) -> None:
    for group in opt.param_groups:
        group["lr"] = 0.1 / (k + 1)


def _replace_state(k: int, net: Any, opt: Any, loss: Any) -> None:
    p = net.first.weight
    if k == 5 and "momentum_buffer" in opt.state.get(p, {}):
        opt.state[p] = {"momentum_buffer": torch.ones_like(p)}


def _replace_data(k: int, net: Any, opt: Any, loss: Any) -> None:
    if k == 4:
        net.first.weight.data = net.first.weight.data * 2


def _swap(k: int, net: Any, opt: Any, loss: Any) -> None:
    a = net.first.weight
    if k == 4:
        b = torch.nn.Parameter(torch.zeros_like(a))
        a.data, b.data = b.data, a.data


def _freeze(k: int, net: Any, opt: Any, loss: Any) -> None:
    net.first.bias.requires_grad_(k not in (3, 4))


def _numpy(k: int, net: Any, opt: Any, loss: Any) -> None:
    if k == 5:
        net.second.weight.detach().numpy()[0, 0] = 0.25


def _twice(k: int, net: Any, opt: Any, loss: Any) -> None:
    if k == 5:
        opt.step()


@pytest.mark.parametrize(
    "between",
    [_clip, _look, _drop, _realise, _schedule, _replace_state, _replace_data, _swap, _freeze, _numpy, _twice],
)
@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "groups"])
def test_known_steps_with_something_between(name: str, between: Callable[..., None]) -> None:
    same(lambda: train(OPTIMIZERS[name], between), 2)


def test_gradients_are_one_object_until_they_are_read() -> None:
    net = Net()
    opt = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1])
    for _ in range(4):
        opt.zero_grad()
        F.cross_entropy(net(x), y).backward()
        opt.step()
    assert {type(p._g) for p in net.parameters()} == {Gradients}
    grads = [p.grad for p in net.parameters()]
    assert all(p.grad is g and g.shape == p.shape and g.is_leaf for p, g in zip(net.parameters(), grads))
    opt.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_a_view_of_a_parameter_held_from_step_to_step() -> None:
    def scenario() -> list[Any]:
        p = torch.nn.Parameter(torch.ones(2, 2))
        opt = optim.SGD([p], lr=0.1)
        view = p.view(4)
        seen: list[Any] = []
        for _ in range(4):
            opt.zero_grad()
            handle = view.register_hook(lambda g: seen.append(g.tolist()))
            (view * view).sum().backward()
            opt.step()
            handle.remove()
        return [p, p.grad, seen, type(view.grad_fn).__name__]

    same(scenario, 2)


@pytest.mark.parametrize("whole", [True, False])
def test_known_steps_of_memory_that_numpy_sees(whole: bool) -> None:
    def scenario() -> list[Any]:
        array = np.arange(6, dtype=np.float32).reshape(3, 2)
        memory: Any = torch.from_numpy(array)
        p: Any = torch.nn.Parameter(memory if whole else memory[1])
        opt = optim.SGD([p], lr=0.5, momentum=0.5)
        for _ in range(3):
            opt.zero_grad()
            (p * 2 - 1).sum().backward()
            opt.step()
            array += 1
        return [array.tolist(), p, p.grad]

    same(scenario)


def test_an_update_that_fails_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from flambeau.graph import realisation

    p = torch.nn.Parameter(torch.ones(2))
    opt = optim.SGD([p], lr=0.1)

    def step() -> None:
        opt.zero_grad()
        (p * p).sum().backward()
        opt.step()

    for _ in range(3):
        step()
    before, version = p.tolist(), p._version

    def fail(*_: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as m:
        m.setattr(realisation, "executor", [fail])
        with pytest.raises(RuntimeError, match="allocate memory"):
            step()
    assert p.tolist() == before
    assert p._version >= version
    step()
    assert p.tolist() != before


@pytest.mark.parametrize(
    "read", [float, repr, torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.numpy, lambda x: (x + 1).item()]
)
def test_what_a_failed_program_did_not_compute_says_so(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[Any], Any]
) -> None:
    from flambeau.graph import realisation

    def fail(*_: Any) -> Any:
        raise MemoryError

    total = (torch.ones(3) * 2).sum()
    with monkeypatch.context() as m:
        m.setattr(realisation, "executor", [fail])
        with pytest.raises(RuntimeError, match="DefaultCPUAllocator: can't allocate memory"):
            total.item()
    with pytest.raises(RuntimeError, match="a tensor's memory was lost: its program failed"):
        read(total)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: torch.ones(2**20).expand(2**28, -1).clone(), RuntimeError, "tried to allocate 1125899906842624 bytes"),
        (lambda: torch.zeros(2**31, 2**31), RuntimeError, "Storage size calculation overflowed with sizes="),
        (lambda: torch.zeros(2, 2**63), TypeError, "failed to unpack the object at pos 2 with error"),
    ],
)
def test_memory_that_nobody_has(make: Callable[[], Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make().sum().item()


def retaining(steps: int) -> list[Any]:
    """What results, views, parts and the loss itself retain, in steps that accumulate, over one graph twice."""
    torch.manual_seed(0)
    w = torch.randn(4, 6, requires_grad=True)
    x = torch.randn(5, 4)
    seen: list[Any] = []
    for i in range(steps):
        h = x @ w
        low, high = h.tanh().split(3, 1)
        y = (low.t() * high.sum()).expand(2, 3, 5)
        loss = (y**2).mean() + h.exp().sum()
        kept = [h, low, y, loss, high * 2] if i % 3 else [h, low]
        for k in kept:
            k.retain_grad()
        for again in (True, False):
            loss.backward(retain_graph=again)
        for k in kept:
            seen.append(None if k.grad is None else (k.grad.numpy().copy(), k.grad.stride(), k.grad._version))
        seen.append(w.grad.numpy().copy())  # type: ignore[union-attr]
    return seen


def test_passes_whose_results_retain_gradients_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[Any] = []
    learn = memo._learn
    monkeypatch.setattr(memo, "_learn", lambda *a: (learned.append(a), learn(*a))[1])
    remembered = retaining(6)
    assert 0 < len(learned) < 12
    monkeypatch.setattr(memo, "_only_retains", lambda *a: False)
    for a, b in zip(remembered, retaining(6), strict=True):
        np.testing.assert_equal(a, b)


def writing(steps: int) -> list[Any]:
    """The gradients of steps with values looked at on the way, and writes through views of several kinds."""
    torch.manual_seed(0)
    w = torch.randn(4, 6, requires_grad=True)
    x = torch.randn(5, 4)
    seen: list[Any] = []
    for _ in range(steps):
        h = x @ w
        out = torch.zeros(5, 6)
        out[h > 0] = h[h > 0].exp()
        out[:, 1] = 2.0
        out[1:3].mul_(h[2:4])
        out.t()[4] += out[:, 0] * 0.5
        if out.sum() > 1e6:
            break
        torch.relu_(out[:, ::2])
        for again in (True, False):
            (out**2).sum().backward(retain_graph=again)
        seen.append(w.grad.numpy().copy())  # type: ignore[union-attr]
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            out.sum().backward()
    return seen


def test_passes_through_writes_to_parts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[Any] = []
    learn = memo._learn
    monkeypatch.setattr(memo, "_learn", lambda *a: (learned.append(a), learn(*a))[1])
    remembered = writing(6)
    assert 0 < len(learned) < 6
    monkeypatch.setattr(memo, "_read_write", lambda *a: False)
    for a, b in zip(remembered, writing(6), strict=True):
        np.testing.assert_equal(a, b)


def test_what_a_write_to_a_part_saved_may_not_be_written() -> None:
    w = torch.ones(3, requires_grad=True)
    for _ in range(3):
        factor = torch.full((2,), 3.0)
        out = w * 1
        out[:2].mul_(factor)
        out.sum().item()
        factor.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()


def test_hooks_beside_retained_gradients_run() -> None:
    w = torch.ones(3, requires_grad=True)
    for _ in range(2):
        y = w * 2
        y.retain_grad()
        y.register_hook(lambda g: g * 10)
        w.grad = None
        y.sum().backward()
        assert y.grad is not None and y.grad.tolist() == [10.0] * 3
        assert w.grad is not None and w.grad.tolist() == [20.0] * 3


def test_types_of_rows_that_nobody_holds_are_dropped() -> None:
    from flambeau.graph import realisation, types

    realisation.forget()  # types of other tests
    types._sweep()
    x = torch.arange(4.0).expand(100_000, 4).contiguous()
    held = x[7]
    for i in range(len(x)):
        x[i]
    rows = x.unbind()
    assert x[7]._ty is held._ty is rows[7]._ty
    assert rows[99_999].tolist() == [0, 1, 2, 3]
    del rows
    for column in (1, 2, 3):  # as many types as there have been at a time, twice over
        for i in range(len(x)):
            x[i, column]
    assert len(types._types) <= 2 * types._MANY


def test_tables_of_a_gradient_are_found_in_every_epoch() -> None:
    x = torch.randn(1, 1, 3, requires_grad=True)
    kept, found = [], []
    for k in range(4):
        y = torch.nn.functional.interpolate(x, size=7, mode="linear")
        y.backward(torch.full_like(y, k + 1.0))
        assert x.grad is not None
        kept.append(x.grad)
        if k:  # the first two passes are in one epoch, which has the tables of both; the later ones begin anew
            found.append(x.grad.sum().item())
        x.grad = None
    assert found == pytest.approx([14.0, 21.0, 28.0])
    assert kept[0].sum().item() == pytest.approx(7.0)
