"""Tensors of components that differ in one dimension: all their rows lie one after the other in one dense tensor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NoReturn

import flambeau as torch
from flambeau.graph.storage import VersionCounter
from flambeau.graph.tensor_base import NotDense
from flambeau.graph.types import Size
from flambeau.ops._overriding import note_class
from flambeau.ops._registry import version_of

_numbers = itertools.count(1)


class Ragged:
    """The size of a ragged dimension, shown as ``j1``; equal to itself only."""

    def __init__(self) -> None:
        self.number = next(_numbers)

    def __repr__(self) -> str:
        return f"j{self.number}"


class Lengths:
    """Where each component begins among the rows; tensors that share it have the same ragged size."""

    def __init__(self, offsets: Any) -> None:
        self.offsets, self.version = offsets, version_of(offsets)
        self.size = Ragged()
        begins = offsets.tolist()
        self.each = [high - low for low, high in zip(begins, begins[1:])]
        self.rows = begins[-1]

    def of_rows(self) -> Any:
        """For each row, which component it is of."""
        return torch.repeat_interleave(torch.arange(len(self.each)), torch.tensor(self.each, dtype=torch.int64))


def _refuse(self: Any) -> NoReturn:
    raise NotDense("this operator does not take nested tensors: use to_padded_tensor() or unbind()")


class NestedTensor(torch.Tensor):
    """A batch of components: dimension 0 counts them, dimension ``_ragged_idx`` has a size of its own in each.

    ``_rows`` (total, …) holds the components one after the other; ``_order`` says for each dimension of a component
    which dimension of ``_rows`` it is (0 for the ragged one).
    """

    __slots__ = ("_lengths", "_order", "_rows", "layout")

    _s = property(_refuse)  # type: ignore[assignment]
    _h = property(_refuse)  # type: ignore[assignment]
    _w = property(_refuse)  # type: ignore[assignment]

    is_nested = property(lambda self: True, doc="True.")  # type: ignore[assignment]
    _ragged_idx = property(lambda self: 1 + self._order.index(0), doc="The ragged dimension.")
    grad_fn = property(lambda self: self._rows.grad_fn, doc="Of the rows.")
    is_leaf = property(lambda self: self._rows.is_leaf, doc="Of the rows.")
    ndim = property(lambda self: 1 + len(self._order), doc="The number of dimensions, the batch included.")

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from ._functions import answer

        return answer(func, args, kwargs or {})

    # ---- what it is

    @property
    def shape(self) -> Any:
        """The sizes; that of the ragged dimension is a symbol."""
        inner = [self._rows.shape[k] if k else self._lengths.size for k in self._order]
        return tuple.__new__(Size, (len(self._lengths.each), *inner))

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension.

        Raises:
            RuntimeError: that dimension of a strided tensor is ragged.
        """
        if dim is None:
            return self.shape
        found = self.shape[dim]
        if isinstance(found, Ragged) and self.layout is torch.strided:
            raise RuntimeError(f"Given dimension {dim % self.ndim} is irregular and does not have a size.")
        return found

    def dim(self) -> int:
        """The number of dimensions, the batch included."""
        return self.ndim

    def numel(self) -> int:
        """The elements of all components."""
        return self._rows.numel()

    def __len__(self) -> int:
        return len(self._lengths.each)

    def values(self) -> Any:
        """The components one after the other, in one dense tensor whose ragged dimension is where theirs is."""
        return self._rows if self._plain() else self._rows.permute(self._order)

    def offsets(self) -> Any:
        """Where each component begins among the values."""
        return self._lengths.offsets

    def _plain(self) -> bool:
        return self._order == tuple(range(len(self._order)))

    @property
    def requires_grad(self) -> bool:
        """Do the values need a gradient?"""
        return self._rows.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._rows.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Makes the values need a gradient."""
        self._rows.requires_grad_(requires_grad)
        return self

    @property
    def grad(self) -> Any:
        """The gradient of a leaf, nested alike; None if there is none."""
        g = self._rows.grad if self._rows.is_leaf else None
        return None if g is None else self._with(g)

    @grad.setter
    def grad(self, value: Any) -> None:
        self._rows.grad = None if value is None else value._rows

    # ---- parts and conversion

    def unbind(self, dim: int = 0) -> tuple[Any, ...]:
        """The components.

        Raises:
            RuntimeError: another dimension is asked for.
        """
        if dim != 0:
            raise RuntimeError("unbind(): only supports dim=0 for nested tensors")
        parts = self._rows.split(self._lengths.each)
        return tuple(parts) if self._plain() else tuple([x.permute(self._order) for x in parts])

    def __iter__(self) -> Any:
        return iter(self.unbind())

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, int):
            _refuse(self)
        return self.unbind()[index]

    def to_padded_tensor(self, padding: float, output_size: Any = None) -> Any:
        """A dense tensor of all components, with ``padding`` where one is shorter than the longest.

        Raises:
            RuntimeError: ``output_size`` is smaller.
        """
        longest = max(self._lengths.each, default=0)
        n, width = len(self), longest
        if output_size is not None:
            width = output_size[self._ragged_idx]
            wanted = [width if isinstance(s, Ragged) else s for s in self.shape]
            if width < longest or list(output_size)[1:] != wanted[1:]:
                raise RuntimeError(
                    "Value in output_size is less than NestedTensor padded size. Truncation is not supported."
                )
        which = self._lengths.of_rows()
        place = which * width + torch.arange(self._lengths.rows) - self._lengths.offsets[:-1].to(torch.int64)[which]
        rest = self._rows.shape[1:]
        full = torch.full((n * width, *rest), padding, dtype=self._rows.dtype).index_put((place,), self._rows)
        found = full.view(n, width, *rest).permute(0, *[k + 1 for k in self._order])
        return found if output_size is None or output_size[0] == n else _more(found, output_size[0], padding)

    def detach(self) -> Any:
        """The same values without a history."""
        return self._with(self._rows.detach())

    def contiguous(self, *, memory_format: Any = None) -> Any:
        """The same components, in the order of the dimensions."""
        if self._plain():
            return self
        if self._order[0]:
            raise NotImplementedError("contiguous() of components whose ragged dimension is not the first")
        return made(self._rows.permute(self._order).contiguous(), self._lengths, self.layout)

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Are the dimensions in order?"""
        return self._plain()

    def transpose(self, dim0: int, dim1: int) -> Any:
        """Two dimensions, but not the batch, exchanged."""
        a, b = dim0 % self.ndim, dim1 % self.ndim
        if 0 in (a, b) and a != b:
            raise RuntimeError("Nested tensor: transpose() of the batch dimension is not supported")
        order = list(self._order)
        order[a - 1], order[b - 1] = order[b - 1], order[a - 1]
        return made(self._rows, self._lengths, self.layout, tuple(order))

    def _with(self, rows: Any) -> Any:
        """Other rows of the same lengths, with the dimensions in the same order."""
        return made(rows, self._lengths, self.layout, self._order)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        if self.layout is torch.strided:
            parts = ",\n".join(["  " + repr(x.detach()).replace("\n", "\n  ") for x in self.unbind()])
            return f"nested_tensor([\n{parts}\n])"
        grad = f", grad_fn={self.grad_fn}" if self.grad_fn else ", requires_grad=True" if self.requires_grad else ""
        size = f"({', '.join(map(repr, self.shape))})"
        return f"NestedTensor(size={size}, offsets={self.offsets()}{grad}, contiguous={self.is_contiguous()})"

    __str__ = __repr__


def _more(x: Any, count: int, padding: float) -> Any:
    return torch.cat([x, torch.full((count - x.shape[0], *x.shape[1:]), padding, dtype=x.dtype)])


def made(rows: Any, lengths: Lengths, layout: Any, order: Sequence[int] | None = None) -> NestedTensor:
    """A nested tensor of its parts, which fit."""
    x = object.__new__(NestedTensor)
    note_class(NestedTensor)
    x._ty = rows._ty
    x._e = x._view = x._grad = None
    x._vc = VersionCounter()
    x._rows, x._lengths, x.layout = rows, lengths, layout
    x._order = tuple(range(rows.ndim)) if order is None else tuple(order)
    return x
