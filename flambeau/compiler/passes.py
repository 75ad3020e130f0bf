"""The passes from a function as it is lowered to one that is cut into kernels, in their order."""

from __future__ import annotations

from collections.abc import Callable

from .batch import tile_batch
from .channels_first import channels_first
from .chunked import chunked
from .interleave import interleave
from .ir import Function
from .legalise import legalise
from .looked_up import looked_up
from .simplify import simplify
from .split_reductions import split_reductions
from .transpose_weights import transpose_weights
from .unroll import unroll

Pass = Callable[[Function], Function]
PASSES: tuple[Pass, ...] = (
    simplify, looked_up, chunked, tile_batch, unroll, interleave, legalise, split_reductions,
    transpose_weights, channels_first,
)  # fmt: skip


def prepared(f: Function, after: Callable[[Pass, Function], None] = lambda one, f: None) -> Function:
    """The function after all passes; ``after`` sees it after each."""
    for one in PASSES:
        f = one(f)
        after(one, f)
    return f
