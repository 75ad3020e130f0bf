"""``F.pad``: constant, reflect, replicate and circular."""

from __future__ import annotations

from operator import index
from typing import Any

from ..dtypes import bfloat16, bool_, float16, float32, int64
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._checks import check_value
from ._layouts import formatted
from ._registry import call, function
from ._signatures import type_name
from .joining import joined


def _amounts(pad: tuple[int, ...], ndim: int) -> list[tuple[int, int]]:
    """(before, after) for each dimension; ``pad`` begins with the last."""
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


def _constant_ty(tys: tuple[Ty, ...], pad: tuple[int, ...]) -> Ty:
    t = tys[0]
    if len(pad) % 2:
        raise RuntimeError("Length of pad must be even but instead it equals " + str(len(pad)))
    if len(pad) > 2 * t.ndim:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. Pad length is "
            f"{len(pad)}while the input has {t.ndim}dimensions."
        )
    shape = []
    for d, (n, (lo, hi)) in enumerate(zip(t.shape, _amounts(pad, t.ndim))):
        size = n + lo + hi
        if size < 0 or lo < -n or hi < -n or (lo < 0 and hi < 0 and size < 0):
            if lo >= -n and size >= 0:
                shape.append(size)
                continue
            if lo < 0 and -lo > n or hi < 0 and -hi > n:
                raise RuntimeError("narrow(): length must be non-negative.")
            raise RuntimeError(
                f"The input size {n}, plus negative padding {lo} and {hi} resulted in a negative output size, "
                f"which is invalid. Check dimension {d} of your input."
            )
        shape.append(size)
    return formatted(tuple(shape), t.dtype, t)


def _constant_lower(b: Any, pad: tuple[int, ...], x: Any, value: Any) -> Any:
    amounts = _amounts(pad, x.ndim)
    if all(lo <= 0 and hi <= 0 for lo, hi in amounts):
        return b.pad(x, amounts)
    inside = b.pad(b.const(True, bool_, x.shape), amounts, False)
    return b.where(inside, b.pad(x, amounts), b.cast(value, x.dtype))


def _constant_vjp(f: Any, g: Any) -> tuple[Any, None]:
    return constant_pad_nd(g, tuple([-p for p in f.attrs]), 0), None


def _zero_lower(b: Any, pad: tuple[int, ...], x: Any) -> Any:
    return b.pad(x, _amounts(pad, x.ndim), 0)


CONSTANT = Operator("constant_pad_nd", _constant_ty, _constant_lower, _constant_vjp, grad_name="ConstantPadNdBackward0")
ZERO = Operator(
    "constant_pad_nd",
    _constant_ty,
    _zero_lower,
    lambda f, g: _constant_vjp(f, g)[:1],
    grad_name="ConstantPadNdBackward0",
)


@function()
def constant_pad_nd(input: Any, pad: Any, value: Any = 0) -> Any:
    """``value`` around ``input``; ``pad`` is (before, after) of the last dimension, then of the one before it, …"""
    pad = tuple(pad)
    if value == 0 and str(value)[0] != "-":  # -0.0 keeps its sign
        return call(ZERO, (input,), pad)
    check_value(value if isinstance(value, complex) else float(value), input._ty.dtype)
    return call(CONSTANT, (input, value), pad)


# ---- reflect, replicate, circular: each output element is some input element


def _source(b: Any, mode: str, n: int, lo: int, hi: int) -> Any:
    """Which input element each output element along a dimension is."""
    if mode == "circular":
        return _around(b, n, lo, hi)
    at = b.map("sub", b.iota(n + lo + hi), b.const(lo, int64))
    last = b.const(n - 1, int64)
    if mode == "reflect":
        return b.map("sub", last, b.map("abs", b.map("sub", last, b.map("abs", at))))
    return b.map("minimum", b.map("maximum", at, b.const(0, int64)), last)


def _around(b: Any, n: int, lo: int, hi: int) -> Any:
    """Round and round in what negative amounts leave."""
    left = n + min(lo, 0) + min(hi, 0)
    at = b.map("sub", b.iota(n + lo + hi), b.const(max(lo, 0), int64))
    return b.map("add", b.map("remainder", at, b.const(left, int64)), b.const(max(-lo, 0), int64))


def _copied_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    t, (mode, pad) = tys[0], attrs
    amounts = _amounts(pad, t.ndim)
    _CHECKS[mode](t, pad, amounts)
    shape = tuple([n + lo + hi for n, (lo, hi) in zip(t.shape, amounts)])
    return ty(shape, t.dtype) if mode == "circular" else formatted(shape, t.dtype, t)


