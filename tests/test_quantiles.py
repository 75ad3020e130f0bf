"""Quantiles."""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau.graph import realisation


def test_quantiles_look_at_no_values() -> None:
    x, q = torch.randn(4, 9), torch.tensor([0.0, 0.3, 1.0])
    torch.stack([x.sum(), q.sum()]).tolist()
    before = realisation.counters["realisations"]
    y = x.quantile(q, 1)
    assert realisation.counters["realisations"] == before
    s = x.sort(1)[0]
    assert y[0].tolist() == s[:, 0].tolist() and y[2].tolist() == s[:, -1].tolist()
    assert torch.allclose(y[1], s[:, 2] + (s[:, 3] - s[:, 2]) * 0.4)


@pytest.mark.parametrize("q", [float("nan"), -0.1, 1.1])
def test_ranks_outside_are_refused(q: float) -> None:
    with pytest.raises(RuntimeError, match=r"q values must be in the range \[0, 1\]"):
        torch.randn(4).quantile(torch.tensor([0.5, q]))


@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
@pytest.mark.parametrize("how", ["linear", "lower", "higher", "nearest", "midpoint"])
def test_quantiles_of_what_has_nan(name: str, how: str) -> None:
    nan = float("nan")
    x = torch.tensor([[nan, 1, 2, 3], [nan, nan, nan, nan], [4, 5, 6, 7]])
    found = getattr(x, name)(torch.tensor([0.0, 1.0]), 1, interpolation=how)
    first = [[nan, nan, 4.0], [nan, nan, 7.0]] if name == "quantile" else [[1.0, nan, 4.0], [3.0, nan, 7.0]]
    assert repr(found.tolist()) == repr(first)
