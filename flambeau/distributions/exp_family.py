"""Exponential families."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.distributions.distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Distributions with density ``exp(<t(x), theta> - F(theta) + k(x))``.

    Entropy and divergence follow from the natural parameters ``theta`` and the log normaliser ``F``
    by differentiation (Nielsen and Nock, Entropies and cross-entropies of exponential families, 2010).
    """

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Any:
        raise NotImplementedError

    _mean_carrier_measure: Any = None

    def entropy(self) -> Any:
        """``F - <theta, grad F> - E[k]``."""
        if self._mean_carrier_measure is None:
            raise NotImplementedError
        total = -self._mean_carrier_measure
        params = [p.detach().requires_grad_() for p in self._natural_params]
        normaliser = self._log_normalizer(*params)
        slopes = torch.autograd.grad(normaliser.sum(), params, create_graph=True)
        total = total + normaliser
        for param, slope in zip(params, slopes):
            total = total - (param * slope).reshape((*self._batch_shape, -1)).sum(-1)
        return total
