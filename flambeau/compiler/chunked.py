"""IR to IR: what sums over the leading dimension does so in one order, whatever becomes of the program around it.

First within each sample, then over the 16 samples of a chunk, then over the chunks. So does a program whose batch is
tiled (``batch``), where a chunk is what one thread computes; with this order in both, the bits of a bias's gradient do
not depend on whether the program was tiled, and so not on where somebody's print cut it in two. The rule looks at the
shapes of one operator alone.

A contraction that sums over samples and over positions within each, and has few results (the gradient of the weight of
a convolution with few channels), gives one result for each sample, which are then summed in that order. Its products
are added one after the other, since in a tiled program the samples are the lanes. Other contractions over samples (the
gradient of a linear layer's weight) stay as they are, in both.
"""

from __future__ import annotations

from math import prod
from typing import Any

from ..dtypes import bool_, dtype
from .cpu import nest_reduce
from .ir import Function, Value
from .simplify import Rewriter, rewritten
from .split_reductions import _wide

CHUNK = 16  # samples
FEWEST = 12  # samples: fewer would leave too much of a chunk empty
MOST = 4096  # samples: a longer dimension is no batch
CHANNELS = 32  # and a multiple of 16: a layer whose channels fill vectors by themselves
POSITIONS = 32  # that a contraction sums over in each sample, to be summed sample by sample
RESULTS = 16384  # of such a contraction for each sample
ALL_RESULTS = 1 << 23  # for all samples


def chunked(f: Function) -> Function:
    """The function with reductions over a leading dimension by sample, chunk and chunks."""
    return rewritten(f, _chunked, lambda v: v.kind in _CHUNKED and _CHUNKED[v.kind](v))


def _chunked(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    if v.kind == "reduce":
        return reduced_over_samples(r, v, args[0])
    la, lb, out = v.params
    each = r.contract(f"{la},{lb}->{la[0]}{out}", *args, name="ordered")
    return sum_of_samples(r, "sum", each, v.dtype)


def is_batch(n: int) -> bool:
    """Can a dimension of this size be one of samples?"""
    return FEWEST <= n <= MOST


def over_samples(v: Value) -> bool:
    """Does the reduction run over a leading dimension of samples?"""
    a = v.args[0]
    if v.name not in nest_reduce.KINDS or not nest_reduce.supported(v.name, a.dtype, v.dtype):
        return False
    return 0 in v.params and is_batch(a.shape[0]) and 0 not in a.shape


def by_sample(v: Value) -> bool:
    """Does the contraction sum over samples and many positions, with few results?"""
    la, lb, out = v.params
    if v.dtype.kind != "f" or not la or la[:1] != lb[:1] or la[0] in out or 0 in v.shape:
        return False
    sizes = dict(zip(la, v.args[0].shape)) | dict(zip(lb, v.args[1].shape))
    samples = sizes.pop(la[0])
    positions = prod([n for c, n in sizes.items() if c not in out])
    if any(n >= CHANNELS and n % CHUNK == 0 for n in v.shape):
        return False
    few = prod(v.shape) <= RESULTS and prod(v.shape) * samples <= ALL_RESULTS
    return is_batch(samples) and positions >= POSITIONS and few


def reduced_over_samples(r: Any, v: Value, a: Value) -> Value:
    """What a builder makes of a reduction of ``a`` over samples: within each, over those of a chunk, over chunks."""
    within = [d for d in v.params if d]
    if within:
        a = r.reduce(v.name, a, within, dt=_partial(v))
    return sum_of_samples(r, v.name, a, v.dtype)


def _partial(v: Value) -> dtype:
    return _wide(v.name, v.dtype)


def sum_of_samples(r: Any, op: str, a: Value, dt: dtype) -> Value:
    """The leading dimension reduced: over the samples of each chunk, then over the chunks."""
    n, *rest = a.shape
    whole = -(-n // CHUNK) * CHUNK
    a = r.pad(a, [(0, whole - n), *[(0, 0) for _ in rest]], _nothing(op, a.dtype))
    a = r.reshape(a, (whole // CHUNK, CHUNK, *rest))
    chunks = r.reduce(op, a, (1,), dt=_wide(op, dt))
    if whole == CHUNK:
        return r.cast(r.reshape(chunks, rest), dt)
    return r.reduce(op, chunks, (0,), dt=dt)


def _nothing(op: str, dt: dtype) -> Any:
    """What changes no result."""
    return op in ("min", "prod", "all") if dt is bool_ else nest_reduce.identity(op, dt)


_CHUNKED = {"reduce": over_samples, "contract": by_sample}
