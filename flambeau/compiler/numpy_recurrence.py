"""Recurrences on NumPy, one step after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .blas_threads import one_thread
from .ir import Function, Value
from .recurrence import Recurrence, shapes

Array = np.ndarray
Body = Callable[[Function, list[Array]], list[Array]]


@one_thread()
def recurrence(v: Value, args: tuple[Array, ...], run: Body) -> list[Array]:
    """The results and the carries after; ``run`` computes a body."""
    how: Recurrence = v.params
    o = how.operands(args)
    carries = [np.array(a) for a in o.initial]
    sequences = [_step_by_step(how, a, carries[0].shape[0]) for a in o.sequences]
    results = [np.zeros(shape, v.dtype.compute) for shape in shapes(how, o)[: len(how.results)]]
    for low, high in _steps(how, carries[0].shape[0], results[0].shape[0], o.starts):
        n = high - low
        product = carries[0][:n] @ o.weight + o.bias
        ins = [*[a[low:high] for a in sequences], product, *[c[:n].copy() for c in carries]]
        found = run(how.body, _slots(how, ins))
        for slot, value in zip(_slots(how, [*[r[low:high] for r in results], *[c[:n] for c in carries]]), found):
            slot[...] = value
    return [_in_groups(how, r, carries[0].shape[0]) for r in results] + carries


def _step_by_step(how: Recurrence, a: Array, batch: int) -> Array:
    """The rows of all sequences, step by step."""
    if not how.group:
        return a
    return a.reshape((batch // how.group, -1, how.group, a.shape[1])).swapaxes(0, 1).reshape(a.shape)


def _in_groups(how: Recurrence, a: Array, batch: int) -> Array:
    """Rows that lie step by step as the recurrence has them."""
    if not how.group:
        return a
    return a.reshape((-1, batch // how.group, how.group, a.shape[1])).swapaxes(0, 1).reshape(a.shape)


def _slots(how: Recurrence, arrays: list[Array]) -> list[Array]:
    """The slots of all arrays, one after the other."""
    return [a[:, k : k + how.units] for a in arrays for k in range(0, a.shape[1], how.units)]


def _steps(how: Recurrence, batch: int, rows: int, starts: Any) -> Iterator[tuple[int, int]]:
    """The first row of each step and the one behind its last."""
    bounds = range(0, rows + 1, max(batch, 1)) if starts is None else starts.tolist()
    steps = list(zip(bounds, bounds[1:]))
    return iter(steps[::-1] if how.reverse else steps)
