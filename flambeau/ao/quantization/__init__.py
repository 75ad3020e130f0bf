"""Names of PyTorch's quantisation, which is not supported: no module is an instance of its classes."""

from __future__ import annotations

from typing import Any, NoReturn

from flambeau import nn

__all__ = [
    "DeQuantStub",
    "FakeQuantizeBase",
    "HistogramObserver",
    "MinMaxObserver",
    "ObserverBase",
    "PerChannelMinMaxObserver",
    "QConfig",
    "QuantStub",
    "quantize_dynamic",
]


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(f"torch.ao.quantization ({name}) is not supported: use float16 or bfloat16")


class _Unsupported(nn.Module):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse(type(self).__name__)

    @classmethod
    def with_args(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises NotImplementedError, as the class does."""
        _refuse(cls.__name__)


class ObserverBase(_Unsupported):
    """A module that watches values, to choose how to quantise them."""


class MinMaxObserver(ObserverBase):
    """One that keeps the smallest and the largest value."""


class PerChannelMinMaxObserver(ObserverBase):
    """One that keeps them for each channel."""


class HistogramObserver(ObserverBase):
    """One that keeps a histogram."""


class FakeQuantizeBase(_Unsupported):
    """A module that rounds values as quantised numbers would be."""


class QuantStub(_Unsupported):
    """A module that stands where values are to be quantised."""


class DeQuantStub(_Unsupported):
    """A module that stands where values are to be floats again."""


class BatchNorm2d(_Unsupported):
    """A normalisation of quantised pictures."""


class BatchNorm3d(_Unsupported):
    """A normalisation of quantised volumes."""


class Conv1d(_Unsupported):
    """A convolution of quantised sequences."""


class Conv2d(_Unsupported):
    """A convolution of quantised pictures."""


class Conv3d(_Unsupported):
    """A convolution of quantised volumes."""


class Linear(_Unsupported):
    """A product with a quantised matrix."""


class QConfig:
    """Which observers watch activations and weights."""

    def __init__(self, activation: Any, weight: Any) -> None:
        _refuse("QConfig")


def quantize_dynamic(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: use float16 or bfloat16."""
    _refuse("quantize_dynamic")
