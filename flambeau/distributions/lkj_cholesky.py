"""Random correlation matrices (Lewandowski, Kurowicka, Joe, 2009)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import flambeau as torch
from flambeau.distributions import constraints
from flambeau.distributions.beta import Beta
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of ``dim`` x ``dim`` correlation matrices with density ~ ``det^(concentration - 1)``.

    Raises:
        ValueError: ``dim`` is less than 2.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    _expands: ClassVar[dict[str, int]] = {"concentration": 0, "_beta": 1}
    _keeps = ("dim",)

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        row = torch.arange(dim - 1, dtype=self.concentration.dtype)
        row = torch.cat([row.new_zeros((1,)), row])
        first = self.concentration + 0.5 * (dim - 2)
        self._beta = Beta(row + 0.5, first.unsqueeze(-1) - 0.5 * row)
        super().__init__(self.concentration.size(), torch.Size((dim, dim)), validate_args)

    def sample(self, sample_shape: Any = torch.Size()) -> Any:
        square = self._beta.sample(sample_shape).unsqueeze(-1)
        direction = torch.randn(self._extended_shape(sample_shape), dtype=square.dtype).tril(-1)
        direction = direction / direction.norm(dim=-1, keepdim=True)
        direction[..., 0, :].fill_(0.0)
        row = torch.sqrt(square) * direction
        rest = (1 - torch.sum(row**2, dim=-1)).clamp(min=torch.finfo(row.dtype).tiny)
        return row + torch.diag_embed(rest.sqrt())

    def log_prob(self, value: Any) -> Any:
        self._check(value)
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - torch.arange(2, self.dim + 1)
        n = self.dim - 1
        alpha = self.concentration + 0.5 * n
        log_volume = 0.5 * n * math.log(math.pi) + torch.mvlgamma(alpha - 0.5, n) - torch.lgamma(alpha) * n
        return torch.sum(order * diagonal.log(), dim=-1) - log_volume
