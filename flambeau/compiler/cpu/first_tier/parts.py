"""Into how many parts steps of native code are cut (``walking``), which threads share."""

from __future__ import annotations

import numpy as np

OUTER = 3  # dimensions around the loop
PARTS = 2  # words that say how many parts there are
LONG = 20_000  # nanoseconds of a step from which on threads share it
PART, MOST_PARTS = 6_000, 8  # of a part, and how many there are at most
NANOSECONDS = {"rows": 1.0, "take": 0.1}  # of an element (or byte), by the labels of steps
OTHERS = 0.3  # of an element in other steps
LINE = 16  # elements in which parts are counted, where a turn of the loop is one


def parts_of(nanoseconds: np.ndarray, threads: int, outermost: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Into how many parts steps that take so long are cut: their outermost dimensions, and those of their loops.

    Args:
        nanoseconds: of each step, about.
        threads: how many there are.
        outermost: the sizes of the former dimensions.
        counts: those of the latter.
    """
    most = np.where(nanoseconds >= LONG, MOST_PARTS if threads > 1 else 1, 1)
    wanted = np.clip(nanoseconds // PART, 1, most).astype(np.int64)
    outer = np.minimum(wanted, outermost)
    return np.stack([outer, np.minimum(-(-wanted // outer), counts)])
