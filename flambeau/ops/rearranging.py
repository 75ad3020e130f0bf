"""Elements moved and repeated: ``flip``, ``roll``, ``rot90``, ``repeat``, ``tile``, ``tril``, ``diag``, ``meshgrid``, …"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..dtypes import SCALAR_NAMES, int64
from ..graph.node import Operator
from ..graph.types import Ty, like, ty
from ._arguments import tensor_first
from ._registry import call, call_inplace, export, function, into, is_tensor, method, wrap_dim, wrap_dims
from ._types import broadcast_shape, result_dtype

# ---- flip, roll


def integers(values: Sequence[Any]) -> tuple[int, ...]:
    """``f(1, 2)`` and ``f((1, 2))`` alike."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = values[0]
    return tuple([int(v) for v in values])


FLIP = Operator(
    "flip",
    lambda tys, dims: like(tys[0]),
    lambda b, dims, x: b.flip(x, dims),
    lambda f, g: (g.flip(f.attrs),),
)


@export()
@tensor_first
def flip(input: Any, *dims: Any, **kw: Any) -> Any:
    """The order of the elements reversed along ``dims``."""
    dims = (kw["dims"],) if "dims" in kw else dims
    at = integers([dims] if isinstance(dims, int) else dims)
    return call(FLIP, (input,), wrap_dims(at, input._ty.ndim) if at else ())


@export()
@tensor_first
def fliplr(input: Any) -> Any:
    """Columns in reverse order."""
    if input._ty.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


@export()
@tensor_first
def flipud(input: Any) -> Any:
    """Rows in reverse order."""
    if input._ty.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def _roll_lower(b: Any, attrs: Any, x: Any) -> Any:
    """Without dimensions the flattened elements are shifted."""
    shifts, dims = attrs
    if dims is None:
        return b.reshape(_rolled(b, shifts, (0,), b.reshape(x, (-1,))), x.shape)
    return _rolled(b, shifts, dims, x)


def _rolled(b: Any, shifts: Any, dims: Any, x: Any) -> Any:
    for shift, d in zip(shifts, dims):
        n = x.shape[d]
        if n and shift % n:
            index = b.map("remainder", b.map("sub", b.iota(n), b.const(shift % n, int64)), b.const(n, int64))
            x = b.take(x, index, d)
    return x


ROLL = Operator(
    "roll",
    lambda tys, attrs: ty(tys[0].shape, tys[0].dtype),
    _roll_lower,
    lambda f, g: (call(ROLL, (g,), (tuple([-s for s in f.attrs[0]]), f.attrs[1])),),
)


@export()
@tensor_first
def roll(input: Any, shifts: Any, dims: Any = None) -> Any:
    """Elements shifted along ``dims``; what falls off one end comes in at the other."""
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    dims = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not dims and len(shifts) == 1:
        return call(ROLL, (input,), (shifts, None))
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    return call(ROLL, (input,), (shifts, tuple([wrap_dim(d, input._ty.ndim) for d in dims])))


# ---- repeat


