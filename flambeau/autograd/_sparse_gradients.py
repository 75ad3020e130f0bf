"""Sparse gradients in passes that are remembered: the nodes of their indices and values."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..graph.epoch import Epoch, node_of
from ..graph.node import Node, layout_node
from ..graph.types import Ty, ty
from ..ops._registry import fresh as fresh_tensor


class SparseNodes:
    """A sparse gradient of a known pass, of type ``ty``; the nodes of its indices and values."""

    __slots__ = ("padded", "places", "spread", "ty", "values")

    def __init__(self, g: Any) -> None:
        self.ty: Ty = g._ty
        self.padded: bool = g._padded
        self.spread: bool = g._spread or not g._own.is_contiguous()
        self.places = node_of(g._at)
        values = node_of(g._own)
        self.values = layout_node(values, ty(values.ty.shape, values.ty.dtype))

    def tensor(self, epoch: Epoch) -> Any:
        """The gradient, pending."""
        made = import_module("flambeau.sparse._coordinates").made
        places, values = fresh_tensor(self.places, epoch), fresh_tensor(self.values, epoch)
        g = made(places, values, self.ty.shape, False, self.padded)
        g._spread = self.spread
        return g


def fresh(node: Any, epoch: Epoch) -> Any:
    """A pending gradient."""
    return node.tensor(epoch) if node.__class__ is SparseNodes else fresh_tensor(node, epoch)


def plain_nodes(nodes: list[Any]) -> list[Node]:
    """All nodes of gradients, of which some may be None."""
    found: list[Node] = []
    for n in nodes:
        if n.__class__ is SparseNodes:
            found += (n.places, n.values)
        elif n is not None:
            found.append(n)
    return found
