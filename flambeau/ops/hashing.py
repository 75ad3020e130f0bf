"""``hash_tensor``: the exclusive or of the elements' 64-bit patterns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, dtype, float64, int64, uint64
from ..graph.node import Operator
from ..graph.types import Ty
from ._arguments import tensor_first
from ._registry import call, export, into, wrap_dims
from .reductions import reduction_ty


def _xor(a: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
    """The exclusive or of the patterns of 64-bit elements over ``dims``."""
    bits = np.ascontiguousarray(a).reshape(a.shape).view(np.uint64)
    return np.asarray(np.bitwise_xor.reduce(bits, axis=dims, dtype=np.uint64))


def _wide(dt: dtype) -> dtype:
    return float64 if dt.kind == "f" else int64


def _lower(b: Any, attrs: Any, x: Any) -> Any:
    dims = attrs[0]
    r = b.extern("hash_tensor", _xor, [b.cast(x, _wide(x.dtype))], [(_left(x.shape, dims), uint64)], dims)
    return b.reshape(r, b.ty.shape)


def _left(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([n for d, n in enumerate(shape) if d not in dims])


HASH_TENSOR = Operator("hash_tensor", reduction_ty, _lower)


def _check(t: Ty, dims: tuple[int, ...], every: bool) -> None:
    if t.dtype.kind == "c" or (t.dtype.kind == "u" and t.dtype.itemsize > 1):
        raise NotImplementedError(f"\"xor_sum_cpu\" not implemented for '{SCALAR_NAMES[t.dtype]}'")
    if not t.numel and every:
        raise RuntimeError(
            "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
            "with the 'dim' argument."
        )
    for d in dims:
        if not t.shape[d]:
            raise IndexError(f"hash_tensor: Expected reduction dim {d} to have non-zero size.")


@export()
@tensor_first
def hash_tensor(input: Any, dim: Any = None, *, keepdim: bool = False, mode: int = 0, out: Any = None) -> Any:
    """The exclusive or of the elements as 64-bit numbers, as uint64
    (https://docs.pytorch.org/docs/stable/generated/torch.hash_tensor.html).

    Raises:
        RuntimeError: an unknown mode, or an empty tensor without ``dim``.
        IndexError: a dimension is out of range or of size 0.
    """
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    if out is not None and out._ty.dtype is not uint64:
        raise RuntimeError(f"Expected result to be of dtype uint64, but got {SCALAR_NAMES[out._ty.dtype]}")
    t = input._ty
    every = dim is None or (isinstance(dim, (tuple, list)) and not dim)
    dims = wrap_dims(None if every else dim, t.ndim)
    _check(t, dims, every)
    return into(call(HASH_TENSOR, (input,), (dims, keepdim, uint64)), out, "hash_tensor")
