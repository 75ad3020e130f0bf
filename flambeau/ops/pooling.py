"""Maximum and average pooling through windows, with PyTorch's output sizes and checks."""

from __future__ import annotations

from math import prod
from typing import Any

from ..dtypes import SCALAR_NAMES, bfloat16, bool_, dtype, float16, float32, int64
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._layouts import formatted
from ._registry import call, function, int_tuple

# ---- geometry


class Pool:
    """Kernel, stride, padding, dilation and output size for each spatial dimension."""

    __slots__ = ("dilation", "kernel", "out", "padding", "size", "stride")

    def __init__(self, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, out: Any) -> None:
        self.size = size
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.out = out


def repeated(value: Any, n: int) -> tuple[int, ...]:
    """A number for each of ``n`` dimensions, where one may stand for all; other counts are for the caller to refuse."""
    given = int_tuple(value)
    return given * n if len(given) == 1 else given


def _ntuple(name: str, what: str, value: Any, n: int) -> tuple[int, ...]:
    given = int_tuple(value)
    if len(given) == 1:
        return given * n
    if len(given) != n:
        many = {1: "one int", 2: "two ints", 3: "three ints"}[n]
        if what == "stride":
            raise RuntimeError(f"{name}: stride must either be omitted, a single int, or a tuple of {many}")
        raise RuntimeError(f"{name}: {what} must either be a single int, or a tuple of {many}")
    return given


def _output_size(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """How many windows; with ``ceil_mode`` also one that hangs over the end, if it begins inside."""
    out = (n + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil_mode else 0)) // s + 1
    if ceil_mode and (out - 1) * s >= n + p:
        out -= 1
    return out


def pool_of(
    name: str, shape: tuple[int, ...], n: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Pool:
    """The arguments as the user gave them, made explicit and checked.

    Raises:
        RuntimeError: PyTorch's errors for sizes that make no sense.
    """
    k = _ntuple(name, "kernel_size", kernel, n)
    s = k if stride is None or stride == () else _ntuple(name, "stride", stride, n)
    p = _ntuple(name, "padding", padding, n)
    d = _ntuple(name, "dilation", dilation, n)
    if min(s) == 0:
        raise RuntimeError("stride should not be zero")
    size = shape[-n:]
    for pi, ki, di in zip(p, k, d):
        if pi < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {pi}")
        if pi > ((ki - 1) * di + 1) // 2:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={pi}, kernel_size={ki} "
                f"and dilation={di}"
            )
    if min(d) <= 0:
        shown = " ".join(f"dilation{c}: {v}" for c, v in zip("THW"[3 - n :], d))
        raise RuntimeError(f"dilation should be greater than zero, but got {shown}")
    out = tuple([_output_size(*a, ceil_mode) for a in zip(size, k, s, p, d)])
    if min(out) < 1:
        c = shape[-n - 1]
        sizes = ["x".join(map(str, (c, *v))) for v in (size, out)]
        raise RuntimeError(
            f"Given input size: ({sizes[0]}). Calculated output size: ({sizes[1]}). Output size is too small"
        )
    return Pool(size, k, s, p, d, out)


def _overhang(g: Pool) -> list[tuple[int, int]]:
    """Padding before and after each spatial dimension, such that all windows fit exactly."""
    return [(p, (o - 1) * s + d * (k - 1) + 1 - n - p)
            for n, k, s, p, d, o in zip(g.size, g.kernel, g.stride, g.padding, g.dilation, g.out)]  # fmt: skip


def _seen(b: Any, x: Any, g: Pool, fill: Any) -> Any:
    """The windows of ``x``: leading dimensions, positions, kernel points."""
    n = len(g.kernel)
    lead = x.ndim - n
    padded = b.pad(x, [(0, 0)] * lead + _overhang(g), fill)
    return b.window(padded, range(lead, x.ndim), g.kernel, g.stride, g.dilation)


def _spatial(t: Ty, out: tuple[int, ...], dt: Any = None) -> Ty:
    return formatted(t.shape[: -len(out)] + out, dt or t.dtype, t)


# ---- maximum


def lowest(dt: dtype) -> Any:
    """What no value of this dtype is below."""
    if dt.kind == "f":
        return float("-inf")
    return -(2 ** (8 * dt.itemsize - 1)) if dt.kind == "i" else 0


