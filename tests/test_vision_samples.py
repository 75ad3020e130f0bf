"""torchvision.transforms.v2: images, masks and boxes of a sample change alike."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from joint_cases import ALONE, CASES, pixels, results, sample

import flambeau as torch
from flambeau.vision import tv_tensors
from flambeau.vision.transforms import v2

GOLDEN = json.loads((Path(__file__).parent / "golden" / "joint.json").read_text())
IMAGE = pixels(torch, (3, 24, 32), 256)


@pytest.mark.parametrize("expression", CASES + ALONE)
def test_sample_is_torchvisions(expression: str) -> None:
    """Kinds, shapes, sums, boxes and the generator's state; images may differ by a level in rare pixels."""
    for found, expected in zip(results(torch, tv_tensors, v2, expression), GOLDEN[expression], strict=True):
        found = json.loads(json.dumps(found))
        assert _without_sums(found) == _without_sums(expected)
        for a, b in zip(_sums(found), _sums(expected), strict=True):
            assert a == pytest.approx(b, rel=1e-4, abs=2)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, list) and len(x) >= 4 and isinstance(x[0], str)


def _without_sums(x: Any) -> Any:
    if _is_tensor(x):
        numbers = [pytest.approx(n, abs=2e-3) if isinstance(n, float) else n for n in (x[4] if len(x) > 4 else [])]
        return [*x[:3], numbers, *x[5:]]
    if isinstance(x, dict):
        return {k: _without_sums(v) for k, v in x.items()}
    return [_without_sums(v) for v in x] if isinstance(x, list) else x


def _sums(x: Any) -> list[float]:
    if _is_tensor(x):
        return [x[3]]
    parts = x.values() if isinstance(x, dict) else x if isinstance(x, list) else ()
    return [s for part in parts for s in _sums(part)]


def test_kinds_print_and_survive_copies() -> None:
    boxes = tv_tensors.BoundingBoxes([[1, 2, 3, 4]], format="xyxy", canvas_size=(10, 12))
    end = "format=BoundingBoxFormat.XYXY, canvas_size=(10, 12), clamping_mode=soft)"
    assert repr(boxes) == f"BoundingBoxes([[1, 2, 3, 4]], {end}"
    for other in (copy.deepcopy(boxes), boxes.clone(), boxes.to(torch.float64), boxes.detach()):
        assert type(other) is tv_tensors.BoundingBoxes and other.canvas_size == (10, 12)
    assert type(boxes + 1) is torch.Tensor and type(boxes[0]) is torch.Tensor
    assert tv_tensors.wrap(boxes * 2, like=boxes, canvas_size=(20, 24)).canvas_size == (20, 24)
    assert tv_tensors.Image(torch.zeros(4, 5)).shape == (1, 4, 5)


def test_wrong_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="Tensor must be 2D or higher, got 0D tensor."):
        tv_tensors.Image(1.0)
    with pytest.raises(ValueError, match="Expected a 1D or 2D tensor, got 3D"):
        tv_tensors.BoundingBoxes([[[1]]], format="XYXY", canvas_size=(1, 1))
    with pytest.raises(NotImplementedError, match="format XYWHR: use XYXY"):
        tv_tensors.BoundingBoxes([[1.0, 2, 3, 4, 5]], format="XYWHR", canvas_size=(9, 9))


def test_plain_tensors_beside_an_image_pass_through() -> None:
    target = torch.arange(6.0).reshape(1, 2, 3)
    out, same = v2.RandomHorizontalFlip(1.0)(tv_tensors.Image(IMAGE), target)
    assert same is target and torch.equal(out, IMAGE.flip(-1))
    first, second = v2.RandomVerticalFlip(1.0)(IMAGE, target)
    assert second is target and type(first) is torch.Tensor


def test_sizes_of_a_sample_must_agree() -> None:
    mask = tv_tensors.Mask(torch.zeros(8, 8))
    with pytest.raises(ValueError, match="Found multiple HxW dimensions in the sample"):
        v2.RandomCrop(4)(tv_tensors.Image(IMAGE), mask)


