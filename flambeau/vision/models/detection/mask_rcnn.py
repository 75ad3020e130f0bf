"""Mask R-CNN (He, Gkioxari, Dollár, Girshick, 2017): Faster R-CNN that also finds the pixels of each object."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from flambeau import nn
from flambeau.vision.models._on_backbones import Start, on_backbone
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.detection._utils import renamed
from flambeau.vision.models.detection.faster_rcnn import (
    FasterRCNN,
    finished,
    initialise_convolutions,
    must_be_none_or,
    resnet50_pyramid,
    resnet50_pyramid_v2,
    second_version,
)
from flambeau.vision.models.resnet import ResNet50_Weights
from flambeau.vision.ops import Conv2dNormActivation, MultiScaleRoIAlign

__all__ = [
    "MaskRCNN",
    "MaskRCNN_ResNet50_FPN_V2_Weights",
    "MaskRCNN_ResNet50_FPN_Weights",
    "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2",
]

MaskRCNN_ResNet50_FPN_Weights = weights_enum("MaskRCNN_ResNet50_FPN_Weights")
MaskRCNN_ResNet50_FPN_V2_Weights = weights_enum("MaskRCNN_ResNet50_FPN_V2_Weights")


class MaskRCNN(FasterRCNN):
    """Finds objects and their pixels: `FasterRCNN` whose targets and results have "masks" (N, H, W) and (N, 1, H, W).

    Args:
        backbone: images to maps, as of `FasterRCNN`.
        num_classes: classes, background among them; None where predictors are given.
        *args: as of `FasterRCNN`.
        mask_roi_pool: features of regions for masks.
        mask_head: these to others.
        mask_predictor: those to logits (N, num_classes, M, M).
        **kwargs: as of `FasterRCNN`.

    Raises:
        ValueError: as of `FasterRCNN`.
        TypeError: as of `FasterRCNN`.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        *args: Any,
        mask_roi_pool: MultiScaleRoIAlign | None = None,
        mask_head: nn.Module | None = None,
        mask_predictor: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        must_be_none_or(MultiScaleRoIAlign, "mask_roi_pool", mask_roi_pool)
        if num_classes is not None and mask_predictor is not None:
            raise ValueError("num_classes should be None when mask_predictor is specified")
        pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 14, 2) if mask_roi_pool is None else mask_roi_pool
        head = MaskRCNNHeads(backbone.out_channels, (256, 256, 256, 256), 1) if mask_head is None else mask_head
        predictor = MaskRCNNPredictor(256, 256, num_classes or 0) if mask_predictor is None else mask_predictor
        super().__init__(backbone, num_classes, *args, **kwargs)
        self.roi_heads.mask_roi_pool = pool
        self.roi_heads.mask_head = head
        self.roi_heads.mask_predictor = predictor


class MaskRCNNHeads(nn.Sequential):
    """Convolutions over the features of regions.

    Args:
        in_channels: channels of the features.
        layers: channels after each convolution.
        dilation: of each.
        norm_layer: a normalisation after each, or None.
    """

    _version = 2

    def __init__(
        self,
        in_channels: int,
        layers: Sequence[int],
        dilation: int,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        blocks = []
        for after in layers:
            how = {"padding": dilation, "dilation": dilation, "norm_layer": norm_layer}
            blocks.append(Conv2dNormActivation(in_channels, after, kernel_size=3, stride=1, **how))
            in_channels = after
        super().__init__(*blocks)
        initialise_convolutions(self)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        names = {f"{prefix}mask_fcn{i + 1}": f"{prefix}{i}.0" for i in range(len(self))}
        renamed(state_dict, local_metadata, names)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class MaskRCNNPredictor(nn.Sequential):
    """Features (N, in_channels, M, M) to logits (N, num_classes, 2 * M, 2 * M)."""

    def __init__(self, in_channels: int, dim_reduced: int, num_classes: int) -> None:
        layers: dict[str, nn.Module] = OrderedDict()
        layers["conv5_mask"] = nn.ConvTranspose2d(in_channels, dim_reduced, 2, 2, 0)
        layers["relu"] = nn.ReLU(inplace=True)
        layers["mask_fcn_logits"] = nn.Conv2d(dim_reduced, num_classes, 1, 1, 0)
        super().__init__(layers)
        for name, parameter in self.named_parameters():
            if "weight" in name:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")


@on_backbone(MaskRCNN_ResNet50_FPN_Weights, ResNet50_Weights, 91)
def maskrcnn_resnet50_fpn(
    start: Start, num_classes: int, trainable_backbone_layers: int | None = None, **kwargs: Any
) -> MaskRCNN:
    """Mask R-CNN on ResNet-50."""
    backbone = resnet50_pyramid(start, trainable_backbone_layers)
    return finished(MaskRCNN(backbone, num_classes, **kwargs), start)


@on_backbone(MaskRCNN_ResNet50_FPN_V2_Weights, ResNet50_Weights, 91, default=None)
def maskrcnn_resnet50_fpn_v2(
    start: Start, num_classes: int, trainable_backbone_layers: int | None = None, **kwargs: Any
) -> MaskRCNN:
    """Mask R-CNN on ResNet-50 with more convolutions and normalisations (Li et al., 2021)."""
    backbone = resnet50_pyramid_v2(start, trainable_backbone_layers, norm_layer=nn.BatchNorm2d)
    parts = second_version(backbone)
    parts["mask_head"] = MaskRCNNHeads(backbone.out_channels, [256] * 4, 1, norm_layer=nn.BatchNorm2d)
    return MaskRCNN(backbone, num_classes, **{**parts, **kwargs})
