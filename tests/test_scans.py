"""Running reductions. Expected values are PyTorch's."""

from __future__ import annotations

import pytest

import flambeau as torch

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (1 + 0j, complex(INF, NAN), [1 + 0j, complex(NAN, NAN)]),
        (1 + 2j, complex(-INF, NAN), [1 + 2j, complex(NAN, NAN)]),
        (complex(1, NAN), 1 + 0j, [complex(NAN, NAN), complex(NAN, NAN)]),
        (complex(-INF, 2), complex(-INF, 1), [complex(-INF, 0), complex(-INF, 0)]),
        (complex(-INF, 2), -1 + 2j, [complex(-INF, 0), -1 + 2j]),
        (complex(INF, 0), complex(INF, 2), [complex(INF, 0), complex(INF, NAN)]),
    ],
)
def test_logcumsumexp_of_complex_numbers_without_end(first: complex, second: complex, expected: list[complex]) -> None:
    found = torch.logcumsumexp(torch.tensor([first, second], dtype=torch.complex128), 0).tolist()
    assert [(repr(x.real), repr(x.imag)) for x in found] == [(repr(x.real), repr(x.imag)) for x in expected]


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_running_extremes_tell_the_last_of_equals(executor: str, request: pytest.FixtureRequest) -> None:
    if executor == "native":
        pytest.importorskip("llvmlite", reason="native code is made by llvmlite")
        request.getfixturevalue("native_code")
    x = torch.tensor([[1, 3, 3, 2, NAN, 5, NAN, 1], [-INF, -INF, 0, -1, 0, INF, 2, INF]])
    values, index = x.cummax(1)
    assert repr(values.tolist()) == repr([[1.0, 3.0, 3.0, 3.0] + [NAN] * 4, [-INF, -INF, 0.0, 0.0, 0.0] + [INF] * 3])
    assert index.tolist() == [[0, 1, 2, 2, 4, 4, 6, 6], [0, 1, 2, 2, 4, 5, 5, 7]]
    values, index = x.t().cummin(0)
    assert repr(values.t().tolist()) == repr([[1.0] * 4 + [NAN] * 4, [-INF] * 8])
    assert index.t().tolist() == [[0, 0, 0, 0, 4, 4, 6, 6], [0, 1, 1, 1, 1, 1, 1, 1]]
    n = torch.tensor([[3, 1, 3], [2, 2, 1]])
    assert [t.tolist() for t in n.cummax(1)] == [[[3, 3, 3], [2, 2, 2]], [[0, 0, 2], [0, 1, 1]]]
    both = [[True, False, True], [True, False, False]], [[0, 0, 0], [1, 0, 1]]
    assert tuple([t.tolist() for t in (n > 1).cummin(0)]) == both
