"""Vision transformers (Dosovitskiy et al., 2020), layer by layer as torchvision names and initialises them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._builders import builder, must_be
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.ops.misc import MLP, Conv2dNormActivation

__all__ = [
    "ViT_B_16_Weights",
    "ViT_B_32_Weights",
    "ViT_H_14_Weights",
    "ViT_L_16_Weights",
    "ViT_L_32_Weights",
    "VisionTransformer",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
]

ViT_B_16_Weights = weights_enum("ViT_B_16_Weights")
ViT_B_32_Weights = weights_enum("ViT_B_32_Weights")
ViT_L_16_Weights = weights_enum("ViT_L_16_Weights")
ViT_L_32_Weights = weights_enum("ViT_L_32_Weights")
ViT_H_14_Weights = weights_enum("ViT_H_14_Weights")

_Layer = Callable[..., nn.Module]
_norm: _Layer = partial(nn.LayerNorm, eps=1e-6)


class ConvStemConfig(NamedTuple):
    """A convolution of a stem that stands in place of the patches."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: _Layer = nn.BatchNorm2d
    activation_layer: _Layer = nn.ReLU


class MLPBlock(MLP):
    """Two linear layers: (..., in_dim) to (..., in_dim)."""

    _version = 2

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=1e-6)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        """Files of the first version name the two layers otherwise."""
        if local_metadata.get("version") in (None, 1):
            for i in range(2):
                for kind in ("weight", "bias"):
                    old = f"{prefix}linear_{i + 1}.{kind}"
                    if old in state_dict:
                        state_dict[f"{prefix}{3 * i}.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class EncoderBlock(nn.Module):
    """Attention, then two linear layers, each beside the identity: (N, L, hidden_dim) to the same."""

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: _Layer = _norm,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(hidden_dim, num_heads, dropout=attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The sequence, transformed."""
        torch._assert(input.dim() == 3, f"Expected (batch_size, seq_length, hidden_dim) got {input.shape}")
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Blocks one after another: (N, seq_length, hidden_dim) to the same."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: _Layer = _norm,
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, seq_length, hidden_dim).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(num_layers):
            block = EncoderBlock(num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer)
            layers[f"encoder_layer_{i}"] = block
        self.layers = nn.Sequential(layers)
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The sequence with its positions, encoded."""
        torch._assert(input.dim() == 3, f"Expected (batch_size, seq_length, hidden_dim) got {input.shape}")
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """A transformer over the patches of an image (N, 3, image_size, image_size).

    Args:
        image_size: height and width of the images.
        patch_size: height and width of a patch; it divides `image_size`.
        num_layers: blocks.
        num_heads: heads of each attention.
        hidden_dim: size of the embedding of a patch.
        mlp_dim: size between the two linear layers of a block.
        dropout: after each layer.
        attention_dropout: within attention.
        num_classes: classes.
        representation_size: size of a layer before the last one; None for no such layer.
        norm_layer: makes a normalisation.
        conv_stem_configs: convolutions in place of the patches.

    Raises:
        AssertionError: `patch_size` does not divide `image_size`, or an image has another size.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: _Layer = _norm,
        conv_stem_configs: Sequence[ConvStemConfig] | None = None,
    ) -> None:
        super().__init__()
        torch._assert(image_size % patch_size == 0, "Input shape indivisible by patch size!")
        self.image_size = image_size
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.mlp_dim = mlp_dim
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.num_classes = num_classes
        self.representation_size = representation_size
        self.norm_layer = norm_layer
        if conv_stem_configs is None:
            self.conv_proj: nn.Module = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)
        else:
            self.conv_proj = _stem(conv_stem_configs, hidden_dim)
        self.class_token = nn.Parameter(torch.zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        sizes = num_layers, num_heads, hidden_dim, mlp_dim
        self.encoder = Encoder(self.seq_length, *sizes, dropout, attention_dropout, norm_layer)
        self.heads = _heads(hidden_dim, representation_size, num_classes)
        _initialise_projection(self.conv_proj)
        _initialise_heads(self.heads)

    def _embedded(self, x: torch.Tensor) -> torch.Tensor:
        """Patches (N, L, hidden_dim) of images."""
        count, _, height, width = x.shape
        torch._assert(height == self.image_size, f"Wrong image height! Expected {self.image_size} but got {height}!")
        torch._assert(width == self.image_size, f"Wrong image width! Expected {self.image_size} but got {width}!")
        patches = (height // self.patch_size) * (width // self.patch_size)
        return self.conv_proj(x).reshape(count, self.hidden_dim, patches).permute(0, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        x = self._embedded(x)
        token = self.class_token.expand(x.shape[0], -1, -1)
        return self.heads(self.encoder(torch.cat([token, x], dim=1))[:, 0])


def _stem(configs: Sequence[ConvStemConfig], hidden_dim: int) -> nn.Sequential:
    stem, channels = nn.Sequential(), 3
    for i, config in enumerate(configs):
        layers = {"norm_layer": config.norm_layer, "activation_layer": config.activation_layer}
        sizes = channels, config.out_channels, config.kernel_size, config.stride
        stem.add_module(f"conv_bn_relu_{i}", Conv2dNormActivation(*sizes, **layers))
        channels = config.out_channels
    stem.add_module("conv_last", nn.Conv2d(channels, hidden_dim, kernel_size=1))
    return stem


def _heads(hidden_dim: int, representation_size: int | None, num_classes: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if representation_size is not None:
        layers["pre_logits"] = nn.Linear(hidden_dim, representation_size)
        layers["act"] = nn.Tanh()
        hidden_dim = representation_size
    layers["head"] = nn.Linear(hidden_dim, num_classes)
    return nn.Sequential(layers)


def _initialise_projection(projection: Any) -> None:
    if isinstance(projection, nn.Conv2d):
        fan_in = projection.in_channels * projection.kernel_size[0] * projection.kernel_size[1]
        nn.init.trunc_normal_(projection.weight, std=math.sqrt(1 / fan_in))
    else:
        projection = projection.conv_last
        nn.init.normal_(projection.weight, mean=0.0, std=math.sqrt(2.0 / projection.out_channels))
    if projection.bias is not None:
        nn.init.zeros_(projection.bias)


def _initialise_heads(heads: Any) -> None:
    if hasattr(heads, "pre_logits"):
        nn.init.trunc_normal_(heads.pre_logits.weight, std=math.sqrt(1 / heads.pre_logits.in_features))
        nn.init.zeros_(heads.pre_logits.bias)
    nn.init.zeros_(heads.head.weight)
    nn.init.zeros_(heads.head.bias)


def _vit(patch_size: int, layers: int, heads: int, hidden: int, kwargs: dict[str, Any]) -> VisionTransformer:
    image_size = kwargs.pop("image_size", 224)
    return VisionTransformer(image_size, patch_size, layers, heads, hidden, 4 * hidden, **kwargs)


def _prepare(weights: Any, kwargs: dict[str, Any]) -> None:
    must_be(kwargs, "image_size", weights.meta["min_size"][0])


@builder(ViT_B_16_Weights, _prepare)
def vit_b_16(**kwargs: Any) -> VisionTransformer:
    """ViT-B/16: 12 layers over patches of 16 x 16."""
    return _vit(16, 12, 12, 768, kwargs)


@builder(ViT_B_32_Weights, _prepare)
def vit_b_32(**kwargs: Any) -> VisionTransformer:
    """ViT-B/32: 12 layers over patches of 32 x 32."""
    return _vit(32, 12, 12, 768, kwargs)


@builder(ViT_L_16_Weights, _prepare)
def vit_l_16(**kwargs: Any) -> VisionTransformer:
    """ViT-L/16: 24 layers over patches of 16 x 16."""
    return _vit(16, 24, 16, 1024, kwargs)


@builder(ViT_L_32_Weights, _prepare)
def vit_l_32(**kwargs: Any) -> VisionTransformer:
    """ViT-L/32: 24 layers over patches of 32 x 32."""
    return _vit(32, 24, 16, 1024, kwargs)


@builder(ViT_H_14_Weights, _prepare)
def vit_h_14(**kwargs: Any) -> VisionTransformer:
    """ViT-H/14: 32 layers over patches of 14 x 14."""
    return _vit(14, 32, 16, 1280, kwargs)
