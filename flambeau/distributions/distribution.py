"""The base class of distributions."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import flambeau as torch
from flambeau.distributions import constraints
from flambeau.distributions.utils import broadcast_all, lazy_property

__all__ = ["Distribution"]


class Distribution:
    """A batch of probability distributions of one kind.

    ``batch_shape`` is the shape of the parameters, ``event_shape`` that of one sample; a sample of shape ``s`` from the
    batch has the shape ``s + batch_shape + event_shape``.

    Subclasses name in ``_expands`` the attributes that ``expand`` broadcasts, tensors or distributions, each with the
    number of its last dimensions that are no batch dimensions; and in ``_keeps`` those that it copies.
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args = __debug__
    _expands: ClassVar[dict[str, int]] = {}
    _keeps: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check parameters and values when they are not told."""
        if value not in [True, False]:
            raise ValueError
        Distribution._validate_args = value

    def __init__(
        self, batch_shape: Any = torch.Size(), event_shape: Any = torch.Size(), validate_args: bool | None = None
    ) -> None:
        self._batch_shape = batch_shape
        self._event_shape = event_shape
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._validate_parameters()

    def _init_from(self, validate_args: bool | None, **parameters: Any) -> None:
        """Sets parameters of one element an event, broadcast together; their shape is the batch shape."""
        values = broadcast_all(*parameters.values())
        self.__dict__.update(zip(parameters, values))
        Distribution.__init__(self, values[0].size(), validate_args=validate_args)

    def _validate_parameters(self) -> None:
        try:
            known = self.arg_constraints
        except NotImplementedError:
            known = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. "
                "Please set `arg_constraints = {}` or initialize the distribution "
                "with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
        for name, constraint in known.items():
            later = name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property)
            if not later and not constraints.is_dependent(constraint):
                self._validate_parameter(name, constraint)

    def _validate_parameter(self, name: str, constraint: Any) -> None:
        value = getattr(self, name)
        if not constraint.holds(value):
            raise ValueError(
                f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) "
                f"of distribution {self!r} to satisfy the constraint {constraint!r}, "
                f"but found invalid values:\n{value}"
            )

    # ---- shapes

    @property
    def batch_shape(self) -> torch.Size:
        """The shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> torch.Size:
        """The shape of one sample."""
        return self._event_shape

    def _extended_shape(self, sample_shape: Any = torch.Size()) -> torch.Size:
        return torch.Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distributions broadcast to a larger batch; nothing is checked again, no memory is copied.

        Raises:
            NotImplementedError: the class, or a subclass with an ``__init__`` of its own, does not say how.
        """
        owner = next(c for c in type(self).__mro__ if "_expands" in c.__dict__)
        if owner is Distribution:
            raise NotImplementedError
        new = self._get_checked_instance(owner, _instance)
        batch_shape = torch.Size(batch_shape)
        for name, event_dims in self._expands.items():
            if name in self.__dict__:
                setattr(new, name, self._expanded(self.__dict__[name], batch_shape, event_dims))
        for name in self._keeps:
            setattr(new, name, self.__dict__[name])
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @staticmethod
    def _expanded(value: Any, batch_shape: Any, event_dims: int) -> Any:
        shape = value.batch_shape if isinstance(value, Distribution) else value.shape
        return value.expand(torch.Size((*batch_shape, *shape[len(shape) - event_dims :])))

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        if _instance is None and type(self).__init__ != cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom __init__ method "
                "must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    # ---- what a subclass gives

    if TYPE_CHECKING:
        arg_constraints: Any
        support: Any
        mean: Any
        mode: Any
        variance: Any
        stddev: Any

        def __getattr__(self, name: str) -> Any:
            """Parameters are set by name."""

    else:

        @property
        def arg_constraints(self) -> Any:
            """Which constraint each parameter satisfies."""
            raise NotImplementedError

        @property
        def support(self) -> Any:
            """The constraint that samples satisfy."""
            raise NotImplementedError

        @property
        def mean(self) -> Any:
            """The mean."""
            raise NotImplementedError

        @property
        def mode(self) -> Any:
            """The most probable value."""
            raise NotImplementedError(f"{self.__class__} does not implement mode")

        @property
        def variance(self) -> Any:
            """The variance."""
            raise NotImplementedError

        @property
        def stddev(self) -> Any:
            """The standard deviation."""
            return self.variance.sqrt()

    def sample(self, sample_shape: Any = torch.Size()) -> Any:
        """Random values, of shape ``sample_shape + batch_shape + event_shape``, without gradients."""
        with torch.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = torch.Size()) -> Any:
        """As ``sample``, differentiable with respect to the parameters."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Any:
        """``sample((n,))``; deprecated."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", category=FutureWarning, stacklevel=2
        )
        return self.sample(torch.Size((n,)))

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the density, or of the probability, at ``value``."""
        raise NotImplementedError

    def cdf(self, value: Any) -> Any:
        """The probability of at most ``value``."""
        raise NotImplementedError

    def icdf(self, value: Any) -> Any:
        """The quantile: the inverse of ``cdf``."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values of a discrete distribution along a new first dimension; ``expand`` repeats them over the batch."""
        raise NotImplementedError

    def entropy(self) -> Any:
        """The entropy in nats, of the batch shape."""
        raise NotImplementedError

    def perplexity(self) -> Any:
        """``exp`` of the entropy."""
        return torch.exp(self.entropy())

    # ---- checks

    def _check(self, value: Any) -> None:
        """Checks a value if this distribution checks values."""
        if self._validate_args:
            self._validate_sample(value)

    def _validate_sample(self, value: Any) -> None:
        """Raises ValueError unless a value has this distribution's shape and lies in its support."""
        if not isinstance(value, torch.Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        self._validate_shape(value)
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable "
                "sample validation. Please initialize the distribution with "
                "`validate_args=False` to turn off validation.",
                stacklevel=4,
            )
            return
        if not support.holds(value):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) "
                f"to be within the support ({support!r}) of the distribution {self!r}, "
                f"but found invalid values:\n{value}"
            )

    def _validate_shape(self, value: Any) -> None:
        have, want = value.size(), self._batch_shape + self._event_shape
        if have[len(have) - len(self._event_shape) :] != self._event_shape:
            raise ValueError(f"The right-most size of value must match event_shape: {have} vs {self._event_shape}.")
        if any(1 not in (i, j) and i != j for i, j in zip(reversed(have), reversed(want))):
            raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {have} vs {want}.")

    def __repr__(self) -> str:
        given = {name: self.__dict__[name] for name in self.arg_constraints if name in self.__dict__}
        shown = [f"{name}: {x if x.numel() == 1 else x.size()}" for name, x in given.items()]
        return f"{self.__class__.__name__}({', '.join(shown)})"
