"""Transforms that are about videos."""

from __future__ import annotations

from typing import Any, ClassVar

import flambeau as torch
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.transforms.v2._joint import Transform

__all__ = ["UniformTemporalSubsample"]


class UniformTemporalSubsample(Transform):
    """So many frames of a video (..., T, C, H, W), at equal distances; some again and again where there are fewer."""

    _transformed_types: ClassVar[tuple[Any, ...]] = (torch.Tensor,)

    def __init__(self, num_samples: int) -> None:
        super().__init__()
        self.num_samples = num_samples

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The frames."""
        return F.uniform_temporal_subsample(inpt, self.num_samples)
