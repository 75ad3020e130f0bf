"""The older form of ``torch.func.vmap`` that packages import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as torch

__all__ = ["_vmap"]


def _vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, allow_none_pass_through: bool = False
) -> Callable[..., Any]:
    """``torch.func.vmap``; with ``allow_none_pass_through`` a result may be None."""
    mapped = torch.func.vmap(func, in_dims, out_dims)
    return _passing_none(func, in_dims, out_dims) if allow_none_pass_through else mapped


def _passing_none(func: Callable[..., Any], in_dims: Any, out_dims: Any) -> Callable[..., Any]:
    def passing(*args: Any) -> Any:
        missing: list[Any] = []

        def without_none(*samples: Any) -> Any:
            found = func(*samples)
            several = found if isinstance(found, (tuple, list)) else (found,)
            missing[:] = [x is None for x in several]
            return tuple([x for x in several if x is not None])

        there = iter(torch.func.vmap(without_none, in_dims, out_dims)(*args))
        results = tuple([None if gone else next(there) for gone in missing])
        return results[0] if len(results) == 1 else results

    return passing
