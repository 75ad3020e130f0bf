"""`torchvision.ops` beside its definitions, element by element in Python, and derivatives beside differences."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest
from _gradients import gradients_hold

import flambeau as torch
from flambeau import nn
from flambeau.autograd import gradcheck
from flambeau.vision import ops
from flambeau.vision.ops.feature_pyramid_network import LastLevelP6P7

ROIS = [[0, 0, 0, 9, 9], [0, 0.3, 5, 4.2, 9], [1, 5, 5, 9.4, 9], [1, -3, 2, 30, 4], [0, 6, 6, 6, 6], [1, 12, 0, 14, 3]]
SIDE = 10


def images(channels: int, dtype: Any = torch.float64) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.rand(2, channels, SIDE, SIDE, dtype=dtype)


def interpolated(plane: numpy.ndarray, y: float, x: float, snap: bool) -> float:
    """Linear interpolation; with `snap` places up to a pixel outside count as the border."""
    if snap:
        if not (-1 <= y <= SIDE and -1 <= x <= SIDE):
            return 0.0
        y, x = min(max(y, 0.0), SIDE - 1), min(max(x, 0.0), SIDE - 1)
    top, left, total = math.floor(y), math.floor(x), 0.0
    for row, row_weight in ((top, 1 - y + top), (top + 1, y - top)):
        for column, column_weight in ((left, 1 - x + left), (left + 1, x - left)):
            if 0 <= row < SIDE and 0 <= column < SIDE:
                total += row_weight * column_weight * plane[row, column]
    return total


def aligned_bin(
    plane: numpy.ndarray, box: list[float], bins: int, at: tuple[int, int], ratio: int, least: float
) -> Any:
    """The mean of the samples of one bin."""
    left, top, right, bottom = box
    height, width = max(bottom - top, least) / bins, max(right - left, least) / bins
    rows, columns = (ratio, ratio) if ratio > 0 else (math.ceil(height), math.ceil(width))
    total = sum(
        interpolated(
            plane, top + (at[0] + (i + 0.5) / rows) * height, left + (at[1] + (j + 0.5) / columns) * width, snap=True
        )
        for i in range(rows)
        for j in range(columns)
    )
    return total / max(rows * columns, 1)


def by_bins(x: torch.Tensor, bins: int, sensitive: bool, one: Any) -> torch.Tensor:
    """`one(plane, box, bin)` of every channel of every bin; `sensitive` gives each bin channels of its own."""
    outputs = x.shape[1] // bins**2 if sensitive else x.shape[1]
    result = numpy.zeros((len(ROIS), outputs, bins, bins))
    for k, c, i, j in numpy.ndindex(*result.shape):
        channel = (c * bins + i) * bins + j if sensitive else c
        result[k, c, i, j] = one(x[int(ROIS[k][0]), channel].detach().numpy(), ROIS[k][1:], (i, j))
    return torch.from_numpy(result)


@pytest.mark.parametrize("ratio", [-1, 2])
@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align(ratio: int, aligned: bool) -> None:
    x, rois = images(3), torch.tensor(ROIS, dtype=torch.float64)

    def one(plane: numpy.ndarray, box: list[float], at: tuple[int, int]) -> Any:
        scaled = [v * 0.5 - 0.5 * aligned for v in box]
        return aligned_bin(plane, scaled, 3, at, ratio, -math.inf if aligned else 1.0)

    found = ops.roi_align(x, rois, 3, 0.5, ratio, aligned)
    torch.testing.assert_close(found, by_bins(x, 3, False, one))
    layer = ops.RoIAlign((3, 3), 0.5, ratio, aligned)
    assert torch.equal(layer(x, [rois[:2, 1:], rois[2:4, 1:]]), ops.roi_align(x, rois[:4], 3, 0.5, ratio, aligned))


def test_ps_roi_align() -> None:
    x, rois = images(8), torch.tensor(ROIS, dtype=torch.float64)

    def one(plane: numpy.ndarray, box: list[float], at: tuple[int, int]) -> Any:
        return aligned_bin(plane, [v - 0.5 for v in box], 2, at, -1, -math.inf)

    torch.testing.assert_close(ops.PSRoIAlign(2, 1.0, -1)(x, rois), by_bins(x, 2, True, one))
    with pytest.raises(RuntimeError, match="input channels must be a multiple"):
        ops.ps_roi_align(x, rois, 3)


def pixels_of(box: list[float], bins: int, at: tuple[int, int], more: int) -> Any:
    """The slices of one bin in whole pixels; the image ends `1 - more` pixels early."""
    whole = [math.floor(abs(v) + 0.5) * (1 if v > 0 else -1) for v in box]
    found = []
    for axis in (1, 0):
        start, width = whole[axis], max(whole[axis + 2] - whole[axis] + more, 1) / bins
        first, after = math.floor(at[1 - axis] * width) + start, math.ceil((at[1 - axis] + 1) * width) + start
        found.append(slice(*(min(max(v, 0), SIDE - 1 + more) for v in (first, after))))
    return tuple(found)


def test_roi_pool() -> None:
    x, rois = images(3), torch.tensor(ROIS, dtype=torch.float64)

    def largest(plane: numpy.ndarray, box: list[float], at: tuple[int, int]) -> float:
        pixels = plane[pixels_of(box, 3, at, 1)]
        return pixels.max() if pixels.size else 0.0

    torch.testing.assert_close(ops.RoIPool(3, 1.0)(x, rois), by_bins(x, 3, False, largest))


def test_ps_roi_pool() -> None:
    x, rois = images(8), torch.tensor(ROIS, dtype=torch.float64)

    def mean(plane: numpy.ndarray, box: list[float], at: tuple[int, int]) -> float:
        pixels = plane[pixels_of(box, 2, at, 0)]
        return pixels.mean() if pixels.size else 0.0

    torch.testing.assert_close(ops.PSRoIPool(2, 1.0)(x, rois), by_bins(x, 2, True, mean))


@pytest.mark.parametrize("name", ["roi_align", "ps_roi_align", "roi_pool", "ps_roi_pool"])
def test_regions_have_gradients(name: str) -> None:
    x = images(4)[:, :, :5, :5]
    rois = torch.tensor([[0, 0, 0, 4, 4], [1, 0, 2, 3, 4]], dtype=torch.float64)
    assert gradients_hold(lambda x: getattr(ops, name)(x, rois, 2), [x])
    assert getattr(ops, name)(x, rois[:0], 2).shape[0] == 0


def test_regions_must_have_the_shape_of_regions() -> None:
    for boxes in (torch.zeros(1, 4), [torch.zeros(1, 3)], 3):
        with pytest.raises(AssertionError):
            ops.roi_align(images(1), boxes, 2)


def deformed(x: Any, offset: Any, weight: Any, mask: Any, stride: tuple[int, int], padding: tuple[int, int]) -> Any:
    """One place, channel and group after another."""
    (outputs, per_group, kh, kw), groups = weight.shape, offset.shape[1] // (2 * weight[0, 0].size)
    result = numpy.zeros((x.shape[0], outputs, *offset.shape[2:]))
    for n, o, i, j in numpy.ndindex(*result.shape):
        first = o // (outputs // (x.shape[1] // per_group)) * per_group
        for c, a, b in numpy.ndindex(per_group, kh, kw):
            group = (first + c) // (x.shape[1] // groups)
            look = (group * kh + a) * kw + b
            y = i * stride[0] - padding[0] + a * 2 + offset[n, 2 * look, i, j]
            z = j * stride[1] - padding[1] + b + offset[n, 2 * look + 1, i, j]
            value = interpolated(x[n, first + c], y, z, snap=False)
            result[n, o, i, j] += weight[o, c, a, b] * value * mask[n, look, i, j]
    return result


def test_deform_conv2d() -> None:
    x, weight = images(4), torch.rand(6, 2, 2, 3, dtype=torch.float64)
    offset = torch.randn(2, 2 * 2 * 6, 6, 4, dtype=torch.float64) * 2
    mask, bias = torch.rand(2, 2 * 6, 6, 4, dtype=torch.float64), torch.rand(6, dtype=torch.float64)
    found = ops.deform_conv2d(x, offset, weight, bias, (2, 3), (2, 1), (2, 1), mask)
    found_by_hand = deformed(x.numpy(), offset.numpy(), weight.numpy(), mask.numpy(), (2, 3), (2, 1))
    expected = torch.from_numpy(found_by_hand) + bias[:, None, None]
    torch.testing.assert_close(found, expected)


def test_deform_conv2d_has_gradients() -> None:
    torch.manual_seed(1)
    inputs = [torch.rand(1, 2, 4, 4), torch.rand(1, 16, 3, 3) - 0.4, torch.rand(3, 2, 2, 2), torch.rand(3)]
    inputs = [t.double() for t in (*inputs, torch.rand(1, 8, 3, 3))]
    assert gradients_hold(lambda x, o, w, b, m: ops.deform_conv2d(x, o, w, b, mask=m), inputs)


def test_deform_conv_layer() -> None:
    torch.manual_seed(0)
    layer = ops.DeformConv2d(4, 6, 3, padding=1, groups=2, bias=False)
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=False)
    x = images(4, torch.float32)
    torch.testing.assert_close(layer(x, torch.zeros(2, 18, SIDE, SIDE)), plain(x))
    assert repr(layer) == "DeformConv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), groups=2, bias=False)"
    with pytest.raises(RuntimeError, match="the shape of the offset tensor at dimension 1 is not valid"):
        layer(x, torch.zeros(2, 8, SIDE, SIDE))
    with pytest.raises(RuntimeError, match="mask must have shape"):
        layer(x, torch.zeros(2, 18, SIDE, SIDE), torch.ones(2, 3, SIDE, SIDE))
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        ops.DeformConv2d(3, 4, 1, groups=2)


@pytest.mark.parametrize("dims", [2, 3])
def test_drop_block(dims: int) -> None:
    torch.manual_seed(0)
    drop = (ops.DropBlock2d if dims == 2 else ops.DropBlock3d)(0.3, 3)
    x = torch.ones(2, 4, *[9] * dims)
    found = drop(x)
    zeros = found == 0
    assert 0.1 < zeros.float().mean().item() < 0.5 and found.mean().item() == pytest.approx(1.0, rel=1e-5)
    blocks = (nn.functional.avg_pool2d if dims == 2 else nn.functional.avg_pool3d)(zeros.float(), 3, 1)
    assert (blocks == 1).any()
    assert torch.equal(drop.eval()(x), x)
    with pytest.raises(ValueError, match=f"input should be {dims + 2} dimensional. Got 1 dimensions."):
        drop(torch.ones(3))
    with pytest.raises(ValueError, match="block size should be odd. Got 2 which is even."):
        ops.drop_block2d(torch.ones(1, 1, 4, 4), 0.5, 2)


BOXES = torch.tensor([[285.3538, 185.5758, 1193.5110, 851.4551], [285.1472, 188.7374, 1192.4984, 851.0669]])
MORE = torch.tensor([[279.2440, 197.9812, 1189.4746, 849.2019], [0.0, 0, 10, 10]])


def test_measures_of_overlap() -> None:
    torchvisions = [0.9672350, -0.3736264, 0.9736960, -0.3744094], [0.9672349, -0.3737149, 0.9736959, -0.3745029]
    for measure, expected in zip((ops.distance_box_iou, ops.complete_box_iou), torchvisions, strict=True):
        assert measure(BOXES, MORE).flatten().tolist() == pytest.approx(expected, abs=1e-6)
    for pairs, loss in (
        (ops.generalized_box_iou, ops.generalized_box_iou_loss),
        (ops.distance_box_iou, ops.distance_box_iou_loss),
        (ops.complete_box_iou, ops.complete_box_iou_loss),
    ):
        expected = 1 - pairs(BOXES, MORE).diagonal()
        torch.testing.assert_close(loss(BOXES, MORE), expected)
        torch.testing.assert_close(loss(BOXES, MORE, reduction="sum"), expected.sum())
        assert loss(BOXES[:0], MORE[:0], reduction="mean").item() == 0
        held = loss is ops.complete_box_iou_loss  # it takes one of its factors for a constant
        assert held or gradcheck(loss, (BOXES.double().requires_grad_(), MORE.double().requires_grad_()))
        with pytest.raises(ValueError, match="Invalid Value for arg 'reduction': 'x"):
            loss(BOXES, MORE, reduction="x")


def test_formats_of_boxes() -> None:
    for form in ("xywh", "cxcywh"):
        boxes, more = (ops.box_convert(b, "xyxy", form) for b in (BOXES, MORE))
        torch.testing.assert_close(ops.box_iou(boxes, more, fmt=form), ops.box_iou(BOXES, MORE), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(ops.box_area(boxes, form), ops.box_area(BOXES))
    batch = BOXES.expand(3, 2, 4)
    assert ops.box_iou(batch, MORE[None]).shape == (3, 2, 2)
    with pytest.raises(ValueError, match="Unsupported Bounding Box area for given format x"):
        ops.box_area(BOXES, "x")


def test_boxes_of_masks() -> None:
    masks = torch.zeros(3, 6, 8, dtype=torch.uint8)
    masks[0, 1:4, 2:7] = 1
    masks[1, 5, 0] = 9
    assert ops.masks_to_boxes(masks).tolist() == [[2, 1, 6, 3], [0, 5, 0, 5], [0, 0, 0, 0]]
    assert ops.masks_to_boxes(masks[:0]).shape == (0, 4)


def test_nms_must_get_boxes_and_scores() -> None:
    for boxes, scores, message in (
        (torch.rand(4), torch.rand(4), "boxes should be a 2d tensor, got 1D"),
        (torch.rand(3, 5), torch.rand(3), "boxes should have 4 elements in dimension 1, got 5"),
        (torch.rand(3, 4), torch.rand(3, 2), "scores should be a 1d tensor, got 2D"),
        (torch.rand(3, 4), torch.rand(4), "same number of elements in dimension 0, got 3 and 4"),
    ):
        with pytest.raises(RuntimeError, match=message):
            ops.nms(boxes, scores, 0.5)


def test_feature_pyramid() -> None:
    torch.manual_seed(0)
    extra = LastLevelP6P7(5, 5)
    pyramid = ops.FeaturePyramidNetwork([2, 3], 5, extra)
    maps = {"a": torch.rand(1, 2, 8, 8), "b": torch.rand(1, 3, 4, 4)}
    found = pyramid(maps)
    assert {name: tuple(m.shape[2:]) for name, m in found.items()} == {
        "a": (8, 8),
        "b": (4, 4),
        "p6": (2, 2),
        "p7": (1, 1),
    }
    inner = pyramid.inner_blocks[1](maps["b"])
    torch.testing.assert_close(found["b"], pyramid.layer_blocks[1](inner))
    wider = inner.repeat_interleave(2, 2).repeat_interleave(2, 3) + pyramid.inner_blocks[0](maps["a"])
    torch.testing.assert_close(found["a"], pyramid.layer_blocks[0](wider))
    old = {
        key.replace("blocks.0.0", "blocks.0").replace("blocks.1.0", "blocks.1"): v
        for key, v in pyramid.state_dict().items()
    }
    pyramid.load_state_dict(old)
    with pytest.raises(TypeError, match="extra_blocks should be of type ExtraFPNBlock"):
        ops.FeaturePyramidNetwork([2], 5, nn.ReLU())  # type: ignore[arg-type]


def test_regions_of_a_pyramid() -> None:
    torch.manual_seed(0)
    maps = {"a": torch.rand(2, 3, 64, 64), "b": torch.rand(2, 3, 32, 32), "skipped": torch.rand(2, 3, 2, 2)}
    boxes = [torch.tensor([[0.0, 0, 400, 300], [3, 5, 40, 60], [8, 8, 250, 250]]), torch.tensor([[5.0, 6, 20, 19]])]
    pool = ops.MultiScaleRoIAlign(["a", "b"], 2, 2)
    found = pool(maps, boxes, [(512, 400), (480, 512)])
    assert pool.scales == [1 / 8, 1 / 16] and pool.map_levels(boxes).tolist() == [1, 0, 1, 0]
    rois = ops._utils.convert_boxes_to_roi_format(boxes)
    for k, (name, scale) in enumerate((("b", 1 / 16), ("a", 1 / 8), ("b", 1 / 16), ("a", 1 / 8))):
        torch.testing.assert_close(found[k], ops.roi_align(maps[name], rois[k : k + 1], 2, scale, 2)[0])
    assert repr(pool) == "MultiScaleRoIAlign(featmap_names=['a', 'b'], output_size=(2, 2), sampling_ratio=2)"
    with pytest.raises(ValueError, match="images list should not be empty"):
        ops.MultiScaleRoIAlign(["a"], 2, 2)(maps, boxes, [])


def test_parameters_of_normalisations_apart() -> None:
    model = nn.Sequential(
        nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 1, bias=False))
    )
    norms, others = ops._utils.split_normalization_params(model)
    assert [p.shape for p in norms] == [(3,)] * 4 and [tuple(p.shape) for p in others] == [(3, 2), (3,), (1, 3)]
    with pytest.raises(ValueError, match="is not a subclass of nn.Module"):
        ops._utils.split_normalization_params(model, [int])


def test_blocks_of_volumes() -> None:
    block = ops.Conv3dNormActivation(2, 4, kernel_size=(1, 3, 3))
    assert block(torch.ones(1, 2, 3, 5, 5)).shape == (1, 4, 3, 5, 5)
    assert [type(m).__name__ for m in block] == ["Conv3d", "BatchNorm3d", "ReLU"]
