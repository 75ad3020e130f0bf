"""Samples and transforms that `test_vision_samples.py` compares with torchvision 0.28 (`golden/joint.json`)."""

from __future__ import annotations

from typing import Any

# Expressions in which V is torchvision.transforms.v2, K torchvision.tv_tensors and X torch.
CASES = [
    "V.Resize((12, 20))", "V.Resize(16, max_size=30)", "V.Resize((9, 9), interpolation=V.InterpolationMode.NEAREST)",
    "V.Resize((10, 10), interpolation=V.InterpolationMode.BICUBIC, antialias=False)", "V.CenterCrop(16)",
    "V.CenterCrop((30, 40))", "V.Pad([1, 2, 3, 4], fill=7)", "V.RandomCrop((16, 20))", "V.RandomCrop((24, 20))",
    "V.RandomCrop((20, 40), padding=2, pad_if_needed=True)", "V.RandomResizedCrop((14, 18))",
    "V.RandomHorizontalFlip()", "V.RandomVerticalFlip(1.0)", "V.RandomRotation(30)",
    "V.RandomRotation(45, center=(3, 4), fill=2)", "V.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), (5, 6))",
    "V.RandomPerspective(0.4, 1.0)", "V.ElasticTransform()", "V.ElasticTransform([30.0, 60.0], [2.0, 3.0])",
    "V.RandomZoomOut(p=0.8)", "V.RandomIoUCrop()", "V.ScaleJitter((20, 20))",
    "V.RandomShortestSize([10, 14, 18], max_size=20)", "V.RandomResize(10, 20)", "V.ColorJitter(0.3, 0.3)",
    "V.Grayscale(3)", "V.RandomGrayscale(0.5)", "V.RandomInvert(1.0)", "V.RandomSolarize(100, 1.0)",
    "V.GaussianBlur(3)", "V.RandomPhotometricDistort((0.8, 1.2), (0.7, 1.1), (0.5, 1.5), (0, 0), p=0.7)",
    "V.RandomChannelPermutation()", "V.RandomErasing(0.7)", "V.ToDtype(X.float32, scale=True)",
    "V.ToDtype({K.Image: X.float32, K.Mask: X.int64, 'others': None}, scale=True)",
    "V.ConvertBoundingBoxFormat('CXCYWH')", "V.ConvertBoundingBoxFormat('XYWH')", "V.ClampBoundingBoxes()",
    "V.ToPureTensor()", "V.Identity()", "V.RandomApply([V.RandomVerticalFlip(1.0)], p=0.5)",
    "V.Compose([V.RandomHorizontalFlip(1.0), V.Resize((10, 10))])",
    "V.RandomChoice([V.Resize((9, 9)), V.CenterCrop(9)], p=[1, 3])",
    "V.RandomOrder([V.Resize((9, 9)), V.CenterCrop(11)])", "V.SanitizeBoundingBoxes(min_size=9)",
    "V.Lambda(lambda x: x + 1, K.BoundingBoxes)",
    "V.Compose([V.RandomIoUCrop(), V.Resize((8, 8)), V.SanitizeBoundingBoxes()])",
]  # fmt: skip
ALONE = ["V.AutoAugment()", "V.RandAugment()", "V.TrivialAugmentWide()", "V.FiveCrop(10)", "V.ToImage()"]
ROWS = {
    "XYXY": [[2, 3, 10, 12], [15, 1, 30, 20]],
    "XYWH": [[2, 3, 8, 9], [15, 1, 15, 19]],
    "CXCYWH": [[6, 7, 8, 9], [22, 10, 15, 19]],
}
SEEDS = (0, 1, 2)


def pixels(torch: Any, shape: tuple[int, ...], most: int) -> Any:
    """Bytes below `most` that look random."""
    count = 1
    for side in shape:
        count *= side
    return (torch.arange(count) * 7919 % 1009 % most).to(torch.uint8).reshape(shape)


def sample(torch: Any, kinds: Any, layout: str, dtype: Any) -> dict[str, Any]:
    """An image, masks (H, W) and (N, H, W), boxes, labels and a number."""
    return {
        "image": kinds.Image(pixels(torch, (3, 24, 32), 256)),
        "mask": kinds.Mask(pixels(torch, (24, 32), 5)),
        "masks": kinds.Mask(pixels(torch, (2, 24, 32), 2)),
        "boxes": kinds.BoundingBoxes(ROWS[layout], format=layout, canvas_size=(24, 32), dtype=dtype),
        "labels": torch.tensor([1, 2]),
        "number": 5,
    }


def told(torch: Any, kinds: Any, x: Any) -> Any:
    """What a result is, as JSON: of tensors kind, shape, dtype and sum, of boxes all."""
    if isinstance(x, dict):
        return {k: told(torch, kinds, v) for k, v in x.items()}
    if isinstance(x, (tuple, list)):
        return [told(torch, kinds, v) for v in x]
    if not isinstance(x, torch.Tensor):
        return x
    plain = x.as_subclass(torch.Tensor)
    facts = [type(x).__name__, list(plain.shape), str(plain.dtype), round(plain.double().sum().item(), 3)]
    if isinstance(x, kinds.BoundingBoxes):
        facts += [[round(float(n), 3) for row in plain.tolist() for n in row], x.format.value, list(x.canvas_size)]
    return facts


def results(torch: Any, kinds: Any, v2: Any, expression: str) -> list[Any]:
    """What a transform gives for each seed and format of boxes, and what the generator gives afterwards."""
    transform = eval(expression, {"V": v2, "K": kinds, "X": torch})
    if expression in ALONE:
        given = [pixels(torch, (3, 24, 32), 256)] * 3
    else:
        types = {"XYXY": torch.float32, "XYWH": torch.int64, "CXCYWH": torch.float32}
        given = [sample(torch, kinds, layout, dtype) for layout, dtype in types.items()]
    found = []
    for x in given:
        for seed in SEEDS:
            torch.manual_seed(seed)
            found.append([told(torch, kinds, transform(x)), round(torch.rand(1).item(), 5)])
    return found
