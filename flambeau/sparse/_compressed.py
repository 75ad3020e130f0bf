"""Sparse matrices whose rows (CSR) or columns (CSC) are compressed: where each begins among the entries."""

from __future__ import annotations

from typing import Any, NoReturn

import flambeau as torch
from flambeau.graph.storage import VersionCounter
from flambeau.graph.types import ty
from flambeau.ops._overriding import disabled
from flambeau.ops._warned import warn_once

from ._coordinates import SparseTensor, made, refuse, shown
from ._invariants import note
from ._leaves import Leaf
from ._values import OfValues


class CompressedTensor(Leaf, OfValues, torch.Tensor):
    """A matrix of layout ``torch.sparse_csr`` or ``torch.sparse_csc``.

    ``_pointers`` (rows + 1) says where the entries of each row begin, ``_others`` (nnz) in which column each entry is;
    of a CSC matrix it is the other way round. The entries of a row are in the order of their columns.
    """

    __slots__ = ("_collects", "_origin", "_others", "_pointers", "_twin", "_vals", "layout")
    __torch_function__ = disabled  # type: ignore[assignment]

    _s = property(refuse)  # type: ignore[assignment]
    _h = property(refuse)  # type: ignore[assignment]
    _w = property(refuse)  # type: ignore[assignment]

    is_sparse_csr = property(lambda self: self.layout is torch.sparse_csr, doc="Are rows compressed?")  # type: ignore[assignment]

    def _same_places(self, other: Any) -> bool:
        return other.layout is self.layout and torch.equal(other._others, self._others)

    # ---- parts

    def _parts(self, layout: Any, name: str, part: Any) -> Any:
        if self.layout is not layout:
            kind = "row" if layout is torch.sparse_csr else "column"
            raise RuntimeError(f"{name} expected sparse {kind} compressed tensor layout but got {_name(self.layout)}")
        return part

    def crow_indices(self) -> Any:
        """Where each row begins."""
        return self._parts(torch.sparse_csr, "crow_indices", self._pointers)

    def col_indices(self) -> Any:
        """The column of each entry."""
        return self._parts(torch.sparse_csr, "col_indices", self._others)

    def ccol_indices(self) -> Any:
        """Where each column begins."""
        return self._parts(torch.sparse_csc, "ccol_indices", self._pointers)

    def row_indices(self) -> Any:
        """The row of each entry."""
        return self._parts(torch.sparse_csc, "row_indices", self._others)

    def indices(self) -> NoReturn:
        """Raises RuntimeError: that is for the coordinate layout."""
        raise RuntimeError(f"indices expected sparse coordinate tensor layout but got {_name(self.layout)}")

    def values(self) -> Any:
        """The entries."""
        return self._vals

    def _nnz(self) -> int:
        return self._others.shape[0]

    def sparse_dim(self) -> int:
        """2."""
        return 2

    def dense_dim(self) -> int:
        """0."""
        return 0

    # ---- conversion

    def to_sparse(self, *args: Any, layout: Any = None, **kwargs: Any) -> Any:
        """The same matrix in coordinate form, or in another layout."""
        wanted = layout or next((a for a in args if isinstance(a, torch.layout)), torch.sparse_coo)
        if wanted is torch.sparse_coo:
            return self._coordinates()
        return self if wanted is self.layout else compressed(self._coordinates(), wanted)

    def _coordinates(self) -> SparseTensor:
        """Of CSC the entries column by column, not coalesced."""
        lines = self._pointers.diff()
        line = torch.repeat_interleave(torch.arange(lines.shape[0]), lines)
        others = self._others.to(torch.int64)
        rowwise = self.layout is torch.sparse_csr
        places = torch.stack([line, others] if rowwise else [others, line])
        found = made(places, self._vals, self.shape, rowwise)
        return found if rowwise else found.coalesce()

    def to_sparse_csr(self, dense_dim: Any = None) -> Any:
        """The same matrix with its rows compressed."""
        return self.to_sparse(layout=torch.sparse_csr)

    def to_sparse_csc(self, dense_dim: Any = None) -> Any:
        """The same matrix with its columns compressed."""
        return self.to_sparse(layout=torch.sparse_csc)

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Any:
        """An ordinary tensor of the same elements."""
        dense = self._coordinates().to_dense()
        return dense if dtype is None else dense.to(dtype)

    def _with(self, values: Any) -> Any:
        return _compressed(self.layout, self._pointers, self._others, values, self.shape)

    @property
    def _own(self) -> Any:
        return self._vals

    def _on_all(self, values: Any) -> Any:
        return self._with(values)

    def _state(self) -> tuple[Any, ...]:
        return self._pointers, self._others, self._vals, self.shape

    def _once(self) -> CompressedTensor:
        """This tensor: every entry occurs once."""
        return self

    def clone(self, *, memory_format: Any = None) -> Any:
        """A copy."""
        parts = self._pointers.clone(), self._others.clone(), self._vals.clone()
        return _compressed(self.layout, *parts, self.shape)

    def numpy(self, *, force: bool = False) -> NoReturn:
        """Raises TypeError."""
        raise TypeError(f"can't convert {_name(self.layout)} layout tensor to numpy. Use Tensor.to_dense() first.")

    # ---- arithmetic

    def transpose(self, dim0: int, dim1: int) -> Any:
        """The transposed matrix, in the other compressed layout."""
        if dim0 % 2 == dim1 % 2:
            return self
        layout = torch.sparse_csc if self.layout is torch.sparse_csr else torch.sparse_csr
        return _compressed(layout, self._pointers, self._others, self._vals, self.shape[::-1])

    def t(self) -> Any:
        """The transposed matrix, in the other compressed layout."""
        return self.transpose(0, 1)

    T = property(t, doc="The transposed matrix.")  # type: ignore[assignment]

    def add(self, other: Any, *, alpha: Any = 1) -> Any:
        """The sum of two matrices of this layout; a dense one is added to gives a dense one."""
        if not isinstance(other, (CompressedTensor, SparseTensor)):
            return other * alpha + self._coordinates()
        return compressed(self._coordinates().add(other.to_sparse(), alpha=alpha), self.layout)

    __add__ = add

    def __radd__(self, other: Any) -> Any:
        return other + self._coordinates()

    def mul(self, other: Any) -> Any:
        """All entries times a number, or elementwise times a matrix."""
        if isinstance(other, torch.Tensor) and other.numel() != 1:
            return compressed(self._coordinates().mul(other.to_sparse() if _is_sparse(other) else other), self.layout)
        return self._with(self._vals * other)

    __mul__ = __rmul__ = mul

    def select(self, dim: int, index: Any) -> Any:
        """A row or column, in coordinate form."""
        return self._coordinates().select(dim, index)

    def __getitem__(self, index: Any) -> Any:
        """A row, in coordinate form, or an element."""
        return self._coordinates()[index]

    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        """The sum of all elements.

        Raises:
            NotImplementedError: it is asked for one dimension.
        """
        if dim is not None:
            refuse(self)
        return self._vals.sum(dtype=dtype)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        names = ("crow", "col") if self.layout is torch.sparse_csr else ("ccol", "row")
        indices = {f"{name}_indices": x for name, x in zip(names, (self._pointers, self._others))}
        return shown(self, {**indices, "values": self._vals})


