"""Points of a convolution's kernel that see nothing but padding, as most of 3 x 3 do over an image of one pixel.

Their products are left out of sums, and a weight's gradient is zero there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...ir import Value

Call = Callable[[Any, Any], Any]


def useful_points(v: Value) -> dict[str, slice]:
    """By their labels, the points of kernels that see more than zeros, where a contraction's windows do not see all so.

    Args:
        v: a contraction.
    """
    found: dict[str, slice] = {}
    for seen, labels in zip(v.args, v.params):
        source = seen.args[0] if seen.kind == "view" and seen.name == "window" else None
        if source is not None and source.kind == "view" and source.name == "reshape":
            source = source.args[0]  # channels in groups
        if source is not None and source.kind == "view" and source.name == "pad" and source.params[1] == 0:
            found |= _of_windows(seen, source, labels)
    return found


def _of_windows(seen: Value, padded: Value, labels: str) -> dict[str, slice]:
    """The points of one view's windows that see more than padding, by their labels."""
    dims, sizes, strides, dilations = seen.params
    pads, _, interior = padded.params
    n = len(dims)
    if any(interior) or dims != tuple(range(seen.args[0].ndim - n, seen.args[0].ndim)):
        return {}
    found = {}
    image = padded.args[0].shape[-n:]
    for label, d, kernel, stride, dilation, size, (before, _) in zip(
        labels[-n:], dims, sizes, strides, dilations, image, pads[-n:]
    ):
        reach = [k for k in range(kernel) if _sees(dilation * k - before, stride, seen.shape[d], size)]
        if reach and len(reach) < kernel:
            found[label] = slice(reach[0], reach[-1] + 1)
    return found


def _sees(first: int, stride: int, count: int, size: int) -> bool:
    """Is one of ``count`` places from ``first`` on, ``stride`` apart, one of ``size`` pixels?"""
    step = max(0, -(first // stride))
    return step < count and first + step * stride < size


def without(v: Value, points: Mapping[str, slice]) -> list[tuple[int, ...]]:
    """The shapes of a contraction's operands of these points alone."""
    return [
        tuple([points[c].stop - points[c].start if c in points else n for c, n in zip(labels, a.shape)])
        for labels, a in zip(v.params, v.args)
    ]


def whole(v: Value, points: Mapping[str, slice], call: Call) -> Call:
    """The contraction of whole operands by ``call``, which computes it for these points alone."""
    first, second, out = [tuple([points.get(c, slice(None)) for c in labels]) for labels in v.params]
    if not any(c in points for c in v.params[2]):
        return lambda a, b: call(a[first], b[second])

    def placed(a: Any, b: Any) -> Any:
        part = call(a[first], b[second])
        result = np.zeros(v.shape, part.dtype)
        result[out] = part
        return result

    return placed
