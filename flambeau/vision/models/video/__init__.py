"""Classifiers of videos, under torchvision's names."""

from __future__ import annotations

from flambeau.vision.models.video.mvit import *  # noqa: F403
from flambeau.vision.models.video.resnet import *  # noqa: F403
from flambeau.vision.models.video.s3d import *  # noqa: F403
from flambeau.vision.models.video.swin_transformer import *  # noqa: F403