def _check_reflect(t: Ty, pad: tuple[int, ...], amounts: list[tuple[int, int]]) -> None:
    _check_empty("reflection", t, len(pad) // 2)
    for k in range(len(pad) // 2):
        d = t.ndim - 1 - k
        lo, hi = amounts[d]
        if lo >= t.shape[d] or hi >= t.shape[d]:
            raise RuntimeError(
                f"Argument #{4 + 2 * k}: Padding size should be less than the corresponding input dimension, but "
                f"got: padding ({lo}, {hi}) at dimension {d} of input {list(t.shape)}"
            )
    _check_positive(t, pad, amounts)


def _check_empty(what: str, t: Ty, n: int) -> None:
    if 0 in t.shape[t.ndim - n :] or (t.ndim > n and 0 in t.shape[t.ndim - n - 1 :]):
        lists = f"{n + 1}D or {n + 2}D"
        raise RuntimeError(
            f"Expected {lists} (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for "
            f"input, but got: {list(t.shape)}"
        )


def _check_positive(t: Ty, pad: tuple[int, ...], amounts: list[tuple[int, int]]) -> None:
    n = len(pad) // 2
    sizes = [(t.shape[d], t.shape[d] + sum(amounts[d])) for d in range(t.ndim - n, t.ndim)]
    if any(out < 1 for _, out in sizes):
        axes = "DHW"[3 - n :]
        have = " ".join(f"{a}: {size}" for a, (size, _) in zip(axes, sizes))
        got = " ".join(f"{a}: {out}" for a, (_, out) in zip(axes, sizes))
        raise RuntimeError(f"input ({have}) is too small. Calculated output {got}")


def _check_replicate(t: Ty, pad: tuple[int, ...], amounts: list[tuple[int, int]]) -> None:
    _check_empty("replication", t, len(pad) // 2)
    _check_positive(t, pad, amounts)


def _check_circular(t: Ty, pad: tuple[int, ...], amounts: list[tuple[int, int]]) -> None:
    for n, (lo, hi) in zip(t.shape, amounts):
        if lo > n or hi > n:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if n + lo + hi < 0:
            raise RuntimeError("Negative padding value is resulting in an empty dimension")


_CHECKS = {"reflect": _check_reflect, "replicate": _check_replicate, "circular": _check_circular}


def _copied_lower(b: Any, attrs: Any, x: Any) -> Any:
    mode, pad = attrs
    for d, (lo, hi) in enumerate(_amounts(pad, x.ndim)):
        if lo >= 0 and hi >= 0 and d == x.ndim - 1 and lo + hi:
            x = joined(b, d, _parts(b, mode, x, d, lo, hi))
        elif lo or hi:
            x = b.take(x, _source(b, mode, x.shape[d], lo, hi), d)
    return x


def _parts(b: Any, mode: str, x: Any, d: int, lo: int, hi: int) -> list[Any]:
    """What lies side by side along a dimension, each in runs, where a place for each element would be looked up."""
    n = x.shape[d]
    if mode == "reflect":
        edges = [b.flip(b.slice(x, d, start, start + m), (d,)) for start, m in ((1, lo), (n - 1 - hi, hi))]
    elif mode == "circular":
        edges = [b.slice(x, d, n - lo, n), b.slice(x, d, 0, hi)]
    else:
        edges = [b.expand(b.slice(x, d, at, at + 1), (*x.shape[:d], m)) for at, m in ((0, lo), (n - 1, hi))]
    return [edges[0], x, edges[1]]


def _copied_vjp(f: Any, g: Any) -> tuple[Any]:
    return (call(COPIED_BACKWARD, (g,), (f.ins[0].shape, f.attrs)),)


def _copied_backward_lower(b: Any, attrs: Any, g: Any) -> Any:
    shape, (mode, pad) = attrs
    dt = g.dtype
    if dt in (float16, bfloat16):
        g = b.cast(g, float32)
    for d, (lo, hi) in enumerate(_amounts(pad, g.ndim)):
        if lo or hi:
            zeros = b.const(0, g.dtype, (*g.shape[:d], shape[d], *g.shape[d + 1 :]))
            g = b.index_put("add", zeros, (d,), [_source(b, mode, shape[d], lo, hi)], g)
    return b.cast(g, dt)


COPIED_BACKWARD = Operator(
    "pad_backward", lambda tys, attrs: ty(attrs[0], tys[0].dtype), _copied_backward_lower,
    lambda f, gg: (call(COPIED[_kind(f.attrs[1])], (gg,), f.attrs[1]),), grad_name="PadBackwardBackward0",
)  # fmt: skip


def _kind(attrs: Any) -> tuple[str, int]:
    return attrs[0], len(attrs[1]) // 2


def _copied_name(mode: str, n: int) -> str:
    if mode == "circular":
        return "CopySlices"
    return f"{'Reflection' if mode == 'reflect' else 'Replication'}Pad{n}DBackward0"


COPIED = {
    (mode, n): Operator(f"{mode}_pad{n}d", _copied_ty, _copied_lower, _copied_vjp, grad_name=_copied_name(mode, n))
    for mode in _CHECKS
    for n in (1, 2, 3)
}


def _copied(x: Any, pad: tuple[int, ...], mode: str) -> Any:
    n = len(pad) // 2
    if x._ty.ndim not in (n + 1, n + 2) or (mode, n) not in COPIED:
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {x._ty.ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    return call(COPIED[mode, n], (x,), (mode, pad))


def _whole(at: int, amount: Any) -> int:
    try:
        return index(amount)
    except TypeError:
        kind = type_name(amount)
        raise TypeError(
            f"pad(): argument 'pad' (position 2) must be tuple of ints, but found element of type {kind} at pos {at}"
        ) from None


def pad(input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """Pads the last dimensions; ``mode`` is 'constant', 'reflect', 'replicate' or 'circular'."""
    amounts = tuple([_whole(at, p) for at, p in enumerate(pad)])
    if len(amounts) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(amounts) > 2 * input._ty.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding "
            f"length {len(amounts)} and input of dimension {input._ty.ndim}"
        )
    if mode == "constant":
        return constant_pad_nd(input, amounts, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode in _CHECKS:
        return _copied(input, amounts, mode)
    raise NotImplementedError(f"Unrecognised padding mode {mode}")
