"""Views of parts: one index, a slice, a diagonal, windows."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from operator import index as integer
from typing import Any

from ..graph.node import Operator
from ..graph.tensor_base import TensorBase
from ..graph.types import Ty, contiguous_strides, ty
from ._registry import at_version, call, export, method, view, wrap_dim
from ._signatures import invalid_arguments
from .strided_views import as_strided_backward
from .views import retyped, view_operator


def select_rule(t: Ty, attrs: tuple[int, int]) -> Ty:
    """The type of what lies at one index of a dimension: ``(dimension, index)``."""
    dim, i = attrs
    cut = slice(None, dim), slice(dim + 1, None)
    return retyped(t, t.shape[cut[0]] + t.shape[cut[1]], t.strides[cut[0]] + t.strides[cut[1]],
                    t.offset + i * t.strides[dim])  # fmt: skip


def _embed(f: Any, g: Any, rule: Callable[[Ty, Any], Ty]) -> tuple[Any]:
    return (call(EMBED, (g,), (f.ins[0].shape, rule(ty(f.ins[0].shape, g._ty.dtype), f.attrs))),)


def _embed_lower(b: Any, attrs: Any, g: Any) -> Any:
    shape, part = attrs
    zeros = b.const(0, g.dtype, shape)
    return b.update(zeros, g, contiguous_strides(shape), part.strides, part.offset)


def _embed_vjp(f: Any, g: Any) -> tuple[Any]:
    part, g = f.attrs[1], g.contiguous()
    return (g.as_strided(part.shape, part.strides, part.offset + g._ty.offset),)


EMBED = Operator("embed", lambda tys, attrs: ty(attrs[0], tys[0].dtype), _embed_lower, _embed_vjp)

SELECT = view_operator("select", select_rule, lambda f, g: _embed(f, g, select_rule))


@export()
def select(input: Any, dim: int, index: Any) -> Any:
    """A view of what lies at one index of a dimension, which goes away
    (https://docs.pytorch.org/docs/stable/generated/torch.select.html).

    Raises:
        IndexError: the dimension or the index is out of range.
    """
    t = input._ty
    if t.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d = wrap_dim(dim, t.ndim)
    i = integer(index)
    if not -t.shape[d] <= i < t.shape[d]:
        raise IndexError(f"select(): index {i} out of range for tensor of size {list(t.shape)} at dimension {d}")
    return view(SELECT, input, (d, i % t.shape[d]))


def slice_rule(t: Ty, attrs: tuple[int, int, int, int]) -> Ty:
    """The type of a slice: ``(dimension, first index, end, step)``, within the dimension."""
    dim, start, stop, step = attrs
    n = -(-(stop - start) // step)
    shape = t.shape[:dim] + (n,) + t.shape[dim + 1 :]
    strides = t.strides[:dim] + (t.strides[dim] * step,) + t.strides[dim + 1 :]
    return retyped(t, shape, strides, t.offset + start * t.strides[dim])


SLICE = view_operator("slice", slice_rule, lambda f, g: _embed(f, g, slice_rule))


def slice_view(x: Any, dim: int, start: int | None, stop: int | None, step: int | None) -> Any:
    """``x[start:stop:step]`` along ``dim``, as Python clips the bounds."""
    if step is not None and int(step) <= 0:
        raise ValueError("step must be greater than zero")
    n = x._ty.shape[dim]
    bounds = [None if b is None else int(b) for b in (start, stop, step)]
    a, b, c = slice(*bounds).indices(n)
    return view(SLICE, x, (dim, a, max(a, b), c))


@export()
def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """A view of ``length`` elements of a dimension from ``start`` on, which may be a tensor of one integer
    (https://docs.pytorch.org/docs/stable/generated/torch.narrow.html).

    Raises:
        RuntimeError: they do not lie within the dimension.
        IndexError: ``dim`` is no dimension of the input.
    """
    t = input._ty
    if t.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    start = _start(dim, start, length)
    d = wrap_dim(dim, t.ndim)
    n, length = t.shape[d], index(length)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start = start + n if start < 0 else start
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return view(SLICE, input, (d, start, start + length, 1))


def _start(dim: Any, start: Any, length: Any) -> int:
    """Where ``narrow`` starts.

    Raises:
        RuntimeError: a tensor that is no integer.
        TypeError: not integers.
    """
    integers = (dim, length) if isinstance(start, TensorBase) else (dim, length, start)
    if isinstance(start, bool) or not all([hasattr(i, "__index__") for i in integers]):  # noqa: C419
        forms = "(int dim, Tensor start, int length)", "(int dim, int start, int length)"
        raise invalid_arguments("narrow", (dim, start, length), {}, *forms)
    if isinstance(start, TensorBase) and (start._ty.ndim or start._ty.dtype.kind not in "ui"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    return int(start)


def diagonal_rule(t: Ty, attrs: tuple[int, int, int]) -> Ty:
    """The type of a diagonal: ``(offset, dimension of rows, of columns)``; its elements become the last dimension."""
    offset, a, b = attrs
    rows, cols = t.shape[a], t.shape[b]
    n = max(0, min(rows, cols - offset) if offset >= 0 else min(rows + offset, cols))
    start = t.offset
    if n:
        start += offset * t.strides[b] if offset >= 0 else -offset * t.strides[a]
    rest = [i for i in range(t.ndim) if i not in (a, b)]
    shape = [*[t.shape[i] for i in rest], n]
    strides = [*[t.strides[i] for i in rest], t.strides[a] + t.strides[b]]
    return retyped(t, shape, strides, start)


DIAGONAL = view_operator("diagonal", diagonal_rule, lambda f, g: _embed(f, g, diagonal_rule))


@export()
def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The diagonal of two dimensions, ``offset`` above it, as the last dimension of a view
    (https://docs.pytorch.org/docs/stable/generated/torch.diagonal.html).

    Raises:
        RuntimeError: both are the same dimension.
        IndexError: one is no dimension of the input.
    """
    n = input._ty.ndim
    a, b = wrap_dim(dim1, n), wrap_dim(dim2, n)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return view(DIAGONAL, input, (index(offset), a, b))


def _unfold_rule(t: Ty, attrs: tuple[int, int, int]) -> Ty:
    dim, size, step = attrs
    if t.ndim == 0:
        return retyped(t, (size,), (1,))
    n = (t.shape[dim] - size) // step + 1
    shape = (*t.shape[:dim], n, *t.shape[dim + 1 :], size)
    strides = (*t.strides[:dim], t.strides[dim] * step, *t.strides[dim + 1 :], t.strides[dim])
    return retyped(t, shape, strides)


def _unfold_vjp(f: Any, g: Any) -> tuple[Any]:
    base = ty(f.ins[0].shape, g._ty.dtype)
    return (at_version(as_strided_backward(g, base, _unfold_rule(base, f.attrs)), 0),)


UNFOLD = view_operator("unfold", _unfold_rule, _unfold_vjp)


@method()
def unfold(self: Any, dimension: int, size: int, step: int) -> Any:
    """All slices of ``size`` along a dimension, ``step`` apart, as a new last dimension."""
    t = self._ty
    d = wrap_dim(dimension, t.ndim)
    n = t.shape[d] if t.ndim else 1
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}")
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    return view(UNFOLD, self, (d, size, step))
