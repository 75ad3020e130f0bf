"""Faster R-CNN (Ren, He, Girshick, Sun, 2015) on feature pyramids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._on_backbones import Start, on_backbone
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.detection._utils import overwrite_eps
from flambeau.vision.models.detection.anchor_utils import AnchorGenerator
from flambeau.vision.models.detection.backbone_utils import (
    BackboneWithFPN,
    _mobilenet_extractor,
    _resnet_fpn_extractor,
    _validate_trainable_layers,
)
from flambeau.vision.models.detection.generalized_rcnn import GeneralizedRCNN
from flambeau.vision.models.detection.roi_heads import RoIHeads
from flambeau.vision.models.detection.rpn import RegionProposalNetwork, RPNHead
from flambeau.vision.models.detection.transform import GeneralizedRCNNTransform
from flambeau.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from flambeau.vision.models.resnet import ResNet50_Weights, resnet50
from flambeau.vision.ops import Conv2dNormActivation, FrozenBatchNorm2d, MultiScaleRoIAlign

__all__ = [
    "FasterRCNN",
    "FasterRCNN_MobileNet_V3_Large_320_FPN_Weights",
    "FasterRCNN_MobileNet_V3_Large_FPN_Weights",
    "FasterRCNN_ResNet50_FPN_V2_Weights",
    "FasterRCNN_ResNet50_FPN_Weights",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
]

FasterRCNN_ResNet50_FPN_Weights = weights_enum("FasterRCNN_ResNet50_FPN_Weights")
FasterRCNN_ResNet50_FPN_V2_Weights = weights_enum("FasterRCNN_ResNet50_FPN_V2_Weights")
FasterRCNN_MobileNet_V3_Large_FPN_Weights = weights_enum("FasterRCNN_MobileNet_V3_Large_FPN_Weights")
FasterRCNN_MobileNet_V3_Large_320_FPN_Weights = weights_enum("FasterRCNN_MobileNet_V3_Large_320_FPN_Weights")

IMAGE_MEAN, IMAGE_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def default_anchors() -> AnchorGenerator:
    """One size of boxes for each of five maps, in three shapes."""
    sizes = ((32,), (64,), (128,), (256,), (512,))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))


def must_be_none_or(kind: type, name: str, value: Any) -> None:
    """Refuses what is neither None nor of a type.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, (kind, type(None))):
        raise TypeError(f"{name} should be of type {kind.__name__} or None instead of {type(value)}")


def must_have_out_channels(backbone: Any) -> None:
    """Refuses a backbone that does not say how many channels its maps have.

    Raises:
        ValueError: it does not.
    """
    if not hasattr(backbone, "out_channels"):
        raise ValueError(
            "backbone should contain an attribute out_channels specifying the number of output channels (assumed to "
            "be the same for all the levels)"
        )