def _check_max(t: Ty, n: int) -> None:
    lists = {2: "3D or 4D", 3: "4D or 5D"}[n]
    if t.ndim not in (n + 1, n + 2):
        if n == 2:
            raise RuntimeError("non-empty 3D or 4D (batch mode) tensor expected for input")
        raise RuntimeError(f"non-empty {lists} (batch mode) tensor expected for input")
    if 0 in t.shape[-n - 1 :]:
        raise RuntimeError(
            f"Expected {lists} (batch mode) tensor with optional 0 dim batch size for input, but got:{list(t.shape)}"
        )
    if t.dtype is bool_ or t.dtype.kind == "c":
        kernel = "max_pool2d" if n == 2 else "max_pool3d"
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{SCALAR_NAMES[t.dtype]}'")


def _max_geometry(t: Any, attrs: Any) -> Pool:
    n, kernel, stride, padding, dilation, ceil_mode = attrs
    return pool_of(f"max_pool{n}d", t.shape, n, kernel, stride, padding, dilation, ceil_mode)


def _max_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    t, n = tys[0], attrs[0]
    _check_max(t, n)
    g = _max_geometry(t, attrs)
    return _spatial(t, g.out)


def _max_lower(b: Any, attrs: Any, x: Any) -> Any:
    g = _max_geometry(x, attrs)
    n = len(g.kernel)
    seen = _seen(b, x, g, lowest(x.dtype))
    return b.reduce("max", seen, range(seen.ndim - n, seen.ndim))


def _positions(b: Any, x: Any, g: Pool) -> Any:
    """For each window the index of its maximum in the flattened spatial dimensions of ``x``."""
    n = len(g.kernel)
    seen = _seen(b, x, g, lowest(x.dtype))
    flat = b.reshape(seen, (*seen.shape[:-n], prod(g.kernel)))
    rest = b.reduce("argmax", flat, (flat.ndim - 1,))
    index = b.const(0, int64)
    step = prod(g.kernel)
    for dim in range(n):
        step //= g.kernel[dim]
        offset = b.map("floor_divide", rest, b.const(step, int64))
        rest = b.map("sub", rest, b.map("mul", offset, b.const(step, int64)))
        at = b.map("add", _starts(b, g, dim), b.map("mul", offset, b.const(g.dilation[dim], int64)))
        index = b.map("add", b.map("mul", index, b.const(g.size[dim], int64)), _first_inside(b, at, g, dim))
    return index


def _starts(b: Any, g: Pool, dim: int) -> Any:
    """Where the windows begin along a dimension, shaped to broadcast over positions."""
    o = b.map("mul", b.iota(g.out[dim]), b.const(g.stride[dim], int64))
    start = b.map("sub", o, b.const(g.padding[dim], int64))
    return b.reshape(start, (-1, *[1] * (len(g.out) - 1 - dim)))


def _first_inside(b: Any, at: Any, g: Pool, dim: int) -> Any:
    """A window full of -inf counts from its first point inside the input."""
    if not g.padding[dim]:
        return at
    d = g.dilation[dim]
    start = _starts(b, g, dim)
    below = b.map("maximum", b.map("neg", start), b.const(0, int64))
    skip = b.map("floor_divide", b.map("add", below, b.const(d - 1, int64)), b.const(d, int64))
    return b.map("maximum", at, b.map("add", start, b.map("mul", skip, b.const(d, int64))))


def _max_indices_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    t = _max_ty(tys, attrs)
    return t, ty(t.shape, int64, t.strides)


def _max_indices_lower(b: Any, attrs: Any, x: Any) -> tuple[Any, Any]:
    return _max_lower(b, attrs, x), _positions(b, x, _max_geometry(x, attrs))


def _max_vjp(f: Any, g: Any) -> tuple[Any]:
    return (call(MAX_BACKWARD, (g, f.saved(0)), f.attrs),)


def _spread(b: Any, g: Any, index: Any, shape: tuple[int, ...], n: int) -> Any:
    """``g`` added into zeros of ``shape`` at flattened spatial indices."""
    lead = shape[:-n]
    flat = (prod(lead), prod(shape[-n:]))
    zeros = b.const(0, g.dtype, flat)
    rows = (flat[0], prod(g.shape[len(lead) :]))
    return b.reshape(b.scatter("add", zeros, b.reshape(index, rows), b.reshape(g, rows), 1), shape)


