"""Reductions in the steps of compiled code, for one shape: the passes say which, their primitives are calls at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ....dtypes import dtype, float32, float64
from ...chunked import CHUNK, is_batch, over_samples, reduced_over_samples
from ...ir import Value
from ...numpy_maps import cast
from ...split_reductions import LONGEST, in_short_ones
from .. import nest_reduce
from .reductions import reduction

Call = Callable[[Any], Any]
PLAIN = frozenset(["sum", "prod", "max", "min"])  # whose partial results are of their own dtype


def of_any_samples(name: str, dims: tuple[int, ...], dt: dtype, other: Call) -> Call:
    """The function that reduces the first dimension of arrays of any sizes, and maybe others.

    Its steps are those of ``ReducedInSteps``, which follow from the sizes of samples without a function in the IR.

    Args:
        name: of the reduction.
        dims: what it goes over.
        dt: of operand and result.
        other: the function of arrays whose steps are others.
    """
    if dims[0] != 0 or name not in PLAIN or dt not in (float32, float64):
        return other
    return lambda x: (_over_samples(name, x.shape, dims, dt) or other)(x)


@functools.lru_cache(10_000)
def _over_samples(name: str, shape: tuple[int, ...], dims: tuple[int, ...], dt: dtype) -> Call | None:
    """The function of arrays of this shape: within samples, over those of a chunk, over chunks; None in other steps."""
    within, (n, *rest) = dims[1:], shape
    if not is_batch(n) or 0 in shape or within and prod([shape[d] for d in within]) > LONGEST:
        return None
    first = reduction(name, shape, within, dt) if within else None
    if within:
        rest = [size for d, size in enumerate(shape) if d not in dims]
    chunks = -(-n // CHUNK)
    form = (chunks, CHUNK, *rest)
    each = reduction(name, form, (1,), dt)
    last = reduction(name, (chunks, *rest), (0,), dt) if chunks > 1 else None
    whole, here = (chunks * CHUNK, *rest), slice(n)
    none = nest_reduce.identity(name, dt) if n % CHUNK else None

    def call(x: Any) -> Any:
        if first:
            x = first(x)
        if none is not None:
            x = _padded(whole, dt.compute, none, here, x)
        x = each(x.reshape(form))
        return last(x) if last else x.reshape(rest)

    return call


def as_it_is(name: str, shape: tuple[int, ...], dims: tuple[int, ...], old: dtype, new: dtype) -> Call:
    """The function that reduces dimensions of an array in one step."""
    partial = nest_reduce.partial_dtype(name, new)
    f = reduction(name, shape, dims, partial)
    if old is partial is new:
        return f
    return lambda x: cast(f(cast(x, old, partial)), partial, new)


class ReducedInSteps:
    """A reduction as calls one after the other.

    Its methods are those of a builder that ``chunked`` and ``split_reductions`` use, so the steps are theirs. A value
    of that function is a type alone, as each call is on the result of the one before.

    Args:
        v: a reduction of floats that compiled code takes in steps.
    """

    def __init__(self, v: Value) -> None:
        self.calls: list[Call] = []
        whole = reduced_over_samples if over_samples(v) else _at_once
        whole(self, v, v.args[0])

    def call(self, x: Any) -> Any:
        """The array reduced."""
        for f in self.calls:
            x = f(x)
        return x

    def _then(self, f: Call, shape: Sequence[int], dt: dtype) -> Value:
        self.calls.append(f)
        return Value("step", "step", (), None, tuple(shape), dt)

    def reduce(self, name: str, a: Value, dims: Sequence[int], dt: dtype) -> Value:
        """A reduction, in several where many elements meet."""
        return in_short_ones(self, name, a, tuple(dims), dt)

    def make(self, kind: str, name: str, args: tuple[Value], dims: Any, shape: Sequence[int], dt: dtype) -> Value:
        """A reduction in one step."""
        (a,) = args
        return self._then(as_it_is(name, a.shape, dims, a.dtype, dt), shape, dt)

    def pad(self, a: Value, pads: Sequence[tuple[int, int]], value: Any) -> Value:
        """More elements of a value behind dimensions."""
        shape = [n + more for n, (_, more) in zip(a.shape, pads)]
        if shape == list(a.shape):
            return a
        here = tuple([slice(n) for n in a.shape])
        return self._then(functools.partial(_padded, tuple(shape), a.dtype.compute, value, here), shape, a.dtype)

    def view(self, name: str, a: Value, params: Any, shape: Sequence[int]) -> Value:
        """What ``split_reductions`` sees of an array: padding, or another shape."""
        return self.pad(a, *params[:2]) if name == "pad" else self.reshape(a, shape)

    def reshape(self, a: Value, shape: Sequence[int]) -> Value:
        """The elements under another shape."""
        shape = tuple(shape)
        return a if shape == a.shape else self._then(lambda x: x.reshape(shape), shape, a.dtype)

    def cast(self, a: Value, dt: dtype) -> Value:
        """The elements in another dtype."""
        old = a.dtype
        return a if old is dt else self._then(lambda x: cast(x, old, dt), a.shape, dt)


def _at_once(r: Any, v: Value, a: Value) -> Value:
    return r.reduce(v.name, a, v.params, v.dtype)


def _padded(shape: tuple[int, ...], dt: Any, value: Any, here: Any, x: Any) -> Any:
    found = np.full(shape, value, dt)
    found[here] = x
    return found
