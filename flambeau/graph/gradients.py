"""The gradients of one backward pass, before anybody looks at them one by one.

A pass that is known gives all its leaves the same object for a gradient. It is part of a program's key, and its values
come back together; a leaf's ``grad`` becomes a tensor of its own when it is read.
"""

from __future__ import annotations

from typing import Any

from ..compiler.twins import twin
from .epoch import NODE_COST, Epoch
from .node import Node
from .storage import Storage
from .tensor_base import new_tensor


class Gradients:
    """Gradients of the ``leaves`` (weak references) with the nodes and versions of the pass ``known``.

    ``arrays`` are the values once they are computed; ``epoch`` is where they are pending, None from then on.
    """

    __slots__ = ("arrays", "epoch", "known", "leaves", "places")
    is_sparse = False

    known: Any
    leaves: list[Any]
    epoch: Any
    arrays: Any
    places: dict[int, int] | None  # id of a leaf -> its place, made when first needed

    def node(self, leaf: Any) -> Node:
        """The pending gradient of a leaf."""
        return self.known.grads[self.place(leaf)]

    def place(self, leaf: Any) -> int:
        """Which of the gradients is a leaf's."""
        if self.places is None:
            # Whoever asks has held this object all the time, so no other tensor can have had its id since.
            self.places = {id(reference()): i for i, reference in enumerate(self.leaves)}
        return self.places[id(leaf)]

    def take(self, leaf: Any) -> Any:
        """The gradient of a leaf as a tensor."""
        i = self.place(leaf)
        known, epoch = self.known, self.epoch
        node: Any = known.grads[i]
        s = Storage.of(node.ty, node)
        s.version = known.versions[i]
        if epoch is not None:
            s.pending = True
            s.epoch = epoch
            epoch.pend.append(s)
            epoch.bytes += node.ty.nbytes + NODE_COST
            return new_tensor(s, node.ty, node, 0)
        s.h = None
        if self.arrays is not None:
            s.raw, self.arrays[i] = self.arrays[i], None
        return new_tensor(s, s.ty)


@twin
def gradients(known: Any, leaves: list[Any], epoch: Epoch) -> Gradients:
    """The gradients of a pass. (A class without a constructor is called in half the time.)"""
    g = Gradients()
    g.known = known
    g.leaves = leaves
    g.epoch = epoch
    g.arrays = None
    g.places = None
    return g
