"""What autograd allows to be done to views, and the nodes that stand for writes through them."""

from __future__ import annotations

from typing import Any

from ..graph.epoch import threads
from ..graph.fn import AccumulateGrad, Fn, Out, short_name
from ..graph.node import Operator
from ..graph.sampling import NotTogether
from ..graph.tensor_base import TensorBase


def _as_strided_vjp(f: Any, g: Any) -> tuple[Any]:
    from .strided_views import as_strided_backward

    return (as_strided_backward(g, f.ins[0], f.outs[0]),)


AS_STRIDED = Operator("as_strided", lambda tys, t: t, None, _as_strided_vjp)  # type: ignore[arg-type]
# The same from the base of a view that changes what elements are, which PyTorch makes anew by its own operator:
AS_STRIDED_BY_NAME = {
    name: Operator("as_strided", AS_STRIDED.infer, None, _as_strided_vjp, (), name)  # type: ignore[arg-type]
    for name in ("ConjBackward0", "NegViewBackward0", "ViewAsComplexBackward0", "ViewAsRealBackward0")
}


def _copy_slices_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    from .strided_views import copy_slices_backward

    return copy_slices_backward(f, g)


COPY_SLICES = Operator("copy_slices", lambda tys, t: t, None, _copy_slices_vjp, grad_name="CopySlices")  # type: ignore[arg-type]


class CopySlices(Fn):
    """A write through a view, seen from the base: the view's part of the gradient goes through ``inner``."""

    __slots__ = ("inner",)
    op = COPY_SLICES
    simple = False

    def __init__(self, base_edge: Any, base: Any, view: Any, inner: Fn) -> None:
        super().__init__(None, (view, (base, *inner.ins[1:]), (base,)), (base_edge, *inner.edges[1:]))
        self.inner = inner

    def name(self) -> str:
        """``torch::autograd::CopySlices``, as PyTorch calls it."""
        return "torch::autograd::CopySlices"

    def release(self) -> None:
        """Frees what the write saved; a second backward through it is refused."""
        self.inner.saved = self.inner.versions = ()
        self.inner.freed = self.freed = True


_BLOCK = (
    " Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving "
    "both the "
    "view and the inplace either both inside the {} block (if you don't want the inplace to be tracked) or both "
    "outside "
    "(if you want the inplace to be tracked)."
)
_WHY = {
    "multi": " This view is the output of a function that returns multiple views. Such functions do not allow the "
    "output "
    "views to be modified inplace. You should replace the inplace operation by an out-of-place one.",
    "custom": " This view was created inside a custom Function (or because an input was returned as-is) and the "
    "autograd "
    "logic to handle view+inplace would override the custom backward associated with the custom Function, leading to "
    "incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of the custom Function.",
    "no_grad": _BLOCK.format("no_grad"),
    "inference": _BLOCK.format("inference_mode"),
}


def _refuse(x: TensorBase, what: str) -> None:
    creation = x._view.creation  # type: ignore[union-attr]
    if creation != "default":
        raise RuntimeError(_head(x._edge, creation, what) + _WHY[creation])


def _head(edge: Any, creation: str, what: str) -> str:
    known = isinstance(edge, (Fn, Out))
    output = f"Output {edge.number if isinstance(edge, Out) else 0} of {short_name(edge)}" if known else ""
    if known and creation not in ("no_grad", "inference"):
        return f"{output} is a view and {what}."
    where = f"{output} is a view of a view which was created in" if known else "A view was created in"
    if creation == "inference":
        return f"{where} inference mode and {what} in normal mode."
    return f"{where} no_grad mode and {what} with grad mode enabled."


def refuse_stale_view(x: TensorBase) -> None:
    """Raises if the view's history cannot follow a write to its base or to another view of it."""
    _refuse(x, "its base or another view of its base has been modified inplace")


def refuse_write(x: TensorBase) -> None:
    """Raises if autograd forbids writing ``x`` in place."""
    if threads.epoch.sampling is not None and not isinstance(x._edge, (Fn, Out)):
        raise NotTogether  # what stands for a sample is a leaf, though the sample may be none
    v = x._view
    if v is not None:
        _refuse(x, "is being modified inplace")
        base = v.base._edge
        if (x._edge is not None or base is not None) and not isinstance(base, (Fn, Out)):
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
    if isinstance(x._edge, AccumulateGrad):
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
