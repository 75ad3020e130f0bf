"""Values by formula: ``linspace``, ``logspace``, ``eye``, ``tril_indices``, ``triu_indices``, ``vander``, ``range``."""

from __future__ import annotations

import math
import warnings
from operator import index
from typing import Any

import numpy as np

from ..device import chosen
from ..dtypes import C_NAMES, SCALAR_NAMES, as_dtype, dtype, float32, float64, get_default_dtype, int64, weak_dtype
from ..graph.node import Operator
from ..graph.types import ty
from ._checks import whole
from ._precision import wide
from ._progressions import between, linear
from ._registry import call, function, into, into_flat, is_tensor
from .creation import check_layout, check_out_dtype, from_values, with_grad

LINSPACE = Operator(
    "linspace",
    lambda tys, attrs: ty((attrs[0],), attrs[1]),
    lambda b, attrs, start, end: b.cast(linear(b, attrs[0], attrs[1], start, end), attrs[1]),
)


@function()
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """``steps`` evenly spaced values from ``start`` to ``end``, both included
    (https://docs.pytorch.org/docs/stable/generated/torch.linspace.html).

    Of the default float unless ``dtype`` says otherwise; rounded where PyTorch's kernel rounds.

    Raises:
        RuntimeError: ``steps`` is negative.
    """
    check_layout(layout, "linspace")
    where = chosen(device)
    start, end = _ends("linspace", start, end)
    steps = index(steps)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    kind = complex if isinstance(start, complex) or isinstance(end, complex) else float
    dt = as_dtype(dtype) or (out.dtype if out is not None else weak_dtype(kind()))
    _check_spaced("linspace", kind, dt, out)
    x = call(LINSPACE, (start, end), (steps, dt))
    return with_grad(into_flat(x, out, "linspace"), requires_grad, where)


def _ends(name: str, start: Any, end: Any) -> list[Any]:
    """Both ends as numbers.

    Raises:
        RuntimeError: a tensor with dimensions.
    """
    ends = (("start", start), ("end", end))
    wide = [f"{where} with {v._ty.ndim} dimension(s)" for where, v in ends if is_tensor(v) and v._ty.ndim]
    if wide:
        raise RuntimeError(f"{name} only supports 0-dimensional start and end tensors, but got {' and '.join(wide)}.")
    return [v.item() if is_tensor(v) else v for v in (start, end)]


def _check_spaced(name: str, kind: type, dt: dtype, out: Any) -> None:
    """Raises unless the dtype holds numbers of this kind and ``out`` has it."""
    if out is not None:
        check_out_dtype(dt, out)
    if kind is complex and dt.kind != "c":
        inferred = C_NAMES[weak_dtype(0j)]
        raise RuntimeError(
            f"torch.{name}(): inferred dtype {inferred} can't be safely cast to passed dtype {SCALAR_NAMES[dt]}"
        )
    if dt.kind == "b":
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{SCALAR_NAMES[dt]}'")


def _logspace_lower(b: Any, attrs: Any, start: Any, end: Any, base: Any) -> Any:
    n, dt = attrs
    exact = dt if dt.kind == "c" else float32 if dt.itemsize == 2 and dt.kind == "f" else float64
    at = b.cast(_exponents(b, n, dt, start, end), exact)
    return b.cast(b.map("pow", b.cast(base, exact), at), dt)


def _exponents(b: Any, n: int, dt: dtype, start: Any, end: Any) -> Any:
    """Counted in float64 (halves in float32) over a distance that is rounded to ``dt``."""
    if n == 1:
        return b.expand(b.cast(start, dt if dt.kind == "c" else float64), (1,))
    if dt.kind in "ui":
        return linear(b, n, dt, start, end)
    start, end = [b.cast(b.cast(x, float64), dt) if dt.kind == "f" else b.cast(x, dt) for x in (start, end)]
    return between(b, n, start, end, b.map("sub", end, start), float64 if dt is float32 else wide(dt))


LOGSPACE = Operator(
    "logspace",
    lambda tys, attrs: ty((attrs[0],), attrs[1]),
    _logspace_lower,
)


