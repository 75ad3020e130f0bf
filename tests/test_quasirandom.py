"""``torch.quasirandom``: Sobol' points, whose numbers are PyTorch's."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import flambeau as torch
from flambeau.quasirandom import SobolEngine
from flambeau.quasirandom._directions import directions

FIRST = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.75, 0.25, 0.25], [0.25, 0.75, 0.75], [0.375, 0.375, 0.625]]
SCRAMBLED = [
    [0.19947312772274017, 0.17093220353126526, 0.7493569254875183],
    [0.6922082901000977, 0.711494917050004, 0.48982980754226446],
    [0.850549110211432, 0.2962706368416548, 0.7879805937409401],
    [0.3578137122094631, 0.8368962975218892, 0.043117509223520756],
]


def test_directions_of_all_dimensions() -> None:
    digest = hashlib.sha256(directions(SobolEngine.MAXDIM).tobytes()).hexdigest()
    assert digest == "4a6c1b3e473e79ebf849fc9a695e6cbc566dff5cc899272a4dfc9b5038c3beca"


def test_points() -> None:
    engine = SobolEngine(3)
    assert engine.draw(5).tolist() == FIRST
    assert engine.num_generated == 5
    assert engine.reset().draw(1).tolist() == FIRST[:1]
    assert torch.cat([engine.draw(), engine.draw(3)]).tolist() == FIRST[1:]


def test_scrambled_points() -> None:
    engine = SobolEngine(3, scramble=True, seed=7)
    np.testing.assert_array_equal(engine.draw(4, dtype=torch.float64).numpy(), SCRAMBLED)
    last = SobolEngine(400, scramble=True, seed=1).draw(3, dtype=torch.float64)[:, -1].tolist()
    assert last == [0.7224031090736389, 0.13791259191930294, 0.9259479902684689]


def test_scrambling_draws_from_the_default_generator() -> None:
    torch.manual_seed(3)
    points = SobolEngine(2, scramble=True).draw(2, dtype=torch.float64)
    assert points.tolist() == [[0.06846512854099274, 0.22452697157859802], [0.6214853525161743, 0.723084001801908]]
    assert torch.rand(1).item() == 0.47289592027664185


@pytest.mark.parametrize("scramble", [False, True])
@pytest.mark.parametrize("left_out", [1, 2, 5, 8])
def test_points_that_are_left_out(scramble: bool, left_out: int) -> None:
    whole = SobolEngine(4, scramble, 5).draw(20)
    engine = SobolEngine(4, scramble, 5)
    assert torch.equal(engine.fast_forward(left_out).draw(3), whole[left_out : left_out + 3])
    assert torch.equal(engine.fast_forward(2).draw(2), whole[left_out + 5 : left_out + 7])
    assert engine.num_generated == left_out + 7


def test_powers_of_two() -> None:
    engine = SobolEngine(2)
    assert torch.equal(torch.cat([engine.draw_base2(2), engine.draw_base2(2)]), SobolEngine(2).draw(8))
    with pytest.raises(ValueError, match=r"8 points have been previously generated, then: n=8\+2\*\*2=12"):
        engine.draw_base2(2)


def test_points_fill_the_cube_evenly() -> None:
    for scramble in (False, True):
        counts = (SobolEngine(30, scramble, 1).draw(256) * 16).floor().long()
        for d in range(30):
            assert torch.bincount(counts[:, d]).tolist() == [16] * 16


def test_results() -> None:
    out = torch.empty(0)
    engine = SobolEngine(dimension=3, scramble=True, seed=7)
    assert engine.draw(4, out=out) is out and out.shape == (4, 3)
    assert engine.draw(2, dtype=torch.float64).dtype is torch.float64
    assert repr(engine) == "SobolEngine(dimension=3, scramble=True, seed=7)"
    assert repr(SobolEngine(2)) == "SobolEngine(dimension=2)"
    for dimension in (0, 21202):
        with pytest.raises(ValueError, match=r"Supported range of dimensionality for SobolEngine is \[1, 21201\]"):
            SobolEngine(dimension)
