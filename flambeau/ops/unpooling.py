"""The way back from maximum pooling: ``max_unpool``, values at the places that their indices say, zeros elsewhere."""

from __future__ import annotations

from math import prod
from typing import Any

from ..dtypes import SCALAR_NAMES, int64
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._layouts import formatted
from ._registry import call
from .gathering import first_outside
from .pooling import repeated


def _unpool_ty(tys: tuple[Ty, ...], out: tuple[int, ...]) -> Ty:
    x, index = tys
    n = len(out)
    if index.dtype is not int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {SCALAR_NAMES[index.dtype]}")
    if x.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"Input to max_unpooling{n}d should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with {x.ndim} dim"
        )
    if x.shape != index.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(x.shape)}) but got indices "
            f"tensor with shape: {list(index.shape)}"
        )
    return formatted(x.shape[:-n] + out, x.dtype, x) if n == 2 else ty(x.shape[:-n] + out, x.dtype)


def _unpool_lower(b: Any, out: tuple[int, ...], x: Any, index: Any) -> Any:
    n = len(out)
    lead = x.shape[:-n]
    rows = (prod(lead), prod(x.shape[-n:]))
    zeros = b.const(0, x.dtype, (rows[0], prod(out)))
    flat = b.scatter("set", zeros, b.reshape(index, rows), b.reshape(x, rows), 1)
    return b.reshape(flat, lead + out)


def _unpool_vjp(f: Any, g: Any) -> tuple[Any, None]:
    index = f.saved(1)
    n = len(f.attrs)
    lead = g.shape[:-n]
    at = index.reshape(*lead, prod(index.shape[-n:]))
    return g.reshape(*lead, prod(g.shape[-n:])).gather(-1, at).reshape(index.shape), None


UNPOOL = {
    n: Operator(f"max_unpool{n}d", _unpool_ty, _unpool_lower, _unpool_vjp, ((1, (0,)),), f"MaxUnpool{n}DBackward0")
    for n in (2, 3)
}


def _unpooled(n: int, x: Any, index: Any, out: tuple[int, ...]) -> Any:
    bad = first_outside(index, 0, prod(out))
    if bad is not None:
        UNPOOL[n].infer((x._ty, index._ty), out)
        raise RuntimeError(f"Found an invalid max index: {bad} (output volumes are of size {'x'.join(map(str, out))})")
    return call(UNPOOL[n], (x, index), out)


def _unpool_size(x: Any, kernel: Any, stride: Any, padding: Any, output_size: Any, n: int) -> tuple[int, ...]:
    """The size that was pooled: as given if it is possible, else the smallest."""
    k = repeated(kernel, n)
    s = k if stride is None else repeated(stride, n)
    p = repeated(padding, n)
    default = tuple([(size - 1) * si + ki - 2 * pi for size, si, ki, pi in zip(x._ty.shape[-n:], s, k, p)])
    if output_size is None:
        return default
    given = tuple(output_size)
    if len(given) == n + 2:
        given = given[2:]
    if len(given) != n:
        raise ValueError(f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of "
                         f"'{len(given)}'")  # fmt: skip
    for d, (want, si, usual) in enumerate(zip(given, s, default)):
        if not usual - si < want < usual + si:
            low, high = [tuple([v + sign * t for v, t in zip(default, s)]) for sign in (-1, 1)]
            raise ValueError(f'invalid output_size "{given}" (dim {d} must be between {low[d]} and {high[d]})')
    return given


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Puts each maximum back where it was; zeros elsewhere."""
    out = _unpool_size(input, kernel_size, stride, padding, output_size, 1)
    return _unpooled(2, input.unsqueeze(-1), indices.unsqueeze(-1), (*out, 1)).squeeze(-1)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Puts each maximum back where it was; zeros elsewhere."""
    return _unpooled(2, input, indices, _unpool_size(input, kernel_size, stride, padding, output_size, 2))


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Puts each maximum back where it was; zeros elsewhere."""
    return _unpooled(3, input, indices, _unpool_size(input, kernel_size, stride, padding, output_size, 3))
