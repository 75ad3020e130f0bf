"""``torch.nn.functional``: functions of tensors without state (https://docs.pytorch.org/docs/stable/nn.functional.html).

The operators live in ``flambeau.ops``; this module gathers them.
"""

# ruff: noqa: I001 - the imports are in sections
from __future__ import annotations

from importlib import import_module
from typing import Any

from ..ops import softmax as _softmax
from ..ops._listing import FUNCTIONS as TORCH
from ..ops._registry import call, call_inplace
from ..ops._overriding import offer
from ..ops._signatures import of_tensors
from ..ops.pointwise import RELU

from . import _reduction as _Reduction  # noqa: F401 - basicsr asks it here

# ---- linear layers and tables
from ..ops.einsum import bilinear
from ..ops.embedding import embedding, one_hot
from ..ops.embedding_bags import embedding_bag
from ..ops.matrix_products import linear

# ---- activations
from ..ops.activation import (
    celu, celu_, elu, elu_, gelu, glu, hardshrink, hardsigmoid, hardswish, hardtanh, hardtanh_, leaky_relu,
    leaky_relu_, logsigmoid, mish, prelu, relu6, selu, selu_, silu, softplus, softshrink, softsign,
    tanhshrink, threshold, threshold_,
)  # fmt: skip
from ..ops.attention import multi_head_attention_forward, scaled_dot_product_attention

# ---- losses
from ..ops.classification_losses import cross_entropy, linear_cross_entropy, nll_loss
from ..ops.ctc import ctc_loss
from ..ops.likelihood_losses import (
    binary_cross_entropy, binary_cross_entropy_with_logits, gaussian_nll_loss, kl_div,
    multilabel_soft_margin_loss, poisson_nll_loss,
)  # fmt: skip
from ..ops.losses import (
    cosine_embedding_loss, hinge_embedding_loss, huber_loss, l1_loss, margin_ranking_loss, mse_loss,
    smooth_l1_loss, soft_margin_loss, triplet_margin_loss, triplet_margin_with_distance_loss,
)  # fmt: skip
from ..ops.margin_losses import multi_margin_loss, multilabel_margin_loss

# ---- distances
from ..ops.similarity import normalize, pairwise_distance, pdist

# ---- random
from ._noise import (
    alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout, gumbel_softmax, rrelu,
    rrelu_,
)  # fmt: skip

# ---- convolution, pooling, normalisation, padding, resampling
from ..ops.adaptive_pooling import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d_with_indices, adaptive_max_pool3d_with_indices,
)  # fmt: skip
from ..ops.convolution import (
    conv1d, conv2d, conv3d, conv_tbc, conv_transpose1d, conv_transpose2d, conv_transpose3d,
)  # fmt: skip
from ..ops.fractional_pooling import fractional_max_pool2d_with_indices, fractional_max_pool3d_with_indices
from ..ops.grid_sampling import affine_grid, grid_sample
from ..ops.group_normalisation import group_norm, instance_norm, local_response_norm, rms_norm
from ..ops.normalisation_functions import batch_norm, layer_norm
from ..ops.padding import pad
from ..ops.pooling import avg_pool1d, avg_pool2d, avg_pool3d
from ..ops.pooling_functions import (
    adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d, fractional_max_pool2d,
    fractional_max_pool3d, lp_pool1d, lp_pool2d, lp_pool3d, max_pool1d, max_pool1d_with_indices, max_pool2d,
    max_pool2d_with_indices, max_pool3d, max_pool3d_with_indices,
)  # fmt: skip
from ..ops.resampling import interpolate, upsample, upsample_bilinear, upsample_nearest
from ..ops.shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle
from ..ops.shuffling import channel_shuffle as native_channel_shuffle
from ..ops.unfolding import fold, unfold
from ..ops.unpooling import max_unpool1d, max_unpool2d, max_unpool3d

cosine_similarity = TORCH["cosine_similarity"]  # takes NumPy's names of arguments, as torch's own


def relu(input: Any, inplace: bool = False) -> Any:
    """``max(input, 0)`` elementwise."""
    return call_inplace(RELU, input) if inplace else call(RELU, (input,))


def relu_(input: Any) -> Any:
    """In-place ``relu``."""
    return call_inplace(RELU, input)


