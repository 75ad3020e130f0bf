"""``torch.utils.swap_tensors``: two tensors exchange all that they are but their identity."""

from __future__ import annotations

import copyreg
from typing import Any

from .graph.epoch import complete_all
from .graph.fn import AccumulateGrad
from .graph.keeping import renew
from .graph.tensor_base import replaced

_MISSING: Any = object()


def swap_tensors(t1: Any, t2: Any) -> None:
    """Exchanges memory, geometry, gradient, class and attributes of two tensors; names stay with the objects.

    A graph that was recorded before cannot give a leaf among them its gradient any more. Weak references go on to
    refer to the object that they were made of.

    Raises:
        RuntimeError: The tensors' classes have different slots.
    """
    slots = set(copyreg._slotnames(type(t1)))  # type: ignore[attr-defined]
    if slots != set(copyreg._slotnames(type(t2))):  # type: ignore[attr-defined]
        raise RuntimeError("Cannot swap t1 and t2 if they have different slots")
    if t1 is t2:
        return
    complete_all()
    replaced[0] += 1
    for t in (t1, t2):
        t._g = t._grad  # a gradient that is made when it is asked for is made for one tensor
    for name in ("__class__", "__dict__", *slots):
        _exchange(t1, t2, name)
    for t in (t1, t2):
        t._w = -1
        renew(t._s)
        _renew_leaf(t)


def _exchange(t1: Any, t2: Any, name: str) -> None:
    first, second = getattr(t1, name, _MISSING), getattr(t2, name, _MISSING)
    for t, value in ((t1, second), (t2, first)):
        if value is not _MISSING:
            setattr(t, name, value)
        elif hasattr(t, name):
            delattr(t, name)


def _renew_leaf(t: Any) -> None:
    """Makes an edge of its own for a leaf, with the hooks of the one that it got."""
    old = t._e
    if isinstance(old, AccumulateGrad):
        t._e = AccumulateGrad(t)
        t._e.hooked, old.hooked = old.hooked, None
        old.register_prehook(_refuse)  # for graphs that end here


def _refuse(grads: Any) -> None:
    raise RuntimeError(
        "Trying to execute AccumulateGrad node that was poisoned by swap_tensors "
        "this can happen when you try to run backward on a tensor that was swapped. "
        "For a module m with `torch.__future__.set_swap_module_params_on_conversion(True)` "
        "you should not change the device or dtype of the module (e.g. `m.cpu()` or `m.half()`) "
        "between running forward and backward. To resolve this, please only change the "
        "device/dtype before running forward (or after both forward and backward)."
    )
