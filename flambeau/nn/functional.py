"""``torch.nn.functional``: functions of tensors without state (https://docs.pytorch.org/docs/stable/nn.functional.html).

The operators live in ``flambeau.ops``; this module gathers them.
"""

from __future__ import annotations

from typing import Any

# ---- linear layers
from ..ops.matrix_products import linear

# ---- activations
from ..ops._registry import call, call_inplace
from ..ops.pointwise import RELU
from ..ops import softmax as _softmax

# ---- losses
from ..ops.classification_losses import cross_entropy, nll_loss
from ..ops.losses import mse_loss

# ---- random
from . import _noise
from ._noise import (
    alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout, gumbel_softmax, rrelu, rrelu_,
)  # fmt: skip

# ---- convolution, pooling, normalisation, padding
from ..ops.unfolding import fold, unfold
from ..ops.group_normalisation import group_norm, instance_norm, local_response_norm, rms_norm
from ..ops.convolution import conv1d, conv2d, conv3d, conv_tbc, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..ops.normalisation_functions import batch_norm, layer_norm
from ..ops.padding import pad
from ..ops.adaptive_pooling import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d_with_indices, adaptive_max_pool3d_with_indices, fractional_max_pool2d_with_indices,
    fractional_max_pool3d_with_indices, lp_pool1d, lp_pool2d, lp_pool3d, max_unpool1d, max_unpool2d, max_unpool3d,
)  # fmt: skip
from ..ops.pooling import avg_pool1d, avg_pool2d, avg_pool3d
from ..ops.pooling_functions import (
    adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d, fractional_max_pool2d, fractional_max_pool3d,
    max_pool1d, max_pool1d_with_indices, max_pool2d, max_pool2d_with_indices, max_pool3d, max_pool3d_with_indices,
)  # fmt: skip


def relu(input: Any, inplace: bool = False) -> Any:
    """``max(input, 0)`` elementwise."""
    return call_inplace(RELU, input) if inplace else call(RELU, (input,))


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """``exp(input)`` divided by its sum along ``dim``."""
    return _softmax.softmax(input, _dim("softmax", input, dim, _stacklevel), dtype)


def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """The logarithm of ``softmax``."""
    return _softmax.log_softmax(input, _dim("log_softmax", input, dim, _stacklevel), dtype)


def _dim(name: str, input: Any, dim: int | None, level: int) -> int:
    return _softmax.implicit_dim(name, input._ty.ndim, level + 1) if dim is None else dim


__all__ = ["cross_entropy", "linear", "log_softmax", "mse_loss", "nll_loss", "relu", "softmax"]
__all__ += _noise.__all__
__all__ += [
    "conv1d",
    "fold",
    "unfold",
    "group_norm",
    "instance_norm",
    "local_response_norm",
    "rms_norm",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d_with_indices",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d_with_indices",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "conv2d",
    "conv3d",
    "conv_tbc",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "batch_norm",
    "layer_norm",
    "pad",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
]
