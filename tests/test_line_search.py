"""The line search of L-BFGS where it can make no more progress."""

from __future__ import annotations

import math

import flambeau as torch
from flambeau.optim._line_search import Point, _cubic_minimum, _inside, strong_wolfe


def _point(t: float, f: float, slope: float) -> Point:
    return Point(torch.tensor(t), f, torch.zeros(1), torch.tensor(slope))


def test_two_points_at_one_step_length_have_their_middle() -> None:
    assert float(_cubic_minimum(_point(0.5, 1.0, -1.0), _point(0.5, 1.0, 1.0))) == 0.5


def test_a_step_length_that_is_no_number_is_left_alone() -> None:
    t, stalled = _inside(math.nan, [_point(0.0, 1.0, -1.0), _point(1.0, 1.0, 1.0)], True)
    assert math.isnan(t) and not stalled


def test_a_bracket_that_moves_nothing_ends_the_search() -> None:
    calls: list[float] = []

    def evaluate(t: float) -> Point:  # no step makes the loss smaller, though the slope says so
        calls.append(float(t))
        return _point(float(t), 1.0 + float(t), -1.0)

    found, evaluations = strong_wolfe(evaluate, _point(0.0, 1.0, -1.0), 1, torch.tensor(1.0), 1000)
    assert float(found.t) == 0 and evaluations == len(calls) < 30


def test_the_tolerance_of_changes_is_not_that_of_the_search() -> None:
    x = torch.tensor([3.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([x], max_iter=50, line_search_fn="strong_wolfe", tolerance_grad=0, tolerance_change=0)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = ((x - 0.1) ** 4).sum() + 1000
        loss.backward()
        return loss

    optimizer.step(closure)
    assert math.isfinite(x.item()) and optimizer.state[x]["func_evals"] < 70  # PyTorch takes 63
