"""Gradients of looked-up rows that are multiplied: rows of a table are added before, not after."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _two_tiers import run as in_both_tiers

import flambeau as torch
from flambeau import nn
from flambeau.graph import realisation
from flambeau.ops import _row_products

ROWS, WIDTH = 20, 48


@pytest.fixture(autouse=True)
def both_tiers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every program runs in both tiers, which must give the same bits."""
    realisation.realise()
    monkeypatch.setattr(realisation, "executor", [in_both_tiers])
    realisation.forget()
    yield
    realisation.forget()


class Net(nn.Module):
    """A table and what follows, as an expression of ``nn``; ``seen`` is called with the looked-up rows."""

    def __init__(self, layer: str, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(ROWS, WIDTH, **options)
        self.then = eval(layer, {"nn": nn})
        self.seen: Callable[[Any], Any] = lambda x: x

    def forward(self, at: Any) -> Any:
        x = self.embed(at)
        y = self.then(self.seen(x))
        return y if isinstance(y, torch.Tensor) else y[0]


def tokens() -> Any:
    torch.manual_seed(1)
    return torch.randint(0, ROWS - 1, (16, 24))  # the last row is looked up nowhere


def loss(net: Net, at: Any) -> Any:
    y = net(at)
    return (y * torch.arange(y.shape[-1]).cos()).tanh().square().mean()


def gradients(net: Net) -> list[Any]:
    net.zero_grad()
    loss(net, tokens()).backward()
    return [p.grad for p in net.parameters()]


def numbers(net: Net) -> list[np.ndarray]:
    return [g.numpy().copy() for g in gradients(net)]


def is_added_before(net: Net) -> bool:
    """Is the table's gradient made of what its own rows get?"""
    return gradients(net)[0]._s.h.op is _row_products.SEEN


@pytest.fixture
def rule_by_rule(monkeypatch: pytest.MonkeyPatch) -> Callable[[Net], list[np.ndarray]]:
    """The gradients without any of this."""

    def run(net: Net) -> list[np.ndarray]:
        with monkeypatch.context() as m:
            m.setattr(_row_products, "LEAST", math.inf)
            realisation.forget()
            assert not is_added_before(net)
            found = numbers(net)
        realisation.forget()
        return found

    return run


def close(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.abs(x - y).max() <= 2e-6 * np.abs(y).max() for x, y in zip(a, b, strict=True))


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


LAYERS = [
    "nn.Linear(48, 96)",
    "nn.Linear(48, 96, bias=False)",
    "nn.LSTM(48, 32, batch_first=True)",
    "nn.LSTM(48, 32, bidirectional=True)",
    "nn.LSTM(48, 32, 2, batch_first=True, bidirectional=True)",
    "nn.GRU(48, 40)",
    "nn.RNN(48, 96, bias=False, batch_first=True)",
]


@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_are_those_of_the_rules(layer: str, rule_by_rule: Callable[[Net], list[np.ndarray]]) -> None:
    net = Net(layer)
    expected = rule_by_rule(net)
    assert is_added_before(net)
    found = numbers(net)
    assert close(found, expected) and not equal(found, expected)
    assert not found[0][ROWS - 1].any()


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        ("nn.Linear(48, 96)", {"scale_grad_by_freq": True}),
        ("nn.Sequential(nn.Flatten(), nn.Linear(24 * 48, 96))", {}),
        ("nn.Sequential(nn.ReLU(), nn.Linear(48, 96))", {}),
        ("nn.Linear(48, 8)", {}),
    ],
    ids=["scaled by frequency", "rows side by side", "rows that were changed", "few products"],
)
def test_other_gradients_go_rule_by_rule(layer: str, options: dict[str, Any]) -> None:
    assert not is_added_before(Net(layer, **options))


def test_a_padding_row_gets_nothing_but_counts_for_the_weight(rule_by_rule: Callable[[Net], list[np.ndarray]]) -> None:
    net = Net("nn.Linear(48, 96)", padding_idx=3)
    with torch.no_grad():
        net.embed.weight[3] = 1.0
    expected = rule_by_rule(net)
    assert is_added_before(net)
    found = numbers(net)
    assert not found[0][3].any() and close(found, expected)


