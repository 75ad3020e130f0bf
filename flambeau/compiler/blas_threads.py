"""NumPy's and SciPy's linear algebra uses one thread.

OpenBLAS shares out even small matrices, and its threads wait for one another by asking again and again: beside other
busy processes solving for a 200 x 200 matrix took 750 ms instead of 1. And how many threads there are decides the last
bits (of products of any size, of eigenvectors of 400 x 400, of the inverse of 800 x 800).
"""

from __future__ import annotations

import ctypes
import functools
import glob
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np


class Library(NamedTuple):
    """What gets and sets the number of threads of an OpenBLAS."""

    get: Callable[[], int]
    put: Callable[[int], Any]


_lock = threading.Lock()
_before: list[tuple[Library, int]] = []  # what the libraries used before anybody asked for one thread
_depth = [0]  # how many ask for it now


@contextmanager
def one_thread() -> Iterator[None]:
    """The linear algebra of NumPy and SciPy uses one thread inside, if OpenBLAS computes it."""
    with _lock:
        _depth[0] += 1
        if _depth[0] == 1:
            _before[:] = [(one, one.get()) for one in libraries("scipy.linalg" in sys.modules)]
            for one, _ in _before:
                one.put(1)
    try:
        yield
    finally:
        with _lock:
            _depth[0] -= 1
            if not _depth[0]:
                for one, count in _before:
                    one.put(count)


@functools.cache
def libraries(scipy: bool) -> list[Library]:
    """The OpenBLAS of NumPy's wheels, and that of SciPy's if it is loaded; none of other builds."""
    found = [_library("numpy.libs", "64_"), _library("scipy.libs", "") if scipy else None]
    return [one for one in found if one is not None]


def _library(folder: str, suffix: str) -> Library | None:
    home = os.path.dirname(os.path.dirname(np.__file__))
    for path in glob.glob(os.path.join(glob.escape(home), folder, "*openblas*")):
        library = ctypes.CDLL(path)
        try:
            return Library(*[getattr(library, f"scipy_openblas_{do}_num_threads{suffix}") for do in ("get", "set")])
        except AttributeError:
            continue
    return None
