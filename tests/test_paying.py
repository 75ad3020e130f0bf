"""When a program is compiled: what that takes and what it saves, as estimates say."""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau.first_tier import paying
from flambeau.graph import realisation


@pytest.fixture(autouse=True)
def nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paying, "_compiled", set())
    realisation.forget()


def worth(*tensors: torch.Tensor) -> float:
    """What compiling the program of these tensors is thought to take."""
    for t in tensors:
        t.tolist()
    *_, program = realisation.programs.values()
    return paying.worth(program.order)


def product(n: int, k: int, m: int) -> torch.Tensor:
    return torch.rand(n, k) @ torch.rand(k, m)


def test_products_take_more_than_maps_and_large_ones_more_than_small_ones() -> None:
    x = torch.rand(8, 9)
    x.tolist()
    one_map = worth(x.exp())
    small, large = worth(product(8, 9, 10)), worth(product(100, 101, 102))
    assert one_map < small < large
    assert large - small == pytest.approx(paying.MULTIPLYING_MANY)


def test_what_a_product_reads_is_part_of_its_kind() -> None:
    a, b, c, d = torch.rand(8, 9), torch.rand(9, 10), torch.rand(8, 11), torch.rand(11, 10)
    alike = paying.worth(_order(a @ b, (a + 1) @ (b + 1)))
    apart = paying.worth(_order(a @ b, (c + 1) @ (d + 1)))
    assert apart - alike == pytest.approx(paying.COMPILING + paying.MULTIPLYING, abs=1e-9)


def _order(*tensors: torch.Tensor) -> list[object]:
    """The operators of both, as of one program."""
    torch.stack(tensors).tolist()
    *_, program = realisation.programs.values()
    return program.order


def test_what_was_compiled_is_not_compiled_again() -> None:
    first = worth(product(8, 9, 10))
    *_, program = realisation.programs.values()
    paying.note_compiled(program.order)
    assert paying.worth(program.order) < first / 10


class _Told(paying.Limited):
    def __init__(self, seconds: float, calling: float, worth: float) -> None:
        self.seconds, self.calling, self.worth = seconds, calling, worth


@pytest.mark.parametrize(
    ("seconds", "calling", "limit"), [(1.0, 1.0, 11), (1.0, 0.0, 21), (1.0, 0.5, 14), (0.0, 0.0, 1 << 30)]
)
def test_calls_are_saved_and_half_of_the_rest(seconds: float, calling: float, limit: int) -> None:
    assert _Told(seconds, calling, 10.0).limit == limit
