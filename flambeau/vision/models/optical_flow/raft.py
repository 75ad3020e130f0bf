"""RAFT (Teed, Deng, 2020): a flow found step by step from how well all pairs of pixels fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.optical_flow._flow import grid_sample, make_coords_grid, upsample_flow
from flambeau.vision.ops.misc import Conv2dNormActivation

__all__ = ["RAFT", "Raft_Large_Weights", "Raft_Small_Weights", "raft_large", "raft_small"]

Raft_Large_Weights = weights_enum("Raft_Large_Weights")
Raft_Small_Weights = weights_enum("Raft_Small_Weights")

Tensor = torch.Tensor


def _projection(in_channels: int, out_channels: int, norm_layer: Any, stride: int) -> nn.Module:
    """A projection beside a block."""
    how: dict[str, Any] = {"kernel_size": 1, "stride": stride, "bias": True, "activation_layer": None}
    return Conv2dNormActivation(in_channels, out_channels, norm_layer=norm_layer, **how)


class ResidualBlock(nn.Module):
    """Two convolutions beside the identity or a projection."""

    def __init__(
        self, in_channels: int, out_channels: int, *, norm_layer: Any, stride: int = 1, always_project: bool = False
    ) -> None:
        super().__init__()
        how: dict[str, Any] = {"norm_layer": norm_layer, "kernel_size": 3, "bias": True}
        self.convnormrelu1 = Conv2dNormActivation(in_channels, out_channels, stride=stride, **how)
        self.convnormrelu2 = Conv2dNormActivation(out_channels, out_channels, **how)
        plain = stride == 1 and not always_project
        shape = in_channels, out_channels, norm_layer, stride
        self.downsample = nn.Identity() if plain else _projection(*shape)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """The sum, activated."""
        return self.relu(self.downsample(x) + self.convnormrelu2(self.convnormrelu1(x)))


class BottleneckBlock(nn.Module):
    """A convolution between two of one pixel, beside the identity or a projection."""

    def __init__(self, in_channels: int, out_channels: int, *, norm_layer: Any, stride: int = 1) -> None:
        super().__init__()
        how: dict[str, Any] = {"norm_layer": norm_layer, "bias": True}
        between = out_channels // 4
        self.convnormrelu1 = Conv2dNormActivation(in_channels, between, kernel_size=1, **how)
        self.convnormrelu2 = Conv2dNormActivation(between, between, kernel_size=3, stride=stride, **how)
        self.convnormrelu3 = Conv2dNormActivation(between, out_channels, kernel_size=1, **how)
        self.relu = nn.ReLU(inplace=True)
        shape = in_channels, out_channels, norm_layer, stride
        self.downsample = nn.Identity() if stride == 1 else _projection(*shape)

    def forward(self, x: Tensor) -> Tensor:
        """The sum, activated."""
        return self.relu(self.downsample(x) + self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(x))))


class FeatureEncoder(nn.Module):
    """Images (N, 3, H, W) to features (N, layers[4], H / 8, W / 8).

    Raises:
        ValueError: `layers` are not five.
    """

    def __init__(
        self,
        *,
        block: Any = ResidualBlock,
        layers: Sequence[int] = (64, 64, 96, 128, 256),
        strides: Sequence[int] = (2, 1, 2, 2),
        norm_layer: Any = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if len(layers) != 5:
            raise ValueError(f"The expected number of layers is 5, instead got {len(layers)}")
        how: dict[str, Any] = {"norm_layer": norm_layer, "kernel_size": 7, "stride": strides[0], "bias": True}
        self.convnormrelu = Conv2dNormActivation(3, layers[0], **how)

        def two(before: int, after: int, stride: int) -> nn.Sequential:
            first = block(before, after, norm_layer=norm_layer, stride=stride)
            return nn.Sequential(first, block(after, after, norm_layer=norm_layer, stride=1))

        self.layer1 = two(layers[0], layers[1], strides[1])
        self.layer2 = two(layers[1], layers[2], strides[2])
        self.layer3 = two(layers[2], layers[3], strides[3])
        self.conv = nn.Conv2d(layers[3], layers[4], kernel_size=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.output_dim = layers[-1]
        self.downsample_factor = 2 ** sum(stride == 2 for stride in strides)

    def forward(self, x: Tensor) -> Tensor:
        """The features."""
        return self.conv(self.layer3(self.layer2(self.layer1(self.convnormrelu(x)))))


class MotionEncoder(nn.Module):
    """A flow and how well places fit it as features of motion.

    Raises:
        ValueError: there are not two `flow_layers`, or not one or two `corr_layers`.
    """

    def __init__(
        self,
        *,
        in_channels_corr: int,
        corr_layers: Sequence[int] = (256, 192),
        flow_layers: Sequence[int] = (128, 64),
        out_channels: int = 128,
    ) -> None:
        super().__init__()
        if len(flow_layers) != 2:
            raise ValueError(f"The expected number of flow_layers is 2, instead got {len(flow_layers)}")
        if len(corr_layers) not in (1, 2):
            raise ValueError(f"The number of corr_layers should be 1 or 2, instead got {len(corr_layers)}")
        self.convcorr1 = Conv2dNormActivation(in_channels_corr, corr_layers[0], norm_layer=None, kernel_size=1)
        self.convcorr2: nn.Module = nn.Identity()
        if len(corr_layers) == 2:
            self.convcorr2 = Conv2dNormActivation(*corr_layers, norm_layer=None, kernel_size=3)
        self.convflow1 = Conv2dNormActivation(2, flow_layers[0], norm_layer=None, kernel_size=7)
        self.convflow2 = Conv2dNormActivation(*flow_layers, norm_layer=None, kernel_size=3)
        both = corr_layers[-1] + flow_layers[-1]
        self.conv = Conv2dNormActivation(both, out_channels - 2, norm_layer=None, kernel_size=3)
        self.out_channels = out_channels

    def forward(self, flow: Tensor, corr_features: Tensor) -> Tensor:
        """The features (N, out_channels, H, W), the flow among them."""
        fit = self.convcorr2(self.convcorr1(corr_features))
        moved = self.convflow2(self.convflow1(flow))
        return torch.cat([self.conv(torch.cat([fit, moved], dim=1)), flow], dim=1)


class ConvGRU(nn.Module):
    """A gated recurrent unit whose products are convolutions."""

    def __init__(self, *, input_size: int, hidden_size: int, kernel_size: Any, padding: Any) -> None:
        super().__init__()
        for name in ("convz", "convr", "convq"):
            gate = nn.Conv2d(hidden_size + input_size, hidden_size, kernel_size=kernel_size, padding=padding)
            setattr(self, name, gate)

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        """The next state."""
        both = torch.cat([h, x], dim=1)
        z, r = torch.sigmoid(self.convz(both)), torch.sigmoid(self.convr(both))
        q = torch.tanh(self.convq(torch.cat([r * h, x], dim=1)))
        return (1 - z) * h + z * q


class RecurrentBlock(nn.Module):
    """One or two `ConvGRU` one after another.

    Raises:
        ValueError: kernels and paddings are not as many, or not one or two.
    """

    def __init__(
        self,
        *,
        input_size: int,
        hidden_size: int,
        kernel_size: Sequence[Any] = ((1, 5), (5, 1)),
        padding: Sequence[Any] = ((0, 2), (2, 0)),
    ) -> None:
        super().__init__()
        if len(kernel_size) != len(padding):
            raise ValueError(
                "kernel_size should have the same length as padding, instead got "
                f"len(kernel_size) = {len(kernel_size)} and len(padding) = {len(padding)}"
            )
        if len(kernel_size) not in (1, 2):
            raise ValueError(f"kernel_size should either 1 or 2, instead got {len(kernel_size)}")
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        self.convgru1 = ConvGRU(**sizes, kernel_size=kernel_size[0], padding=padding[0])
        self.convgru2: Any = None
        if len(kernel_size) == 2:
            self.convgru2 = ConvGRU(**sizes, kernel_size=kernel_size[1], padding=padding[1])
        self.hidden_size = hidden_size

    def forward(self, h: Tensor, x: Tensor) -> Tensor:
        """The next state."""
        h = self.convgru1(h, x)
        return h if self.convgru2 is None else self.convgru2(h, x)


class FlowHead(nn.Module):
    """States to changes of the flow (N, 2, H, W)."""

    def __init__(self, *, in_channels: int, hidden_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, hidden_size, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden_size, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """The changes."""
        return self.conv2(self.relu(self.conv1(x)))


class UpdateBlock(nn.Module):
    """A step: the next state and the change of the flow."""

    def __init__(self, *, motion_encoder: Any, recurrent_block: Any, flow_head: Any) -> None:
        super().__init__()
        self.motion_encoder = motion_encoder
        self.recurrent_block = recurrent_block
        self.flow_head = flow_head
        self.hidden_state_size = recurrent_block.hidden_size

    def forward(
        self, hidden_state: Tensor, context: Tensor, corr_features: Tensor, flow: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The state and the change."""
        motion = self.motion_encoder(flow, corr_features)
        hidden_state = self.recurrent_block(hidden_state, torch.cat([context, motion], dim=1))
        return hidden_state, self.flow_head(hidden_state)


