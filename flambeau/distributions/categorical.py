"""Categorical distributions."""

from __future__ import annotations

from typing import Any, ClassVar

import flambeau as torch
from flambeau.distributions import constraints
from flambeau.distributions._probabilities import CategoricalProbabilities

__all__ = ["Categorical"]


class Categorical(CategoricalProbabilities):
    """A class number, with the probabilities ``probs`` (normalised here) or ``logits`` in the last dimension."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _expands: ClassVar[dict[str, int]] = {"probs": 1, "logits": 1, "_param": 1}
    _keeps = ("_num_events",)

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        name, given = ("logits", logits) if probs is None else ("probs", probs)
        if given.dim() < 1:
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if probs is None:
            self.logits = self._param = logits - logits.logsumexp(dim=-1, keepdim=True)
        else:
            self.probs = self._param = probs / probs.sum(-1, keepdim=True)
        self._num_events = self._param.size()[-1]
        if probs is None and (self._validate_args if validate_args is None else validate_args):
            self._look_ahead()
        super().__init__(self._param.size()[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Any:
        return torch.full(self._extended_shape(), torch.nan, dtype=self.probs.dtype)

    @property
    def mode(self) -> Any:
        return self.probs.argmax(dim=-1)

    @property
    def variance(self) -> Any:
        return self.mean

    def sample(self, sample_shape: Any = torch.Size()) -> Any:
        sample_shape, rows = torch.Size(sample_shape), self.probs
        if rows.dim() != 2:
            rows = rows.reshape(-1, self._num_events)
        drawn = torch.multinomial(rows, sample_shape.numel(), True)
        if sample_shape:
            return drawn.T.reshape(self._extended_shape(sample_shape))
        return drawn.view(self._batch_shape)

    def log_prob(self, value: Any) -> Any:
        self._check(value)
        at, log_probs = value.long().unsqueeze(-1), self.logits
        if value.shape != self._batch_shape:
            at, log_probs = torch.broadcast_tensors(at, log_probs)
            at = at[..., :1]
        return log_probs.gather(-1, at).squeeze(-1)

    def entropy(self) -> Any:
        finite = self.logits.clamp(min=torch.finfo(self.logits.dtype).min)
        return -(finite * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Any:
        values = torch.arange(self._num_events).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values
