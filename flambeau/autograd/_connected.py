"""Gradients of what a graph reaches, but no rule gives one for: PyTorch's rules give zeros there.

The gradient of ``relu`` does not depend smoothly on its input, so its rule gives that input nothing. The input is part
of the graph all the same, so who asks for a second derivative gets zeros.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..graph.epoch import complete_all
from ..graph.fn import AccumulateGrad
from ..ops.creation import zeros_of
from .engine import split


def zero_where_connected(roots: Iterable[Any], x: Any, edge: Any, create: bool) -> Any:
    """Zeros for ``x``, whose gradient goes to ``edge``, if ways of the graph lead there from the edges ``roots``, else
    None.

    With ``create`` these zeros have a history that leads to ``x``, so that further derivatives are zeros too.
    """
    if edge is None:
        return None
    complete_all()
    if not _reached(roots, split(edge)):
        return None
    zeros = zeros_of(x._ty)
    if not create:
        return zeros
    from ..ops.random_fill import forgets, with_history

    return with_history(zeros, forgets("zeros_like", "ZerosLikeBackward0"), (x,))


def _reached(roots: Iterable[Any], wanted: tuple[Any, int]) -> bool:
    waiting, seen = list(roots), set()
    while waiting:
        node, which = split(waiting.pop())
        if (node, which) == wanted:
            return True
        # A custom function that gives nothing means nothing.
        if node in seen or isinstance(node, AccumulateGrad) or hasattr(node, "forward_class"):
            continue
        seen.add(node)
        waiting += [e for e in node.edges if e is not None]
    return False