def sigmoid(input: Any) -> Any:
    """``1 / (1 + exp(-input))``."""
    return input.sigmoid()


def tanh(input: Any) -> Any:
    """The hyperbolic tangent."""
    return input.tanh()


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """``exp(input)`` divided by its sum along ``dim``, without overflow
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html).

    Without ``dim`` it is guessed as PyTorch does, with a warning. ``dtype`` converts the input first.

    Raises:
        NotImplementedError: the input is of integers, and ``dtype`` is not given.
        IndexError: ``dim`` is no dimension of the input.
    """
    return _softmax.softmax(input, _dim("softmax", input, dim, _stacklevel), dtype)


def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """The logarithm of ``softmax`` along ``dim``, computed without its loss of digits
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html).

    Arguments and errors are those of ``softmax``.
    """
    return _softmax.log_softmax(input, _dim("log_softmax", input, dim, _stacklevel), dtype)


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """``softmax`` of the negative."""
    return _softmax.softmax(-input, _dim("softmin", input, dim, _stacklevel), dtype)


def _dim(name: str, input: Any, dim: int | None, level: int) -> int:
    return _softmax.implicit_dim(name, input._ty.ndim, level + 1) if dim is None else dim


__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "affine_grid", "alpha_dropout", "avg_pool1d",
    "avg_pool2d", "avg_pool3d", "batch_norm", "bilinear", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "celu", "celu_", "channel_shuffle", "conv1d", "conv2d", "conv3d",
    "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss",
    "cosine_similarity", "cross_entropy", "ctc_loss", "dropout", "dropout1d", "dropout2d", "dropout3d", "elu",
    "elu_", "embedding", "embedding_bag", "feature_alpha_dropout", "fold", "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices", "fractional_max_pool3d", "fractional_max_pool3d_with_indices",
    "gaussian_nll_loss", "gelu", "glu", "grid_sample", "group_norm", "gumbel_softmax", "hardshrink",
    "hardsigmoid", "hardswish", "hardtanh", "hardtanh_", "hinge_embedding_loss", "huber_loss", "instance_norm",
    "interpolate", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "leaky_relu_", "linear",
    "linear_cross_entropy", "local_response_norm", "log_softmax", "logsigmoid", "lp_pool1d", "lp_pool2d",
    "lp_pool3d", "margin_ranking_loss", "max_pool1d", "max_pool1d_with_indices", "max_pool2d",
    "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices", "max_unpool1d", "max_unpool2d",
    "max_unpool3d", "mish", "mse_loss", "multi_head_attention_forward", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "native_channel_shuffle", "nll_loss", "normalize",
    "one_hot", "pad",
    "pairwise_distance", "pdist", "pixel_shuffle", "pixel_unshuffle", "poisson_nll_loss", "prelu", "relu",
    "relu6", "relu_", "rms_norm", "rrelu", "rrelu_", "scaled_dot_product_attention", "selu", "selu_", "sigmoid",
    "silu", "smooth_l1_loss", "soft_margin_loss", "softmax", "softmin", "softplus", "softshrink", "softsign",
    "tanh", "tanhshrink", "threshold", "threshold_", "triplet_margin_loss", "triplet_margin_with_distance_loss",
    "unfold", "upsample", "upsample_bilinear", "upsample_nearest",
]  # fmt: skip

# These see to that themselves, or leave it to their operator: a frame less, as they are called at every step.
_PLAIN = frozenset(["conv2d", "cross_entropy", "gelu", "layer_norm", "linear", "max_pool2d", "relu", "relu_", "silu"])
globals().update({_name: of_tensors(globals()[_name], __name__) for _name in __all__ if _name not in _PLAIN})

_INNER = ("sigmoid", "tanh", "upsample", "upsample_bilinear", "upsample_nearest")  # what they call is asked instead
offer("torch.nn.functional", {_name: globals()[_name] for _name in __all__ if _name not in _INNER})


def __getattr__(name: str) -> Any:
    """``torch.nn.functional.grad``: the gradients of convolutions."""
    if name == "grad":
        return import_module(".grad", __package__)
    raise AttributeError(f"module 'torch.nn.functional' has no attribute '{name}'")
