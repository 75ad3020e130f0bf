"""LAPACK's routines that NumPy brings along in its OpenBLAS but offers no function for."""

from __future__ import annotations

import ctypes
import functools
import glob
import os
from typing import Any

import numpy as np

_LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}  # NumPy's dtypes, LAPACK's
PER_COLUMN = 8  # matrices for each column from which on all are eliminated together sooner than one after the other


@functools.cache
def _routine(name: str, char: str) -> Any:
    """``name`` for a dtype; None where NumPy's OpenBLAS is not that of its wheels, with indices of 64 bits."""
    home = os.path.dirname(os.path.dirname(np.__file__))
    for path in glob.glob(os.path.join(glob.escape(home), "numpy.libs", "*openblas*")):
        routine = getattr(ctypes.CDLL(path), f"scipy_{_LETTERS[char]}{name}_64_", None)
        if routine is not None:
            routine.restype = None
            return routine
    return None


def getrf(a: Any) -> tuple[Any, Any, Any] | None:
    """L and U of each matrix of a stack in one matrix, row exchanges counted from 1, and where U's first zero is.

    None where there is no such routine, or where that does not pay.
    """
    count, m, n = a.shape
    routine = _routine("getrf", a.dtype.char) if 0 < count <= PER_COLUMN * min(m, n) else None
    if routine is None:
        return None
    columns = np.array(np.swapaxes(a, -1, -2), order="C")
    pivots, info = np.empty((count, min(m, n)), np.int64), np.empty(count, np.int64)
    rows, width = ctypes.c_int64(m), ctypes.c_int64(n)
    for i in range(count):
        places = [x.ctypes.data + i * x.strides[0] for x in (columns, pivots, info)]
        matrix, exchanged, failed = [ctypes.c_void_p(place) for place in places]
        routine(ctypes.byref(rows), ctypes.byref(width), matrix, ctypes.byref(rows), exchanged, failed)
    return np.swapaxes(columns, -1, -2), pivots.astype(np.int32), info.astype(np.int32)
