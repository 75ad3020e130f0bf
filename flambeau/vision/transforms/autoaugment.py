"""Random chains of changes: AutoAugment, RandAugment, TrivialAugment and AugMix, drawing in torchvision's order."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

import flambeau as torch
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms._common import InterpolationMode

__all__ = ["AugMix", "AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide"]

# The published policies (Cubuk et al., 2019): pairs of a change, its probability and, where it has one, its strength.
_IMAGENET = """
    Posterize 0.4 8, Rotate 0.6 9; Solarize 0.6 5, AutoContrast 0.6; Equalize 0.8, Equalize 0.6;
    Posterize 0.6 7, Posterize 0.6 6; Equalize 0.4, Solarize 0.2 4; Equalize 0.4, Rotate 0.8 8;
    Solarize 0.6 3, Equalize 0.6; Posterize 0.8 5, Equalize 1; Rotate 0.2 3, Solarize 0.6 8;
    Equalize 0.6, Posterize 0.4 6; Rotate 0.8 8, Color 0.4 0; Rotate 0.4 9, Equalize 0.6; Equalize 0, Equalize 0.8;
    Invert 0.6, Equalize 1; Color 0.6 4, Contrast 1 8; Rotate 0.8 8, Color 1 2; Color 0.8 8, Solarize 0.8 7;
    Sharpness 0.4 7, Invert 0.6; ShearX 0.6 5, Equalize 1; Color 0.4 0, Equalize 0.6; Equalize 0.4, Solarize 0.2 4;
    Solarize 0.6 5, AutoContrast 0.6; Invert 0.6, Equalize 1; Color 0.6 4, Contrast 1 8; Equalize 0.8, Equalize 0.6;
"""
_CIFAR10 = """
    Invert 0.1, Contrast 0.2 6; Rotate 0.7 2, TranslateX 0.3 9; Sharpness 0.8 1, Sharpness 0.9 3;
    ShearY 0.5 8, TranslateY 0.7 9; AutoContrast 0.5, Equalize 0.9; ShearY 0.2 7, Posterize 0.3 7;
    Color 0.4 3, Brightness 0.6 7; Sharpness 0.3 9, Brightness 0.7 9; Equalize 0.6, Equalize 0.5;
    Contrast 0.6 7, Sharpness 0.6 5; Color 0.7 7, TranslateX 0.5 8; Equalize 0.3, AutoContrast 0.4;
    TranslateY 0.4 3, Sharpness 0.2 6; Brightness 0.9 6, Color 0.2 8; Solarize 0.5 2, Invert 0;
    Equalize 0.2, AutoContrast 0.6; Equalize 0.2, Equalize 0.6; Color 0.9 9, Equalize 0.6;
    AutoContrast 0.8, Solarize 0.2 8; Brightness 0.1 3, Color 0.7 0; Solarize 0.4 5, AutoContrast 0.9;
    TranslateY 0.9 9, TranslateY 0.7 9; AutoContrast 0.9, Solarize 0.8 3; Equalize 0.8, Invert 0.1;
    TranslateY 0.7 9, AutoContrast 0.9;
"""
_SVHN = """
    ShearX 0.9 4, Invert 0.2; ShearY 0.9 8, Invert 0.7; Equalize 0.6, Solarize 0.6 6; Invert 0.9, Equalize 0.6;
    Equalize 0.6, Rotate 0.9 3; ShearX 0.9 4, AutoContrast 0.8; ShearY 0.9 8, Invert 0.4;
    ShearY 0.9 5, Solarize 0.2 6; Invert 0.9, AutoContrast 0.8; Equalize 0.6, Rotate 0.9 3;
    ShearX 0.9 4, Solarize 0.3 3; ShearY 0.8 8, Invert 0.7; Equalize 0.9, TranslateY 0.6 6;
    Invert 0.9, Equalize 0.6; Contrast 0.3 3, Rotate 0.8 4; Invert 0.8, TranslateY 0 2;
    ShearY 0.7 6, Solarize 0.4 8; Invert 0.6, Rotate 0.8 4; ShearY 0.3 7, TranslateX 0.9 3;
    ShearX 0.1 6, Invert 0.6; Solarize 0.7 2, TranslateY 0.6 7; ShearY 0.8 4, Invert 0.8;
    ShearX 0.7 9, TranslateY 0.8 3; ShearY 0.8 5, AutoContrast 0.7; ShearX 0.7 2, Invert 0.1;
"""

# For each change its strengths, and whether it goes in both directions.
_Space = dict[str, tuple[torch.Tensor, bool]]


class AutoAugmentPolicy(Enum):
    """The data that a policy was learned on."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


_POLICIES = {"imagenet": _IMAGENET, "cifar10": _CIFAR10, "svhn": _SVHN}


