"""Arrays that begin where a cache line does."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from flambeau import dtypes as dt
from flambeau.compiler.cpu.allocation import LEAST, LINE, empty, is_aligned, several
from flambeau.compiler.cpu.running import Outputs
from flambeau.graph.types import ty


def place(a: np.ndarray) -> int:
    return a.__array_interface__["data"][0]


def crooked(count: int) -> np.ndarray:
    """An array of its own memory that begins within a line."""
    kept = [np.empty(count, np.float32) for _ in range(200)]
    return next(a for a in kept if place(a) % LINE)


@pytest.mark.parametrize("count", [LEAST // 4, 1001, 40_000, 3_000_000])
def test_arrays_begin_where_a_line_does_and_own_their_memory(count: int) -> None:
    arrays = [empty(count, np.float32) for _ in range(5)]
    for k, a in enumerate(arrays):
        a[:] = k
    assert all(place(a) % LINE == 0 and a.base is None and a.flags.owndata for a in arrays)
    assert [a[-1] for a in arrays] == list(range(5))


def test_memory_is_given_back_grown_and_copied_as_other_arrays_are() -> None:
    for count in (300, 5000, 2_000_000):
        a = empty(count, np.float64)
        a[:] = 3
        a.resize(2 * count, refcheck=False)
        assert a[:count].sum() == 3 * count
        assert not a[count:].any()
        b = a.copy()
        del a
        gc.collect()
        assert b[0] == 3


def test_several_arrays_are_made_as_one_is() -> None:
    found: Any = pytest.importorskip("numpy._core.multiarray", reason="older versions have it elsewhere")
    counts, dtypes = [5000, 3, 70_000], [np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.uint8)]
    arrays = several(counts, dtypes)
    assert [(len(a), a.dtype) for a in arrays] == list(zip(counts, dtypes))
    assert all(place(a) % LINE == 0 and a.flags.owndata for a in arrays)
    assert {found.get_handler_name(a) for a in arrays} == {"flambeau"}
    assert found.get_handler_name() == "default_allocator"


def test_other_arrays_are_numpys() -> None:
    found: Any = pytest.importorskip("numpy._core.multiarray", reason="older versions have it elsewhere")
    a, b = empty(5000, np.int64), np.empty(5000, np.int64)
    assert (found.get_handler_name(a), found.get_handler_name(b)) == ("flambeau", "default_allocator")
    assert found.get_handler_name() == "default_allocator"
    assert found.get_handler_name(empty(3, np.int64)) == "default_allocator"


def test_what_begins_within_a_line_is_replaced_once() -> None:
    outputs = Outputs([ty((3000,), dt.float32)], [0], {0: 0})
    old = crooked(3000)
    assert not is_aligned(old)
    inputs, olds = [old], [old]
    del old
    (new,) = outputs.give(inputs, olds)
    assert new is not inputs[0]
    assert is_aligned(new)
    inputs[0] = olds[0] = new
    del new
    (again,) = outputs.give(inputs, olds)
    assert again is inputs[0]


def test_arrays_may_die_when_the_process_ends() -> None:
    code = (
        "import sys, flambeau.compiler.cpu.allocation as a; b = [a.empty(n, 'f4') for n in (3, 999, 999999)]; sys.b = b"
    )
    for options in ([], ["-X", "tracemalloc"], ["-X", "dev"]):
        done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stderr) == (0, "")
