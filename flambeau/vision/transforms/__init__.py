"""Transforms of images, under torchvision's names."""

from __future__ import annotations

from flambeau.vision.transforms import autoaugment, functional, transforms, v2
from flambeau.vision.transforms.autoaugment import *  # noqa: F403
from flambeau.vision.transforms.transforms import *  # noqa: F403
