"""Steps that are recognised as the one before: what disturbs them, and that they compute the same all the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from _thorough import thorough

import flambeau as torch
from flambeau import nn
from flambeau.graph import epoch
from flambeau.graph.realisation import counters, forget, realise
from flambeau.ops import stepping
from flambeau.optim._loop import LoopOptimizer

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda ps: torch.optim.SGD(ps, lr=0.05),
    "momentum": lambda ps: torch.optim.SGD(ps, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda ps: torch.optim.Adam(ps, lr=0.01),
    "amsgrad": lambda ps: torch.optim.AdamW(ps, lr=0.01, amsgrad=True),
    "rmsprop": lambda ps: torch.optim.RMSprop(ps, lr=0.01, momentum=0.5),
    "adagrad": lambda ps: torch.optim.Adagrad(ps, lr=0.01),
    "adadelta": lambda ps: torch.optim.Adadelta(ps),
    "adamax": lambda ps: torch.optim.Adamax(ps),
    "radam": lambda ps: torch.optim.RAdam(ps, lr=0.01),
    "rprop": lambda ps: torch.optim.Rprop(ps),
    "nadam": lambda ps: torch.optim.NAdam(ps, lr=0.01),
    "asgd": lambda ps: torch.optim.ASGD(ps, lr=0.05, t0=3),
    "groups": lambda ps: torch.optim.SGD(_groups(ps), lr=0.05, momentum=0.9),
    "adam groups": lambda ps: torch.optim.AdamW(_groups(ps), lr=0.01),
}


def _groups(ps: Any) -> list[dict[str, Any]]:
    first, *rest = ps
    return [
        {"params": [first, rest.pop()], "weight_decay": 0.1},
        {"params": rest[:1], "lr": 0.02},
        {"params": rest[1:]},
    ]


def _network() -> Any:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def _states(optimizer: Any) -> list[dict[str, Any]]:
    return [optimizer.state[p] for group in optimizer.param_groups for p in group["params"]]


def _set_count(net: Any, optimizer: Any) -> None:
    for state in _states(optimizer):
        if "step" in state:
            state["step"].fill_(3.0)


def _one_count(net: Any, optimizer: Any) -> None:
    state = _states(optimizer)[0]
    if "step" in state:
        state["step"] = torch.tensor(2.0)


def _replace_states(net: Any, optimizer: Any) -> None:
    for state in _states(optimizer):
        for key, value in state.items():
            if value is not None and value.ndim:
                state[key] = value * 0.5


def _write_states(net: Any, optimizer: Any) -> None:
    for state in _states(optimizer):
        for value in state.values():
            if value is not None and value.ndim:
                value.mul_(0.5)


def _forget_states(net: Any, optimizer: Any) -> None:
    optimizer.state.clear()


def _swap_data(net: Any, optimizer: Any) -> None:
    net[0].weight.data = net[0].weight.data * 0.5


def _write_data(net: Any, optimizer: Any) -> None:
    net[0].weight.data.mul_(0.5)
    net[2].bias.data.clamp_(-0.1, 0.1)


def _through_numpy(net: Any, optimizer: Any) -> None:
    net[0].weight.detach().numpy()[0] = 0.25


def _freeze(net: Any, optimizer: Any) -> None:
    net[2].bias.requires_grad_(not net[2].bias.requires_grad)


def _load(net: Any, optimizer: Any) -> None:
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def _rate(net: Any, optimizer: Any) -> None:
    optimizer.param_groups[0]["lr"] *= 0.5


def _maximize(net: Any, optimizer: Any) -> None:
    optimizer.param_groups[0]["maximize"] = True


def _order(net: Any, optimizer: Any) -> None:
    optimizer.param_groups[0]["params"].reverse()


def _drop(net: Any, optimizer: Any) -> None:
    optimizer.param_groups[0]["params"].pop()


def _no_gradient(net: Any, optimizer: Any) -> None:
    net[2].bias.register_hook(lambda grad: grad * 2)


DISTURBANCES: list[Callable[[Any, Any], None]] = [
    _set_count, _one_count, _replace_states, _write_states, _forget_states, _swap_data, _write_data, _through_numpy,
    _freeze, _load, _rate, _maximize, _order, _drop, _no_gradient,
]  # fmt: skip


def _train(name: str, disturb: Callable[[Any, Any], None] | None, pending: bool) -> list[np.ndarray]:
    """What parameters and states are after steps in the midst of which something happens, twice."""
    net = _network()
    optimizer = OPTIMIZERS[name](net.parameters())
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))
    for k in range(12):
        optimizer.zero_grad()
        if disturb is not None and k in (5, 8) and not pending:
            disturb(net, optimizer)
        loss = nn.functional.cross_entropy(net(x), y)
        if k % 4 == 3:
            loss = loss + net[0].weight.square().sum()
        loss.backward()
        if disturb is not None and k in (5, 8) and pending:
            disturb(net, optimizer)
        optimizer.step()
        if k % 3 == 2:
            loss.item()
    found = [p.detach().numpy().copy() for p in net.parameters()]
    for p in net.parameters():
        found.append(np.array(p._version))
        found += [s.detach().numpy().copy() for s in optimizer.state[p].values() if s is not None]
        found += [np.array(s._version) for s in optimizer.state[p].values() if s is not None]
    return found


OTHERS = ["momentum", "rmsprop", "nadam", "asgd", "adam groups"]
DISTURBED = [*[(name, pending) for name in ("adam", "groups") for pending in (False, True)],
             *[(name, bool(k % 2)) for k, name in enumerate(OTHERS)],
             *thorough([(name, not k % 2) for k, name in enumerate(OTHERS)])]  # fmt: skip


@pytest.mark.parametrize("disturb", DISTURBANCES)
@pytest.mark.parametrize(("name", "pending"), DISTURBED)
def test_disturbed_steps_are_those_of_the_plain_way(
    name: str, disturb: Any, pending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = _train(name, disturb, pending)
    monkeypatch.setattr(LoopOptimizer, "_known", lambda *_: None)
    for a, b in zip(known, _train(name, disturb, pending), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_steady_loop_recognises_its_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    repeat = stepping.repeat

    def counted(steps: Any) -> bool:
        taken.append(repeat(steps))
        return taken[-1]

    monkeypatch.setattr(stepping, "repeat", counted)
    for field, value in (("alone", True), ("deferring", True), ("crowded", False)):  # whatever threads there have been
        monkeypatch.setattr(epoch.current(), field, value)
    known = _train(name, None, False)
    assert sum(taken) >= 5, taken
    monkeypatch.setattr(LoopOptimizer, "_known", lambda *_: None)
    for a, b in zip(known, _train(name, None, False), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_group_that_is_not_the_last_is_not_taken_for_it() -> None:
    def train() -> list[np.ndarray]:
        net = _network()
        groups = [{"params": net[0].parameters()}, {"params": net[2].parameters(), "lr": 0.1}]
        optimizer = torch.optim.AdamW(groups, lr=0.01)
        x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))
        for k in range(8):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            if k == 5:
                optimizer.param_groups.reverse()
            optimizer.step()
        return [p.detach().numpy() for p in net.parameters()]

    known = train()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LoopOptimizer, "_known", lambda *_: None)
        for a, b in zip(known, train(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_counts_are_right_after_known_steps() -> None:
    net = _network()
    optimizer = torch.optim.Adam(net.parameters())
    for k in range(9):
        optimizer.zero_grad()
        net(torch.ones(2, 6)).sum().backward()
        optimizer.step()
        if k in (4, 6):
            assert [s["step"].item() for s in _states(optimizer)] == [k + 1.0] * 4
    assert [s["step"].item() for s in copy.deepcopy(optimizer).state.values()] == [9.0] * 4
    again = torch.optim.Adam(net.parameters())
    again.load_state_dict(optimizer.state_dict())
    again.step()
    assert [s["step"].item() for s in _states(again)] == [10.0] * 4


class _Narrow(nn.Module):
    """Layers whose weights are read through views alone, and parameters that are constants when they are first read."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.first = nn.Linear(6, 5, bias=False)
        self.norm = nn.LayerNorm(5)
        self.scale = nn.Parameter(torch.ones(5))
        self.shift = nn.Parameter(torch.zeros(5))
        self.last = nn.Linear(5, 3, bias=False)
        nn.init.constant_(self.norm.bias, -0.0)

    def forward(self, x: Any) -> Any:
        return self.last(self.norm(self.first(x)) * self.scale + self.shift)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", ["sgd", "adam", "amsgrad", "rmsprop", "adadelta", "adamax"])
