"""The transforms of one image that `torchvision.transforms` has, for samples: their arguments are the same."""

from __future__ import annotations

from typing import Any

from flambeau.nn.modules._arguments import with_arguments
from flambeau.vision.transforms import transforms as v1
from flambeau.vision.transforms._random import _below, _room
from flambeau.vision.transforms.v2._joint import ImagesOnly, Joint, JointTones

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "ConvertImageDtype",
    "ElasticTransform",
    "FiveCrop",
    "GaussianBlur",
    "Grayscale",
    "LinearTransformation",
    "Normalize",
    "Pad",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomAutocontrast",
    "RandomCrop",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSolarize",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
]


class CenterCrop(Joint, v1.CenterCrop):
    """The middle of the image."""


class ElasticTransform(Joint, v1.ElasticTransform):
    """Every pixel moved at random, neighbours alike."""


class Pad(Joint, v1.Pad):
    """The image with a border."""


class RandomCrop(Joint, v1.RandomCrop):
    """A rectangle at a random place, after padding; only a direction in which there is room is drawn."""

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, height and width of a random rectangle.

        Raises:
            ValueError: the image is smaller than `output_size`.
        """
        down, across = _room(img, output_size)
        top = _below(down + 1) if down else 0
        left = _below(across + 1) if across else 0
        return top, left, *output_size


class RandomAffine(Joint, v1.RandomAffine):
    """The image turned, moved, scaled and sheared at random, its middle kept unless moved."""


class RandomHorizontalFlip(Joint, v1.RandomHorizontalFlip):
    """Left and right exchanged with probability p."""


class RandomPerspective(Joint, v1.RandomPerspective):
    """The four corners moved inwards at random with probability p, by at most `distortion_scale` of half a side."""


class RandomResizedCrop(Joint, v1.RandomResizedCrop):
    """A rectangle of random area and aspect ratio, scaled to `size`."""


class RandomRotation(Joint, v1.RandomRotation):
    """The image turned by a random angle."""


class RandomVerticalFlip(Joint, v1.RandomVerticalFlip):
    """Top and bottom exchanged with probability p."""


class Resize(Joint, v1.Resize):
    """The image scaled to (height, width), or its shorter side to one number."""


class ColorJitter(JointTones, v1.ColorJitter):
    """Brightness, contrast, saturation and hue changed at random, in random order."""


class ConvertImageDtype(JointTones, v1.ConvertImageDtype):
    """A tensor image to another dtype, full brightness kept full brightness."""


class GaussianBlur(JointTones, v1.GaussianBlur):
    """The image blurred by a Gaussian bell of random width."""


class Grayscale(JointTones, v1.Grayscale):
    """The image's luminance, in one channel or three equal ones."""


class LinearTransformation(JointTones, v1.LinearTransformation):
    """(flattened image - mean) times a square matrix: whitening."""


class Normalize(JointTones, v1.Normalize):
    """(image - mean) / std, channel by channel."""


class RandomAdjustSharpness(JointTones, v1.RandomAdjustSharpness):
    """Blurred or sharpened with probability p."""


class RandomAutocontrast(JointTones, v1.RandomAutocontrast):
    """Full contrast with probability p."""


class RandomEqualize(JointTones, v1.RandomEqualize):
    """Tones of equal frequency with probability p."""


class RandomErasing(JointTones, v1.RandomErasing):
    """A random rectangle of a tensor image overwritten, with probability p."""


class RandomGrayscale(JointTones, v1.RandomGrayscale):
    """The grey image, in as many channels as before, with probability p."""


class RandomInvert(JointTones, v1.RandomInvert):
    """The negative with probability p."""


class RandomPosterize(JointTones, v1.RandomPosterize):
    """Fewer bits a channel, with probability p."""


class RandomSolarize(JointTones, v1.RandomSolarize):
    """All values from a threshold on inverted, with probability p."""


class FiveCrop(ImagesOnly, v1.FiveCrop):
    """The four corners and the middle, as a tuple."""


class TenCrop(ImagesOnly, v1.TenCrop):
    """The four corners and the middle of the image and of its mirror image."""


for _name in __all__:
    with_arguments(globals()[_name])
