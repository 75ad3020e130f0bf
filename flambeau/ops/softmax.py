"""Softmax and its relatives along one dimension."""

from __future__ import annotations

import warnings
from typing import Any

from ..dtypes import SCALAR_NAMES, float16, float32
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._checks import need_float
from ._precision import wide
from ._registry import call, export, function, into, wrap_dim


def _rule(kernel: str) -> Any:
    def infer(tys: tuple[Ty, ...], dim: int) -> Ty:
        last = dim == max(tys[0].ndim - 1, 0)
        need_float(f"{kernel}_lastdim_kernel_impl" if last else f"{kernel}_kernel_impl", tys[0])
        return ty(tys[0].shape, tys[0].dtype)

    return infer


def _shifted(b: Any, dim: int, x: Any) -> Any:
    """``x`` less its maximum, in float32 at least."""
    x = b.cast(x, wide(x.dtype))
    return b.map("sub", x, b.reduce("max", x, (dim,), True))


def _lower_softmax(b: Any, dim: int, x: Any) -> Any:
    if 0 in x.shape:
        return x
    e = b.map("exp", _shifted(b, dim, x))
    return b.cast(b.map("div", e, b.reduce("sum", e, (dim,), True)), x.dtype)


def _lower_log_softmax(b: Any, dim: int, x: Any) -> Any:
    if 0 in x.shape:
        return x
    y = _shifted(b, dim, x)
    total = b.reduce("sum", b.map("exp", y), (dim,), True)
    return b.cast(b.map("sub", y, b.map("log", total)), x.dtype)


def _lower_softmax_backward(b: Any, dim: int, g: Any, y: Any) -> Any:
    dt = wide(y.dtype)
    g, y = b.cast(g, dt), b.cast(y, dt)
    mean = b.reduce("sum", b.map("mul", g, y), (dim,), True)
    return b.map("mul", b.map("sub", g, mean), y)


def _lower_log_softmax_backward(b: Any, dim: int, g: Any, y: Any) -> Any:
    dt = wide(y.dtype)
    g, y = b.cast(g, dt), b.cast(y, dt)
    total = b.reduce("sum", g, (dim,), True)
    return b.map("sub", g, b.map("mul", b.map("exp", y), total))


def _backward(lower: Any) -> Any:
    def lowered(b: Any, dim: int, g: Any, y: Any) -> Any:
        return b.cast(lower(b, dim, g, y), y.dtype)

    return lowered


def _softmax_double(f: Any, gg: Any) -> tuple[Any, Any]:
    dim = f.attrs
    g, y = f.saved(0), f.saved(1)
    first = call(SOFTMAX_BACKWARD, (gg, y), dim) if f.needs(0) else None
    second = None
    if f.needs(1):
        second = g * gg - (y * g).sum(dim, True) * gg - g * (y * gg).sum(dim, True)
    return first, second


def _log_softmax_double(f: Any, gg: Any) -> tuple[Any, Any]:
    dim = f.attrs
    p = f.saved(1).exp()
    first = gg - (gg * p).sum(dim, True) if f.needs(0) else None
    second = -p * f.saved(0).sum(dim, True) * gg if f.needs(1) else None
    return first, second


def _backward_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    return ty(tys[1].shape, tys[1].dtype)


SOFTMAX_BACKWARD = Operator(
    "_softmax_backward_data", _backward_ty, _backward(_lower_softmax_backward), _softmax_double,
    saves=((0, (1,)), (1, (0, 1))), grad_name="SoftmaxBackwardDataBackward0",
)  # fmt: skip
LOG_SOFTMAX_BACKWARD = Operator(
    "_log_softmax_backward_data", _backward_ty, _backward(_lower_log_softmax_backward), _log_softmax_double,
    saves=((0, (1,)), (1, (0, 1))), grad_name="LogSoftmaxBackwardDataBackward0",
)  # fmt: skip
SOFTMAX = Operator(
    "softmax", _rule("softmax"), _lower_softmax,
    lambda f, g: (call(SOFTMAX_BACKWARD, (g, f.out()), f.attrs),), saves=((OUT, (0,)),),
)  # fmt: skip
LOG_SOFTMAX = Operator(
    "log_softmax", _rule("log_softmax"), _lower_log_softmax,
    lambda f, g: (call(LOG_SOFTMAX_BACKWARD, (g, f.out()), f.attrs),), saves=((OUT, (0,)),),
)  # fmt: skip


