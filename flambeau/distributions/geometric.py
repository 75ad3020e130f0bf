"""Geometric distributions."""

from __future__ import annotations

from typing import Any, ClassVar

import flambeau as torch
from flambeau.distributions import constraints
from flambeau.distributions._probabilities import BinaryProbabilities
from flambeau.distributions.utils import broadcast_all

__all__ = ["Geometric"]


class Geometric(BinaryProbabilities):
    """The number of failures before the first success, of probability ``probs``."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer
    _expands: ClassVar[dict[str, int]] = BinaryProbabilities._expands

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._init_probabilities(probs, logits, validate_args)
        if self._validate_args and probs is not None and not (self.probs > 0).all():
            shape, invalid = tuple(self.probs.shape), self.probs.detach()[~(self.probs > 0)]
            raise ValueError(
                f"Expected parameter probs ({type(self.probs).__name__} of shape {shape}) "
                f"of distribution {self!r} to be positive but found invalid values:\n{invalid}"
            )

    @property
    def mean(self) -> Any:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Any:
        return torch.zeros_like(self.probs)

    @property
    def variance(self) -> Any:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Any = torch.Size()) -> Any:
        dtype = self.probs.dtype
        with torch.no_grad():
            u = torch.empty(self._extended_shape(sample_shape), dtype=dtype).uniform_(torch.finfo(dtype).tiny, 1)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Any) -> Any:
        self._check(value)
        value, probs = broadcast_all(value, self.probs)
        failing = torch.where((probs == 1) & (value == 0), 0.0, probs)
        return value * (-failing).log1p() + self.probs.log()

    def entropy(self) -> Any:
        cross = torch.nn.functional.binary_cross_entropy_with_logits
        return cross(self.logits, self.probs, reduction="none") / self.probs
