"""First and second derivatives of reductions, scans, sorting and rearranging, against differences."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck

CASES: dict[str, Callable[[Any], Any]] = {
    "sum": lambda a: a.sum(0),
    "nansum": lambda a: a.nansum(1),
    "mean": lambda a: a.mean((0, 1)),
    "nanmean": lambda a: a.nanmean(0),
    "prod": lambda a: a.prod(),
    "prod along a dimension": lambda a: a.prod(1),
    "max": lambda a: a.max(),
    "max along a dimension": lambda a: a.max(1)[0],
    "amax": lambda a: a.amax(0),
    "aminmax": lambda a: tuple(torch.aminmax(a, dim=0)),
    "var": lambda a: a.var(0),
    "std": lambda a: a.std(1),
    "var_mean": lambda a: torch.var_mean(a, 1),
    "std_mean": lambda a: torch.std_mean(a),
    "cumsum": lambda a: a.cumsum(1),
    "cumprod": lambda a: a.cumprod(1),
    "cummax": lambda a: a.cummax(0)[0],
    "logcumsumexp": lambda a: a.logcumsumexp(1),
    "logsumexp": lambda a: a.logsumexp(1),
    "norm": lambda a: a.norm(),
    "norm, p = 3": lambda a: a.norm(3, 1),
    "norm, p = 1.5": lambda a: a.norm(1.5, 1),
    "norm, p = 1": lambda a: a.norm(1, 0),
    "norm, p = inf": lambda a: a.norm(float("inf"), 1),
    "sort": lambda a: a.sort(0)[0],
    "topk": lambda a: a.topk(2)[0],
    "kthvalue": lambda a: a.kthvalue(2)[0],
    "median": lambda a: a.median(),
    "median along a dimension": lambda a: a.median(1)[0],
    "mode": lambda a: a.mode(1)[0],
    "quantile": lambda a: a.quantile(0.3, 1),
    "several quantiles": lambda a: a.quantile(torch.tensor([0.1, 0.6], dtype=torch.float64), 0),
    "nanquantile": lambda a: a.nanquantile(0.4),
    "flip": lambda a: a.flip(0),
    "roll": lambda a: a.roll(1),
    "rot90": lambda a: a.rot90(),
    "repeat": lambda a: a.repeat(2, 1, 2),
    "repeat_interleave": lambda a: a.repeat_interleave(2, 1),
    "tril": lambda a: a.tril(),
    "triu": lambda a: a.triu(1),
    "diag": lambda a: a.diag(1),
    "diag_embed": lambda a: a.diag_embed(1),
    "block_diag": lambda a: torch.block_diag(a, a * 2),
    "cat": lambda a: torch.cat([a, a * a], 1),
    "stack": lambda a: torch.stack([a, a * a], 1),
    "diff": lambda a: a.diff(),
    "trapezoid": lambda a: torch.trapezoid(a),
    "cumulative_trapezoid": lambda a: torch.cumulative_trapezoid(a),
    "gradient": lambda a: torch.gradient(a),
    "cov": lambda a: torch.cov(a),
    "corrcoef": lambda a: torch.corrcoef(a),
    "kron": lambda a: torch.kron(a, a),
    "renorm": lambda a: torch.renorm(a, 2, 0, 0.5),
    "combinations": lambda a: torch.combinations(a[0]),
    "cartesian_prod": lambda a: torch.cartesian_prod(a[0], a[1]),
    "vander": lambda a: torch.vander(a[0]),
    "view_copy": lambda a: torch.view_copy(a, (4, 3)),
    "unsafe_split": lambda a: torch.unsafe_split(a, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(CASES[name], (x,))
    assert gradgradcheck(CASES[name], (x,))


@pytest.mark.parametrize("name", ["prod", "prod along a dimension", "cumprod"])
def test_derivatives_where_factors_are_zero(name: str) -> None:
    x = torch.tensor([[1.0, 0, 2, 3], [0, 0, 1.5, 2], [2, 1, 0.5, -1]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(CASES[name], (x,))
    assert gradgradcheck(CASES[name], (x,))


def test_results_share_nothing_with_their_input() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    for y in (torch.cat([x]), x.flip(0), x.roll(0, 0), x.repeat(1, 1), x.tril(5), torch.stack([x])[0], x.rot90(0)):
        before = x.tolist()
        y.fill_(9)
        assert x.tolist() == before


def test_named_results() -> None:
    r = torch.tensor([3.0, 1.0]).sort()
    assert repr(r) == "torch.return_types.sort(\nvalues=tensor([1., 3.]),\nindices=tensor([1, 0]))"
    assert r.values is r[0] and r.indices.tolist() == [1, 0]
    assert repr(pickle.loads(pickle.dumps(r))) == repr(r)
    with pytest.raises(TypeError, match=r"torch.return_types.max\(\) takes a 2-sequence \(1-sequence given\)"):
        torch.return_types.max((1,))


def test_topk_of_few_among_many() -> None:
    x = torch.tensor([[5.0, float("nan"), 1, 7, 7, 2, 0, 3, -1, 4, 6, 2]])
    values, indices = x.topk(3)
    assert torch.isnan(values[0, 0]) and values[0, 1:].tolist() == [7, 7]
    assert indices[0].tolist() == [1, 3, 4]
    values, indices = x.topk(3, largest=False)
    assert values.tolist() == [[-1, 0, 1]] and indices.tolist() == [[8, 6, 2]]


def test_long_sums_keep_their_precision() -> None:
    x = torch.full((100_000, 2), 0.1)
    assert (x.sum(0) - 10_000).abs().max() < 0.02
    assert (x.cumsum(0)[-1] - 10_000).abs().max() < 0.002
