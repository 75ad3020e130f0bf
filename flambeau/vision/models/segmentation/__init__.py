"""Models that give every pixel of an image a class, under torchvision's names."""

from __future__ import annotations

from flambeau.vision.models.segmentation.deeplabv3 import *  # noqa: F403
from flambeau.vision.models.segmentation.fcn import *  # noqa: F403
from flambeau.vision.models.segmentation.lraspp import *  # noqa: F403
