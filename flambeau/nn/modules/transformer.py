"""Transformers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.nn.init import xavier_uniform_

from .activation import GELU, MultiheadAttention, ReLU
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = Callable[[Any], Any]


def _generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Any:
    """The causal mask: negative infinity above the diagonal, 0 elsewhere."""
    return torch.triu(torch.full((sz, sz), float("-inf"), dtype=dtype, device=device), diagonal=1)


def _get_seq_len(src: Any, batch_first: bool) -> int:
    return src.size(1 if batch_first and src.dim() == 3 else 0)


def _detect_is_causal_mask(mask: Any, is_causal: bool | None = None, size: int | None = None) -> bool:
    """Whether the mask is the causal mask, if the caller does not say."""
    if is_causal is not None or mask is None:
        return bool(is_causal)
    sz = size if size is not None else mask.size(-2)
    causal = _generate_square_subsequent_mask(sz, device=mask.device, dtype=mask.dtype)
    return mask.size() == causal.size() and bool((mask == causal).all())


def _get_clones(module: Module, N: int) -> ModuleList:
    return ModuleList([copy.deepcopy(module) for _ in range(N)])


def _get_activation_fn(activation: str) -> Activation:
    if activation == "relu":
        return F.relu
    if activation == "gelu":
        return F.gelu
    raise RuntimeError(f"activation should be relu/gelu, not {activation}")


class _Layer(Module):
    """What encoder and decoder layers have in common."""

    self_attn: Any
    activation: Any

    def __init__(self, activation: Any) -> None:
        super().__init__()
        self._given_activation = activation

    def _make_feed_forward(
        self, d_model: int, hidden: int, dropout: float, norms: int, eps: float, bias: bool, factory: dict[str, Any]
    ) -> None:
        """Registers what comes after the attention, in PyTorch's order."""
        self.linear1 = Linear(d_model, hidden, bias=bias, **factory)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(hidden, d_model, bias=bias, **factory)
        for i in range(norms):
            setattr(self, f"norm{i + 1}", LayerNorm(d_model, eps=eps, bias=bias, **factory))
        for i in range(norms):
            setattr(self, f"dropout{i + 1}", Dropout(dropout))
        activation = self.__dict__.pop("_given_activation")
        self.activation = _get_activation_fn(activation) if isinstance(activation, str) else activation

    def _attend(self, attention: Any, x: Any, memory: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        return attention(
            x, memory, memory, attn_mask=mask, key_padding_mask=padding, is_causal=is_causal, need_weights=False
        )[0]

    def _feed_forward(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward network, each with a residual connection and layer normalisation.

    Args:
        d_model: Size of the input.
        nhead: Number of heads.
        dim_feedforward: Size inside the feed-forward network.
        dropout: Probability of zeroing.
        activation: ``"relu"``, ``"gelu"`` or a function.
        layer_norm_eps: ``eps`` of the layer norms.
        batch_first: The input is (N, L, E) rather than (L, N, E).
        norm_first: Normalise before attention and feed-forward rather than after.
        bias: Whether linear layers and norms have biases.
        device: Where the parameters are.
        dtype: What the parameters are.
    """

    __constants__ = ["norm_first"]
    norm1: Any
    norm2: Any
    dropout1: Any
    dropout2: Any

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        super().__init__(activation)
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **factory
        )
        self.norm_first = norm_first
        self._make_feed_forward(d_model, dim_feedforward, dropout, 2, layer_norm_eps, bias, factory)
        if self.activation is F.relu or isinstance(self.activation, ReLU):
            self.activation_relu_or_gelu = 1
        else:
            self.activation_relu_or_gelu = 2 * (self.activation is F.gelu or isinstance(self.activation, GELU))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if not hasattr(self, "activation"):
            self.activation = F.relu

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        """Passes sequences through the layer.

        Args:
            src: (L, N, E), (N, L, E) with ``batch_first``, or (L, E).
            src_mask: ``attn_mask`` of the attention.
            src_key_padding_mask: ``key_padding_mask`` of the attention.
            is_causal: ``src_mask`` is the causal mask.
        """
        src_key_padding_mask, src_mask = _canonical_masks(
            src, src_key_padding_mask, "src_key_padding_mask", src_mask, "src_mask"
        )
        x = src
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), src_mask, src_key_padding_mask, is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(x + self._sa_block(x, src_mask, src_key_padding_mask, is_causal))
        return self.norm2(x + self._ff_block(x))

    def _sa_block(self, x: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Any:
        return self.dropout1(self._attend(self.self_attn, x, x, attn_mask, key_padding_mask, is_causal))

    def _ff_block(self, x: Any) -> Any:
        return self.dropout2(self._feed_forward(x))


def _canonical_masks(src: Any, padding: Any, padding_name: str, mask: Any, mask_name: str) -> tuple[Any, Any]:
    """Both masks as numbers to add; warns where their dtypes differ."""
    for value, name in ((padding, padding_name), (mask, mask_name)):
        if value is not None and value.dtype != torch.bool and not value.is_floating_point():
            raise AssertionError(f"only bool and floating types of {name} are supported")
    if padding is not None and mask is not None and padding.dtype != mask.dtype:
        warnings.warn(
            f"Support for mismatched {padding_name} and {mask_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    return _as_numbers(padding, src.dtype), _as_numbers(mask, src.dtype)


def _as_numbers(mask: Any, dtype: Any) -> Any:
    """A boolean mask as negative infinity where it is True and 0 elsewhere."""
    if mask is None or mask.is_floating_point():
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask, float("-inf"))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's output and a feed-forward network.

    Args:
        d_model: Size of the input.
        nhead: Number of heads.
        dim_feedforward: Size inside the feed-forward network.
        dropout: Probability of zeroing.
        activation: ``"relu"``, ``"gelu"`` or a function.
        layer_norm_eps: ``eps`` of the layer norms.
        batch_first: The inputs are (N, L, E) rather than (L, N, E).
        norm_first: Normalise before each part rather than after.
        bias: Whether linear layers and norms have biases.
        device: Where the parameters are.
        dtype: What the parameters are.
    """

    __constants__ = ["norm_first"]
    norm1: Any
    norm2: Any
    norm3: Any
    dropout1: Any
    dropout2: Any
    dropout3: Any

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        super().__init__(activation)
        attention: dict[str, Any] = {"dropout": dropout, "bias": bias, "batch_first": batch_first, **factory}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self.norm_first = norm_first
        self._make_feed_forward(d_model, dim_feedforward, dropout, 3, layer_norm_eps, bias, factory)

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "activation" not in state and "activation" not in state.get("_modules", ()):
            state["activation"] = F.relu
        super().__setstate__(state)

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Any:
        """Passes sequences through the layer.

        Args:
            tgt: (T, N, E), (N, T, E) with ``batch_first``, or (T, E).
            memory: The encoder's output, the same with length S.
            tgt_mask: ``attn_mask`` of the self-attention.
            memory_mask: ``attn_mask`` of the attention to ``memory``.
            tgt_key_padding_mask: ``key_padding_mask`` of the self-attention.
            memory_key_padding_mask: ``key_padding_mask`` of the attention to ``memory``.
            tgt_is_causal: ``tgt_mask`` is the causal mask.
            memory_is_causal: ``memory_mask`` is the causal mask.
        """
        own = tgt_mask, tgt_key_padding_mask, tgt_is_causal
        other = memory, memory_mask, memory_key_padding_mask, memory_is_causal
        x = tgt
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), *own)
            x = x + self._mha_block(self.norm2(x), *other)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(x + self._sa_block(x, *own))
        x = self.norm2(x + self._mha_block(x, *other))
        return self.norm3(x + self._ff_block(x))

    def _sa_block(self, x: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Any:
        return self.dropout1(self._attend(self.self_attn, x, x, attn_mask, key_padding_mask, is_causal))

    def _mha_block(self, x: Any, mem: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Any:
        return self.dropout2(self._attend(self.multihead_attn, x, mem, attn_mask, key_padding_mask, is_causal))

    def _ff_block(self, x: Any) -> Any:
        return self.dropout3(self._feed_forward(x))


def _why_no_nested_tensor(layer: Any) -> str:
    """Why PyTorch would not use nested tensors for an encoder of such layers, or ""."""
    name = "encoder_layer"
    if not isinstance(layer, TransformerEncoderLayer):
        return f"{name} was not TransformerEncoderLayer"
    if layer.norm_first:
        return f"{name}.norm_first was True"
    if not layer.self_attn.batch_first:
        return f"{name}.self_attn.batch_first was not True(use batch_first for better inference performance)"
    if not layer.self_attn._qkv_same_embed_dim:
        return f"{name}.self_attn._qkv_same_embed_dim was not True"
    if layer.self_attn.in_proj_bias is None:
        return f"{name}.self_attn was passed bias=False"
    if not layer.activation_relu_or_gelu:
        return f"{name}.activation_relu_or_gelu was not True"
    if layer.norm1.eps != layer.norm2.eps:
        return f"{name}.norm1.eps was not equal to {name}.norm2.eps"
    if layer.self_attn.num_heads % 2 == 1:
        return f"{name}.self_attn.num_heads is odd"
    return ""


class TransformerEncoder(Module):
    """Encoder layers one after the other.

    Args:
        encoder_layer: A layer; it is copied.
        num_layers: How often.
        norm: A normalisation of the result.
        enable_nested_tensor: Give zeros for padding at inference, as PyTorch's nested tensors do.
        mask_check: Do that only if all padding is at the end of the sequences.
    """

    __constants__ = ["norm"]

    def __init__(
        self,
        encoder_layer: Any,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _get_clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check
        why = _why_no_nested_tensor(encoder_layer)
        if enable_nested_tensor and why:
            warnings.warn(
                f"enable_nested_tensor is True, but self.use_nested_tensor is False because {why}", stacklevel=2
            )
            self.use_nested_tensor = False

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Any:
        """Passes sequences through the layers.

        Args:
            src: (L, N, E), (N, L, E) with ``batch_first``, or (L, E).
            mask: ``src_mask`` of the layers.
            src_key_padding_mask: That of the layers.
            is_causal: ``mask`` is the causal mask. Default: found out.
        """
        src_key_padding_mask, mask = _canonical_masks(src, src_key_padding_mask, "src_key_padding_mask", mask, "mask")
        seq_len = _get_seq_len(src, self.layers[0].self_attn.batch_first)
        causal = _detect_is_causal_mask(mask, is_causal, seq_len)
        output = src
        for layer in self.layers:
            output = layer(output, src_mask=mask, is_causal=causal, src_key_padding_mask=src_key_padding_mask)
        if self._forgets_padding(src, mask, src_key_padding_mask):
            output = _without_padding(output, src_key_padding_mask != 0, getattr(self, "mask_check", True))
        return output if self.norm is None else self.norm(output)

    def _forgets_padding(self, src: Any, mask: Any, padding: Any) -> bool:
        """Whether PyTorch may take its path for inference with nested tensors, which forgets the padding."""
        first = self.layers[0]
        if padding is None or mask is not None or not self.use_nested_tensor or first.training or src.dim() != 3:
            return False
        return not (torch.is_grad_enabled() and any(t.requires_grad for t in (src, *first.parameters())))


def _without_padding(output: Any, padding: Any, checks: bool) -> Any:
    """Zeros where the padding is, unless ``checks`` find some before other tokens: those PyTorch computes densely."""
    if checks and torch.onnx.is_in_onnx_export():
        padding = padding & (padding[:, 1:] >= padding[:, :-1]).all()  # decided by the exported model
    elif checks and not (padding[:, 1:] >= padding[:, :-1]).all():
        return output
    return output.masked_fill(padding.unsqueeze(-1), 0.0)


class TransformerDecoder(Module):
    """Decoder layers one after the other.

    Args:
        decoder_layer: A layer; it is copied.
        num_layers: How often.
        norm: A normalisation of the result.
    """

    __constants__ = ["norm"]

    def __init__(self, decoder_layer: Any, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _get_clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        """Passes sequences through the layers; the arguments are those of a layer.

        Args:
            tgt: (T, N, E), (N, T, E) with ``batch_first``, or (T, E).
            memory: The encoder's output.
            tgt_mask: See :class:`TransformerDecoderLayer`, as the arguments below.
            memory_mask: See there.
            tgt_key_padding_mask: See there.
            memory_key_padding_mask: See there.
            tgt_is_causal: ``tgt_mask`` is the causal mask. Default: found out.
            memory_is_causal: ``memory_mask`` is the causal mask.
        """
        seq_len = _get_seq_len(tgt, self.layers[0].self_attn.batch_first)
        causal = _detect_is_causal_mask(tgt_mask, tgt_is_causal, seq_len)
        output = tgt
        for layer in self.layers:
            output = layer(
                output,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )
        return output if self.norm is None else self.norm(output)


class Transformer(Module):
    """An encoder and a decoder, as in "Attention Is All You Need".

    Args:
        d_model: Size of the inputs.
        nhead: Number of heads.
        num_encoder_layers: Number of encoder layers.
        num_decoder_layers: Number of decoder layers.
        dim_feedforward: Size inside the feed-forward networks.
        dropout: Probability of zeroing.
        activation: ``"relu"``, ``"gelu"`` or a function.
        custom_encoder: Another encoder.
        custom_decoder: Another decoder.
        layer_norm_eps: ``eps`` of the layer norms.
        batch_first: The inputs are (N, L, E) rather than (L, N, E).
        norm_first: Normalise before each part of a layer rather than after.
        bias: Whether linear layers and norms have biases.
        device: Where the parameters are.
        dtype: What the parameters are.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        layer = d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        if custom_encoder is None:
            encoder_layer = TransformerEncoderLayer(*layer, **factory)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **factory)
            custom_encoder = TransformerEncoder(encoder_layer, num_encoder_layers, norm)
        self.encoder = custom_encoder
        if custom_decoder is None:
            decoder_layer = TransformerDecoderLayer(*layer, **factory)
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **factory)
            custom_decoder = TransformerDecoder(decoder_layer, num_decoder_layers, norm)
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        """Passes source and target sequences through encoder and decoder.

        Args:
            src: (S, N, E), (N, S, E) with ``batch_first``, or (S, E).
            tgt: The same with length T.
            src_mask: ``mask`` of the encoder.
            tgt_mask: That of the decoder, as the arguments below.
            memory_mask: See the decoder.
            src_key_padding_mask: See the encoder.
            tgt_key_padding_mask: See the decoder.
            memory_key_padding_mask: See the decoder.
            src_is_causal: ``src_mask`` is the causal mask. Default: found out.
            tgt_is_causal: ``tgt_mask`` is the causal mask. Default: found out.
            memory_is_causal: ``memory_mask`` is the causal mask.

        Raises:
            RuntimeError: The batches or the feature sizes do not fit.
        """
        batch_dim = 0 if self.batch_first else 1
        if src.dim() == 3 and src.size(batch_dim) != tgt.size(batch_dim):
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Any:
        """The causal mask (sz, sz): negative infinity above the diagonal, 0 elsewhere."""
        return _generate_square_subsequent_mask(sz, device, dtype)

    def _reset_parameters(self) -> None:
        for p in self.parameters():
            if p.dim() > 1:
                xavier_uniform_(p)