def _max_backward_lower(b: Any, attrs: Any, gy: Any, x: Any) -> Any:
    """Kernel point by kernel point: the gradients of windows whose maximum is there, put where the point lies."""
    g = _max_geometry(x, attrs)
    n = len(g.kernel)
    if prod(g.kernel) > 16:
        return _spread(b, gy, _positions(b, x, g), x.shape, n)
    seen = _seen(b, x, g, lowest(x.dtype))
    flat = b.reshape(seen, (*seen.shape[:-n], prod(g.kernel)))
    best = b.reduce("argmax", flat, (flat.ndim - 1,))
    total = None
    for point in range(prod(g.kernel)):
        here = b.where(b.map("eq", best, b.const(point, int64)), gy, b.const(0, gy.dtype))
        placed = _placed(b, here, g, point)
        total = placed if total is None else b.map("add", total, placed)
    return total


def _placed(b: Any, values: Any, g: Pool, point: int) -> Any:
    """One value a window, each where kernel point number ``point`` of its window lies in the input."""
    n = len(g.kernel)
    lead = values.ndim - n
    pads = []
    for dim in reversed(range(n)):
        point, k = divmod(point, g.kernel[dim])
        lo = k * g.dilation[dim] - g.padding[dim]
        pads.insert(0, (lo, g.size[dim] - lo - (g.out[dim] - 1) * g.stride[dim] - 1))
    return b.pad(values, [(0, 0)] * lead + pads, 0, (*[0] * lead, *[s - 1 for s in g.stride]))


def _max_backward_vjp(f: Any, gg: Any) -> tuple[Any, None]:
    if not f.needs(0):
        return None, None
    _, index = call(MAX_INDICES[f.attrs[0]], (f.saved(1),), f.attrs)
    n = f.attrs[0]
    lead = gg.shape[:-n]
    picked = gg.reshape(*lead, -1).gather(-1, index.reshape(*lead, -1))
    return picked.reshape(index.shape), None


MAX_BACKWARD = Operator(
    "max_pool_backward", lambda tys, attrs: ty(tys[1].shape, tys[0].dtype), _max_backward_lower, _max_backward_vjp,
    ((1, (0,)),), "MaxPool2DWithIndicesBackwardBackward0",
)  # fmt: skip


def _max_operator(n: int, indices: bool) -> Operator:
    name = f"max_pool{n}d_with_indices"
    grad_name = f"MaxPool{n}DWithIndicesBackward0"
    if indices:
        return Operator(
            name, _max_indices_ty, _max_indices_lower, lambda f, g, _: _max_vjp(f, g), ((0, (0,)),), grad_name
        )
    return Operator(name, _max_ty, _max_lower, _max_vjp, ((0, (0,)),), grad_name)


MAX = {n: _max_operator(n, False) for n in (2, 3)}
MAX_INDICES = {n: _max_operator(n, True) for n in (2, 3)}


def hashable(*values: Any) -> tuple[Any, ...]:
    """Lists made tuples."""
    return tuple([tuple(v) if type(v) is list else v for v in values])


