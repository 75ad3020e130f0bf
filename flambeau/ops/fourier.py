"""Discrete Fourier transforms: ``torch.fft``.

Three operators, from complex to complex, from real to complex and from complex to real, as in PyTorch; everything
else is padding, conjugation and scaling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from operator import index
from typing import Any, TypeVar

import numpy as np

from ..dtypes import SCALAR_NAMES, dtype, get_default_dtype
from ..graph.node import Operator
from ..graph.types import Ty, permuted_strides, ty
from ._checks import need_dims, whole
from ._matrices import is_half, tensor_argument
from ._registry import call, int_tuple, into, wrap_dim
from .creation import arange
from .padding import constant_pad_nd

F = TypeVar("F", bound=Callable[..., Any])

FFT: dict[str, Callable[..., Any]] = {}  # torch.fft.<name>


def fourier(f: F) -> F:
    """Lists a function under ``torch.fft``; its first argument must be a tensor."""
    FFT[f.__name__] = checked = tensor_argument(f, "fft_" + f.__name__)
    return checked


# ---- the three transforms; attrs: dimensions, root of the sizes' product to divide by (0, 1 or 1/2), and one more


def _scaled(y: Any, sizes: Any, power: float) -> Any:
    return y if not power else y * np.asarray(prod(sizes) ** -power, y.real.dtype)


def _layout(t: Ty, shape: tuple[int, ...], dims: tuple[int, ...], dt: dtype) -> Ty:
    """Transformed dimensions innermost, the others in the input's order, as PyTorch leaves results."""

    def stride(d: int) -> int:
        return t.strides[d]

    others = sorted([d for d in range(t.ndim) if d not in dims], key=stride, reverse=True)
    inner = sorted(dims, key=stride, reverse=True)
    return ty(shape, dt, permuted_strides(shape, [*others, *inner][::-1]))


def _resized(shape: tuple[int, ...], dim: int, n: int) -> tuple[int, ...]:
    return shape[:dim] + (n,) + shape[dim + 1 :]


def _c2c(x: Any, dims: tuple[int, ...], power: float, forward: bool) -> Any:
    f = np.fft.fftn(x, axes=dims) if forward else np.fft.ifftn(x, axes=dims, norm="forward")
    return _scaled(f.astype(x.dtype, copy=False), [x.shape[d] for d in dims], power)


def _c2c_lower(b: Any, attrs: Any, x: Any) -> Any:
    return b.extern("fft_c2c", _c2c, [x], [(x.shape, x.dtype)], *attrs)


C2C = Operator(
    "fft_c2c", lambda tys, attrs: _layout(tys[0], tys[0].shape, attrs[0], tys[0].dtype), _c2c_lower,
    lambda f, g: (call(C2C, (g,), (f.attrs[0], f.attrs[1], not f.attrs[2])),), grad_name="FftC2CBackward0",
)  # fmt: skip


def _r2c(x: Any, dims: tuple[int, ...], power: float, onesided: bool) -> Any:
    wide = np.result_type(x.dtype, np.complex64)
    f = (np.fft.rfftn if onesided else np.fft.fftn)(x, axes=dims)
    return _scaled(f.astype(wide, copy=False), [x.shape[d] for d in dims], power)


