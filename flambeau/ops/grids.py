"""Several tensors at once: ``broadcast_tensors``, ``meshgrid``, ``cartesian_prod``, ``atleast_1d``, ``hsplit``, …"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..dtypes import int64
from ._arguments import tensor_first
from ._registry import export, function, is_tensor
from ._types import broadcast_shape
from .rearranging import listed

# ---- several tensors


@function()
def broadcast_tensors(*tensors: Any) -> Any:
    """Tensors expanded to their common shape."""
    xs = listed(tensors)
    shape = broadcast_shape(*[x._ty.shape for x in xs])
    return tuple([x if x._ty.shape == shape else x.expand(shape) for x in xs])


@function()
def broadcast_shapes(*shapes: Any) -> Any:
    """The shape to which all shapes broadcast."""
    from ..graph.types import Size

    found = [1] * max((1 if isinstance(s, int) else len(s) for s in shapes), default=0)
    for k, s in enumerate(shapes):
        s = (s,) if isinstance(s, int) else tuple(s)
        for i in range(-1, -len(s) - 1, -1):
            if s[i] < 0:
                raise ValueError("Attempting to broadcast a dimension with negative length!")
            if s[i] not in (1, found[i]) and found[i] != 1:
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {s[i]} at {i}! Mismatching "
                    f"argument at index {k} "
                    f"had {s}; but expected shape should be broadcastable to {found}"
                )
            found[i] = s[i] if found[i] == 1 else found[i]
    return Size(found)


@function()
def meshgrid(*tensors: Any, indexing: str | None = None) -> Any:
    """Grids of coordinates from vectors; ``indexing`` 'ij' (as here by default) or 'xy'."""
    xs = listed(tensors)
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.", stacklevel=3
        )
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    _check_vectors(xs)
    swap = indexing == "xy" and len(xs) >= 2
    order = [1, 0, *range(2, len(xs))] if swap else list(range(len(xs)))
    shape = [xs[i]._ty.numel for i in order]
    grids = [x.view([-1 if order[d] == i else 1 for d in range(len(xs))]).expand(shape) for i, x in enumerate(xs)]
    return tuple(grids)


def _check_vectors(xs: tuple[Any, ...]) -> None:
    if not xs:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for x in xs:
        if x._ty.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {tensor_text(x)}")
        if x._ty.dtype is not xs[0]._ty.dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")


def tensor_text(x: Any) -> str:
    """A tensor in the words of PyTorch's C++ messages."""
    return f"{x!r}"


@function()
def cartesian_prod(*tensors: Any) -> Any:
    """All combinations of one element from each vector, as rows."""
    xs = listed(tensors)
    for x in xs:
        if x._ty.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x._ty.shape)}")
    if len(xs) == 1:
        return xs[0]
    from .joining import stack

    return stack([g.flatten() for g in meshgrid(*xs, indexing="ij")], 1)


@export(method=False)
@tensor_first
def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All choices of ``r`` elements of a vector, in order, as rows."""
    import itertools

    from .from_data import tensor

    if input._ty.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._ty.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty(0)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    from .joining import stack

    columns = tensor(list(choose(range(input._ty.numel), r)), dtype=int64).reshape(-1, r).unbind(1)
    return stack([input.index_select(0, c) for c in columns], 1)


# ---- at least so many dimensions


def _each(f: Callable[[Any], Any], tensors: tuple[Any, ...]) -> Any:
    if len(tensors) == 1 and is_tensor(tensors[0]):
        return f(tensors[0])
    return tuple([f(x) for x in listed(tensors)])


@function()
def atleast_1d(*tensors: Any) -> Any:
    """Views with one dimension at least."""
    return _each(lambda x: x if x._ty.ndim else x.reshape(1), tensors)


@function()
def atleast_2d(*tensors: Any) -> Any:
    """Views with two dimensions at least."""
    return _each(lambda x: x.reshape(1, 1) if x._ty.ndim == 0 else x.unsqueeze(0) if x._ty.ndim == 1 else x, tensors)


def _deep(x: Any) -> Any:
    n = x._ty.ndim
    if n == 0:
        return x.reshape(1, 1, 1)
    return x.unsqueeze(0).unsqueeze(-1) if n == 1 else x.unsqueeze(-1) if n == 2 else x


@function()
def atleast_3d(*tensors: Any) -> Any:
    """Views with three dimensions at least."""
    return _each(_deep, tensors)


# ---- splitting


def _split_along(name: str, x: Any, at: Any, dim: int, least: int) -> Any:
    n = x._ty.ndim
    if n < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {n} dimensions!"
        )
    if isinstance(at, int) and (at <= 0 or x._ty.shape[dim] % at):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension "
            f"{x._ty.shape[dim]} is not divisible by the split_size {at}!"
        )
    return x.tensor_split(at, dim)


def _sections(args: tuple[Any, ...], kw: dict[str, Any]) -> Any:
    if kw:
        return next(iter(kw.values()))
    return args[0] if len(args) == 1 else args


@export()
@tensor_first
def hsplit(input: Any, *args: Any, **kw: Any) -> Any:
    """Split into columns: ``hsplit(x, sections)`` or ``hsplit(x, indices)``."""
    return _split_along("hsplit", input, _sections(args, kw), 0 if input._ty.ndim == 1 else 1, 1)


@export()
@tensor_first
def vsplit(input: Any, *args: Any, **kw: Any) -> Any:
    """Split into rows."""
    return _split_along("vsplit", input, _sections(args, kw), 0, 2)


@export()
@tensor_first
def dsplit(input: Any, *args: Any, **kw: Any) -> Any:
    """Split along the third dimension."""
    return _split_along("dsplit", input, _sections(args, kw), 2, 3)
