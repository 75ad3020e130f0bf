"""sqrt, rsqrt, reciprocal: the CPU's own square root and division, both rounded correctly."""

from __future__ import annotations

from .formats import Format
from .ssa import Vector


def sqrt(f: Format, x: Vector) -> Vector:
    """The square root, 0.5 ulp."""
    return x.sqrt()


def rsqrt(f: Format, x: Vector) -> Vector:
    """``1 / sqrt(x)``."""
    return 1.0 / x.sqrt()


def reciprocal(f: Format, x: Vector) -> Vector:
    """``1 / x``, 0.5 ulp."""
    return 1.0 / x
