"""``F.unfold`` and ``F.fold``: sliding blocks as columns, and columns added back into an image."""

from __future__ import annotations

from math import prod
from typing import Any

from ..dtypes import bfloat16, float16, float32
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._checks import not_implemented
from ._registry import call, int_tuple, wrap_dim
from .pooling import Pool, _overhang, _placed


def _pair(name: str, value: Any) -> tuple[int, int]:
    given = int_tuple(value)
    if len(given) not in (1, 2):
        raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(given)}")
    return given * 2 if len(given) == 1 else given  # type: ignore[return-value]


def _geometry(size: tuple[int, ...], attrs: Any) -> Pool:
    """Blocks over an image of this size; ``attrs = (kernel, dilation, padding, stride)``."""
    kernel, dilation, padding, stride = attrs
    out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in zip(size, kernel, dilation, padding, stride)]
    return Pool(size, kernel, stride, padding, dilation, tuple(out))


def _check_blocks(attrs: Any) -> None:
    kernel, dilation, padding, stride = attrs
    for name, pair, low in (
        ("kernel size", kernel, 1),
        ("dilation", dilation, 1),
        ("padding", padding, 0),
        ("stride", stride, 1),
    ):
        if min(pair) < low:
            if name == "padding":
                raise RuntimeError(
                    f"padding should be non-negative, but got pad_height: {pair[0]} pad_width: {pair[1]}"
                )
            key = name.split(" ")[0]
            raise RuntimeError(
                f"{name} should be greater than zero, but got {key}_height: {pair[0]} {key}_width: {pair[1]}"
            )


# ---- unfold


def _unfold_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    t = tys[0]
    _check_blocks(attrs)
    if t.ndim not in (3, 4) or 0 in t.shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for "
            f"input, but got: {list(t.shape)}"
        )
    g = _geometry(t.shape[-2:], attrs)
    if min(g.out) < 1:
        kernel, dilation, padding = [f"({p[0]}, {p[1]})" for p in attrs[:3]]
        raise RuntimeError(
            f"Given input with spatial size ({t.shape[-2]}, {t.shape[-1]}), kernel_size={kernel}, "
            f"dilation={dilation}, padding={padding}, calculated shape of the array of sliding blocks as "
            f"({g.out[0]}, {g.out[1]}), but its components must be at least one."
        )
    if t.dtype.kind not in "fcb":
        raise not_implemented("im2col_out_cpu", t.dtype)
    return ty((*t.shape[:-3], t.shape[-3] * prod(g.kernel), prod(g.out)), t.dtype)


def _unfold_lower(b: Any, attrs: Any, x: Any) -> Any:
    g = _geometry(x.shape[-2:], attrs)
    lead = x.ndim - 2
    padded = b.pad(x, [(0, 0)] * lead + _overhang(g), 0)
    seen = b.window(padded, (lead, lead + 1), g.kernel, g.stride, g.dilation)
    seen = b.permute(seen, (*range(lead), lead + 2, lead + 3, lead, lead + 1))
    return b.reshape(seen, (*x.shape[:-3], x.shape[-3] * prod(g.kernel), prod(g.out)))


def _unfold_vjp(f: Any, g: Any) -> tuple[Any]:
    return (call(FOLD, (g,), (f.ins[0].shape[-2:], f.attrs)),)


UNFOLD = Operator("im2col", _unfold_ty, _unfold_lower, _unfold_vjp, grad_name="Im2ColBackward0")


# ---- fold


def _fold_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    t, (size, blocks) = tys[0], attrs
    _check_blocks(blocks)
    kernel, dilation, padding, stride = blocks
    if t.ndim not in (2, 3) or 0 in t.shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
            f"input, but got: {list(t.shape)}"
        )
    if t.shape[-2] % prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={t.shape[-2]} and kernel_size=({kernel[0]}, {kernel[1]})."
        )
    g = _geometry(size, blocks)
    wrong = ""
    if prod(g.out) != t.shape[-1]:
        wrong = (
            "expected size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{g.out[0]} * {g.out[1]} = {prod(g.out)}, but got input.size(2)={t.shape[-1]}."
        )
    elif min(g.out) < 1:
        wrong = (
            f"calculated shape of the array of sliding blocks as ({g.out[0]}, {g.out[1]}), "
            "which is too small (non-positive)"
        )
    if wrong:
        shown = [f"({p[0]}, {p[1]})" for p in (size, kernel, dilation, padding, stride)]
        raise RuntimeError(
            f"Given output_size={shown[0]}, kernel_size={shown[1]}, dilation={shown[2]}, padding={shown[3]}, "
            f"stride={shown[4]}, {wrong}"
        )
    if t.dtype.kind not in "fcb":
        raise not_implemented("col2im_out_cpu", t.dtype)
    return ty((*t.shape[:-2], t.shape[-2] // prod(kernel), *size), t.dtype)


def _fold_lower(b: Any, attrs: Any, x: Any) -> Any:
    size, blocks = attrs
    g = _geometry(size, blocks)
    dt = x.dtype
    if dt in (float16, bfloat16):
        x = b.cast(x, float32)
    points = prod(g.kernel)
    lead = x.shape[:-2]
    columns = b.reshape(x, (*lead, x.shape[-2] // points, points, *g.out))
    if g.stride == g.kernel and g.dilation == (1, 1) and g.padding == (0, 0):
        return b.cast(_tiles(b, columns, g), dt)
    total = None
    for point in range(points):
        placed = _placed(b, b.select(columns, len(lead) + 1, point), g, point)
        total = placed if total is None else b.map("logical_or" if dt.kind == "b" else "add", total, placed)
    return b.cast(total, dt)


def _tiles(b: Any, columns: Any, g: Pool) -> Any:
    """Blocks that do not overlap, side by side."""
    lead = columns.shape[:-3]
    n = len(lead)
    split = b.reshape(columns, (*lead, *g.kernel, *g.out))
    tiled = b.permute(split, (*range(n), n + 2, n, n + 3, n + 1))
    image = b.reshape(tiled, (*lead, g.out[0] * g.kernel[0], g.out[1] * g.kernel[1]))
    return b.pad(image, [(0, 0)] * n + [(0, size - o * k) for size, o, k in zip(g.size, g.out, g.kernel)], 0)


def _fold_vjp(f: Any, g: Any) -> tuple[Any]:
    return (call(UNFOLD, (g,), f.attrs[1]),)


FOLD = Operator("col2im", _fold_ty, _fold_lower, _fold_vjp, grad_name="Col2ImBackward0")


# ---- public functions


def _blocks(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> tuple[tuple[int, int], ...]:
    return (
        _pair("kernel_size", kernel_size),
        _pair("dilation", dilation),
        _pair("padding", padding),
        _pair("stride", stride),
    )


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The sliding blocks of (N, C, H, W) as the columns of (N, C * points, blocks)."""
    if input._ty.ndim == 2:
        wrap_dim(2, 2)
    return call(UNFOLD, (input,), _blocks(kernel_size, dilation, padding, stride))


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The columns of (N, C * points, blocks) added into an image of ``output_size``."""
    return call(FOLD, (input,), (_pair("output_size", output_size), _blocks(kernel_size, dilation, padding, stride)))
