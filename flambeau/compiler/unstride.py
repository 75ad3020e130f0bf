"""IR to IR: memory read under strides as a reshape, a permutation, slices and an expansion, where it is no more."""

from __future__ import annotations

from math import prod

from .affine import memory_order, row_major
from .ir import Value
from .simplify import Rewriter, copied


def unstride(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    """Rewrites a strided view."""
    if v.kind == "view" and v.name == "strided" and v.dtype is args[0].dtype and 0 not in (*v.shape, *args[0].shape):
        return _plain(r, v, args[0]) or copied(r, v, args)
    return copied(r, v, args)


def _plain(r: Rewriter, v: Value, a: Value) -> Value | None:
    """A strided view as slices, reshapes and expansions, which other passes see through; None where there are none."""
    layout, strides, offset = v.params
    memory = r.permute(a, memory_order(layout, a.shape))
    real = sorted([d for d, n in enumerate(v.shape) if n > 1 and strides[d]], key=lambda d: -strides[d])
    sizes = [v.shape[d] for d in real]
    steps = [strides[d] for d in real]
    if offset == 0 and prod(sizes) == prod(a.shape) and tuple(steps) == row_major(sizes):
        x = r.reshape(memory, sizes)
    else:
        found = _sliced(r, memory, sizes, steps, offset)
        if found is None:
            return None
        x = found
    x = r.permute(x, [real.index(d) for d in sorted(real)])
    x = r.reshape(x, [n if d in real else 1 for d, n in enumerate(v.shape)])
    return r.expand(x, v.shape)


def _sliced(r: Rewriter, a: Value, sizes: list[int], steps: list[int], offset: int) -> Value | None:
    """Slices of a row-major array, if each of the steps runs along one of its dimensions."""
    own = row_major(a.shape)
    start = [offset // step % n for step, n in zip(own, a.shape)]
    left = {d: (i, 1, 1) for d, i in enumerate(start)}  # where a dimension starts, how many, how far apart
    for size, step in zip(sizes, steps):
        d = next((d for d, k in enumerate(own) if k <= step and a.shape[d] > 1), None)
        if d is None or step % own[d] or left[d][1] > 1 or start[d] + step // own[d] * (size - 1) >= a.shape[d]:
            return None
        left[d] = start[d], size, step // own[d]
    for d, (i, size, step) in left.items():
        a = r.slice(a, d, i, i + (size - 1) * step + 1, step)
    return r.reshape(a, sizes)
