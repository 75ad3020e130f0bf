"""Calling operators in place: the value of memory changes, for all that see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..dtypes import SCALAR_NAMES, can_cast, dtype, weak_dtype
from ..graph import packing
from ..graph.epoch import NODE_COST, Epoch, Turn, base_node, hold, node_of, number, refresh, threads
from ..graph.fn import Fn, Out, next_number, pack_saved, save_outputs
from ..graph.node import Node, Operator, intern, layout_node, update_node, user_place, view_node
from ..graph.realisation import realise
from ..graph.storage import Storage, next_token, refuse_inference_write
from ..graph.tape import settle_before_write
from ..graph.tensor_base import TensorBase, new_tensor
from ..graph.traced import Traced
from ..graph.types import Ty, overlaps_itself, repeating_dim, ty
from ._calling import record_fn, unsaved_fn
from ._histories import rebase, requires_grad
from ._immediate import AT_ONCE, FILLING, SMALL
from ._immediate import write as write_at_once
from ._view_rules import CopySlices, refuse_write

SHARED = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
    "location. Please clone() the tensor before performing the operation."
)
REPEATED = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)
CAST = Operator(
    "_to_copy",
    lambda tys, attrs: attrs,
    lambda b, attrs, x: b.cast(x, attrs.dtype),
    lambda f, g: (g,),
    grad_name="ToCopyBackward0",
)


def call_inplace(
    op: Operator, x: TensorBase, others: tuple[Any, ...] = (), attrs: Any = (), may_overlap: bool = False,
    unchanged: bool = False,
) -> Any:  # fmt: skip
    """Records ``op(x, *others)`` and writes the result into ``x``; returns ``x``.

    ``may_overlap``: elements of ``x`` may share memory, as PyTorch allows for a few operators (``fill_``).
    ``unchanged``: the result is what ``x`` is already, so that only versions and autograd see the write.

    Raises:
        RuntimeError: ``x`` is a leaf that requires grad, overlaps itself, or cannot hold the result.
    """
    epoch = threads.epoch
    if epoch.crowded:
        with Turn(epoch):
            return call_inplace(op, x, others, attrs, may_overlap, unchanged)
    s, t = x._s, x._ty
    if t.numel <= SMALL and op in (AT_ONCE if t.numel == 1 else FILLING) and write_at_once(op, x, others, epoch):
        return x
    if t is s.ty and t.dense and x._e is None and x._view is None and s.owner is None and _are_apart(others, s):
        node = _written_node(op, (x, *others), attrs)
        if node.ty is t and not unchanged:
            _overwrite(x, node, epoch)
        else:
            check_result(op, node.ty, t)
            write(x, node, unchanged=unchanged)
        return x
    if t is s.ty and t.dense and _may_rewrite(x, others, epoch):
        return _rewritten(op, x, others, attrs, epoch, unchanged)
    repeated = None if may_overlap or isinstance(attrs, Ty) else repeating_dim(x._ty)
    if repeated is not None:
        if x._ty.lazy and op.name != "copy":
            return x.copy_(call_inplace(op, x.clone(), others, attrs))
        return _piece_by_piece(op, x, others, attrs, repeated)
    ins = (x, *others)
    grad = begin_write(x, ins, may_overlap)
    node = None if grad or op not in FILLING else _source(x, others)
    if node is None:
        node = _written_node(op, ins, attrs)
    check_result(op, node.ty, x._ty)
    fn = None
    if grad and op.vjp is not None and x._ty.dtype.kind in "fc":
        fn = record_fn(op, ins, attrs, node)
        if fn is not None:
            _keep_original(fn, x, node.ins[0])
            if packing.active:
                pack_saved(fn)
    write(x, node, fn, unchanged)
    if fn is not None:
        save_outputs(fn, (x,))
    return x


def _may_rewrite(x: TensorBase, others: tuple[Any, ...], epoch: Epoch) -> bool:
    """Has ``x``, all of its memory, a history of its own, so that a write is seen by autograd and by nobody's view?"""
    e, s = x._e, x._s
    if e is None or e.accumulates or x._view is not None or s.owner is not None or s.version < 0 or not epoch.grad:
        return False
    if packing.active or epoch.sampling is not None:
        return False
    for y in others:  # noqa: SIM110
        if isinstance(y, TensorBase) and y._s is s:
            return False
    return True


def _rewritten(op: Operator, x: Any, others: tuple[Any, ...], attrs: Any, epoch: Epoch, unchanged: bool) -> Any:
    """``call_inplace`` on a tensor with a history that is all of its memory; the others lie elsewhere."""
    s, ins = x._s, (x, *others)
    node = _written_node(op, ins, attrs)
    check_result(op, node.ty, s.ty)
    fn = record_fn(op, ins, attrs, node) if op.vjp is not None else None
    if fn is not None and op.saves:
        _keep_original(fn, x, node.ins[0])
    settle_before_write(s, base_node(s), epoch)
    if not unchanged:
        s.h = fit(node, s.ty)
        if not s.pending:
            hold(s, epoch)
    s.w = next_token()
    x._w = -1
    (x._vc or s).version += 1
    epoch.written = next_number()
    s.note().written = user_place()
    if fn is not None:
        rebase(x, fn)
        if op.saves:
            save_outputs(fn, (x,))
    return x