def _r2c_ty(tys: tuple[Ty, ...], attrs: tuple[tuple[int, ...], float, bool]) -> Ty:
    t, (dims, _, onesided) = tys[0], attrs
    shape = _resized(t.shape, dims[-1], t.shape[dims[-1]] // 2 + 1) if onesided else t.shape
    return _layout(t, shape, dims, t.dtype.to_complex())


def _r2c_lower(b: Any, attrs: Any, x: Any) -> Any:
    return b.extern("fft_r2c", _r2c, [x], [(b.ty.shape, b.ty.dtype)], *attrs)


def _r2c_vjp(f: Any, g: Any) -> tuple[Any]:
    dims, power, onesided = f.attrs
    if onesided:
        g = _fitted(g, dims[-1:], f.ins[0].shape[dims[-1] : dims[-1] + 1])
    return (call(C2C, (g,), (dims, power, False)).real,)


R2C = Operator("fft_r2c", _r2c_ty, _r2c_lower, _r2c_vjp, grad_name="FftR2CBackward0")


def _c2r(x: Any, dims: Any, power: float, last: int) -> Any:
    if len(dims) > 1:
        x = np.fft.ifftn(x, axes=dims[:-1], norm="forward")
    f = np.fft.irfft(x, last, dims[-1], norm="forward").astype(x.real.dtype, copy=False)
    return _scaled(f, [f.shape[d] for d in dims], power)


def _c2r_ty(tys: tuple[Ty, ...], attrs: tuple[tuple[int, ...], float, int]) -> Ty:
    t, (dims, _, last) = tys[0], attrs
    return _layout(t, _resized(t.shape, dims[-1], last), dims, t.dtype.to_real())


def _c2r_lower(b: Any, attrs: Any, x: Any) -> Any:
    return b.extern("fft_c2r", _c2r, [x], [(b.ty.shape, b.ty.dtype)], *attrs)


def _c2r_vjp(f: Any, g: Any) -> tuple[Any]:
    dims, power, last = f.attrs
    half = call(R2C, (g,), (dims, power, True))
    # All but the first element, and the middle one of an even size, stand for two.
    twice = arange(last // 2 + 1)
    weight = ((twice > 0) & (2 * twice != last)).to(g._ty.dtype) + 1
    return (half * weight.reshape([-1] + [1] * (g._ty.ndim - 1 - dims[-1])),)


C2R = Operator("fft_c2r", _c2r_ty, _c2r_lower, _c2r_vjp, grad_name="FftC2RBackward0")

# ---- arguments


def _promoted(x: Any, to_complex: bool = False) -> Any:
    """Integers become floats, and floats complex where asked."""
    d = x._ty.dtype
    if is_half(d):
        raise RuntimeError(f"Unsupported dtype {SCALAR_NAMES[d]}")
    if d.kind not in "fc":
        d = get_default_dtype()
    if to_complex:
        d = d.to_complex()
    return x if d is x._ty.dtype else x.to(d)


def _power(norm: str | None, forward: bool) -> float:
    """By which power of the number of points to divide."""
    if norm is None or norm == "backward":
        return 0.0 if forward else 1.0
    if norm == "forward":
        return 1.0 if forward else 0.0
    if norm == "ortho":
        return 0.5
    raise RuntimeError(f'Invalid normalization mode: "{norm}"')


def _fitted(x: Any, dims: Sequence[int], sizes: Sequence[int]) -> Any:
    """Zeros after, or elements cut off, so that ``dims`` have these sizes."""
    shape = x._ty.shape
    pads, padded = [0] * (2 * len(shape)), False
    for d, n in zip(dims, sizes):
        if n == -1:
            continue
        if n < shape[d]:
            x = x.narrow(d, 0, n)
        elif n > shape[d]:
            padded = True
            pads[2 * (len(shape) - d) - 1] = n - shape[d]
    return constant_pad_nd(x, tuple(pads), 0) if padded else x


def _one_dim(x: Any, dim: int) -> int:
    if not x._ty.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim, x._ty.ndim)


def _positive(n: int) -> None:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")


def _need_real(name: str, x: Any, what: str = "real") -> None:
    if x._ty.dtype.is_complex:
        raise RuntimeError(f"{name} expects a {what} input tensor, but got {SCALAR_NAMES[x._ty.dtype]}")


def _store(result: Any, out: Any, name: str) -> Any:
    if out is not None and out._ty.dtype.is_complex != result._ty.dtype.is_complex:
        kind = "complex" if result._ty.dtype.is_complex else "floating point"
        raise RuntimeError(f"{name} expects a {kind} output tensor, but got {SCALAR_NAMES[out._ty.dtype]}")
    return into(result, out, f"fft_{name}")


# ---- one dimension


def _to_complex(x: Any, n: int | None, dim: int, norm: str | None, forward: bool) -> Any:
    x = _promoted(x)
    d = _one_dim(x, dim)
    size = x._ty.shape[d] if n is None else index(n)
    _positive(size)
    x = _fitted(x, (d,), (size,))
    power = _power(norm, forward)
    if x._ty.dtype.is_complex:
        return call(C2C, (x,), ((d,), power, forward))
    y = call(R2C, (x,), ((d,), power, False))
    return y if forward else y.conj()


def _to_real(x: Any, n: int | None, dim: int, norm: str | None, forward: bool) -> Any:
    x = _promoted(x, True)
    d = _one_dim(x, dim)
    size = 2 * (x._ty.shape[d] - 1) if n is None else index(n)
    _positive(size)
    x = _fitted(x, (d,), (size // 2 + 1,))
    return call(C2R, (x.conj() if forward else x,), ((d,), _power(norm, forward), size))


def _from_real(name: str, x: Any, n: int | None, dim: int, norm: str | None, forward: bool) -> Any:
    _need_real(name, x)
    x = _promoted(x)
    d = _one_dim(x, dim)
    size = x._ty.shape[d] if n is None else index(n)
    _positive(size)
    y = call(R2C, (_fitted(x, (d,), (size,)),), ((d,), _power(norm, forward), True))
    return y if forward else y.conj()


@fourier
def fft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Any:
    """The Fourier transform along ``dim``, complex
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.fft.html).

    The input is cut or padded with zeros to ``n`` points. ``norm`` is ``"backward"`` (the default: only inverse
    transforms divide by n), ``"forward"`` or ``"ortho"``.

    Raises:
        RuntimeError: there are no points, ``norm`` is unknown, or the input is of half precision.
        IndexError: ``dim`` is no dimension of the input.
    """
    return _store(_to_complex(input, n, dim, norm, True), out, "fft")


@fourier
def ifft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of ``fft``, complex
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.ifft.html).

    ``n``, ``dim`` and ``norm`` are those of ``fft``.

    Raises:
        RuntimeError: there are no points, ``norm`` is unknown, or the input is of half precision.
        IndexError: ``dim`` is no dimension of the input.
    """
    return _store(_to_complex(input, n, dim, norm, False), out, "ifft")


@fourier
def rfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Any:
    """The first ``n // 2 + 1`` values of a real signal's transform, complex
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.rfft.html).

    ``n``, ``dim`` and ``norm`` are those of ``fft``.

    Raises:
        RuntimeError: the input is complex, there are no points, ``norm`` is unknown, or the input is of half precision.
        IndexError: ``dim`` is no dimension of the input.
    """
    return _store(_from_real("rfft", input, n, dim, norm, True), out, "rfft")


@fourier
def irfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of ``rfft``: ``n`` real points, by default an even number of them
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.irfft.html).

    ``n``, ``dim`` and ``norm`` are those of ``fft``.

    Raises:
        RuntimeError: there are no points, ``norm`` is unknown, or the input is of half precision.
        IndexError: ``dim`` is no dimension of the input.
    """
    return _store(_to_real(input, n, dim, norm, False), out, "irfft")


@fourier
def hfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Any:
    """The transform of a signal with Hermitian symmetry, of which half is given: ``n`` real points
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.hfft.html).

    By default ``n`` is even. ``n``, ``dim`` and ``norm`` are those of ``fft``.

    Raises:
        RuntimeError: there are no points, ``norm`` is unknown, or the input is of half precision.
        IndexError: ``dim`` is no dimension of the input.
    """
    return _store(_to_real(input, n, dim, norm, True), out, "hfft")


@fourier
def ihfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of ``hfft``: the first ``n // 2 + 1`` values, complex, of a real input
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.ihfft.html).

    ``n``, ``dim`` and ``norm`` are those of ``fft``.

    Raises:
        RuntimeError: the input is complex, there are no points, ``norm`` is unknown, or the input is of half precision.
        IndexError: ``dim`` is no dimension of the input.
    """
    return _store(_from_real("ihfft", input, n, dim, norm, False), out, "ihfft")


# ---- several dimensions


def _dims_and_sizes(x: Any, s: Any, dim: Any) -> tuple[tuple[int, ...], list[int]]:
    """Which dimensions to transform, and with how many points (-1: as they are)."""
    ndim = x._ty.ndim
    s = None if s is None else int_tuple(s)
    if dim is not None:
        dims = tuple([wrap_dim(d, ndim) for d in int_tuple(dim)])
        if dims:
            need_dims(x._ty)
        if len(set(dims)) != len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is None:
        dims = tuple(range(ndim))
    else:
        if len(s) > ndim:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {ndim} dimensions.")
        dims = tuple(range(ndim - len(s), ndim))
    sizes = [x._ty.shape[d] if s is None or s[i] == -1 else int(s[i]) for i, d in enumerate(dims)]
    for n in sizes:
        _positive(n)
    return dims, sizes


def _all_complex(x: Any, s: Any, dim: Any, norm: str | None, forward: bool) -> Any:
    x = _promoted(x, True)
    dims, sizes = _dims_and_sizes(x, s, dim)
    x = _fitted(x, dims, sizes)
    power = _power(norm, forward)
    return call(C2C, (x,), (dims, power, forward)) if dims else x.clone()


def _half_dims(name: str, x: Any, s: Any, dim: Any) -> tuple[tuple[int, ...], list[int]]:
    """As ``_dims_and_sizes`` for a complex half: by default the last dimension has twice as many points, less two."""
    given = None if s is None else int_tuple(s)
    dims, sizes = _dims_and_sizes(x, given, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    if given is None or given[-1] == -1:
        sizes[-1] = 2 * (x._ty.shape[dims[-1]] - 1)
    _positive(sizes[-1])
    return dims, sizes


@fourier
def fftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Any:
    """The transform over several dimensions, complex
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.fftn.html).

    ``s`` gives the points of each dimension (-1: as they are), ``dim`` the dimensions, by default all; ``norm`` is that
    of ``fft``.

    Raises:
        RuntimeError: ``s`` and ``dim`` differ in length, a dimension comes twice or has no points,
            or ``norm`` is unknown.
        IndexError: ``dim`` holds no dimension of the input.
    """
    return _store(_all_complex(input, s, dim, norm, True), out, "fftn")


@fourier
def ifftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of ``fftn``, complex
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.ifftn.html).

    ``s`` gives the points of each dimension (-1: as they are), ``dim`` the dimensions, by default all; ``norm`` is that
    of ``fft``.

    Raises:
        RuntimeError: ``s`` and ``dim`` differ in length, a dimension comes twice or has no points,
            or ``norm`` is unknown.
        IndexError: ``dim`` holds no dimension of the input.
    """
    return _store(_all_complex(input, s, dim, norm, False), out, "ifftn")


