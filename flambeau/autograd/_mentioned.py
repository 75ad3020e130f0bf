"""Gradients that do not read an input of their call, but have it in their history.

The gradient of an average is the same for all inputs. PyTorch's operator for it takes the input as an argument all the
same, so the gradient requires grad, and its own derivative by the input is zeros.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from ..graph.epoch import complete_all
from ..graph.fn import Fn, record
from ..graph.node import Operator
from ..ops._registry import view_edge
from ..ops.creation import zeros_of

_POOLS = [
    f"{kind}{n}D" for kind in ("AdaptiveAvgPool", "AdaptiveMaxPool", "AvgPool", "FractionalMaxPool") for n in (2, 3)
]
_PADDINGS = [f"{kind}Pad{n}D" for kind in ("Reflection", "Replication") for n in (1, 2, 3)]
_LOSSES = ["NllLoss", "NllLoss2D", "MultiMarginLoss", "MultilabelMarginLoss"]
_OTHERS = ["GridSampler2D", "GridSampler3D", "PreluKernel", "RreluWithNoise"]
MENTIONING = frozenset(f"{name}Backward0" for name in [*_POOLS, *_PADDINGS, *_LOSSES, *_OTHERS])


def mentioned(node: Fn, grads: Sequence[Any]) -> list[Any]:
    """The gradients of a node whose name is among ``MENTIONING``, with a history that leads to all its inputs."""
    complete_all()
    return [None if g is None else _mentioning(node, g) for g in grads]


def _mentioning(node: Fn, g: Any) -> Any:
    ways = [(e, t) for e, t in zip(node.edges, node.ins) if e is not None]
    edges = (g._edge if g._view is None else view_edge(g), *[e for e, _ in ways])
    y = g.detach().clone()
    op = _first_alone(node.op.grad_name.removesuffix("0") + "Backward0")
    y._edge = record(op, (), edges, (g._ty, *[t for _, t in ways]), (y._ty,), None)
    return y


@functools.cache
def _first_alone(grad_name: str) -> Operator:
    """What has several inputs and gives the first."""
    return Operator("mention", _not_recorded, _not_recorded, _gradient, grad_name=grad_name)


def _not_recorded(*_: Any) -> Any:
    raise AssertionError("a history of a value that is there")


def _gradient(f: Any, g: Any) -> tuple[Any, ...]:
    return (g if f.needs(0) else None, *[zeros_of(t) if f.needs(i) else None for i, t in enumerate(f.ins) if i])
