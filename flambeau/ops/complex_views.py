"""Complex memory seen as pairs of real numbers, and the other way."""

from __future__ import annotations

from typing import Any

from ..dtypes import SCALAR_NAMES, complex32, complex64, complex128, float16, float32, float64
from ..graph.types import CONJ, Ty, ty
from ._registry import function, view
from .views import view_operator

_COMPLEX_OF = {complex64: float32, complex128: float64}
_REAL_OF = {v: k for k, v in _COMPLEX_OF.items()}
_NO_HALF_PAIRS = (
    "{}: complex32 is kept as pairs of float32 and cannot share memory with float16; convert to float32 or "
    "complex64 first"
)


def _view_as_real_rule(t: Ty, attrs: Any) -> Ty:
    if not t.dtype.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    if t.dtype is complex32:
        raise NotImplementedError(_NO_HALF_PAIRS.format("view_as_real"))
    return ty((*t.shape, 2), _COMPLEX_OF[t.dtype], (*[2 * s for s in t.strides], 1), 2 * t.offset)


def _view_as_complex_rule(t: Ty, attrs: Any) -> Ty:
    if t.dtype is float16:
        raise NotImplementedError(_NO_HALF_PAIRS.format("view_as_complex"))
    if t.dtype not in _REAL_OF:
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
            f"{SCALAR_NAMES[t.dtype]}"
        )
    if not t.ndim:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if t.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if t.strides[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % 2 for s in t.strides[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if t.offset % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    return ty(t.shape[:-1], _REAL_OF[t.dtype], tuple([s // 2 for s in t.strides[:-1]]), t.offset // 2)


VIEW_AS_REAL = view_operator("view_as_real", _view_as_real_rule, lambda f, g: (view_as_complex(g.contiguous()),))
VIEW_AS_COMPLEX = view_operator(
    "view_as_complex", _view_as_complex_rule, lambda f, g: (view_as_real(g.resolve_conj()),)
)


@function()
def view_as_real(input: Any) -> Any:
    """A complex tensor's memory as pairs (real, imaginary) in a last dimension of 2.

    Raises:
        RuntimeError: the tensor is real, or a view that conjugates.
    """
    if input._ty.lazy & CONJ:
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate tensor so you can "
            "view it as real, use self.resolve_conj(); however, be warned that the resulting tensor will NOT alias the "
            "original."
        )
    return view(VIEW_AS_REAL, input)


@function()
def view_as_complex(input: Any) -> Any:
    """A real tensor with a last dimension of 2 as complex numbers."""
    return view(VIEW_AS_COMPLEX, input)