def _max_pool(
    n: int, x: Any, indices: bool, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Any:
    attrs = (n, kernel, stride, padding, dilation, ceil_mode)
    op = (MAX_INDICES if indices else MAX)[n]
    try:
        return call(op, (x,), attrs)
    except TypeError:
        if hashable(*attrs) == attrs:
            raise
        return call(op, (x,), hashable(*attrs))


@function()
def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    """The maximum of each window of (N, C, H, W) or (C, H, W)."""
    return _max_pool(2, input, False, kernel_size, stride, padding, dilation, ceil_mode)


@function()
def max_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    """The maximum of each window of (N, C, D, H, W) or (C, D, H, W)."""
    return _max_pool(3, input, False, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d_with_indices(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    """As ``max_pool2d``, and where in each channel the maxima are (flattened)."""
    return _max_pool(2, input, True, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d_with_indices(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    """As ``max_pool3d``, and where in each channel the maxima are (flattened)."""
    return _max_pool(3, input, True, kernel_size, stride, padding, dilation, ceil_mode)


def _one(value: Any) -> int:
    return int_tuple(value)[0]


def _check_max1d(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> None:
    t = x._ty
    if t.ndim not in (2, 3) or 0 in t.shape[-2:]:
        raise RuntimeError(
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but "
            f"got:{list(t.shape)}"
        )
    k, p, d = _one(kernel), _one(padding), _one(dilation)
    s = k if stride is None or stride == () else _one(stride)
    if k <= 0:
        raise RuntimeError(f"max_pool1d() kernel_size must be greater than zero, but got {k}")
    if s <= 0:
        raise RuntimeError(f"max_pool1d() stride must be greater than zero, but got {s}")
    if p < 0:
        raise RuntimeError(f"max_pool1d() padding must be non-negative, but got {p}")
    if p > k // 2:
        raise RuntimeError(
            f"max_pool1d() padding should be at most half of kernel size, but got padding={p} and kernel_size={k}"
        )
    if d <= 0:
        raise RuntimeError(f"max_pool1d() dilation must be greater than zero, but got {d}")
    out = _output_size(t.shape[-1], k, s, p, d, ceil_mode)
    if out < 1:
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {out}")


def _pair(value: Any, first: int) -> Any:
    return (first, _one(value)) if value is not None and value != () else None


@function()
def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    """The maximum of each window of (N, C, L) or (C, L)."""
    _check_max1d(input, kernel_size, stride, padding, dilation, ceil_mode)
    return _pool1d(max_pool2d, input, kernel_size, stride, padding, dilation, ceil_mode).squeeze(-2)


@function()
def max_pool1d_with_indices(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    """As ``max_pool1d``, and where the maxima are."""
    if input._ty.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {input._ty.ndim}-dimensional tensor for argument #1 'self' (while "
            "checking arguments for max_pool1d)"
        )
    y, index = _pool1d(max_pool2d_with_indices, input, kernel_size, stride, padding, dilation, ceil_mode)
    return y.squeeze(-2), index.squeeze(-2)


def _pool1d(pool: Any, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Any:
    return pool(x.unsqueeze(-2), _pair(kernel, 1), _pair(stride, 1), _pair(padding, 0), _pair(dilation, 1), ceil_mode)


# ---- average


def _avg_geometry(t: Any, attrs: Any) -> Pool:
    n, kernel, stride, padding, ceil_mode, _, _ = attrs
    return pool_of(f"avg_pool{n}d", t.shape, n, kernel, stride, padding, 1, ceil_mode)


def _check_window(size: tuple[int, ...], kernel: Any) -> None:
    """Raises if a window is larger than the input: PyTorch's kernel for three dimensions takes none, padded or not."""
    k = _ntuple("avg_pool3d", "kernel_size", kernel, 3)
    if min(k) > 0 and any(n < ki for n, ki in zip(size, k)):
        image = " ".join(f"{c}: {v}" for c, v in zip("THW", size))
        window = " ".join(f"k{c}: {v}" for c, v in zip("THW", k))
        raise RuntimeError(f"input image ({image}) smaller than kernel size ({window})")


def _avg_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    t, n, divisor = tys[0], attrs[0], attrs[-1]
    if t.ndim < n + 1:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-t.ndim}, {t.ndim - 1}], but got {-n - 1})"
        )
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    if n == 3:
        _check_window(t.shape[-3:], attrs[1])
    g = _avg_geometry(t, attrs)
    if t.ndim not in (n + 1, n + 2):
        raise RuntimeError("non-empty 2D or 3D (batch mode) tensor expected for input")
    if 0 in t.shape[-n - 1 :]:
        lists = {2: "3D or 4D", 3: "4D or 5D"}[n]
        raise RuntimeError(
            f"Expected {lists} (batch mode) tensor with optional 0 dim batch size for input, but got:{list(t.shape)}"
        )
    if t.dtype.kind in "ub" or t.dtype.kind == "i" and t.dtype is not int64:
        raise NotImplementedError(f"\"avg_pool{n}d_out_frame\" not implemented for '{SCALAR_NAMES[t.dtype]}'")
    if n == 3:  # PyTorch's kernel knows row-major results only
        return ty(t.shape[:-n] + g.out, t.dtype)
    return _spatial(t, g.out)


def _wide(b: Any, x: Any) -> Any:
    return b.cast(x, float32) if x.dtype in (float16, bfloat16) else x


def _counts(b: Any, g: Pool, attrs: Any, dt: dtype) -> Any:
    """What each window's sum is divided by."""
    *_, ceil_mode, include_pad, divisor = attrs
    if divisor is not None:
        return b.const(divisor, dt)
    if not ceil_mode and (include_pad or not any(g.padding)):
        return b.const(prod(g.kernel), dt)
    total = b.const(1, int64)
    for dim in range(len(g.kernel)):
        total = b.map("mul", total, _extent(b, g, dim, include_pad))
    return b.cast(total, dt)


def _extent(b: Any, g: Pool, dim: int, include_pad: bool) -> Any:
    """How many points of each window count along a dimension."""
    n, p = g.size[dim], g.padding[dim]
    start = _starts(b, g, dim)
    end = b.map("minimum", b.map("add", start, b.const(g.kernel[dim], int64)), b.const(n + p, int64))
    if not include_pad:
        start = b.map("maximum", start, b.const(0, int64))
        end = b.map("minimum", end, b.const(n, int64))
    return b.map("sub", end, start)


def _divided(b: Any, x: Any, by: Any) -> Any:
    return b.map("trunc_divide" if x.dtype.kind in "ui" else "div", x, by)


def _avg_lower(b: Any, attrs: Any, x: Any) -> Any:
    g = _avg_geometry(x, attrs)
    dt, n = x.dtype, len(g.kernel)
    seen = _seen(b, _wide(b, x), g, 0)
    total = b.reduce("sum", seen, range(seen.ndim - n, seen.ndim))
    return b.cast(_divided(b, total, _counts(b, g, attrs, total.dtype)), dt)


def _avg_vjp(f: Any, g: Any) -> tuple[Any]:
    return (call(AVG_BACKWARD[f.attrs[0]], (g,), (f.ins[0].shape, f.attrs)),)


def _avg_backward_lower(b: Any, attrs: Any, gy: Any) -> Any:
    """Each input collects the gradients of the windows that hold it: windows over the spread gradient."""
    shape, attrs = attrs
    t = ty(shape, gy.dtype)
    g = _avg_geometry(t, attrs)
    n, dt = len(g.kernel), gy.dtype
    part = _wide(b, gy)
    part = _divided(b, part, _counts(b, g, attrs, part.dtype))
    pads = [(k - 1 - p, size + p - (o - 1) * s - 1)
            for size, k, s, p, o in zip(g.size, g.kernel, g.stride, g.padding, g.out)]  # fmt: skip
    lead = gy.ndim - n
    spread = b.pad(part, [(0, 0)] * lead + pads, 0, (*[0] * lead, *[s - 1 for s in g.stride]))
    seen = b.window(spread, range(lead, gy.ndim), g.kernel, (1,) * n, (1,) * n)
    return b.cast(b.reduce("sum", seen, range(seen.ndim - n, seen.ndim)), dt)


def _avg_backward(n: int) -> Operator:
    return Operator(
        f"avg_pool{n}d_backward", lambda tys, attrs: ty(attrs[0], tys[0].dtype), _avg_backward_lower,
        lambda f, gg: (call(AVG[n], (gg,), f.attrs[1]),), grad_name=f"AvgPool{n}DBackwardBackward0",
    )  # fmt: skip


AVG = {n: Operator(f"avg_pool{n}d", _avg_ty, _avg_lower, _avg_vjp, grad_name=f"AvgPool{n}DBackward0") for n in (2, 3)}
AVG_BACKWARD = {n: _avg_backward(n) for n in (2, 3)}


def _avg_pool(
    n: int, x: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, include_pad: bool, divisor: Any
) -> Any:
    attrs = (n, kernel, stride, padding, ceil_mode, include_pad, divisor)
    try:
        return call(AVG[n], (x,), attrs)
    except TypeError:
        if hashable(*attrs) == attrs:
            raise
        return call(AVG[n], (x,), hashable(*attrs))


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window of (N, C, H, W) or (C, H, W)
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool2d.html).

    Args:
        input: of floats or integers.
        kernel_size: of the window: a number, or one for each dimension.
        stride: from window to window; by default its size.
        padding: zeros added on both sides, at most half the window.
        ceil_mode: let windows begin in the input that end outside.
        count_include_pad: do these zeros count?
        divisor_override: what is divided by instead of the number of elements.

    Raises:
        RuntimeError: a size is wrong, or no window fits.
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W)
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool3d.html).

    Args:
        input: of floats or integers.
        kernel_size: of the window: a number, or one for each dimension.
        stride: from window to window; by default its size.
        padding: zeros added on both sides, at most half the window.
        ceil_mode: let windows begin in the input that end outside.
        count_include_pad: do these zeros count?
        divisor_override: what is divided by instead of the number of elements.

    Raises:
        RuntimeError: a size is wrong, or no window fits.
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@function()
def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window of (N, C, L) or (C, L)
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool1d.html).

    Args:
        input: of floats or integers.
        kernel_size: of the window: a number, or one for each dimension.
        stride: from window to window; by default its size.
        padding: zeros added on both sides, at most half the window.
        ceil_mode: let windows begin in the input that end outside.
        count_include_pad: do these zeros count?

    Raises:
        RuntimeError: a size is wrong, or no window fits.
    """
    if input._ty.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {input._ty.ndim}-dimensional tensor for argument #1 'self' "
            "(while checking arguments for avg_pool1d)"
        )
    kernel, step = _pair(kernel_size, 1), _pair(stride, 1)
    return avg_pool2d(input.unsqueeze(-2), kernel, step, _pair(padding, 0), ceil_mode, count_include_pad).squeeze(-2)
