"""Other shapes of tensors in coordinate form: dimensions put in and exchanged, parts, and joined tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import flambeau as torch


class Shapes:
    """Views of dense tensors: here each is a new tensor on the same values."""

    def _made(self, places: Any, values: Any, shape: Any, coalesced: bool = False) -> Any:
        from ._coordinates import made

        return made(places, values, shape, coalesced)

    def transpose(self, dim0: int, dim1: int) -> Any:
        """Two sparse dimensions exchanged.

        Raises:
            RuntimeError: one is a dense dimension.
        """
        x: Any = self
        a, b = _wrapped(dim0, x.ndim), _wrapped(dim1, x.ndim)
        if max(a, b) >= x.sparse_dim():
            raise RuntimeError("sparse transpose: transposed dimensions must be sparse Got sparse_dim: "
                               f"{x.sparse_dim()}, d0: {a}, d1: {b}")  # fmt: skip
        order = list(range(x.ndim))
        order[a], order[b] = b, a
        return self.permute(order)

    swapaxes = swapdims = transpose

    def t(self) -> Any:
        """The transposed matrix."""
        return self.transpose(0, 1) if self.sparse_dim() > 1 else self  # type: ignore[attr-defined]

    def permute(self, *order: Any) -> Any:
        """Dimension k of the result is dimension ``dims[k]``; sparse dimensions stay before dense ones.

        Raises:
            RuntimeError: they would not, or there is not one for each dimension.
        """
        x: Any = self
        dims = order[0] if len(order) == 1 and isinstance(order[0], (tuple, list)) else order
        if len(dims) != x.ndim:
            raise RuntimeError(
                "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the "
                f"desired ordering of dimensions i.e. input.dim() = {x.ndim} is not equal to len(dims) = {len(dims)}"
            )
        dims = [_wrapped(d, x.ndim) for d in dims]
        n = x.sparse_dim()
        if sorted(dims[:n]) != list(range(n)):
            raise RuntimeError("permute(sparse_coo): transpositions between sparse and dense dimensions are not "
                               f"allowed.Found transposition on dims: {dims}")  # fmt: skip
        values = x._vals.permute(0, *[1 + d - n for d in dims[n:]])
        same = dims[:n] == list(range(n))
        return self._made(x._places[dims[:n]], values, [x.shape[d] for d in dims], same and x._coalesced)

    def unsqueeze(self, dim: int) -> Any:
        """A dimension of size 1 put in at ``dim``: a sparse one up to behind the last of these."""
        x: Any = self
        d, n = _wrapped(dim, x.ndim + 1), x.sparse_dim()
        shape = [*x.shape[:d], 1, *x.shape[d:]]
        if d > n:
            return self._made(x._places, x._vals.unsqueeze(1 + d - n), shape, x._coalesced)
        places = torch.cat([x._places[:d], torch.zeros_like(x._places[:1]), x._places[d:]])
        return self._made(places, x._vals, shape, x._coalesced)

    def select(self, dim: int, index: Any) -> Any:
        """One index of a dimension, which goes away; dense if no sparse one is left."""
        x: Any = self
        d, i, n = _wrapped(dim, x.ndim), int(index), x.sparse_dim()
        size = x.shape[d]
        if not -size <= i < size:
            raise IndexError(f"select(): index {i} out of range for tensor of size {list(x.shape)} at dimension {d}")
        shape = [*x.shape[:d], *x.shape[d + 1 :]]
        if d >= n:
            return self._made(x._places, x._vals.select(1 + d - n, i), shape, x._coalesced)
        at = (x._places[d] == i % size).nonzero().squeeze(1)
        values = x._vals.index_select(0, at)
        if n == 1:
            return values.sum(0)
        return self._made(torch.cat([x._places[:d, at], x._places[d + 1 :, at]]), values, shape, x._coalesced)

    def narrow_copy(self, dim: int, start: int, length: int) -> Any:
        """``length`` elements of a dimension from ``start`` on."""
        x: Any = self
        d, n = _wrapped(dim, x.ndim), x.sparse_dim()
        start = start % x.shape[d] if start < 0 else start
        if length < 0 or start + length > x.shape[d]:
            raise RuntimeError(f"Invalid range to narrow. range(start, start+length) must be a subset of "
                               f"range(0, {x.shape[d]}).")  # fmt: skip
        shape = [*x.shape[:d], length, *x.shape[d + 1 :]]
        if d >= n:
            return self._made(x._places, x._vals.narrow(1 + d - n, start, length), shape, x._coalesced)
        row = x._places[d]
        at = ((row >= start) & (row < start + length)).nonzero().squeeze(1)
        places = torch.cat([x._places[:d, at], row[None, at] - start, x._places[d + 1 :, at]])
        return self._made(places, x._vals.index_select(0, at), shape, x._coalesced)

    def unbind(self, dim: int = 0) -> tuple[Any, ...]:
        """All slices along a dimension."""
        x: Any = self
        return tuple([self.select(dim, i) for i in range(x.shape[_wrapped(dim, x.ndim)])])

    def __iter__(self) -> Iterator[Any]:
        return iter(self.unbind())

    def __getitem__(self, index: Any) -> Any:
        """The part that integers name, one for each of the first dimensions; dense if it is an element."""
        from ._coordinates import refuse

        numbers = index if isinstance(index, tuple) else (index,)
        if not all([isinstance(i, int) for i in numbers]) or len(numbers) > self.sparse_dim():  # type: ignore[attr-defined]  # noqa: C419
            refuse(self)
        x: Any = self
        for i in numbers:
            n = x.shape[0]
            if not -n <= i < n:
                raise IndexError(f"index {i} is out of bounds for dimension 0 with size {n}")
            x = x.select(0, i)
        return x

    def zeros_like(self, **options: Any) -> Any:
        """A tensor of this shape without entries."""
        x: Any = self
        return x.detach()._with_entries(x._at[:, :0], x._own.detach()[:0], True).to(options.get("dtype") or x.dtype)

    empty_like = zeros_like


def _wrapped(dim: int, n: int) -> int:
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim % n


def cat(xs: Sequence[Any], dim: int) -> Any:
    """Sparse tensors joined along a dimension.

    Raises:
        RuntimeError: one of them is dense, or shapes do not agree.
    """
    from ._coordinates import made

    _check_joined(xs)
    first = xs[0]
    d, n = _wrapped(dim, first.ndim), first.sparse_dim()
    for at, x in enumerate(xs):
        if [*x.shape[:d], *x.shape[d + 1 :]] != [*first.shape[:d], *first.shape[d + 1 :]]:
            raise RuntimeError(
                f"All tensors must have the same shape: {list(first.shape)} (except in the concatenating dimension), "
                f"but found shape: {list(x.shape)} at position {at}."
            )
        if x.sparse_dim() != n:
            raise RuntimeError(f"All tensors must have the same sparse_dim {n}, {first.dense_dim()}, but tensor at "
                               f"position {at} has {x.sparse_dim()}, {x.dense_dim()}")  # fmt: skip
    begins = [sum([y.shape[d] for y in xs[:k]]) for k in range(len(xs) + 1)]
    shape = [*first.shape[:d], begins[-1], *first.shape[d + 1 :]]
    if d < n:
        moved = torch.arange(n).unsqueeze(1) == d
        places = [x._places + moved * begin for x, begin in zip(xs, begins)]
        return made(torch.cat(places, 1), torch.cat([x._vals for x in xs]), shape, False)
    values = [_between(x._vals, begin, begins[-1], 1 + d - n) for x, begin in zip(xs, begins)]
    return made(torch.cat([x._places for x in xs], 1), torch.cat(values), shape, False)


def _between(values: Any, begin: int, size: int, dim: int) -> Any:
    """Values with zeros around them along a dimension."""
    behind = size - begin - values.shape[dim]
    return torch.nn.functional.pad(values, [*[0, 0] * (values.ndim - 1 - dim), begin, behind])


def stack(xs: Sequence[Any], dim: int) -> Any:
    """Sparse tensors of one shape joined along a new dimension."""
    _check_joined(xs)
    for at, x in enumerate(xs):
        if x.shape != xs[0].shape:
            raise RuntimeError(f"stack expects each tensor to be equal size, but got {list(xs[0].shape)} at entry 0 "
                               f"and {list(x.shape)} at entry {at}")  # fmt: skip
    return cat([x.unsqueeze(dim) for x in xs], dim)


def _check_joined(xs: Sequence[Any]) -> None:
    for at, x in enumerate(xs):
        if x.layout is torch.strided:
            raise RuntimeError(f"Concatenating sparse tensors, but a dense tensor was found at position {at}.")
        if x.layout is not torch.sparse_coo:
            raise NotImplementedError(f"cat() and stack() of tensors of layout {x.layout}: call to_sparse() first")
