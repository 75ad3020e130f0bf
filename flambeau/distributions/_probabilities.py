"""Distributions given by probabilities or by logits."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import flambeau as torch
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits
from flambeau.ops._registry import version_of

__all__ = ["BinaryProbabilities", "CategoricalProbabilities"]


def _require_one(probs: Any, logits: Any) -> str:
    """Which of the two is given.

    Raises:
        ValueError: both are, or none.
    """
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
    return "logits" if probs is None else "probs"


class _Ahead(NamedTuple):
    """Probabilities that are recorded before somebody asks for them, and the logits that they are of."""

    probs: Any
    logits: Any
    version: int


class _Probabilities(Distribution):
    """Probabilities and logits: one is given, the other is computed when it is first read."""

    _binary: ClassVar[bool]
    _param: Any

    @lazy_property
    def logits(self) -> Any:
        """The logits."""
        return probs_to_logits(self.probs, is_binary=self._binary)

    @lazy_property
    def probs(self) -> Any:
        """The probabilities."""
        ahead = self.__dict__.pop("_ahead", None)
        if ahead is not None and ahead.logits is self.logits and ahead.version == version_of(self.logits):
            return ahead.probs
        return logits_to_probs(self.logits, is_binary=self._binary)

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter that was given."""
        return self._param.size()

    def _new(self, *args: Any, **kwargs: Any) -> Any:
        return self._param.new(*args, **kwargs)


class BinaryProbabilities(_Probabilities):
    """One probability, or its log odds, an element of the batch."""

    _binary = True
    _expands: ClassVar[dict[str, int]] = {"probs": 0, "logits": 0, "_param": 0}

    def _init_probabilities(self, probs: Any, logits: Any, validate_args: bool | None, **others: Any) -> None:
        """Sets what is given, and other parameters broadcast with it in its dtype."""
        name = _require_one(probs, logits)
        *values, self._param = broadcast_all(*others.values(), logits if probs is None else probs)
        self.__dict__.update({key: x.type_as(self._param) for key, x in zip(others, values)})
        self.__dict__[name] = self._param
        Distribution.__init__(self, self._param.size(), validate_args=validate_args)

    def _values(self, count: int, expand: bool) -> Any:
        """0 to ``count - 1`` along a new first dimension."""
        values = torch.arange(count, dtype=self._param.dtype).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values


class CategoricalProbabilities(_Probabilities):
    """Probabilities of classes, or their logits, in the last dimension."""

    _binary = False

    def _look_ahead(self) -> None:
        """Records the probabilities: the program that computes the logits, to check them, computes both."""
        with torch.enable_grad():
            probs = logits_to_probs(self.logits)
        self._ahead = _Ahead(probs, self.logits, version_of(self.logits))
