"""Operators that give several views of one tensor: split, chunk, unbind and their kind."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from ..dtypes import SCALAR_NAMES, int64
from ..graph.types import Ty, beside
from ._registry import METHODS, export, function, is_tensor, renamed, views, wrap_dim
from ._signatures import invalid_arguments, type_name
from .slicing import select_rule, slice_rule, slice_view
from .views import view_operator


def split_rule(t: Ty, attrs: tuple[tuple[int, ...], int]) -> tuple[Ty, ...]:
    """The types of the parts of these sizes along a dimension."""
    sizes, dim = attrs
    out, start = [], 0
    for n in sizes:
        out.append(slice_rule(t, (dim, start, start + n, 1)))
        start += n
    return tuple(out)


def split_vjp(f: Any, *grads: Any) -> tuple[Any]:
    """The gradient of the whole: those of its parts, joined."""
    from .joining import cat

    return (cat(grads, f.attrs[1]),)


SPLIT = view_operator("split", split_rule, split_vjp)
SPLIT_SIZES = view_operator("split_with_sizes", split_rule, split_vjp)


@function()
def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> Any:
    """Views of ``split_size`` along a dimension (the last may be smaller), or of the sizes given."""
    t = tensor._ty
    if t.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    if isinstance(split_size_or_sections, (tuple, list)):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    if not hasattr(split_size_or_sections, "__index__"):
        raise _no_sizes(split_size_or_sections)
    d, size = wrap_dim(dim, t.ndim), index(split_size_or_sections)
    n = t.shape[d]
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    whole, rest = divmod(n, size) if size else (0, 0)
    return views(SPLIT, tensor, ((size,) * whole + ((rest,) if rest or not whole else ()), d))


def _split(self: Any, split_size: Any, dim: int = 0) -> Any:
    """Views of ``split_size`` along a dimension, or of the sizes given."""
    return split(self, split_size, dim)


METHODS["split"] = renamed(_split, "split")


@export()
def split_with_sizes(self: Any, split_sizes: Sequence[int], dim: int = 0) -> Any:
    """Views of the given sizes along a dimension."""
    t = self._ty
    d = wrap_dim(dim, t.ndim)
    if not all([hasattr(n, "__index__") for n in split_sizes]):  # noqa: C419
        raise _no_sizes(split_sizes)
    if any(n < 0 for n in split_sizes):
        raise RuntimeError(
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={list(split_sizes)}"
        )
    if sum(split_sizes) != t.shape[d]:
        raise RuntimeError(f"split_with_sizes expects split_sizes to sum exactly to {t.shape[d]} (input tensor's "
                           "size at "
                           f"dimension {d}), but got split_sizes={list(split_sizes)}")  # fmt: skip
    return views(SPLIT_SIZES, self, (tuple(split_sizes), d))


def _no_sizes(given: Any) -> TypeError:
    """PyTorch's words for sizes that are no integers."""
    wanted = "split_with_sizes(): argument 'split_sizes' (position 2) must be tuple of ints"
    if not isinstance(given, (tuple, list)):
        return TypeError(f"{wanted}, not {type_name(given)}")
    at = next(k for k, n in enumerate(given) if not hasattr(n, "__index__"))
    return TypeError(f"{wanted}, but found element of type {type_name(given[at])} at pos {at}")


@export()
def chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """Views of a dimension in at most ``chunks`` parts, all of one size but the last, which may be smaller
    (https://docs.pytorch.org/docs/stable/generated/torch.chunk.html).

    Raises:
        RuntimeError: ``chunks`` is not positive.
        IndexError: ``dim`` is no dimension of the input.
    """
    t = input._ty
    if t.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = t.shape[wrap_dim(dim, t.ndim)]
    size = -(-n // chunks)
    if size == 0:
        return split_with_sizes(input, (0,) * chunks, dim)
    return split(input, size, dim)


@export()
def tensor_split(
    input: Any,
    indices_or_sections: Any = None,
    dim: int = 0,
    *,
    indices: Any = None,
    sections: Any = None,
    tensor_indices_or_sections: Any = None,
) -> Any:
    """Views split at indices, or into sections as equal as possible; each way has a keyword of its own too.

    Raises:
        TypeError: neither integers nor a tensor of some.
        RuntimeError: no dimension to split, no sections, or a tensor of another dtype or of too many dimensions.
    """
    given = (indices_or_sections, indices, sections, tensor_indices_or_sections)
    where = next((v for v in given if v is not None), None)
    t = input._ty
    if t.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    n = t.shape[wrap_dim(dim, t.ndim)]
    cuts = [0, *[slice(None, i).indices(n)[1] for i in _split_points(where, n)], n]
    return tuple([slice_view(input, wrap_dim(dim, t.ndim), a, max(a, b), 1) for a, b in zip(cuts, cuts[1:])])


def _split_points(where: Any, n: int) -> Sequence[int]:
    """The indices at which ``n`` elements are split."""
    if is_tensor(where):
        where = _points_of(where)
    if hasattr(where, "__index__") and not isinstance(where, bool):
        where = index(where)
        if where <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {where}")
        return [(n // where) * (i + 1) + min(i + 1, n % where) for i in range(where - 1)]
    if not isinstance(where, (tuple, list)) or not all(hasattr(i, "__index__") for i in where):
        forms = "(Tensor tensor_indices_or_sections, int dim = 0)", "(int sections, int dim = 0)"
        given = () if where is None else (where,)
        raise invalid_arguments("tensor_split", given, {}, *forms, "(tuple of ints indices = None, int dim = 0)")
    return where


def _points_of(where: Any) -> Any:
    t = where._ty
    if t.dtype is not int64:
        raise RuntimeError(
            f"tensor_split expected tensor_indices_or_sections to have dtype of long, but got {SCALAR_NAMES[t.dtype]}"
        )
    if t.ndim > 1:
        raise RuntimeError(
            "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but "
            f"got a tensor with {t.ndim} dims"
        )
    return where.tolist()


def _unbind_rule(t: Ty, dim: int) -> tuple[Ty, ...]:
    n, step = t.shape[dim], t.strides[dim]
    first = beside(select_rule(t, (dim, 0)), t) if n else t
    return tuple([first.moved(t.offset + i * step) for i in range(n)])


def _unbind_vjp(f: Any, *grads: Any) -> tuple[Any]:
    from .joining import stack

    return (stack(grads, f.attrs),)


UNBIND = view_operator("unbind", _unbind_rule, _unbind_vjp)


@export()
def unbind(input: Any, dim: int = 0) -> Any:
    """All slices along a dimension, as a tuple of views."""
    if input._ty.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return views(UNBIND, input, wrap_dim(dim, input._ty.ndim))