def apply(op: Operator, x: Any, dim: int, dtype: Any) -> Any:
    """Softmax or log-softmax along ``dim``, the input cast to ``dtype`` first."""
    if dtype is not None and x._ty.dtype is not dtype:
        x = x.to(dtype=dtype)
    n = x._ty.ndim
    return call(op, (x,), dim if type(dim) is int and 0 <= dim < n else wrap_dim(dim, n))


@export()
def softmax(input: Any, dim: int, dtype: Any = None, *, out: Any = None) -> Any:
    """``exp(input)`` divided by its sum along ``dim`` (https://docs.pytorch.org/docs/stable/generated/torch.softmax.html)."""
    return into(apply(SOFTMAX, input, dim, dtype), out, "softmax")


@export()
def log_softmax(input: Any, dim: int, dtype: Any = None, *, out: Any = None) -> Any:
    """The logarithm of ``softmax``, computed without overflow."""
    return into(apply(LOG_SOFTMAX, input, dim, dtype), out, "log_softmax")


@function()
def _softmax(input: Any, dim: int, half_to_float: bool) -> Any:
    """``softmax`` by the name of PyTorch's operator."""
    _same_float(half_to_float)
    return softmax(input, dim)


@function()
def _log_softmax(input: Any, dim: int, half_to_float: bool) -> Any:
    """``log_softmax`` by the name of PyTorch's operator."""
    _same_float(half_to_float)
    return log_softmax(input, dim)


def _same_float(half_to_float: bool) -> None:
    if half_to_float:
        raise RuntimeError("softmax with half to float conversion is not supported on CPU")


@function()
def _softmax_backward_data(
    grad_output: Any, output: Any, dim: int, input_dtype: Any, *, grad_input: Any = None,
) -> Any:  # fmt: skip
    """The gradient of the input of ``softmax`` that gave ``output``.

    Raises:
        RuntimeError: ``grad_output`` has another shape or dtype than ``output``.
        NotImplementedError: they are not floating.
    """
    made = _backward_data(SOFTMAX_BACKWARD, "softmax", grad_output, output, dim, input_dtype)
    return into(made, grad_input, "_softmax_backward_data")


@function()
def _log_softmax_backward_data(
    grad_output: Any, output: Any, dim: int, input_dtype: Any, *, out: Any = None,
) -> Any:  # fmt: skip
    """The gradient of the input of ``log_softmax`` that gave ``output``; raises as ``_softmax_backward_data`` does."""
    made = _backward_data(LOG_SOFTMAX_BACKWARD, "log_softmax", grad_output, output, dim, input_dtype)
    return into(made, out, "_log_softmax_backward_data")


def _backward_data(op: Operator, of: str, g: Any, y: Any, dim: int, dtype: Any) -> Any:
    a, b = g._ty, y._ty
    if a.dtype is float32 and dtype is float16:
        raise RuntimeError("expected scalar type Float but found Half")
    if a.shape != b.shape:
        raise RuntimeError("Expected tensor for argument #1 'grad' to have same size as tensor for argument #2 "
                           f"'output'; but {list(a.shape)} does not equal {list(b.shape)} "
                           f"(while checking arguments for {of}_backward)")  # fmt: skip
    dim = wrap_dim(dim, b.ndim)
    last = dim == max(b.ndim - 1, 0)
    need_float(f"{of}_backward_lastdim_kernel_impl" if last else f"{of}_backward_kernel_impl", a)
    if a.dtype is not b.dtype:
        raise RuntimeError(f"expected scalar type {SCALAR_NAMES[a.dtype]} but found {SCALAR_NAMES[b.dtype]}")
    return call(op, (g, y), dim)


def implicit_dim(name: str, ndim: int, level: int) -> int:
    """The dimension that old programs meant by leaving it out; warns."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=level,
    )
    return 0 if ndim in (0, 1, 3) else 1