class MaskPredictor(nn.Module):
    """States to the logits by which a flow is enlarged eight times."""

    def __init__(self, *, in_channels: int, hidden_size: int, multiplier: float = 0.25) -> None:
        super().__init__()
        self.convrelu = Conv2dNormActivation(in_channels, hidden_size, norm_layer=None, kernel_size=3)
        self.conv = nn.Conv2d(hidden_size, 8 * 8 * 9, 1, padding=0)
        self.multiplier = multiplier

    def forward(self, x: Tensor) -> Tensor:
        """The logits (N, 576, H, W)."""
        return self.multiplier * self.conv(self.convrelu(x))


class CorrBlock(nn.Module):
    """How well each place of one image fits all places of the other, at several sizes, and those about given places.

    Args:
        num_levels: sizes, each half the one before.
        radius: how far about a place to look.
    """

    def __init__(self, *, num_levels: int = 4, radius: int = 4) -> None:
        super().__init__()
        self.num_levels = num_levels
        self.radius = radius
        self.corr_pyramid: list[Tensor] = [torch.tensor(0)]
        self.out_channels = num_levels * (2 * radius + 1) ** 2

    def build_pyramid(self, fmap1: Tensor, fmap2: Tensor) -> None:
        """Multiplies all pairs of places of features (N, C, H, W).

        Raises:
            ValueError: the features have not one shape, or are too small to be halved that often.
        """
        if fmap1.shape != fmap2.shape:
            raise ValueError(
                "Input feature maps should have the same shape, instead got "
                f"{fmap1.shape} (fmap1.shape) != {fmap2.shape} (fmap2.shape)"
            )
        least = 2 * 2 ** (self.num_levels - 1)
        if min(fmap1.shape[-2:]) < least:
            raise ValueError(
                "Feature maps are too small to be down-sampled by the correlation pyramid. H and W of feature maps "
                f"should be at least {least}; got: {fmap1.shape[-2:]}. Remember that input images to the model are "
                f"downsampled by 8, so that means their dimensions should be at least 8 * {least} = {8 * least}."
            )
        count, channels, height, width = fmap1.shape
        fit = torch.matmul(fmap1.flatten(2).transpose(1, 2), fmap2.flatten(2)) / channels**0.5
        self.corr_pyramid = [fit.reshape(count * height * width, 1, height, width)]
        for _ in range(self.num_levels - 1):
            self.corr_pyramid.append(F.avg_pool2d(self.corr_pyramid[-1], kernel_size=2, stride=2))

    def index_pyramid(self, centroids_coords: Tensor) -> Tensor:
        """How well the places (N, out_channels, H, W) about given ones (N, 2, H, W) fit."""
        steps = torch.linspace(-self.radius, self.radius, 2 * self.radius + 1)
        around = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)[None]
        count, _, height, width = centroids_coords.shape
        middles = centroids_coords.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
        found = []
        for level, fit in enumerate(self.corr_pyramid):
            sampled = grid_sample(fit, middles / 2**level + around, align_corners=True)
            found.append(sampled.reshape(count, height, width, -1))
        return torch.cat(found, dim=-1).permute(0, 3, 1, 2).contiguous()


