"""Random functions in the IR as native code: against the NumPy executor, and in many forms against themselves.

A short run with fixed seeds is part of every test run. ``FLAMBEAU_FUZZ=600 pytest tests/test_fuzz_ir.py -k long`` tries
new functions for so many seconds (from the seed ``FLAMBEAU_FUZZ_SEED`` on, by default one that the clock gives), and
prints the first that fails, made smaller, as text that can be put into ``FOUND``.
"""

from __future__ import annotations

import random

import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _fuzz_long import for_a_while, if_asked_for
from _fuzzing import FORMS, Case, case_of, check, read, smaller, text_of
from _thorough import thorough

# Functions that native code once got wrong or refused, as small as they would get.
FOUND = {
    "a counter in a product": """
        input input () (0, ((24, 2, 1), 0)) float32 [1, 12, 2]
        const iota () 12 float32 [12]
        view expand (%1) None float32 [1, 2, 33, 12]
        contract einsum (%0 %2) ('abc', 'axyb', 'axy') float32 [1, 2, 33]
        return (%3)""",
    "a padded counter under windows": """
        const iota () 1 float64 [1]
        view expand (%0) None float64 [33, 7, 1]
        view pad (%1) (((0, 0), (0, 0), (2, 0)), 0, (0, 0, 0)) float64 [33, 7, 3]
        view reshape (%2) None float64 [33, 7, 1, 3]
        view window (%3) ((3,), (3,), (3,), (1,)) float64 [33, 7, 1, 1, 3]
        input input () (0, ((51, 3, 3, 1), 0)) float64 [7, 17, 1, 3]
        contract einsum (%4 %5) ('ngcxu', 'gfcu', 'ngfx') float64 [33, 7, 17, 1]
        return (%6)""",
    "a sum of nothing in bfloat16": """
        input input () (0, ((0, 1), 0)) bfloat16 [16, 0]
        reduce sum (%0) (0, 1) bfloat16 []
        view reshape (%1) None bfloat16 [1, 1]
        return (%2)""",
    "a gather behind a product": """
        input input () (0, ((4, 1), 0)) float32 [2, 4]
        input input () (1, ((4, 1), 0)) int64 [16, 4]
        gather along (%0 %1) 0 float32 [16, 4]
        input input () (2, ((4, 1), 0)) float32 [2, 4]
        input input () (3, ((256, 64, 16, 1), 0)) float32 [2, 4, 4, 16]
        contract einsum (%3 %4) ('ab', 'aybx', 'xb') float32 [16, 4]
        map sub (%2 %5) None float32 [16, 4]
        return (%6)""",
    "cropped away": """
        input input () (0, ((1040, 65, 1), 0)) float32 [1, 16, 65]
        view pad (%0) (((2, -1), (0, -1), (0, 13)), 0, (0, 0, 0)) float32 [2, 15, 78]
        input input () (1, ((1,), 0)) float32 [2]
        contract einsum (%1 %2) ('abc', 'a', '') float32 []
        return (%3)""",
    "a batch filled up by the user": """
        input input () (0, ((32, 1), 0)) float32 [16, 32]
        input input () (1, ((12, 2, 1), 0)) float32 [15, 6, 2]
        view pad (%1) (((0, 1), (0, 1), (0, 0)), 1, (0, 0, 0)) float32 [16, 7, 2]
        contract einsum (%2 %0) ('axy', 'ab', 'a') float32 [16]
        return (%3)""",
    "a constant filled up by the user": """
        input input () (0, ((31, 1), 0)) float32 [128, 31]
        const const () 1 float32 []
        view expand (%1) None float32 [127]
        view pad (%2) (((0, 1),), 0, (0,)) float32 [128]
        contract einsum (%3 %0) ('a', 'ab', 'b') float32 [31]
        return (%4)""",
    "a counter that overwrites what is multiplied": """
        const const () 1 float32 []
        const iota () 1 float32 [1]
        update strided (%0 %1) ((), (1,), 0) float32 []
        input input () (0, ((1,), 0)) float32 [128]
        contract einsum (%2 %3) ('', 'x', 'x') float32 [128]
        return (%4)""",
    "what NumPy reads too, beside a kernel of the same tile": """
        input input () (9, ((2048, 64, 32, 1), 0)) float64 [2, 32, 2, 32]
        const iota () 32 float64 [32]
        input input () (8, ((1,), 0)) float64 [32]
        map eq (%1 %2) None bool [32]
        view expand (%3) None bool [2, 32, 2, 32]
        input input () (7, ((2048, 64, 32, 1), 0)) float64 [2, 32, 2, 32]
        map where (%4 %5 %0) None float64 [2, 32, 2, 32]
        view pad (%6) (((0, 0), (0, 0), (2, 1), (1, 0)), 0, (0, 0, 0, 0)) float64 [2, 32, 5, 33]
        view reshape (%7) None float64 [2, 1, 32, 5, 33]
        view window (%8) ((3, 4), (5, 3), (2, 2), (1, 1)) float64 [2, 1, 32, 1, 16, 5, 3]
        input input () (6, ((1440, 480, 15, 3, 1), 0)) float64 [1, 3, 32, 5, 3]
        contract einsum (%9 %10) ('ngcxyuv', 'gfcuv', 'ngfxy') float64 [2, 1, 3, 1, 16]
        view reshape (%11) None float64 [2, 3, 1, 16]
        view diagonal (%12) (3, 1, 3) float64 [2, 1, 0]
        input input () (2, ((1,), 3)) int64 [16]
        input input () (3, ((1, 16, 48, 48), 0)) float64 [16, 3, 1, 16]
        scatter add (%12 %14 %15) ('index', (0,)) float64 [2, 3, 1, 16]
        view reshape (%13) None float64 [2, 1, 1, 0]
        const iota () 1 int64 [1]
        input input () (4, ((1, 32, 32, 2), 0)) float64 [2, 1, 1, 16]
        scatter add (%16 %18 %19) ('index', (1,)) float64 [2, 3, 1, 16]
        return (%17 %20)""",
    "a constant number overwritten": """
        const const () 0 float32 []
        input input () (0, ((1, 1), 0)) float32 [1, 1]
        update strided (%0 %1) ((), (1, 2), 0) float32 []
        return (%2)""",
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    check(read(FOUND[name]), 0, sorted(FORMS))


@pytest.mark.parametrize("first", [0, 20, *thorough(range(40, 200, 20))])
def test_short(first: int) -> None:
    for seed in range(first, first + 20):
        tried(seed)


@pytest.mark.slow
@if_asked_for
def test_long() -> None:
    for_a_while(tried)


def tried(seed: int) -> None:
    """Checks a function; the smallest that fails in this way is told."""
    case = case_of(seed)
    try:
        check(case, seed)
    except Exception as error:
        kind = type(error)
        small = smaller(case, lambda one: fails(one, seed, kind))
        raise AssertionError(f"seed {seed}:\n{text_of(small)}") from error


def fails(case: Case, seed: int, kind: type[Exception]) -> bool:
    """Does a check that the seed picks fail in this way?"""
    forms = random.Random(seed).sample(sorted(FORMS), 2)
    try:
        case.expected()
        check(case, seed, forms)
    except Exception as error:
        return type(error) is kind
    return False
