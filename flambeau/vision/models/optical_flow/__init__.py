"""Models of how pixels move from one image to the next, under torchvision's names."""

from __future__ import annotations

from flambeau.vision.models.optical_flow.raft import *  # noqa: F403
