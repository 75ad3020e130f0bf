"""torch.fft, stft, istft and windows: NumPy's and PyTorch's numbers, gradients, round trips, layouts."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as torch

gradcheck, gradgradcheck = torch.autograd.gradcheck, torch.autograd.gradgradcheck


def signal(*shape: int, is_complex: bool = False, seed: int = 0) -> Any:
    draw = np.random.default_rng(seed)
    a = draw.standard_normal(shape)
    return torch.tensor(a + 1j * draw.standard_normal(shape) if is_complex else a, requires_grad=True)


def close(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    expected = expected.detach().numpy(force=True) if torch.is_tensor(expected) else expected
    np.testing.assert_allclose(found.numpy(force=True), expected, tolerance, tolerance)


NORMS = [None, "backward", "forward", "ortho"]
REAL_INPUT = ("rfft", "ihfft")

# ---- transforms


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("n", "dim"), [(None, -1), (4, -1), (9, 0), (5, 1)])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_one_dimension(name: str, n: int | None, dim: int, norm: str | None) -> None:
    for is_complex in (False, True):
        if is_complex and name in REAL_INPUT:
            continue
        x = signal(4, 6, is_complex=is_complex)
        expected = getattr(np.fft, name)(x.detach().numpy(), n, dim, norm)
        close(getattr(torch.fft, name)(x, n, dim, norm), expected)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("s", "dim"), [(None, None), (None, (0, 1)), ((3, 5), (-1, 0)), ((4, 4), None), ((7,), (1,))])
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
def test_several_dimensions(name: str, s: Any, dim: Any, norm: str | None) -> None:
    x = signal(2, 4, 5, is_complex=name != "rfftn")
    axes = dim if dim is not None or s is None else tuple(range(-len(s), 0))
    expected = getattr(np.fft, name)(x.detach().numpy(), s, axes, norm)
    close(getattr(torch.fft, name)(x, s, dim, norm), expected)


@pytest.mark.parametrize("norm", NORMS)
def test_hermitian_transforms_undo_each_other(norm: str | None) -> None:
    x = signal(3, 4, 6)
    close(torch.fft.hfftn(torch.fft.ihfftn(x, norm=norm), x.shape, norm=norm), x)
    close(torch.fft.hfft2(torch.fft.ihfft2(x, norm=norm), x.shape[-2:], norm=norm), x)
    close(torch.fft.irfft2(torch.fft.rfft2(x, norm=norm), x.shape[-2:], norm=norm), x)
    close(torch.fft.ifft2(torch.fft.fft2(x, norm=norm), norm=norm).real, x)


def test_sizes_of_minus_one_stay() -> None:
    x = signal(3, 4)
    close(torch.fft.fftn(x, s=(-1, 6)), np.fft.fftn(x.detach().numpy(), (3, 6), (0, 1)))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float32", "complex64"),
        ("float64", "complex128"),
        ("int64", "complex64"),
        ("bool", "complex64"),
        ("complex64", "complex64"),
    ],
)
def test_dtypes(dtype: str, expected: str) -> None:
    x = torch.ones(4, dtype=getattr(torch, dtype))
    assert torch.fft.fft(x).dtype is getattr(torch, expected)
    assert torch.fft.irfft(x).dtype is getattr(torch, expected).to_real()


def test_layouts() -> None:
    x = torch.zeros(2, 3, 4)
    assert torch.fft.fft(x).stride() == (12, 4, 1)
    assert torch.fft.fft(x, dim=1).stride() == (12, 1, 3)
    assert torch.fft.fft2(x, dim=(0, 1)).stride() == (3, 1, 6)
    assert torch.fft.rfft2(x, dim=(0, 1)).stride() == (2, 1, 4)


GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "fft": torch.fft.fft,
    "ifft": lambda x: torch.fft.ifft(x, norm="ortho"),
    "padded": lambda x: torch.fft.fft(x, 7),
    "cut": lambda x: torch.fft.ifft(x, 2, 0),
    "fft2": lambda x: torch.fft.fft2(x, (3, 3)),
    "irfft": torch.fft.irfft,
    "irfft odd": lambda x: torch.fft.irfft(x, 7, norm="forward"),
    "irfftn": lambda x: torch.fft.irfftn(x, norm="ortho"),
    "hfft": lambda x: torch.fft.hfft(x, 5),
    "hfft2": torch.fft.hfft2,
    "fftshift": torch.fft.fftshift,
}
REAL_GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "rfft": torch.fft.rfft,
    "rfft odd": lambda x: torch.fft.rfft(x, 5),
    "rfftn": lambda x: torch.fft.rfftn(x, norm="forward"),
    "ihfft": torch.fft.ihfft,
    "ihfft2": torch.fft.ihfft2,
}


@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name: str, is_complex: bool) -> None:
    assert gradcheck(GRADIENTS[name], signal(3, 4, is_complex=is_complex))


@pytest.mark.parametrize("name", REAL_GRADIENTS)
def test_gradients_of_real_transforms(name: str) -> None:
    assert gradcheck(REAL_GRADIENTS[name], signal(3, 4))


@pytest.mark.parametrize("f", [torch.fft.fft, torch.fft.rfft, torch.fft.irfft], ids=["fft", "rfft", "irfft"])
def test_second_gradients(f: Callable[[Any], Any]) -> None:
    assert gradgradcheck(lambda x: f(x) ** 2, signal(4))


def chain(fn: Any) -> list[str]:
    """The names of the nodes along first edges."""
    names = []
    while fn is not None:
        names.append(type(fn).__name__)
        fn = fn.next_functions[0][0] if fn.next_functions else None
    return names


def test_names_of_backward_nodes() -> None:
    x = signal(2, 30)
    assert chain(torch.fft.fft(x, 40).grad_fn) == ["FftR2CBackward0", "ConstantPadNdBackward0", "AccumulateGrad"]
    assert chain(torch.fft.fft(x, 10).grad_fn) == ["FftR2CBackward0", "SliceBackward0", "AccumulateGrad"]
    assert chain(torch.fft.ifft(x).grad_fn) == ["ConjBackward0", "FftR2CBackward0", "AccumulateGrad"]
    assert chain(torch.fft.fft2(x).grad_fn) == ["FftC2CBackward0", "ToCopyBackward0", "AccumulateGrad"]
    assert chain(torch.fft.irfft(torch.fft.rfft(x)).grad_fn)[:2] == ["FftC2RBackward0", "FftR2CBackward0"]
    found = chain(torch.stft(x, 8, window=torch.hann_window(8), return_complex=True).grad_fn)
    assert found[:4] == ["TransposeBackward1", "FftR2CBackward0", "MulBackward0", "AsStridedBackward0"]


def test_frequencies_and_shifts() -> None:
    for n in (1, 4, 5):
        close(torch.fft.fftfreq(n, 0.5, dtype=torch.float64), np.fft.fftfreq(n, 0.5))
        close(torch.fft.rfftfreq(n, 0.5, dtype=torch.float64), np.fft.rfftfreq(n, 0.5))
    x = torch.arange(15).reshape(3, 5)
    for dim in (None, 0, 1, (0, 1)):
        assert torch.fft.fftshift(x, dim).tolist() == np.fft.fftshift(x.numpy(), dim).tolist()
        assert torch.fft.ifftshift(x, dim).tolist() == np.fft.ifftshift(x.numpy(), dim).tolist()


def test_out() -> None:
    x, out = torch.arange(4.0), torch.empty(4, dtype=torch.complex64)
    assert torch.fft.fft(x, out=out) is out
    close(out, np.fft.fft(x.numpy()), 1e-6)


# ---- short-time transforms


def test_stft_is_the_transform_of_windowed_frames() -> None:
    x, w = signal(2, 30), torch.hann_window(6, dtype=torch.float64)
    y = torch.stft(x, 8, 3, 6, w, center=False, return_complex=True)
    assert y.shape == (2, 5, 8)
    full = np.pad(w.numpy(), 1)
    for k in range(8):
        close(y[:, :, k], np.fft.rfft(x.detach().numpy()[:, 3 * k : 3 * k + 8] * full))
    both = torch.stft(x, 8, 3, 6, w, center=False, onesided=False, return_complex=True)
    close(both[:, :5], y)
    centred = torch.stft(x, 8, 3, 6, w, return_complex=True)
    padded = np.pad(x.detach().numpy(), ((0, 0), (4, 4)), mode="reflect")
    close(centred, torch.stft(torch.tensor(padded), 8, 3, 6, w, center=False, return_complex=True))
    aligned = torch.stft(x, 8, 3, 6, w, center=False, return_complex=True, align_to_window=True)
    close(aligned[:, 0, 0], (x[:, :6] * w).sum(-1))


@pytest.mark.parametrize(
    ("normalized", "center", "is_complex"), list(itertools.product((False, True), (False, True), (False, True)))
)
def test_istft_undoes_stft(normalized: bool, center: bool, is_complex: bool) -> None:
    x = signal(2, 32, is_complex=is_complex)
    w = torch.hamming_window(8, dtype=torch.float64)
    y = torch.stft(x, 8, 2, window=w, center=center, normalized=normalized, return_complex=True)
    back = torch.istft(y, 8, 2, window=w, center=center, normalized=normalized, return_complex=is_complex)
    close(back, x)
    assert torch.istft(y[0], 8, 2, window=w, center=center, return_complex=is_complex).shape == (32,)


def test_istft_pads_to_the_length_that_is_asked_for() -> None:
    w = torch.hann_window(8)
    y = torch.stft(torch.arange(32.0), 8, window=w, return_complex=True)
    with pytest.warns(UserWarning, match="^The length of signal is shorter than the length parameter"):
        x = torch.istft(y, 8, window=w, length=40)
    assert x.shape == (40,) and x[36:].tolist() == [0.0] * 4


def test_stft_warns() -> None:
    with pytest.warns(UserWarning, match="^A window was not provided"):
        torch.stft(torch.ones(16), 8, return_complex=True)
    with pytest.warns(UserWarning, match="^stft with return_complex=False is deprecated"):
        assert torch.stft(torch.ones(16), 8, window=torch.ones(8), return_complex=False).shape == (5, 9, 2)


def test_gradients_of_short_time_transforms() -> None:
    w = torch.hamming_window(4, dtype=torch.float64).requires_grad_()
    assert gradcheck(lambda x, w: torch.stft(x, 4, window=w, return_complex=True), (signal(2, 7), w))
    y = torch.stft(signal(8), 4, window=w.detach(), return_complex=True).detach().requires_grad_()
    assert gradcheck(lambda y, w: torch.istft(y, 4, window=w), (y, w))


# ---- windows; numbers of PyTorch 2.13

WINDOWS = {
    "torch.hann_window(5)": [0.0, 0.3454915, 0.9045085, 0.9045085, 0.3454914],
    "torch.hann_window(5, periodic=False)": [0.0, 0.5, 1.0, 0.5, 0.0],
    "torch.hamming_window(5)": [0.08, 0.3978522, 0.9121479, 0.9121478, 0.3978521],
    "torch.hamming_window(6, False, 0.5, 0.4)": [0.1, 0.3763932, 0.8236068, 0.8236068, 0.3763931, 0.1],
    "torch.blackman_window(5)": [-0.0, 0.2007701, 0.8492298, 0.8492298, 0.2007701],
    "torch.bartlett_window(5)": [0.0, 0.4, 0.8, 0.8, 0.4],
    "torch.bartlett_window(6, periodic=False)": [0.0, 0.4, 0.8, 0.8, 0.4, 0.0],
    "torch.kaiser_window(5)": [5.28e-05, 0.1017197, 0.7929394, 0.7929394, 0.1017197],
    "torch.kaiser_window(6, False, 8.0)": [0.0023388, 0.2267768, 0.8598018, 0.8598018, 0.2267768, 0.0023388],
    "W.bartlett(6)": [0.0, 0.4, 0.8, 0.8, 0.4, 0.0],
    "W.bartlett(5, sym=False)": [0.0, 0.4, 0.8, 0.8, 0.4],
    "W.blackman(5)": [-0.0, 0.34, 0.9999999, 0.34, -0.0],
    "W.cosine(5)": [0.309017, 0.809017, 1.0, 0.809017, 0.309017],
    "W.cosine(5, sym=False)": [0.258819, 0.7071068, 0.9659258, 0.9659258, 0.7071068],
    "W.exponential(5, tau=2.0)": [0.3678795, 0.6065307, 1.0, 0.6065307, 0.3678795],
    "W.exponential(5, center=1, sym=False)": [0.3678795, 1.0, 0.3678795, 0.1353353, 0.0497871],
    "W.gaussian(5, std=0.9)": [0.084658, 0.5394075, 1.0, 0.5394075, 0.084658],
    "W.gaussian(5, sym=False)": [0.0439369, 0.3246525, 0.8824969, 0.8824969, 0.3246525],
    "W.general_cosine(5, a=[0.4, 0.3, 0.2])": [0.3, 0.2, 0.9, 0.2, 0.3],
    "W.general_hamming(5, alpha=0.6)": [0.2, 0.6, 1.0, 0.6, 0.2],
    "W.hamming(5, sym=False)": [0.08, 0.3978522, 0.9121479, 0.9121478, 0.3978521],
    "W.hann(5)": [0.0, 0.5, 1.0, 0.5, 0.0],
    "W.kaiser(5, beta=3.0)": [0.2048847, 0.7269255, 1.0, 0.7269255, 0.2048847],
    "W.kaiser(5, sym=False)": [5.28e-05, 0.1017197, 0.7929401, 0.7929394, 0.1017196],
    "W.nuttall(6)": [0.0003628, 0.1105153, 0.7982581, 0.7982581, 0.1105152, 0.0003628],
}


@pytest.mark.parametrize("expression", WINDOWS)
def test_windows(expression: str) -> None:
    found = eval(expression, {"torch": torch, "W": torch.signal.windows})
    np.testing.assert_allclose(found.tolist(), WINDOWS[expression], 1e-5, 1e-6)


def test_window_options() -> None:
    assert torch.hann_window(4, dtype=torch.float64).dtype is torch.float64
    assert torch.hann_window(4, requires_grad=True).is_leaf
    assert torch.hann_window(0).shape == (0,) and torch.kaiser_window(1).tolist() == [1.0]
    for f in (
        torch.hann_window,
        torch.hamming_window,
        torch.blackman_window,
        torch.bartlett_window,
        torch.kaiser_window,
    ):
        assert f(6).tolist() == pytest.approx(f(7, periodic=False)[:6].tolist(), abs=1e-6)
    assert torch.signal.windows.hann(5, dtype=torch.float64).dtype is torch.float64
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isclose(torch.signal.windows.kaiser(8, beta=0.0).sum().item(), 8)
