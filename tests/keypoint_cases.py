"""What the tests of key points do: with torchvision or flambeau as `t`, `v2`, `F` (its functional) and `tv_tensors`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy


class Side(NamedTuple):
    """The modules of one of the two."""

    t: Any
    v2: Any
    F: Any
    tv_tensors: Any


POINTS = [[[3.0, 4.0], [10.5, 2.0]], [[-2.0, 30.0], [19.0, 23.0]], [[0.0, 0.0], [39.0, 29.0]]]
CORNERS = [[0, 0], [39, 0], [39, 29], [0, 29]], [[2, 3], [35, 1], [38, 28], [3, 25]]


def points(side: Side, dtype: str = "float32") -> Any:
    """Three pairs of points on an image of 30 by 40, some outside of it."""
    tensor = side.t.tensor(POINTS).to(getattr(side.t, dtype))
    return side.tv_tensors.KeyPoints(tensor, canvas_size=(30, 40))


def image(side: Side) -> Any:
    """An image for them."""
    pixels = (numpy.arange(3 * 30 * 40) * 7919 % 251).astype(numpy.uint8).reshape(3, 30, 40)
    return side.tv_tensors.Image(side.t.from_numpy(pixels))


def sample(side: Side) -> dict[str, Any]:
    """Both, with labels."""
    return {"image": image(side), "points": points(side), "labels": side.t.tensor([7, 8, 9])}


FUNCTIONS: dict[str, Callable[[Side, Any], Any]] = {
    "horizontal_flip": lambda s, k: s.F.horizontal_flip(k),
    "vertical_flip": lambda s, k: s.F.vertical_flip(k),
    "resize": lambda s, k: s.F.resize(k, [15, 50]),
    "resize the shorter side": lambda s, k: s.F.resize(k, 15),
    "pad": lambda s, k: s.F.pad(k, [1, 2, 3, 4]),
    "crop": lambda s, k: s.F.crop(k, 2, 3, 10, 12),
    "center_crop": lambda s, k: s.F.center_crop(k, [10, 12]),
    "resized_crop": lambda s, k: s.F.resized_crop(k, 2, 3, 10, 12, [20, 20]),
    "affine": lambda s, k: s.F.affine(k, 30, [2, 3], 1.5, [10.0, 5.0]),
    "affine about a point": lambda s, k: s.F.affine(k, 30, [2, 3], 1.5, [10.0, 5.0], center=[3, 4]),
    "rotate": lambda s, k: s.F.rotate(k, 33),
    "rotate about a point": lambda s, k: s.F.rotate(k, 33, center=[1, 2]),
    "perspective": lambda s, k: s.F.perspective(k, *CORNERS),
    "elastic": lambda s, k: s.F.elastic(k, s.t.linspace(-0.1, 0.1, 2400).reshape(1, 30, 40, 2)),
    "clamp_keypoints": lambda s, k: s.F.clamp_keypoints(k),
}
SAMPLES: dict[str, Callable[[Side], Any]] = {
    "ClampKeyPoints": lambda s: s.v2.ClampKeyPoints(),
    "SanitizeKeyPoints": lambda s: s.v2.SanitizeKeyPoints("default"),
    "SanitizeKeyPoints without labels": lambda s: s.v2.SanitizeKeyPoints(),
    "ColorJitter": lambda s: s.v2.ColorJitter(0.5, 0.5),
    "RandomResizedCrop": lambda s: s.v2.RandomResizedCrop(16),
    "RandomHorizontalFlip": lambda s: s.v2.RandomHorizontalFlip(1.0),
    "RandomRotation": lambda s: s.v2.RandomRotation(40),
    "RandomAffine": lambda s: s.v2.RandomAffine(40, (0.1, 0.2), (0.5, 1.5), 10),
    "RandomPerspective": lambda s: s.v2.RandomPerspective(p=1.0),
    "RandomZoomOut": lambda s: s.v2.RandomZoomOut(p=1.0),
    "ToDtype": lambda s: s.v2.ToDtype(s.t.float32, scale=True),
}


def facts(result: Any) -> list[Any]:
    """Kind, dtype, canvas and values."""
    return [type(result).__name__, str(result.dtype)[6:], list(result.canvas_size), result.tolist()]


def of_functions(side: Side) -> dict[str, Any]:
    """The results of all functions, of floats and of integers."""
    return {f"{n}, {d}": facts(f(side, points(side, d))) for n, f in FUNCTIONS.items() for d in ("float32", "int64")}


def of_samples(side: Side) -> dict[str, Any]:
    """What all transforms make of points and labels."""
    found = {}
    for name, make in SAMPLES.items():
        side.t.manual_seed(3)
        out = make(side)(sample(side))
        found[name] = [*facts(out["points"]), out["labels"].tolist()]
    return found
