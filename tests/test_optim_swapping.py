"""An optimizer's step on other parameters and another state, and what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import flambeau as torch
from flambeau.optim import swap_in_optimizer_params_and_state as swapped_in


def network() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


def with_gradients(params: list[Any], scale: float) -> list[Any]:
    for p in params:
        p.grad = torch.full_like(p, scale)
    return params


def trained() -> tuple[Any, Any]:
    """A network and its optimizer in two groups, after a step."""
    net = network()
    groups = [{"params": net[0].parameters(), "lr": 0.1}, {"params": net[2].parameters(), "lr": 0.01}]
    optimizer = torch.optim.AdamW(groups)
    with_gradients(list(net.parameters()), 0.5)
    optimizer.step()
    return net, optimizer


def test_step_on_others() -> None:
    net, optimizer = trained()
    before = copy.deepcopy(net.state_dict())
    state = copy.deepcopy(optimizer.state_dict())
    other, expected = trained()
    lists = [group["params"] for group in optimizer.param_groups]
    given = {name: p.detach().clone() for name, p in net.named_parameters()}
    with_gradients(list(given.values()), -1.0)
    with swapped_in(optimizer, given, state):
        optimizer.step()
    with_gradients(list(other.parameters()), -1.0)
    expected.step()
    for p, q in zip(given.values(), other.parameters()):
        assert torch.equal(p, q)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), before.values()))
    assert all(group["params"] is own for group, own in zip(optimizer.param_groups, lists))
    assert state["state"][0]["step"] == 2  # written in place
    assert optimizer.state[net[0].weight]["step"] == 1


def test_its_own_again_after_an_error() -> None:
    net, optimizer = trained()
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0]["lr"] = 5.0
    with pytest.raises(KeyError), swapped_in(optimizer, dict(net.named_parameters()), state):
        assert optimizer.param_groups[0]["lr"] == 5.0
        raise KeyError
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.01]
    with_gradients(list(net.parameters()), 0.5)
    optimizer.step()
    assert all(s["step"] == 2 for s in optimizer.state.values())


def spoiled(change: Any) -> Any:
    _, optimizer = trained()
    state = copy.deepcopy(optimizer.state_dict())
    change(state)
    return state


REFUSED = {
    "a dict mapping packed": lambda s: s.update(state=None),
    "state keyed by packed parameter ids": lambda s: s["state"].update({torch.zeros(1): {}}),
    "entries to be dictionaries": lambda s: s["state"].update({0: 1}),
    "a list of param-group dicts, got tuple": lambda s: s.update(param_groups=()),
    "different number of parameter groups": lambda s: s["param_groups"].pop(),
    "param group to be a dictionary": lambda s: s["param_groups"].__setitem__(0, 1),
    "entries keyed by packed parameter ids": lambda s: s["param_groups"][0].update(params=["a", "b"]),
    "param group 1 has a different number of params": lambda s: s["param_groups"][1].update(params=[2]),
    r"Keys only in swap-in: \['new'\]": lambda s: s["param_groups"][0].update(new=1),
    r"extra keys \[7\]": lambda s: s["state"].update({7: {}}),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    net, optimizer = trained()
    with (
        pytest.raises(RuntimeError, match=text),
        swapped_in(optimizer, dict(net.named_parameters()), spoiled(REFUSED[text])),
    ):
        pass


def test_what_it_needs() -> None:
    net, optimizer = trained()
    state = optimizer.state_dict()
    with (
        pytest.raises(RuntimeError, match="match optimizer.param_groups ordering"),
        swapped_in(optimizer, {"weight": net[0].weight}, state),
    ):
        pass
    fresh = torch.optim.SGD(net.parameters(), lr=0.1)
    with (
        pytest.raises(RuntimeError, match="requires initialized optimizer state"),
        swapped_in(fresh, dict(net.named_parameters()), state),
    ):
        pass
