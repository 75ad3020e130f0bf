"""The direction numbers of Sobol' sequences, by S. Joe and F. Y. Kuo (``new-joe-kuo-6.21201``).

``directions.npz`` holds for each dimension a primitive polynomial over the field of two elements as a number, and its
first odd integers m_1 ... m_s below 2, 4, ... 2^s, of which the bits behind the last one are packed.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

BITS = 30  # of a coordinate
DIMENSIONS = 21201


@functools.lru_cache(1)
def _table() -> tuple[np.ndarray, np.ndarray]:
    """The polynomials, and the bits of all integers, one dimension after the other."""
    with np.load(Path(__file__).with_name("directions.npz")) as file:
        return file["polynomials"].astype(np.int64), np.unpackbits(file["bits"])


def directions(dimension: int) -> np.ndarray:
    """By how much each bit of a point's number changes its coordinates: (dimension, BITS), in units of 2 ** -BITS."""
    polynomials, bits = _table()
    degrees = np.frexp(polynomials[:dimension])[1] - 1
    rows = np.ones((dimension, BITS), np.int64)
    at = 0
    for degree in range(1, degrees.max() + 1):
        own = np.flatnonzero(degrees == degree)  # one after the other
        count = degree * (degree - 1) // 2
        packed = bits[at : at + len(own) * count].reshape(len(own), count)
        at += len(own) * count
        rows[own] = _of_degree(degree, polynomials[own], packed)
    return rows << np.arange(BITS - 1, -1, -1)


def _of_degree(degree: int, polynomials: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """The integers of dimensions whose polynomials have one degree: the first ones, and what follows from them."""
    rows = np.ones((len(polynomials), BITS), np.int64)
    for i in range(1, degree):
        rows[:, i] += 2 * (packed[:, i * (i - 1) // 2 : i * (i + 1) // 2] @ (1 << np.arange(i)))
    for j in range(degree, BITS):
        rows[:, j] = rows[:, j - degree]
        for k in range(1, degree + 1):
            rows[:, j] ^= (rows[:, j - k] << k) * (polynomials >> (degree - k) & 1)
    return rows