class RAFT(nn.Module):
    """RAFT.

    Args:
        feature_encoder: images to features an eighth as large.
        context_encoder: the first image to what its steps begin with.
        corr_block: tells how well places fit.
        update_block: makes a step.
        mask_predictor: tells how the flow is enlarged, or None for interpolation.

    Raises:
        ValueError: `update_block` has no `hidden_state_size`.
    """

    def __init__(
        self,
        *,
        feature_encoder: nn.Module,
        context_encoder: nn.Module,
        corr_block: Any,
        update_block: Any,
        mask_predictor: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.feature_encoder = feature_encoder
        self.context_encoder = context_encoder
        self.corr_block = corr_block
        self.update_block = update_block
        self.mask_predictor = mask_predictor
        if not hasattr(self.update_block, "hidden_state_size"):
            raise ValueError("The update_block parameter should expose a 'hidden_state_size' attribute.")

    def _checked(self, image1: Tensor, image2: Tensor) -> tuple[int, int]:
        """The sides of the features."""
        height, width = image1.shape[-2:]
        if (height, width) != tuple(image2.shape[-2:]):
            raise ValueError(
                f"input images should have the same shape, instead got ({height}, {width}) != {image2.shape[-2:]}"
            )
        if height % 8 or width % 8:
            raise ValueError(f"input image H and W should be divisible by 8, instead got {height} (h) and {width} (w)")
        return height // 8, width // 8

    def _context(self, image: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The first state, and what every step is told."""
        found, state = self.context_encoder(image), self.update_block.hidden_state_size
        if tuple(found.shape[-2:]) != size:
            raise ValueError("The context encoder should downsample H and W by 8")
        if found.shape[1] <= state:
            raise ValueError(
                f"The context encoder outputs {found.shape[1]} channels, but it should have at strictly more than "
                f"hidden_state={state} channels"
            )
        return torch.tanh(found[:, :state]), F.relu(found[:, state:])

    def forward(self, image1: Tensor, image2: Tensor, num_flow_updates: int = 12) -> list[Tensor]:
        """The flow (N, 2, H, W) from one image (N, 3, H, W) to the other after every step, the best last.

        Raises:
            ValueError: the images have not one shape of sides that 8 divides.
        """
        size = self._checked(image1, image2)
        features1, features2 = self.feature_encoder(torch.cat([image1, image2], dim=0)).chunk(2, dim=0)
        if tuple(features1.shape[-2:]) != size:
            raise ValueError("The feature encoder should downsample H and W by 8")
        self.corr_block.build_pyramid(features1, features2)
        state, context = self._context(image1, size)
        start = make_coords_grid(image1.shape[0], *size)
        places, flows = start, []
        for _ in range(num_flow_updates):
            places = places.detach()
            fit = self.corr_block.index_pyramid(centroids_coords=places)
            state, change = self.update_block(state, context, fit, places - start)
            places = places + change
            mask = None if self.mask_predictor is None else self.mask_predictor(state)
            flows.append(upsample_flow(places - start, mask))
        return flows


def _raft(
    block: Any,
    features: Sequence[int],
    context: Sequence[int],
    context_norm: Any,
    radius: int,
    motion: dict[str, Any],
    state: int,
    recurrent: dict[str, Any],
    hidden: int,
    kwargs: dict[str, Any],
) -> RAFT:
    """A model of parts of these sizes, unless `kwargs` has them; they are made in the order of torchvision."""
    parts = dict(kwargs)
    mask = parts.pop("use_mask", False)
    if parts.get("feature_encoder") is None:
        parts["feature_encoder"] = FeatureEncoder(block=block, layers=features, norm_layer=nn.InstanceNorm2d)
    if parts.get("context_encoder") is None:
        parts["context_encoder"] = FeatureEncoder(block=block, layers=context, norm_layer=context_norm)
    if parts.get("corr_block") is None:
        parts["corr_block"] = CorrBlock(num_levels=4, radius=radius)
    if parts.get("update_block") is None:
        encoder = MotionEncoder(in_channels_corr=parts["corr_block"].out_channels, **motion)
        size = encoder.out_channels + context[-1] - state
        unit = RecurrentBlock(input_size=size, hidden_size=state, **recurrent)
        head = FlowHead(in_channels=state, hidden_size=hidden)
        parts["update_block"] = UpdateBlock(motion_encoder=encoder, recurrent_block=unit, flow_head=head)
    if parts.get("mask_predictor") is None and mask:
        parts["mask_predictor"] = MaskPredictor(in_channels=state, hidden_size=256, multiplier=0.25)
    return RAFT(**parts)


@builder(Raft_Large_Weights)
def raft_large(**kwargs: Any) -> RAFT:
    """RAFT."""
    layers = 64, 64, 96, 128, 256
    motion = {"corr_layers": (256, 192), "flow_layers": (128, 64), "out_channels": 128}
    recurrent = {"kernel_size": ((1, 5), (5, 1)), "padding": ((0, 2), (2, 0))}
    shape = layers, layers, nn.BatchNorm2d, 4, motion, 128, recurrent, 256
    return _raft(ResidualBlock, *shape, {"use_mask": True, **kwargs})


@builder(Raft_Small_Weights)
def raft_small(**kwargs: Any) -> RAFT:
    """RAFT, small."""
    motion = {"corr_layers": (96,), "flow_layers": (64, 32), "out_channels": 82}
    recurrent = {"kernel_size": (3,), "padding": (1,)}
    shape = (32, 32, 64, 96, 128), (32, 32, 64, 96, 160), None, 3, motion, 96, recurrent, 128
    return _raft(BottleneckBlock, *shape, kwargs)
