"""GoogLeNet (Szegedy et al., 2015), layer by layer as torchvision names and initialises it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._builders import builder, must_be
from flambeau.vision.models._weights import weights_enum

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "GoogLeNet_Weights", "googlenet"]

GoogLeNet_Weights = weights_enum("GoogLeNet_Weights")

_Layer = Callable[..., nn.Module]


class GoogLeNetOutputs(NamedTuple):
    """What training gives: class scores (N, num_classes), and those of two branches on the way."""

    logits: torch.Tensor
    aux_logits2: torch.Tensor | None
    aux_logits1: torch.Tensor | None


class BasicConv2d(nn.Module):
    """A convolution, batch normalisation and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H', W')."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Four branches side by side, their channels joined."""

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        conv_block: _Layer | None = None,
    ) -> None:
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv(in_channels, ch3x3red, kernel_size=1), conv(ch3x3red, ch3x3, kernel_size=3, padding=1)
        )
        # The paper has 5 x 5 here; the trained weights have 3 x 3.
        self.branch3 = nn.Sequential(
            conv(in_channels, ch5x5red, kernel_size=1), conv(ch5x5red, ch5x5, kernel_size=3, padding=1)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            conv(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, H, W) to (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """Class scores from features on the way: (N, in_channels, H, W) to (N, num_classes)."""

    def __init__(
        self, in_channels: int, num_classes: int, conv_block: _Layer | None = None, dropout: float = 0.7
    ) -> None:
        super().__init__()
        self.conv = (conv_block or BasicConv2d)(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores."""
        x = torch.flatten(self.conv(F.adaptive_avg_pool2d(x, (4, 4))), 1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


# The blocks in the order they are built in, and their sizes.
_BLOCKS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
_MEANS, _STDS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalised_by_half(x: torch.Tensor) -> torch.Tensor:
    """Images (N, 3, H, W) that were normalised by ImageNet's statistics, normalised by one half instead."""
    planes = [x[:, i : i + 1] * (std / 0.5) + (mean - 0.5) / 0.5 for i, (mean, std) in enumerate(zip(_MEANS, _STDS))]
    return torch.cat(planes, 1)


class GoogLeNet(nn.Module):
    """GoogLeNet, for images (N, 3, H, W).

    Args:
        num_classes: classes.
        aux_logits: two branches on the way that also give class scores in training.
        transform_input: images are normalised by ImageNet's statistics and shall be by one half.
        init_weights: draw the weights from a truncated normal distribution (default: with a warning).
        blocks: makers of a convolution, a block and a branch.
        dropout: before the last layer.
        dropout_aux: in the branches.

    Raises:
        ValueError: `blocks` are not three.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        blocks: Sequence[_Layer] | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        makers = [BasicConv2d, Inception, InceptionAux] if blocks is None else blocks
        if init_weights is None:
            warnings.warn(
                "The default weight initialization of GoogleNet will be changed in future releases of "
                "torchvision. If you wish to keep the old behavior (which leads to long initialization times"
                " due to scipy/scipy#11299), please set init_weights=True.",
                FutureWarning,
                stacklevel=2,
            )
        if len(makers) != 3:
            raise ValueError(f"blocks length should be 3 instead of {len(makers)}")
        conv, _, aux = makers
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self._add_blocks(makers[1])
        self.aux1: Any = aux(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2: Any = aux(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights is not False:
            self._initialise()

    def _add_blocks(self, block: _Layer) -> None:
        pooled = {"3b": ("maxpool3", 3), "4e": ("maxpool4", 2)}
        for name, sizes in _BLOCKS.items():
            setattr(self, f"inception{name}", block(*sizes))
            if name in pooled:
                pool, size = pooled[name]
                setattr(self, pool, nn.MaxPool2d(size, stride=2, ceil_mode=True))

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, mean=0.0, std=0.01, a=-2, b=2)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)

    def forward(self, x: torch.Tensor) -> Any:
        """Class scores (N, num_classes); `GoogLeNetOutputs` in training with `aux_logits`."""
        x = normalised_by_half(x) if self.transform_input else x
        x = self.conv2(self.maxpool1(self.conv1(x)))
        x = self.maxpool2(self.conv3(x))
        branches = {"4a": self.aux1, "4d": self.aux2}
        pools = {"3b": "maxpool3", "4e": "maxpool4"}
        scores: list[Any] = []
        for name in _BLOCKS:
            x = getattr(self, f"inception{name}")(x)
            if name in branches:
                aux = branches[name]
                scores.append(aux(x) if aux is not None and self.training else None)
            if name in pools:
                x = getattr(self, pools[name])(x)
        x = self.fc(self.dropout(torch.flatten(self.avgpool(x), 1)))
        return GoogLeNetOutputs(x, scores[1], scores[0]) if self.training and self.aux_logits else x


def _without_branches(model: GoogLeNet) -> None:
    model.aux_logits = False
    model.aux1 = model.aux2 = None


def _keep_branches(model: GoogLeNet) -> None:
    warnings.warn("auxiliary heads in the pretrained googlenet model are NOT pretrained, so make sure to train them")


def _prepare(weights: Any, kwargs: dict[str, Any]) -> None:
    """The files hold the branches, so that the model is built with them, and without them if they are not wanted."""
    kwargs.setdefault("transform_input", True)
    kwargs["finish"] = _keep_branches if kwargs.pop("aux_logits", False) else _without_branches
    kwargs["aux_logits"] = True
    must_be(kwargs, "init_weights", False)


@builder(GoogLeNet_Weights, _prepare)
def googlenet(**kwargs: Any) -> GoogLeNet:
    """GoogLeNet."""
    return GoogLeNet(**kwargs)
