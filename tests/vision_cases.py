"""Images and transforms that `test_vision.py` compares with what torchvision 0.28 gives (`golden/vision.npz`)."""

from __future__ import annotations

from typing import Any

import numpy

SEED = 3

# Expressions in which T is torchvision.transforms and X torch, and the inputs that each is applied to.
CASES: list[tuple[str, str]] = [
    ("T.ToTensor()", "rgb grey one wide float16bit rgba array"),
    ("T.PILToTensor()", "rgb grey"),
    ("T.ConvertImageDtype(X.uint8)", "tensor single"),
    ("T.ConvertImageDtype(X.float32)", "bytes"),
    ("T.ConvertImageDtype(X.int16)", "bytes tensor"),
    ("T.ToPILImage()", "tensor single bytes array"),
    ("T.Normalize((0.5, 0.4, 0.3), (0.25, 0.5, 2.0))", "tensor"),
    ("T.Normalize((0.1307,), (0.3081,))", "single"),
    ("T.Resize(7)", "rgb grey tensor bytes"),
    ("T.Resize((17, 5))", "rgb tensor"),
    ("T.Resize((15, 14), interpolation=T.InterpolationMode.BICUBIC)", "rgb tensor bytes"),
    ("T.Resize(6, interpolation=T.InterpolationMode.NEAREST)", "rgb tensor"),
    ("T.Resize((16, 16), antialias=False)", "tensor"),
    ("T.Resize(9, max_size=10)", "rgb tensor"),
    ("T.CenterCrop(6)", "rgb tensor"),
    ("T.CenterCrop((14, 5))", "rgb tensor"),
    ("T.Pad(2)", "rgb grey tensor"),
    ("T.Pad((1, 2), fill=7)", "rgb tensor"),
    ("T.Pad((1, 2, 3, 4), padding_mode='reflect')", "rgb tensor bytes"),
    ("T.Pad([2], padding_mode='edge')", "rgb tensor"),
    ("T.Pad((3, 1, 0, 2), padding_mode='symmetric')", "rgb tensor"),
    ("T.Pad((-1, 2, -3, 1))", "rgb tensor"),
    ("T.RandomCrop(8)", "rgb tensor batch"),
    ("T.RandomCrop(12, padding=4)", "rgb tensor"),
    ("T.RandomCrop((14, 16), pad_if_needed=True, padding_mode='reflect')", "rgb tensor"),
    ("T.RandomHorizontalFlip()", "rgb tensor"),
    ("T.RandomHorizontalFlip(1.0)", "rgb tensor"),
    ("T.RandomVerticalFlip(0.9)", "rgb tensor"),
    ("T.RandomResizedCrop(6)", "rgb tensor"),
    ("T.RandomResizedCrop((4, 5), scale=(0.5, 1.0), ratio=(1, 2))", "rgb tensor"),
    ("T.RandomRotation(30)", "rgb tensor grey"),
    ("T.RandomRotation((10, 20), expand=True)", "rgb tensor"),
    ("T.RandomRotation(45, interpolation=T.InterpolationMode.BILINEAR, center=(3, 4), fill=9)", "rgb tensor"),
    ("T.RandomAffine(20, translate=(0.1, 0.3), scale=(0.5, 2), shear=10, fill=3)", "rgb tensor"),
    ("T.ColorJitter(0.5, 0.5, 0.5, 0.3)", "rgb tensor bytes grey"),
    ("T.ColorJitter(brightness=(0.5, 0.7))", "rgb tensor"),
    ("T.ElasticTransform(20.0, 2.0, fill=3)", "rgb tensor bytes"),
    ("T.Grayscale()", "rgb tensor"),
    ("T.Grayscale(3)", "rgb tensor"),
    ("T.RandomGrayscale(0.9)", "rgb tensor"),
    ("T.RandomErasing(1.0)", "tensor batch"),
    ("T.RandomErasing(1.0, value='random')", "tensor"),
    ("T.RandomErasing(1.0, value=(1, 2, 3))", "tensor"),
    ("T.GaussianBlur(3)", "rgb tensor bytes"),
    ("T.RandomInvert(1.0)", "rgb tensor"),
    ("T.FiveCrop(4)", "rgb tensor"),
    ("T.TenCrop((4, 3), vertical_flip=True)", "tensor"),
    ("T.RandomApply([T.RandomHorizontalFlip(1), T.Pad(2)], p=0.4)", "rgb tensor"),
    ("T.RandomChoice([T.Pad(1), T.Pad(2), T.CenterCrop(3)])", "tensor"),
    ("T.RandomOrder([T.Pad(1), T.CenterCrop(9), T.Resize(12)])", "rgb tensor"),
    ("T.Compose([T.Resize(9), T.RandomCrop(8), T.ToTensor(), T.Normalize((0.5,), (0.5,))])", "rgb grey"),
    ("T.Lambda(lambda image: image)", "tensor"),
    ("T.RandomPerspective(0.6, 1.0)", "rgb tensor bytes"),
    ("T.RandomPerspective(0.3, 0.9, fill=7)", "rgb tensor grey"),
    ("T.RandomPosterize(3, 1.0)", "rgb bytes"),
    ("T.RandomSolarize(100, 1.0)", "rgb bytes"),
    ("T.RandomSolarize(0.4, 0.9)", "tensor"),
    ("T.RandomAdjustSharpness(2.5, 1.0)", "rgb tensor bytes batch"),
    ("T.RandomAdjustSharpness(0, 1.0)", "rgb tensor bytes"),
    ("T.RandomAutocontrast(1.0)", "rgb tensor bytes"),
    ("T.RandomEqualize(1.0)", "rgb bytes grey"),
    ("T.Compose([T.AutoAugment()] * 12)", "rgb bytes"),
    ("T.Compose([T.AutoAugment(T.AutoAugmentPolicy.CIFAR10, fill=3)] * 12)", "rgb bytes"),
    ("T.Compose([T.AutoAugment(T.AutoAugmentPolicy.SVHN)] * 12)", "rgb bytes"),
    ("T.Compose([T.RandAugment()] * 8)", "rgb bytes"),
    ("T.RandAugment(3, 12, fill=(1, 2, 3))", "rgb bytes"),
    ("T.Compose([T.TrivialAugmentWide()] * 9)", "rgb bytes"),
    ("T.AugMix()", "rgb bytes"),
    ("T.AugMix(5, 2, 2, all_ops=False)", "bytes"),
]

