"""Optical flow as an image: the direction as a hue, the length as its strength."""

from __future__ import annotations

import numpy

import flambeau as torch

__all__ = ["flow_to_image"]

# From red round to red: how many colours a part of the wheel has, which of red, green and blue stays full in it, and
# which of them rises from none or falls to it.
_WHEEL = [(15, 0, 1, True), (6, 1, 0, False), (4, 1, 2, True), (11, 2, 1, False), (13, 2, 0, True), (6, 0, 2, False)]


def _wheel() -> torch.Tensor:
    """The colours of the wheel, float32 (55, 3), as Baker and others use them (https://doi.org/10.1007/s11263-010-0390-2)."""
    parts = []
    for count, full, moving, rises in _WHEEL:
        part = numpy.zeros((count, 3), numpy.float32)
        steps = 255 * numpy.arange(count) // count
        part[:, full], part[:, moving] = 255, steps if rises else 255 - steps
        parts.append(part)
    return torch.from_numpy(numpy.concatenate(parts))


@torch.no_grad()
def flow_to_image(flow: torch.Tensor) -> torch.Tensor:
    """The flow, float32 (2, H, W) or (N, 2, H, W), as an image, uint8 (3, H, W) or (N, 3, H, W).

    Raises:
        ValueError: another type or shape.
    """
    if flow.dtype != torch.float:
        raise ValueError(f"Flow should be of dtype torch.float, got {flow.dtype}.")
    flows = flow[None] if flow.ndim == 3 else flow
    if flows.ndim != 4 or flows.shape[1] != 2:
        raise ValueError(f"Input flow should have shape (2, H, W) or (N, 2, H, W), got {flow.shape}.")
    longest = flows.pow(2).sum(1).sqrt().max()
    image = _coloured(flows / (longest + torch.finfo(flow.dtype).eps))
    return image[0] if flow.ndim == 3 else image


def _coloured(flows: torch.Tensor) -> torch.Tensor:
    """Flows (N, 2, H, W) no longer than 1 as images."""
    wheel = _wheel()
    length = flows.pow(2).sum(1, keepdim=True).sqrt()
    angle = torch.atan2(-flows[:, 1], -flows[:, 0]) / torch.pi
    place = (angle + 1) / 2 * (len(wheel) - 1)
    before = torch.floor(place).to(torch.long)
    part = (place - before)[:, None]
    low, high = (wheel[index].permute(0, 3, 1, 2) / 255.0 for index in (before, (before + 1) % len(wheel)))
    hue = (1 - part) * low + part * high
    return torch.floor(255 * (1 - length * (1 - hue))).to(torch.uint8)
