"""The functions of one kind in `transforms.v2.functional` do what those of every kind do."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
from flambeau.vision.transforms.v2 import _kernels
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.tv_tensors import BoundingBoxes, KeyPoints, Mask

CANVAS = (30, 40)
CORNERS = [[0, 0], [39, 0], [39, 29], [0, 29]], [[2, 3], [35, 1], [38, 28], [3, 25]]
GIVEN: dict[str, dict[str, Any]] = {
    "affine": {"angle": 30, "translate": [2, 3], "scale": 1.5, "shear": [10.0, 5.0]},
    "center_crop": {"output_size": [10, 12]},
    "crop": {"top": 2, "left": 3, "height": 10, "width": 12},
    "elastic": {"displacement": torch.linspace(-0.1, 0.1, 2400).reshape(1, 30, 40, 2)},
    "horizontal_flip": {},
    "pad": {"padding": [1, 2, 3, 4]},
    "perspective": {"startpoints": CORNERS[0], "endpoints": CORNERS[1]},
    "resize": {"size": [15, 50]},
    "resized_crop": {"top": 2, "left": 3, "height": 10, "width": 12, "size": [20, 20]},
    "rotate": {"angle": 33},
    "vertical_flip": {},
}
POINTS = torch.tensor([[3.0, 4.0], [10.5, 2.0]])
BOXES = torch.tensor([[2.0, 3.0, 20.0, 25.0], [5.0, 6.0, 38.0, 29.0]])
MASK = (torch.arange(1200) % 3).to(torch.uint8).reshape(1, *CANVAS)


def given_in_order(name: str, table: dict[str, str], facts: dict[str, Any]) -> list[Any]:
    """The arguments of a kernel as positions, up to the last one that there is."""
    values = [({**facts, **GIVEN[name]}).get(key) for key in table[name].split()]
    while values and values[-1] is None:
        values.pop()
    return values


@pytest.mark.parametrize("name", GIVEN)
def test_boxes_and_points(name: str) -> None:
    boxes = getattr(F, name)(BoundingBoxes(BOXES, format="XYXY", canvas_size=CANVAS), **GIVEN[name])
    found = _kernels.named(f"{name}_bounding_boxes")(
        BOXES, *given_in_order(name, _kernels._BOXES, {"format": "XYXY", "canvas_size": CANVAS})
    )
    rows, canvas = found if isinstance(found, tuple) else (found, boxes.canvas_size)
    assert type(rows) is torch.Tensor and torch.equal(rows, boxes) and canvas == boxes.canvas_size
    points = getattr(F, name)(KeyPoints(POINTS, canvas_size=CANVAS), **GIVEN[name])
    found = _kernels.named(f"{name}_keypoints")(
        POINTS, *given_in_order(name, _kernels._POINTS, {"canvas_size": CANVAS})
    )
    rows, canvas = found if isinstance(found, tuple) else (found, points.canvas_size)
    assert type(rows) is torch.Tensor and torch.equal(rows, points) and canvas == points.canvas_size


@pytest.mark.parametrize("name", GIVEN)
def test_masks_and_images(name: str) -> None:
    mask = getattr(F, name)(Mask(MASK), **GIVEN[name])
    found = _kernels.named(f"{name}_mask")(MASK, *given_in_order(name, _kernels._MASKS, {}))
    assert type(found) is torch.Tensor and torch.equal(found, mask)
    image = getattr(F, f"{name}_image")(MASK, **GIVEN[name])
    assert torch.equal(image, getattr(F, name)(MASK, **GIVEN[name]))


def test_names() -> None:
    assert F.adjust_hue_video is F.adjust_hue and F.get_num_frames_video is F.get_num_frames
    assert F.get_size_keypoints(KeyPoints(POINTS, canvas_size=CANVAS)) == [30, 40]
    assert F.crop_mask.__name__ == "crop_mask" and "Mask; (top, left, height, width) follow" in F.crop_mask.__doc__
    kept, _ = F.crop_bounding_boxes(BOXES, "XYXY", 0, 0, 10, 10, clamping_mode=None)
    assert kept[1].tolist() == [5, 6, 38, 29]
    for name in ("crop_mesh", "jpeg_mask", "rgb_to_grayscale_video", "nothing"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(F, name)
