"""The gradients of convolutions as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import flambeau as torch
import flambeau.nn.functional as F

if TYPE_CHECKING:
    from flambeau import Tensor

Convolution = Callable[..., Any]


def _input_gradient(conv: Convolution, size: Any, weight: Any, grad_output: Any, options: tuple[Any, ...]) -> Any:
    with torch.enable_grad():
        input = grad_output.new_zeros(tuple(size)).requires_grad_(True)
        output = conv(input, weight.detach(), None, *options)
    return torch.autograd.grad(output, input, grad_output)[0]


def _weight_gradient(conv: Convolution, input: Any, size: Any, grad_output: Any, options: tuple[Any, ...]) -> Any:
    with torch.enable_grad():
        weight = grad_output.new_zeros(tuple(size)).requires_grad_(True)
        output = conv(input.detach(), weight, None, *options)
    return torch.autograd.grad(output, weight, grad_output)[0]


def conv1d_input(
    input_size: Any,
    weight: Tensor,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of ``conv1d`` for its input.

    Args:
        input_size: Shape of the input.
        weight: The weight.
        grad_output: The gradient for the output.
        stride: Those of the convolution, as the arguments below.
        padding: See there.
        dilation: See there.
        groups: See there.
    """
    return _input_gradient(F.conv1d, input_size, weight, grad_output, (stride, padding, dilation, groups))


def conv1d_weight(
    input: Tensor,
    weight_size: Any,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of ``conv1d`` for its weight.

    Args:
        input: The input.
        weight_size: Shape of the weight.
        grad_output: The gradient for the output.
        stride: Those of the convolution, as the arguments below.
        padding: See there.
        dilation: See there.
        groups: See there.
    """
    return _weight_gradient(F.conv1d, input, weight_size, grad_output, (stride, padding, dilation, groups))


def conv2d_input(
    input_size: Any,
    weight: Tensor,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of ``conv2d`` for its input.

    Args:
        input_size: Shape of the input.
        weight: The weight.
        grad_output: The gradient for the output.
        stride: Those of the convolution, as the arguments below.
        padding: See there.
        dilation: See there.
        groups: See there.
    """
    return _input_gradient(F.conv2d, input_size, weight, grad_output, (stride, padding, dilation, groups))


def conv2d_weight(
    input: Tensor,
    weight_size: Any,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of ``conv2d`` for its weight.

    Args:
        input: The input.
        weight_size: Shape of the weight.
        grad_output: The gradient for the output.
        stride: Those of the convolution, as the arguments below.
        padding: See there.
        dilation: See there.
        groups: See there.
    """
    return _weight_gradient(F.conv2d, input, weight_size, grad_output, (stride, padding, dilation, groups))


def conv3d_input(
    input_size: Any,
    weight: Tensor,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of ``conv3d`` for its input.

    Args:
        input_size: Shape of the input.
        weight: The weight.
        grad_output: The gradient for the output.
        stride: Those of the convolution, as the arguments below.
        padding: See there.
        dilation: See there.
        groups: See there.
    """
    return _input_gradient(F.conv3d, input_size, weight, grad_output, (stride, padding, dilation, groups))


def conv3d_weight(
    input: Tensor,
    weight_size: Any,
    grad_output: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of ``conv3d`` for its weight.

    Args:
        input: The input.
        weight_size: Shape of the weight.
        grad_output: The gradient for the output.
        stride: Those of the convolution, as the arguments below.
        padding: See there.
        dilation: See there.
        groups: See there.
    """
    return _weight_gradient(F.conv3d, input, weight_size, grad_output, (stride, padding, dilation, groups))
