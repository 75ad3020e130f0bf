"""Multi-head attention (exported by ``activation``)."""

from __future__ import annotations

from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.nn.init import constant_, xavier_normal_, xavier_uniform_
from flambeau.nn.parameter import Parameter

from .linear import NonDynamicallyQuantizableLinear
from .module import Module


class MultiheadAttention(Module):
    """``softmax(Q K^T / sqrt(d)) V`` for several projections of queries, keys and values beside each other.

    Args:
        embed_dim: Size of the queries and of the output.
        num_heads: Number of heads; each has the size ``embed_dim / num_heads``.
        dropout: Probability of zeroing attention weights, while training.
        bias: Whether the projections have biases.
        add_bias_kv: Add a learned key and value to the sequences.
        add_zero_attn: Add a key and value of zeros to the sequences.
        kdim: Size of the keys. Default: ``embed_dim``.
        vdim: Size of the values. Default: ``embed_dim``.
        batch_first: The inputs are (N, L, E) rather than (L, N, E).
        device: Where the parameters are.
        dtype: What the parameters are.

    Raises:
        ValueError: A size is not positive.
        AssertionError: ``embed_dim`` cannot be split into the heads.
    """

    __constants__ = ["batch_first"]
    in_proj_weight: Any
    in_proj_bias: Any
    q_proj_weight: Any
    k_proj_weight: Any
    v_proj_weight: Any
    bias_k: Any
    bias_v: Any

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0,"
                f" got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = kdim if kdim is not None else embed_dim
        self.vdim = vdim if vdim is not None else embed_dim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        self._make_projections(factory)
        self._register_if("in_proj_bias", bias, 3 * embed_dim, factory)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **factory)
        if add_bias_kv:
            self._register_if("bias_k", True, (1, 1, embed_dim), factory)
            self._register_if("bias_v", True, (1, 1, embed_dim), factory)
        else:
            self.bias_k = self.bias_v = None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _register_if(self, name: str, wanted: bool, shape: Any, factory: dict[str, Any]) -> None:
        self.register_parameter(name, Parameter(torch.empty(shape, **factory)) if wanted else None)

    def _make_projections(self, factory: dict[str, Any]) -> None:
        """One matrix for queries, keys and values, or three where their sizes differ."""
        e, separate = self.embed_dim, not self._qkv_same_embed_dim
        shapes = {
            "q_proj_weight": ((e, e), separate),
            "k_proj_weight": ((e, self.kdim), separate),
            "v_proj_weight": ((e, self.vdim), separate),
            "in_proj_weight": ((3 * e, e), not separate),
        }
        # PyTorch registers those that are there first; repr and state_dict do not show the others.
        for name, (shape, wanted) in sorted(shapes.items(), key=lambda item: not item[1][1]):
            self._register_if(name, wanted, shape, factory)

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            constant_(self.in_proj_bias, 0.0)
            constant_(self.out_proj.bias, 0.0)  # type: ignore[arg-type]
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                xavier_normal_(bias)

    def __setstate__(self, state: dict[str, Any]) -> None:
        state.setdefault("_qkv_same_embed_dim", True)
        super().__setstate__(state)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """Attention.

        Args:
            query: (L, N, embed_dim), (N, L, embed_dim) with ``batch_first``, or (L, embed_dim).
            key: The same with length S and ``kdim``.
            value: The same with length S and ``vdim``.
            key_padding_mask: (N, S): True, or a number that is added, where a key does not count.
            need_weights: Give the attention weights too.
            attn_mask: (L, S) or (N * num_heads, L, S): the same for each query.
            average_attn_weights: Average the weights over the heads.
            is_causal: ``attn_mask`` is the causal mask; a hint.

        Returns:
            The output, of the shape of ``query``, and the weights (N, L, S), (N, num_heads, L, S) or None.
        """
        swap = self.batch_first and query.dim() == 3
        if swap:
            # Self-attention is recognised by identity further down, so the same tensor must stay the same.
            swapped = {id(t): t.transpose(1, 0) for t in (query, key, value)}
            query, key, value = (swapped[id(t)] for t in (query, key, value))
        separate: dict[str, Any] = {}
        if not self._qkv_same_embed_dim:
            separate = {
                "use_separate_proj_weight": True,
                "q_proj_weight": self.q_proj_weight,
                "k_proj_weight": self.k_proj_weight,
                "v_proj_weight": self.v_proj_weight,
            }
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            **separate,
        )
        return (output.transpose(1, 0) if swap else output), weights

    def merge_masks(self, attn_mask: Any, key_padding_mask: Any, query: Any) -> tuple[Any, int | None]:
        """Both masks as one, and which it is: None, 0 (attn_mask), 1 (key_padding_mask) or 2 (both, or expanded)."""
        if attn_mask is None:
            return key_padding_mask, None if key_padding_mask is None else 1
        batch, length, _ = query.shape
        if attn_mask.dim() == 3:
            merged = attn_mask.view(batch, -1, length, length)
        else:
            merged = attn_mask.view(1, 1, length, length).expand(batch, self.num_heads, -1, -1)
        if key_padding_mask is not None:
            padding = key_padding_mask.view(batch, 1, 1, length).expand(-1, self.num_heads, -1, -1)
            merged = merged + padding
        return merged, 2
