"""Values in equal steps, rounded where PyTorch's kernels round them.

``arange`` computes vectors of 32 bytes: the first element of each is rounded to the result's dtype, the others are
steps from there. What two such vectors do not fill is computed one by one. ``linspace`` counts from the nearer end.
Both multiply and add without rounding between (fused), as the processor does there.
(aten/src/ATen/native/cpu/RangeFactoriesKernel.cpp.)
"""

from __future__ import annotations

from typing import Any

from ..dtypes import dtype, float32, float64, int64

VECTOR = 32  # bytes
SPLIT = 2.0**27 + 1


def fused(b: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z`` in float64, rounded once but for rare ties, by exact products and sums of Dekker and Knuth."""
    product, low = _exact_product(b, x, y)
    total = b.map("add", product, z)
    part = b.map("sub", total, product)
    lost = b.map("add", b.map("sub", product, b.map("sub", total, part)), b.map("sub", z, part))
    whole = b.map("add", total, b.map("add", lost, low))
    return b.where(b.map("isfinite", whole), whole, total)


def _exact_product(b: Any, x: Any, y: Any) -> tuple[Any, Any]:
    product = b.map("mul", x, y)
    (xh, xl), (yh, yl) = _halves(b, x), _halves(b, y)
    low = b.map("sub", b.map("mul", xh, yh), product)
    for p, q in ((xh, yl), (xl, yh), (xl, yl)):
        low = b.map("add", low, b.map("mul", p, q))
    return product, low


def _halves(b: Any, x: Any) -> tuple[Any, Any]:
    """Two numbers of 26 bits whose sum is ``x``."""
    scaled = b.map("mul", x, b.const(SPLIT, float64))
    high = b.map("sub", scaled, b.map("sub", scaled, x))
    return high, b.map("sub", x, high)


def stepped(b: Any, n: int, dt: dtype, start: Any, step: Any) -> Any:
    """``start + i * step`` for the first ``n`` numbers i, as ``arange`` computes floats."""
    start, step = b.cast(start, float64), b.cast(step, float64)
    lanes = VECTOR // dt.itemsize
    i = b.iota(n)
    lane = b.map("bitwise_and", i, b.const(lanes - 1, int64))
    lane = b.where(b.map("lt", i, b.const(n - n % (2 * lanes), int64)), lane, b.const(0, int64))
    first = b.cast(fused(b, step, b.cast(b.map("sub", i, lane), float64), start), dt)
    more = b.cast(fused(b, step, b.cast(lane, float64), b.cast(first, float64)), dt)
    return b.where(b.map("eq", lane, b.const(0, int64)), first, more)


def linear(b: Any, n: int, dt: dtype, start: Any, end: Any) -> Any:
    """``n`` evenly spaced values of ``dt``, counted from the nearer end; integers and float32 as float64."""
    if n < 2:
        return b.expand(b.cast(start, dt), (n,))
    if dt.kind == "c":
        part = dt.to_real()
        parts = [[b.map(name, b.cast(x, dt), dt=part) for x in (start, end)] for name in ("real", "imag")]
        real, imag = [b.cast(linear(b, n, part, *ends), part) for ends in parts]
        return b.map("complex", real, imag, dt=dt)
    if dt.itemsize == 2 and dt.kind == "f":
        return between(b, n, start, end, b.map("sub", b.cast(end, dt), b.cast(start, dt)), dt)
    return _fused_between(b, n, *[b.cast(b.cast(x, float64), dt) for x in (start, end)])


def _fused_between(b: Any, n: int, start: Any, end: Any) -> Any:
    exact = float32 if start.dtype is float32 else float64
    start, end = b.cast(start, exact), b.cast(end, exact)
    step = b.map("div", b.map("sub", end, start), b.const(n - 1, exact))
    start, end, step = [b.cast(x, float64) for x in (start, end, step)]
    at = b.iota(n)
    up = fused(b, step, b.cast(at, float64), start)
    left = b.cast(b.map("sub", b.const(n - 1, int64), at), float64)
    down = fused(b, b.map("neg", step), left, end)
    return b.where(b.map("lt", at, b.const(n // 2, int64)), up, down)


def between(b: Any, n: int, start: Any, end: Any, distance: Any, dt: dtype) -> Any:
    """``n`` values from ``start`` to ``end`` in arithmetic of ``dt``."""
    start, end = b.cast(start, dt), b.cast(end, dt)
    step = b.map("div", b.cast(distance, dt), b.const(n - 1, dt))
    at = b.iota(n)
    up = b.map("add", start, b.map("mul", step, b.cast(at, dt)))
    left = b.cast(b.map("sub", b.const(n - 1, int64), at), dt)
    down = b.map("sub", end, b.map("mul", step, left))
    return b.where(b.map("lt", at, b.const(n // 2, int64)), up, down)
