"""Data sets of videos. flambeau has no decoder of videos: they say so when they are made."""

from __future__ import annotations

from typing import Any

from flambeau.vision.datasets.vision import VisionDataset

__all__ = ["HMDB51", "UCF101", "Kinetics"]


class _Videos(VisionDataset):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"datasets.{self.__class__.__name__}: flambeau decodes no videos. Write the frames as images (ffmpeg does) "
            "and read them with datasets.ImageFolder or datasets.DatasetFolder."
        )


class HMDB51(_Videos):
    """Films of 51 human actions. Raises `NotImplementedError`: flambeau decodes no videos."""


class Kinetics(_Videos):
    """Films of 400 to 700 human actions. Raises `NotImplementedError`: flambeau decodes no videos."""


class UCF101(_Videos):
    """Films of 101 human actions. Raises `NotImplementedError`: flambeau decodes no videos."""
