"""Short-time Fourier transforms and the windows of ``torch``."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ..dtypes import C_NAMES, SCALAR_NAMES, as_dtype, float32, get_default_dtype, int64
from ..graph.node import Operator
from ..graph.types import ty
from ._checks import whole
from ._matrices import tensor_argument
from ._registry import call, export, function
from ._warned import warn_of
from .complex_views import view_as_real
from .creation import arange, ones, with_grad
from .fourier import C2C, C2R, R2C
from .from_data import tensor
from .padding import constant_pad_nd, pad
from .ternary import where

# ---- overlapping frames


def _frames_lower(b: Any, attrs: tuple[int, int], x: Any) -> Any:
    step, n = attrs
    frames, size = x.shape[-2:]
    rows = b.reshape(b.map("mul", b.iota(frames), b.const(step, int64)), (frames, 1))
    index = b.map("add", rows, b.reshape(b.iota(size), (1, size)))
    batch = x.shape[:-2]
    flat = b.reshape(x, (*batch, frames * size))
    index = b.expand(b.reshape(index, (1,) * len(batch) + (frames * size,)), flat.shape)
    return b.scatter("add", b.const(0, x.dtype, (*batch, n)), index, flat, len(batch))


OVERLAP_ADD = Operator(
    "unfold_backward", lambda tys, attrs: ty((*tys[0].shape[:-2], attrs[1]), tys[0].dtype), _frames_lower,
    lambda f, g: (g.unfold(-1, f.ins[0].shape[-1], f.attrs[0]),), grad_name="UnfoldBackwardBackward0",
)  # fmt: skip


def overlap_add(frames: Any, step: int, n: int) -> Any:
    """Frames (*, count, size) added up where they lie in a signal of ``n`` points, ``step`` apart."""
    return call(OVERLAP_ADD, (frames,), (step, n))


# ---- arguments


def _flag(v: Any) -> str:
    return "None" if v is None else str(int(v))


def _window_text(window: Any) -> str:
    if window is None:
        return "None"
    return f"torch.{SCALAR_NAMES[window._ty.dtype]}Tensor{{{list(window._ty.shape)}}}"


def _centred(window: Any, dt: Any, win_length: int, n_fft: int) -> Any:
    """The window (ones if there is none) in the middle of ``n_fft`` points."""
    if window is None:
        if win_length == n_fft:
            return None
        window = ones(win_length, dtype=dt)
    left = (n_fft - win_length) // 2
    return constant_pad_nd(window, (left, n_fft - win_length - left), 0) if win_length != n_fft else window


# ---- stft


def _stft_text(x: Any, n_fft: int, hop: int, win: int, window: Any, flags: tuple[Any, ...]) -> str:
    normalized, onesided, return_complex, align = map(_flag, flags)
    shape = ", ".join(map(str, x._ty.shape))
    return (f"stft(torch.{SCALAR_NAMES[x._ty.dtype]}Tensor[{shape}], n_fft={n_fft}, hop_length={hop}, "
            f"win_length={win}, window={_window_text(window)}, normalized={normalized}, onesided={onesided}, "
            f"return_complex={return_complex}, align_to_window={align}) ")  # fmt: skip


def _check_stft(x: Any, n_fft: int, hop: int, win: int, window: Any, flags: tuple[Any, ...]) -> None:
    text = _stft_text(x, n_fft, hop, win, window, flags)
    t = x._ty
    if t.dtype.kind not in "fc":
        raise RuntimeError(text + ": expected a tensor of floating point or complex values")
    if t.ndim not in (1, 2):
        raise RuntimeError(text + ": expected a 1D or 2D tensor")
    size = win if flags[3] else n_fft
    if not 0 < n_fft <= t.shape[-1]:
        raise RuntimeError(text + f": expected 0 < n_fft < {t.shape[-1]}, but got n_fft={size}")
    if hop <= 0:
        raise RuntimeError(text + f": expected hop_length > 0, but got hop_length={hop}")
    if not 0 < win <= n_fft:
        raise RuntimeError(text + f": expected 0 < win_length <= n_fft, but got win_length={win}")
    if window is not None and window._ty.shape != (win,):
        raise RuntimeError(text + f": expected a 1D window tensor of size equal to win_length={win}, but got window "
                           f"with size {list(window._ty.shape)}")  # fmt: skip


def _mirrored(x: Any, n_fft: int, mode: str) -> Any:
    """Padded such that frames are centred on their positions."""
    shape = x._ty.shape
    y = pad(x.view([1] * (3 - len(shape)) + list(shape)), (n_fft // 2, n_fft // 2), mode)
    return y.view(y._ty.shape[3 - len(shape) :]) if shape else y.view(y._ty.shape[2:])


NO_WINDOW = (
    "A window was not provided. A rectangular window will be applied,which is known to cause spectral leakage. Other "
    "windows such as torch.hann_window or torch.hamming_window are recommended to reduce spectral leakage.To suppress "
    "this warning and use a rectangular window, explicitly set `window=torch.ones(n_fft, device=<device>)`."
)
NOT_COMPLEX = (
    "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex tensors "
    "for all inputs, and return_complex=False will raise an error.\nNote: you can still call "
    "torch.view_as_real on the complex output to recover the old return format."
)


@export()
@tensor_argument
def stft(
    input: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Any:
    """Fourier transforms of overlapping frames: (*, length) -> (*, frequencies, frames)
    (https://docs.pytorch.org/docs/stable/generated/torch.stft.html).

    Raises:
        RuntimeError: sizes that do not fit, or ``return_complex`` missing for a real signal.
    """
    if center:
        if align_to_window is not None:
            raise RuntimeError("stft align_to_window should only be set when center = false")
        input = _mirrored(input, n_fft, pad_mode)
    hop = n_fft // 4 if hop_length is None else hop_length
    win = n_fft if win_length is None else win_length
    flags = (normalized, onesided, return_complex, align_to_window)
    _check_complex(input, window, onesided, return_complex)
    _check_stft(input, n_fft, hop, win, window, flags)
    if align_to_window:
        left = (n_fft - win) // 2
        input = constant_pad_nd(input, (left, n_fft - win - left), 0)
    return _frames_transformed(input, n_fft, hop, _centred(window, input._ty.dtype, win, n_fft), flags)


def _check_complex(x: Any, window: Any, onesided: Any, return_complex: Any) -> None:
    if window is None:
        warnings.warn(NO_WINDOW)
    if return_complex is None and not x.is_complex() and not (window is not None and window.is_complex()):
        raise RuntimeError("stft requires the return_complex parameter be given for real inputs, and will further "
                           "require that return_complex=True in a future PyTorch release.")  # fmt: skip
    if return_complex is not None and not return_complex:
        warnings.warn(NOT_COMPLEX)


def _frames_transformed(x: Any, n_fft: int, hop: int, window: Any, flags: tuple[Any, ...]) -> Any:
    normalized, onesided, return_complex, _ = flags
    is_complex = x.is_complex() or (window is not None and window.is_complex())
    if onesided and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    t = x._ty
    batch, count = t.shape[:-1], 1 + (t.shape[-1] - n_fft) // hop
    strides = (*t.strides[:-1], hop * t.strides[-1], t.strides[-1])
    frames = x.as_strided((*batch, count, n_fft), strides, t.offset)
    if window is not None:
        frames = frames * window
    power, dims = 0.5 if normalized else 0.0, (len(batch) + 1,)
    half = not is_complex if onesided is None else bool(onesided)
    y = call(C2C, (frames,), (dims, power, True)) if is_complex else call(R2C, (frames,), (dims, power, half))
    y = y.transpose_(-1, -2)
    return view_as_real(y) if return_complex is False else y


# ---- istft


def _istft_text(x: Any, n_fft: int, hop: int, win: int, window: Any, flags: tuple[Any, ...]) -> str:
    center, normalized, onesided, length, return_complex = flags
    shape = ", ".join(map(str, x._ty.shape))
    return (f"istft(CPU{SCALAR_NAMES[x._ty.dtype]}Type[{shape}], n_fft={n_fft}, hop_length={hop}, win_length={win}, "
            f"window={_window_text(window)}, center={_flag(center)}, normalized={_flag(normalized)}, "
            f"onesided={_flag(onesided)}, length={length}, return_complex={_flag(return_complex)}) ")  # fmt: skip


def _check_istft(x: Any, n_fft: int, hop: int, win: int, window: Any, half: bool, text: str) -> None:
    t = x._ty
    if not x.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )
    if t.numel == 0:
        raise RuntimeError(text + ": input tensor cannot be empty.")
    if t.ndim not in (2, 3):
        raise RuntimeError(text + f": expected a tensor with 2 or 3 dimensions, but got {t.ndim}")
    expected, name = (
        (n_fft // 2 + 1, "n_fft / 2 + 1 when onesided=True") if half else (n_fft, "n_fft when onesided=False")
    )
    if t.shape[-2] != expected:
        raise RuntimeError(text + ": expected the frequency dimension (3rd to the last) of the input tensor to match "
                           f"{name}, but got {t.shape[-2]}")  # fmt: skip
    if not 0 < hop <= win:
        raise RuntimeError(text + ": expected 0 < hop_length <= win_length")
    if not 0 < win <= n_fft:
        raise RuntimeError(text + ": expected 0 < win_length <= n_fft")
    if window is not None and window._ty.shape != (win,):
        raise RuntimeError(text + ": Invalid window shape. window has to be 1D and length of `win_length`")


@export()
@tensor_argument
def istft(
    input: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Any:
    """The signal whose ``stft`` comes nearest to the input, (*, frequencies, frames) -> (*, length)
    (https://docs.pytorch.org/docs/stable/generated/torch.istft.html).

    Raises:
        RuntimeError: sizes that do not fit, or windows that leave a point of the signal uncovered.
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    win = n_fft if win_length is None else win_length
    text = _istft_text(input, n_fft, hop, win, window, (center, normalized, onesided, length, return_complex))
    half = (input._ty.ndim >= 2 and input._ty.shape[-2] != n_fft) if onesided is None else bool(onesided)
    _check_istft(input, n_fft, hop, win, window, half, text)
    if window is None:
        warn_of("istft")
    if half and (return_complex or (window is not None and window.is_complex())):
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    real = input._ty.dtype.to_real()
    full = _centred(window, real, win, n_fft)
    full = ones(n_fft, dtype=real) if full is None else full
    return _joined(input, n_fft, hop, full, (center, normalized, half, length, return_complex), text)


def _joined(x: Any, n_fft: int, hop: int, window: Any, flags: tuple[Any, ...], text: str) -> Any:
    center, normalized, half, length, return_complex = flags
    single = x._ty.ndim == 2
    x = (x.unsqueeze(0) if single else x).transpose(1, 2)
    power = 0.5 if normalized else 1.0
    if return_complex:
        frames = call(C2C, (x,), ((2,), power, False))
    else:
        frames = call(C2R, (x if half else x.narrow(2, 0, n_fft // 2 + 1),), ((2,), power, n_fft))
    count = x._ty.shape[1]
    n = n_fft + hop * (count - 1)
    y = overlap_add(frames * window.view(1, 1, n_fft), hop, n)
    weight = overlap_add((window * window).expand(1, count, n_fft), hop, n)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else n - n_fft // 2 if center else n
    y, weight = y[:, start : min(end, n)], weight[:, start : min(end, n)]
    if not (weight.abs() > 1e-11).all():
        raise RuntimeError(text + "window overlap add min: 1\n[ CPUBoolType{} ]")
    y = y / weight
    y = y.squeeze(0) if single else y
    if end > n:
        warnings.warn("The length of signal is shorter than the length parameter. Result is being padded with zeros in "
                      "the tail. Please check your center and hop_length settings.")  # fmt: skip
        y = constant_pad_nd(y, (0, end - n), 0)
    return y


# ---- windows


def _options(name: str, n: Any, dtype: Any, layout: Any) -> tuple[int, Any]:
    """The checked length and dtype of a window."""
    n = whole(name, "window_length", 1, n)
    dt = as_dtype(dtype) or get_default_dtype()
    if str(layout) == "torch.sparse_coo":
        raise RuntimeError(f"{name} is not implemented for sparse types, got: {layout}")
    if dt.kind not in "fc":
        raise RuntimeError(f"{name} expects floating point dtypes, got: TensorOptions(dtype={C_NAMES[dt]}, device=cpu, "
                           "layout=Strided (default), requires_grad=false (default), pinned_memory=false, "
                           "memory_format=(nullopt))")  # fmt: skip
    if n < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={n}")
    return n, dt


def _window(n: int, periodic: bool, dt: Any, device: Any, requires_grad: bool, shape: Any) -> Any:
    """``shape(index, intervals)`` at ``n`` points; a periodic window leaves out the last of ``n + 1``."""
    if n <= 1:
        return with_grad(ones(n, dtype=dt, device=device), requires_grad)
    intervals = n if periodic else n - 1
    return with_grad(shape(arange(n, dtype=dt, device=device), intervals), requires_grad)


def _factor(x: float, i: Any) -> float:
    """A number as PyTorch multiplies windows of 16 bits by it: rounded to their dtype."""
    return tensor(x, dtype=i._ty.dtype).item() if i._ty.dtype.itemsize == 2 else x


def _cosines(i: Any, intervals: int, alpha: float, beta: float) -> Any:
    return (i * _factor(2.0 * math.pi / intervals, i)).cos() * _factor(-beta, i) + alpha


@function()
def hann_window(window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None, device: Any = None,
                pin_memory: bool = False, requires_grad: bool = False) -> Any:  # fmt: skip
    """A raised cosine (https://docs.pytorch.org/docs/stable/generated/torch.hann_window.html)."""
    n, dt = _options("hann_window", window_length, dtype, layout)
    return _window(n, periodic, dt, device, requires_grad, lambda i, n: _cosines(i, n, 0.5, 0.5))


@function()
def hamming_window(window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *,
                   dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
                   requires_grad: bool = False) -> Any:  # fmt: skip
    """A raised cosine that does not reach 0."""
    n, dt = _options("hamming_window", window_length, dtype, layout)
    return _window(n, periodic, dt, device, requires_grad, lambda i, n: _cosines(i, n, alpha, beta))


@function()
def blackman_window(window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None,
                    device: Any = None, pin_memory: bool = False, requires_grad: bool = False) -> Any:  # fmt: skip
    """A sum of two cosines."""
    n, dt = _options("blackman_window", window_length, dtype, layout)

    def shape(i: Any, intervals: int) -> Any:
        angle = i * _factor(math.pi / intervals, i)
        return (angle * 4).cos() * _factor(0.08, i) - (angle * 2).cos() * 0.5 + 0.42

    return _window(n, periodic, dt, device, requires_grad, shape)


@function()
def bartlett_window(window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None,
                    device: Any = None, pin_memory: bool = False, requires_grad: bool = False) -> Any:  # fmt: skip
    """A triangle."""
    n, dt = _options("bartlett_window", window_length, dtype, layout)

    def shape(i: Any, intervals: int) -> Any:
        up = i * _factor(2.0 / intervals, i)
        return where(i <= intervals // 2, up, 2.0 - up)

    return _window(n, periodic, dt, device, requires_grad, shape)


@function()
def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None,
                  layout: Any = None, device: Any = None, pin_memory: bool = False,
                  requires_grad: bool = False) -> Any:  # fmt: skip
    """Kaiser's window, whose shape ``beta`` sets."""
    n, dt = _options("kaiser_window", window_length, dtype, layout)

    def shape(i: Any, intervals: int) -> Any:
        wide = float32 if dt.itemsize == 2 else dt
        height = tensor(beta, dtype=wide)
        x = i.to(wide) * (2.0 * beta / intervals) - beta
        return ((height * height - x * x).clamp(min=0).sqrt().i0() / height.i0()).to(dt)

    return _window(n, periodic, dt, device, requires_grad, shape)
