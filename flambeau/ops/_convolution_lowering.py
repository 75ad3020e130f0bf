"""Convolutions and their gradients as contractions: what ``ops/convolution.py`` gives the compiler.

The gradient of an input under windows that step is a convolution for each phase of the steps, so that nothing is
multiplied with the zeros between elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import gcd, prod
from typing import Any

from .._records import Record


class Geometry:
    """Where the kernel goes: for each spatial dimension its stride, zeros (before, after) and dilation; the groups."""

    __slots__ = ("dilation", "groups", "pads", "stride")

    def __init__(self, stride: Any, pads: Any, dilation: Any, groups: int) -> None:
        self.stride = stride
        self.pads = pads
        self.dilation = dilation
        self.groups = groups

    def key(self) -> tuple[Any, ...]:
        """As attributes of an operator."""
        return self.stride, self.pads, self.dilation, self.groups


MANY = 16  # phases: more pieces are not interleaved when their sum is compiled


def _letters(n: int) -> tuple[str, str]:
    """Labels of output positions and of kernel points."""
    return "xyz"[:n], "uvw"[:n]


def _grouped(b: Any, a: Any, dim: int, groups: int) -> Any:
    """Dimension ``dim`` split into groups and channels of a group."""
    return b.reshape(a, (*a.shape[:dim], groups, a.shape[dim] // groups, *a.shape[dim + 1 :]))


def _windows(b: Any, x: Any, kernel: tuple[int, ...], out: tuple[int, ...], g: Geometry) -> Any:
    """``x`` padded (or cropped) and seen through the kernel: batch, group, channel, positions, kernel points."""
    pads = [(0, 0), (0, 0)]
    for n, (lo, _), k, o, s, d in zip(x.shape[2:], g.pads, kernel, out, g.stride, g.dilation):
        pads.append((lo, s * (o - 1) + d * (k - 1) + 1 - n - lo))
    n = len(kernel)
    return b.window(_grouped(b, b.pad(x, pads), 1, g.groups), range(3, 3 + n), kernel, g.stride, g.dilation)


def lower_forward(b: Any, x: Any, w: Any, out: tuple[int, ...], g: Geometry) -> Any:
    """The output, of spatial size ``out``."""
    n = len(out)
    o, k = _letters(n)
    seen = _windows(b, x, w.shape[2:], out, g)
    y = b.contract(f"ngc{o}{k},gfc{k}->ngf{o}", seen, _grouped(b, w, 0, g.groups))
    return b.reshape(y, (x.shape[0], w.shape[0], *out))


def lower_weight(b: Any, x: Any, gy: Any, kernel: tuple[int, ...], g: Geometry) -> Any:
    """The weight's gradient, of spatial size ``kernel``."""
    n = len(kernel)
    o, k = _letters(n)
    seen = _windows(b, x, kernel, gy.shape[2:], g)
    gw = b.contract(f"ngc{o}{k},ngf{o}->gfc{k}", seen, _grouped(b, gy, 1, g.groups))
    return b.reshape(gw, (gy.shape[1], x.shape[1] // g.groups, *kernel))


def lower_input(b: Any, gy: Any, w: Any, size: tuple[int, ...], g: Geometry) -> Any:
    """The input's gradient, of spatial size ``size``: where windows step, phase by phase, each a convolution."""
    if {*gy.shape[2:]} == {1} and {*g.dilation} == {1}:
        return _input_of_one(b, gy, w, size, g)
    if max(g.stride) == 1 or 0 in (*size, *gy.shape):
        return _input_phase(b, gy, w, size, g)
    rows = [_phases(*along) for along in zip(size, g.pads, w.shape[2:], g.stride, g.dilation)]
    blocks = _blocks(w.shape[2:], g)
    if prod(map(len, rows)) > MANY and max(blocks) > 1:
        return _input_by_blocks(b, gy, w, size, g, blocks)
    shape, total = (gy.shape[0], w.shape[1] * g.groups, *size), None
    for phases in product(*rows):
        one = _spread(b, _input_phase(b, gy, _picked(b, w, phases), *_geometry_of(phases, g)), phases, shape, g.stride)
        total = one if total is None else b.map("add", total, one)
    return b.const(0, gy.dtype, shape) if total is None else total


def _blocks(kernel: tuple[int, ...], g: Geometry) -> list[int]:
    """How many neighbours along each dimension are under the same windows, each at a point of the kernel of its own."""
    return [gcd(k, s) if d == 1 else 1 for k, s, d in zip(kernel, g.stride, g.dilation)]


def _input_by_blocks(b: Any, gy: Any, w: Any, size: tuple[int, ...], g: Geometry, blocks: list[int]) -> Any:
    """The input's gradient where there would be many phases: neighbours as channels, so windows step over blocks."""
    n = len(size)
    kernel = [k // r for k, r in zip(w.shape[2:], blocks)]
    stride = tuple([s // r for s, r in zip(g.stride, blocks)])
    split = b.reshape(w, (*w.shape[:2], *[k for pair in zip(kernel, blocks) for k in pair]))
    inner = b.permute(split, (0, 1, *range(3, 3 + 2 * n, 2), *range(2, 2 + 2 * n, 2)))
    inner = b.reshape(inner, (w.shape[0], w.shape[1] * prod(blocks), *kernel))
    count = tuple([(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(gy.shape[2:], stride, g.dilation, kernel)])
    found = lower_input(b, gy, inner, count, Geometry(stride, ((0, 0),) * n, g.dilation, g.groups))
    found = b.reshape(found, (gy.shape[0], w.shape[1] * g.groups, *blocks, *count))
    found = b.permute(found, (0, 1, *[d for k in range(n) for d in (2 + n + k, 2 + k)]))
    whole = [c * r for c, r in zip(count, blocks)]
    found = b.reshape(found, (gy.shape[0], w.shape[1] * g.groups, *whole))
    ends = [(-lo, k + lo - have) for k, (lo, _), have in zip(size, g.pads, whole)]
    return b.pad(found, [(0, 0), (0, 0), *ends])


def _input_of_one(b: Any, gy: Any, w: Any, size: tuple[int, ...], g: Geometry) -> Any:
    """The gradient of the input of one window: as a convolution it would be products with zeros, mostly."""
    _, k = _letters(len(size))
    one = b.reshape(gy, (gy.shape[0], g.groups, gy.shape[1] // g.groups))
    under = b.contract(f"ngf,gfc{k}->ngc{k}", one, _grouped(b, w, 0, g.groups))
    whole = b.reshape(under, (gy.shape[0], w.shape[1] * g.groups, *w.shape[2:]))
    ends = [n + lo - kernel for n, (lo, _), kernel in zip(size, g.pads, w.shape[2:])]
    return b.pad(whole, [(0, 0), (0, 0), *[(-lo, end) for (lo, _), end in zip(g.pads, ends)]])


class _Phase(Record):
    """Every ``stride``-th place of an input from ``first`` on: ``count`` of them, that points of the kernel reach.

    ``points``: the first such point and how far they lie apart; the first place reads gradient ``reach`` at that point,
    and ``step`` less at each next one.
    """

    first: int
    count: int
    points: tuple[int, int]
    reach: int
    step: int


def _phases(size: int, pads: tuple[int, int], kernel: int, stride: int, dilation: int) -> list[_Phase]:
    """The phases of one dimension that some point of the kernel reaches."""
    common, found = gcd(stride, dilation), []
    for r in range(min(stride, size)):
        point = next((k for k in range(kernel) if (r + pads[0] - k * dilation) % stride == 0), None)
        if point is not None:
            reach = (r + pads[0] - point * dilation) // stride
            found.append(_Phase(r, -(-size // stride), (point, stride // common), reach, dilation // common))
    return found


def _picked(b: Any, w: Any, phases: Sequence[_Phase]) -> Any:
    """The points of the kernel that reach these phases."""
    for d, one in enumerate(phases, 2):
        first, step = one.points
        w = b.slice(w, d, first, w.shape[d], step) if w.shape[d] > 1 else w
    return w


def _geometry_of(phases: Sequence[_Phase], g: Geometry) -> tuple[tuple[int, ...], Geometry]:
    """The size of a phase, and the convolution whose input gradient it is."""
    pads, steps = tuple([(one.reach, 0) for one in phases]), tuple([one.step for one in phases])
    return tuple([one.count for one in phases]), Geometry((1,) * len(phases), pads, steps, g.groups)


def _spread(b: Any, a: Any, phases: Sequence[_Phase], shape: tuple[int, ...], stride: tuple[int, ...]) -> Any:
    """A phase at its places, zeros at the others."""
    ends = [n - one.first - (one.count - 1) * s - 1 for n, one, s in zip(shape[2:], phases, stride)]
    pads = [(0, 0), (0, 0), *[(one.first, end) for one, end in zip(phases, ends)]]
    return b.pad(a, pads, 0, (0, 0, *[s - 1 for s in stride]))


def _input_phase(b: Any, gy: Any, w: Any, size: tuple[int, ...], g: Geometry) -> Any:
    """The gradient of the input of a convolution whose windows do not step: one of the flipped kernel."""
    n = len(size)
    o, k = _letters(n)
    pads = [(0, 0), (0, 0)]
    for i, (lo, _), kernel, out, d in zip(size, g.pads, w.shape[2:], gy.shape[2:], g.dilation):
        pads.append((d * (kernel - 1) - lo, i + lo - out))
    seen = b.window(_grouped(b, b.pad(gy, pads), 1, g.groups), range(3, 3 + n), w.shape[2:], (1,) * n, g.dilation)
    flipped = _grouped(b, b.flip(w, range(2, 2 + n)), 0, g.groups)
    gx = b.contract(f"ngf{o}{k},gfc{k}->ngc{o}", seen, flipped)
    return b.reshape(gx, (gy.shape[0], w.shape[1] * g.groups, *size))
