"""Transforms of images, under torchvision's names."""

from __future__ import annotations

from flambeau.vision.transforms import functional, transforms, v2
from flambeau.vision.transforms.transforms import *  # noqa: F403
