"""Clipping all gradients of a pass at once: the same as one by one, in all that a user can see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.nn.utils import clip_grad
from flambeau.ops import whole_gradients

pytestmark = pytest.mark.usefixtures("one_thread")


def _plain(net: Any, k: int) -> Any:
    return nn.utils.clip_grad_norm_(net.parameters(), 0.1)


def _other_norms(net: Any, k: int) -> Any:
    return nn.utils.clip_grad_norm_(net.parameters(), 0.05 * (1 + k % 3), [2.0, float("inf"), 1.0][k % 3])


def _reversed(net: Any, k: int) -> Any:
    return nn.utils.clip_grad_norm_(list(net.parameters())[:: -1 if k % 2 else 1], 0.1)


def _part(net: Any, k: int) -> Any:
    return nn.utils.clip_grad_norm_(net[0].parameters(), 0.1)


def _twice(net: Any, k: int) -> Any:
    nn.utils.clip_grad_norm_(net.parameters(), 0.3)
    return nn.utils.clip_grad_norm_(net.parameters(), 0.1)


def _one_twice(net: Any, k: int) -> Any:
    a, b, c, _ = net.parameters()
    return nn.utils.clip_grad_norm_([a, b, c, a], 0.1)


def _looked_at(net: Any, k: int) -> Any:
    assert net[0].weight.grad.shape == (5, 6)
    return nn.utils.clip_grad_norm_(net.parameters(), 0.1)


def _realised(net: Any, k: int) -> Any:
    torch.ones(1).item()
    (net[0].weight * 2).sum().item()
    return nn.utils.clip_grad_norm_(net.parameters(), 0.1)


def _checked(net: Any, k: int) -> Any:
    return nn.utils.clip_grad_norm_(net.parameters(), 0.1, error_if_nonfinite=True)


def _accumulated(net: Any, k: int) -> Any:
    nn.utils.clip_grad_norm_(net.parameters(), 0.1)
    net(torch.ones(2, 6)).sum().backward()
    return nn.utils.clip_grad_norm_(net.parameters(), 0.1)


def _frozen(net: Any, k: int) -> Any:
    net[2].bias.requires_grad_(k % 2 == 0)
    return nn.utils.clip_grad_norm_(net.parameters(), 0.1)


WAYS: list[Callable[[Any, int], Any]] = [
    _plain, _other_norms, _reversed, _part, _twice, _one_twice, _looked_at, _realised, _checked, _accumulated, _frozen,
]  # fmt: skip


def _train(clip: Callable[[Any, int], Any], look: bool) -> list[np.ndarray]:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.05)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))
    found = []
    for k in range(7):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        total = clip(net, k)
        if look:
            found += [np.array(p.grad._version) for p in net.parameters() if p.grad is not None]
            found += [p.grad.numpy().copy() for p in net.parameters() if p.grad is not None]
        found.append(np.array(total.item()))
        optimizer.step()
    return (
        found
        + [p.detach().numpy() for p in net.parameters()]
        + [np.array(p.grad._version) for p in net[0].parameters()]
    )


@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize("clip", WAYS)
def test_all_at_once_is_one_by_one(clip: Any, look: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    together = _train(clip, look)
    monkeypatch.setattr(clip_grad, "change_all", lambda *_: None)
    for a, b in zip(together, _train(clip, look), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_second_time_it_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[Any] = []
    learn = whole_gradients._learn
    monkeypatch.setattr(whole_gradients, "_learn", lambda name, *more: learned.append(name) or learn(name, *more))
    net = nn.Linear(3, 2)
    for _ in range(6):
        net.zero_grad()
        net(torch.ones(4, 3)).sum().backward()
        total = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    assert 1 <= len(learned) <= 2
    expected = np.sqrt(6 * 16 + 2 * 16.0)
    assert total.item() == pytest.approx(expected)
    np.testing.assert_allclose(net.bias.grad.numpy(), 4 / expected, rtol=1e-5)
