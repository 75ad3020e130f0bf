"""Convolutions of one to three dimensions, transposed ones, and their gradients.

Input, weight and output make a trilinear form: ``CONV`` computes the output, ``CONV_INPUT`` the gradient of the input
(also the transposed convolution) and ``CONV_WEIGHT`` that of the weight; each one's gradient is the other two.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import index, is_
from typing import Any

from ..dtypes import C_NAMES, SCALAR_NAMES, bfloat16, bool_, float16, float32, type_text
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._convolution_lowering import Geometry, lower_forward, lower_input, lower_weight
from ._layouts import formatted
from ._precision import widened
from ._registry import call, function, int_tuple, is_tensor
from .creation import zeros_of

# ---- geometry


def _expand(name: str, value: Any, n: int) -> tuple[int, ...]:
    """One number for each spatial dimension."""
    given = int_tuple(value)
    if len(given) == 1:
        return given * n
    if len(given) != n:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values to match the convolution "
            f"dimensions, but got {name}={list(given)}"
        )
    return given


def _pads(
    padding: Any, n: int, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Zeros before and after each spatial dimension."""
    if not isinstance(padding, str):
        return tuple([(p, p) for p in _expand("padding", padding, n)])
    if padding == "valid":
        return ((0, 0),) * n
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return tuple([(t // 2, t - t // 2) for t in total])


def geometry(attrs: Any, n: int, kernel: tuple[int, ...]) -> Geometry:
    """The attributes ``(stride, padding, dilation, groups)`` as the user gave them, made explicit.

    Raises:
        RuntimeError: a length is wrong or a number negative.
    """
    stride, padding, dilation, groups = attrs
    stride, dilation = _expand("stride", stride, n), _expand("dilation", dilation, n)
    if min(dilation) <= 0:
        raise RuntimeError("non-positive dilation is not supported")
    pads = _pads(padding, n, kernel, stride, dilation)
    if min(p for pair in pads for p in pair) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    return Geometry(stride, pads, dilation, groups)


# ---- checks


def _check_bias_dtype(x: Ty, bias: Ty | None) -> None:
    if bias is not None and bias.dtype is not x.dtype:
        raise RuntimeError(f"Input type ({C_NAMES[x.dtype]}) and bias type ({C_NAMES[bias.dtype]}) should be the same")


def _check_weight_dtype(x: Ty, w: Ty, groups: int) -> None:
    if x.dtype is not w.dtype:
        raise RuntimeError((_two_types if _by_onednn(x, w, groups) else _two_scalars)(x, w))
    if x.dtype is bool_:
        raise NotImplementedError("\"slow_conv2d_cpu\" not implemented for 'Bool'")


def _by_onednn(x: Ty, w: Ty, groups: int) -> bool:
    """Would PyTorch hand this convolution to oneDNN? Which words its errors have follows from that."""
    if x.dtype in (float16, bfloat16):
        return True
    if x.dtype is not float32:
        return False
    return x.shape[0] > 1 or groups > 1 or min(w.shape[-2:]) > 3 or x.numel > 20480


def _two_types(x: Ty, w: Ty) -> str:
    return (
        f"Input type ({type_text(x.dtype)}) and weight type ({type_text(w.dtype)}) should be the same or input "
        "should be a MKLDNN tensor and weight is a dense tensor"
    )


def _two_scalars(x: Ty, w: Ty) -> str:
    return f"expected scalar type {SCALAR_NAMES[x.dtype]} but found {SCALAR_NAMES[w.dtype]}"


def _check_weight(x: Ty, w: Ty, groups: int) -> None:
    if x.ndim != w.ndim:
        raise RuntimeError(
            f"Expected {w.ndim}-dimensional input for {w.ndim}-dimensional weight {list(w.shape)}, but got "
            f"{x.ndim}-dimensional input of size {list(x.shape)} instead"
        )
    if w.shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight "
            f"of size {list(w.shape)} instead"
        )
    if w.shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got "
            f"weight of size [{list(w.shape)}] instead"
        )


def _check_forward(x: Ty, w: Ty, bias: Ty | None, g: Geometry) -> None:
    """PyTorch's checks of a convolution's shapes."""
    _check_weight(x, w, g.groups)
    channels = w.shape[1] * g.groups
    if x.shape[1] != channels:
        raise RuntimeError(
            f"Given groups={g.groups}, weight of size {list(w.shape)}, expected input{list(x.shape)} to have "
            f"{channels} channels, but got {x.shape[1]} channels instead"
        )
    if bias is not None and bias.shape != w.shape[:1]:
        raise RuntimeError(f"Given weight of size {list(w.shape)}, expected bias to be 1-dimensional with {w.shape[0]} "
                           f"elements, but got bias of size {list(bias.shape)} instead")  # fmt: skip
    have = [n + lo + hi for n, (lo, hi) in zip(x.shape[2:], g.pads)]
    want = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], g.dilation)]
    if any(h < k for h, k in zip(have, want)):
        sizes = [" x ".join(map(str, s)) for s in (have, want)]
        raise RuntimeError(f"Calculated padded input size per channel: ({sizes[0]}). Kernel size: ({sizes[1]}). "
                           "Kernel size can't be greater than actual input size")  # fmt: skip


