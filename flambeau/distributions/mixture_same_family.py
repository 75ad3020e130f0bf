"""Mixtures of distributions of one kind."""

from __future__ import annotations

from typing import Any, ClassVar

import flambeau as torch
from flambeau.distributions import constraints
from flambeau.distributions.categorical import Categorical
from flambeau.distributions.constraints import MixtureSameFamilyConstraint
from flambeau.distributions.distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """Picks one of the components, the last batch dimension of ``component_distribution``, by a ``Categorical``.

    Raises:
        ValueError: the mixture is no ``Categorical``, or the shapes do not fit.
    """

    arg_constraints: Any = {}
    has_rsample = False
    _expands: ClassVar[dict[str, int]] = {}
    _keeps = ("_num_component", "_event_ndims")

    def __init__(
        self, mixture_distribution: Any, component_distribution: Any, validate_args: bool | None = None
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an  instance of torch.distributions.Categorical")
        if not isinstance(component_distribution, Distribution):
            raise ValueError("The Component distribution needs to be an instance of torch.distributions.Distribution")
        mixture, batch_shape = mixture_distribution.batch_shape, component_distribution.batch_shape[:-1]
        if any(1 not in (m, c) and m != c for m, c in zip(reversed(mixture), reversed(batch_shape))):
            raise ValueError(
                f"`mixture_distribution.batch_shape` ({mixture}) is not compatible with "
                f"`component_distribution.batch_shape`({batch_shape})"
            )
        count, have = mixture_distribution.logits.shape[-1], component_distribution.batch_shape[-1]
        if count != have:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({have})"
            )
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        self._num_component = count
        self._event_ndims = len(component_distribution.event_shape)
        super().__init__(batch_shape, component_distribution.event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """As ``Distribution.expand``."""
        new = super().expand(batch_shape, _instance)
        new._component_distribution = self._component_distribution.expand((*batch_shape, self._num_component))
        new._mixture_distribution = self._mixture_distribution.expand(torch.Size(batch_shape))
        return new

    @constraints.dependent_property
    def support(self) -> Any:
        return MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Any:
        """The distribution of the component's number."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Any:
        """The components."""
        return self._component_distribution

    def _average(self, x: Any) -> Any:
        """The mean of a quantity of the components."""
        probs = self._mixture_distribution.probs
        missing = len(self.batch_shape) - len(self._mixture_distribution.batch_shape)
        probs = probs.reshape((*probs.shape[:-1], *[1] * missing, probs.shape[-1], *[1] * self._event_ndims))
        return (probs * x).sum(dim=-1 - self._event_ndims)

    @property
    def mean(self) -> Any:
        return self._average(self._component_distribution.mean)

    @property
    def variance(self) -> Any:
        spread = (self._component_distribution.mean - self._pad(self.mean)).pow(2.0)
        return self._average(self._component_distribution.variance) + self._average(spread)

    def cdf(self, value: Any) -> Any:
        parts = self._component_distribution.cdf(self._pad(value))
        return (parts * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Any) -> Any:
        self._check(value)
        parts = self._component_distribution.log_prob(self._pad(value))
        return torch.logsumexp(parts + torch.log_softmax(self._mixture_distribution.logits, dim=-1), dim=-1)

    def sample(self, sample_shape: Any = torch.Size()) -> Any:
        with torch.no_grad():
            which = self._mixture_distribution.sample(sample_shape)
            samples = self._component_distribution.sample(sample_shape)
            dim = len(sample_shape) + len(self.batch_shape)
            index = which.reshape((*which.shape, *[1] * (self._event_ndims + 1)))
            index = index.expand((*samples.shape[:dim], 1, *self.event_shape))
            return samples.gather(dim, index).squeeze(dim)

    def _pad(self, x: Any) -> Any:
        return x.unsqueeze(-1 - self._event_ndims)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture_distribution},\n  {self._component_distribution})"