def _repeated(shape: tuple[int, ...], repeats: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (len(repeats) - len(shape)) + shape


def _repeat_ty(tys: tuple[Ty, ...], repeats: tuple[int, ...]) -> Ty:
    return ty(tuple([n * r for n, r in zip(_repeated(tys[0].shape, repeats), repeats)]), tys[0].dtype)


def _repeat_lower(b: Any, repeats: tuple[int, ...], x: Any) -> Any:
    shape = _repeated(x.shape, repeats)
    x = b.reshape(x, [m for n in shape for m in (1, n)])
    x = b.expand(x, tuple([m for n, r in zip(shape, repeats) for m in (r, n)]))
    return b.reshape(x, [n * r for n, r in zip(shape, repeats)])


def _repeat_vjp(f: Any, g: Any) -> tuple[Any]:
    shape = _repeated(f.ins[0].shape, f.attrs)
    if 0 in g.shape:
        return (g.new_zeros(f.ins[0].shape),)
    g = g.reshape([m for n, r in zip(shape, f.attrs) for m in (r, n)])
    return (g.sum(tuple(range(0, 2 * len(shape), 2))).reshape(f.ins[0].shape) if shape else g,)


REPEAT = Operator("repeat", _repeat_ty, _repeat_lower, _repeat_vjp)


@method()
def repeat(self: Any, *repeats: Any) -> Any:
    """The tensor repeated ``repeats[k]`` times along dimension k."""
    if not repeats:
        raise TypeError('repeat() missing 1 required positional arguments: "repeats"')
    times = integers(repeats)
    if len(times) < self._ty.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    if any(r < 0 for r in times):
        shape = [n * r for n, r in zip(_repeated(self._ty.shape, times), times)]
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {shape}")
    return call(REPEAT, (self,), times)


@export()
@tensor_first
def tile(input: Any, *dims: Any) -> Any:
    """As ``repeat``; missing repetitions count as 1."""
    times = integers(dims)
    return input.repeat((1,) * (input._ty.ndim - len(times)) + times)


@export()
def repeat_interleave(input: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> Any:
    """Each element (or slice along ``dim``) repeated, the copies side by side."""
    if repeats is None:
        return _interleaved_counts(input)
    if dim is None:
        input, dim = input.flatten(), 0
    d = wrap_dim(dim, input._ty.ndim)
    if not is_tensor(repeats):
        return _interleave_equally(input, int(repeats), d)
    if repeats._ty.ndim == 0 or repeats._ty.shape == (1,):
        repeats = repeats.reshape(1).expand(input._ty.shape[d])
    return _interleave(input, repeats, d)


def _interleave_equally(x: Any, n: int, dim: int) -> Any:
    if n < 0:
        raise RuntimeError("Repeats must be non-negative")
    if x._ty.ndim == 0:
        return x.flatten().expand(n).clone()
    shape = list(x._ty.shape)
    shape.insert(dim + 1, n)
    return x.unsqueeze(dim + 1).expand(shape).clone(memory_format=_contiguous()).flatten(dim, dim + 1)


def _contiguous() -> Any:
    from ..device import contiguous_format

    return contiguous_format


def _interleaved_counts(repeats: Any) -> Any:
    """The index k, ``repeats[k]`` times."""
    import numpy as np

    from .creation import from_values

    t = repeats._ty
    if t.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if t.dtype.name not in ("int32", "int64"):
        raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{SCALAR_NAMES[t.dtype]}'")
    counts = repeats.detach()._numpy()
    if counts.size and counts.min() < 0:
        raise RuntimeError("repeats can not be negative")
    return from_values(np.repeat(np.arange(counts.size), counts).astype(t.dtype.np), t.dtype)


def _interleave(x: Any, repeats: Any, dim: int) -> Any:
    if repeats._ty.ndim != 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if repeats._ty.shape[0] != x._ty.shape[dim]:
        raise RuntimeError("repeats must have the same size as input along dim, but got repeats.size(0) = "
                           f"{repeats._ty.shape[0]} and input.size({dim}) = {x._ty.shape[dim]}")  # fmt: skip
    return x.index_select(dim, _interleaved_counts(repeats))


@method()
def expand_as(self: Any, other: Any) -> Any:
    """Expanded to the shape of ``other``."""
    return self.expand(other._ty.shape)


# ---- triangles


def triangle(b: Any, shape: tuple[int, ...], k: int, lower: bool) -> Any:
    """The mask of a matrix's elements on and below (or above) diagonal ``k``."""
    rows = b.reshape(b.iota(shape[-2]), (shape[-2], 1))
    cols = b.reshape(b.iota(shape[-1]), (1, shape[-1]))
    edge = b.map("add", rows, b.const(k, int64))
    return b.map("le" if lower else "ge", cols, edge)


def _triangle_lower(lower: bool) -> Any:
    def rule(b: Any, k: int, x: Any) -> Any:
        return b.where(triangle(b, x.shape, k, lower), x, b.const(0, x.dtype))

    return rule


def _triangle_ty(tys: tuple[Ty, ...], k: int) -> Ty:
    return ty(tys[0].shape, tys[0].dtype)


TRIL = Operator("tril", _triangle_ty, _triangle_lower(True), lambda f, g: (g.tril(f.attrs),))
TRIU = Operator("triu", _triangle_ty, _triangle_lower(False), lambda f, g: (g.triu(f.attrs),))


def _check_matrix(name: str, x: Any) -> None:
    if x._ty.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


@export()
@tensor_first
def tril(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """The matrices' elements on and below a diagonal, zeros elsewhere."""
    _check_matrix("tril", input)
    return into(call(TRIL, (input,), int(diagonal)), out, "tril")


@export()
@tensor_first
def triu(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """The matrices' elements on and above a diagonal, zeros elsewhere."""
    _check_matrix("triu", input)
    return into(call(TRIU, (input,), int(diagonal)), out, "triu")


@export(function=False)
def tril_(self: Any, diagonal: int = 0) -> Any:
    """In-place ``tril``."""
    _check_matrix("tril", self)
    return call_inplace(TRIL, self, (), int(diagonal))


@export(function=False)
def triu_(self: Any, diagonal: int = 0) -> Any:
    """In-place ``triu``."""
    _check_matrix("triu", self)
    return call_inplace(TRIU, self, (), int(diagonal))




# ---- rot90


@export()
@tensor_first
def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """Rotated by ``k`` quarter turns in the plane of two dimensions."""
    t = input._ty
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if t.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {t.ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == t.ndim:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    return call(ROT90, (input,), (k % 4, wrap_dim(dims[0], t.ndim), wrap_dim(dims[1], t.ndim)))


def _rot90_ty(tys: tuple[Ty, ...], attrs: tuple[int, int, int]) -> Ty:
    k, i, j = attrs
    t = tys[0]
    if k == 0:
        return ty(t.shape, t.dtype)
    t = like(t)
    if k == 2:
        return t
    order = _swapped(t.ndim, i, j)
    return ty(tuple([t.shape[d] for d in order]), t.dtype, tuple([t.strides[d] for d in order]))


def _swapped(n: int, i: int, j: int) -> list[int]:
    order = list(range(n))
    order[i], order[j] = j, i
    return order


def _rot90_lower(b: Any, attrs: tuple[int, int, int], x: Any) -> Any:
    k, i, j = attrs
    if k == 0:
        return x
    y = b.flip(x, ((j,), (i, j), (i,))[k - 1])
    return y if k == 2 else b.permute(y, _swapped(x.ndim, i, j))


ROT90 = Operator("rot90", _rot90_ty, _rot90_lower, lambda f, g: (g.rot90(-f.attrs[0], f.attrs[1:]),))


# ---- diagonals


def _diagonal_size(n: int, offset: int) -> int:
    return n + abs(offset)


def _embed_ty(tys: tuple[Ty, ...], attrs: tuple[int, int, int]) -> Ty:
    offset, dim1, dim2 = attrs
    t = tys[0]
    size = _diagonal_size(t.shape[-1], offset)
    shape = list(t.shape[:-1])
    for d in sorted((dim1, dim2)):
        shape.insert(d, size)
    return ty(tuple(shape), t.dtype)


def _embed_lower(b: Any, attrs: tuple[int, int, int], x: Any) -> Any:
    from .views import _diagonal_rule

    offset, dim1, dim2 = attrs
    t = _embed_ty((ty(x.shape, x.dtype),), attrs)
    part = _diagonal_rule(t, (offset, dim1, dim2))
    return b.update(b.const(0, x.dtype, t.shape), x, t.strides, part.strides, part.offset)


DIAG_EMBED = Operator("diag_embed", _embed_ty, _embed_lower, lambda f, g: (g.diagonal(*f.attrs),))


@export()
@tensor_first
def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices with the last dimension on a diagonal, zeros elsewhere."""
    n = input._ty.ndim + 1
    d1, d2 = wrap_dim(dim1, n), wrap_dim(dim2, n)
    if d1 == d2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return call(DIAG_EMBED, (input,), (offset, d1, d2))


DIAGONAL_COPY = Operator(
    "diagonal_copy",
    lambda tys, offset: ty(_diagonal_shape(tys[0], offset), tys[0].dtype),
    lambda b, offset, x: b.diagonal(x, 0, 1, offset),
    lambda f, g: (_diagonal_back(f, g),),
    grad_name="DiagonalBackward0_copy",
)


def _diagonal_shape(t: Ty, offset: int) -> tuple[int, ...]:
    rows, cols = t.shape[0] + min(offset, 0), t.shape[1] - max(offset, 0)
    return (max(0, min(rows, cols)),)


def _diagonal_back(f: Any, g: Any) -> Any:
    gx = g.new_zeros(f.ins[0].shape)
    gx.diagonal(f.attrs).copy_(g)
    return gx


@export()
@tensor_first
def diag(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """A vector on the diagonal of a matrix, or a matrix's diagonal as a vector."""
    n = input._ty.ndim
    if n not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {n}D")
    y = diag_embed(input, diagonal) if n == 1 else call(DIAGONAL_COPY, (input,), int(diagonal))
    return into(y, out, "diag")


@export()
@tensor_first
def diagflat(input: Any, offset: int = 0) -> Any:
    """All elements on the diagonal of a matrix."""
    return input.contiguous().view(-1).diag(offset)


# ---- several tensors


def listed(tensors: Sequence[Any]) -> tuple[Any, ...]:
    """``f(a, b)`` and ``f([a, b])`` alike."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        return tuple(tensors[0])
    return tuple(tensors)


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
                raise RuntimeError(f"Attempting to broadcast a dimension of length {s[i]} at {i}! Mismatching argument at index {k} "
                                   f"had {s}; but expected shape should be broadcastable to {found}")  # fmt: skip
            found[i] = s[i] if found[i] == 1 else found[i]
    return Size(found)


@function()
def meshgrid(*tensors: Any, indexing: str | None = None) -> Any:
    """Grids of coordinates from vectors; ``indexing`` 'ij' (as here by default) or 'xy'."""
    xs = listed(tensors)
    if indexing is None:
        warnings.warn("torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.", stacklevel=3)
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

    from .creation import tensor

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


@function()
def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal of one matrix, zeros elsewhere."""
    from .creation import zeros

    xs = listed(tensors)
    for i, x in enumerate(xs):
        if x._ty.ndim > 2:
            raise RuntimeError("torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                               f"{i} has {x._ty.ndim} dimensions")  # fmt: skip
    return call(BLOCK_DIAG, xs) if xs else zeros(1, 0)


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    return (1,) * (2 - len(shape)) + shape  # type: ignore[return-value]


def _corners(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, int, int, int]]:
    """Where each matrix begins, and its size."""
    out, row, col = [], 0, 0
    for n, m in map(_matrix, shapes):
        out.append((row, col, n, m))
        row, col = row + n, col + m
    return [*out, (row, col, 0, 0)]


def _block_diag_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    return ty(_corners([t.shape for t in tys])[-1][:2], result_dtype(tys))


def _block_diag_lower(b: Any, attrs: Any, *xs: Any) -> Any:
    t = _block_diag_ty(tuple([ty(x.shape, x.dtype) for x in xs]), attrs)
    out = b.const(0, t.dtype, t.shape)
    for x, (row, col, n, m) in zip(xs, _corners([x.shape for x in xs])):
        if n and m:
            out = b.update(out, b.reshape(b.cast(x, t.dtype), (n, m)), t.strides, t.strides, row * t.strides[0] + col)
    return out


def _block_diag_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    shapes = [t.shape for t in f.ins]
    return tuple([g.narrow(0, row, n).narrow(1, col, m).reshape(shape) if f.needs(k) else None
                  for k, (shape, (row, col, n, m)) in enumerate(zip(shapes, _corners(shapes)))])  # fmt: skip


BLOCK_DIAG = Operator("block_diag", _block_diag_ty, _block_diag_lower, _block_diag_vjp)


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
        raise RuntimeError(f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {n} dimensions!")
    if isinstance(at, int) and (at <= 0 or x._ty.shape[dim] % at):
        raise RuntimeError(f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension "
                           f"{x._ty.shape[dim]} is not divisible by the split_size {at}!")  # fmt: skip
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
