"""``F.pad``: constant, reflect, replicate and circular."""

from __future__ import annotations

from typing import Any

from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._registry import call, function


def _amounts(pad: tuple[int, ...], ndim: int) -> list[tuple[int, int]]:
    """(before, after) for each dimension; ``pad`` begins with the last."""
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


def _constant_ty(tys: tuple[Ty, ...], pad: tuple[int, ...]) -> Ty:
    t = tys[0]
    if len(pad) % 2:
        raise RuntimeError("Length of pad must be even but instead it equals " + str(len(pad)))
    if len(pad) > 2 * t.ndim:
        raise RuntimeError("Length of pad should be no more than twice the number of dimensions of the input. Pad length is "
                           f"{len(pad)}while the input has {t.ndim}dimensions.")  # fmt: skip
    shape = []
    for d, (n, (lo, hi)) in enumerate(zip(t.shape, _amounts(pad, t.ndim))):
        size = n + lo + hi
        if size < 0 or lo < -n or hi < -n or (lo < 0 and hi < 0 and size < 0):
            if lo >= -n and size >= 0:
                shape.append(size)
                continue
            if lo < 0 and -lo > n or hi < 0 and -hi > n:
                raise RuntimeError("narrow(): length must be non-negative.")
            raise RuntimeError(f"The input size {n}, plus negative padding {lo} and {hi} resulted in a negative output size, "
                               f"which is invalid. Check dimension {d} of your input.")  # fmt: skip
        shape.append(size)
    return ty(tuple(shape), t.dtype)


def _constant_lower(b: Any, pad: tuple[int, ...], x: Any, value: Any) -> Any:
    amounts = _amounts(pad, x.ndim)
    if all(lo <= 0 and hi <= 0 for lo, hi in amounts):
        return b.pad(x, amounts)
    inside = b.pad(b.const(True, _BOOL, x.shape), amounts, False)
    return b.where(inside, b.pad(x, amounts), b.cast(value, x.dtype))


def _constant_vjp(f: Any, g: Any) -> tuple[Any, None]:
    return constant_pad_nd(g, tuple([-p for p in f.attrs]), 0), None


def _zero_lower(b: Any, pad: tuple[int, ...], x: Any) -> Any:
    return b.pad(x, _amounts(pad, x.ndim), 0)


from ..dtypes import bool_ as _BOOL  # noqa: E402

CONSTANT = Operator("constant_pad_nd", _constant_ty, _constant_lower, _constant_vjp, grad_name="ConstantPadNdBackward0")
ZERO = Operator("constant_pad_nd", _constant_ty, _zero_lower, lambda f, g: _constant_vjp(f, g)[:1], grad_name="ConstantPadNdBackward0")


@function()
def constant_pad_nd(input: Any, pad: Any, value: Any = 0) -> Any:
    """``value`` around ``input``; ``pad`` is (before, after) of the last dimension, then of the one before it, …"""
    pad = tuple(pad)
    if value == 0:
        return call(ZERO, (input,), pad)
    return call(CONSTANT, (input, value), pad)


def pad(input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """Pads the last dimensions; ``mode`` is 'constant', 'reflect', 'replicate' or 'circular'."""
    amounts = tuple([int(p) for p in pad])
    if len(amounts) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(amounts) > 2 * input._ty.ndim:
        raise RuntimeError("Padding length should be less than or equal to two times the input dimension but got padding "
                           f"length {len(amounts)} and input of dimension {input._ty.ndim}")  # fmt: skip
    if mode == "constant":
        return constant_pad_nd(input, amounts, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    raise NotImplementedError(f"Unrecognised padding mode {mode}")