def _check_transposed(x: Ty, w: Ty, bias: Ty | None, g: Geometry) -> None:
    """PyTorch's checks of a transposed convolution's shapes."""
    _check_weight(x, w, g.groups)
    head = f"Given transposed=1, weight of size {list(w.shape)}, expected "
    if x.shape[1] != w.shape[0]:
        raise RuntimeError(
            f"{head}input{list(x.shape)} to have {w.shape[0]} channels, but got {x.shape[1]} channels instead"
        )
    channels = w.shape[1] * g.groups
    if bias is not None and bias.shape != (channels,):
        raise RuntimeError(f"{head}bias to be 1-dimensional with {channels} elements, but got bias of size "
                           f"{list(bias.shape)} instead")  # fmt: skip


# ---- what the operators have in common


def _with_bias(b: Any, y: Any, bias: tuple[Any, ...]) -> Any:
    if not bias:
        return y
    return b.map("add", y, b.reshape(bias[0], (1, -1, *[1] * (y.ndim - 2))))


# ---- the three operators


def _bias_grad(f: Any, g: Any) -> list[Any]:
    """The gradient of the bias, where there is one."""
    if len(f.ins) < 3:
        return []
    return [g.sum([0, *range(2, g.ndim)]) if f.needs(2) else None]


def _output_size(x: Ty, w: Ty, g: Geometry) -> tuple[int, ...]:
    return tuple([(n + lo + hi - d * (k - 1) - 1) // s + 1
                  for n, (lo, hi), k, s, d in zip(x.shape[2:], g.pads, w.shape[2:], g.stride, g.dilation)])  # fmt: skip


def _check_lengths(x: Ty, w: Ty, stride: Any) -> None:
    """Raises because the weight is for another number of dimensions, as PyTorch says it: by the stride."""
    if w.ndim < 3:
        raise RuntimeError("weight should have at least three dimensions")
    _expand("stride", list(_expand("stride", stride, x.ndim - 2)), w.ndim - 2)


def _conv_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    x, w, *bias = tys
    _check_bias_dtype(x, bias[0] if bias else None)
    _check_weight_dtype(x, w, attrs[3])
    if x.ndim != w.ndim:
        _check_lengths(x, w, attrs[0])
    g = geometry(attrs, w.ndim - 2, w.shape[2:])
    _check_forward(x, w, bias[0] if bias else None, g)
    channels = w.shape[0] if x.shape[1] else 0  # PyTorch makes no channels of none
    return formatted((x.shape[0], channels, *_output_size(x, w, g)), x.dtype, x, w)


