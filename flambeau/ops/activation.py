"""Activation functions, as programs call them."""

from __future__ import annotations

from typing import Any

from ..graph.node import Operator
from ._activation_rules import (
    CELU,
    CELU_INPLACE,
    CELU_NEGATIVE,
    ELU,
    ELU_INPLACE,
    ELU_NEGATIVE,
    GELU,
    GLU,
    HARDSHRINK,
    HARDSIGMOID,
    HARDSWISH,
    HARDTANH,
    LEAKY,
    LEAKY_INPLACE,
    LEAKY_INPLACE_NEGATIVE,
    LOG_SIGMOID,
    MISH,
    PRELU,
    SELU,
    SILU,
    SOFTPLUS,
    SOFTSHRINK,
    THRESHOLD,
)
from ._registry import call, call_inplace, export, function, into, wrap_dim


@export()
def prelu(input: Any, weight: Any) -> Any:
    """``input`` where positive, else ``weight * input``.

    ``weight`` has one element, or one for each channel (dimension 1).

    Raises:
        RuntimeError: the number of weights is wrong, or the dtypes differ.
    """
    t, n = input._ty, weight._ty.numel
    if n != 1:
        if t.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = t.shape[1] if t.ndim > 1 else 1
        if channels != n:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {n} and "
                f"channel size = {channels}."
            )
    if weight._ty.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight._ty.ndim}")
    if t.ndim > 1 and weight._ty.ndim:
        weight = weight.reshape((1, n) + (1,) * (t.ndim - 2))
    elif t.ndim == 0:
        weight = weight.reshape(())
    return call(PRELU, (input, weight))


def _apply(op: Operator, x: Any, inplace: bool, attrs: Any = (), inplace_op: Operator | None = None) -> Any:
    return call_inplace(inplace_op or op, x, (), attrs) if inplace else call(op, (x,), attrs)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """``input`` limited to the range from ``min_val`` to ``max_val``.

    Raises:
        ValueError: the range is empty.
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _apply(HARDTANH, input, inplace, (min_val, max_val))


def relu6(input: Any, inplace: bool = False) -> Any:
    """``input`` limited to the range from 0 to 6."""
    return _apply(HARDTANH, input, inplace, (0, 6))


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """``input`` where positive, else ``negative_slope * input``
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.leaky_relu.html).

    With ``inplace`` it is written into the input.

    Raises:
        NotImplementedError: the input is not of floats.
    """
    inplace_op = LEAKY_INPLACE if negative_slope >= 0 else LEAKY_INPLACE_NEGATIVE
    return _apply(LEAKY, input, inplace, negative_slope, inplace_op)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """``input`` where positive, else ``alpha * (exp(input) - 1)``
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.elu.html).

    With ``inplace`` it is written into the input.

    Raises:
        NotImplementedError: the input is not of floats.
    """
    return _apply(ELU, input, inplace, (alpha, 1.0, 1.0), ELU_INPLACE if alpha >= 0 else ELU_NEGATIVE)


def selu(input: Any, inplace: bool = False) -> Any:
    """``elu`` scaled so that deep networks keep mean 0 and variance 1."""
    return _apply(ELU, input, inplace, SELU, ELU_INPLACE)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """``input`` where positive, else ``alpha * (exp(input / alpha) - 1)``.

    Raises:
        RuntimeError: ``alpha`` is 0.
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    inplace_op = CELU_INPLACE if alpha >= 0 else CELU_NEGATIVE
    return _apply(CELU, input, inplace, (alpha, 1.0, 1.0 / alpha), inplace_op)


def gelu(input: Any, *, approximate: str = "none", out: Any = None) -> Any:
    """``input`` times the normal distribution function, or its approximation by ``tanh``.

    Raises:
        RuntimeError: ``approximate`` is neither "none" nor "tanh".
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return into(call(GELU, (input,), approximate), out, "gelu")


def silu(input: Any, inplace: bool = False) -> Any:
    """``input * sigmoid(input)``, elementwise
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.silu.html).

    With ``inplace`` it is written into the input.
    """
    return _apply(SILU, input, inplace)


def mish(input: Any, inplace: bool = False) -> Any:
    """``input * tanh(softplus(input))``."""
    return _apply(MISH, input, inplace)


def softplus(input: Any, beta: float = 1, threshold: float = 20, *, out: Any = None) -> Any:
    """``log(1 + exp(beta * input)) / beta``; ``input`` itself where ``beta * input > threshold``."""
    return into(call(SOFTPLUS, (input,), (beta, threshold)), out, "softplus")


def logsigmoid(input: Any, *, out: Any = None) -> Any:
    """``log(sigmoid(input))`` without overflow."""
    return into(call(LOG_SIGMOID, (input,)), out, "log_sigmoid")


def hardswish(input: Any, inplace: bool = False) -> Any:
    """``input * relu6(input + 3) / 6``."""
    return _apply(HARDSWISH, input, inplace)


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """``relu6(input + 3) / 6``."""
    return _apply(HARDSIGMOID, input, inplace)


@export()
def hardshrink(input: Any, lambd: float = 0.5, *, out: Any = None) -> Any:
    """``input``, but 0 between ``-lambd`` and ``lambd``."""
    return into(call(HARDSHRINK, (input,), lambd), out, "hardshrink")


def softshrink(input: Any, lambd: float = 0.5, *, out: Any = None) -> Any:
    """``input`` moved by ``lambd`` towards 0."""
    return into(call(SOFTSHRINK, (input,), lambd), out, "softshrink")


def tanhshrink(input: Any) -> Any:
    """``input - tanh(input)``."""
    return input - input.tanh()


def softsign(input: Any) -> Any:
    """``input / (1 + |input|)``."""
    return input / (input.abs() + 1)


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """``input`` where above ``threshold``, else ``value``
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.threshold.html).

    With ``inplace`` it is written into the input.
    """
    return threshold_(input, threshold, value) if inplace else call(THRESHOLD, (input,), (threshold, value))


def glu(input: Any, dim: int = -1) -> Any:
    """The first half along ``dim`` times the sigmoid of the second.

    Raises:
        RuntimeError: the dimension has an odd size.
    """
    t = input._ty
    if t.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    return call(GLU, (input,), wrap_dim(dim, t.ndim))


def hardtanh_(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """In-place ``hardtanh``."""
    return hardtanh(input, min_val, max_val, True)


def leaky_relu_(input: Any, negative_slope: float = 0.01) -> Any:
    """In-place ``leaky_relu``."""
    return leaky_relu(input, negative_slope, True)


def elu_(input: Any, alpha: float = 1.0) -> Any:
    """In-place ``elu``."""
    return elu(input, alpha, True)


@function()
def selu_(input: Any) -> Any:
    """In-place ``selu``."""
    return selu(input, True)


@function()
def celu_(input: Any, alpha: float = 1.0) -> Any:
    """In-place ``celu``."""
    return celu(input, alpha, True)


@function()
def threshold_(input: Any, threshold: float, value: float) -> Any:
    """In-place ``threshold``."""
    return call_inplace(THRESHOLD, input, (), (threshold, value), may_overlap=True)


for _f in (celu, selu, threshold):
    function()(_f)