def _step(text: str) -> tuple[str, float, int | None]:
    name, probability, *strength = text.split()
    return name, float(probability), int(strength[0]) if strength else None


def _changed(img: Any, name: str, strength: float, interpolation: InterpolationMode, fill: Any) -> Any:
    """The image after one change."""
    if name in ("ShearX", "ShearY"):
        shear = math.degrees(math.atan(strength))
        both = [shear, 0.0] if name == "ShearX" else [0.0, shear]
        return F.affine(img, 0.0, [0, 0], 1.0, both, interpolation, fill, center=[0, 0])
    if name in ("TranslateX", "TranslateY"):
        way = [int(strength), 0] if name == "TranslateX" else [0, int(strength)]
        return F.affine(img, 0.0, way, 1.0, [0.0, 0.0], interpolation, fill)
    if name == "Rotate":
        return F.rotate(img, strength, interpolation, fill=fill)
    return _TONES[name](img, strength)


_TONES: dict[str, Any] = {
    "Brightness": lambda img, strength: F.adjust_brightness(img, 1.0 + strength),
    "Color": lambda img, strength: F.adjust_saturation(img, 1.0 + strength),
    "Contrast": lambda img, strength: F.adjust_contrast(img, 1.0 + strength),
    "Sharpness": lambda img, strength: F.adjust_sharpness(img, 1.0 + strength),
    "Posterize": lambda img, strength: F.posterize(img, int(strength)),
    "Solarize": F.solarize,
    "AutoContrast": lambda img, strength: F.autocontrast(img),
    "Equalize": lambda img, strength: F.equalize(img),
    "Invert": lambda img, strength: F.invert(img),
    "Identity": lambda img, strength: img,
}


def _geometry(count: int, shear: float, across: float, down: float, turn: float) -> _Space:
    most = {"ShearX": shear, "ShearY": shear, "TranslateX": across, "TranslateY": down, "Rotate": turn}
    return {name: (torch.linspace(0.0, value, count), True) for name, value in most.items()}


def _colours(count: int, most: float) -> _Space:
    return {name: (torch.linspace(0.0, most, count), True) for name in ("Brightness", "Color", "Contrast", "Sharpness")}


def _tones(count: int, bits: int, levels: int) -> _Space:
    nothing = torch.tensor(0.0)
    posterize = bits - (torch.arange(count) / ((count - 1) / levels)).round().int()
    solarize = torch.linspace(255.0, 0.0, count)
    return {
        "Posterize": (posterize, False),
        "Solarize": (solarize, False),
        "AutoContrast": (nothing, False),
        "Equalize": (nothing, False),
    }


def _by_size(count: int, height: int, width: int) -> _Space:
    """The changes of AutoAugment and RandAugment."""
    part = 150.0 / 331.0
    return {**_geometry(count, 0.3, part * width, part * height, 30.0), **_colours(count, 0.9), **_tones(count, 8, 4)}


def learned_space(height: int, width: int) -> _Space:
    """The changes that the learned policies name, for an image of this size."""
    return {**_by_size(10, height, width), "Invert": (torch.tensor(0.0), False)}


class _Augmentation(torch.nn.Module):
    """What the chains share."""

    _shown: tuple[str, ...] = ()

    def __init__(self, interpolation: InterpolationMode, fill: Any) -> None:
        super().__init__()
        self.interpolation = interpolation
        self.fill = fill

    @staticmethod
    def _is_negative() -> bool:
        """Draws the direction of a change."""
        return bool(torch.randint(2, (1,)))

    def _chosen(self, space: _Space, place: Any, img: Any) -> Any:
        """The image after a change drawn from a space; `place(strengths)` says which strength."""
        name = list(space)[int(torch.randint(len(space), (1,)).item())]
        strengths, signed = space[name]
        strength = float(strengths[place(strengths)].item()) if strengths.ndim > 0 else 0.0
        if signed and self._is_negative():
            strength *= -1.0
        return _changed(img, name, strength, self.interpolation, self._fill_for(img))

    def _fill_for(self, img: Any) -> Any:
        if not isinstance(img, torch.Tensor) or self.fill is None:
            return self.fill
        if isinstance(self.fill, (int, float)):
            return [float(self.fill)] * F.get_dimensions(img)[0]
        return [float(value) for value in self.fill]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self._shown)})"