def _conv_lower(b: Any, attrs: Any, x: Any, w: Any, *bias: Any) -> Any:
    g = geometry(attrs, w.ndim - 2, w.shape[2:])
    out, dt = _output_size(x, w, g), x.dtype
    if not x.shape[1]:
        return b.const(0, dt, (x.shape[0], 0, *out))
    x, w, *rest = widened(b, x, w, *bias)
    return b.cast(_with_bias(b, lower_forward(b, x, w, out, g), tuple(rest)), dt)


def _conv_vjp(f: Any, gy: Any) -> tuple[Any, ...]:
    x, w = f.ins[:2]
    if not x.shape[1]:
        return tuple([zeros_of(t) for t in f.ins])
    key = geometry(f.attrs, w.ndim - 2, w.shape[2:]).key()
    gx = call(CONV_INPUT, (gy, conj(f.saved(1))), (x.shape[2:], key)) if f.needs(0) else None
    gw = call(CONV_WEIGHT, (conj(f.saved(0)), gy), (w.shape[2:], key)) if f.needs(1) else None
    return (gx, gw, *_bias_grad(f, gy))


def conj(x: Any) -> Any:
    """The conjugate of complex values."""
    return x.conj_physical() if x._ty.dtype.is_complex else x


_SAVES = ((0, (1,)), (1, (0,)))
CONV = Operator("convolution", _conv_ty, _conv_lower, _conv_vjp, _SAVES)


def _input_shape(tys: tuple[Ty, ...], attrs: Any) -> tuple[int, ...]:
    gy, w, *_ = tys
    size, (*_, groups) = attrs
    return (gy.shape[0], w.shape[1] * groups, *size)


def _input_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    return ty(_input_shape(tys, attrs), tys[0].dtype)


def _transposed_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    return formatted(_input_shape(tys, attrs), tys[0].dtype, *tys[:2])


def _input_lower(b: Any, attrs: Any, gy: Any, w: Any, *bias: Any) -> Any:
    size, key = attrs
    dt = gy.dtype
    gy, w, *rest = widened(b, gy, w, *bias)
    return b.cast(_with_bias(b, lower_input(b, gy, w, size, Geometry(*key)), tuple(rest)), dt)


def _input_vjp(f: Any, gx: Any) -> tuple[Any, ...]:
    key = f.attrs[1]
    gy = call(CONV_OUTPUT, (gx, conj(f.saved(1))), (f.ins[0].shape[2:], key)) if f.needs(0) else None
    gw = call(CONV_WEIGHT, (gx, conj(f.saved(0))), (f.ins[1].shape[2:], key)) if f.needs(1) else None
    return (gy, gw, *_bias_grad(f, gx))


_SECOND = "ConvolutionBackwardBackward0"
CONV_INPUT = Operator("convolution_input", _input_ty, _input_lower, _input_vjp, _SAVES, _SECOND)
CONV_TRANSPOSED = Operator(
    "convolution_transposed", _transposed_ty, _input_lower, _input_vjp, _SAVES, "ConvolutionBackward0"
)