def _is_sparse(x: Any) -> bool:
    return isinstance(x, (CompressedTensor, SparseTensor))


def _name(layout: Any) -> str:
    return "SparseCsr" if layout is torch.sparse_csr else "SparseCsc"


def _compressed(layout: Any, pointers: Any, others: Any, values: Any, shape: Any) -> CompressedTensor:
    x = object.__new__(CompressedTensor)
    x._ty = ty(tuple(int(n) for n in shape), values.dtype)
    x._e = x._view = x._g = None
    x._vc = VersionCounter()
    x._pointers, x._others, x._vals, x.layout, x._origin = pointers, others, values, layout, None
    x._twin, x._collects = None, False
    return x


def compressed(x: Any, layout: Any) -> CompressedTensor:
    """A coordinate matrix in a compressed layout.

    Raises:
        NotImplementedError: it is no matrix, or the layout is of blocks.
    """
    if layout not in (torch.sparse_csr, torch.sparse_csc):
        raise NotImplementedError(f"the layout {layout} is not supported: use torch.sparse_csr or torch.sparse_coo")
    if x.sparse_dim() != 2 or x.dense_dim():
        raise NotImplementedError(f"the layout {layout} is supported for matrices, not for shape {list(x.shape)}")
    if layout is torch.sparse_csc:
        warn_once("compressed", "CSC")
        return _compressed(layout, *_parts(x.t().coalesce()), x.shape)
    warn_once("compressed", "CSR")
    return _compressed(layout, *_parts(x.coalesce()), x.shape)


def _parts(x: SparseTensor) -> tuple[Any, Any, Any]:
    rows, columns = x._indices()
    counts = torch.bincount(rows, minlength=x.shape[0])
    return torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]), columns, x._values()


# ---- made of parts


