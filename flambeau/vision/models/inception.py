"""Inception v3 (Szegedy et al., 2016), layer by layer as torchvision names and initialises it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._builders import builder, must_be
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.googlenet import BasicConv2d, normalised_by_half

__all__ = ["Inception3", "InceptionOutputs", "Inception_V3_Weights", "inception_v3"]

Inception_V3_Weights = weights_enum("Inception_V3_Weights")

_Layer = Callable[..., nn.Module]
_ROW: dict[str, Any] = {"kernel_size": (1, 7), "padding": (0, 3)}
_COLUMN: dict[str, Any] = {"kernel_size": (7, 1), "padding": (3, 0)}


class InceptionOutputs(NamedTuple):
    """What training gives: class scores (N, num_classes), and those of a branch on the way."""

    logits: torch.Tensor
    aux_logits: torch.Tensor | None


class _Branches(nn.Module):
    """Chains of layers side by side, their channels joined."""

    def _after(self, x: torch.Tensor, *names: str) -> torch.Tensor:
        for name in names:
            x = getattr(self, name)(x)
        return x

    def _pooled(self, x: torch.Tensor) -> torch.Tensor:
        return self.branch_pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1))


class InceptionA(_Branches):
    """(N, in_channels, H, W) to (N, 224 + pool_features, H, W)."""

    def __init__(self, in_channels: int, pool_features: int, conv_block: _Layer | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = conv(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = conv(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, padding=1)
        self.branch_pool = conv(in_channels, pool_features, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The four branches."""
        middle = self._after(x, "branch5x5_1", "branch5x5_2")
        double = self._after(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
        return torch.cat([self.branch1x1(x), middle, double, self._pooled(x)], 1)


class InceptionB(_Branches):
    """Halves the image: (N, in_channels, H, W) to (N, in_channels + 480, H', W')."""

    def __init__(self, in_channels: int, conv_block: _Layer | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3 = conv(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv(96, 96, kernel_size=3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The three branches."""
        double = self._after(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, kernel_size=3, stride=2)], 1)


class InceptionC(_Branches):
    """(N, in_channels, H, W) to (N, 768, H, W), with convolutions of 7 x 1 and 1 x 7."""

    def __init__(self, in_channels: int, channels_7x7: int, conv_block: _Layer | None = None) -> None:
        super().__init__()
        conv, inner = conv_block or BasicConv2d, channels_7x7
        self.branch1x1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = conv(in_channels, inner, kernel_size=1)
        self.branch7x7_2 = conv(inner, inner, **_ROW)
        self.branch7x7_3 = conv(inner, 192, **_COLUMN)
        self.branch7x7dbl_1 = conv(in_channels, inner, kernel_size=1)
        self.branch7x7dbl_2 = conv(inner, inner, **_COLUMN)
        self.branch7x7dbl_3 = conv(inner, inner, **_ROW)
        self.branch7x7dbl_4 = conv(inner, inner, **_COLUMN)
        self.branch7x7dbl_5 = conv(inner, 192, **_ROW)
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The four branches."""
        single = self._after(x, "branch7x7_1", "branch7x7_2", "branch7x7_3")
        double = self._after(x, *(f"branch7x7dbl_{i}" for i in range(1, 6)))
        return torch.cat([self.branch1x1(x), single, double, self._pooled(x)], 1)


class InceptionD(_Branches):
    """Halves the image: (N, in_channels, H, W) to (N, in_channels + 512, H', W')."""

    def __init__(self, in_channels: int, conv_block: _Layer | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch3x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = conv(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv(192, 192, **_ROW)
        self.branch7x7x3_3 = conv(192, 192, **_COLUMN)
        self.branch7x7x3_4 = conv(192, 192, kernel_size=3, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The three branches."""
        single = self._after(x, "branch3x3_1", "branch3x3_2")
        wide = self._after(x, *(f"branch7x7x3_{i}" for i in range(1, 5)))
        return torch.cat([single, wide, F.max_pool2d(x, kernel_size=3, stride=2)], 1)


class InceptionE(_Branches):
    """(N, in_channels, H, W) to (N, 2048, H, W), with branches that part once more."""

    def __init__(self, in_channels: int, conv_block: _Layer | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1x1 = conv(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = conv(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = conv(384, 384, kernel_size=(1, 3), padding=(0, 1))
        self.branch3x3_2b = conv(384, 384, kernel_size=(3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = conv(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = conv(384, 384, kernel_size=(1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = conv(384, 384, kernel_size=(3, 1), padding=(1, 0))
        self.branch_pool = conv(in_channels, 192, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The six branches."""
        single = self.branch3x3_1(x)
        double = self._after(x, "branch3x3dbl_1", "branch3x3dbl_2")
        parts = [self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self._pooled(x)]
        return torch.cat(parts, 1)


class InceptionAux(nn.Module):
    """Class scores from features on the way: (N, in_channels, H, W) to (N, num_classes)."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: _Layer | None = None) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.conv0 = conv(in_channels, 128, kernel_size=1)
        self.conv1 = conv(128, 768, kernel_size=5)
        self.fc: Any = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores."""
        x = self.conv1(self.conv0(F.avg_pool2d(x, kernel_size=5, stride=3)))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Inception3(nn.Module):
    """Inception v3, for images (N, 3, H, W), which should be 299 x 299.

    Args:
        num_classes: classes.
        aux_logits: a branch on the way that also gives class scores in training.
        transform_input: images are normalised by ImageNet's statistics and shall be by one half.
        inception_blocks: makers of a convolution, the five kinds of blocks, and the branch.
        init_weights: draw the weights from a truncated normal distribution (default: with a warning).
        dropout: before the last layer.

    Raises:
        ValueError: `inception_blocks` are not seven.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: Sequence[_Layer] | None = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if init_weights is None:
            warnings.warn(
                "The default weight initialization of inception_v3 will be changed in future releases of "
                "torchvision. If you wish to keep the old behavior (which leads to long initialization times"
                " due to scipy/scipy#11299), please set init_weights=True.",
                FutureWarning,
                stacklevel=2,
            )
        makers = _BLOCKS if inception_blocks is None else inception_blocks
        if len(makers) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(makers)}")
        conv, a, b, c, d, e, aux = makers
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = a(192, pool_features=32)
        self.Mixed_5c = a(256, pool_features=64)
        self.Mixed_5d = a(288, pool_features=64)
        self.Mixed_6a = b(288)
        for name, channels in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
            setattr(self, f"Mixed_{name}", c(768, channels_7x7=channels))
        self.AuxLogits: Any = None
        if aux_logits:
            self.AuxLogits = aux(768, num_classes)
        self.Mixed_7a = d(768)
        self.Mixed_7b = e(1280)
        self.Mixed_7c = e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights is not False:
            self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                spread = float(getattr(module, "stddev", 0.1))
                nn.init.trunc_normal_(module.weight, mean=0.0, std=spread, a=-2, b=2)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)

    def forward(self, x: torch.Tensor) -> Any:
        """Class scores (N, num_classes); `InceptionOutputs` in training with `aux_logits`."""
        x = normalised_by_half(x) if self.transform_input else x
        for name in _WAY:
            x = getattr(self, name)(x)
        aux = self.AuxLogits(x) if self.AuxLogits is not None and self.training else None
        x = self.avgpool(self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))))
        x = self.fc(torch.flatten(self.dropout(x), 1))
        return InceptionOutputs(x, aux) if self.training and self.aux_logits else x


_BLOCKS = (BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux)
_WAY = (
    "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 maxpool1 Conv2d_3b_1x1 Conv2d_4a_3x3 maxpool2 "
    "Mixed_5b Mixed_5c Mixed_5d Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e"
).split()


def _without_branch(model: Inception3) -> None:
    model.aux_logits = False
    model.AuxLogits = None


def _prepare(weights: Any, kwargs: dict[str, Any]) -> None:
    """The file holds the branch, so that the model is built with it, and without it if it is not wanted."""
    kwargs.setdefault("transform_input", True)
    if not kwargs.get("aux_logits", True):
        kwargs["finish"] = _without_branch
    kwargs["aux_logits"] = True
    must_be(kwargs, "init_weights", False)


@builder(Inception_V3_Weights, _prepare)
def inception_v3(**kwargs: Any) -> Inception3:
    """Inception v3."""
    return Inception3(**kwargs)
