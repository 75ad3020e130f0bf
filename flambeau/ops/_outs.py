"""``out=``: results that are written to memory of the caller's."""

from __future__ import annotations

import warnings
from typing import Any

from ..graph.epoch import node_of, threads
from ..graph.tensor_base import TensorBase
from ..graph.types import overlaps_itself
from ._histories import requires_grad
from ._refused_outs import check_dtype, check_memory
from ._writing import REPEATED, check_cast, write


def into(result: Any, out: Any, name: str = "") -> Any:
    """Stores a result in ``out`` and returns ``out``; gives the result itself if ``out`` is None.

    Raises:
        RuntimeError: an argument requires grad, or ``out`` cannot hold the dtype.
    """
    if out is None:
        return result
    if isinstance(result, tuple):
        for r, o in zip(result, out):
            into(r, o, name)
        return type(result)(*out) if hasattr(result, "_fields") else tuple(out)
    if not isinstance(out, TensorBase):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if threads.epoch.grad and (requires_grad(result) or requires_grad(out)):
        raise RuntimeError(f"{name}(): functions with out=... arguments don't support automatic differentiation, "
                           "but one of the arguments requires grad.")  # fmt: skip
    if result._ty.meta is not out._ty.meta:
        raise RuntimeError(f"Attempting to copy from device {result.device} to device {out.device}, but cross-device "
                           "copies are not allowed!")  # fmt: skip
    if result._ty.dtype is not out._ty.dtype:
        check_dtype(name, result._ty.dtype, out._ty.dtype)
    if result._s.pending:
        check_memory(name, result, out)
    check_cast(result._ty.dtype, out._ty.dtype)
    if out._ty.shape != result._ty.shape:
        _resize_out(result, out)
    if overlaps_itself(out._ty):
        raise RuntimeError(REPEATED)
    write(out, node_of(result))
    return out


def into_flat(result: TensorBase, out: Any, name: str) -> Any:
    """``into`` for vectors: an ``out`` of as many elements keeps its shape."""
    if out is not None and out._ty.numel == result._ty.numel:
        result = result.reshape(out._ty.shape)  # type: ignore[attr-defined]
    return into(result, out, name)


def _resize_out(result: TensorBase, out: TensorBase) -> None:
    if out._ty.numel:
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(out._ty.shape)}, which does not "
            f"match the required output shape {list(result._ty.shape)}. This behavior is deprecated, and in a future "
            "PyTorch release outputs will not be resized unless they have zero elements. You can explicitly reuse an "
            "out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
            stacklevel=4,
        )
    t = result._ty
    out.resize_(t.shape)  # type: ignore[attr-defined]
    if t.dense and t.strides != out._ty.strides:
        out.as_strided_(t.shape, t.strides, out._ty.offset)  # type: ignore[attr-defined]
