"""Fractional maximum pooling: windows of one size whose distances are drawn."""

from __future__ import annotations

from math import prod
from typing import Any

from ..dtypes import SCALAR_NAMES, int64
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._registry import call
from .adaptive_pooling import SPREAD
from .pooling import repeated


def _fractional_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    x = tys[0]
    kernel, out = attrs
    n = len(out)
    name = f"fractional_max_pool{n}d"
    if x.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got: {list(x.shape)}")
    for d in range(1, x.ndim):
        if x.shape[d] == 0:
            raise RuntimeError(
                f"{name}{'' if n == 2 else '_out'}(): Expected input to have non-zero size for non-batch dimensions, "
                f"but got{list(x.shape)} with dimension {d} being empty."
            )
    axes = ("time", "height", "width")[3 - n :]
    for size, k, o, axis in zip(x.shape[-n:], kernel, out, axes):
        if o + k - 1 > size:
            raise RuntimeError(f"{name}(): pool {axis} {k} too large relative to input {axis} {size}")
    if x.dtype.kind != "f":
        raise NotImplementedError(f"\"{name}_out_frame\" not implemented for '{SCALAR_NAMES[x.dtype]}'")
    shape = x.shape[:-n] + out
    return ty(shape, x.dtype), ty(shape, int64)


def _fraction_starts(b: Any, sample: Any, size: int, k: int, o: int) -> Any:
    """Where the windows begin, (…, o), from a random number for each channel."""
    dt = sample.dtype
    last = b.const(size - k, int64)
    if o == 1:
        return b.expand(last, (*sample.shape, 1))
    alpha = b.map("div", b.const(size - k, dt), b.const(o - 1, dt))
    u = b.unsqueeze(sample, sample.ndim)
    i = b.cast(b.iota(o), dt)
    first = b.cast(b.map("mul", u, alpha), int64)
    at = b.map("sub", b.cast(b.map("mul", b.map("add", i, u), alpha), int64), first)
    return b.where(b.map("eq", b.iota(o), b.const(o - 1, int64)), last, at)


def _fractional_lower(b: Any, attrs: Any, x: Any, samples: Any) -> tuple[Any, Any]:
    kernel, out = attrs
    n = len(out)
    lead, sizes = x.shape[:-n], x.shape[-n:]
    rows = prod(lead)
    flat = b.reshape(samples, (prod(samples.shape),))
    samples = b.reshape(
        b.slice(flat, 0, 0, rows * n), (rows, n)
    )  # a module may hold more than an unbatched input needs
    where = b.const(0, int64)
    for k, (size, points, o) in enumerate(zip(sizes, kernel, out)):
        column = k if n == 3 else n - 1 - k
        start = _fraction_starts(b, b.select(samples, 1, column), size, points, o)
        at = b.map("add", b.unsqueeze(start, 2), b.iota(points))
        shape = [rows, *[1] * (2 * n)]
        shape[1 + k], shape[1 + n + k] = o, points
        where = b.map("add", b.map("mul", where, b.const(size, int64)), b.reshape(at, shape))
    where = b.reshape(where, (rows, -1))
    seen = b.reshape(b.gather(b.reshape(x, (rows, prod(sizes))), where, 1), (*lead, *out, prod(kernel)))
    where = b.reshape(where, seen.shape)
    best = b.reduce("argmax", seen, (seen.ndim - 1,))
    index = b.reshape(b.gather(where, b.unsqueeze(best, best.ndim), best.ndim), best.shape)
    return b.reduce("max", seen, (seen.ndim - 1,)), index


def _fractional_vjp(f: Any, g: Any, _: Any) -> tuple[Any, None]:
    return call(SPREAD, (g, f.out(1)), (f.ins[0].shape, len(f.attrs[1]))), None


FRACTIONAL = {
    n: Operator(
        f"fractional_max_pool{n}d", _fractional_ty, _fractional_lower, _fractional_vjp, ((1001, (0,)),),
        f"FractionalMaxPool{n}DBackward0",
    )
    for n in (2, 3)
}  # fmt: skip


def _fractional(n: int, x: Any, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Any) -> tuple[Any, Any]:
    from .random import rand

    if output_size is None and output_ratio is None:
        raise ValueError(f"fractional_max_pool{n}d requires specifying either an output_size or an output_ratio")
    t = x._ty
    kernel = _one_or(n, kernel_size, "kernel_size")
    out = _by_ratio(n, t, output_ratio) if output_size is None else _one_or(n, output_size, "output_size")
    batch, channels = 1 if t.ndim == n + 1 else t.shape[0], t.shape[-n - 1] if t.ndim > n else 0
    if samples is None:
        samples = rand(batch, channels, n, dtype=t.dtype)
    _check_samples(samples._ty, batch, channels, n)
    return call(FRACTIONAL[n], (x, samples), (kernel, out))


def _one_or(n: int, value: Any, name: str) -> tuple[int, ...]:
    if not hasattr(value, "__index__") and len(value) != n:
        ints = "Ints" if n == 2 else "three Ints"
        raise RuntimeError(f"fractional_max_pool{n}d: {name} must either be a single Int or tuple of {ints}")
    return repeated(value, n)


def _by_ratio(n: int, t: Ty, ratio: Any) -> tuple[int, ...]:
    """The size of the output as parts of the input's."""
    if isinstance(ratio, float):
        ratio = (ratio,) * n
    if len(ratio) > n:
        raise ValueError(f"fractional_max_pool{n}d requires output_ratio to either be a single Int or tuple of Ints.")
    return tuple([int(size * ratio[k]) for k, size in enumerate(t.shape[-n:])])


def _check_samples(s: Ty, batch: int, channels: int, n: int) -> None:
    """PyTorch's checks of the random numbers that place the windows."""
    if s.ndim != 3:
        raise RuntimeError(f"Expect _random_samples to have 3 dimensions, got {s.ndim}")
    if s.shape[0] < batch:
        raise RuntimeError("Expect _random_samples.size(0) no less then input batch size.")
    if s.shape[1] != channels:
        raise RuntimeError("Expect _random_samples.size(1) equals to input channel size.")
    if s.shape[2] != n:
        raise RuntimeError(f"Expect _random_samples.size(2) equals to {n}; got {s.shape[2]}.")


def fractional_max_pool2d_with_indices(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """Maxima of windows whose places are drawn at random such that ``output_size`` of them cover the input, and
    where they are."""
    return _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d_with_indices(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """Maxima of windows whose places are drawn at random such that ``output_size`` of them cover the input, and
    where they are."""
    return _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)