class AutoAugment(_Augmentation):
    """One of 25 learned pairs of changes, drawn for each image (uint8 tensor or Pillow).

    Raises:
        ValueError: there is no such policy.
    """

    _shown = ("policy", "fill")

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not isinstance(policy, AutoAugmentPolicy):
            raise ValueError(f"The provided policy {policy} is not recognized.")
        self.policy = policy
        pairs = [pair for pair in _POLICIES[policy.value].split(";") if pair.strip()]
        self.policies = [tuple(_step(text) for text in pair.split(",")) for pair in pairs]

    @staticmethod
    def get_params(transform_num: int) -> tuple[int, torch.Tensor, torch.Tensor]:
        """Which pair, whether each of the two happens, and in which direction."""
        number = int(torch.randint(transform_num, (1,)).item())
        return number, torch.rand((2,)), torch.randint(2, (2,))

    def forward(self, img: Any) -> Any:
        """The image, changed."""
        fill = self._fill_for(img)
        _, height, width = F.get_dimensions(img)
        number, chances, signs = self.get_params(len(self.policies))
        space = learned_space(height, width)
        for (name, probability, place), chance, sign in zip(self.policies[number], chances.tolist(), signs.tolist()):
            if chance <= probability:
                strengths, signed = space[name]
                strength = 0.0 if place is None else float(strengths[place].item())
                strength = -strength if signed and sign == 0 else strength
                img = _changed(img, name, strength, self.interpolation, fill)
        return img


class RandAugment(_Augmentation):
    """`num_ops` changes drawn for each image (uint8 tensor or Pillow), all of one strength."""

    _shown = ("num_ops", "magnitude", "num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        """The image, changed."""
        _, height, width = F.get_dimensions(img)
        space = {"Identity": (torch.tensor(0.0), False), **_by_size(self.num_magnitude_bins, height, width)}
        for _ in range(self.num_ops):
            img = self._chosen(space, lambda strengths: self.magnitude, img)
        return img


class TrivialAugmentWide(_Augmentation):
    """One change of any strength, drawn for each image (uint8 tensor or Pillow)."""

    _shown = ("num_magnitude_bins", "interpolation", "fill")

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def forward(self, img: Any) -> Any:
        """The image, changed."""
        count = self.num_magnitude_bins
        changes = {**_geometry(count, 0.99, 32.0, 32.0, 135.0), **_colours(count, 0.99), **_tones(count, 8, 6)}
        space = {"Identity": (torch.tensor(0.0), False), **changes}
        return self._chosen(space, _anywhere, img)


def _anywhere(strengths: torch.Tensor) -> int:
    return int(torch.randint(len(strengths), (1,), dtype=torch.long).item())


class AugMix(_Augmentation):
    """The image mixed with several chains of changes of it (uint8 tensor or Pillow).

    Args:
        severity: how strong changes may be, 1 to 10.
        mixture_width: chains.
        chain_depth: changes a chain; drawn from 1 to 3 unless positive.
        alpha: of the distributions that the weights come from.
        all_ops: changes of colour too.
        interpolation: of changes of geometry.
        fill: for places outside the image.

    Raises:
        ValueError: `severity` is out of its range.
    """

    _shown = ("severity", "mixture_width", "chain_depth", "alpha", "all_ops", "interpolation", "fill")

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 1 <= severity <= 10:
            raise ValueError(f"The severity must be between [1, 10]. Got {severity} instead.")
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def forward(self, orig_img: Any) -> Any:
        """The mixture."""
        img = orig_img if isinstance(orig_img, torch.Tensor) else F.pil_to_tensor(orig_img)
        batch = img.view([1] * max(4 - img.ndim, 0) + list(img.shape))
        one = [batch.size(0)] + [1] * (batch.ndim - 1)
        share = self._weights(2, one[0])
        weights = self._weights(self.mixture_width, one[0]) * share[:, 1].view([one[0], -1])
        mix = share[:, 0].view(one) * batch
        for i in range(self.mixture_width):
            mix.add_(weights[:, i].view(one) * self._chain(batch))
        mix = mix.view(list(img.shape)).to(dtype=img.dtype)
        return mix if isinstance(orig_img, torch.Tensor) else F.to_pil_image(mix)

    def _weights(self, count: int, rows: int) -> torch.Tensor:
        return torch._sample_dirichlet(torch.tensor([self.alpha] * count).expand(rows, -1))

    def _chain(self, batch: torch.Tensor) -> torch.Tensor:
        height, width = batch.shape[-2:]
        space = {**_geometry(10, 0.3, width / 3.0, height / 3.0, 30.0), **_tones(10, 4, 4)}
        if self.all_ops:
            space.update(_colours(10, 0.9))
        depth = self.chain_depth if self.chain_depth > 0 else int(torch.randint(low=1, high=4, size=(1,)).item())
        for _ in range(depth):
            batch = self._chosen(space, self._up_to_severity, batch)
        return batch

    def _up_to_severity(self, strengths: torch.Tensor) -> int:
        return int(torch.randint(self.severity, (1,), dtype=torch.long).item())