def test_the_first_step_is_the_program_of_those_after_it(name: str) -> None:
    realise()  # what other tests have left pending would be part of the first program
    forget()
    net = _Narrow()
    optimizer, compiled = OPTIMIZERS[name](net.parameters()), []
    for _ in range(4):
        before = counters["compiles"]
        optimizer.zero_grad()
        net(torch.ones(2, 6)).square().sum().backward()
        optimizer.step()
        compiled.append(counters["compiles"] - before)
    assert compiled == [1, 0, 0, 0]


def test_a_parameter_is_what_it_was_filled_with() -> None:
    net = _Narrow()
    assert np.signbit(net.norm.bias.detach().numpy()).all()
    y = net.scale + 1  # recorded with the constant
    with torch.no_grad():
        net.scale.fill_(2.0)
        net.shift.zero_().add_(1)
    assert (net.scale.tolist(), net.shift.tolist(), y.tolist()) == ([2.0] * 5, [1.0] * 5, [2.0] * 5)
    assert (net.scale._version, net.shift._version) == (1, 2)


def test_who_read_a_parameter_before_it_was_filled_has_the_value_of_then() -> None:
    net, found = nn.Linear(3, 3), []
    with torch.no_grad():
        for value in (2.0, 4.0, 9.0):
            for p in net.parameters():
                p.fill_(value)
            found += [p.detach() * 1 for p in net.parameters()]
    assert [x.flatten().tolist()[0] for x in found] == [2.0, 2.0, 4.0, 4.0, 9.0, 9.0]
