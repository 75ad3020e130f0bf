"""What `test_vision_detection.py` compares with torchvision 0.28 (`golden/detection.json`), told of either alike."""

from __future__ import annotations

from typing import Any

SEED = 7
_PYRAMID = (
    "M.detection.backbone_utils.BackboneWithFPN(M.resnet.ResNet(M.resnet.BasicBlock, [1, 1, 1, 1]), "
    "{f'layer{i}': str(i - 1) for i in (1, 2, 3, 4)}, [64, 128, 256, 512], 16)"
)
_SIZES = "min_size=64, max_size=96"
_BOXES = (
    "box_head=M.detection.faster_rcnn.TwoMLPHead(16 * 49, 32), box_batch_size_per_image=16, "
    "box_predictor=M.detection.faster_rcnn.FastRCNNPredictor(32, 3), box_detections_per_img=4, box_score_thresh=0.3"
)
_MASKS = (
    "mask_head=M.detection.mask_rcnn.MaskRCNNHeads(16, (8,), 1), "
    "mask_predictor=M.detection.mask_rcnn.MaskRCNNPredictor(8, 8, 3)"
)
_POINTS = (
    "keypoint_head=M.detection.keypoint_rcnn.KeypointRCNNHeads(16, (8,)), "
    "keypoint_predictor=M.detection.keypoint_rcnn.KeypointRCNNPredictor(8, 2)"
)

# Models with drawn weights: M is torchvision.models.
CASES: dict[str, str] = {
    "faster": f"M.detection.FasterRCNN({_PYRAMID}, {_SIZES}, {_BOXES})",
    "mask": f"M.detection.MaskRCNN({_PYRAMID}, {_SIZES}, {_BOXES}, {_MASKS})",
    "retinanet": f"M.detection.RetinaNet({_PYRAMID.replace('16)', '32)')}, 3, {_SIZES}, score_thresh=0.011, "
    "detections_per_img=4)",
    "fcos": f"M.detection.FCOS({_PYRAMID.replace('16)', '32)')}, 3, {_SIZES}, score_thresh=0.02, detections_per_img=4)",
    "ssd": f"M.detection.ssd.SSD({_PYRAMID}, M.detection.anchor_utils.DefaultBoxGenerator([[2]] * 5), (64, 64), 3, "
    "head=M.detection.ssd.SSDHead([16] * 5, [4] * 5, 3), detections_per_img=4)",
    "keypoint": f"M.detection.KeypointRCNN({_PYRAMID}, {_SIZES}, {_BOXES}, {_POINTS})",
}


def inputs(torch: Any) -> tuple[list[Any], list[dict[str, Any]]]:
    """Two images and what is known of them."""
    shapes = (3, 60, 80), (3, 70, 50)
    images = [torch.arange(s[0] * s[1] * s[2]).reshape(s).remainder(97 + i) / 100.0 for i, s in enumerate(shapes)]
    boxes = [[[5.0, 10, 35, 45], [25, 15, 75, 55]], [[2.0, 5, 30, 60]]]
    targets = []
    for image, rows in zip(images, boxes, strict=True):
        masks = torch.zeros(len(rows), *image.shape[1:], dtype=torch.uint8)
        for mask, (left, top, right, bottom) in zip(masks, rows, strict=True):
            mask[int(top) + 3 : int(bottom), int(left) : int(right) - 4] = 1
        points = [
            [[left + 3, top + 4, 1], [right - 2, bottom - 5, i % 2]]
            for i, (left, top, right, bottom) in enumerate(rows)
        ]
        targets.append({
            "boxes": torch.tensor(rows), "labels": torch.arange(1, len(rows) + 1), "masks": masks,
            "keypoints": torch.tensor(points, dtype=torch.float32),
        })  # fmt: skip
    return images, targets


def results(torch: Any, models: Any, expression: str) -> dict[str, Any]:
    """The losses and the sum of gradients of a seeded model, and what it finds: shapes and rounded numbers."""
    torch.manual_seed(SEED)
    model = eval(expression, {"M": models}).train()
    for p in model.head.parameters() if hasattr(model, "head") else ():
        p.data.mul_(6 if p.dim() > 1 else 1)  # so that scores differ
    images, targets = inputs(torch)
    losses = model(images, targets)
    torch.stack(list(losses.values())).sum().backward()
    grads = sum(float(p.grad.double().abs().sum()) for p in model.parameters() if p.grad is not None)
    found: dict[str, Any] = {"losses": {name: loss.item() for name, loss in losses.items()}, "grads": grads}
    found["next"] = torch.rand(1).item()
    model.eval()
    with torch.no_grad():
        detections = model(images)
    found["found"] = [
        {name: [list(v.shape), v.double().mean().item(), *v.double().flatten()[:4].tolist()] for name, v in one.items()}
        for one in detections
    ]
    return found
