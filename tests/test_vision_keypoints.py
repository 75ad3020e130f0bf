"""Key points, videos and packed images in `transforms.v2`, as torchvision 0.28 treats them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from keypoint_cases import Side, image, of_functions, of_samples, points, sample

import flambeau as torch
from flambeau.vision import tv_tensors
from flambeau.vision.transforms import v2

F = v2.functional
GOLDEN = json.loads((Path(__file__).parent / "golden" / "keypoints.json").read_text())
SIDE = Side(torch, v2, F, tv_tensors)


def test_functions() -> None:
    found = of_functions(SIDE)
    for name, (*kind, values) in GOLDEN["functions"].items():
        assert found[name][:-1] == kind, name
        assert torch.allclose(torch.tensor(found[name][-1]), torch.tensor(values), atol=1e-4), name


def test_samples() -> None:
    found = of_samples(SIDE)
    for name, (*kind, values, labels) in GOLDEN["samples"].items():
        assert found[name][:3] == kind and found[name][4] == labels, name
        assert torch.allclose(torch.tensor(found[name][3]), torch.tensor(values), atol=1e-4), name


def test_points_go_where_their_image_s_size_says() -> None:
    turned = F.rotate(points(SIDE), 33, expand=True)
    assert turned.canvas_size == tuple(F.get_size(F.rotate(image(SIDE), 33, expand=True)))


def test_points_as_a_kind() -> None:
    found = tv_tensors.KeyPoints([1, 2], canvas_size=(3, 4))
    assert found.shape == (1, 2) and repr(found) == "KeyPoints([[1, 2]], canvas_size=(3, 4))"
    assert type(found + 1) is torch.Tensor and found.clone().canvas_size == (3, 4)
    assert copy.deepcopy(found).canvas_size == (3, 4) and found.to(torch.float32).canvas_size == (3, 4)
    assert tv_tensors.wrap(found + 1, like=found, canvas_size=(5, 6)).canvas_size == (5, 6)
    assert v2.get_keypoints([1, found]) is found and v2.query_size([found]) == (3, 4)
    with pytest.raises(ValueError, match=r"Expected a tensor of shape \(..., 2\), not torch.Size\(\[3, 3\]\)"):
        tv_tensors.KeyPoints(torch.zeros(3, 3), canvas_size=(3, 4))


def test_plain_points() -> None:
    plain = points(SIDE).as_subclass(torch.Tensor)
    assert torch.equal(F.clamp_keypoints(plain, (30, 40)), F.clamp_keypoints(points(SIDE)))
    kept, valid = F.sanitize_keypoints(plain.flatten(0, 1), (30, 40))
    assert valid.tolist() == [True, True, False, True, True, True] and torch.equal(kept, plain.flatten(0, 1)[valid])


REFUSED: list[tuple[type[Exception], str, Any]] = [
    (
        ValueError,
        "Padding mode 'reflect' is not supported with KeyPoints",
        lambda k: F.pad(k, 1, padding_mode="reflect"),
    ),
    (ValueError, "`canvas_size` has to be passed", lambda k: F.clamp_keypoints(torch.zeros(2, 2))),
    (ValueError, "`canvas_size` must not be passed", lambda k: F.clamp_keypoints(k, (1, 2))),
    (TypeError, "Input can either be a plain tensor or a keypoints", lambda k: F.clamp_keypoints(image(SIDE))),
    (
        ValueError,
        "canvas_size cannot be None if key_points is a pure",
        lambda k: F.sanitize_keypoints(torch.zeros(2, 2)),
    ),
    (ValueError, "canvas_size must be None when", lambda k: F.sanitize_keypoints(k, (1, 2))),
    (ValueError, "key_points must be a tv_tensors.KeyPoints", lambda k: F.sanitize_keypoints(image(SIDE))),
    (ValueError, "No keypoints were found in the sample", lambda k: v2.SanitizeKeyPoints()({"a": torch.zeros(2)})),
    (
        ValueError,
        r"Number of kepyoints \(shape=torch.Size\(\[3, 2, 2\]\)\) must match the number of labels",
        lambda k: v2.SanitizeKeyPoints("default")({"points": k, "labels": torch.zeros(2)}),
    ),
    (TypeError, "Inputs of type KeyPoints are not supported by AutoAugment", lambda k: v2.AutoAugment()(sample(SIDE))),
    (ValueError, r"quality must be an integer from 1 to 100, got quality =\[0, 0\]", lambda k: v2.JPEG(0)),
    (TypeError, "quality can't be bool", lambda k: v2.JPEG(True)),
    (ValueError, "quality should be a sequence of length 2.", lambda k: v2.JPEG((1, 2, 3))),
    (TypeError, "quality should be a sequence of length 2.", lambda k: v2.JPEG(1.5)),  # type: ignore[arg-type]
    (ValueError, "sigma shouldn't be negative. Got -1", lambda k: F.gaussian_noise(torch.zeros(3, 2, 2), sigma=-1)),
    (ValueError, "to be in uint8 or float dtype", lambda k: F.gaussian_noise(torch.zeros(3, 2, 2, dtype=torch.int64))),
]


@pytest.mark.parametrize(("error", "message", "call"), REFUSED)
def test_refused(error: type[Exception], message: str, call: Any) -> None:
    with pytest.raises(error, match=message):
        call(points(SIDE))


def test_noise_on_bytes() -> None:
    torch.manual_seed(3)
    noisy = F.gaussian_noise(image(SIDE), 0.1, 0.2)
    assert type(noisy) is tv_tensors.Image and noisy.dtype is torch.uint8
    # The first pixels as torchvision makes them from the same seed.
    assert noisy[0, 0, :5].tolist() == [21, 181, 11, 192, 109]
    masks = tv_tensors.Mask(torch.ones(2, 3, 3, dtype=torch.uint8))
    assert torch.equal(v2.GaussianNoise()((image(SIDE), masks))[1], masks)


def test_jpeg() -> None:
    pil = pytest.importorskip("PIL.Image")
    smooth = tv_tensors.Image(torch.linspace(0, 200, 256).to(torch.uint8).reshape(1, 16, 16).expand(3, -1, -1))
    found, rough = F.jpeg(smooth, 95), F.jpeg(smooth, 5)
    assert type(found) is tv_tensors.Image and found.shape == smooth.shape
    worst = [(one.int() - smooth.int()).abs().max().item() for one in (found, rough)]
    assert worst[0] < 12 < worst[1]
    batch = torch.stack([smooth.as_subclass(torch.Tensor)] * 2)
    assert torch.equal(F.jpeg(batch, 5)[1], rough) and F.jpeg(batch[:0], 5).shape == (0, 3, 16, 16)
    assert F.jpeg(pil.new("RGB", (8, 8), "red"), 50).size == (8, 8)
    torch.manual_seed(0)
    out = v2.JPEG((1, 10))(sample(SIDE))
    assert torch.equal(out["points"], points(SIDE)) and not torch.equal(out["image"], image(SIDE))
    assert repr(v2.JPEG(5)) == "JPEG(quality=[5, 5])"


def test_frames() -> None:
    video = tv_tensors.Video(torch.arange(7).reshape(7, 1, 1, 1))
    found = v2.UniformTemporalSubsample(3)(video)
    assert type(found) is tv_tensors.Video and found.flatten().tolist() == [0, 3, 6]
    assert F.uniform_temporal_subsample(video, 9).flatten().tolist() == [0, 0, 1, 2, 3, 3, 4, 5, 6]
    assert F.get_num_frames(video) == 7
    assert repr(v2.UniformTemporalSubsample(3)) == "UniformTemporalSubsample(num_samples=3)"
