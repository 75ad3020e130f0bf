"""Random chains of changes, drawing in the order of `torchvision.transforms.v2`."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.vision.transforms import autoaugment as v1
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms._kinds import COLOURLESS
from flambeau.vision.transforms.v2._joint import JointTones, has_colours, known

__all__ = ["AugMix", "AutoAugment", "RandAugment", "TrivialAugmentWide"]


class _OneImage(JointTones):
    """For samples with one image, and neither masks nor boxes."""

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Raises TypeError if there are masks, boxes or key points, no image or several."""
        other = next((x for x in flat_inputs if isinstance(x, COLOURLESS)), None)
        if other is not None:
            raise TypeError(f"Inputs of type {type(other).__name__} are not supported by {type(self).__name__}()")
        count = len(known(flat_inputs, (has_colours,)))
        if count == 0:
            raise TypeError("Found no image in the sample.")
        if count > 1:
            raise TypeError(
                "Auto augment transformations are only properly defined for a single image or video, "
                f"but found {count}."
            )

    def extra_repr(self) -> str:
        """The arguments that were given."""
        given = {name: getattr(self, name) for name in self._shown if getattr(self, name) is not None}  # type: ignore[attr-defined]
        return ", ".join(f"{name}={getattr(value, 'value', value)}" for name, value in given.items())

    @staticmethod
    def _is_negative() -> bool:
        return bool(torch.rand(()) <= 0.5)


class AutoAugment(_OneImage, v1.AutoAugment):
    """One of 25 learned pairs of changes, drawn for each sample.

    Raises:
        ValueError: there is no such policy.
    """

    def _one(self, x: Any) -> Any:
        _, height, width = F.get_dimensions(x)
        space = v1.learned_space(height, width)
        fill = self._fill_for(x)
        for name, probability, place in self.policies[int(torch.randint(len(self.policies), ()))]:
            if torch.rand(()) <= probability:
                strengths, signed = space[name]
                strength = 0.0 if strengths.ndim == 0 else float(strengths[place].item())
                if signed and self._is_negative():
                    strength *= -1.0
                x = v1._changed(x, name, strength, self.interpolation, fill)
        return x


class RandAugment(_OneImage, v1.RandAugment):
    """`num_ops` changes drawn for each sample, all of one strength."""


class TrivialAugmentWide(_OneImage, v1.TrivialAugmentWide):
    """One change of any strength, drawn for each sample."""


class AugMix(_OneImage, v1.AugMix):
    """The image mixed with several chains of changes of it; see `torchvision.transforms.AugMix`."""