@function()
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """``base`` to the power of ``steps`` evenly spaced exponents from ``start`` to ``end``."""
    check_layout(layout, "logspace")
    where = chosen(device)
    start, end = _ends("logspace", start, end)
    steps = index(steps)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    kind = complex if isinstance(start, complex) or isinstance(end, complex) else float
    dt = as_dtype(dtype) or (out.dtype if out is not None else weak_dtype(kind()))
    _check_spaced("logspace", kind, dt, out)
    x = call(LOGSPACE, (start, end, float(base)), (steps, dt))
    return with_grad(into_flat(x, out, "logspace"), requires_grad, where)


def _triangle_indices(rows: int, cols: int, offset: int, dt: Any, lower: bool) -> Any:
    rows, cols, offset = index(rows), index(cols), index(offset)
    for name, n in (("row", rows), ("col", cols)):
        if n < 0:
            raise RuntimeError(f"{name} must be non-negative, got{n}")
    dt = as_dtype(dt)
    if dt is not None and dt.kind not in "ui":
        raise NotImplementedError(f"\"{'tril' if lower else 'triu'}_indices\" not implemented for '{SCALAR_NAMES[dt]}'")
    where = np.tril_indices(rows, offset, cols) if lower else np.triu_indices(rows, offset, cols)
    return from_values(np.stack(where).astype((dt or int64).compute), dt or int64)


@function()
def tril_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: Any = None,
    device: Any = None,
    layout: Any = None,
    pin_memory: bool = False,
) -> Any:
    """Row and column numbers of a matrix's elements on and below a diagonal."""
    check_layout(layout, "tril_indices")
    return with_grad(_triangle_indices(row, col, offset, dtype, True), False, chosen(device))


@function()
def triu_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: Any = None,
    device: Any = None,
    layout: Any = None,
    pin_memory: bool = False,
) -> Any:
    """Row and column numbers of a matrix's elements on and above a diagonal."""
    check_layout(layout, "triu_indices")
    return with_grad(_triangle_indices(row, col, offset, dtype, False), False, chosen(device))


@function()
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The powers of a vector's elements as columns, the highest first unless ``increasing``."""
    from .joining import cat

    t = x._ty
    if t.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = t.numel if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    if t.dtype.kind in "uib":
        x = x.to(int64)
    powers = x.new_ones(t.numel, min(n, 1))
    if n > 1:
        powers = cat([powers, x.unsqueeze(1).expand(t.numel, n - 1).cumprod(1)], 1)
    return powers if increasing else powers.flip(1)


EYE = Operator(
    "eye",
    lambda tys, attrs: ty(attrs[:2], attrs[2]),
    lambda b, attrs: b.cast(
        b.map("eq", b.reshape(b.iota(attrs[0]), (attrs[0], 1)), b.reshape(b.iota(attrs[1]), (1, attrs[1]))), attrs[2]
    ),
)


@function()
def eye(
    n: int,
    m: int | None = None,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """Ones on the diagonal of an ``n`` by ``m`` matrix of zeros."""
    check_layout(layout, "eye")
    where = chosen(device)
    n = whole("eye", "n", 1, n)
    m = n if m is None else whole("eye", "m", 2, m)
    for k, name in ((n, "n"), (m, "m")):
        if k < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {k}")
    dt = as_dtype(dtype) or (out.dtype if out is not None else get_default_dtype())
    if out is not None:
        check_out_dtype(dt, out)
    return with_grad(into(call(EYE, (), (n, m, dt)), out, "eye"), requires_grad, where)


@function("range")
def _range(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """As ``arange`` with ``end`` included, of the default dtype; deprecated."""
    check_layout(layout, "range")
    from .creation import arange

    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with "
        "Python's range builtin. Instead, use torch.arange, which produces values in [start, end).",
        stacklevel=2,
    )
    start, end = (0, start) if end is None else (start, end)
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    n = math.floor((end - start) / step) + 1
    dt = as_dtype(dtype) or get_default_dtype()
    x = (arange(n, dtype=float64, device=device) * step + start).to(dt)
    return with_grad(into_flat(x, out, "range"), requires_grad)
