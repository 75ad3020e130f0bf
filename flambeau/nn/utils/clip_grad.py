"""Clipping gradients."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import flambeau as torch
from flambeau.ops.whole_gradients import change_all

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_"]


def _as_list(tensors: Any) -> list[Any]:
    return [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)


def _get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors together, as if they were one vector.

    Args:
        tensors: The tensors.
        norm_type: Which norm; ``inf`` for the greatest absolute value.
        error_if_nonfinite: Raise if the norm is infinite or not a number.
        foreach: Accepted and ignored: all tensors are in one program anyway.

    Raises:
        RuntimeError: The norm is not finite and ``error_if_nonfinite`` is set.
    """
    tensors = _as_list(tensors)
    norm_type = float(norm_type)
    if not tensors:
        return torch.tensor(0.0)
    with torch.no_grad():
        total = _norm_of(tensors, norm_type)
        if error_if_nonfinite and not bool(total.isfinite()):
            raise RuntimeError(
                f"The total norm of order {norm_type} for gradients from "
                "`parameters` is non-finite, so it cannot be clipped. To disable "
                "this error and scale the gradients by the non-finite norm anyway, "
                "set `error_if_nonfinite=False`"
            )
    return total


def _norm_of(tensors: list[Any], norm_type: float) -> Any:
    norms = [torch.linalg.vector_norm(t, norm_type) for t in tensors]
    return torch.linalg.vector_norm(torch.stack(norms), norm_type)


def _factor(max_norm: float, total_norm: Any) -> Any:
    # Clamped rather than compared: the value of the norm need not be known here.
    return torch.clamp(max_norm / (total_norm + 1e-6), max=1.0)


def _clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scales the gradients of ``parameters`` in place, so that a norm of ``total_norm`` becomes at most ``max_norm``.

    Args:
        parameters: The parameters.
        max_norm: The greatest norm.
        total_norm: The norm that the gradients have; see ``get_total_norm``.
        foreach: Accepted and ignored.
    """
    grads = [p.grad for p in _as_list(parameters) if p.grad is not None]
    if not grads:
        return
    with torch.no_grad():
        factor = _factor(float(max_norm), total_norm)
        for grad in grads:
            grad.mul_(factor)


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales the gradients of ``parameters`` in place, so that the norm of all together is at most ``max_norm``.

    Args:
        parameters: The parameters.
        max_norm: The greatest norm.
        norm_type: Which norm.
        error_if_nonfinite: Raise if the norm is infinite or not a number.
        foreach: Accepted and ignored.

    Returns:
        The norm before.

    Raises:
        RuntimeError: The norm is not finite and ``error_if_nonfinite`` is set.
    """
    was_generator = isinstance(parameters, types.GeneratorType)
    parameters = _as_list(parameters)
    if was_generator and not parameters:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    if not error_if_nonfinite:
        total = _clip_together(parameters, float(max_norm), float(norm_type))
        if total is not None:
            return total
    grads = [p.grad for p in parameters if p.grad is not None]
    total = _get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    _clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def _clip_together(parameters: list[Any], max_norm: float, norm_type: float) -> Any:
    """Clips the gradients of a pass at which nobody has looked, all at once; None where that cannot be done."""

    def clipped(grads: list[Any]) -> tuple[Any, list[Any]]:
        total = _norm_of(grads, norm_type)
        factor = _factor(max_norm, total)
        return total, [grad * factor for grad in grads]

    return change_all(parameters, clipped, ("clip", max_norm, norm_type))


def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """Deprecated name of :func:`clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(*args, **kwargs)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Clips each element of the gradients to the range from ``-clip_value`` to ``clip_value``, in place.

    Args:
        parameters: The parameters.
        clip_value: The greatest absolute value.
        foreach: Accepted and ignored.
    """
    clip_value = float(clip_value)
    with torch.no_grad():
        for p in _as_list(parameters):
            if p.grad is not None:
                p.grad.clamp_(min=-clip_value, max=clip_value)