def _weight_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    x, gy = tys
    kernel, (*_, groups) = attrs
    return ty((gy.shape[1], x.shape[1] // groups, *kernel), x.dtype)


def _weight_lower(b: Any, attrs: Any, x: Any, gy: Any) -> Any:
    kernel, key = attrs
    dt = x.dtype
    x, gy = widened(b, x, gy)
    return b.cast(lower_weight(b, x, gy, kernel, Geometry(*key)), dt)


def _weight_vjp(f: Any, gw: Any) -> tuple[Any, ...]:
    key = f.attrs[1]
    gx = call(CONV_INPUT, (conj(f.saved(1)), gw), (f.ins[0].shape[2:], key)) if f.needs(0) else None
    gy = call(CONV_OUTPUT, (conj(f.saved(0)), gw), (f.ins[1].shape[2:], key)) if f.needs(1) else None
    return gx, gy


CONV_WEIGHT = Operator("convolution_weight", _weight_ty, _weight_lower, _weight_vjp, _SAVES, _SECOND)


def _output_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    return ty((tys[0].shape[0], tys[1].shape[0], *attrs[0]), tys[0].dtype)


def _output_lower(b: Any, attrs: Any, x: Any, w: Any) -> Any:
    dt = x.dtype
    x, w = widened(b, x, w)
    return b.cast(lower_forward(b, x, w, attrs[0], Geometry(*attrs[1])), dt)


def _output_vjp(f: Any, gy: Any) -> tuple[Any, ...]:
    key = f.attrs[1]
    gx = call(CONV_INPUT, (gy, conj(f.saved(1))), (f.ins[0].shape[2:], key)) if f.needs(0) else None
    gw = call(CONV_WEIGHT, (conj(f.saved(0)), gy), (f.ins[1].shape[2:], key)) if f.needs(1) else None
    return gx, gw


CONV_OUTPUT = Operator("convolution_output", _output_ty, _output_lower, _output_vjp, _SAVES, _SECOND)


# ---- public functions


def _listed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists made tuples, and tensors numbers, so that the arguments can be looked up."""
    return tuple([_plain(v) for v in values])


def _plain(value: Any) -> Any:
    """An argument that can be looked up: the same object if it could before."""
    if isinstance(value, (list, tuple)):
        return value if type(value) is tuple and all(isinstance(v, int) for v in value) else int_tuple(value)
    return index(value) if hasattr(value, "__index__") else value


def _batched(name: str, x: Any, n: int, run: Callable[[Any], Any]) -> Any:
    """Runs on a batch of one if the input has no batch dimension.

    Raises:
        RuntimeError: the input has neither n + 1 nor n + 2 dimensions.
    """
    if x._ty.ndim == n + 1:
        return run(x.unsqueeze(0)).squeeze(0)
    raise RuntimeError(f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: "
                       f"{list(x._ty.shape)}")  # fmt: skip


def _conv(n: int, name: str, x: Any, w: Any, bias: Any, attrs: tuple[Any, ...]) -> Any:
    try:
        if x._ty.ndim == n + 2 and w._ty is not None:
            return call(CONV, (x, w) if bias is None or bias._ty is None else (x, w, bias), attrs)
    except TypeError:
        plain = _listed(attrs)
        if all(map(is_, plain, attrs)):
            raise
        return _conv(n, name, x, w, bias, plain)
    except AttributeError:
        if is_tensor(x) and is_tensor(w) and (bias is None or is_tensor(bias)):
            raise
        raise TypeError(_refused(name, x, w, bias)) from None
    return _batched(name, x, n, lambda x: _conv(n, name, x, w, bias, attrs))


def _refused(name: str, *args: Any) -> str:
    given = ", ".join("Tensor" if is_tensor(a) else type(a).__name__ for a in args if a is not None)
    lists = [
        f" * (Tensor input, Tensor weight, Tensor bias = None, tuple of ints stride = 1, {padding}, "
        "tuple of ints dilation = 1, int groups = 1)\n"
        for padding in ("tuple of ints padding = 0", 'str padding = "valid"')
    ]
    return (
        f"{name}() received an invalid combination of arguments - got ({given}), but expected one of:\n{''.join(lists)}"
    )


@function()
def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Cross-correlation of (N, C, L) with kernels (F, C / groups, K); padding may be 'same' or 'valid'."""
    return _conv(1, "conv1d", input, weight, bias, (stride, padding, dilation, groups))


@function()
def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Cross-correlation of (N, C, H, W) with kernels (F, C / groups, KH, KW); padding may be 'same' or 'valid'."""
    try:  # the usual call with one frame less
        if bias is not None and input._ty.ndim == 4:
            return call(CONV, (input, weight, bias), (stride, padding, dilation, groups))
    except (TypeError, AttributeError):
        pass
    return _conv(2, "conv2d", input, weight, bias, (stride, padding, dilation, groups))


@function()
def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Cross-correlation of (N, C, D, H, W) with kernels (F, C / groups, KD, KH, KW); padding may be 'same' or
    'valid'."""
    return _conv(3, "conv3d", input, weight, bias, (stride, padding, dilation, groups))


def _check_output_padding(g: Geometry, extra: tuple[int, ...]) -> None:
    if min(extra) < 0:
        raise RuntimeError("negative output_padding is not supported")
    if all(e < s or e < d for e, s, d in zip(extra, g.stride, g.dilation)):
        return
    names = ("depth", "height", "width")[3 - max(len(extra), 2) :]
    parts = [("output_padding", extra), ("stride", g.stride), ("dilation", g.dilation)]
    if len(extra) == 1:
        parts = [(name, (fill, *v)) for (name, v), fill in zip(parts, (0, 1, 1))]
    shown = " ".join(f"{name}_{axis}: {v}" for name, values in parts for axis, v in zip(names, values))
    raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got {shown}")


def _transposed(n: int, x: Any, w: Any, bias: Any, attrs: tuple[Any, ...], output_padding: Any) -> Any:
    name = f"conv_transpose{n}d"
    if x._ty.ndim != n + 2:
        return _batched(name, x, n, lambda x: _transposed(n, x, w, bias, attrs, output_padding))
    g = geometry(_listed(attrs), w._ty.ndim - 2, w._ty.shape[2:])
    extra = _expand("output_padding", output_padding, n)
    bias_ty = None if bias is None else bias._ty
    _check_transposed(x._ty, w._ty, bias_ty, g)
    _check_weight_dtype(x._ty, w._ty, g.groups)
    _check_bias_dtype(x._ty, bias_ty)
    _check_output_padding(g, extra)
    if 0 in x._ty.shape[2:] and 0 not in x._ty.shape[:2]:
        shown = [*x._ty.shape[:2], *[1] * (n == 1), *x._ty.shape[2:]]
        raise RuntimeError(f"Only zero batch or zero channel inputs are supported, but got input shape: {shown}")
    size = tuple([(i - 1) * s - lo - hi + d * (k - 1) + e + 1 for i, (lo, hi), k, s, d, e in
                  zip(x._ty.shape[2:], g.pads, w._ty.shape[2:], g.stride, g.dilation, extra)])  # fmt: skip
    if min(size) <= 0:
        raise RuntimeError(
            f"Given input size per channel: ({' x '.join(map(str, x._ty.shape[2:]))}). Calculated output "
            f"size per channel: ({' x '.join(map(str, size))}). Output size is too small"
        )
    return call(CONV_TRANSPOSED, (x, w) if bias is None else (x, w, bias), (size, g.key()))


@function()
def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The gradient of ``conv1d`` with respect to its input, as an operator on (N, F, L) with kernels (F, C / "
    "groups, K)."""
    return _transposed(1, input, weight, bias, (stride, padding, dilation, groups), output_padding)


@function()
def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The gradient of ``conv2d`` with respect to its input, as an operator."""
    return _transposed(2, input, weight, bias, (stride, padding, dilation, groups), output_padding)


@function()
def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The gradient of ``conv3d`` with respect to its input, as an operator."""
    return _transposed(3, input, weight, bias, (stride, padding, dilation, groups), output_padding)


@function()
def conv_tbc(input: Any, weight: Any, bias: Any, pad: int = 0) -> Any:
    """A one-dimensional convolution of (time, batch, channels) with kernels (K, in, out)."""
    y = conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad)
    return y.permute(2, 0, 1)


@function()
def convolution(
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Any:
    """The general convolution under the functions above."""
    n = input._ty.ndim - 2
    if transposed:
        return _transposed(n, input, weight, bias, (stride, padding, dilation, groups), output_padding)
    return _conv(n, f"conv{n}d", input, weight, bias, (stride, padding, dilation, groups))
