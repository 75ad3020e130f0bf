"""Passes in ever new forms: the step that follows them is computed apart, to the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.graph import realisation
from flambeau.ops import new_forms

F = nn.functional


def trained(sizes: Sequence[int], clip: bool, groups: bool) -> list[bytes]:
    """Losses and parameters of a network that sees batches of these sizes."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    parameters = [{"params": net[k].parameters(), "lr": 0.1 * (k + 1)} for k in (0, 2)] if groups else net.parameters()
    optimizer = torch.optim.Adam(parameters, 0.1)
    found = []
    for n in sizes:
        x, y = torch.randn(n, 6), torch.arange(n) % 3
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        if clip:
            found.append(nn.utils.clip_grad_norm_(net.parameters(), 0.5).numpy().tobytes())
        optimizer.step()
        found += [loss.detach().numpy().tobytes(), *[p.grad.numpy().tobytes() for p in net.parameters()]]
    return found + [p.detach().numpy().tobytes() for p in net.parameters()]


SIZES = [5, 7, 9, 11, 13, *[7, 9] * 10, 15, 5]


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("groups", [False, True])
def test_bits_are_those_of_whole_steps(clip: bool, groups: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    realisation.forget()
    apart = trained(SIZES, clip, groups)
    monkeypatch.setattr(new_forms, "MET", 1 << 30)
    realisation.forget()
    assert trained(SIZES, clip, groups) == apart


def programs_of(sizes: Sequence[int], shared: bool) -> list[Any]:
    """The outputs of the programs that run, step by step."""
    torch.manual_seed(0)
    net = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    ran: list[Any] = []

    def noted(p: Any, inputs: Any, scalars: Any) -> Any:
        ran[-1].append(p)
        return original(p, inputs, scalars)

    original = realisation.executor[0]
    realisation.executor[0] = noted
    try:
        for n in sizes:
            held = np.ones((n, 6), np.float32)
            x, y = torch.from_numpy(held) if shared else torch.tensor(held), torch.zeros(n, dtype=torch.int64)
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            ran.append([])
            optimizer.step()
    finally:
        realisation.executor[0] = original
    return ran


@pytest.mark.parametrize("shared", [False, True])
def test_what_follows_a_pass_is_the_same_at_all_sizes_and_joined_where_one_comes_back(shared: bool) -> None:
    realisation.forget()
    ran = programs_of([4, 4, 5, *range(6, 10), *[9] * (new_forms.JOINED + 3), 4], shared)
    counts = [len(programs) for programs in ran]
    # Steps that are one program. The first form is met once by itself, unless memory is shared or threads were there.
    first = counts.index(2)
    assert first == 4 if shared else first in (3, 4)
    new = ran[first:7]
    assert counts[:7] == [1] * first + [2] * len(new)
    assert len({programs[0] for programs in new}) == len(new) and len({programs[1] for programs in new}) == 1
    again = [len(programs) for programs in ran[7:-1]]
    assert again == [2] * (new_forms.JOINED - 2) + [1] * (len(again) - new_forms.JOINED + 2)
    assert ran[-1] == ran[1]


@pytest.mark.parametrize("shared", [False, True])
def test_a_loop_over_one_size_is_never_taken_apart(shared: bool) -> None:
    realisation.forget()
    assert all(len(programs) == 1 for programs in programs_of([4] * 6 + [3] + [4] * 4 + [3], shared))
