"""Drawings, pixel by pixel as torchvision 0.28 draws them; texts depend on Pillow's font and are only looked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from vision_drawing import DRAWN, boxes, digest, masks, pixels, points

import flambeau as torch
from flambeau.vision import utils

pytest.importorskip("PIL.Image")
GOLDEN: dict[str, str] = json.loads((Path(__file__).parent / "golden" / "vision_drawings.json").read_text())


@pytest.mark.parametrize("name", GOLDEN)
def test_drawings(name: str) -> None:
    assert digest(DRAWN[name](torch, utils)) == GOLDEN[name]


def test_texts() -> None:
    image, places = pixels(torch), boxes(torch)[:1]
    plain = utils.draw_bounding_boxes(image, places, colors="red")
    named = utils.draw_bounding_boxes(image, places, ["I"], "red", label_colors="blue")
    changed = (plain != named).any(0).nonzero()
    assert len(changed) > 3 and named[:, changed[0][0], changed[0][1]].tolist()[2] > 0
    ground = utils.draw_bounding_boxes(image, places, ["I"], "red", label_background_colors="white", fill_labels=True)
    assert ground[:, changed[0][0] - 1, changed[0][1] - 1].tolist() == [255, 255, 255]
    with pytest.warns(UserWarning, match="Argument 'font_size' will be ignored since 'font' is not set."):
        utils.draw_bounding_boxes(image, places, font_size=11)
    with pytest.raises(OSError, match=r"cannot open resource|unknown file format"):
        utils.draw_bounding_boxes(image, places, ["I"], font=__file__)


def test_nothing_to_draw() -> None:
    image = pixels(torch)
    with pytest.warns(UserWarning, match="boxes doesn't contain any box. No box was drawn"):
        assert utils.draw_bounding_boxes(image, torch.zeros(0, 4)) is image
    with pytest.warns(UserWarning, match="masks doesn't contain any mask. No mask was drawn"):
        assert utils.draw_segmentation_masks(image, torch.zeros(0, 40, 50, dtype=torch.bool)) is image


def refused() -> list[tuple[str, type[Exception], Any]]:
    image, some, found, spots = pixels(torch), boxes(torch), masks(torch), points(torch)
    box: Any
    mask: Any
    box, mask, point = utils.draw_bounding_boxes, utils.draw_segmentation_masks, utils.draw_keypoints
    return [
        ("Tensor expected, got <class 'str'>", TypeError, lambda: box("image", some)),
        ("The image dtype must be uint8 or float, got torch.int64", ValueError, lambda: box(image.long(), some)),
        ("Pass individual images, not batches", ValueError, lambda: box(image[None], some)),
        ("Only grayscale and RGB images are supported", ValueError, lambda: box(image[:2], some)),
        (r"Boxes need to be in \(xmin, ymin, xmax, ymax\) format", ValueError, lambda: box(image, some.flip(1))),
        (r"Number of boxes \(3\) and labels \(1\) mismatch", ValueError, lambda: box(image, some, ["a"])),
        ("Number of colors must be equal or larger .* got 0 < 3", ValueError, lambda: box(image, some, colors=[])),
        ("colors must be a tuple or a string, or .* but got 3", ValueError, lambda: box(image, some, colors=3)),
        (r"colors should be an RGB triplet, but got \(1, 2\)", ValueError, lambda: box(image, some, colors=(1, 2))),
        ("The image must be a tensor", TypeError, lambda: mask("image", found)),
        ("Pass an RGB image", ValueError, lambda: mask(image[:1], found)),
        (r"masks must be of shape \(H, W\) or", ValueError, lambda: mask(image, found[0, 0])),
        ("The masks must be of dtype bool. Got torch.uint8", ValueError, lambda: mask(image, found.to(torch.uint8))),
        ("must have the same height and width", ValueError, lambda: mask(image, found[:, 1:])),
        (r"keypoints must be of shape \(num_instances, K, 2\)", ValueError, lambda: point(image, spots[0])),
        ("Got ndim=1", ValueError, lambda: point(image, spots, visibility=torch.ones(2))),
        ("must have the same dimensionality", ValueError, lambda: point(image, spots, visibility=torch.ones(2, 2))),
        ("Flow should be of dtype torch.float, got torch.uint8", ValueError, lambda: utils.flow_to_image(image)),
        (r"Input flow should have shape \(2, H, W\) or", ValueError, lambda: utils.flow_to_image(torch.zeros(3, 3, 3))),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(19))
def test_what_cannot_be_drawn(number: int) -> None:
    message, error, call = refused()[number]
    with pytest.raises(error, match=message):
        call()
