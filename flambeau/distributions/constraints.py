"""Sets of values that parameters and samples lie in: ``constraint.check(value)`` says which elements do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import flambeau as torch

__all__ = [
    "Constraint",
    "MixtureSameFamilyConstraint",
    "boolean",
    "cat",
    "corr_cholesky",
    "dependent",
    "dependent_property",
    "greater_than",
    "greater_than_eq",
    "half_open_interval",
    "independent",
    "integer_interval",
    "interval",
    "is_dependent",
    "less_than",
    "lower_cholesky",
    "lower_triangular",
    "multinomial",
    "nonnegative",
    "nonnegative_integer",
    "one_hot",
    "positive",
    "positive_definite",
    "positive_integer",
    "positive_semidefinite",
    "real",
    "real_vector",
    "simplex",
    "square",
    "stack",
    "symmetric",
    "unit_interval",
]


FEW = 4096  # elements that are checked without a program of their own
_PLAIN = (torch.float32, torch.float64, torch.int64, torch.int32)


class Constraint:
    """A set of values; ``event_dim`` is the number of last dimensions that make one value.

    ``takes_arrays``: can it check NumPy arrays too?
    """

    is_discrete: Any = False
    event_dim: Any = 0
    takes_arrays: Any = False

    def holds(self, value: Any) -> bool:
        """Are all elements in the set? The answer is needed at once, so few are looked at where they lie."""
        if self.takes_arrays and value.numel() <= FEW and value.dtype in _PLAIN:
            return self.holds_array(value._numpy())
        return bool(self.check(value).all())

    def holds_array(self, values: np.ndarray) -> bool:
        """``holds`` of an array's elements. Bounds ask for the least and the greatest alone; a NaN is both."""
        with np.errstate(all="ignore"):
            good = self.check(values.reshape(values.shape or 1))
        return bool(good.all())

    def check(self, value: Any) -> Any:
        """A bool tensor of the batch shape: is the value in the set?"""
        raise NotImplementedError

    def __repr__(self) -> str:
        bounds = [f"{name}={vars(self)[name]}" for name in ("lower_bound", "upper_bound") if name in vars(self)]
        return f"{type(self).__name__[1:]}({', '.join(bounds)})"


def _least(values: np.ndarray) -> Any:
    """The least element of an array that has one, in a fifth of the time that ``min`` takes where there are few."""
    return _alone(values, int(values.argmin()))


def _greatest(values: np.ndarray) -> Any:
    return _alone(values, int(values.argmax()))


def _alone(values: np.ndarray, place: int) -> np.ndarray:
    """An array of one element, as NumPy 1 compares a number of its own in float64 with a bound."""
    return values.reshape(-1)[place : place + 1]


class _Dependent(Constraint):
    """A set that depends on other values, which are not known here."""

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> None:
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    @property
    def is_discrete(self) -> Any:
        if self._is_discrete is NotImplemented:
            raise NotImplementedError(".is_discrete cannot be determined statically")
        return self._is_discrete

    @property
    def event_dim(self) -> Any:
        if self._event_dim is NotImplemented:
            raise NotImplementedError(".event_dim cannot be determined statically")
        return self._event_dim

    def __call__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> _Dependent:
        known = self._is_discrete if is_discrete is NotImplemented else is_discrete
        dims = self._event_dim if event_dim is NotImplemented else event_dim
        return _Dependent(is_discrete=known, event_dim=dims)

    def check(self, value: Any) -> Any:
        """Raises ValueError: the set is not known."""
        raise ValueError("Cannot determine validity of dependent constraint")

    def __repr__(self) -> str:
        return "Dependent()"


def is_dependent(constraint: Any) -> bool:
    """Is this a set that depends on other values?"""
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """A property of a distribution that gives a constraint; read from the class it is a dependent constraint."""

    def __init__(self, fn: Any = None, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> None:
        property.__init__(self, fn)
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    def __call__(self, fn: Any) -> _DependentProperty:  # type: ignore[override]
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)


def _require_constraint(base: Any) -> None:
    if not isinstance(base, Constraint):
        raise AssertionError(f"base_constraint must be a Constraint, got {type(base).__name__}")


class _Wrapper(Constraint):
    """A constraint made of another one."""

    base_constraint: Constraint

    @property
    def is_discrete(self) -> Any:
        return self.base_constraint.is_discrete


