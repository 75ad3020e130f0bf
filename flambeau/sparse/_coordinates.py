"""Tensors that hold indices and values only."""

from __future__ import annotations

from typing import Any, NoReturn

import flambeau as torch
from flambeau.graph.storage import VersionCounter
from flambeau.graph.tensor_base import NotDense
from flambeau.graph.types import ty
from flambeau.ops._overriding import disabled


def _refuse(self: Any) -> NoReturn:
    raise NotDense("this operator does not take sparse tensors (layout torch.sparse_coo): call to_dense() first")


class SparseTensor(torch.Tensor):
    """A tensor of layout ``torch.sparse_coo``: ``indices`` (sparse_dim, nnz) int64 and ``values`` (nnz, *dense dims).

    An index may occur several times: its values are added, which ``coalesce`` does once and for all.
    """

    __slots__ = ("_coalesced", "_places", "_vals")
    __torch_function__ = disabled  # type: ignore[assignment]

    # What an operator asks a tensor for first: a sparse tensor has no memory to give.
    _s = property(_refuse)  # type: ignore[assignment]
    _h = property(_refuse)  # type: ignore[assignment]
    _w = property(_refuse)  # type: ignore[assignment]

    layout = property(lambda self: torch.sparse_coo, doc="``torch.sparse_coo``.")
    is_sparse = property(lambda self: True, doc="True.")
    grad_fn = property(lambda self: self._vals.grad_fn, doc="Of the values.")
    is_leaf = property(lambda self: self._vals.is_leaf, doc="Of the values.")

    @property
    def requires_grad(self) -> bool:
        """Do the values need a gradient?"""
        return self._vals.requires_grad

    @property
    def grad(self) -> Any:
        """The gradient of the entries that there are, as a sparse tensor with the same indices; None if there is none.

        PyTorch's is dense after ``mm``, with what entries that are not there would get.
        """
        g = self._vals.grad if self._vals.is_leaf else None
        return None if g is None else self._with(g)

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None and not torch.equal(value._places, self._places):
            raise NotImplementedError("the gradient of a sparse tensor must have the indices of that tensor")
        self._vals.grad = None if value is None else value._vals

    @property
    def T(self) -> Any:
        """The transposed matrix."""
        return self.t()

    # ---- parts

    def sparse_dim(self) -> int:
        """How many dimensions have indices."""
        return self._places.shape[0]

    def dense_dim(self) -> int:
        """How many dimensions the values have of their own."""
        return self._vals.ndim - 1

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
        return _made(rows, values, self.shape, True)

    # ---- conversion

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Any:
        """An ordinary tensor of the same elements."""
        dense = torch.zeros(self.shape, dtype=self.dtype).index_put(tuple(self._places), self._vals, accumulate=True)
        return dense if dtype is None else dense.to(dtype)

    def to_sparse(self, *args: Any, **kwargs: Any) -> Any:
        """This tensor."""
        return self

    def _with(self, values: Any) -> Any:
        return _made(self._places, values, self.shape, self._coalesced)

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """The values in another dtype."""
        return self._with(self._vals.to(*args, **kwargs))

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The type's name, or the values in another dtype."""
        if dtype is None:
            return self._vals.type().replace("torch.", "torch.sparse.")
        return self._with(self._vals.type(dtype))

    def double(self) -> Any:
        """The values as float64."""
        return self.to(torch.float64)

    def float(self) -> Any:
        """The values as float32."""
        return self.to(torch.float32)

    def long(self) -> Any:
        """The values as int64."""
        return self.to(torch.int64)

    def cpu(self, *args: Any, **kwargs: Any) -> Any:
        """This tensor."""
        return self

    def clone(self, *, memory_format: Any = None) -> Any:
        """A copy."""
        return _made(self._places.clone(), self._vals.clone(), self.shape, self._coalesced)

    def detach(self) -> Any:
        """The same entries without a history."""
        return self._with(self._vals.detach())

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Makes the values need a gradient."""
        self._vals.requires_grad_(requires_grad)
        return self

    def numpy(self, *, force: bool = False) -> NoReturn:
        """Raises TypeError."""
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """False."""
        return False

    # ---- arithmetic

    def transpose(self, dim0: int, dim1: int) -> Any:
        """Two sparse dimensions exchanged."""
        order = list(range(self.sparse_dim()))
        order[dim0], order[dim1] = order[dim1], order[dim0]
        shape = [self.shape[i] for i in order] + list(self.shape[len(order) :])
        return _made(self._places[order], self._vals, shape, False)

    def t(self) -> Any:
        """The transposed matrix."""
        return self.transpose(0, 1) if self.sparse_dim() > 1 else self

    def matmul(self, other: Any) -> Any:
        """The product with a dense matrix or vector; dense."""
        from ._products import product

        return product(self, other)

    mm = mv = __matmul__ = matmul

    def __rmatmul__(self, other: Any) -> Any:
        from ._products import product

        return product(other, self)

    def add(self, other: Any, *, alpha: Any = 1) -> Any:
        """The sum of two sparse tensors.

        Raises:
            RuntimeError: ``other`` is dense.
        """
        if not isinstance(other, SparseTensor):
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        places = torch.cat([self._places, other._places], 1)
        return _made(places, torch.cat([self._vals, other._vals * alpha]), self.shape, False).coalesce()

    __add__ = add

    def __radd__(self, other: Any) -> Any:
        """``dense + sparse``."""
        dtype = torch.promote_types(other.dtype, self.dtype)
        return other.to(dtype).index_put(tuple(self._places), self._vals.to(dtype), accumulate=True)

    def mul(self, other: Any) -> Any:
        """All values times a number, or a tensor of one element."""
        if isinstance(other, torch.Tensor) and other.numel() != 1:
            _refuse(self)
        return self._with(self._vals * other)

    __mul__ = __rmul__ = mul

    def div(self, other: Any) -> Any:
        """All values divided by a number, or a tensor of one element."""
        if isinstance(other, torch.Tensor) and other.numel() != 1:
            _refuse(self)
        return self._with(self._vals / other)

    __truediv__ = div

    def __neg__(self) -> Any:
        return self._with(-self._vals)

    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        """The sum of all elements, or a sparse tensor of the sums over one sparse dimension."""
        if dim is None:
            return self._vals.sum(dtype=dtype)
        if keepdim or not isinstance(dim, int) or self.sparse_dim() < 2:
            _refuse(self)
        kept = [i for i in range(self.sparse_dim()) if i != dim % self.ndim]
        shape = [n for i, n in enumerate(self.shape) if i != dim % self.ndim]
        found = _made(self._places[kept], self._vals, shape, False).coalesce()
        return found if dtype is None else found.to(dtype)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        lines = [_indented("indices", self._places), _indented("values", self._vals.detach())]
        tail = f"size={tuple(self.shape)}, nnz={self._nnz()}, "
        if self.dtype not in (torch.get_default_dtype(), torch.int64, torch.bool):
            tail += f"dtype={self.dtype}, "
        lines.append(tail + "layout=torch.sparse_coo")
        if self.grad_fn is not None:
            lines.append(f"grad_fn=<{type(self.grad_fn).__name__}>")
        elif self.requires_grad:
            lines[-1] += ", requires_grad=True"
        return "tensor(" + (",\n" + " " * 7).join(lines) + ")"


def _indented(name: str, x: Any) -> str:
    return f"{name}={x!r}".replace("\n", "\n" + " " * (8 + len(name))).replace(f", dtype={x.dtype}", "")


def _made(places: Any, values: Any, shape: Any, coalesced: bool) -> SparseTensor:
    x = object.__new__(SparseTensor)
    x._ty = ty(tuple(int(n) for n in shape), values.dtype)
    x._e = x._view = x._grad = None
    x._vc = VersionCounter()
    x._places, x._vals, x._coalesced = places, values, coalesced or places.shape[1] < 2
    return x


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
    if indices is None:
        indices, values = torch.empty(len(size), 0, dtype=torch.int64), torch.empty(0, dtype=dtype)
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
    _check_range(places, size)
    x = _made(places, vals, size, bool(is_coalesced))
    return x.detach().requires_grad_(True) if requires_grad else x


def _check_range(places: Any, size: Any) -> None:
    if places.shape[0] > len(size):
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({places.shape[0]}) + dense_dim, but got {len(size)}"
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
        NotImplementedError: another sparse layout, or fewer sparse dimensions, are asked for.
    """
    if layout not in (None, torch.sparse_coo) or kwargs or args not in ((), (input.ndim,), (torch.sparse_coo,)):
        raise NotImplementedError("to_sparse(): only the coordinate layout with all dimensions sparse is supported")
    places = tuple(torch.nonzero(input.detach(), as_tuple=True))
    return _made(torch.stack(places), input[places], input.shape, True)
