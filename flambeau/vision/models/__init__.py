"""Image models, under torchvision's names: residual networks, without trained weights."""

from __future__ import annotations

from flambeau.vision.models.resnet import *  # noqa: F403
