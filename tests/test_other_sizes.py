"""Programs of the first tier that differ from a known one in sizes alone, and operators of other numbers of samples.

They are found by a walk, or computed by the plan of more samples, to the bits of compiled code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import _two_tiers as two_tiers
import numpy as np
import pytest
from _thorough import thorough

import flambeau as torch
from flambeau import _execution, nn
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu.first_tier.errors import UnsupportedError
from flambeau.dtypes import float32
from flambeau.first_tier import by_operator, kept_plans, more_samples, other_sizes, shared_programs, split_programs
from flambeau.graph import program, realisation

F = nn.functional


@pytest.fixture
def in_both(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Iterator[dict[str, int]]:
    """Every program runs compiled, operator by operator, and as one of other sizes; ``again``: how many did so.

    None is a native call for all sizes.
    """
    realisation.realise()
    monkeypatch.setattr(realisation, "executor", [two_tiers.run])
    monkeypatch.setattr(program, "recognised", [other_sizes.recognised])
    monkeypatch.setattr(shared_programs, "shared", lambda p, at_once: None)
    monkeypatch.setattr(split_programs, "in_parts", lambda p, at_once: None)
    monkeypatch.setattr(two_tiers, "ran", {"both": 0, "compiled": 0, "shared": 0, "again": 0})
    realisation.forget()
    yield two_tiers.ran
    realisation.forget()


@pytest.fixture
def in_first_tier(monkeypatch: pytest.MonkeyPatch, native_code: None) -> None:
    """Programs run in the first tier, and none is found on the disk."""
    monkeypatch.setattr(_execution, "tier", ["first"])
    realisation.forget()


def kinds() -> list[str]:
    """What runs the programs so far."""
    return [type(p.cache).__name__ for p in realisation.programs.values()]


def mlp() -> tuple[list[Any], Callable[[int], Any]]:
    """A network with its loss."""
    m = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.LayerNorm(9), nn.GELU(), nn.Linear(9, 4))
    x, y = torch.randn(80, 6), torch.randint(0, 4, (80,))
    return list(m.parameters()), lambda n: F.cross_entropy(m(x[:n]), y[:n])


def cnn() -> tuple[list[Any], Callable[[int], Any]]:
    """Convolutions, batch norm and pools, which are planned for their sizes or not."""
    m = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 2))
    x = torch.randn(40, 1, 8, 8)
    return list(m.parameters()), lambda n: m(x[:n]).square().mean()


def tagger() -> tuple[list[Any], Callable[[int], Any]]:
    """A recurrent network, whose operators have several results."""
    words, rnn, out = nn.Embedding(11, 5), nn.LSTM(5, 7, bidirectional=True), nn.Linear(14, 3)
    text, tags = torch.randint(0, 11, (60,)), torch.randint(0, 3, (60,))

    def loss(n: int) -> Any:
        h, _ = rnn(words(text[:n]).view(n, 1, -1))
        return F.nll_loss(F.log_softmax(out(h.view(n, -1)), 1), tags[:n])

    return [*words.parameters(), *rnn.parameters(), *out.parameters()], loss


def views() -> tuple[list[Any], Callable[[int], Any]]:
    """Values that lie across, in parts, written and joined."""
    w, x = torch.randn(5, 6, requires_grad=True), torch.randn(70, 10)

    def loss(n: int) -> Any:
        h = x[:n, 3:8] @ w
        a, b = h.t()[:3], torch.cat([h, h.flip(0)]).t()
        z = torch.zeros(n, 6)
        z[:, 2:] = h[:, :4].exp()
        return (a.softmax(1).sum(0) * b[0, :n]).sum() + z.std(0).sum() + h.sum(1).view(n, 1).expand(n, 3).mean()

    return [w], loss


def passed(ps: list[Any], loss: Any) -> list[Any]:
    """The loss and gradients."""
    found = [loss, *torch.autograd.grad(loss, ps)]
    return [f.tolist() for f in found]


SIZES = 23, 31, 17, 16, 33


@pytest.mark.parametrize("make", [mlp, cnn, tagger, views])
def test_batches_of_other_sizes_have_the_bits_of_compiled_code(in_both: dict[str, int], make: Any) -> None:
    torch.manual_seed(1)
    ps, loss = make()
    for n in SIZES:
        passed(ps, loss(n))
    assert in_both["again"] >= 2


def test_what_serves_all_sizes_is_planned_for_them(in_first_tier: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if sizes of the first batches happened to be equal to others."""
    monkeypatch.setattr(kept_plans, "looks", lambda p: False)
    monkeypatch.setattr(shared_programs, "_known", {})
    layers = [layer for _ in range(4) for layer in (nn.Linear(6, 9), nn.GELU(), nn.LayerNorm(9), nn.Linear(9, 6))]
    m, x = nn.Sequential(*layers), torch.randn(80, 6)
    with torch.no_grad():
        for n in (9, 5, 7, 8):
            m(x[:n]).tolist()
    assert kinds()[-4:] == ["FirstTier", "FirstTier", "SharedProgram", "SharedProgram"]


