"""Chi-squared distributions."""

from __future__ import annotations

from typing import Any, ClassVar

from flambeau.distributions import constraints
from flambeau.distributions.gamma import Gamma

__all__ = ["Chi2"]


class Chi2(Gamma):
    """The sum of the squares of ``df`` standard normal variables."""

    arg_constraints = {"df": constraints.positive}
    _expands: ClassVar[dict[str, int]] = Gamma._expands

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    @property
    def df(self) -> Any:
        """The degrees of freedom."""
        return self.concentration * 2
