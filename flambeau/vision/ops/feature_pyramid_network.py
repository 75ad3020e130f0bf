"""Feature pyramids (Lin et al., 2017): maps of several sizes, each with what the smaller ones know."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.ops.misc import Conv2dNormActivation

__all__ = ["ExtraFPNBlock", "FeaturePyramidNetwork", "LastLevelMaxPool", "LastLevelP6P7"]

Maps = list[torch.Tensor]


class ExtraFPNBlock(nn.Module):
    """What adds maps to a pyramid: derive from it."""

    def forward(self, results: Maps, x: Maps, names: list[str]) -> tuple[Maps, list[str]]:
        """The maps of the pyramid and their names, completed from those maps and the network's own `x`."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")


class FeaturePyramidNetwork(nn.Module):
    """Maps of falling size, by name, to as many of `out_channels` channels.

    Args:
        in_channels_list: channels of each map.
        out_channels: channels of the results.
        extra_blocks: adds further maps.
        norm_layer: a normalisation after each convolution, or None.

    Raises:
        ValueError: a map has no channels.
        TypeError: `extra_blocks` is no `ExtraFPNBlock`.
    """

    _version = 2

    def __init__(
        self,
        in_channels_list: Sequence[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList()
        self.layer_blocks = nn.ModuleList()
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=None)
        for in_channels in in_channels_list:
            if in_channels == 0:
                raise ValueError("in_channels=0 is currently not supported")
            self.inner_blocks.append(block(in_channels, out_channels, kernel_size=1, padding=0))
            self.layer_blocks.append(block(out_channels, out_channels, kernel_size=3))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _initialise(module)
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            raise TypeError(f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}")
        self.extra_blocks = extra_blocks

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        """Files of the first version name the convolutions otherwise."""
        if local_metadata.get("version") in (None, 1):
            for block in ("inner_blocks", "layer_blocks"):
                for i in range(len(self.inner_blocks)):
                    for kind in ("weight", "bias"):
                        old = f"{prefix}{block}.{i}.{kind}"
                        if old in state_dict:
                            state_dict[f"{prefix}{block}.{i}.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def forward(self, x: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The pyramid, from the largest map to the smallest."""
        names, maps = list(x), list(x.values())
        inner: Any = None
        results: Maps = []
        for i in reversed(range(len(maps))):
            lateral = self.inner_blocks[i](maps[i])
            if inner is not None:
                lateral = lateral + F.interpolate(inner, size=lateral.shape[-2:], mode="nearest")
            inner = lateral
            results.insert(0, self.layer_blocks[i](inner))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=True))


def _initialise(convolution: Any) -> None:
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    if convolution.bias is not None:
        nn.init.constant_(convolution.bias, 0)


class LastLevelMaxPool(ExtraFPNBlock):
    """Adds the smallest map at half its size, named "pool"."""

    def forward(self, results: Maps, x: Maps, names: list[str]) -> tuple[Maps, list[str]]:
        """The pyramid with one map more."""
        names.append("pool")
        results.append(F.max_pool2d(results[-1], kernel_size=1, stride=2, padding=0))
        return results, names


class LastLevelP6P7(ExtraFPNBlock):
    """Adds two maps made by convolutions of stride 2, named "p6" and "p7", as RetinaNet has them."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        for module in (self.p6, self.p7):
            _initialise(module)
        self.use_P5 = in_channels == out_channels

    def forward(self, results: Maps, x: Maps, names: list[str]) -> tuple[Maps, list[str]]:
        """The pyramid with two maps more."""
        p6 = self.p6(results[-1] if self.use_P5 else x[-1])
        results.extend([p6, self.p7(F.relu(p6))])
        names.extend(["p6", "p7"])
        return results, names
