"""The older name of ``torch.ao.quantization.observer``."""

from __future__ import annotations

from flambeau.ao.quantization import HistogramObserver, MinMaxObserver, ObserverBase, PerChannelMinMaxObserver

__all__ = ["HistogramObserver", "MinMaxObserver", "ObserverBase", "PerChannelMinMaxObserver"]