class _IndependentConstraint(_Wrapper):
    """The base constraint on every element of some more dimensions."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        _require_constraint(base_constraint)
        ndims = reinterpreted_batch_ndims
        if not isinstance(ndims, int):
            raise AssertionError(f"reinterpreted_batch_ndims must be an int, got {type(ndims).__name__}")
        if ndims < 0:
            raise AssertionError(f"reinterpreted_batch_ndims must be >= 0, got {ndims}")
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = ndims

    @property
    def event_dim(self) -> Any:
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    @property
    def takes_arrays(self) -> Any:
        return self.base_constraint.takes_arrays

    def holds_array(self, values: np.ndarray) -> bool:
        """All elements are asked, however many dimensions make one value."""
        if values.ndim < self.event_dim:
            return super().holds_array(values)
        return self.base_constraint.holds_array(values)

    def check(self, value: Any) -> Any:
        """Whether every element of the added dimensions is in the base set."""
        result = self.base_constraint.check(value)
        keep = result.ndim - self.reinterpreted_batch_ndims
        if keep < 0:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.ndim}")
        return result.reshape((*result.shape[:keep], -1)).all(-1)

    def __repr__(self) -> str:
        return f"{type(self).__name__[1:]}({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(_Wrapper):
    """The base constraint of each component on the same value."""

    def __init__(self, base_constraint: Constraint) -> None:
        _require_constraint(base_constraint)
        self.base_constraint = base_constraint

    @property
    def event_dim(self) -> Any:
        return self.base_constraint.event_dim

    def check(self, value: Any) -> Any:
        """Whether the value is in the set of every component."""
        keep = value.dim() - self.event_dim
        if keep < 0:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.dim()}")
        result = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        return result.reshape((*result.shape[:keep], -1)).all(-1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_constraint!r})"


class _Bounded(Constraint):
    """A set of numbers with a lower bound, an upper bound, or both."""

    lower_bound: Any
    upper_bound: Any

    def __init__(self, **bounds: Any) -> None:
        self.__dict__.update(bounds)
        self.takes_arrays = all(isinstance(b, (int, float)) for b in bounds.values())


def _whole(value: Any) -> Any:
    return value % 1 == 0


class _Boolean(Constraint):
    is_discrete = True
    takes_arrays = True

    def check(self, value: Any) -> Any:
        return (value == 0) | (value == 1)


class _OneHot(Constraint):
    is_discrete = True
    event_dim = 1
    takes_arrays = True

    def check(self, value: Any) -> Any:
        return boolean.check(value).all(-1) & (value.sum(-1) == 1)


class _IntegerInterval(_Bounded):
    is_discrete = True

    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        super().__init__(lower_bound=lower_bound, upper_bound=upper_bound)

    def check(self, value: Any) -> Any:
        return _whole(value) & (value >= self.lower_bound) & (value <= self.upper_bound)

    def holds_array(self, values: np.ndarray) -> bool:
        if values.dtype.kind != "i" or not values.size:
            return super().holds_array(values)
        return bool(_least(values) >= self.lower_bound and _greatest(values) <= self.upper_bound)


class _IntegerLessThan(_Bounded):
    is_discrete = True

    def __init__(self, upper_bound: Any) -> None:
        super().__init__(upper_bound=upper_bound)

    def check(self, value: Any) -> Any:
        return _whole(value) & (value <= self.upper_bound)


class _IntegerGreaterThan(_Bounded):
    is_discrete = True

    def __init__(self, lower_bound: Any) -> None:
        super().__init__(lower_bound=lower_bound)

    def check(self, value: Any) -> Any:
        return _whole(value) & (value >= self.lower_bound)


class _Real(Constraint):
    takes_arrays = True

    def check(self, value: Any) -> Any:
        return value == value

    def holds_array(self, values: np.ndarray) -> bool:
        return not values.size or bool(self.check(_least(values)))


class _GreaterThan(_Bounded):
    def __init__(self, lower_bound: Any) -> None:
        super().__init__(lower_bound=lower_bound)

    def check(self, value: Any) -> Any:
        return value > self.lower_bound

    def holds_array(self, values: np.ndarray) -> bool:
        return not values.size or bool(self.check(_least(values)))


class _GreaterThanEq(_Bounded):
    def __init__(self, lower_bound: Any) -> None:
        super().__init__(lower_bound=lower_bound)

    def check(self, value: Any) -> Any:
        return value >= self.lower_bound

    def holds_array(self, values: np.ndarray) -> bool:
        return not values.size or bool(self.check(_least(values)))


class _LessThan(_Bounded):
    def __init__(self, upper_bound: Any) -> None:
        super().__init__(upper_bound=upper_bound)

    def check(self, value: Any) -> Any:
        return value < self.upper_bound

    def holds_array(self, values: np.ndarray) -> bool:
        return not values.size or bool(self.check(_greatest(values)))


class _Interval(_Bounded):
    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        super().__init__(lower_bound=lower_bound, upper_bound=upper_bound)

    def check(self, value: Any) -> Any:
        return (value >= self.lower_bound) & (value <= self.upper_bound)

    def holds_array(self, values: np.ndarray) -> bool:
        return not values.size or bool(self.check(_least(values)) and self.check(_greatest(values)))


class _HalfOpenInterval(_Bounded):
    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        super().__init__(lower_bound=lower_bound, upper_bound=upper_bound)

    def check(self, value: Any) -> Any:
        return (value >= self.lower_bound) & (value < self.upper_bound)

    def holds_array(self, values: np.ndarray) -> bool:
        return not values.size or bool(self.check(_least(values)) and self.check(_greatest(values)))


class _Simplex(Constraint):
    event_dim = 1
    takes_arrays = True

    def check(self, value: Any) -> Any:
        return (value >= 0).all(-1) & (abs(value.sum(-1) - 1) < 1e-6)


class _Multinomial(Constraint):
    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Any) -> Any:
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)

    def __repr__(self) -> str:
        return "Multinomial()"


class _LowerTriangular(Constraint):
    event_dim = 2

    def check(self, value: Any) -> Any:
        return (value.tril() == value).flatten(-2).all(-1)


class _LowerCholesky(Constraint):
    event_dim = 2

    def check(self, value: Any) -> Any:
        return lower_triangular.check(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class _CorrCholesky(Constraint):
    event_dim = 2

    def check(self, value: Any) -> Any:
        tolerance = torch.finfo(value.dtype).eps * value.size(-1) * 10
        length = torch.linalg.norm(value.detach(), dim=-1)
        return lower_cholesky.check(value) & ((length - 1).abs() <= tolerance).all(-1)


class _Square(Constraint):
    event_dim = 2

    def check(self, value: Any) -> Any:
        return torch.full(value.shape[:-2], value.shape[-2] == value.shape[-1], dtype=torch.bool)


class _Symmetric(_Square):
    def check(self, value: Any) -> Any:
        is_square = super().check(value)
        if not is_square.all():
            return is_square
        return torch.isclose(value, value.mT, atol=1e-6).all(-2).all(-1)


class _PositiveSemidefinite(_Symmetric):
    def check(self, value: Any) -> Any:
        is_symmetric = super().check(value)
        if not is_symmetric.all():
            return is_symmetric
        return (torch.linalg.eigvalsh(value) >= 0).all(-1)


class _PositiveDefinite(_Symmetric):
    def check(self, value: Any) -> Any:
        is_symmetric = super().check(value)
        if not is_symmetric.all():
            return is_symmetric
        return torch.linalg.cholesky_ex(value).info == 0


class _Sequence(Constraint):
    """Several constraints on the parts of a value along one dimension."""

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0) -> None:
        if not all(isinstance(c, Constraint) for c in cseq):
            raise AssertionError("All elements of cseq must be Constraint instances")
        self.cseq = list(cseq)
        self.dim = dim

    @property
    def is_discrete(self) -> Any:
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self) -> Any:
        return max(c.event_dim for c in self.cseq)

    def _require_dim(self, value: Any) -> None:
        if not -value.dim() <= self.dim < value.dim():
            raise AssertionError(f"dim {self.dim} out of range for value with {value.dim()} dimensions")


class _Cat(_Sequence):
    def __init__(self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None) -> None:
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError(f"lengths ({len(self.lengths)}) must match cseq ({len(self.cseq)})")

    def check(self, value: Any) -> Any:
        self._require_dim(value)
        checks, start = [], 0
        for constraint, length in zip(self.cseq, self.lengths):
            checks.append(constraint.check(value.narrow(self.dim, start, length)))
            start += length
        return torch.cat(checks, self.dim)


class _Stack(_Sequence):
    @property
    def event_dim(self) -> Any:
        dims = max(c.event_dim for c in self.cseq)
        return dims + 1 if self.dim + dims < 0 else dims

    def check(self, value: Any) -> Any:
        self._require_dim(value)
        parts = value.unbind(self.dim)
        return torch.stack([c.check(part) for part, c in zip(parts, self.cseq)], self.dim)


dependent = _Dependent()
dependent_property = _DependentProperty
independent = _IndependentConstraint
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
corr_cholesky = _CorrCholesky()
square = _Square()
symmetric = _Symmetric()
positive_semidefinite = _PositiveSemidefinite()
positive_definite = _PositiveDefinite()
cat = _Cat
stack = _Stack
