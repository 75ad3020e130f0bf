"""The older name of ``torch.ao.quantization``: classes and functions that say that quantisation is not supported."""

from __future__ import annotations

from flambeau.ao.quantization import (
    DeQuantStub,
    FakeQuantizeBase,
    HistogramObserver,
    MinMaxObserver,
    ObserverBase,
    PerChannelMinMaxObserver,
    QConfig,
    QuantStub,
    quantize_dynamic,
)

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
