"""``torch.fft``: discrete Fourier transforms (https://docs.pytorch.org/docs/stable/fft.html)."""

from __future__ import annotations

from .ops._overriding import offer as _offer
from .ops.fourier import FFT as _FFT

globals().update(_FFT)
_offer("torch.fft", _FFT)

__all__ = sorted(_FFT)
