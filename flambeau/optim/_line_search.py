"""The line search of L-BFGS: a step length that meets the strong Wolfe conditions.

Nocedal and Wright, Numerical Optimization, section 3.5: bracket, then zoom.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from flambeau import Tensor

_SUFFICIENT, _CURVATURE = 1e-4, 0.9
_SMALL = 1e-9  # the search ends when its bracket moves no parameter by more, whatever ``tolerance_change`` says


class Point(NamedTuple):
    """A point of the search: step length, loss, gradient and slope along the direction."""

    t: Any
    f: float
    g: Tensor
    slope: Any


def strong_wolfe(evaluate: Callable[[Any], Point], start: Point, t: Any, reach: Any, limit: int) -> tuple[Point, int]:
    """The point found, and how often `evaluate` was called.

    Args:
        evaluate: the point at a step length.
        start: the point at step length 0.
        t: the first step length to try.
        reach: largest entry of the direction.
        limit: most iterations.
    """
    bracket, iterations, done = _bracket(evaluate, start, t, max(limit, 0))
    evaluations = iterations + 1
    low, high = _order(bracket)
    stalled = False
    while not done and iterations < limit:
        if abs(bracket[1].t - bracket[0].t) * reach < _SMALL:
            break
        t, stalled = _inside(_cubic_minimum(bracket[0], bracket[1]), bracket, stalled)
        point = evaluate(t)
        iterations += 1
        evaluations += 1
        if _too_high(point, start) or point.f >= bracket[low].f:
            bracket[high] = point
            low, high = _order(bracket)
            continue
        done = _flat_enough(point, start)
        if not done and point.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = point
    return bracket[low], evaluations


def _bracket(evaluate: Callable[[Any], Point], start: Point, t: Any, limit: int) -> tuple[list[Point], int, bool]:
    """Points around a minimum, the iterations spent, and whether the first point is good already."""
    previous, point = start, evaluate(t)
    for iteration in range(limit):
        if _too_high(point, start) or (iteration > 1 and point.f >= previous.f):
            return [previous, point], iteration, False
        if _flat_enough(point, start):
            return [point], iteration, True
        if point.slope >= 0:
            return [previous, point], iteration, False
        bounds = (point.t + 0.01 * (point.t - previous.t), point.t * 10)
        t = _cubic_minimum(previous, point, bounds)
        previous, point = point, evaluate(t)
    return [start, point], limit, False


def _too_high(point: Point, start: Point) -> bool:
    """Does the loss fall by less than the slope promises?"""
    return bool(point.f > start.f + _SUFFICIENT * point.t * start.slope)


def _flat_enough(point: Point, start: Point) -> bool:
    return bool(abs(point.slope) <= -_CURVATURE * start.slope)


def _order(bracket: list[Point]) -> tuple[int, int]:
    """Positions of the lower and the higher end."""
    return (0, 1) if bracket[0].f <= bracket[-1].f else (1, 0)


def _inside(t: Any, bracket: list[Point], stalled: bool) -> tuple[Any, bool]:
    """Keeps a step length off the bracket's ends if progress is too small; and whether it stalls now."""
    left, right = min(p.t for p in bracket), max(p.t for p in bracket)
    margin = 0.1 * (right - left)
    if not min(right - t, t - left) < margin:
        return t, False
    if stalled or t >= right or t <= left:
        return (right - margin if abs(t - right) < abs(t - left) else left + margin), False
    return t, True


def _cubic_minimum(a: Point, b: Point, bounds: tuple[Any, Any] | None = None) -> Any:
    """The minimum of the cubic through two points and their slopes, within bounds."""
    low, high = bounds or ((a.t, b.t) if a.t <= b.t else (b.t, a.t))
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:  # nan too: two points at one step length
        return (low + high) / 2.0
    d2 = square.sqrt()
    if a.t <= b.t:
        at = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    else:
        at = a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2))
    return min(max(at, low), high)


# ---- in PyTorch's private forms, which packages import


def cubic_interpolate(x1: Any, f1: Any, g1: Any, x2: Any, f2: Any, g2: Any, bounds: Any = None) -> Any:
    """The minimum of the cubic with the values ``f`` and slopes ``g`` at two places."""
    return _cubic_minimum(Point(x1, f1, g1, g1), Point(x2, f2, g2, g2), bounds)


def strong_wolfe_of(
    obj_func: Callable[..., tuple[Any, Any]], x: Any, t: Any, d: Any, f: Any, g: Any, gtd: Any, c1: float = _SUFFICIENT,
    c2: float = _CURVATURE, tolerance_change: float = _SMALL, max_ls: int = 25,
) -> tuple[Any, Any, Any, int]:  # fmt: skip
    """The loss, the gradient and the step length that were found along ``d``, and how often ``obj_func(x, t, d)``,
    which gives the first two, was called.

    Raises:
        NotImplementedError: constants other than PyTorch's L-BFGS uses.
    """
    if (c1, c2, tolerance_change) != (_SUFFICIENT, _CURVATURE, _SMALL):
        raise NotImplementedError("_strong_wolfe: c1, c2 and tolerance_change are those of torch.optim.LBFGS")

    def evaluate(t: Any) -> Point:
        loss, grad = obj_func(x, t, d)
        return Point(t, loss, grad, grad.dot(d))

    found, evaluations = strong_wolfe(evaluate, Point(0, f, g, gtd), t, d.abs().max(), max_ls)
    return found.f, found.g, found.t, evaluations
