"""Half normal distributions."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from flambeau.distributions import constraints
from flambeau.distributions._half import Half
from flambeau.distributions.normal import Normal

__all__ = ["HalfNormal"]


class HalfNormal(Half):
    """``|x|`` for a Normal variable ``x`` about 0."""

    arg_constraints = {"scale": constraints.positive}
    _expands: ClassVar[dict[str, int]] = {}

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0, scale, validate_args=False), validate_args)

    @property
    def mean(self) -> Any:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Any:
        return self.scale.pow(2) * (1 - 2 / math.pi)
