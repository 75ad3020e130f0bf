"""VGG networks (Simonyan, Zisserman, 2014), layer by layer as torchvision names and initialises them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._builders import builder, must_be
from flambeau.vision.models._weights import weights_enum

__all__ = [
    "VGG",
    "VGG11_BN_Weights",
    "VGG11_Weights",
    "VGG13_BN_Weights",
    "VGG13_Weights",
    "VGG16_BN_Weights",
    "VGG16_Weights",
    "VGG19_BN_Weights",
    "VGG19_Weights",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

VGG11_Weights = weights_enum("VGG11_Weights")
VGG11_BN_Weights = weights_enum("VGG11_BN_Weights")
VGG13_Weights = weights_enum("VGG13_Weights")
VGG13_BN_Weights = weights_enum("VGG13_BN_Weights")
VGG16_Weights = weights_enum("VGG16_Weights")
VGG16_BN_Weights = weights_enum("VGG16_BN_Weights")
VGG19_Weights = weights_enum("VGG19_Weights")
VGG19_BN_Weights = weights_enum("VGG19_BN_Weights")

# Channels of each convolution, "M" for a maximum pool; torchvision's letters for the depths 11, 13, 16 and 19.
cfgs: dict[str, list[str | int]] = {
    "A": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "B": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "D": [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
    "E": [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"],
}


class VGG(nn.Module):
    """Features, then three linear layers, for images (N, 3, H, W) of at least 32 x 32."""

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            self.apply_initialisation()

    def apply_initialisation(self) -> None:
        """Draws the weights anew."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.constant_(module.bias, 0)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.constant_(module.bias, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def make_layers(cfg: Sequence[str | int], batch_norm: bool = False) -> nn.Sequential:
    """The features of a network whose layers ``cfg`` lists as ``cfgs`` does."""
    layers: list[nn.Module] = []
    before = 3
    for channels in cfg:
        if not isinstance(channels, int):
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(before, channels, kernel_size=3, padding=1))
        layers += [nn.BatchNorm2d(channels)] if batch_norm else []
        layers.append(nn.ReLU(inplace=True))
        before = channels
    return nn.Sequential(*layers)


def _vgg(cfg: str, batch_norm: bool, kwargs: dict[str, Any]) -> VGG:
    return VGG(make_layers(cfgs[cfg], batch_norm), **kwargs)


def _prepare(weights: Any, kwargs: dict[str, Any]) -> None:
    must_be(kwargs, "init_weights", False)


@builder(VGG11_Weights, _prepare)
def vgg11(**kwargs: Any) -> VGG:
    """VGG-11."""
    return _vgg("A", False, kwargs)


@builder(VGG11_BN_Weights, _prepare)
def vgg11_bn(**kwargs: Any) -> VGG:
    """VGG-11 with batch normalisation."""
    return _vgg("A", True, kwargs)


@builder(VGG13_Weights, _prepare)
def vgg13(**kwargs: Any) -> VGG:
    """VGG-13."""
    return _vgg("B", False, kwargs)


@builder(VGG13_BN_Weights, _prepare)
def vgg13_bn(**kwargs: Any) -> VGG:
    """VGG-13 with batch normalisation."""
    return _vgg("B", True, kwargs)


@builder(VGG16_Weights, _prepare)
def vgg16(**kwargs: Any) -> VGG:
    """VGG-16."""
    return _vgg("D", False, kwargs)


@builder(VGG16_BN_Weights, _prepare)
def vgg16_bn(**kwargs: Any) -> VGG:
    """VGG-16 with batch normalisation."""
    return _vgg("D", True, kwargs)


@builder(VGG19_Weights, _prepare)
def vgg19(**kwargs: Any) -> VGG:
    """VGG-19."""
    return _vgg("E", False, kwargs)


@builder(VGG19_BN_Weights, _prepare)
def vgg19_bn(**kwargs: Any) -> VGG:
    """VGG-19 with batch normalisation."""
    return _vgg("E", True, kwargs)
