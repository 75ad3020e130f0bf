"""``torch.signal.windows``: window functions of ``M`` points (https://docs.pytorch.org/docs/stable/signal.html).

``sym=True`` gives a symmetric window, ``sym=False`` a periodic one for spectral analysis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import flambeau as torch

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming", "hamming", "hann",
    "kaiser", "nuttall",
]  # fmt: skip


def _dtype(name: str, M: int, dtype: Any, layout: Any) -> Any:
    """The checked dtype.

    Raises:
        ValueError: a negative length, a sparse layout, or a dtype other than float32 and float64.
    """
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not torch.strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    return dtype


def _points(start: float, step: float, M: int, dtype: Any, device: Any, requires_grad: bool) -> Any:
    """``M`` points ``step`` apart."""
    return torch.linspace(start, start + (M - 1) * step, M, dtype=dtype, device=device, requires_grad=requires_grad)


def _flat(M: int, dtype: Any, device: Any, requires_grad: bool) -> Any:
    return torch.ones(int(M), dtype=dtype, device=device, requires_grad=requires_grad)


def exponential(M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, dtype: Any = None,
                layout: Any = torch.strided, device: Any = None, requires_grad: bool = False) -> Any:  # fmt: skip
    """``exp(-|n - center| / tau)``.

    Raises:
        ValueError: ``tau`` is not positive, or a symmetric window has a ``center``.
    """
    dtype = _dtype("exponential", M, dtype, layout)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if M == 0:
        return _flat(0, dtype, device, requires_grad)
    if center is None:
        center = (M if not sym and M > 1 else M - 1) / 2.0
    return torch.exp(-torch.abs(_points(-center / tau, 1 / tau, M, dtype, device, requires_grad)))


def cosine(M: int, *, sym: bool = True, dtype: Any = None, layout: Any = torch.strided, device: Any = None,
           requires_grad: bool = False) -> Any:  # fmt: skip
    """Half a period of the sine."""
    dtype = _dtype("cosine", M, dtype, layout)
    if M == 0:
        return _flat(0, dtype, device, requires_grad)
    step = math.pi / (M + 1 if not sym and M > 1 else M)
    return torch.sin(_points(0.5 * step, step, M, dtype, device, requires_grad))


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, dtype: Any = None, layout: Any = torch.strided,
             device: Any = None, requires_grad: bool = False) -> Any:  # fmt: skip
    """A bell of standard deviation ``std``.

    Raises:
        ValueError: ``std`` is not positive.
    """
    dtype = _dtype("gaussian", M, dtype, layout)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    if M == 0:
        return _flat(0, dtype, device, requires_grad)
    step = 1 / (std * math.sqrt(2))
    start = -(M if not sym and M > 1 else M - 1) / 2.0 * step
    return torch.exp(-(_points(start, step, M, dtype, device, requires_grad) ** 2))


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, dtype: Any = None, layout: Any = torch.strided,
           device: Any = None, requires_grad: bool = False) -> Any:  # fmt: skip
    """Kaiser's window, whose shape ``beta`` sets.

    Raises:
        ValueError: ``beta`` is negative.
    """
    dtype = _dtype("kaiser", M, dtype, layout)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M <= 1:
        return _flat(M, dtype, device, requires_grad)
    step = 2.0 * beta / (M if not sym else M - 1)
    end = min(beta, -beta + (M - 1) * step)
    x = torch.linspace(-beta, end, M, dtype=dtype, device=device, requires_grad=requires_grad)
    height = torch.tensor(beta, dtype=dtype)
    return torch.i0(torch.sqrt((height * height - x * x).clamp(min=0))) / torch.i0(height)


def bartlett(M: int, *, sym: bool = True, dtype: Any = None, layout: Any = torch.strided, device: Any = None,
             requires_grad: bool = False) -> Any:  # fmt: skip
    """A triangle."""
    dtype = _dtype("bartlett", M, dtype, layout)
    if M <= 1:
        return _flat(M, dtype, device, requires_grad)
    return 1 - torch.abs(_points(-1, 2 / (M if not sym else M - 1), M, dtype, device, requires_grad))


def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, dtype: Any = None, layout: Any = torch.strided,
                   device: Any = None, requires_grad: bool = False) -> Any:  # fmt: skip
    """A sum of cosines with the coefficients ``a``, every other one negative.

    Raises:
        TypeError: ``a`` is no sequence.
        ValueError: ``a`` is empty.
    """
    dtype = _dtype("general_cosine", M, dtype, layout)
    if M <= 1:
        return _flat(M, dtype, device, requires_grad)
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    a = list(a)
    if not a:
        raise ValueError("Coefficients cannot be empty")
    angle = _points(0, 2 * math.pi / (M if not sym else M - 1), M, dtype, device, requires_grad)
    signed = torch.tensor([(-1) ** k * c for k, c in enumerate(a)], dtype=dtype)
    order = torch.arange(len(a), dtype=dtype)
    return (signed.unsqueeze(-1) * torch.cos(order.unsqueeze(-1) * angle)).sum(0)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, dtype: Any = None, layout: Any = torch.strided,
                    device: Any = None, requires_grad: bool = False) -> Any:  # fmt: skip
    """A raised cosine: ``alpha - (1 - alpha) cos``."""
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, dtype=dtype, layout=layout, device=device,
                          requires_grad=requires_grad)  # fmt: skip


def _cosine_sum(name: str, coefficients: list[float], doc: str) -> Callable[..., Any]:
    def window(M: int, *, sym: bool = True, dtype: Any = None, layout: Any = torch.strided, device: Any = None,
               requires_grad: bool = False) -> Any:  # fmt: skip
        dtype = _dtype(words, M, dtype, layout)
        return general_cosine(M, a=coefficients, sym=sym, dtype=dtype, layout=layout, device=device,
                              requires_grad=requires_grad)  # fmt: skip

    # PyTorch checks the arguments of this window alone under its own name.
    words = "blackman" if name == "blackman" else "general_cosine"
    window.__name__ = window.__qualname__ = name
    window.__doc__ = doc
    return window


hamming = _cosine_sum("hamming", [0.54, 0.46], "A raised cosine that does not reach 0.")
hann = _cosine_sum("hann", [0.5, 0.5], "A raised cosine.")
blackman = _cosine_sum("blackman", [0.42, 0.5, 0.08], "A sum of two cosines.")
nuttall = _cosine_sum(
    "nuttall", [0.3635819, 0.4891775, 0.1365995, 0.0106411], "A sum of three cosines, with low side lobes."
)