class FasterRCNN(GeneralizedRCNN):
    """Finds objects: in training their losses, in evaluation "boxes", "labels" and "scores" of each image.

    The arguments that begin with `rpn` are those of `RegionProposalNetwork`, those with `box` of `RoIHeads`; `_train`
    and `_test` are for training and evaluation.

    Args:
        backbone: images to a map or several by name, of `backbone.out_channels` channels.
        num_classes: classes, background among them; None where `box_predictor` is given.
        min_size: the shorter side of resized images, or several.
        max_size: the most that the longer side becomes.
        image_mean: what is subtracted from each channel.
        image_std: what each channel is divided by.
        box_roi_pool: features of regions.
        box_head: these to vectors.
        box_predictor: vectors to logits and boxes.

    Raises:
        ValueError: `backbone` has no `out_channels`, or `num_classes` does not go with `box_predictor`.
        TypeError: the anchors or the pool are of another type.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        min_size: Any = 800,
        max_size: int = 1333,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        rpn_anchor_generator: AnchorGenerator | None = None,
        rpn_head: nn.Module | None = None,
        rpn_pre_nms_top_n_train: int = 2000,
        rpn_pre_nms_top_n_test: int = 1000,
        rpn_post_nms_top_n_train: int = 2000,
        rpn_post_nms_top_n_test: int = 1000,
        rpn_nms_thresh: float = 0.7,
        rpn_fg_iou_thresh: float = 0.7,
        rpn_bg_iou_thresh: float = 0.3,
        rpn_batch_size_per_image: int = 256,
        rpn_positive_fraction: float = 0.5,
        rpn_score_thresh: float = 0.0,
        box_roi_pool: MultiScaleRoIAlign | None = None,
        box_head: nn.Module | None = None,
        box_predictor: nn.Module | None = None,
        box_score_thresh: float = 0.05,
        box_nms_thresh: float = 0.5,
        box_detections_per_img: int = 100,
        box_fg_iou_thresh: float = 0.5,
        box_bg_iou_thresh: float = 0.5,
        box_batch_size_per_image: int = 512,
        box_positive_fraction: float = 0.25,
        bbox_reg_weights: Any = None,
        **kwargs: Any,
    ) -> None:
        must_have_out_channels(backbone)
        must_be_none_or(AnchorGenerator, "rpn_anchor_generator", rpn_anchor_generator)
        must_be_none_or(MultiScaleRoIAlign, "box_roi_pool", box_roi_pool)
        if num_classes is not None and box_predictor is not None:
            raise ValueError("num_classes should be None when box_predictor is specified")
        if num_classes is None and box_predictor is None:
            raise ValueError("num_classes should not be None when box_predictor is not specified")
        channels = backbone.out_channels
        anchors = rpn_anchor_generator or default_anchors()
        rpn = RegionProposalNetwork(
            anchors,
            RPNHead(channels, anchors.num_anchors_per_location()[0]) if rpn_head is None else rpn_head,
            rpn_fg_iou_thresh,
            rpn_bg_iou_thresh,
            rpn_batch_size_per_image,
            rpn_positive_fraction,
            {"training": rpn_pre_nms_top_n_train, "testing": rpn_pre_nms_top_n_test},
            {"training": rpn_post_nms_top_n_train, "testing": rpn_post_nms_top_n_test},
            rpn_nms_thresh,
            rpn_score_thresh,
        )
        pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2) if box_roi_pool is None else box_roi_pool
        roi_heads = RoIHeads(
            pool,
            TwoMLPHead(channels * pool.output_size[0] ** 2, 1024) if box_head is None else box_head,
            FastRCNNPredictor(1024, num_classes or 0) if box_predictor is None else box_predictor,
            box_fg_iou_thresh,
            box_bg_iou_thresh,
            box_batch_size_per_image,
            box_positive_fraction,
            bbox_reg_weights,
            box_score_thresh,
            box_nms_thresh,
            box_detections_per_img,
        )
        colours = image_mean or IMAGE_MEAN, image_std or IMAGE_STD
        transform = GeneralizedRCNNTransform(min_size, max_size, *colours, **kwargs)
        super().__init__(backbone, rpn, roi_heads, transform)


class TwoMLPHead(nn.Module):
    """Two linear layers with ReLU: (N, ...) of `in_channels` numbers to (N, representation_size)."""

    def __init__(self, in_channels: int, representation_size: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_channels, representation_size)
        self.fc7 = nn.Linear(representation_size, representation_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The vectors."""
        return F.relu(self.fc7(F.relu(self.fc6(x.flatten(start_dim=1)))))


