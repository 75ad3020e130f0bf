"""``torch.fft``: discrete Fourier transforms (https://docs.pytorch.org/docs/stable/fft.html)."""

from __future__ import annotations

from .ops import show_at_home as _show_at_home
from .ops._overriding import offer as _offer
from .ops.fourier import FFT as _FFT

globals().update(_FFT)
_show_at_home(_FFT, __name__)
_offer("torch.fft", _FFT)

__all__ = sorted(_FFT)
