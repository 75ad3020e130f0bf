"""Distributions of transformed variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import flambeau as torch
from flambeau.distributions import constraints
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.independent import Independent
from flambeau.distributions.transforms import ComposeTransform, Transform
from flambeau.distributions.utils import _sum_rightmost

__all__ = ["TransformedDistribution"]


def _as_list(transforms: Any) -> list[Transform]:
    if isinstance(transforms, Transform):
        return [transforms]
    if not isinstance(transforms, list):
        raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
    if not all(isinstance(t, Transform) for t in transforms):
        raise ValueError("transforms must be a Transform or a list of Transforms")
    return transforms


class TransformedDistribution(Distribution):
    """The distribution of ``t_n(… t_1(x))`` for ``x`` of the base distribution.

    Raises:
        ValueError: the transforms are none, or need more dimensions than the base has.
    """

    arg_constraints: Any = {}
    _expands: ClassVar[dict[str, int]] = {}

    def __init__(self, base_distribution: Distribution, transforms: Any, validate_args: bool | None = None) -> None:
        self.transforms = _as_list(transforms)
        whole = ComposeTransform(self.transforms)
        start, end = whole.domain.event_dim, whole.codomain.event_dim
        base, shape = base_distribution, base_distribution.batch_shape + base_distribution.event_shape
        if len(shape) < start:
            raise ValueError(f"base_distribution needs to have shape with size at least {start}, but got {shape}.")
        event_dims = len(base.event_shape)
        out_shape = whole.forward_shape(shape)
        in_shape = whole.inverse_shape(out_shape)
        if shape != in_shape:
            base = base.expand(in_shape[: len(in_shape) - event_dims])
        if start > event_dims:
            base = Independent(base, start - event_dims)
        self.base_dist: Any = base
        cut = len(out_shape) - max(end, event_dims + end - start)
        super().__init__(out_shape[:cut], out_shape[cut:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """As ``Distribution.expand``; the transforms stay as they are."""
        new = super().expand(batch_shape, _instance)
        shape = torch.Size(batch_shape) + self.event_shape
        for transform in reversed(self.transforms):
            shape = transform.inverse_shape(shape)
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        new.transforms = self.transforms
        return new

    if not TYPE_CHECKING:

        @constraints.dependent_property(is_discrete=False)
        def support(self) -> Any:
            if not self.transforms:
                return self.base_dist.support
            last = self.transforms[-1].codomain
            more = len(self.event_shape) - last.event_dim
            return constraints.independent(last, more) if more > 0 else last

        @property
        def has_rsample(self) -> bool:
            return self.base_dist.has_rsample

    def _transformed(self, x: Any) -> Any:
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape: Any = torch.Size()) -> Any:
        """Samples of the base distribution, transformed."""
        with torch.no_grad():
            return self._transformed(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = torch.Size()) -> Any:
        """As ``sample``, differentiable where the base distribution is."""
        return self._transformed(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Any) -> Any:
        """The base's log density at the inverse image, less the log determinants of the Jacobians."""
        self._check(value)
        dims, total = len(self.event_shape), 0.0
        for transform in reversed(self.transforms):
            before = transform.inv(value)
            dims += transform.domain.event_dim - transform.codomain.event_dim
            slope = transform.log_abs_det_jacobian(before, value)
            total = total - _sum_rightmost(slope, dims - transform.domain.event_dim)
            value = before
        return total + _sum_rightmost(self.base_dist.log_prob(value), dims - len(self.base_dist.event_shape))

    def _oriented(self, probability: Any) -> Any:
        """A probability, or 1 less it where the transforms turn the order of numbers around."""
        sign: Any = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        return probability if isinstance(sign, int) and sign == 1 else sign * (probability - 0.5) + 0.5

    def cdf(self, value: Any) -> Any:
        """The base's, of the inverse image, for monotone transforms."""
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._oriented(self.base_dist.cdf(value))

    def icdf(self, value: Any) -> Any:
        """The image of the base's quantile, for monotone transforms."""
        return self._transformed(self.base_dist.icdf(self._oriented(value)))
