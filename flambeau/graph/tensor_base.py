"""What a tensor holds; its methods are in ``flambeau.tensor``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..compiler.twins import twin
from .storage import Storage
from .traced import Traced
from .types import Ty

if TYPE_CHECKING:
    _Methods = Any  # most of a tensor's methods are operators, which are attached when they are defined
else:
    _Methods = object


class TensorBase(_Methods):
    """The data of a tensor.

    ``_s`` storage; ``_ty`` geometry in it; ``_h`` the node of its value, good while ``_w == _s.w``;
    ``_e`` where its gradient goes (None: it needs none), possibly still to be completed, so it is read by ``_edge``:
    a traced node stands for a backward node that is not made yet, of the call with inputs ``_ins`` and the number
    ``_number`` (``graph.tape``); ``_view`` what it is a view of;
    ``_g`` its gradient, possibly as a ``Gradients``, and ``_grad`` as a tensor;
    ``_vc`` a version counter of its own (made by ``.data``), else the storage's.
    """

    __slots__ = ("__dict__", "__weakref__", "_e", "_g", "_h", "_ins", "_number", "_s", "_ty", "_vc", "_view", "_w")

    _s: Storage
    _ty: Ty
    _h: Any
    _w: int
    _e: Any
    _ins: Any
    _number: int
    _view: View | None
    _vc: Any
    _g: Any

    @property
    def _grad(self) -> Any:
        """The gradient as a tensor, or None."""
        g = self._g
        if g is not None and not isinstance(g, TensorBase):
            g = self._g = g.take(self)
        return g

    @_grad.setter
    def _grad(self, g: Any) -> None:
        self._g = g

    @property
    def _edge(self) -> Any:
        """Where its gradient goes, complete."""
        e = self._e
        if e is not None and e.traced is not None:
            if e.__class__ is Traced:
                before_change[0](False)
                return self._edge
            e.unfold()
        return e

    @_edge.setter
    def _edge(self, edge: Any) -> None:
        if self._h is not None:
            before_change[0]()  # recorded calls may have this tensor among their inputs
        self._e = edge
        self._w = -1


class NotDense(NotImplementedError, AttributeError):
    """An operator was given a tensor without memory of its own for every element: a sparse one."""


class View:
    """How a tensor is a view: of which base, at which version its edge was made, how it may be written."""

    __slots__ = ("base", "creation", "edge_version")

    # There is no constructor, as for storages: see ``view_of``.
    base: TensorBase
    creation: str  # "default", "multi", "no_grad", "inference" or "custom"
    edge_version: int


before_change: list[Callable[..., None]] = [
    lambda moved=True: None
]  # ``epoch.complete_all``: completes the backward nodes that are not
replaced = [0]  # how often a tensor was given other memory or another geometry
_new = object.__new__
tensor_class: list[type] = [TensorBase]  # the class of new tensors


def register_class(cls: type) -> None:
    """Makes ``cls`` the class of new tensors."""
    tensor_class[0] = cls


@twin
def view_of(base: TensorBase, creation: str, edge_version: int) -> View:
    """What there is to say of a view."""
    v = View()
    v.base = base
    v.creation = creation
    v.edge_version = edge_version
    return v


@twin
def new_tensor(s: Storage, t: Ty, h: Any = None, w: int = -1) -> Any:
    """A tensor over ``s``; without ``h`` its node is found at first use."""
    x = _new(tensor_class[0])
    x._s = s
    x._ty = t
    x._h = h
    x._w = w
    x._e = None
    x._view = None
    x._vc = None
    x._g = None
    return x
