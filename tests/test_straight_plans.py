"""Plans of the first tier as functions: the same as a loop over their steps; and conversions asked for once."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import pytest

from flambeau import dtypes as dt
from flambeau.compiler.cpu.first_tier import straight as plans
from flambeau.compiler.numpy_maps import cast, converter

FLAT = [dt.bool_, dt.uint8, dt.int8, dt.int32, dt.int64, dt.float16, dt.bfloat16, dt.float32, dt.float64]
WIDE = [dt.float8_e4m3fn, dt.complex32, dt.complex64]


def _by_a_loop(regs: list[Any], steps: Any, results: list[int], args: tuple[Any, ...], several: bool) -> Any:
    regs = regs.copy()
    regs[: len(args)] = args
    for f, ins, out in steps:
        regs[out] = f(*[regs[i] for i in ins])
    return tuple([regs[i] for i in results]) if several else regs[results[0]]


def _random_plan(seed: int) -> tuple[list[Any], list[Any], list[int], int, bool]:
    draw = random.Random(seed)
    count, constants = draw.randint(1, 3), draw.randint(0, 2)
    regs: list[Any] = [None] * count + [f"constant {seed} {k}" for k in range(constants)]
    steps: list[Any] = []
    for k in range(draw.randint(0, 5)):
        ins = tuple([draw.randrange(len(regs)) for _ in range(draw.randint(1, 3))])
        steps.append((lambda *xs, k=k: (seed, k, *xs), ins, len(regs)))
        regs.append(None)
    several = draw.random() < 0.5
    return regs, steps, [draw.randrange(len(regs)) for _ in range(draw.randint(1, 3) if several else 1)], count, several


@pytest.mark.parametrize("seed", range(200))
def test_a_plan_is_what_a_loop_over_its_steps_gives(seed: int) -> None:
    regs, steps, results, count, several = _random_plan(seed)
    f = plans.straight(regs, steps, results, count, several)
    assert f is not None
    args = tuple([f"argument {k}" for k in range(count)])
    assert f(*args) == _by_a_loop(regs, steps, results, args, several)


def test_plans_of_one_form_share_its_text_but_neither_functions_nor_constants() -> None:
    def plan(f: Any, constant: int) -> Any:
        return plans.straight([None, constant, None], [(f, (0, 1), 2)], [2], 1, False)

    one, other = plan(lambda x, y: x + y, 1), plan(lambda x, y: x * y, 5)
    assert (one(10), other(10)) == (11, 50)
    assert one.__code__ is other.__code__


def test_a_long_plan_has_no_text() -> None:
    steps = [(abs, (k,), k + 1) for k in range(plans.MOST + 1)]
    assert plans.straight([None] * (len(steps) + 1), steps, [len(steps)], 1, False) is None
    assert plans.straight([None] * len(steps), steps[:-1], [len(steps) - 1], 1, False)(-3) == 3  # type: ignore[misc]


@pytest.mark.parametrize("new", FLAT + WIDE, ids=repr)
@pytest.mark.parametrize("old", FLAT + WIDE[2:], ids=repr)
def test_a_converter_casts(old: Any, new: Any) -> None:
    values = np.array([0, 1, 2.7, -3.5, 100, 255, -129, 65504, 1e9, -1e20, np.inf, np.nan])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        a = values.astype(old.compute) if old is not dt.bfloat16 else cast(values, dt.float64, old)
        found, wanted = converter(old, new)(a), cast(a, old, new)
    assert found.dtype == wanted.dtype
    assert found is not a and found.tobytes() == wanted.tobytes()
    assert converter(old, new)(a[0]).shape == ()