@fourier
def rfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Any:
    """The transform of real values over several dimensions, complex, half of the last of them
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.rfftn.html).

    ``s`` gives the points of each dimension (-1: as they are), ``dim`` the dimensions, by default all; ``norm`` is that
    of ``fft``.

    Raises:
        RuntimeError: the input is complex, ``s`` and ``dim`` differ in length, a dimension comes twice or has no point,
            or ``norm`` is unknown.
        IndexError: ``dim`` holds no dimension of the input.
    """
    _need_real("rfftn", input, "real-valued")
    x = _promoted(input)
    dims, sizes = _dims_and_sizes(x, s, dim)
    if not dims:
        raise RuntimeError("rfftn must transform at least one axis")
    return _store(call(R2C, (_fitted(x, dims, sizes),), (dims, _power(norm, True), True)), out, "rfftn")


@fourier
def irfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of ``rfftn``, real
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.irfftn.html).

    ``s`` gives the points of each dimension (-1: as they are), ``dim`` the dimensions, by default all; ``norm`` is that
    of ``fft``. By default the last dimension has an even number of points.

    Raises:
        RuntimeError: ``s`` and ``dim`` differ in length, a dimension comes twice or has no points,
            or ``norm`` is unknown.
        IndexError: ``dim`` holds no dimension of the input.
    """
    x = _promoted(input, True)
    dims, sizes = _half_dims("irfftn", x, s, dim)
    x = _fitted(x, dims, [*sizes[:-1], sizes[-1] // 2 + 1])
    return _store(call(C2R, (x,), (dims, _power(norm, False), sizes[-1])), out, "irfftn")


@fourier
def hfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Any:
    """The transform of values with Hermitian symmetry, real; of the last dimension half is given
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.hfftn.html).

    ``s`` gives the points of each dimension (-1: as they are), ``dim`` the dimensions, by default all; ``norm`` is that
    of ``fft``.

    Raises:
        RuntimeError: ``s`` and ``dim`` differ in length, a dimension comes twice or has no points,
            or ``norm`` is unknown.
        IndexError: ``dim`` holds no dimension of the input.
    """
    x = _promoted(input, True)
    dims, sizes = _half_dims("hfftn", x, s, dim)
    x = _fitted(x, dims, [*sizes[:-1], sizes[-1] // 2 + 1])
    power = _power(norm, True)
    if len(dims) > 1:
        x = call(C2C, (x,), (dims[:-1], power, True))
    return _store(call(C2R, (x.conj(),), (dims[-1:], power, sizes[-1])), out, "hfftn")


@fourier
def ihfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of ``hfftn``, complex, of a real input
    (https://docs.pytorch.org/docs/stable/generated/torch.fft.ihfftn.html).

    ``s`` gives the points of each dimension (-1: as they are), ``dim`` the dimensions, by default all; ``norm`` is that
    of ``fft``.

    Raises:
        RuntimeError: the input is complex, ``s`` and ``dim`` differ in length, a dimension comes twice or has no point,
            or ``norm`` is unknown.
        IndexError: ``dim`` holds no dimension of the input.
    """
    if input._ty.dtype.is_complex:
        raise RuntimeError(f"Only supports floating-point dtypes, but found: {SCALAR_NAMES[input._ty.dtype]}")
    x = _promoted(input)
    dims, sizes = _dims_and_sizes(x, s, dim)
    if not dims:
        raise RuntimeError("ihfftn must transform at least one axis")
    power = _power(norm, False)
    y = call(R2C, (_fitted(x, dims, sizes),), (dims[-1:], power, True)).conj()
    return _store(call(C2C, (y,), (dims[:-1], power, False)) if len(dims) > 1 else y, out, "ihfftn")


