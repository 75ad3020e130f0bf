"""Type rules that many operators share: broadcasting, promotion, the layout of elementwise results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..dtypes import category, dtype, get_default_dtype, promote_types
from ..graph.types import Ty, contiguous_strides, permuted_strides, stride_order, ty


def broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape to which all broadcast.

    Raises:
        RuntimeError: two sizes differ and neither is 1.
    """
    out = shapes[0]
    for s in shapes[1:]:
        if s != out:
            out = _broadcast_two(out, s)
    return out


def _broadcast_two(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    n = max(len(a), len(b))
    x, y = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
    if x == y:
        return x
    for i in range(n - 1, -1, -1):
        if x[i] != y[i] and 1 not in (x[i], y[i]):
            raise RuntimeError(f"The size of tensor a ({x[i]}) must match the size of tensor b ({y[i]}) at "
                               f"non-singleton dimension {i}")  # fmt: skip
    return tuple([q if p == 1 else p for p, q in zip(x, y)])


def result_dtype(tys: Sequence[Ty]) -> dtype:
    """The dtype of an elementwise result: tensors with dimensions count before 0-dim tensors, these before numbers."""
    found: list[dtype | None] = [None, None, None]
    for t in tys:
        k = 2 if t.weak else 1 if t.ndim == 0 else 0
        d = found[k]
        found[k] = t.dtype if d is None else promote_types(d, t.dtype)
    return _combine(_combine(found[0], found[1]), found[2])  # type: ignore[return-value]


def _combine(high: dtype | None, low: dtype | None) -> dtype | None:
    """Lower-ranked operands count only if their category is higher."""
    if high is None or low is None:
        return high or low
    if category(low) <= category(high):
        return high
    if low.is_complex and high.is_floating_point:
        return high.to_complex() if high.name != "bfloat16" else promote_types(high, low)
    return low


def elementwise(tys: Sequence[Ty], dt: dtype | None = None) -> Ty:
    """The type of an elementwise result over broadcast operands, laid out as PyTorch's TensorIterator does."""
    dt = dt or result_dtype(tys)
    shape = broadcast_shape(*[t.shape for t in tys])
    first = tys[0]
    if first.dtype is dt and first.shape == shape and tys.count(first) == len(tys) and _is_plain(first):
        return first
    real = [t for t in tys if not t.weak]
    plain = contiguous_strides(shape)
    if all(t.shape == shape and t.strides == plain for t in real):
        return ty(shape, dt)
    if len(real) == len(tys) and all(t.shape == shape for t in tys):
        if all(t.contiguous for t in tys):
            return ty(shape, dt)
        if all(t.dense and t.strides == tys[0].strides for t in tys):
            return ty(shape, dt, tys[0].strides)
    return ty(shape, dt, permuted_strides(shape, stride_order(real, shape)))


def _is_plain(t: Ty) -> bool:
    """Does it lie as a new tensor of its shape would?"""
    return not t.offset and not t.weak and t.strides == contiguous_strides(t.shape)


def operands_dtype(*values: Any) -> dtype:
    """The promoted dtype of a lowering's operands, among which Python numbers are weak."""
    return result_dtype([ty(v.shape, v.dtype, weak=v.kind == "scalar") for v in values])


def float_dtype(d: dtype) -> dtype:
    """Integers and bool become the default floating dtype."""
    return d if d.kind in "fc" else get_default_dtype()


def unary_ty(tys: Sequence[Ty], attrs: Any = ()) -> Ty:
    """Elementwise on one operand, same dtype."""
    return elementwise(tys)