def write_part(op: Operator, x: TensorBase, t: Ty, value: Any, attrs: Any) -> bool:
    """``call_inplace`` with one operand on the view of ``x`` of type ``t``, which nobody sees and so has no history.

    For an operator that saves nothing, a tensor with a history that is all of its memory, and an operand that shares
    all elements with the view or none; False for all else.
    """
    epoch, s = threads.epoch, x._s
    if epoch.crowded or not epoch.grad or epoch.sampling is not None or x._e is None or x._view is not None:
        return False
    if x._ty is not s.ty or s.version < 0 or s.owner is not None or not t.numel or packing.active:
        return False
    if isinstance(value, TensorBase) and value._s is s and value._ty is not t:
        return False
    edge = x._edge
    if edge.accumulates or (edge.fn if edge.__class__ is Out else edge).hooked is not None:
        return False
    base = base_node(s)
    node = intern(op, (view_node(base, t), *_written_handles((value,))), attrs)
    fn = unsaved_fn(op, (x, value), node)
    settle_before_write(s, base, epoch)
    s.h = update_node(base, fit(node, packed(t)), t)
    if not s.pending:
        hold(s, epoch)
    s.w = next_token()
    (x._vc or s).version += 1
    epoch.written = next_number()
    s.note().written = user_place()
    x._edge = CopySlices(edge, x._ty, t, fn)  # type: ignore[arg-type]
    return True


def _are_apart(ys: tuple[Any, ...], s: Storage) -> bool:
    """Has no tensor a history, or memory in ``s``?"""
    for y in ys:  # noqa: SIM110
        if isinstance(y, TensorBase) and (y._s is s or y._e is not None or y._view is not None):
            return False
    return True


def _written_node(op: Operator, ins: tuple[Any, ...], attrs: Any) -> Node:
    """The node of a call that autograd does not see."""
    return intern(op, tuple(_written_handles(ins)), attrs)


def _written_handles(ins: tuple[Any, ...]) -> list[Node]:
    """The nodes of a call's inputs, without their histories."""
    hs: list[Any] = []
    for x in ins:
        if isinstance(x, TensorBase):
            h = x._h if x._w == x._s.w else refresh(x)
            hs.append(h.value if type(h) is Traced else h)
        else:
            hs.append(number(x, weak_dtype(x)))
    return hs


def _source(x: TensorBase, others: tuple[Any, ...]) -> Node | None:
    """The value of a tensor that is copied to a part of memory as it is: a node that knows nothing of the place."""
    y = others[0] if others else None
    if not isinstance(y, TensorBase) or y._ty.shape != x._ty.shape or x._ty is x._s.ty or x._ty.meta or y._ty.meta:
        return None
    return fit(node_of(y), packed(x._ty))


def packed(t: Ty) -> Ty:
    """The type of a value that is written under a type."""
    return t if t.dense and not t.offset else ty(t.shape, t.dtype)


def _overwrite(x: TensorBase, node: Node, epoch: Epoch) -> None:
    """``record_write`` for a tensor that is all of its memory and has no history, and a value of that very type."""
    s = x._s
    if s.version < 0:
        refuse_inference_write(s)
    if epoch.sampling is not None:
        epoch.sampling.require_own(s)
    notes = s.notes or s.note()
    settle_before_write(s, s.h or base_node(s), epoch)
    s.h = x._h = node
    if not s.pending:
        s.pending = True
        s.epoch = epoch
        epoch.pend.append(s)
        epoch.bytes += s.ty.nbytes + NODE_COST
    s.w = x._w = next_token()
    (x._vc or s).version += 1
    epoch.written = next_number()
    notes.written = user_place()


def _piece_by_piece(op: Operator, x: Any, others: tuple[Any, ...], attrs: Any, dim: int) -> Any:
    """Windows that share elements are written one after the other, so that shared elements change several times.

    What is read through a conjugate or a negative is copied before, as in PyTorch.
    """
    others = tuple([y.clone() if isinstance(y, TensorBase) and y._ty.lazy else y for y in others])

    def piece(y: Any, i: int) -> Any:
        at = dim - x._ty.ndim
        if not isinstance(y, TensorBase) or y._ty.ndim < -at or y._ty.shape[at] == 1:
            return y
        return y.select(at, i)  # type: ignore[attr-defined]

    counter = x._vc or x._s
    version = counter.version + 1
    for i in range(x._ty.shape[dim]):
        call_inplace(op, x.select(dim, i), tuple([piece(y, i) for y in others]), attrs)
    counter.version = version
    return x


