"""``torch.autograd.forward_ad``: dual tensors, whose tangents follow what is computed of them
(https://docs.pytorch.org/docs/stable/autograd.html#forward-mode-automatic-differentiation).

A tangent is computed when it is asked for, by differentiating the backward pass: its product with a vector is linear in
that vector, and the derivative with respect to it is the product of the Jacobian with the tangents. So within a level
everything is recorded, also under ``no_grad``, and what has no second derivative has no tangent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..graph import packing
from ..graph.tensor_base import TensorBase
from ._forward_runs import begin, begins, end, pinned, stand_in
from .engine import split
from .functional import pushed
from .grad_mode import enable_grad

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]

dual_levels: list[list[tuple[Any, Any]]] = []  # of each level: the places where dual tensors begin, their tangents
_grad_before: list[bool] = []  # the grad mode outside of the level


class UnpackedDualTensor(NamedTuple):
    """A primal and its tangent, which is None where it depends on no dual tensor."""

    primal: Any
    tangent: Any


def enter_dual_level() -> int:
    """Begins a level, in which dual tensors can be made; gives its number.

    Raises:
        RuntimeError: there is a level already.
    """
    if dual_levels:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    dual_levels.append([])
    _grad_before.append(begin())
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Ends the level and forgets its tangents.

    Raises:
        RuntimeError: it is not the last that was begun.
    """
    if not dual_levels or level not in (None, len(dual_levels) - 1):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
        )
    dual_levels.pop()
    end(_grad_before.pop())


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Any:
    """A tensor of the same values that carries ``tangent``.

    Raises:
        RuntimeError: there is no level, or the shapes differ.
        ValueError: one of them is not floating or complex.
        NotImplementedError: one of them is complex and the other is not.
    """
    if not dual_levels:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    _check(tensor, tangent)
    return _dual(tensor, tangent, tensor.requires_grad)


def _dual(tensor: Any, tangent: Any, outside: bool) -> Any:
    """A dual tensor; ``outside``: gradients flow on from it to what requires grad outside of the level."""
    with enable_grad():
        dual = tensor.view_as(tensor) if outside else stand_in(tensor)
    dual_levels[-1].append((pinned(dual), tangent))
    return dual


def with_tangent(tensor: Any, tangent: Any) -> Any:
    """A tensor that was computed of dual tensors, with the tangent that a rule of its own gives it."""
    if tangent is None:
        return tensor
    _check(tensor, tangent)
    return _dual(tensor, tangent, tensor.requires_grad and _needs_backward(tensor))


def _check(tensor: Any, tangent: Any) -> None:
    for name, x in (("primal", tensor), ("tangent", tangent)):
        if isinstance(x, TensorBase) and x._ty.dtype.kind not in "fc":
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {x.dtype}")
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(tensor.shape)} while the given forward gradient is of size "
            f"{list(tangent.shape)}."
        )
    if tensor.dtype.is_complex != tangent.dtype.is_complex:
        raise NotImplementedError(f"make_dual: a tangent of {tangent.dtype} for {tensor.dtype} is not supported")


def unpack_dual(tensor: Any, *, level: int | None = None) -> UnpackedDualTensor:
    """The primal and the tangent of a tensor; the tangent is None outside a level."""
    duals = dual_levels[-1] if dual_levels else []
    if not duals or not isinstance(tensor, TensorBase) or not _may_have_tangent(tensor):
        return UnpackedDualTensor(tensor, None)
    primal, edge = _primal(tensor), pinned(tensor)._edge
    found: Any = [tangent for begun, tangent in duals if edge is begun._edge]
    if not found:
        with enable_grad(), packing.suspended():
            found = pushed((tensor,), [begun for begun, _ in duals], [t.to(begun.dtype) for begun, t in duals], True)
    if found is None:
        return UnpackedDualTensor(tensor, None)
    (tangent,) = found
    if tangent.requires_grad and not primal.requires_grad:
        tangent = tangent.detach()
    return UnpackedDualTensor(primal, tangent)


def _may_have_tangent(x: Any) -> bool:
    return x.requires_grad and x._ty.dtype.kind in "fc"


def _primal(tensor: Any) -> Any:
    return tensor if _needs_backward(tensor) else tensor.detach()


def _needs_backward(y: Any) -> bool:
    """Does its history begin elsewhere than at the level's dual tensors?"""
    seen = set(filter(begins, [split(begun._edge)[0] for begun, _ in dual_levels[-1]]))
    waiting = [y.grad_fn]
    while waiting:
        fn = waiting.pop()
        if fn is None or fn in seen:
            continue
        seen.add(fn)
        if begins(fn):
            return True
        waiting += [before for before, _ in fn.next_functions]
    return False


class dual_level:
    """A context in which dual tensors can be made; its number is what ``as`` gives."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: object) -> None:
        exit_dual_level()


def __getattr__(name: str) -> Any:
    """``_current_level``: the number of the level, -1 outside of any."""
    if name == "_current_level":
        return len(dual_levels) - 1
    raise AttributeError(f"module 'torch.autograd.forward_ad' has no attribute '{name}'")
