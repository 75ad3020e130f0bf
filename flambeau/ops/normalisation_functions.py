"""The normalisation functions of ``torch.nn.functional``, whose arguments differ from those of ``torch``."""

from __future__ import annotations

from math import prod
from typing import Any

from . import normalisation
from .normalisation import record_layer, shape_of


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Any:
    """Normalises each channel by the batch's statistics (training) or the running ones.

    Raises:
        ValueError: there is only one value a channel in training.
        RuntimeError: statistics are missing, or a vector has the wrong length.
    """
    if training:
        size = input._ty.size
        if len(size) and prod((size[0], *size[2:])) == 1:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {size}")
    return normalisation.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, True)


def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-05) -> Any:
    """Normalises over the last dimensions, whose sizes are ``normalized_shape``; then ``* weight + bias``."""
    shape = normalized_shape if type(normalized_shape) is tuple else shape_of("layer_norm", normalized_shape)
    return record_layer(input, shape, weight, bias, eps)
