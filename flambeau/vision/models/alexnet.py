"""AlexNet (Krizhevsky, 2014), layer by layer as torchvision names and initialises it."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._weights import weights_enum

__all__ = ["AlexNet", "AlexNet_Weights", "alexnet"]

AlexNet_Weights = weights_enum("AlexNet_Weights")


def _convolution(*sizes: int, **options: int) -> list[nn.Module]:
    return [nn.Conv2d(*sizes, **options), nn.ReLU(inplace=True)]


class AlexNet(nn.Module):
    """Five convolutions and three linear layers, for images (N, 3, H, W) of at least 63 x 63."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_convolution(3, 64, 11, stride=4, padding=2),
            nn.MaxPool2d(kernel_size=3, stride=2),
            *_convolution(64, 192, 5, padding=2),
            nn.MaxPool2d(kernel_size=3, stride=2),
            *_convolution(192, 384, 3, padding=1),
            *_convolution(384, 256, 3, padding=1),
            *_convolution(256, 256, 3, padding=1),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


@builder(AlexNet_Weights)
def alexnet(**kwargs: Any) -> AlexNet:
    """AlexNet."""
    return AlexNet(**kwargs)
