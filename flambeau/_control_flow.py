"""``torch.cond`` and ``torch.while_loop``: branches and loops as functions. Python runs them, as it does any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as torch
from flambeau.utils._pytree import tree_flatten

__all__ = ["cond", "while_loop"]


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Any = ()) -> Any:
    """``true_fn(*operands)`` if ``pred`` holds, else ``false_fn(*operands)``; only that one is called.

    Args:
        pred: a bool, or a tensor of one element.
        true_fn: a function of the operands.
        false_fn: another one, which should give results of the same shapes and dtypes.
        operands: a tuple or list of tensors, possibly nested in containers.

    Raises:
        RuntimeError: one of the arguments is none of these.
    """
    if not isinstance(pred, (bool, int, float)):
        _check_branches(pred, true_fn, false_fn, operands)
    return (true_fn if pred else false_fn)(*operands)


def _check_branches(pred: Any, true_fn: Any, false_fn: Any, operands: Any) -> None:
    if not isinstance(pred, torch.Tensor):
        raise RuntimeError(f"Expected pred to be bool or tensor, but got {pred}.")
    if pred.numel() != 1:
        raise RuntimeError(f"Expected pred to be bool or single-element tensor, but got {pred}.")
    if not callable(true_fn) or not callable(false_fn):
        raise RuntimeError("Expect both branches to be callable.")
    if not isinstance(operands, (tuple, list)) or not _only(operands, (torch.Tensor,)):
        raise RuntimeError(
            "Expect operands to be a tuple of possibly nested dict/list/tuple that only consists of tensor leaves, "
            f"but got {operands}."
        )


def _only(tree: Any, types: tuple[type, ...]) -> bool:
    return all(isinstance(x, types) for x in tree_flatten(tree)[0])


def while_loop(cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Any) -> Any:
    """Calls ``carried = body_fn(*carried)`` as long as ``cond_fn(*carried)`` holds, and gives the last ``carried``.

    Args:
        cond_fn: gives a bool, or a tensor of one bool.
        body_fn: gives a tuple like ``carried_inputs``: as many tensors, of the same shapes and dtypes.
        carried_inputs: a tuple of tensors or ints, possibly nested in containers.

    Raises:
        RuntimeError: one of the arguments, or a result, is none of these.
    """
    if not callable(cond_fn) or not callable(body_fn):
        raise RuntimeError("Expect cond_fn and body_fn to be callable.")
    if not isinstance(carried_inputs, (tuple, list)) or not _only(carried_inputs, (torch.Tensor, int)):
        raise RuntimeError(
            "Expect carried_inputs to be a tuple of possibly nested dict/list/tuple that only"
            f"consists of tensor or int leaves, but got {carried_inputs}."
        )
    carried = tuple(carried_inputs)
    while _holds(cond_fn(*carried)):
        after = body_fn(*carried)
        _check_carried(carried, after)
        carried = after
    return carried


def _holds(found: Any) -> bool:
    if isinstance(found, torch.Tensor) and (found.dtype is not torch.bool or found.numel() != 1):
        raise RuntimeError(f"cond_fn must return a boolean scalar tensor or a boolean but got {found}")
    if not isinstance(found, (torch.Tensor, bool)):
        raise RuntimeError(f"cond_fn must return a boolean scalar tensor or a boolean but got {type(found)}")
    return bool(found)


def _check_carried(before: Any, after: Any) -> None:
    if not isinstance(after, tuple):
        raise RuntimeError(f"body_fn should return a tuple but got {type(after)}")
    (xs, was), (ys, now) = tree_flatten(before), tree_flatten(after)
    if was != now:
        raise RuntimeError(f"body_fn should return what it was given: expected the structure {was}, but got {now}")
    for x, y in zip(xs, ys):
        if isinstance(x, torch.Tensor) and (x.shape != y.shape or x.dtype is not y.dtype):
            raise RuntimeError(
                "body_fn should return tensors of the shapes and dtypes that it was given: expected "
                f"{tuple(x.shape)} of {x.dtype}, but got {tuple(y.shape)} of {y.dtype}"
            )
