"""Gradients of functions with many elements, checked in few passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck

COUNT = 3  # of random directions of an input, and of random sums of a result


def gradients_hold(f: Callable[..., Any], inputs: Sequence[Any], second: bool = False) -> bool:
    """``gradcheck``, also ``gradgradcheck`` if asked, of random sums of results as inputs move in random directions.

    A wrong derivative by any element shows in these, and they take few passes where there are many elements.
    """
    generator = torch.Generator().manual_seed(0)
    directions = [torch.randn(COUNT, *x.shape, dtype=x.dtype, generator=generator) for x in inputs]

    def run(*moves: Any) -> Any:
        moved = [x.detach() + torch.tensordot(move, d, 1) for x, move, d in zip(inputs, moves, directions)]
        results = f(*moved)
        return [_sums_of(y) for y in (results if isinstance(results, (tuple, list)) else [results])]

    moves = [torch.zeros(COUNT, dtype=x.dtype, requires_grad=True) for x in inputs]
    return gradcheck(run, moves) and (not second or gradgradcheck(run, moves))


def _sums_of(x: Any) -> Any:
    weights = torch.randn(x.numel(), COUNT, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
    return x.reshape(-1) @ weights
