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
