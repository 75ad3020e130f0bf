"""Contractions on NumPy: any Einstein sum of two operands as one batched matrix product."""

from __future__ import annotations

from math import prod

import numpy as np

from .blas_threads import one_thread


def contract(spec: tuple[str, str, str], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``spec = (labels of a, labels of b, labels of the result)``; half precision is summed in float32."""
    la, lb, out = spec
    dt = a.dtype
    if dt == np.float16:
        a, b = a.astype(np.float32), b.astype(np.float32)
    a, la = _summed(a, la, lb + out)
    b, lb = _summed(b, lb, la + out)
    batch = [c for c in la if c in lb and c in out]
    inner = [c for c in la if c in lb and c not in out]
    left = [c for c in la if c not in lb]
    right = [c for c in lb if c not in la]
    sizes = dict(zip(la, a.shape)) | dict(zip(lb, b.shape))

    def size(labels: list[str]) -> int:
        return prod([sizes[c] for c in labels])

    x = a.transpose([la.index(c) for c in batch + left + inner]).reshape(size(batch), size(left), size(inner))
    y = b.transpose([lb.index(c) for c in batch + inner + right]).reshape(size(batch), size(inner), size(right))
    if dt == np.bool_:
        r = _of_integers(x.astype(np.int64), y.astype(np.int64)) != 0
    elif dt.kind in "ui":
        r = _of_integers(x, y)
    else:
        with one_thread():
            r = np.matmul(x, y)
    labels = batch + left + right
    r = r.reshape([sizes[c] for c in labels]).transpose([labels.index(c) for c in out])
    return r.astype(dt, copy=False)


def _of_integers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A product of integers: by floats, which NumPy multiplies in vectors, if those hold all sums exactly.

    Its loops for integers take three times as long for rows that lie apart.
    """
    if x.shape[-2] * y.size < MANY or x.shape[-1] * _largest(x) * _largest(y) > EXACT:
        return np.matmul(np.ascontiguousarray(x), np.ascontiguousarray(y))
    with one_thread():
        r = np.matmul(x.astype(np.float64), y.astype(np.float64))
    return r.astype(np.int64).astype(x.dtype, copy=False)


MANY = 100_000  # products
EXACT = 1 << 53  # up to which floats of 64 bits hold all integers


def _largest(x: np.ndarray) -> int:
    """The largest absolute value."""
    return max(abs(int(x.min(initial=0))), abs(int(x.max(initial=0))))


def _summed(a: np.ndarray, labels: str, others: str) -> tuple[np.ndarray, str]:
    """Sums over the labels that nobody else has."""
    alone = tuple(i for i, c in enumerate(labels) if c not in others)
    if not alone:
        return a, labels
    return a.sum(axis=alone, dtype=a.dtype), "".join(c for c in labels if c in others)
