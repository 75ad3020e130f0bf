"""A custom function's ``jvp`` where a derivative in forward mode is taken by differentiating backward passes.

Such a pass is linear in the vector that it begins with, and its derivative with respect to that is what is wanted. So
the backward of a call that has a ``jvp`` gives nothing there but an operator whose own gradient is the ``jvp``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..ops.creation import zeros_of
from .function import Function, tangents_of
from .grad_mode import pushing


@contextlib.contextmanager
def pass_to_differentiate() -> Iterator[None]:
    """Within it, backward passes run of which nothing counts but the derivative with respect to their vector."""
    pushing.append(None)
    try:
        yield
    finally:
        pushing.pop()


class _Transposed(Function):
    """The backward of a call, as a function of the gradients of its outputs."""

    @staticmethod
    def forward(ctx: Any, node: Any, *grads: Any) -> Any:
        ctx.node = node
        return tuple([zeros_of(t) for t, edge in zip(node.ins, node.edges) if edge is not None])

    @staticmethod
    def backward(ctx: Any, *tangents: Any) -> Any:
        return (None, *tangents_of(ctx.node, tangents))


def transposed(node: Any, grads: tuple[Any, ...]) -> list[Any]:
    """What stands for the gradients of a call's inputs."""
    found = iter(_Transposed.apply(node, *grads))
    return [None if edge is None else next(found) for edge in node.edges]
