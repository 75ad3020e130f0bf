"""Student's t distributions."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import flambeau as torch
from flambeau.distributions import constraints
from flambeau.distributions.chi2 import Chi2
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.utils import _standard_normal, broadcast_all

__all__ = ["StudentT"]


class StudentT(Distribution):
    """A standard normal variable over the root of a chi-squared one divided by ``df``, scaled and shifted."""

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True
    _expands: ClassVar[dict[str, int]] = {"df": 0, "loc": 0, "scale": 0, "_chi2": 0}

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df)
        super().__init__(self.df.size(), validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return torch.where(self.df <= 1, torch.nan, self.loc)

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        df = torch.where(self.df > 2, self.df, 3.0)
        spread = torch.where(self.df > 2, self.scale.pow(2) * df / (df - 2), torch.inf)
        return torch.where(self.df <= 1, torch.nan, spread)

    def rsample(self, sample_shape: Any = torch.Size()) -> Any:
        normal = _standard_normal(self._extended_shape(sample_shape), self.df.dtype)
        chi2 = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (normal * torch.rsqrt(chi2 / self.df))

    def log_prob(self, value: Any) -> Any:
        self._check(value)
        y, half = (value - self.loc) / self.scale, 0.5 * self.df
        log_beta = torch.lgamma(half) - torch.lgamma(0.5 * (self.df + 1.0))
        constant = self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi) + log_beta
        return -0.5 * (self.df + 1.0) * torch.log1p(y**2.0 / self.df) - constant

    def entropy(self) -> Any:
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        log_beta = torch.lgamma(half) + math.lgamma(0.5) - torch.lgamma(more)
        slope = torch.digamma(more) - torch.digamma(half)
        return self.scale.log() + more * slope + 0.5 * self.df.log() + log_beta
