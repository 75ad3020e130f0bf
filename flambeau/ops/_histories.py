"""The edge that leads from a tensor into its history: of a leaf, a result, a view whose memory was written."""

from __future__ import annotations

from typing import Any

from ..compiler.twins import twin
from ..graph.fn import Fn, Out, hooks_of, record
from ..graph.tensor_base import TensorBase
from ._view_rules import AS_STRIDED, AS_STRIDED_BY_NAME, CopySlices, refuse_stale_view


@twin
def requires_grad(x: TensorBase) -> bool:
    """As ``Tensor.requires_grad``: a view also if its base does."""
    return x._e is not None or (x._view is not None and x._view.base._e is not None)


def version_of(x: TensorBase) -> int:
    """As ``Tensor._version``."""
    return (x._vc or x._s).version


def view_edge(x: TensorBase) -> Any:
    """The edge of a view, made anew from the base when the memory was written since."""
    v, edge = x._view, x._e
    if edge is None and v.base._e is None:  # type: ignore[union-attr]
        return None
    edge, base = x._edge, v.base._edge  # type: ignore[union-attr]
    if base is None and not isinstance(edge, (Fn, Out)):
        return edge
    version = version_of(x)
    if v.edge_version != version:  # type: ignore[union-attr]
        refuse_stale_view(x)
        fresh_edge = strided_edge(x)
        _move_retained(x, fresh_edge)
        x._e = edge = fresh_edge
        v.edge_version = version  # type: ignore[union-attr]
    return edge


def strided_edge(x: TensorBase) -> Fn:
    """``AsStridedBackward0`` from the base of a view."""
    base = x._view.base  # type: ignore[union-attr]
    edge = x._edge
    op = AS_STRIDED_BY_NAME.get(edge.op.grad_name, AS_STRIDED) if isinstance(edge, Fn) else AS_STRIDED
    return record(op, x._ty, (base._edge,), (base._ty,), (x._ty,), None)


def rebase(x: TensorBase, fn: Any) -> None:
    """The history of ``x`` after a write recorded as ``fn``."""
    if x._view is None:
        _move_retained(x, fn)
        x._edge = fn
        return
    base = x._view.base
    whole = CopySlices(base._edge, base._ty, x._ty, fn)
    _move_retained(base, whole)
    base._edge = whole
    edge = strided_edge(x)
    _move_retained(x, edge)
    x._edge = edge
    x._view.edge_version = version_of(x)


def reshaped(x: TensorBase, fn: Any) -> None:
    """The history of ``x`` after ``fn`` has changed its geometry in place: that of a base stays."""
    _move_retained(x, fn)
    x._edge = fn
    if x._view is not None:
        x._view.edge_version = version_of(x)


def _move_retained(x: TensorBase, fn: Fn) -> None:
    """``retain_grad`` follows the tensor to its new history."""
    old, k = x._edge, 0
    if old.__class__ is Out:
        old, k = old.fn, old.number
    if old is not None and not old.accumulates and old.hooked is not None and k in old.hooked.retain:
        hooks_of(fn).retain[0] = old.hooked.retain.pop(k)