def begin_write(x: TensorBase, ins: Sequence[Any], may_overlap: bool = False) -> bool:
    """Checks that ``x`` may be written; does the write take part in autograd?"""
    if threads.epoch.sampling is not None:
        threads.epoch.sampling.require_own(x._s)
    grad = threads.epoch.grad and any([isinstance(i, TensorBase) and requires_grad(i) for i in ins])  # noqa: C419
    if grad:
        refuse_write(x)
    if x._s.version < 0:
        refuse_inference_write(x._s)
    if not may_overlap and overlaps_itself(x._ty):
        raise RuntimeError(REPEATED)
    for i in ins:
        if i is not x and isinstance(i, TensorBase) and i._s is x._s:
            refuse_overlap(x._ty, i._ty)
    return grad


def refuse_overlap(out: Ty, other: Ty, copies: bool = False) -> None:
    """Raises if an input shares some, but not all, of the memory that is written.

    PyTorch copies what is read or written through conjugates and negatives, but for ``copy_``.
    """
    if out is other or out.numel == 0 or other.numel == 0 or (out.lazy or other.lazy) and not copies:
        return
    if out.numel == other.numel and out.offset == other.offset and _same_layout(out, other):
        return
    if not (out.dense and other.dense):
        return
    if out.offset < other.offset + other.numel and other.offset < out.offset + out.numel:
        raise RuntimeError(SHARED)


def _same_layout(a: Ty, b: Ty) -> bool:
    return a.strides == b.strides and a.shape == b.shape


def check_cast(result: dtype, target: dtype) -> None:
    """Raises if values of a dtype are not stored as another."""
    if not can_cast(result, target):
        raise RuntimeError(f"result type {SCALAR_NAMES[result]} can't be cast to the desired output type "
                           f"{SCALAR_NAMES[target]}")  # fmt: skip


def check_result(op: Operator, result: Ty, target: Ty) -> None:
    """Raises if ``result`` cannot be stored in place in ``target``."""
    check_cast(result.dtype, target.dtype)
    if result.shape != target.shape:
        raise RuntimeError(f"output with shape {list(target.shape)} doesn't match the broadcast shape "
                           f"{list(result.shape)}")  # fmt: skip


def _keep_original(fn: Fn, x: TensorBase, h: Node) -> None:
    """Where the gradient needs the value before the write, it is kept in memory of its own."""
    for at, (which, _) in enumerate(fn.op.saves):
        if which == 0 and at < len(fn.saved) and fn.saved[at] is x:
            t = h.ty if h.ty.dense and not h.ty.offset else ty(h.ty.shape, h.ty.dtype)
            s = Storage.of(t, layout_node(h, t))
            hold(s, threads.epoch)
            old = new_tensor(s, t)
            old._edge = fn.edges[0]
            fn.saved[at] = old  # type: ignore[index]
            fn.versions[at] = 0  # type: ignore[index]


def fit(node: Node, t: Ty) -> Node:
    """The node's values with the dtype and memory layout of ``t``, whose shape they have."""
    if node.ty is t:
        return node
    if node.ty.dtype is not t.dtype:
        return intern(CAST, (node,), t)
    return layout_node(node, t)


def write(x: TensorBase, node: Node, fn: Any = None, unchanged: bool = False) -> None:
    """Makes ``node`` the value of ``x``'s memory: a new version that all its views see."""
    record_write(x, node, fn, unchanged)
    if x._s.owner is not None and x._s.shared:
        # NumPy may look at this memory at any time.
        realise(threads.epoch)


def record_write(x: TensorBase, node: Node, fn: Any = None, unchanged: bool = False) -> None:
    """``write`` that leaves it to the caller to realise memory shared with NumPy."""
    s = x._s
    epoch = threads.epoch
    if s.version < 0:
        refuse_inference_write(s)
    if epoch.sampling is not None:
        epoch.sampling.require_own(s)
    settle_before_write(s, base_node(s), epoch)  # the old value is a leaf of this epoch from now on, if it was not yet
    s.w = next_token()
    x._w = -1
    if not unchanged:
        x._h = _replaced(x, node, fn, epoch)
        x._w = s.w if x._e is None and x._view is None else -1
    (x._vc or s).version += 1
    epoch.written = next_number()
    s.note().written = user_place()
    if fn is not None:
        rebase(x, fn)


def _replaced(x: TensorBase, node: Node, fn: Any, epoch: Epoch) -> Node:
    """Makes ``node`` the value of what ``x`` sees of its memory; what ``x`` sees then."""
    s = x._s
    if x._ty is s.ty:
        s.h = node = fit(node, s.ty)
    else:
        t = packed(x._ty)
        node = fit(node, t)
        if fn is None and x._view is not None and t.numel <= SMALL and not s.pending:
            epoch.placed.add(id(s))
        s.h = update_node(s.h, node, x._ty)  # type: ignore[arg-type]
        node = view_node(s.h, x._ty)
    if not s.pending:
        hold(s, epoch)
    return node


def at_version(y: Any, version: int) -> Any:
    """A fresh gradient that PyTorch makes by so many in-place writes, which its ``_version`` shows."""
    y._s.version = version
    return y
