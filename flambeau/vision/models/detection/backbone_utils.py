"""Classifiers whose features become pyramids."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models import mobilenetv2, mobilenetv3, resnet
from flambeau.vision.models._builders import modern
from flambeau.vision.models._utils import IntermediateLayerGetter, last_of_each_size
from flambeau.vision.ops import FrozenBatchNorm2d
from flambeau.vision.ops.feature_pyramid_network import ExtraFPNBlock, FeaturePyramidNetwork, LastLevelMaxPool

__all__ = ["BackboneWithFPN", "mobilenet_backbone", "resnet_fpn_backbone"]

_Norm = Callable[..., nn.Module]


class BackboneWithFPN(nn.Module):
    """Features of a model as a pyramid of `out_channels` channels.

    Args:
        backbone: whose children are called one after another.
        return_layers: the names of those whose results are used, and names of the results.
        in_channels_list: channels of these results.
        out_channels: channels of the pyramid.
        extra_blocks: adds further maps (default: the smallest one at half its size).
        norm_layer: a normalisation after each convolution of the pyramid, or None.
    """

    def __init__(
        self,
        backbone: nn.Module,
        return_layers: Mapping[str, str],
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: _Norm | None = None,
    ) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(backbone, return_layers)
        extra = LastLevelMaxPool() if extra_blocks is None else extra_blocks
        self.fpn = FeaturePyramidNetwork(in_channels_list, out_channels, extra, norm_layer)
        self.out_channels = out_channels

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """The pyramid of images (N, 3, H, W)."""
        return self.fpn(self.body(x))


def _chosen(name: str, module: Any, weights: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The function that builds a classifier, and its weights also where an old argument says which."""
    build = getattr(module, name)
    return build, modern(weights, kwargs, build.weights, old="pretrained")


def resnet_fpn_backbone(
    backbone_name: str,
    weights: Any = None,
    norm_layer: _Norm = FrozenBatchNorm2d,
    trainable_layers: int = 3,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    **kwargs: Any,
) -> BackboneWithFPN:
    """A residual network as a pyramid of 256 channels.

    Args:
        backbone_name: "resnet18", ...
        weights: its weights, or None.
        norm_layer: its normalisation.
        trainable_layers: how many of its five parts are trained, counted from the end.
        returned_layers: which of its four groups are used (default: all).
        extra_blocks: adds further maps.
        **kwargs: the old argument `pretrained`.

    Raises:
        ValueError: there are no such groups or parts.
    """
    build, weights = _chosen(backbone_name, resnet, weights, kwargs)
    return _resnet_fpn_extractor(
        build(weights=weights, norm_layer=norm_layer), trainable_layers, returned_layers, extra_blocks
    )


def _resnet_fpn_extractor(
    backbone: Any,
    trainable_layers: int,
    returned_layers: Sequence[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: _Norm | None = None,
) -> BackboneWithFPN:
    """A given residual network as a pyramid, as `resnet_fpn_backbone`."""
    if trainable_layers < 0 or trainable_layers > 5:
        raise ValueError(f"Trainable layers should be in the range [0,5], got {trainable_layers}")
    trained = ["layer4", "layer3", "layer2", "layer1", "conv1"][:trainable_layers]
    trained += ["bn1"] if trainable_layers == 5 else []
    for name, parameter in backbone.named_parameters():
        if not name.startswith(tuple(trained)):
            parameter.requires_grad_(False)
    layers = [1, 2, 3, 4] if returned_layers is None else returned_layers
    if min(layers) <= 0 or max(layers) >= 5:
        raise ValueError(f"Each returned layer should be in the range [1,4]. Got {layers}")
    names = {f"layer{k}": str(i) for i, k in enumerate(layers)}
    channels = [backbone.inplanes // 8 * 2 ** (k - 1) for k in layers]
    return BackboneWithFPN(backbone, names, channels, 256, extra_blocks, norm_layer)


def _validate_trainable_layers(
    is_trained: bool, trainable_backbone_layers: int | None, max_value: int, default_value: int
) -> int:
    """How many parts of a backbone are trained: all of one that is not trained yet.

    Raises:
        ValueError: it has not so many.
    """
    layers = trainable_backbone_layers
    if not is_trained:
        if layers is not None:
            warnings.warn(
                "Changing trainable_backbone_layers has no effect if neither pretrained nor pretrained_backbone have "
                f"been set to True, falling back to trainable_backbone_layers={max_value} so that all layers are "
                "trainable",
                stacklevel=2,
            )
        return max_value
    layers = default_value if layers is None else layers
    if layers < 0 or layers > max_value:
        raise ValueError(f"Trainable backbone layers should be in the range [0,{max_value}], got {layers} ")
    return layers


def mobilenet_backbone(
    backbone_name: str,
    weights: Any = None,
    fpn: bool = False,
    norm_layer: _Norm = FrozenBatchNorm2d,
    trainable_layers: int = 2,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    **kwargs: Any,
) -> Any:
    """A mobile network's features with 256 channels, as a pyramid if `fpn` is True.

    Args:
        backbone_name: "mobilenet_v2", "mobilenet_v3_large" or "mobilenet_v3_small".
        weights: its weights, or None.
        fpn: whether to make a pyramid.
        norm_layer: its normalisation.
        trainable_layers: how many of its parts are trained, counted from the end; a part is of one size.
        returned_layers: which of its parts are used in a pyramid (default: the last two).
        extra_blocks: adds further maps.
        **kwargs: the old argument `pretrained`.

    Raises:
        ValueError: there are no such parts.
    """
    home = mobilenetv2 if hasattr(mobilenetv2, backbone_name) else mobilenetv3
    build, weights = _chosen(backbone_name, home, weights, kwargs)
    backbone = build(weights=weights, norm_layer=norm_layer)
    return _mobilenet_extractor(backbone, fpn, trainable_layers, returned_layers, extra_blocks)


def first_trained(features: Any, ends: Sequence[int], layers: int) -> int:
    """Freezes the parts of a mobile network's features that are not trained; returns where the others begin."""
    if layers < 0 or layers > len(ends):
        raise ValueError(f"Trainable layers should be in the range [0,{len(ends)}], got {layers} ")
    first = ends[len(ends) - layers] if layers else len(features)
    for block in features[:first]:
        block.requires_grad_(False)
    return first


def _mobilenet_extractor(
    backbone: Any,
    fpn: bool,
    trainable_layers: int,
    returned_layers: Sequence[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    norm_layer: _Norm | None = None,
) -> Any:
    """A given mobile network's features, as `mobilenet_backbone`."""
    features = backbone.features
    ends = last_of_each_size(features)
    first_trained(features, ends, trainable_layers)
    if not fpn:
        plain = nn.Sequential(features, nn.Conv2d(features[-1].out_channels, 256, 1))
        plain.out_channels = 256
        return plain
    layers = [len(ends) - 2, len(ends) - 1] if returned_layers is None else returned_layers
    if min(layers) < 0 or max(layers) >= len(ends):
        raise ValueError(f"Each returned layer should be in the range [0,{len(ends) - 1}], got {layers} ")
    names = {str(ends[k]): str(i) for i, k in enumerate(layers)}
    channels = [features[ends[k]].out_channels for k in layers]
    return BackboneWithFPN(features, names, channels, 256, extra_blocks, norm_layer)
