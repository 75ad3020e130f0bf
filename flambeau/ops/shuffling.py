"""Channels against space: ``pixel_shuffle``, ``pixel_unshuffle``, ``channel_shuffle``."""

from __future__ import annotations

from operator import index
from typing import Any

from ..graph.node import Operator
from ..graph.types import Ty
from ._layouts import formatted
from ._registry import call, function

# ---- pixel_shuffle


def _shuffle_ty(tys: tuple[Ty, ...], r: int) -> Ty:
    t = tys[0]
    if t.ndim < 3:
        raise RuntimeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {t.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, c, h, w = t.shape
    if c % (r * r):
        raise RuntimeError("pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
                           f"upscale_factor, but input.size(-3)={c} is not divisible by {r * r}")  # fmt: skip
    return formatted((*lead, c // (r * r), h * r, w * r), t.dtype, t)


def _shuffle_lower(b: Any, r: int, x: Any) -> Any:
    *lead, c, h, w = x.shape
    n = len(lead)
    split = b.reshape(x, (*lead, c // (r * r), r, r, h, w))
    return b.reshape(b.permute(split, (*range(n), n, n + 3, n + 1, n + 4, n + 2)), (*lead, c // (r * r), h * r, w * r))


PIXEL_SHUFFLE = Operator("pixel_shuffle", _shuffle_ty, _shuffle_lower, lambda f, g: (pixel_unshuffle(g, f.attrs),))


@function()
def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """(…, C * r * r, H, W) as (…, C, H * r, W * r), with r = ``upscale_factor``
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pixel_shuffle.html).

    Raises:
        RuntimeError: there are fewer than three dimensions, or the channels are no multiple of r * r.
    """
    return call(PIXEL_SHUFFLE, (input,), index(upscale_factor))


# ---- pixel_unshuffle


def _unshuffle_ty(tys: tuple[Ty, ...], r: int) -> Ty:
    t = tys[0]
    if t.ndim < 3:
        raise RuntimeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {t.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = t.shape
    for name, dim, n in (("height", -2, h), ("width", -1, w)):
        if n % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({dim})={n} is "
                f"not divisible by {r}"
            )
    return formatted((*lead, c * r * r, h // r, w // r), t.dtype, t)


def _unshuffle_lower(b: Any, r: int, x: Any) -> Any:
    *lead, c, h, w = x.shape
    n = len(lead)
    split = b.reshape(x, (*lead, c, h // r, r, w // r, r))
    return b.reshape(b.permute(split, (*range(n), n, n + 2, n + 4, n + 1, n + 3)), (*lead, c * r * r, h // r, w // r))


PIXEL_UNSHUFFLE = Operator(
    "pixel_unshuffle", _unshuffle_ty, _unshuffle_lower, lambda f, g: (pixel_shuffle(g, f.attrs),)
)


@function()
def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """(…, C, H * r, W * r) as (…, C * r * r, H, W)."""
    return call(PIXEL_UNSHUFFLE, (input,), index(downscale_factor))


# ---- channel_shuffle


def _channels_ty(tys: tuple[Ty, ...], groups: int) -> Ty:
    t = tys[0]
    if t.ndim <= 2:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(t.shape)}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if t.shape[1] % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {t.shape[1]} channels and {groups} groups."
        )
    return formatted(t.shape, t.dtype, t)


def _channels_lower(b: Any, groups: int, x: Any) -> Any:
    split = b.reshape(x, (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    return b.reshape(b.transpose(split, 1, 2), x.shape)


def _channels_vjp(f: Any, g: Any) -> tuple[Any]:
    return (call(CHANNEL_SHUFFLE, (g,), f.ins[0].shape[1] // f.attrs if f.attrs else 1),)


CHANNEL_SHUFFLE = Operator("channel_shuffle", _channels_ty, _channels_lower, _channels_vjp)


@function("native_channel_shuffle")
def channel_shuffle(input: Any, groups: int) -> Any:
    """Channels (g, c) in the order (c, g): each group's channels are dealt to all."""
    return call(CHANNEL_SHUFFLE, (input,), index(groups))
