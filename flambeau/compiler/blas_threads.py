"""How many threads NumPy's linear algebra uses.

OpenBLAS shares out even small matrices, and its threads wait for one another: beside other busy processes the singular
values of a 64 x 64 matrix took 45 ms instead of 0.6. So small matrices are one thread's; large ones are left to it.
"""

from __future__ import annotations

import ctypes
import functools
import glob
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

SMALL = 128 * 128  # elements of a matrix that is one thread's

_lock = threading.Lock()
_depth = [0, 0]  # how many ask for one thread now, and the number before


@contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """NumPy's linear algebra uses one thread inside, if that is wanted and OpenBLAS computes it."""
    found = _openblas() if wanted else None
    if found is None:
        yield
        return
    get, put = found
    with _lock:
        _depth[0] += 1
        if _depth[0] == 1:
            _depth[1] = get()
            put(1)
    try:
        yield
    finally:
        with _lock:
            _depth[0] -= 1
            if not _depth[0]:
                put(_depth[1])


def is_small(a: Any) -> bool:
    """Is this array a small matrix, or are they small of which it is a stack?"""
    return a.ndim < 2 or a.shape[-1] * a.shape[-2] <= SMALL


@functools.cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """What gets and sets the number of threads in the OpenBLAS of NumPy's wheels; None for other builds."""
    home = os.path.dirname(os.path.dirname(np.__file__))
    for path in glob.glob(os.path.join(glob.escape(home), "numpy.libs", "*openblas*")):
        library = ctypes.CDLL(path)
        try:
            get, put = [getattr(library, f"scipy_openblas_{do}_num_threads64_") for do in ("get", "set")]
        except AttributeError:
            continue
        return get, put
    return None
