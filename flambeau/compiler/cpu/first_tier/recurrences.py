"""Recurrences in the first tier: by the kernel of compiled programs, which serves all batches and lengths."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....dtypes import dtype
from ...ir import Value
from ...recurrence import Recurrence, shapes
from ..code_cache import default
from ..executor import Array, Executor, Kernel, Scalar, Segment
from ..recurrence import Laid, laid_for
from ..recurrence_kernel import text_of

MOST = 1000  # sizes of a recurrence that are remembered


def recurrence(v: Value) -> Callable[..., list[np.ndarray]]:
    """The function that computes a recurrence of any sizes: its results and the carries after."""
    how, dt = v.params, v.dtype
    known: dict[Any, Callable[..., list[np.ndarray]]] = {}

    def call(*args: np.ndarray) -> list[np.ndarray]:
        sizes = tuple([a.shape for a in args])
        if sizes not in known:
            if len(known) >= MOST:
                known.clear()
            known[sizes] = _of_sizes(how, dt, args)
        return known[sizes](*args)

    _of_sizes(how, dt, v.args)
    return call


def _of_sizes(how: Recurrence, dt: dtype, args: Sequence[Any]) -> Callable[..., list[np.ndarray]]:
    o = how.operands(args)
    batch, rows, outs = o.initial[0].shape[0], o.sequences[0].shape[0], shapes(how, o)
    steps = o.starts.shape[0] - 1 if how.packed else rows // batch
    laid = laid_for(how, dt, batch, steps, default().target)
    program = _program(laid._replace(batch=0, steps=0), dt, laid.chunks, len(outs))

    def call(*args: np.ndarray) -> list[np.ndarray]:
        found = [np.empty(shape, dt.np) for shape in outs]
        panels = [_panels(a, laid) for a in args[:2]]
        arrays = [*panels, *map(np.ascontiguousarray, args[2:]), *found]
        program.run_packed(program.pack(*map(id, arrays), batch, steps))
        return found

    return call


@functools.lru_cache(1000)
def _program(laid: Laid, dt: dtype, chunks: int, outs: int) -> Executor:
    """The kernel for so many chunks of any batch and number of steps."""
    text, workspace = text_of(laid, tuple(range(outs)), dt, default().target)
    count = 1 + len(laid.there) + laid.how.packed + outs
    operands = *map(Array, range(count)), Scalar(0), Scalar(1)
    kernel = Segment((Kernel(text, operands),), chunks)
    return Executor([kernel], arrays=count, scalars=("int64", "int64"), workspace=workspace)


def _panels(a: np.ndarray, laid: Laid) -> Any:
    """A weight or a bias in panels."""
    width, n = laid.tile.width, laid.panels
    whole = np.zeros((*a.shape[:-1], n * width), a.dtype)
    whole[..., : laid.columns] = a
    return np.ascontiguousarray(whole.reshape(-1, n, width).swapaxes(0, 1))