def sparse_compressed_tensor(
    compressed_indices: Any, plain_indices: Any, values: Any, size: Any = None, *, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Any:  # fmt: skip
    """A sparse matrix of a compressed layout
    (https://docs.pytorch.org/docs/stable/generated/torch.sparse_compressed_tensor.html).

    Raises:
        RuntimeError: the indices describe no matrix of this size.
        NotImplementedError: the layout is of blocks, or there are batches.
    """
    if layout is None:
        raise RuntimeError("sparse_compressed_tensor expected sparse compressed tensor layout but got Strided")
    if layout not in (torch.sparse_csr, torch.sparse_csc):
        raise NotImplementedError(f"the layout {layout} is not supported: use torch.sparse_csr or torch.sparse_coo")
    note(check_invariants)
    warn_once("compressed", "CSR" if layout is torch.sparse_csr else "CSC")
    pointers, others = (_indices(x) for x in (compressed_indices, plain_indices))
    vals = values if isinstance(values, torch.Tensor) else torch.tensor(values, dtype=dtype)
    vals = vals if dtype is None else vals.to(dtype)
    if pointers.ndim != 1 or others.ndim != 1 or vals.ndim != 1:
        raise NotImplementedError("batches of compressed matrices, and dense dimensions, are not supported")
    if size is None:
        inner = int(others.max()) + 1 if others.numel() else 0
        size = (pointers.shape[0] - 1, inner) if layout is torch.sparse_csr else (inner, pointers.shape[0] - 1)
    _check(layout, pointers, others, vals, tuple(size))
    x = _compressed(layout, pointers, others, vals, size)
    return x.detach().requires_grad_(True) if requires_grad else x


def _indices(x: Any) -> Any:
    found = torch.as_tensor(x).detach()
    return found if found.dtype in (torch.int32, torch.int64) else found.to(torch.int64)


def _check(layout: Any, pointers: Any, others: Any, values: Any, size: tuple[int, ...]) -> None:
    a, b, lines, inner = ("crow", "col", *size) if layout is torch.sparse_csr else ("ccol", "row", *size[::-1])
    shape = "nrows" if layout is torch.sparse_csr else "ncols"
    if pointers.shape[0] != lines + 1:
        raise RuntimeError(f"{a}_indices.shape[-1] must be equal to the number of {shape} plus one ({lines + 1}), "
                           f"but got {pointers.shape[0]}")  # fmt: skip
    if others.shape[0] != values.shape[0]:
        raise RuntimeError(f"number of specified elements must match: {b}_indices has {others.shape[0]}, values has "
                           f"{values.shape[0]}")  # fmt: skip
    begins = pointers.tolist()
    if begins[0] != 0:
        raise RuntimeError(f"`{a}_indices[..., 0] == 0` is not satisfied.")
    if begins[-1] != others.shape[0]:
        raise RuntimeError(f"`{a}_indices[..., -1] == nnz` is not satisfied.")
    if any(not 0 <= high - low <= inner for low, high in zip(begins, begins[1:])):
        raise RuntimeError(
            f"`0 <= {a}_indices[..., 1:] - {a}_indices[..., :-1] <= {'ncols' if shape == 'nrows' else 'nrows'}` is not "
            "satisfied."
        )
    if others.numel() and (int(others.min()) < 0 or int(others.max()) >= inner):
        raise RuntimeError(f"`0 <= {b}_indices < {'ncols' if shape == 'nrows' else 'nrows'}` is not satisfied.")
    if not bool(_ascending(pointers, others).all()):
        raise RuntimeError(
            f"`{b}_indices[..., {a}_indices[..., i - 1]:{a}_indices[..., i]] for all i = 1, ..., {shape} are "
            "sorted and distinct along the last dimension values` is not satisfied."
        )


def _ascending(pointers: Any, others: Any) -> Any:
    """For each entry but the first: is it the first of its line, or beyond the one before?"""
    first = torch.zeros(others.shape[0] + 1, dtype=torch.bool).index_fill(0, pointers.to(torch.int64), True)
    return first[1:-1] | (others.diff() > 0)


def sparse_csr_tensor(crow_indices: Any, col_indices: Any, values: Any, size: Any = None, **options: Any) -> Any:
    """A matrix whose rows are compressed
    (https://docs.pytorch.org/docs/stable/generated/torch.sparse_csr_tensor.html); see ``sparse_compressed_tensor``.
    """
    return sparse_compressed_tensor(crow_indices, col_indices, values, size, layout=torch.sparse_csr, **_named(options))


def sparse_csc_tensor(ccol_indices: Any, row_indices: Any, values: Any, size: Any = None, **options: Any) -> Any:
    """A matrix whose columns are compressed
    (https://docs.pytorch.org/docs/stable/generated/torch.sparse_csc_tensor.html); see ``sparse_compressed_tensor``.
    """
    return sparse_compressed_tensor(ccol_indices, row_indices, values, size, layout=torch.sparse_csc, **_named(options))


def _named(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "layout"}