class FastRCNNConvFCHead(nn.Sequential):
    """Convolutions and linear layers.

    Args:
        input_size: channels, height and width of the features of a region.
        conv_layers: channels after each convolution.
        fc_layers: sizes after each linear layer.
        norm_layer: a normalisation after each convolution, or None.
    """

    def __init__(
        self,
        input_size: tuple[int, int, int],
        conv_layers: Sequence[int],
        fc_layers: Sequence[int],
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        channels, height, width = input_size
        blocks: list[nn.Module] = []
        for after in conv_layers:
            blocks.append(Conv2dNormActivation(channels, after, norm_layer=norm_layer))
            channels = after
        blocks.append(nn.Flatten())
        size = channels * height * width
        for after in fc_layers:
            blocks += [nn.Linear(size, after), nn.ReLU(inplace=True)]
            size = after
        super().__init__(*blocks)
        initialise_convolutions(self)


def initialise_convolutions(model: nn.Module) -> None:
    """Draws the weights of convolutions for ReLU, and zeroes their biases."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class FastRCNNPredictor(nn.Module):
    """Vectors (N, in_channels) to logits (N, num_classes) and boxes (N, 4 * num_classes)."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, num_classes * 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and boxes.

        Raises:
            AssertionError: `x` is an image of more than one pixel.
        """
        if x.dim() == 4:
            sides = list(x.shape[2:])
            message = f"x has the wrong shape, expecting the last two dimensions to be [1,1] instead of {sides}"
            torch._assert(sides == [1, 1], message)
        x = x.flatten(start_dim=1)
        return self.cls_score(x), self.bbox_pred(x)


def resnet50_pyramid(start: Start, layers: int | None, **options: Any) -> BackboneWithFPN:
    """ResNet-50 as a pyramid, its normalisations frozen if it is trained."""
    layers = _validate_trainable_layers(start.trained, layers, 5, 3)
    norm = FrozenBatchNorm2d if start.trained else nn.BatchNorm2d
    return _resnet_fpn_extractor(resnet50(norm_layer=norm, **start.options), layers, **_with_extra(options))


def _with_extra(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a pyramid, its further maps made now: their weights are drawn after those of the network."""
    make = options.pop("make_extra", None)
    return options if make is None else {**options, "extra_blocks": make()}


def resnet50_pyramid_v2(start: Start, layers: int | None, **options: Any) -> BackboneWithFPN:
    """ResNet-50 as a pyramid of the second version, which normalises everywhere."""
    layers = _validate_trainable_layers(start.trained, layers, 5, 3)
    return _resnet_fpn_extractor(resnet50(**start.options), layers, **_with_extra(options))


def second_version(backbone: Any) -> dict[str, Any]:
    """The parts of the second version that propose regions and look at them."""
    anchors = default_anchors()
    rpn_head = RPNHead(backbone.out_channels, anchors.num_anchors_per_location()[0], conv_depth=2)
    size = (backbone.out_channels, 7, 7)
    box_head = FastRCNNConvFCHead(size, [256] * 4, [1024], norm_layer=nn.BatchNorm2d)
    return {"rpn_anchor_generator": anchors, "rpn_head": rpn_head, "box_head": box_head}


def finished(model: Any, start: Start) -> Any:
    """The model, with the epsilon that its trained weights were trained with."""
    if start.weights is not None and start.weights.name == "COCO_V1":
        overwrite_eps(model, 0.0)
    return model


@on_backbone(FasterRCNN_ResNet50_FPN_Weights, ResNet50_Weights, 91)
def fasterrcnn_resnet50_fpn(
    start: Start, num_classes: int, trainable_backbone_layers: int | None = None, **kwargs: Any
) -> FasterRCNN:
    """Faster R-CNN on ResNet-50."""
    backbone = resnet50_pyramid(start, trainable_backbone_layers)
    return finished(FasterRCNN(backbone, num_classes, **kwargs), start)


@on_backbone(FasterRCNN_ResNet50_FPN_V2_Weights, ResNet50_Weights, 91, default=None)
def fasterrcnn_resnet50_fpn_v2(
    start: Start, num_classes: int, trainable_backbone_layers: int | None = None, **kwargs: Any
) -> FasterRCNN:
    """Faster R-CNN on ResNet-50 with more convolutions and normalisations (Li et al., 2021)."""
    backbone = resnet50_pyramid_v2(start, trainable_backbone_layers, norm_layer=nn.BatchNorm2d)
    return FasterRCNN(backbone, num_classes, **{**second_version(backbone), **kwargs})


def _on_mobilenet(start: Start, num_classes: int, layers: int | None, kwargs: dict[str, Any]) -> FasterRCNN:
    layers = _validate_trainable_layers(start.trained, layers, 6, 3)
    norm = FrozenBatchNorm2d if start.trained else nn.BatchNorm2d
    backbone = _mobilenet_extractor(mobilenet_v3_large(norm_layer=norm, **start.options), True, layers)
    anchors = AnchorGenerator(((32, 64, 128, 256, 512),) * 3, ((0.5, 1.0, 2.0),) * 3)
    return FasterRCNN(backbone, num_classes, rpn_anchor_generator=anchors, **kwargs)


@on_backbone(FasterRCNN_MobileNet_V3_Large_320_FPN_Weights, MobileNet_V3_Large_Weights, 91)
def fasterrcnn_mobilenet_v3_large_320_fpn(
    start: Start, num_classes: int, trainable_backbone_layers: int | None = None, **kwargs: Any
) -> FasterRCNN:
    """Faster R-CNN on the large MobileNetV3, for images of 320 pixels."""
    small = {"min_size": 320, "max_size": 640, "rpn_score_thresh": 0.05}
    few = {"rpn_pre_nms_top_n_test": 150, "rpn_post_nms_top_n_test": 150}
    return _on_mobilenet(start, num_classes, trainable_backbone_layers, {**small, **few, **kwargs})


@on_backbone(FasterRCNN_MobileNet_V3_Large_FPN_Weights, MobileNet_V3_Large_Weights, 91)
def fasterrcnn_mobilenet_v3_large_fpn(
    start: Start, num_classes: int, trainable_backbone_layers: int | None = None, **kwargs: Any
) -> FasterRCNN:
    """Faster R-CNN on the large MobileNetV3."""
    return _on_mobilenet(start, num_classes, trainable_backbone_layers, {"rpn_score_thresh": 0.05, **kwargs})
