"""Stochastic depth (Huang, Sun, Liu, Sedra, Weinberger, 2016): residual branches left out at random."""

from __future__ import annotations

import flambeau as torch

__all__ = ["StochasticDepth", "stochastic_depth"]


def stochastic_depth(input: torch.Tensor, p: float, mode: str, training: bool = True) -> torch.Tensor:
    """`input` (N, ...) with rows ("row") or the whole ("batch") zeroed with probability `p`, the rest scaled up.

    Raises:
        ValueError: `p` is no probability, or `mode` is neither.
    """
    if p < 0.0 or p > 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in ["batch", "row"]:
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode}")
    if not training or p == 0.0:
        return input
    kept = 1.0 - p
    size = [input.shape[0] if mode == "row" else 1] + [1] * (input.ndim - 1)
    noise = torch.empty(size, dtype=input.dtype, device=input.device).bernoulli_(kept)
    return input * (noise.div_(kept) if kept > 0.0 else noise)


class StochasticDepth(torch.nn.Module):
    """`stochastic_depth` as a layer; it leaves its input alone in evaluation."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The input, rows of it zeroed in training."""
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(p={self.p}, mode={self.mode})"
