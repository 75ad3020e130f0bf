"""The focal loss (Lin, Goyal, Girshick, He, Dollár, 2017)."""

from __future__ import annotations

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.vision.ops._utils import reduced

__all__ = ["sigmoid_focal_loss"]


def sigmoid_focal_loss(
    inputs: torch.Tensor, targets: torch.Tensor, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> torch.Tensor:
    """Cross entropy of logits and targets of one shape, easy examples weighted down by (1 - p) ** gamma.

    Args:
        inputs: logits.
        targets: 0 or 1 for each.
        alpha: weight of the ones, in [0, 1]; -1 for no weights.
        gamma: how much easy examples are weighted down.
        reduction: "none", "mean" or "sum".

    Raises:
        ValueError: `alpha` or `reduction` is none of these.
    """
    if not (0 <= alpha <= 1) and alpha != -1:
        raise ValueError(f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1 for ignore.")
    p = torch.sigmoid(inputs)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = loss * ((1 - (p * targets + (1 - p) * (1 - targets))) ** gamma)
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return reduced(loss, reduction)
