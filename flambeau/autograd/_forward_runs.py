"""What forward-mode derivatives need while a function runs: everything recorded, and no harm done by writes.

A derivative in forward mode is taken from what was recorded (``forward_ad``), whereas PyTorch computes it beside the
values. So operators are recorded under ``no_grad`` too, what they save is a copy that later writes leave alone, and
inputs may be written, though what is recorded depends on them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..graph import packing
from ..graph.epoch import threads
from ..graph.fn import record
from ..graph.node import Operator
from ..ops._registry import alias, view_edge
from .grad_mode import recording


def _not_recorded(*_: Any) -> Any:
    raise AssertionError("the place of a stand-in in the graph has no operator")


STAND_IN = Operator("alias", _not_recorded, _not_recorded, lambda f, g: (None,))


def begin() -> bool:
    """Begins to record everything; gives the grad mode before."""
    before, threads.epoch.grad = threads.epoch.grad, True
    recording.append(True)
    packing.push(_copy, _given_back)
    return before


def end(before: bool) -> None:
    """Goes back to the grad mode before."""
    packing.leave()
    recording.pop()
    threads.epoch.grad = before


@contextlib.contextmanager
def forward() -> Iterator[None]:
    """Within it, a function runs of which derivatives in forward mode are wanted."""
    before = begin()
    try:
        yield
    finally:
        end(before)


@contextlib.contextmanager
def reverse() -> Iterator[None]:
    """Within it, a function runs of which gradients are wanted: ``no_grad`` means what it says."""
    before, threads.epoch.grad = threads.epoch.grad, True
    recording.append(False)
    try:
        yield
    finally:
        recording.pop()
        threads.epoch.grad = before


def _copy(x: Any) -> Any:
    return x.detach().clone()


packing.harmless.add(_copy)


def _given_back(x: Any) -> Any:
    return x


def pinned(x: Any) -> Any:
    """Another tensor on the memory of ``x`` that keeps its present place in the graph when ``x`` is written."""
    y = alias(x)
    y._edge = x._edge if x._view is None else view_edge(x)
    return y


def stand_in(x: Any) -> Any:
    """A tensor on the memory of ``x`` with a place of its own in the graph, which may be written: no leaf, no view.

    Where there are gaps between the elements of ``x``, it has memory of its own.
    """
    y = alias(x if x._ty.dense else x.detach().clone())
    y._edge = record(STAND_IN, (), (None,), (x._ty,), (x._ty,), None)
    return y


def begins(node: Any) -> bool:
    """Is a node of the graph where a leaf that lives, or a stand-in, gets its gradient?"""
    return node.leaf is not None if node.accumulates else node.op is STAND_IN
