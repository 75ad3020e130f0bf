"""Views under any strides: ``as_strided``, its gradient, and the gradient of a write through a view."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ..dtypes import int64
from ..graph.epoch import Epoch, node_of, threads
from ..graph.node import Operator, update_node, view_node
from ..graph.types import CONJ, NEG, Ty, like, overlaps_itself, plainly, repeating_dim, ty
from ._registry import at_version, call, export, fit, fresh, view, view_inplace
from ._view_rules import AS_STRIDED


def _extent(size: Sequence[int], stride: Sequence[int]) -> int:
    """How many elements of memory, from the first on, these sizes and strides reach."""
    return 0 if 0 in size else 1 + sum((n - 1) * s for n, s in zip(size, stride))


@export()
def as_strided(input: Any, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    """The input's memory under any shape, strides and offset, in elements
    (https://docs.pytorch.org/docs/stable/generated/torch.as_strided.html).

    Gradients of elements that are seen several times are added.

    Raises:
        RuntimeError: the view would leave the storage, or sizes and strides differ in number or are negative.
    """
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(s < 0 for s in stride):
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}")
    if any(n < 0 for n in size):
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(size)} and strides={list(stride)}")
    t = input._ty
    offset = t.offset if storage_offset is None else storage_offset
    if threads.epoch.sampling is not None:
        offset = _offset_in_sample(input, size, stride, storage_offset)
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    span, own = _extent(size, stride), input._s.ty
    have = _extent(own.shape, own.strides) * own.dtype.itemsize
    if span and (span + offset) * t.dtype.itemsize > have:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and itemsize "
            f"{t.dtype.itemsize} requiring a storage size of {(span + offset) * t.dtype.itemsize} are out of bounds "
            "for "
            f"storage of size {have}"
        )
    return view(AS_STRIDED, input, ty(size, t.dtype, stride, offset))


def _offset_in_sample(input: Any, size: tuple[int, ...], stride: tuple[int, ...], given: int | None) -> int:
    """The offset within one sample's memory of a view whose offset is that of the first sample in the memory of all.

    Raises:
        RuntimeError: the view would leave the sample.
    """
    t = input._ty
    first = threads.epoch.sampling.all_of(input)._ty.offset
    offset = first if given is None else given
    end, last = offset + _extent(size, stride), first + _extent(t.shape, t.strides)
    if 0 not in size and not first <= offset <= end <= last:
        raise RuntimeError(
            f"result = tensor.as_strided({list(size)}, {list(stride)}, {offset}) can access memory outside of `tensor`."
            f" `result` can access some memory in range [{offset}, {end}], but `tensor` can only access some memory in "
            f"range [{first}, {last}]. This is not supported inside of vmap, please try to rewrite the `as_strided` "
            "call as a sequence of PyTorch view operations"
        )
    return offset - first + t.offset


@export()
def as_strided_(input: Any, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    """In-place ``as_strided``."""
    return view_inplace(AS_STRIDED, input, plainly(as_strided(input.detach(), size, stride, storage_offset)._ty))


AS_STRIDED.infer = lambda tys, t: t


def _strided_sum_lower(b: Any, attrs: Any, g: Any) -> Any:
    """What is added to memory where the view sees it, as the base sees that."""
    base, part, span = attrs
    if not (base.numel and part.numel) or any(overlaps_itself(t) or repeating_dim(t) is not None for t in (base, part)):
        return _added_up(b, base, part, span, g)
    if base.contiguous and part.contiguous and base.offset == part.offset and base.numel == part.numel:
        return b.reshape(g, base.shape)
    flat = b.update(b.const(0, g.dtype, (span,)), g, (1,), part.strides, part.offset)
    return b.strided(flat, (1,), base.shape, base.strides, base.offset, g.dtype)


def _added_up(b: Any, base: Ty, part: Ty, span: int, g: Any) -> Any:
    """Scatter-adds ``g`` into flat memory at the view's addresses, then reads the base's elements from it."""
    index = _addresses(b, part)
    flat = b.const(0, g.dtype, (span,))
    n = prod(part.shape)
    flat = b.scatter("add", flat, b.reshape(index, (n,)), b.reshape(g, (n,)), 0)
    count = prod(base.shape)
    read = b.reshape(_addresses(b, base), (count,))
    found = b.take(flat, read, 0)
    if (
        overlaps_itself(base) or repeating_dim(base) is not None
    ):  # elements of the base that share memory also share its gradient
        ones = b.const(1, g.dtype, (count,))
        sharing = b.scatter("add", b.const(0, g.dtype, (span,)), read, ones, 0)
        found = b.map("div", found, b.take(sharing, read, 0))
    return b.reshape(found, base.shape)


def _addresses(b: Any, t: Ty) -> Any:
    index = b.const(t.offset, int64, t.shape)
    for d, (n, s) in enumerate(zip(t.shape, t.strides)):
        if s:
            step = b.map("mul", b.iota(n), b.const(s, int64))
            index = b.map("add", index, b.reshape(step, (n,) + (1,) * (t.ndim - d - 1)))
    return index


STRIDED_SUM = Operator(
    "strided_sum",
    lambda tys, attrs: ty(attrs[0].shape, tys[0].dtype),
    _strided_sum_lower,
    lambda f, g: (_strided_sum_backward(g, *f.attrs[:2]),),
)


def _strided_sum_backward(g: Any, base: Ty, part: Ty) -> Any:
    """What the view sees of the gradient, once that is laid out like the base."""
    if base.numel and not base.dense:
        raise NotImplementedError(
            "as_strided: the second derivative with respect to a tensor whose elements share memory or have gaps "
            "between them is not supported; call contiguous() on it first"
        )
    return _piece_of(g.new_empty_strided(base.shape, base.strides).copy_(g), base, part)


def as_strided_backward(g: Any, base: Ty, part: Ty) -> Any:
    """The gradient of the base of ``as_strided``: elements seen several times add up."""
    if part.lazy or base.lazy:
        return _through(as_strided_backward(_through(g, part.lazy), plainly(base), plainly(part)), base.lazy)
    from .complex_views import view_as_complex, view_as_real

    if base.dtype.is_complex and not part.dtype.is_complex:
        return view_as_complex(as_strided_backward(g, _as_pairs(base), part))
    if part.dtype.is_complex and not base.dtype.is_complex:
        return as_strided_backward(view_as_real(g.resolve_conj()), base, _as_pairs(part))
    span = 1 + max(
        [t.offset + sum((n - 1) * s for n, s in zip(t.shape, t.strides)) for t in (base, part) if t.numel] or [0]
    )
    return at_version(call(STRIDED_SUM, (g,), (base, part, span)), 1)


def _as_pairs(t: Ty) -> Ty:
    """The type of the same memory as pairs of real numbers."""
    return ty((*t.shape, 2), t.dtype.to_real(), (*[2 * s for s in t.strides], 1), 2 * t.offset)


def _through(g: Any, lazy: int) -> Any:
    """The gradient of memory from that of a view which conjugates or negates, and the other way."""
    g = g.conj_physical() if lazy & CONJ else g
    return -g if lazy & NEG else g


def _piece_of(whole: Any, base: Ty, part: Ty) -> Any:
    """A view of ``whole``, laid out like the memory ``base`` at offset 0, as ``part`` is one of that memory."""
    if part.lazy:
        piece = _piece_of(whole, base, plainly(part))
        piece = piece.conj() if part.lazy & CONJ else piece
        return piece._neg_view() if part.lazy & NEG else piece
    from .complex_views import view_as_complex, view_as_real

    if base.dtype.is_complex and not part.dtype.is_complex:
        return view_as_real(whole).as_strided(part.shape, part.strides, part.offset - 2 * base.offset)
    if part.dtype.is_complex and not base.dtype.is_complex:
        pairs = _as_pairs(part)
        return view_as_complex(whole.as_strided(pairs.shape, pairs.strides, pairs.offset - base.offset))
    return whole.as_strided(part.shape, part.strides, part.offset - base.offset)


def copy_slices_backward(f: Any, g: Any) -> tuple[Any, ...]:
    """The part of the gradient under the view goes through the write; the base's own gradient loses it."""
    from ..autograd.engine import FREED

    if f.fn.freed:
        raise RuntimeError(FREED)
    base, part, epoch = f.ins[0], f.attrs, threads.epoch
    simple = base.dense and base.stored is part.stored is not None and not overlaps_itself(part)
    if simple and not epoch.grad and not epoch.crowded:
        return _with_part_replaced(f, g, epoch)
    whole = g.new_zeros(base.shape) if not base.dense else g.new_empty_strided(base.shape, base.strides)
    whole = whole.copy_(_through(g, base.lazy))
    piece = _piece_of(whole, base, part)
    first, *rest = _through_write(f, piece.clone())
    if f.fn.edges[0] is None:
        return (None, *rest)
    if first is None:
        piece.zero_()
    else:
        piece.copy_(first)
    return (_through(whole, base.lazy), *rest)


def _with_part_replaced(f: Any, g: Any, epoch: Epoch) -> tuple[Any, ...]:
    """``copy_slices_backward`` in nodes, where no gradients are recorded: a small write may end the epoch."""
    base, part, dt = f.ins[0], f.attrs, g._ty.dtype
    whole = fit(node_of(g), ty(base.shape, dt, base.strides))
    t = ty(part.shape, dt, part.strides, part.offset - base.offset)
    first, *rest = _through_write(f, fresh(fit(view_node(whole, t), like(t)), epoch))
    if f.fn.edges[0] is None:
        return (None, *rest)
    value = node_of(g.new_zeros(part.shape) if first is None else first.expand(part.shape))
    value = fit(value, t if t.dense and not t.offset else ty(t.shape, dt))
    return (at_version(fresh(update_node(whole, value, t), epoch), 2), *rest)


def _through_write(f: Any, g: Any) -> list[Any]:
    """What the write sends on of the gradient of what it wrote."""
    from ..autograd.engine import apply

    inner = f.fn.inner
    edges = inner.edges
    inner.edges = (f.fn.edges[0], *edges[1:])
    try:
        return apply(inner, [g])
    finally:
        inner.edges = edges
