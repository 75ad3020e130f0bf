"""Numbers rounded to what few bits can hold, and the gradients of those that were not cut off.

What is rounded to lies at ``(q - zero_point) * scale`` for integers ``q`` from ``quant_min`` to ``quant_max``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, bool_, float16, float32, float64, int32
from ..dtypes import bfloat16 as _bfloat16
from ..graph.types import Ty, like
from ._registry import Operator, call, function, is_tensor

_FIRST_BEYOND = 2.0**63  # what PyTorch's conversion to integers makes of it is less than all of them


def _codes(b: Any, attrs: Any, x: Any, inverse: Any, zero: Any) -> tuple[Any, Any, Any]:
    """The integers that elements are rounded to, not cut off yet, as floats; the zero point, and their dtype."""
    dt = float64 if x.dtype is float64 else float32
    x, inverse, zero = b.cast(x, dt), b.cast(inverse, dt), b.cast(zero, dt)
    steps = b.map("mul", x, inverse)
    if attrs[2] == "float":
        return b.map("rint", b.map("add", steps, zero)), zero, dt
    return b.map("add", b.map("rint", steps), zero), zero, dt


def _lower(b: Any, attrs: Any, x: Any, scale: Any, inverse: Any, zero: Any) -> Any:
    q, zero, dt = _codes(b, attrs, x, inverse, zero)
    low, high = b.const(attrs[0], dt), b.const(attrs[1], dt)
    above = b.map("ge", q, low)  # not NaN either
    if attrs[2] != "whole":
        above = b.map("logical_and", above, b.map("lt", q, b.const(_FIRST_BEYOND, dt)))
    q = b.where(above, b.where(b.map("le", q, high), q, high), low)
    return b.cast(b.map("mul", b.map("sub", q, zero), b.cast(scale, dt)), x.dtype)


def _inside_lower(b: Any, attrs: Any, x: Any, inverse: Any, zero: Any) -> Any:
    q, _, dt = _codes(b, attrs, x, inverse, zero)
    return b.map("logical_and", b.map("ge", q, b.const(attrs[0], dt)), b.map("le", q, b.const(attrs[1], dt)))


INSIDE = Operator("fake_quantize_mask", lambda tys, attrs: like(tys[0], bool_), _inside_lower)


def _vjp(f: Any, g: Any) -> tuple[Any, ...]:
    x, inverse, zero = f.saved(0), f.saved(2), f.saved(3)
    return g * call(INSIDE, (x, inverse, zero), f.attrs), None, None, None


def _same(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    return like(tys[0])


def _rounding(grad_name: str) -> Operator:
    saves = ((0, (0,)), (2, (0,)), (3, (0,)))
    return Operator("fake_quantize", _same, _lower, _vjp, saves, f"FakeQuantize{grad_name}Backward0")


PER_TENSOR = _rounding("PerTensorAffineCachemask")
PER_TENSOR_OF_TENSORS = _rounding("PerTensorAffineCachemaskTensorQparams")
PER_CHANNEL = _rounding("PerChannelAffineCachemask")


def _check(input: Any, quant_min: int, quant_max: int, kernel: str) -> None:
    if quant_min > quant_max:
        raise RuntimeError("`quant_min` should be less than or         equal to `quant_max`.")
    if input._ty.dtype not in (float16, _bfloat16, float32, float64):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{SCALAR_NAMES[input._ty.dtype]}'")


def _one(x: Any) -> Any:
    if x._ty.numel != 1:
        raise RuntimeError(f"a Tensor with {x._ty.numel} elements cannot be converted to Scalar")
    return x.detach().reshape(())


def _refuse_wanted(name: str, *qparams: Any) -> None:
    for argument, x in zip(("scale", "zero_point"), qparams):
        if x.requires_grad:
            raise RuntimeError(f"The function '{name}' is not differentiable with respect to argument '{argument}'. "
                               "This input cannot have requires_grad True.")  # fmt: skip


@function()
def fake_quantize_per_tensor_affine(input: Any, scale: Any, zero_point: Any, quant_min: int, quant_max: int) -> Any:
    """``input`` (*, floating) rounded to integers times ``scale`` about ``zero_point``, both numbers or tensors of one.

    Gradients of what lies outside are zero.

    Raises:
        RuntimeError: the bounds are in no order, or the zero point is not between them.
        NotImplementedError: ``input`` is not floating.
    """
    _check(input, quant_min, quant_max, "fake_quantize_tensor_cachemask_kernel_type_handling")
    attrs = quant_min, quant_max, "whole"
    if is_tensor(scale):
        _refuse_wanted("_fake_quantize_per_tensor_affine_cachemask_tensor_qparams", scale, zero_point)
        scale, zero_point = _one(scale).to(float32), _one(zero_point).to(float32)
        return call(PER_TENSOR_OF_TENSORS, (input, scale, scale.reciprocal(), zero_point), attrs)
    if not quant_min <= zero_point <= quant_max:
        raise RuntimeError("`zero_point` must be between `quant_min` and `quant_max`.")
    with np.errstate(divide="ignore"):
        inverse = np.float32(1) / np.float32(scale)
    return call(PER_TENSOR, (input, float(np.float32(scale)), float(inverse), float(zero_point)), attrs)


def _check_channels(input: Any, scale: Any, zero_point: Any, axis: int) -> None:
    if scale._ty.dtype not in (float32, _bfloat16):
        raise RuntimeError(f"Scale must be Float or BFloat16, found {SCALAR_NAMES[scale._ty.dtype]}")
    if zero_point._ty.dtype not in (int32, float32, float16):
        raise RuntimeError(f"Zero-point must be Int32, Float or Half, found {SCALAR_NAMES[zero_point._ty.dtype]}")
    if scale._ty.ndim != 1 or zero_point._ty.ndim != 1:
        raise RuntimeError("scale and zero point need to be 1-D tensors")
    if scale._ty.numel != zero_point._ty.numel:
        raise RuntimeError("scale and zero-point need to have the same dimensions")
    n = input._ty.ndim
    if axis >= n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {axis})")
    if scale._ty.numel != input._ty.shape[axis]:
        raise RuntimeError("dimensions of scale and zero-point are not consistent with input tensor")
    if axis < 0:
        raise RuntimeError("`axis` must be between 0 and number of dimensions of input")


@function()
def fake_quantize_per_channel_affine(
    input: Any, scale: Any, zero_point: Any, axis: int, quant_min: int, quant_max: int
) -> Any:
    """As ``fake_quantize_per_tensor_affine`` with a scale and a zero point for each index of dimension ``axis``.

    Raises:
        RuntimeError: the bounds are in no order, a zero point is not between them, or sizes or dtypes do not fit.
        IndexError: there is no dimension ``axis``.
        NotImplementedError: ``input`` is not floating.
    """
    _refuse_wanted("_fake_quantize_per_channel_affine_cachemask", scale, zero_point)
    _check_channels(input, scale, zero_point, axis)
    _check(input, quant_min, quant_max, "fake_quantize_channel_cachemask_cpu_type_handling")
    whole = zero_point._ty.dtype is int32
    if whole and zero_point._ty.numel and not bool(((zero_point >= quant_min) & (zero_point <= quant_max)).all()):
        raise RuntimeError("`zero_point` must be between `quant_min` and `quant_max`.")
    shape = [1] * input._ty.ndim
    shape[axis] = -1
    scale, zero_point = [x.detach().to(float32).reshape(shape) for x in (scale, zero_point)]
    attrs = quant_min, quant_max, "channels" if whole else "float"
    return call(PER_CHANNEL, (input, scale, scale.reciprocal(), zero_point), attrs)
