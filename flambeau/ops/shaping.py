"""Small things about shapes and matrices: ``kron``, ``fill_diagonal_``, ``unravel_index``, ``map_``, …"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import chosen, refuse_device
from ..dtypes import int64
from ..graph.types import permuted_strides, ty
from ._arguments import tensor_first
from ._registry import export, function, into, is_tensor, method
from .creation import from_values, full_of, sizes, with_grad
from .from_data import tensor
from .views import fresh_view


@export()
@tensor_first
def kron(input: Any, other: Any, *, out: Any = None) -> Any:
    """The Kronecker product: each element of ``input`` times all of ``other``."""
    if not is_tensor(other):
        raise TypeError(f"kron(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}")
    n = max(input._ty.ndim, other._ty.ndim)
    a, b = [(1,) * (n - x._ty.ndim) + x._ty.shape for x in (input, other)]
    y = input.reshape([m for k in a for m in (k, 1)]) * other.reshape([m for k in b for m in (1, k)])
    return into(fresh_view(y, tuple([i * j for i, j in zip(a, b)])), out, "kron")


@method()
def fill_diagonal_(self: Any, fill_value: Any, wrap: bool = False) -> Any:
    """Writes one number on the main diagonal; ``wrap`` starts it anew below in tall matrices.

    Raises:
        RuntimeError: fewer than two dimensions, or more than two of different sizes.
    """
    t = self._ty
    if t.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    if t.ndim > 2 and len(set(t.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step, n = sum(t.strides), min(t.shape)
    self.as_strided((n,), (step,), t.offset).fill_(fill_value)
    if wrap and t.ndim == 2 and t.shape[0] > t.shape[1] + 1:
        cols = t.shape[1]
        left = math.ceil(t.numel / (cols + 1)) - cols
        start = t.offset + t.strides[0] * (cols + 1)
        self.as_strided((left,), (step,), start).fill_(fill_value)
    return self


@function()
def unravel_index(indices: Any, shape: Any) -> Any:
    """Flat indices as a tuple of coordinates in a tensor of this shape."""
    if not is_tensor(indices) or indices._ty.dtype.kind not in "ui":
        what = f"integer dtype, but got {indices.dtype}" if is_tensor(indices) else f"a tensor, got {type(indices)}"
        raise TypeError(f"expected 'indices' to be {what}")
    shape = _coordinate_shape(shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {shape}")
    steps = tensor([math.prod(shape[k + 1 :]) for k in range(len(shape))], dtype=int64)
    return (indices.unsqueeze(-1).div(steps, rounding_mode="floor") % tensor(shape, dtype=int64)).unbind(-1)


def _coordinate_shape(shape: Any) -> tuple[int, ...]:
    """The sizes that ``unravel_index`` is given.

    Raises:
        TypeError: neither an integer nor a sequence of integers.
    """
    if isinstance(shape, int):
        return (shape,)
    if not isinstance(shape, Sequence):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    for n in shape:
        if not isinstance(n, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(n)}")
    return tuple(shape)


@function()
def empty_permuted(
    size: Any, physical_layout: Sequence[int], *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """Undefined values (see ``empty``) with the dimensions in memory in the order of ``physical_layout``."""
    from ..dtypes import as_dtype, get_default_dtype

    shape, order = sizes((size,)), tuple(physical_layout)
    if len(shape) != len(order):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for i, d in enumerate(order):
        if not 0 <= d < len(shape):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got {d} at index {i}).  "
                "NB: negative dims not currently supported; file an issue if you want it."
            )
    if len(set(order)) != len(order):
        raise RuntimeError("Duplicate dim not allowed")
    t = ty(shape, as_dtype(dtype) or get_default_dtype(), permuted_strides(shape, order[::-1]))
    return with_grad(full_of(t, None), requires_grad, chosen(device))


@method()
def map_(self: Any, tensor: Any, callable: Callable[[Any, Any], Any]) -> Any:
    """Writes ``callable(own element, element of tensor)`` everywhere."""
    other = tensor.expand(self._ty.shape)._numpy()
    return _written(
        self, [callable(a, b) for a, b in zip(self._numpy().reshape(-1).tolist(), other.reshape(-1).tolist())]
    )


@method()
def map2_(self: Any, x: Any, y: Any, callable: Callable[[Any, Any, Any], Any]) -> Any:
    """Writes ``callable(own element, element of x, element of y)`` everywhere."""
    if x.requires_grad or y.requires_grad or self.requires_grad:
        raise RuntimeError("Can't call map2_() on Variable that requires grad. Use var.detach().map2_() instead.")
    others = [z.expand(self._ty.shape)._numpy().reshape(-1).tolist() for z in (x, y)]
    return _written(self, [callable(*each) for each in zip(self._numpy().reshape(-1).tolist(), *others)])


@method()
def sparse_dim(self: Any) -> int:
    """How many dimensions have indices: none of a dense tensor's."""
    return 0


@method()
def dense_dim(self: Any) -> int:
    """How many dimensions values have: all of a dense tensor's."""
    return self._ty.ndim


@method()
def apply_(self: Any, callable: Callable[[Any], Any]) -> Any:
    """Writes ``callable(element)`` everywhere."""
    if self.requires_grad:
        raise RuntimeError("Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.")
    return _written(self, [callable(a) for a in self._numpy().reshape(-1).tolist()])


def _written(x: Any, values: list[Any]) -> Any:
    dt = x._ty.dtype
    return x.copy_(from_values(np.asarray(values, dt.compute).reshape(x._ty.shape), dt))


@export()
def is_same_size(input: Any, other: Any) -> bool:
    """Have both tensors the same shape?"""
    return input._ty.shape == other._ty.shape


@method()
def is_set_to(self: Any, tensor: Any) -> bool:
    """Do both tensors see the same memory with the same geometry?"""
    return self._s is tensor._s and self._ty is tensor._ty


@method()
def dim_order(self: Any, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost."""
    strides = self._ty.strides
    return tuple(sorted(range(len(strides)), key=lambda d: (-strides[d], d)))


@export()
def get_device(input: Any) -> int:
    """-1: the CPU."""
    return -1


@method()
def new(self: Any, *args: Any, size: Any = None, device: Any = None) -> Any:
    """A tensor of this tensor's dtype from sizes or data.

    Raises:
        RuntimeError: another device than this tensor's.
    """
    refuse_device(device, self.device)
    if size is not None:
        return self.new_empty(size)
    if len(args) == 1 and not isinstance(args[0], int) and not hasattr(args[0], "numel"):
        return self.new_tensor(args[0])
    return self.new_empty(*args) if args else self.new_empty(0)