# Functions of T.functional, as expressions of the image v.
FUNCTIONS: list[tuple[str, str]] = [
    ("F.adjust_gamma(v, 0.5)", "rgb tensor"),
    ("F.adjust_saturation(v, 0.3)", "rgb tensor"),
    ("F.adjust_hue(v, -0.4)", "rgb tensor"),
    ("F.crop(v, -3, 5, 20, 6)", "rgb tensor"),
    ("F.rotate(v, 90)", "rgb tensor"),
    ("F.affine(v, 10, [1, 2], 1.5, [3, 4])", "rgb tensor"),
    ("F.resized_crop(v, 1, 2, 6, 5, (7, 8))", "rgb tensor"),
    ("F.perspective(v, [[0, 0], [9, 0], [9, 11], [0, 11]], [[1, 2], [7, 1], [8, 9], [2, 10]])", "rgb tensor"),
    ("F.equalize(v.expand(2, 3, 12, 10))", "bytes"),
    ("F.autocontrast(v * 0)", "bytes tensor"),
    ("F.get_dimensions(v)", "rgb tensor grey"),
    ("F.get_image_size(v)", "rgb tensor grey"),
]


def inputs(torch: Any) -> dict[str, Any]:
    """The images by name."""
    from PIL import Image

    rows, columns = numpy.arange(12)[:, None, None], numpy.arange(10)[None, :, None]
    pixels = ((rows * 37 + columns * 91 + numpy.arange(3) * 53) % 256).astype(numpy.uint8)
    grey = ((numpy.arange(9)[:, None] * 29 + numpy.arange(11)[None, :] * 71) % 256).astype(numpy.uint8)
    tensor = torch.from_numpy(numpy.ascontiguousarray(pixels.transpose(2, 0, 1))).float() / 255
    image = Image.fromarray(pixels)
    return {
        "rgb": image,
        "grey": Image.fromarray(grey),
        "one": Image.fromarray(grey).convert("1"),
        "wide": Image.fromarray(grey.astype(numpy.int32) * 1000),
        "float16bit": Image.fromarray(grey.astype(numpy.float32) / 7),
        "rgba": image.convert("RGBA"),
        "array": pixels,
        "tensor": tensor,
        "single": torch.from_numpy(grey[None]).float() / 255,
        "bytes": torch.from_numpy(numpy.ascontiguousarray(pixels.transpose(2, 0, 1))),
        "batch": torch.stack([tensor, tensor.flip(-1)]),
    }


def flattened(result: Any) -> list[numpy.ndarray]:
    """A transform's result as arrays: an image, a tensor, numbers, or several of them."""
    if isinstance(result, (tuple, list)):
        return [array for item in result for array in flattened(item)]
    if hasattr(result, "getbands"):
        return [numpy.array([ord(letter) for letter in result.mode]), numpy.array(result)]
    return [result.detach().numpy() if hasattr(result, "detach") else numpy.asarray(result)]
