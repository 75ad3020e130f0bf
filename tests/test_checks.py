"""Values that are checked when a program runs: refused in the reference executor's words, and nothing is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.compiler.checks import flagged
from flambeau.compiler.cpu import inspection
from flambeau.graph import realisation
from flambeau.graph.epoch import node_of
from flambeau.ops._bounds import bounds

pytestmark = pytest.mark.usefixtures("native_code")


def ready(x: Any) -> Any:
    x.sum().item()
    return x


def rows(x: Any) -> Any:
    """Indices that are not at hand when ``embedding`` is called."""
    return F.embedding(x.add(1), torch.arange(12.0).reshape(6, 2))


def labels(x: Any) -> Any:
    return F.cross_entropy(torch.zeros(x.shape[0], 6), x.add(1), reduction="none")


def margins(x: Any) -> Any:
    return F.multi_margin_loss(torch.zeros(x.shape[0], 6), x.add(1), reduction="none")


def probabilities(x: Any) -> Any:
    return F.binary_cross_entropy(x / 5, torch.full(x.shape, 0.5), reduction="none")


GOOD: dict[Any, list[Any]] = {rows: [0, 4, -1], labels: [0, 4, -1], margins: [0, 4, -1], probabilities: [0.0, 5.0, 2.0]}
BAD = [(rows, 5, IndexError), (rows, -2, IndexError), (labels, 5, IndexError), (labels, -2, IndexError)]
BAD += [(margins, 5, IndexError), (margins, -2, IndexError)]
BAD += [(probabilities, value, RuntimeError) for value in (5.5, -0.1, float("nan"), float("inf"))]


def native_parts() -> list[int]:
    """For each program that was compiled how many of its values NumPy computes."""
    return [len(inspection.by_numpy(p.cache)) for p in realisation.programs.values() if p.cache is not None]


@pytest.mark.parametrize("what", GOOD, ids=lambda f: f.__name__)
def test_good_values_stay_native(what: Callable[[Any], Any]) -> None:
    x = ready(torch.tensor(GOOD[what] * 7))
    realisation.forget()
    found = what(x).numpy().copy()
    assert not any(native_parts())
    assert np.isfinite(found).all() and (found[:3] == found[3:6]).all()


@pytest.mark.parametrize(("what", "value", "error"), BAD, ids=lambda x: getattr(x, "__name__", str(x)))
@pytest.mark.parametrize("at", [0, 16, 20])
def test_bad_values_are_refused(what: Callable[[Any], Any], value: Any, error: type[Exception], at: int) -> None:
    values = GOOD[what] * 7
    x = ready(torch.tensor(values))
    kept = ready(torch.ones(50))
    what(x).sum().item()
    values[at] = value
    x = ready(torch.tensor(values))
    counter = kept + 1
    kept.mul_(3.0)
    with pytest.raises(error, match="out of range|out of bounds|between 0 and 1"):
        what(x).sum().item()
    del counter
    values[at] = GOOD[what][0]
    assert np.isfinite(what(ready(torch.tensor(values))).sum().item())


def test_what_is_ignored_is_no_class() -> None:
    x = ready(torch.tensor([0, -101, 4]))
    assert labels(x)[1].item() == 0.0


def test_empty_values() -> None:
    assert rows(ready(torch.zeros(0, dtype=torch.int64))).shape == (0, 2)


def test_a_function_without_checks_is_itself() -> None:
    from flambeau.compiler.builder import Builder

    b = Builder()
    b.f.outputs = [b.iota(3)]
    assert flagged(b.f) is b.f


def test_an_autoencoder_trains_in_one_native_program() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(30, 8), torch.nn.ReLU(), torch.nn.Linear(8, 30), torch.nn.Sigmoid())
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    x = ready(torch.rand(40, 30))
    losses, places = [], []
    for _ in range(8):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy(net(x), x)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        places.append([p.data_ptr() for p in net.parameters()])
    assert losses[-1] < losses[0] and places[2:] == places[2:3] * 6
    assert not any(native_parts())
    with torch.no_grad():
        net[2].bias.fill_(float("nan"))
    before = [p.detach().numpy().copy() for p in net.parameters()]
    optimizer.zero_grad()
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
        loss = F.binary_cross_entropy(net(x), x)
        loss.backward()
        optimizer.step()
    for p, old in zip(net.parameters(), before):
        np.testing.assert_array_equal(p.detach().numpy(), old)


def test_probabilities_are_checked_at_the_call() -> None:
    """Also where they are still to be computed; what a sigmoid gives is known to lie between 0 and 1."""
    x = torch.randn(4) * 3
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
        F.binary_cross_entropy(x * 2, torch.ones(4))
    with pytest.raises(RuntimeError, match="all elements of target should be between 0 and 1"):
        F.binary_cross_entropy(x.sigmoid(), x.sigmoid() * 2 + 1)
    loss = F.binary_cross_entropy((x * 2).sigmoid().reshape(2, 2), torch.full((2, 2), 0.9))
    assert loss._s.pending
    late = F.binary_cross_entropy((x * torch.nan).sigmoid(), torch.ones(4))
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
        late.item()


@pytest.mark.parametrize(
    ("of", "low", "high"),
    [
        (lambda x: x.sigmoid().clamp(1e-3, 0.9), 1e-3, 0.9),
        (lambda x: x.clamp(min=0.5), 0.5, math.inf),
        (lambda x: (x.tanh() + 1) / 2, 0, 1),
        (lambda x: 1 - x.softmax(0)[1:], 0, 1),
        (lambda x: x.sigmoid() * -2, -2, 0),
        (lambda x: torch.cat([x.sigmoid(), x.tanh()]).double(), -1, 1),
        (lambda x: torch.add(x.sigmoid(), x.sigmoid(), alpha=3), -math.inf, math.inf),
        (lambda x: x.sigmoid() / x.tanh(), -math.inf, math.inf),
        (lambda x: F.hardtanh(x, 0, 2), 0, 2),
        (lambda x: x * 0, -math.inf, math.inf),
    ],
)
def test_bounds_of_pending_values(of: Callable[[Any], Any], low: float, high: float) -> None:
    y = of(ready(torch.randn(4)))
    assert bounds(node_of(y), y._s.epoch.scalars) == (low, high)
