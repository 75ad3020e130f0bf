"""The passes from a function as it is lowered to one that is cut into kernels, in their order."""

from __future__ import annotations

from collections.abc import Callable

from .batch import tile_batch
from .chunked import chunked
from .forms import formed
from .interleave import interleave
from .ir import Function
from .looked_up import looked_up
from .planar import planar
from .shorten import shorten
from .simplify import simplify
from .unroll import unroll
from .upright import upright

Pass = Callable[[Function], Function]
PASSES: tuple[Pass, ...] = (
    simplify, looked_up, chunked, tile_batch, unroll, interleave, formed, shorten, upright, planar,
)  # fmt: skip


def prepared(f: Function, after: Callable[[Pass, Function], None] = lambda one, f: None) -> Function:
    """The function after all passes; ``after`` sees it after each."""
    for one in PASSES:
        f = one(f)
        after(one, f)
    return f