@pytest.mark.parametrize("layer", ["nn.Linear(48, 96)", "nn.LSTM(48, 32, bidirectional=True)"])
def test_no_bit_depends_on_who_looks(layer: str) -> None:
    net = Net(layer)
    expected = numbers(net)
    seen: list[Any] = []

    def look(x: Any) -> Any:
        assert x.sum().item() != 0
        x.register_hook(lambda g: seen.append(float(g.sum())))
        x.retain_grad()
        seen.append(x)
        return x

    net.seen = look
    assert equal(numbers(net), expected)
    x, total = seen
    assert float(x.grad.sum()) == total
    summed = torch.zeros(ROWS, WIDTH).index_add(0, tokens().view(-1), x.grad.reshape(-1, WIDTH)).numpy()
    assert np.abs(summed - expected[0]).max() <= 2e-6 * np.abs(summed).max()


def doubled(g: Any) -> Any:
    return g * 2


def written(g: Any) -> None:
    g.mul_(2)


@pytest.mark.parametrize("hook", [doubled, written])
def test_a_gradient_that_a_hook_replaces_is_added_up(hook: Callable[[Any], Any]) -> None:
    net = Net("nn.LSTM(48, 32, batch_first=True)")
    expected = numbers(net)
    expected[0] *= 2

    def hooked(x: Any) -> Any:
        x.register_hook(hook)
        return x

    net.seen = hooked
    assert close(numbers(net), expected)


def test_rows_that_others_read_too_get_all(
    rule_by_rule: Callable[[Net], list[np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Residual(nn.Linear):
        def forward(self, x: Any) -> Any:
            return super().forward(x) + x

    net = Net("nn.Linear(48, 96)")
    net.then = Residual(48, 48)
    expected = rule_by_rule(net)
    monkeypatch.setattr(_row_products, "LEAST", 0)
    found = numbers(net)
    assert close(found, expected) and not equal(found, expected)


def test_what_is_looked_up_nowhere_spoils_nothing() -> None:
    net = Net("nn.Linear(48, 96)")
    with torch.no_grad():
        net.embed.weight[ROWS - 1] = math.nan
    assert is_added_before(net)
    assert all(np.isfinite(g).all() for g in numbers(net))


def test_the_weight_meets_the_rows_as_they_were_looked_up() -> None:
    net, at = Net("nn.Linear(48, 96)"), tokens()
    expected = numbers(net)
    net.zero_grad()
    value = loss(net, at)
    with torch.no_grad():
        net.embed.weight.zero_()
    value.backward()
    assert equal([p.grad.numpy() for p in net.parameters()], expected)


def test_an_index_that_was_written_is_refused_as_ever() -> None:
    net, at = Net("nn.Linear(48, 96)"), tokens()
    value = loss(net, at)
    at.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()
    value = loss(net, at)
    at.zero_()
    (gw,) = torch.autograd.grad(value, net.then.weight)
    assert gw.isfinite().all()


def test_differentiable_passes_go_rule_by_rule(rule_by_rule: Callable[[Net], list[np.ndarray]]) -> None:
    net = Net("nn.Linear(48, 96)")
    expected = rule_by_rule(net)
    grads = torch.autograd.grad(loss(net, tokens()), list(net.parameters()), create_graph=True)
    assert equal([g.detach().numpy() for g in grads], expected)
    torch.stack([g.square().sum() for g in grads]).sum().backward()
    assert net.embed.weight.grad.isfinite().all()


def test_some_gradients_alone_are_the_same() -> None:
    net = Net("nn.LSTM(48, 32, batch_first=True)")
    expected = numbers(net)
    for k, p in enumerate(net.parameters()):
        (g,) = torch.autograd.grad(loss(net, tokens()), p)
        assert equal([g.numpy()], [expected[k]])
    net.embed.weight.requires_grad_(False)
    loss(net, tokens()).backward()


def test_new_graphs_of_a_form_that_has_come_often_have_the_same_gradients() -> None:
    """Rules of forms that have come often are replaced by what they record."""
    net = Net("nn.Linear(48, 96)")
    expected = numbers(net)
    for k in range(6):
        net.zero_grad()
        (loss(net, tokens()) + torch.ones(k + 1, 3).sum(1).mean() * 0).backward()
        assert equal([p.grad.numpy() for p in net.parameters()], expected)
