"""Tensors that hold indices and values only."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import flambeau as torch
from flambeau.graph.node import Operator
from flambeau.graph.storage import VersionCounter
from flambeau.graph.tensor_base import NotDense
from flambeau.graph.types import ty
from flambeau.ops._overriding import disabled
from flambeau.printing import add_suffixes, array_str

from ._changes import Changes
from ._invariants import note
from ._leaves import Leaf, is_leaf, through
from ._shapes import Shapes
from ._values import OfValues


def refuse(self: Any) -> NoReturn:
    """Raises NotDense."""
    raise NotDense(f"{_operator()} does not take sparse tensors (layout {self.layout}): call to_dense() first")


def _operator() -> str:
    """What is being recorded, as the nearest calls tell."""
    frame = sys._getframe(2)
    for _ in range(4):
        op = frame.f_locals.get("op")
        if isinstance(op, Operator):
            return f"{op.name}()"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "this operator"


class SparseTensor(Leaf, Changes, Shapes, OfValues, torch.Tensor):
    """A tensor of layout ``torch.sparse_coo``: ``indices`` (sparse_dim, nnz) int64 and ``values`` (nnz, *dense dims).

    An index may occur several times: its values are added, which ``coalesce`` does once and for all.
    """

    __slots__ = ("_at", "_collects", "_once_only", "_origin", "_own", "_padded", "_spread", "_twin")
    __torch_function__ = disabled  # type: ignore[assignment]

    # What an operator asks a tensor for first: a sparse tensor has no memory to give.
    _s = property(refuse)  # type: ignore[assignment]
    _h = property(refuse)  # type: ignore[assignment]
    _w = property(refuse)  # type: ignore[assignment]

    layout = property(lambda self: torch.sparse_coo, doc="``torch.sparse_coo``.")
    is_sparse = property(lambda self: True, doc="True.")

    def _same_places(self, other: Any) -> bool:
        return other.is_sparse and torch.equal(other._places, self._places)

    @property
    def T(self) -> Any:
        """The transposed matrix."""
        return self.t()

    # ---- parts

    # ``_at`` and ``_own`` may end with entries that are not there, of index -1 and value 0 (``ops/sparse_rows.py``),
    # as long as nobody asks how many there are; ``_padded``: may they?
    # ``_spread``: do the values of PyTorch's tensor not lie row by row, though these do?

    def _cut(self) -> None:
        """Leaves out what is not there."""
        n = int((self._at[0] >= 0).sum())
        self._at, self._own = self._at.narrow(1, 0, n), self._own.narrow(0, 0, n)
        self._padded, self._once_only = False, self._once_only or n < 2

    @property
    def _places(self) -> Any:
        if self._padded:
            self._cut()
        return self._at

    @property
    def _vals(self) -> Any:
        if self._padded:
            self._cut()
        return self._own

    @property
    def _coalesced(self) -> bool:
        if self._padded:
            self._cut()
        return self._once_only

    def sparse_dim(self) -> int:
        """How many dimensions have indices."""
        return self._at.shape[0]

    def dense_dim(self) -> int:
        """How many dimensions the values have of their own."""
        return self._own.ndim - 1

    def _nnz(self) -> int:
        return self._places.shape[1]

    def _indices(self) -> Any:
        return self._places

    def _values(self) -> Any:
        return self._vals

    def is_coalesced(self) -> bool:
        """Does every index occur once, in order?"""
        return self._coalesced

    def indices(self) -> Any:
        """The indices of a coalesced tensor.

        Raises:
            RuntimeError: it is not coalesced.
        """
        self._need_coalesced("indices")
        return self._places

    def values(self) -> Any:
        """The values of a coalesced tensor.

        Raises:
            RuntimeError: it is not coalesced.
        """
        self._need_coalesced("values")
        return self._vals

    def _need_coalesced(self, what: str) -> None:
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    def _flat(self) -> Any:
        """For each entry its row-major place among the sparse dimensions."""
        place = torch.zeros(self._nnz(), dtype=torch.int64)
        for n, row in zip(self.shape, self._places):
            place = place * n + row
        return place

    def coalesce(self) -> Any:
        """The same tensor with sorted indices that occur once."""
        if self._coalesced:
            return self
        places, which = torch.unique(self._flat(), return_inverse=True)
        values = torch.zeros(places.shape[0], *self._vals.shape[1:], dtype=self.dtype).index_add(0, which, self._vals)
        rows = torch.stack(torch.unravel_index(places, tuple(self.shape[: self.sparse_dim()])))
        return made(rows, values, self.shape, True)

    # ---- conversion

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Any:
        """An ordinary tensor of the same elements."""
        if dtype is not None:
            raise RuntimeError("dtype argument is not supported by sparse_to_dense")
        if masked_grad is False and is_leaf(self):
            raise NotImplementedError("to_dense(masked_grad=False) of a sparse tensor that requires grad")
        return torch.zeros(self.shape, dtype=self.dtype).index_put(tuple(self._places), self._vals, accumulate=True)

    def to_sparse(self, *args: Any, layout: Any = None, **kwargs: Any) -> Any:
        """This tensor, or the same in another layout."""
        wanted = layout or next((a for a in args if isinstance(a, torch.layout)), torch.sparse_coo)
        if wanted is torch.sparse_coo:
            return self
        from ._compressed import compressed

        return compressed(self, wanted)

    def _with(self, values: Any) -> Any:
        return made(self._places, values, self.shape, self._coalesced)

    def _with_entries(self, places: Any, values: Any, coalesced: bool) -> Any:
        return made(places, values, self.shape, coalesced)

    def _on_all(self, values: Any) -> Any:
        """Other values for all entries, those that are not there among them: zeros that stay zeros."""
        return made(self._at, values, self.shape, self._once_only, self._padded)

    def _state(self) -> tuple[Any, ...]:
        return self._places, self._vals, self.shape, self._coalesced

    def _once(self) -> Any:
        return self.coalesce()

    def clone(self, *, memory_format: Any = None) -> Any:
        """A copy."""
        return made(self._at.clone(), self._own.clone(memory_format=torch.contiguous_format), self.shape,
                    self._once_only, self._padded)  # fmt: skip

    def numpy(self, *, force: bool = False) -> NoReturn:
        """Raises TypeError."""
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    def to_sparse_csr(self, dense_dim: Any = None) -> Any:
        """The same matrix with its rows compressed."""
        return self.to_sparse(layout=torch.sparse_csr)

    def to_sparse_csc(self, dense_dim: Any = None) -> Any:
        """The same matrix with its columns compressed."""
        return self.to_sparse(layout=torch.sparse_csc)

    # ---- arithmetic

    def add(self, other: Any, *, alpha: Any = 1) -> Any:
        """The sum of two sparse tensors.

        Raises:
            RuntimeError: ``other`` is dense, or of another shape.
        """
        if not isinstance(other, SparseTensor):
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        from ._sums import total

        return total(self, other, alpha)

    __add__ = add

    def __radd__(self, other: Any) -> Any:
        """``dense + sparse``."""
        from ._sums import add_to_dense

        return add_to_dense(other, self, 1)

    def __rsub__(self, other: Any) -> Any:
        return (-self).__radd__(other)

    def mul(self, other: Any) -> Any:
        """All values times a number, or elementwise times a tensor; sparse."""
        if not isinstance(other, torch.Tensor) or other.numel() == 1:
            return self._on_all(self._own * _number(other))
        if not isinstance(other, SparseTensor):
            x = self.coalesce()
            return x._with(x._vals * other.expand(x.shape)[tuple(x._places)])
        from ._products import common

        return common(self.coalesce(), other.coalesce())

    __mul__ = __rmul__ = mul

    def index_select(self, dim: int, index: Any) -> Any:
        """The slices of a sparse dimension that ``index`` names, in its order."""
        d = dim % self.ndim
        if d >= self.sparse_dim():
            values = self._vals.index_select(1 + d - self.sparse_dim(), index)
            shape = [*self.shape[:d], index.shape[0], *self.shape[d + 1 :]]
            return made(self._places, values, shape, self._coalesced)
        from ._products import selected

        return selected(self, dim % self.ndim, index)

    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        """The sum of all elements, or of some dimensions: sparse as long as a sparse one is left."""
        if dim is None and is_leaf(self):
            return through(self, self._vals.detach().sum(dtype=dtype), lambda g: g.to(self.dtype).expand(self.shape))
        if dim is None:
            return self._vals.sum(dtype=dtype)
        gone = {d % self.ndim for d in (dim if isinstance(dim, (tuple, list)) else (dim,))}
        x = self if dtype is None else self.to(dtype)
        n = self.sparse_dim()
        inner = [1 + d - n for d in sorted(gone) if d >= n]
        values = x._vals.sum(inner) if inner else x._vals
        kept = [i for i in range(n) if i not in gone]
        if not kept:
            found = values.sum(0)
        else:
            shape = [size for i, size in enumerate(self.shape) if i not in gone]
            found = made(self._places[kept], values, shape, len(kept) == n and self._coalesced).coalesce()
        for d in sorted(gone) if keepdim else ():
            found = found.unsqueeze(d)
        return found

    def bmm(self, mat2: Any) -> Any:
        """The products of a batch of sparse matrices with one of dense ones, (b, n, k) and (b, k, m)."""
        from ._products import batched

        return batched(self, mat2)

    def sparse_mask(self, mask: Any) -> Any:
        """The elements at the indices of a coalesced sparse tensor, zeros where there are none."""
        x = self.coalesce()
        own, wanted = x._flat(), mask.coalesce()._flat()
        at = torch.searchsorted(own, wanted).clamp_max(max(own.shape[0] - 1, 0))
        if not own.shape[0]:
            return mask._with(x._vals.new_zeros(wanted.shape[0], *x._vals.shape[1:]))
        there = (own[at] == wanted).view(-1, *[1] * (x._vals.ndim - 1))
        return mask.coalesce()._with(x._vals.index_select(0, at).where(there, 0))

    def any(self) -> Any:
        """Is an element true?"""
        return self.coalesce()._vals.any()

    def _coalesced_(self, coalesced: bool) -> Any:
        """Says whether every index occurs once, in order."""
        self._cut() if self._padded else None
        self._once_only = coalesced
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return shown(self, {"indices": self._places, "values": self._vals}, apart=True)


def shown(x: Any, parts: dict[str, Any], apart: bool = False) -> str:
    """What a sparse tensor of these parts prints; its size begins a line if it is ``apart``."""
    usual = x.dtype in (torch.get_default_dtype(), torch.int64, torch.bool)
    suffixes = [f"size={tuple(x.shape)}", f"nnz={x._nnz()}", *([] if usual else [f"dtype={x.dtype}"])]
    suffixes.append(f"layout={x.layout}")
    if x.grad_fn is not None:
        suffixes.append(f"grad_fn=<{type(x.grad_fn).__name__}>")
    elif x.requires_grad:
        suffixes.append("requires_grad=True")
    lines = ",\n       ".join(_part(name, part) for name, part in parts.items())
    return add_suffixes("tensor(" + lines, suffixes, 7, apart)


def _part(name: str, x: Any) -> str:
    """A part of a sparse tensor under its name, as wide as the rest of the line; an empty one shows its size."""
    values = array_str(x.detach()._numpy(), len(f"tensor({name}=tensor("))
    return f"{name}=tensor({values}{'' if x.numel() else f', size={tuple(x.shape)}'})"


def made(places: Any, values: Any, shape: Any, coalesced: bool, padded: bool = False) -> SparseTensor:
    """A sparse tensor of its parts, which fit."""
    x = object.__new__(SparseTensor)
    x._ty = ty(tuple(int(n) for n in shape), values.dtype)
    x._e = x._view = x._g = None
    x._vc = VersionCounter()
    x._at, x._own, x._padded, x._spread, x._twin = places, values, padded, False, None
    x._collects = False
    x._once_only, x._origin = coalesced or places.shape[1] < 2, None
    return x


def of_rows(at: Any, values: Any, rows: int, padded: bool) -> SparseTensor:
    """A matrix of which some rows are there, as the gradient of a table."""
    return made(at.view(1, -1), values, (rows, values.shape[-1]), False, padded)


def _number(x: Any) -> Any:
    """A number, or a tensor of one element without a dimension, which does not change the shape of values."""
    if isinstance(x, SparseTensor):
        x = x.to_dense()
    return x.reshape(()) if isinstance(x, torch.Tensor) else x


def sparse_coo_tensor(
    indices: Any = None, values: Any = None, size: Any = None, *, dtype: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> Any:  # fmt: skip
    """A sparse tensor of ``values`` (nnz, …) at ``indices`` (dimensions, nnz)
    (https://docs.pytorch.org/docs/stable/generated/torch.sparse_coo_tensor.html).

    Raises:
        RuntimeError: the numbers of indices and values differ, or an index is outside ``size``.
    """
    note(check_invariants)
    if size is None and values is None and isinstance(indices, (tuple, list, torch.Size)):
        indices, size = None, indices
    if indices is None:
        indices, values = torch.empty(len(size or ()), 0, dtype=torch.int64), torch.empty(0, dtype=dtype)
    places = torch.as_tensor(indices).detach().to(torch.int64)
    vals = values if isinstance(values, torch.Tensor) else torch.tensor(values, dtype=dtype)
    vals = vals if dtype is None else vals.to(dtype)
    if places.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(places.shape)}")
    if places.shape[1] != vals.shape[0]:
        raise RuntimeError(f"indices and values must have same nnz, but got nnz from indices: {places.shape[1]}, "
                           f"nnz from values: {vals.shape[0]}")  # fmt: skip
    if size is None:
        size = [*(places.amax(1) + 1).tolist(), *vals.shape[1:]]
    _check_range(places, vals.ndim - 1, size)
    x = made(places, vals, size, bool(is_coalesced))
    return x.detach().requires_grad_(True) if requires_grad else x


def _check_range(places: Any, dense: int, size: Any) -> None:
    if places.shape[0] + dense != len(size):
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)}, sparse_dim = "
            f"{places.shape[0]}, dense_dim = {dense}"
        )
    if not places.numel():
        return
    for d, (low, high) in enumerate(zip(places.amin(1).tolist(), places.amax(1).tolist())):
        if low < 0:
            raise RuntimeError(f"found negative index {low} for dim {d}")
        if high >= size[d]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {d}, size is {size[d]} but found index {high}"
            )


def to_sparse(input: Any, *args: Any, layout: Any = None, **kwargs: Any) -> Any:
    """The elements of a dense tensor that are not zero, in coordinate form; see ``Tensor.to_sparse``.

    Raises:
        NotImplementedError: a layout of blocks is asked for.
    """
    wanted = layout or next((a for a in args if isinstance(a, torch.layout)), torch.sparse_coo)
    count = next((a for a in args if isinstance(a, int)), input.ndim)
    if kwargs or not 0 < count <= input.ndim:
        raise NotImplementedError("to_sparse(): blocks, and no sparse dimension at all, are not supported")
    filled = input.detach() != 0
    places = tuple(torch.nonzero(filled.flatten(count).any(-1) if count < input.ndim else filled, as_tuple=True))
    found = made(torch.stack(places), input[places], input.shape, True).to_sparse(layout=wanted)
    found._origin = input if torch.is_grad_enabled() and input.requires_grad else None
    return found
