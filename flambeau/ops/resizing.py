"""Giving a tensor another size where it is: ``resize_``, ``resize_as_`` and their old forms that are not in place."""

from __future__ import annotations

import warnings
from math import prod
from typing import Any

import numpy as np

from ..compiler.numpy import to_memory
from ..device import channels_last, channels_last_3d, contiguous_format
from ..graph.epoch import complete_all, threads
from ..graph.fn import next_number
from ..graph.keeping import let_go
from ..graph.realisation import realised, settled
from ..graph.storage import Storage, flat_type, next_token, refuse_inference_write
from ..graph.tensor_base import replaced
from ..graph.types import contiguous_strides, lazily, on_meta, ty
from ._layouts import strides_in, suggested
from ._registry import export, method, requires_grad
from .creation import sizes, undefined


@method()
def resize_(self: Any, *numbers: Any, size: Any = None, memory_format: Any = None) -> Any:
    """Another shape on this memory, which grows if it must (new elements are zero), row-major unless asked otherwise.

    A tensor that has the shape already stays as it is.

    Raises:
        RuntimeError: the tensor requires grad, its memory belongs to NumPy too and is too small, or the sizes overflow.
    """
    numbers = numbers if size is None else (size,)
    if not numbers:
        raise TypeError('resize_() missing 1 required positional arguments: "size"')
    if requires_grad(self):
        raise RuntimeError("cannot resize variables that require grad")
    shape = sizes(numbers, "resize_")
    if shape != self._ty.shape:
        _check_size(shape, self._ty.dtype.itemsize)
        _resize(self, shape, contiguous_strides(shape))
    return self if memory_format is None else _reorder(self, memory_format)


def _check_size(shape: tuple[int, ...], itemsize: int) -> None:
    if prod(shape) >= 2**63:
        raise RuntimeError("numel: integer multiplication overflow")
    if prod(shape) * itemsize >= 2**63:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}")


def _resize(x: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    """Gives ``x`` a dense geometry on its storage, made larger if need be."""
    s, t = x._s, x._ty
    if t.meta:
        new = lazily(on_meta(ty(shape, t.dtype, strides)), t.lazy)
        x._s, x._ty, x._w = Storage.of(new), new, -1
        return
    new = lazily(ty(shape, t.dtype, strides, t.offset), t.lazy)
    grows = (new.numel + t.offset) * t.dtype.itemsize > s.ty.numel * s.ty.dtype.itemsize
    if grows and s.notes is not None and s.notes.outside:
        raise RuntimeError("Trying to resize storage that is not resizable")
    refuse_inference_write(s)
    complete_all()
    (x._vc or s).version += 1
    threads.epoch.written = next_number()
    replaced[0] += 1
    if s.notes is not None and s.notes.kept is not None:
        settled(s)
        let_go(s)
    flat = realised(s)
    if grows:
        _grow(s, flat, -(-(new.numel + t.offset) * t.dtype.itemsize // s.ty.dtype.itemsize))
    else:
        s.ty = flat_type(s.ty.numel, s.ty.dtype)
    s.h = None
    s.w = next_token()
    x._ty, x._w = new, -1


def _grow(s: Storage, flat: np.ndarray, count: int) -> None:
    buf = np.empty(count, flat.dtype)
    buf[: flat.size] = flat
    buf[flat.size :] = to_memory(np.asarray(undefined(s.ty.dtype), s.ty.dtype.compute), s.ty.dtype)
    s.buf, s.ty = buf, flat_type(count, s.ty.dtype)


_FORMATS = {f.name: f for f in (channels_last, channels_last_3d, contiguous_format)}


def _reorder(x: Any, memory_format: Any) -> Any:
    """Lays out the dimensions of a tensor that has just been resized in a memory format, whatever its values."""
    name, t = memory_format.name, x._ty
    if name == "preserve_format":
        raise RuntimeError("Unsupported memory formatPreserve")
    _resize(x, t.shape, strides_in(t.shape, name))
    return x


@export()
def resize_as_(input: Any, the_template: Any, *, memory_format: Any = None) -> Any:
    """``resize_`` to the shape of another tensor, and with ``torch.preserve_format`` to its memory format."""
    if memory_format is not None and memory_format.name == "preserve_format":
        memory_format = _FORMATS[suggested(the_template._ty)]
    return resize_(input, the_template._ty.shape, memory_format=memory_format)


@method()
def resize(self: Any, *sizes: Any) -> Any:
    """``reshape`` under its old name, with PyTorch's warning."""
    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    return self.reshape(*sizes)


@method()
def resize_as(self: Any, tensor: Any) -> Any:
    """``reshape`` to the shape of another tensor, with PyTorch's warning."""
    warnings.warn("non-inplace resize_as is deprecated", stacklevel=2)
    return self.reshape(tensor._ty.shape)
