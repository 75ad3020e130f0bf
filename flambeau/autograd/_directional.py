"""One directional derivative instead of all elements of a Jacobian: ``gradcheck(fast_mode=True)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops.creation import from_values
from ._jacobians import tensors_of, values_of

if TYPE_CHECKING:
    from .gradcheck import _Check


def agrees(check: _Check, nondet_tol: float) -> bool:
    """Do derivatives along random directions, of random sums of each output, agree with differences, and two passes
    with each other?

    The directions come from a generator of their own. False where something is complex, which is not looked at.
    """
    draw = np.random.default_rng(0)
    outputs = _outputs(check)
    if not outputs or any(t.is_complex() for t in (*outputs, *check.wanted)):
        return False
    ways, sums = ([_direction(draw, t.numel()) for t in ts] for ts in (check.wanted, outputs))
    found, again = ([_along(y, check.wanted, v, ways) for y, v in zip(outputs, sums)] for _ in range(2))
    if not np.all(np.abs(np.array(found) - np.array(again)) <= nondet_tol):
        return False
    for j, (x, u) in enumerate(zip(check.wanted, ways)):
        for row, slope, v in zip(found, _slopes(check, x, u), sums):
            if not np.allclose(row[j], slope @ v, check.rtol, check.atol * float(u.sum()) * float(v.sum())):
                return False
    return True


def _outputs(check: _Check) -> list[Any]:
    return [y for y in tensors_of(check.func(*check.inputs)) if y.requires_grad]


def _direction(draw: np.random.Generator, n: int) -> np.ndarray:
    v = draw.random(n)
    return v / np.linalg.norm(v) if n else v


def _along(y: Any, wanted: Sequence[Any], v: np.ndarray, ways: Sequence[np.ndarray]) -> list[float]:
    """The gradients of a sum of an output's elements, times the direction of each input."""
    from . import grad

    given = from_values(v.reshape(tuple(y.shape)).astype(y.dtype.compute), y.dtype)
    grads = grad(y, wanted, given, retain_graph=True, allow_unused=True)
    return [0.0 if g is None else _product(g, u) for g, u in zip(grads, ways)]


def _product(g: Any, u: np.ndarray) -> float:
    """A gradient times a direction; NaN if it is complex where its input is not."""
    return float("nan") if g.is_complex() else float(values_of(g).reshape(-1) @ u)


def _slopes(check: _Check, x: Any, u: np.ndarray) -> list[np.ndarray]:
    """The slope of each output that requires grad as ``x``, which is changed in place, moves along ``u``."""
    before, data = values_of(x), x.data
    ends = []
    try:
        for step in (-check.eps, check.eps):
            moved = before.reshape(-1) + step * u
            data.copy_(from_values(moved.reshape(before.shape).astype(before.dtype), x.dtype))
            ends.append([values_of(y).reshape(-1) for y in _outputs(check)])
    finally:
        data.copy_(from_values(before, x.dtype))
    return [(high - low) / (2 * check.eps) for low, high in zip(*ends)]