def test_batches_of_other_sizes_are_found_by_a_walk(in_first_tier: None) -> None:
    ps, loss = mlp()
    for n in (23, 31, 17, 50):
        passed(ps, loss(n))
    assert kinds().count("FirstTier") == kinds().count("OfOtherSizes") == 2
    assert {len(ps)} == {len(p.cache.types) - 1 for p in realisation.programs.values()}


def test_a_batch_as_large_as_a_layer_is_planned_by_itself(in_first_tier: None) -> None:
    ps, loss = mlp()
    for n in (23, 31, 9):  # the layer's nine features
        passed(ps, loss(n))
    assert kinds() == ["FirstTier"] * 3


def test_sizes_that_a_plan_holds_are_no_others(in_both: dict[str, int]) -> None:
    # The plan of a loss holds how many classes there are.
    for classes, n in ((3, 20), (3, 24), (5, 26), (7, 26), (3, 28)):
        held = np.linspace(-1, 1, n * classes).reshape(n, -1), np.arange(n) % classes  # memory that is no parameter's
        x, y = map(torch.from_numpy, held)
        x.requires_grad_()
        passed([x], F.cross_entropy(x, y))
    assert in_both["again"] == 1


def test_rows_that_lie_otherwise_are_no_others(in_both: dict[str, int]) -> None:
    for n, m in ((20, 8), (24, 8), (26, 8), (26, 9), (28, 8)):
        x = torch.from_numpy(np.linspace(-1, 1, n * m).reshape(n, m))
        x[:, :5].softmax(1).log().tolist()
    assert in_both["again"] == 3


LAYERS = {
    "plain": lambda: nn.Conv2d(2, 3, 3, padding=1),
    "steps": lambda: nn.Conv2d(2, 4, (3, 2), stride=2, padding=1, dilation=(1, 2)),
    "groups": lambda: nn.Conv2d(4, 6, 3, groups=2, bias=False),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4),
    "points": lambda: nn.Conv2d(3, 5, 1),
    "whole": lambda: nn.Conv2d(2, 5, 6),
    "wide": lambda: nn.Conv2d(2, 32, 3),
    "sound": lambda: nn.Conv1d(2, 3, 5, padding=2, stride=3),
    "volumes": lambda: nn.Conv3d(1, 2, 2),
    "double": lambda: nn.Conv2d(2, 3, 3, padding=2).double(),
    "largest": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(3, 2, 1)),
    "mean": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2, 1)),
}


def images(layer: Any, n: int, seed: int = 0) -> Any:
    """So many samples that a layer takes."""
    w = next(iter(layer.parameters()))
    conv = layer[0] if isinstance(layer, nn.Sequential) else layer
    shape = n, conv.in_channels, *{3: (40,), 4: (6, 6), 5: (4, 4, 4)}[w.ndim]
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(w.dtype).requires_grad_()


