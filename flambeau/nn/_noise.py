"""The functions of ``torch.nn.functional`` that draw random numbers: dropout, ``rrelu``, ``gumbel_softmax``."""

from __future__ import annotations

import warnings
from typing import Any

import flambeau as torch


def _check_probability(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Zeroes each element with probability ``p`` and scales the others by ``1 / (1 - p)``.

    ValueError if ``p`` is not in [0, 1]
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html).
    """
    _check_probability(p)
    return (torch.dropout_ if inplace else torch.dropout)(input, p, training)


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Dropout that keeps the mean and the variance of SELU's outputs."""
    _check_probability(p)
    return (torch.alpha_dropout_ if inplace else torch.alpha_dropout)(input, p, training)


def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """``alpha_dropout`` of whole channels (dimension 1)."""
    _check_probability(p)
    return (torch.feature_alpha_dropout_ if inplace else torch.feature_alpha_dropout)(input, p, training)


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Dropout of whole channels of an (N, C, L) or (C, L) input; RuntimeError for another number of dimensions."""
    _check_probability(p)
    ndim = input.dim()
    if ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {ndim}D input. Note that dropout1d exists to provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch "
            "dimension (i.e. 2D or 3D inputs)."
        )
    return _drop_channels(input, p, training, inplace, batched=ndim == 3)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Dropout of whole channels of an (N, C, H, W) input; (N, C, L) with a warning."""
    _check_probability(p)
    ndim = input.dim()
    if ndim not in (3, 4):
        _warn_dimensions("dropout2d", ndim, 2, "3D or 4D")
    if ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired "
            "- input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a "
            "future release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain "
            "the 1D channel-wise dropout behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _drop_channels(input, p, training, inplace, batched=True)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Dropout of whole channels of an (N, C, D, H, W) or (C, D, H, W) input."""
    _check_probability(p)
    ndim = input.dim()
    if ndim not in (4, 5):
        _warn_dimensions("dropout3d", ndim, 3, "4D or 5D")
    return _drop_channels(input, p, training, inplace, batched=ndim == 5)


def _warn_dimensions(name: str, ndim: int, spatial: int, expected: str) -> None:
    warnings.warn(
        f"{name}: Received a {ndim}-D input to {name}, which is deprecated and will result in an error in a future "
        f"release. To retain the behavior and silence this warning, please use dropout instead. Note that {name} "
        f"exists to provide channel-wise dropout on inputs with {spatial} spatial dimensions, a channel dimension, "
        f"and an optional batch dimension (i.e. {expected} inputs).",
        stacklevel=3,
    )


def _drop_channels(x: Any, p: float, training: bool, inplace: bool, batched: bool) -> Any:
    if not batched:
        x = x.unsqueeze_(0) if inplace else x.unsqueeze(0)
    y = (torch.feature_dropout_ if inplace else torch.feature_dropout)(x, p, training)
    if not batched:
        y = y.squeeze_(0) if inplace else y.squeeze(0)
    return y


def rrelu(
    input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Any:
    """Leaky ReLU with a slope drawn from [lower, upper) for each element in training, else their mean."""
    return (torch.rrelu_ if inplace else torch.rrelu)(input, lower, upper, training)


def rrelu_(input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Any:
    """As ``rrelu``, in place."""
    return torch.rrelu_(input, lower, upper, training)


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Any:
    """Samples of the Gumbel-softmax distribution; ``hard`` gives one-hot vectors whose gradient is the soft one's."""
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = -torch.empty_like(logits, memory_format=torch.contiguous_format).exponential_().log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    largest = soft.max(dim, keepdim=True)[1]
    one_hot = torch.zeros_like(logits, memory_format=torch.contiguous_format).scatter_(dim, largest, 1.0)
    return one_hot - soft.detach() + soft


__all__ = [
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
    "gumbel_softmax",
    "rrelu",
    "rrelu_",
]
