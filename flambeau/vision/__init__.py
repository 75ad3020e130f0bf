"""torchvision's data sets, transforms, image grids and residual networks, over flambeau.

Images come from Pillow, which is imported when a function needs it: `pip install 'flambeau[images]'`.
"""

from __future__ import annotations

from flambeau.vision import datasets, io, models, ops, transforms, tv_tensors, utils

__all__ = [
    "__version__",
    "datasets",
    "get_image_backend",
    "io",
    "models",
    "ops",
    "set_image_backend",
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
