"""torchvision's data sets, transforms, image grids and residual networks, over flambeau.

Images come from Pillow, which is imported when a function needs it: `pip install 'flambeau[images]'`.
"""

from __future__ import annotations

from flambeau.vision import datasets, io, models, ops, transforms, tv_tensors, utils

__all__ = [
    "__version__",
    "datasets",
    "disable_beta_transforms_warning",
    "get_image_backend",
    "get_video_backend",
    "io",
    "models",
    "ops",
    "set_image_backend",
    "set_video_backend",
    "transforms",
    "tv_tensors",
    "utils",
]

__version__ = "0.28.0+flambeau"


def get_image_backend() -> str:
    """The package that loads images: always `"PIL"`."""
    return "PIL"


def set_image_backend(backend: str) -> None:
    """Choose the package that loads images.

    Raises:
        ValueError: any but `"PIL"`.
    """
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}'. Options are 'PIL'")


def get_video_backend() -> str:
    """The package that reads videos in PyTorch: always `"pyav"`. Nothing reads any here."""
    return "pyav"


def set_video_backend(backend: str) -> None:
    """Does nothing, as in torchvision."""


def disable_beta_transforms_warning() -> None:
    """Does nothing, as in torchvision: there is no such warning."""


def _is_tracing() -> None:
    """None: nothing is traced (https://github.com/facebookresearch/detr asks)."""
