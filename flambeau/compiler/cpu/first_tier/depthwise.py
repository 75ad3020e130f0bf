"""Convolutions whose channels do not meet: their vectors run along the channels.

Each channel has weights of its own, and rows of pixels are short. A copy of what lies under the windows, with channels
beside each other, fills the vectors; the pixels of a row share the vectors of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from ....dtypes import float32, float64
from ... import numpy as reference
from ...affine import row_major
from ...ir import Value
from ..code_cache import default
from ..contract_order import domain_labels
from . import products
from .contractions import arranged, checked_padding, grouped, in_lanes
from .widths import lanes_of

Call = Callable[[Any, Any], Any]
ROWS = 4  # results that share what is read under windows, from which on pixels are better than channels


def depthwise(v: Value, known: Mapping[Value, Any]) -> Call | None:
    """The function of what lies under the first operand's windows and of the second; None where that does not pay.

    Args:
        v: a contraction that ``contraction`` has taken.
        known: strides of values, in elements, as compiled code would find them in memory; None behind padding.
    """
    la, lb, out = v.params
    seen = v.args[0]
    if v.dtype not in (float32, float64) or seen.name != "window" or in_lanes(v, known) is not None:
        return None
    sizes = dict(zip(la, seen.shape)) | dict(zip(lb, v.args[1].shape))
    shared = [c for c in out if c in la[: seen.args[0].ndim] and c in lb]
    n = max(shared, key=sizes.__getitem__, default="")
    several = prod([sizes[c] for c in out if c not in la])
    if not n or sizes[n] < lanes_of(v.dtype, default().target) or several >= ROWS:
        return None
    behind = [k for k, a in enumerate(v.args) if known.get(a, row_major(a.shape)) is None]
    call = _along(v, sizes, n)
    return checked_padding(v, call, behind) if behind else call


def _along(v: Value, sizes: dict[str, int], n: str) -> Call:
    """Vectors run along the label ``n``, rows along the last that the windows alone have."""
    (la, lb, out), seen = v.params, v.args[0]
    reduced = [c for c in domain_labels(v) if c not in out]
    m = next((c for c in reversed(out) if c not in lb), "")
    outer = [c for c in out if c not in (m, n)]
    form = grouped([sizes[c] for c in reduced if sizes[c] > 1])
    x = arranged(la, [*outer, m, *reduced, n], sizes, len(outer) + 1, form, True)
    y = arranged(lb, [*outer, *reduced, n], sizes, len(outer), form, True)
    order = [*outer, m, n] if m else [*outer, n]
    shape, back = tuple([sizes[c] for c in order]), tuple([order.index(c) for c in out])
    at, f = la.index(n), products.along_both(v.dtype)

    def call(a: Any, b: Any) -> Any:
        beside = np.moveaxis(np.ascontiguousarray(np.moveaxis(a, at, -1)), -1, at)
        found = f(x(reference._view(seen, beside)), np.ascontiguousarray(y(b)))
        return np.ascontiguousarray(found.reshape(shape).transpose(back))

    return call