FIRST = "plain", "groups", "double", "largest"


@pytest.mark.parametrize("name", [*FIRST, *thorough(sorted({*LAYERS} - {*FIRST}))])
def test_fewer_samples_have_the_bits_of_plans_of_their_own(
    in_first_tier: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    torch.manual_seed(2)
    layer = LAYERS[name]()
    ps = list(layer.parameters())

    def results() -> list[Any]:
        by_operator._operators.clear()
        more_samples._met.clear()
        realisation.forget()
        batches = [images(layer, n) for n in (9, 19, 21, 30, 13, 10, 45)]
        return [passed([x, *ps], layer(x).square().sum()) for x in batches]

    found = results()
    served = [one is not None for met in more_samples._met.values() for one in met.values()]
    assert any(served)
    monkeypatch.setattr(more_samples, "MET", 1000)
    assert results() == found


def test_convolutions_of_new_numbers_of_samples_are_not_planned(
    in_first_tier: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[int] = []
    of_form = by_operator._of_form

    def noted(n: Any, strides: Any) -> Any:
        if n.op.name in more_samples.BY_SAMPLE:
            planned.append(n.ins[0].ty.shape[0])
        return of_form(n, strides)

    monkeypatch.setattr(by_operator, "_of_form", noted)
    by_operator._operators.clear()
    more_samples._met.clear()
    layer = nn.Conv2d(1, 2, 3)
    for n in (17, 18, 19, 20, 21, 22, 23, 25):
        layer(images(layer, n)).tolist()
    assert planned == [17, 18, 24, 32]


def test_round_numbers_of_samples() -> None:
    assert [more_samples.whole(n) for n in (9, 16, 17, 33, 63, 65, 127, 130)] == [16, 16, 24, 40, 64, 80, 128, 160]


def test_samples_that_meet_are_not_apart() -> None:
    b = Builder()
    x, w = b.input(0, (16, 8), float32), b.input(1, (8, 4), float32)
    b.f.outputs = [b.contract("nk,km->nm", x, w)]  # may be added in lanes, as its sizes say
    assert not more_samples.are_apart(b.f.values)
    b = Builder()
    b.f.outputs = [b.reduce("sum", b.input(0, (16, 8), float32), (0,))]
    assert not more_samples.are_apart(b.f.values)


def test_what_is_not_finite_is_in_its_sample_alone(in_both: dict[str, int]) -> None:
    layer = nn.Conv2d(1, 2, 3, padding=1)
    for n in (9, 19, 21, 30, 13):
        x = images(layer, n).detach()
        x[n // 2, 0, 3, 3] = float("inf")
        y = layer(x)
        assert torch.isfinite(y).flatten(1).all(1).sum() == n - 1


def test_what_takes_long_is_no_program_of_this_tier(in_first_tier: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ps, loss = mlp()
    for n in (23, 31):
        passed(ps, loss(n))
    (p,) = [p for p in realisation.programs.values() if p.outputs[0].shape == ()][-1:]
    (like,) = [one for known in other_sizes._known.values() for one in known]
    with pytest.raises(UnsupportedError, match="large"):
        other_sizes.OfOtherSizes(p, p.order, like.tier, like.tier.calls, 1e9)


def test_it_is_compiled_when_its_runs_have_cost_as_much(monkeypatch: pytest.MonkeyPatch, native_code: None) -> None:
    monkeypatch.setattr(_execution, "tier", ["auto"])
    realisation.forget()
    _, loss = mlp()
    with torch.no_grad():
        found = [loss(n).item() for n in (23, 31, 17)][-1]
        p = list(realisation.programs.values())[-1]
        assert type(p.cache).__name__ == "OfOtherSizes"
        p.cache.runs = p.cache.limit
        assert loss(17).item() == found
    assert type(p.cache).__name__ == "Executable"
