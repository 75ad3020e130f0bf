"""``torch.fft``: discrete Fourier transforms (https://docs.pytorch.org/docs/stable/fft.html)."""

from __future__ import annotations

from .ops.fourier import FFT as _FFT

globals().update(_FFT)

__all__ = sorted(_FFT)
