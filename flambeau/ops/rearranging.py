"""Elements moved and repeated: ``flip``, ``roll``, ``rot90``, ``repeat``, ``tile``, ``repeat_interleave``."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from ..dtypes import SCALAR_NAMES
from ..graph.node import Operator
from ..graph.types import Ty, like, ty
from ._arguments import tensor_first
from ._checks import need_dims
from ._layouts import formatted
from ._registry import call, export, int_tuple, is_tensor, method, wrap_dim, wrap_dims
from .joining import joined

# ---- flip, roll


def integers(name: str, argument: str, values: Sequence[Any]) -> tuple[int, ...]:
    """``f(1, 2)`` and ``f((1, 2))`` alike.

    Raises:
        TypeError: there are none, or something is no integer.
    """
    if not values:
        raise TypeError(f'{name}() missing 1 required positional arguments: "{argument}"')
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = values[0]
    for v in values:
        if not hasattr(v, "__index__"):
            raise TypeError(
                f"{name}(): argument '{argument}' (position 1) must be tuple of ints, not {type(v).__name__}"
            )
    return tuple([index(v) for v in values])


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
    at = integers("flip", "dims", (kw["dims"],) if "dims" in kw else dims)
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
            first = n - shift % n
            x = joined(b, d, [b.slice(x, d, first, n), b.slice(x, d, 0, first)])
    return x


ROLL = Operator(
    "roll",
    lambda tys, attrs: formatted(tys[0].shape, tys[0].dtype, *tys) if attrs[1] else ty(tys[0].shape, tys[0].dtype),
    _roll_lower,
    lambda f, g: (call(ROLL, (g,), (tuple([-s for s in f.attrs[0]]), f.attrs[1])),),
)


@export()
@tensor_first
def roll(input: Any, shifts: Any, dims: Any = None) -> Any:
    """Elements shifted along ``dims``; what falls off one end comes in at the other."""
    shifts = int_tuple(shifts)
    dims = () if dims is None else int_tuple(dims)
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not dims and len(shifts) == 1:
        return call(ROLL, (input,), (shifts, None))
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    need_dims(input._ty)
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
def repeat(self: Any, *numbers: Any, repeats: Any = None) -> Any:
    """The tensor repeated ``repeats[k]`` times along dimension k."""
    times = integers("repeat", "repeats", numbers if repeats is None else (repeats,))
    if len(times) < self._ty.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    if any(r < 0 for r in times):
        shape = [n * r for n, r in zip(_repeated(self._ty.shape, times), times)]
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {shape}")
    return call(REPEAT, (self,), times)


@export()
@tensor_first
def tile(input: Any, *numbers: Any, dims: Any = None) -> Any:
    """The input repeated ``dims`` times along its last dimensions; missing numbers count as 1
    (https://docs.pytorch.org/docs/stable/generated/torch.tile.html).

    Raises:
        RuntimeError: a number is negative.
    """
    times = integers("tile", "dims", numbers if dims is None else (dims,))
    return input.repeat((1,) * (input._ty.ndim - len(times)) + times)


@export()
def repeat_interleave(
    input: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:
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
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{repeats._ty.shape[0]} and input.size({dim}) = {x._ty.shape[dim]}"
        )
    return x.index_select(dim, _interleaved_counts(repeats))


@method()
def expand_as(self: Any, other: Any) -> Any:
    """Expanded to the shape of ``other``."""
    return self.expand(other._ty.shape)


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
    i, j = (wrap_dim(d, t.ndim) for d in dims)
    if i == j:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    return call(ROT90, (input,), (index(k) % 4, i, j))


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


# ---- several tensors


def listed(tensors: Sequence[Any]) -> tuple[Any, ...]:
    """``f(a, b)`` and ``f([a, b])`` alike.

    Raises:
        TypeError: an element is no tensor.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tensors[0]
    for i, x in enumerate(tensors):
        if not is_tensor(x):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    return tuple(tensors)