def _of_two(name: str, doc: str) -> None:
    whole = FFT[name + "n"]

    def transform(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Any = None) -> Any:
        return whole(input, s, dim, norm, out=out)

    transform.__name__ = transform.__qualname__ = name + "2"
    transform.__doc__ = doc
    fourier(transform)


_PAGES = "https://docs.pytorch.org/docs/stable/generated/torch.fft."
for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    _of_two(_name, f"``{_name}n`` over two dimensions, the last two by default ({_PAGES}{_name}2.html).")

# ---- helpers


def _shift_dims(x: Any, dim: Any) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(x._ty.ndim))
    return tuple([wrap_dim(d, x._ty.ndim) for d in int_tuple(dim)])


@fourier
def fftshift(input: Any, dim: Any = None) -> Any:
    """The two halves exchanged, so that frequency 0 is in the middle."""
    dims = _shift_dims(input, dim)
    return input.roll([input._ty.shape[d] // 2 for d in dims], dims)


@fourier
def ifftshift(input: Any, dim: Any = None) -> Any:
    """The inverse of ``fftshift``."""
    dims = _shift_dims(input, dim)
    return input.roll([(input._ty.shape[d] + 1) // 2 for d in dims], dims)


def _frequencies(name: str, n: Any, d: float, half: bool, out: Any, options: dict[str, Any]) -> Any:
    n = whole(f"fft_{name}", "n", 1, n)
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    dt = options.get("dtype") or (out._ty.dtype if out is not None else get_default_dtype())
    if dt.kind not in "fc":
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    requires_grad = options.pop("requires_grad", False)
    i = arange(n // 2 + 1 if half else n, **{**options, "dtype": None})
    if not half:
        i = i - (i >= (n + 1) // 2) * n
    result = (i.to(dt) * (1.0 / (n * d))) if n else i.to(dt)
    return into(result.requires_grad_() if requires_grad else result, out, f"fft_{name}")


def fftfreq(n: int, d: float = 1.0, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
            requires_grad: bool = False) -> Any:  # fmt: skip
    """The frequencies of ``fft``'s ``n`` results for samples ``d`` apart."""
    options = {"dtype": dtype, "device": device, "requires_grad": requires_grad}
    return _frequencies("fftfreq", n, d, False, out, options)


def rfftfreq(n: int, d: float = 1.0, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
             requires_grad: bool = False) -> Any:  # fmt: skip
    """The frequencies of ``rfft``'s results for samples ``d`` apart."""
    options = {"dtype": dtype, "device": device, "requires_grad": requires_grad}
    return _frequencies("rfftfreq", n, d, True, out, options)


FFT |= {"fftfreq": fftfreq, "rfftfreq": rfftfreq}
