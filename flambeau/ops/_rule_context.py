"""What a gradient rule sees of a call, and how what it gives is fitted to the call's inputs."""

from __future__ import annotations

from typing import Any

from ..graph.fn import Fn
from ..graph.node import OUT
from ..graph.types import Ty


class CallContext:
    """A recorded call: attributes, types, which inputs want a gradient. A subclass says what was saved."""

    __slots__ = ("attrs", "fn", "ins", "op")

    def __init__(self, fn: Fn, ins: tuple[Any, ...]) -> None:
        self.fn = fn
        self.op = fn.op
        self.attrs = fn.attrs
        self.ins = ins

    @property
    def outs(self) -> tuple[Any, ...]:
        """The types of the outputs."""
        return self.fn.outs

    def needs(self, i: int) -> bool:
        """Does input ``i`` want a gradient?"""
        return self.fn.edges[i] is not None

    def saved(self, i: int) -> Any:
        """The saved input ``i`` (a Python number as it is)."""
        raise NotImplementedError

    def out(self, k: int = 0) -> Any:
        """The saved output ``k``."""
        return self.saved(OUT + k)


def fitted(g: Any, t: Ty) -> Any:
    """A gradient summed to its input's shape where that was broadcast, in its dtype."""
    if g._ty.shape != t.shape:
        g = g.sum_to_size(t.shape)
    if g._ty.dtype.is_complex and not t.dtype.is_complex:
        g = g.real
    return g if g._ty.dtype is t.dtype else g.to(t.dtype)