def test_boxes_need_an_image_to_be_cropped_by_overlap() -> None:
    with pytest.raises(TypeError, match="requires input sample to contain tensor or PIL images"):
        v2.RandomIoUCrop()(IMAGE)
    with pytest.raises(ValueError, match="No bounding boxes were found in the sample"):
        v2.SanitizeBoundingBoxes(labels_getter=None)(IMAGE)


def test_masks_are_refused_where_they_could_not_follow() -> None:
    whole = sample(torch, tv_tensors, "XYXY", torch.float32)
    for transform in (v2.FiveCrop(4), v2.RandAugment()):
        with pytest.raises(TypeError, match="not supported by"):
            transform(whole)


def test_turned_canvas_is_the_images() -> None:
    torch.manual_seed(0)
    out = v2.RandomRotation((30, 30), expand=True)(sample(torch, tv_tensors, "XYXY", torch.float32))
    assert tuple(out["image"].shape[-2:]) == tuple(out["mask"].shape) == out["boxes"].canvas_size


def test_own_transform_sees_each_part_with_the_same_parameters() -> None:
    class Brighter(v2.Transform):
        def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
            return {"count": len(flat_inputs)}

        def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
            return inpt + params["count"]

    out = Brighter()({"a": tv_tensors.Image(IMAGE), "b": tv_tensors.Mask(IMAGE[0]), "c": "text"})
    assert torch.equal(out["a"], IMAGE + 2) and torch.equal(out["b"], IMAGE[0] + 2) and out["c"] == "text"


def test_functions_of_plain_boxes() -> None:
    rows = torch.tensor([[1.0, 2, 3, 4], [-2, 0, 20, 5]])
    F = v2.functional
    centred = F.convert_bounding_box_format(rows, "XYXY", "CXCYWH")
    assert centred.tolist() == [[2.0, 3.0, 2.0, 2.0], [9.0, 2.5, 22.0, 5.0]]
    assert F.clamp_bounding_boxes(rows, "XYXY", (4, 9), "soft").tolist() == [[1, 2, 3, 4], [0, 0, 9, 4]]
    kept, valid = F.sanitize_bounding_boxes(rows, "XYXY", (9, 9))
    assert valid.tolist() == [True, False] and kept.tolist() == [[1, 2, 3, 4]]
    with pytest.raises(ValueError, match="For pure tensor inputs, `old_format` has to be passed."):
        F.convert_bounding_box_format(rows, new_format="XYWH")


def test_grey_becomes_three_channels() -> None:
    grey = IMAGE[:1]
    for out in (v2.RGB()(grey), v2.Grayscale(3)(grey), v2.functional.rgb_to_grayscale(grey, 3)):
        assert type(out) is torch.Tensor and torch.equal(out, grey.expand(3, 24, 32))
    assert type(v2.RGB()(tv_tensors.Image(grey))) is tv_tensors.Image


def test_sixteen_bit_images_keep_their_brightness() -> None:
    wide = torch.tensor([[[0, 32768, 65535]]]).to(torch.uint16)
    assert v2.functional.to_dtype(wide, torch.uint8, scale=True).tolist() == [[[0, 128, 255]]]
    assert v2.functional.to_dtype(wide, torch.float32, scale=True).flatten()[2] == 1.0
    small = torch.tensor([[[0, 54]]]).to(torch.uint8)
    assert v2.functional.to_dtype(small, torch.uint16, scale=True).tolist() == [[[0, 54 * 256]]]


def test_bytes_are_scaled_by_a_product() -> None:
    """As in transforms.v2; transforms divides, which gives another last bit for some values."""
    every = torch.arange(256).to(torch.uint8).reshape(1, 16, 16)
    for image in (every, tv_tensors.Image(every)):
        out = v2.ToDtype(torch.float32, scale=True)(image)
        assert torch.equal(out, every.float() * (1.0 / 255.0))
