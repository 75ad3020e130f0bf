"""`torch.backends.quantized`: there are no quantised kernels."""

from __future__ import annotations

engine = "none"
supported_engines = ["none"]
