"""Batches mixed with themselves and other transforms of version 2, and changes of tones that are refused."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
from flambeau.vision import transforms as T
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms import v2

IMAGES = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)
LABELS = torch.tensor([0, 2])

# What torchvision 0.28 gives after manual_seed(4): sums of the images, labels, and the random number that comes next.
GOLDEN: list[tuple[Any, list[float], list[list[float]], float]] = [
    (
        v2.MixUp,
        [2777.628662109375, 1782.3712158203125],
        [[0.2840152978897095, 0.0, 0.7159847021102905], [0.7159847021102905, 0.0, 0.2840152978897095]],
        0.5949457883834839,
    ),
    (v2.CutMix, [1704.0, 2856.0], [[0.75, 0.0, 0.25], [0.25, 0.0, 0.75]], 0.7634844183921814),
]


@pytest.mark.parametrize(("kind", "sums", "shares", "after"), GOLDEN)
def test_mixed_batches_are_torchvisions(kind: Any, sums: list[float], shares: Any, after: float) -> None:
    torch.manual_seed(4)
    images, labels = kind(num_classes=3)(IMAGES, LABELS)
    assert images.sum((1, 2, 3)).tolist() == pytest.approx(sums, rel=1e-6)
    assert torch.allclose(labels, torch.tensor(shares))
    assert torch.rand(1).item() == after


def test_labels_are_found() -> None:
    torch.manual_seed(4)
    expected = v2.MixUp(num_classes=3)(IMAGES, LABELS)
    for whole in ({"image": IMAGES, "labels": LABELS, "name": "x"}, (IMAGES, {"my_label": LABELS})):
        torch.manual_seed(4)
        found = v2.MixUp(num_classes=3)(whole)
        leaves = list(found.values()) if isinstance(found, dict) else [found[0], *found[1].values()]
        assert torch.equal(leaves[0], expected[0]) and torch.equal(leaves[1], expected[1])
    torch.manual_seed(4)
    shares = torch.nn.functional.one_hot(LABELS, 3)
    found = v2.MixUp(labels_getter=lambda whole: whole[2])(IMAGES, "x", shares)
    assert torch.equal(found[2], expected[1]) and found[1] == "x"


WRONG: list[tuple[Any, type[Exception], str]] = [
    (lambda: v2.MixUp()(IMAGES, LABELS), ValueError, "num_classes must be passed if the labels are index-based"),
    (
        lambda: v2.MixUp(num_classes=3)(IMAGES, [0, 1]),
        ValueError,
        "The labels must be a tensor, but got <class 'list'>",
    ),
    (lambda: v2.MixUp(num_classes=3)(IMAGES, IMAGES), ValueError, "labels should be index based with shape"),
    (lambda: v2.MixUp(num_classes=2)(IMAGES, torch.ones(2, 3)), ValueError, "must match num_classes: 3 != 2"),
    (lambda: v2.MixUp(num_classes=3)(IMAGES[0], LABELS), ValueError, "Expected a batched input with 4 dims, but got 3"),
    (lambda: v2.CutMix(num_classes=3)(IMAGES[:1], LABELS), ValueError, "does not match the batch size of the labels"),
    (lambda: v2.CutMix(num_classes=3)({"x": 1}), ValueError, "Could not infer where the labels are"),
    (lambda: v2.GaussianNoise()(LABELS), ValueError, "got dtype=torch.int64"),
    (lambda: v2.GaussianNoise(sigma=-1)(IMAGES), ValueError, "sigma shouldn't be negative. Got -1"),
    (lambda: T.AugMix(severity=11), ValueError, r"The severity must be between \[1, 10\]. Got 11 instead."),
    (lambda: T.AutoAugment("imagenet"), ValueError, "The provided policy imagenet is not recognized."),
    (
        lambda: F.posterize(IMAGES, 3),
        TypeError,
        "Only torch.uint8 image tensors are supported, but found torch.float32",
    ),
    (lambda: F.equalize(IMAGES[None].byte()), TypeError, "should have 3 or 4 dimensions, but found 5"),
    (lambda: F.solarize(IMAGES, 2.0), TypeError, "Threshold should be less than bound of img."),
    (lambda: F.autocontrast(IMAGES[0, 0]), TypeError, "should have at least 3 dimensions, but found 2"),
    (lambda: F.adjust_sharpness(IMAGES, -1), ValueError, r"sharpness_factor \(-1\) is not non-negative"),
    (lambda: F.perspective(IMAGES, [[0, 0]], [[0, 0]]), ValueError, "Please provide exactly four corners, got 1"),
    (lambda: T.RandomPerspective(fill={}), TypeError, "Fill should be either a sequence or a number."),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_wrong_arguments_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_noise_channels_and_identity() -> None:
    torch.manual_seed(0)
    noisy = v2.GaussianNoise(sigma=0.5)(torch.full((3, 50, 50), 0.5))
    assert noisy.min() >= 0 and noisy.max() <= 1 and 0.2 < noisy.std() < 0.5
    assert v2.GaussianNoise(mean=3.0, sigma=0.0, clip=False)(torch.zeros(1, 2, 2)).tolist() == [[[3, 3], [3, 3]]]
    mixed = v2.RandomChannelPermutation()(IMAGES)
    assert sorted(mixed[0, :, 0, 0].tolist()) == [0, 16, 32]
    assert v2.Identity()(1) == 1 and v2.Identity()(1, 2) == (1, 2)
