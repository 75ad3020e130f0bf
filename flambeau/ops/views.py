"""Views: tensors that share their base's memory. Each is a rule from the base's type to its own, and a gradient."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from operator import index
from operator import index as integer
from typing import Any

from ..compiler.affine import strides_under
from ..dtypes import SCALAR_NAMES, type_text
from ..graph.epoch import threads
from ..graph.node import Operator
from ..graph.tensor_base import TensorBase
from ..graph.types import CONJ, Ty, contiguous_strides, ty
from ._registry import (
    alias,
    at_version,
    call,
    export,
    forgetting,
    int_tuple,
    is_known,
    method,
    requires_grad,
    seen_as,
    view,
    view_inplace,
    wrap_dim,
    wrap_dims,
)
from ._signatures import invalid_arguments
from .strided_views import as_strided_backward


def view_operator(
    name: str, rule: Callable[[Ty, Any], Any], vjp: Callable[..., Any], grad_name: str | None = None
) -> Operator:
    """An operator whose result shares its input's memory; ``rule(type, attrs)`` gives the view's type."""
    return Operator(name, lambda tys, attrs: rule(tys[0], attrs), None, vjp, (), grad_name)  # type: ignore[arg-type]


def _retyped(t: Ty, shape: Sequence[int], strides: Sequence[int], offset: int | None = None) -> Ty:
    return ty(tuple(shape), t.dtype, tuple(strides), t.offset if offset is None else offset)


# ---- view, reshape


def infer_size(shape: Sequence[int], numel: int) -> tuple[int, ...]:
    """A shape with its -1 worked out.

    Raises:
        RuntimeError: the shape does not fit ``numel`` elements.
    """
    shape = tuple(map(index, shape))
    if prod(shape) == numel and (not shape or min(shape) >= 0):
        return shape
    invalid = f"shape '{list(shape)}' is invalid for input of size {numel}"
    if shape.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    for at, n in enumerate(shape):
        if n < -1:
            raise RuntimeError(f"invalid shape dimension {n} at index {at} of shape {list(shape)}")
    if -1 in shape:
        rest = prod([n for n in shape if n != -1])
        if rest == 0:
            if numel == 0:
                raise RuntimeError(f"cannot reshape tensor of 0 elements into shape {list(shape)} because the "
                                   "unspecified dimension size -1 can be any value and is ambiguous")  # fmt: skip
            raise RuntimeError(invalid)
        if numel % rest:
            raise RuntimeError(invalid)
        return tuple([numel // rest if n == -1 else n for n in shape])
    raise RuntimeError(invalid)


def view_strides(t: Ty, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Strides that show ``t``'s elements in row-major order under ``shape``, or None if no strides can."""
    if t.numel == 0:
        return t.strides if shape == t.shape else contiguous_strides(shape)
    if t.strides == contiguous_strides(t.shape):
        return contiguous_strides(shape)
    return strides_under(t.shape, t.strides, shape)


def _view_rule(t: Ty, shape: tuple[int, ...]) -> Ty:
    shape = infer_size(shape, t.numel)
    strides = view_strides(t, shape)
    if strides is None:
        raise RuntimeError("view size is not compatible with input tensor's size and stride (at least one dimension "
                           "spans across two contiguous subspaces). Use .reshape(...) instead.")  # fmt: skip
    return _retyped(t, shape, strides)


VIEW_OP = view_operator("view", _view_rule, lambda f, g: (g.reshape(f.ins[0].shape),))


@cache
def named_view(grad_name: str) -> Operator:
    """``view`` for results that come in another shape here than in PyTorch: their history shows PyTorch's name."""
    return view_operator("view", _view_rule, lambda f, g: (g.reshape(f.ins[0].shape),), grad_name)


RESHAPE_ALIAS = view_operator(
    "_reshape_alias", _view_rule, lambda f, g: (g.reshape(f.ins[0].shape),), "ReshapeAliasBackward0"
)
UNSAFE_VIEW = view_operator(
    "_unsafe_view", _view_rule, lambda f, g: (g.reshape(f.ins[0].shape),), "UnsafeViewBackward0"
)


@method("view")
def _view(self: Any, *shape: Any, dtype: Any = None, size: Any = None) -> Any:
    """The same memory under another shape (sizes, one may be -1) or another dtype."""
    if size is not None:
        shape = tuple(size)
    if len(shape) == 1 and dtype is None and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    elif dtype is not None or (len(shape) == 1 and hasattr(shape[0], "itemsize") and hasattr(shape[0], "kind")):
        return view_dtype(self, dtype or shape[0])
    try:
        return view(VIEW_OP, self, shape)
    except TypeError:
        return view(VIEW_OP, self, _integers(self, shape))


def _integers(x: Any, shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes of other types than ``int``.

    Raises:
        TypeError: no integers.
    """
    try:
        return tuple([index(n) for n in shape])
    except TypeError:
        raise invalid_arguments("view", shape, {}, "(torch.dtype dtype)", "(tuple of ints size)") from None


def _dtype_rule(t: Ty, dt: Any) -> Ty:
    a, b = t.dtype.itemsize, dt.itemsize
    if a == b:
        return ty(t.shape, dt, t.strides, t.offset)
    wish = f"to view {SCALAR_NAMES[t.dtype]} as {SCALAR_NAMES[dt]} (different element sizes)"
    if t.ndim == 0:
        raise RuntimeError(f"self.dim() cannot be 0 {wish}")
    if b > a:
        k = b // a
        _check_wider(t, k, wish)
        return ty((*t.shape[:-1], t.shape[-1] // k), dt, (*[s // k for s in t.strides[:-1]], 1), t.offset // k)
    k = a // b
    if t.strides[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {wish}, but got {t.strides[-1]}")
    return ty((*t.shape[:-1], t.shape[-1] * k), dt, (*[s * k for s in t.strides[:-1]], 1), t.offset * k)


def _check_wider(t: Ty, k: int, wish: str) -> None:
    """Raises unless memory of this type can be read as elements ``k`` times as wide."""
    for name, n in (("size(-1)", t.shape[-1]), ("storage_offset()", t.offset)):
        if n % k:
            raise RuntimeError(f"self.{name} must be divisible by {k} {wish}, but got {n}")
    if t.strides[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {wish}, but got {t.strides[-1]}")
    for d, step in enumerate(t.strides[:-1]):
        if step % k:
            raise RuntimeError(f"self.stride({d}) must be divisible by {k} {wish}, but got {step}")


VIEW_DTYPE = view_operator("view_dtype", _dtype_rule, lambda f, g: (None,))


def view_dtype(x: Any, dt: Any) -> Any:
    """The same memory read as a dtype, without a history.

    Raises:
        RuntimeError: it is a view that conjugates or negates.
    """
    if x._ty.lazy:
        kind = "conjugate view tensors" if x._ty.lazy & CONJ else "tensors with negative bit set"
        raise RuntimeError(f"torch.Tensor.view is not supported for {kind} when converting to a different dtype.")
    y = view(VIEW_DTYPE, alias(x) if requires_grad(x) else x, dt)
    if dt.kind not in "fc":
        y._view = None
    return y


@export()
def reshape(input: Any, *sizes: Any, shape: Any = None) -> Any:
    """Another shape (``shape``, as a sequence or number by number): a view where strides allow, else a copy."""
    if shape is None:
        shape = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    t = input._ty
    op = VIEW_OP if t.contiguous else RESHAPE_ALIAS
    if type(shape) is tuple and is_known(t, op, shape):
        return view(op, input, shape)
    shape = infer_size(shape, t.numel)
    if view_strides(t, shape) is not None:
        return view(op, input, shape)
    return fresh_view(input.contiguous(), shape)


def fresh_view(x: Any, shape: tuple[int, ...]) -> Any:
    """A fresh tensor under another shape, forgetting the first (``_unsafe_view``)."""
    if not threads.epoch.grad:
        return seen_as(UNSAFE_VIEW, x, shape)
    return forgetting(view(UNSAFE_VIEW, x, shape))


@method()
def view_as(self: Any, other: Any) -> Any:
    """``self.view(other.size())``."""
    return self.view(other._ty.shape)


@method()
def reshape_as(self: Any, other: Any) -> Any:
    """``self.reshape(other.size())``."""
    return self.reshape(other._ty.shape)


@export()
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Dimensions from ``start_dim`` to ``end_dim`` made one, as a view where the strides allow it
    (https://docs.pytorch.org/docs/stable/generated/torch.flatten.html).

    Raises:
        RuntimeError: ``start_dim`` is behind ``end_dim``.
        IndexError: one is no dimension of the input.
    """
    t = input._ty
    a, b = wrap_dim(start_dim, t.ndim), wrap_dim(end_dim, t.ndim)
    if a > b:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if t.ndim == 0:
        return input.reshape((1,))
    if a == b:
        return input
    return input.reshape(t.shape[:a] + (prod(t.shape[a : b + 1]),) + t.shape[b + 1 :])


@export()
def ravel(input: Any) -> Any:
    """One dimension, row-major."""
    return input.contiguous().view(-1)


@export()
def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """Dimension ``dim`` split into ``sizes``, of which one may be -1: a view
    (https://docs.pytorch.org/docs/stable/generated/torch.unflatten.html).

    Raises:
        RuntimeError: the sizes do not multiply to that of the dimension.
        IndexError: ``dim`` is no dimension of the input.
    """
    t = input._ty
    d = wrap_dim(dim, t.ndim)
    sizes = int_tuple(sizes)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    if -1 not in sizes and prod(sizes) != t.shape[d]:
        raise RuntimeError(f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} "
                           f"({t.shape[d]}) in the input tensor")  # fmt: skip
    return input.view(t.shape[:d] + infer_size(sizes, t.shape[d]) + t.shape[d + 1 :])


# ---- order of dimensions


def _permute_rule(t: Ty, order: tuple[int, ...]) -> Ty:
    return _retyped(t, [t.shape[i] for i in order], [t.strides[i] for i in order])


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    out = [0] * len(order)
    for i, d in enumerate(order):
        out[d] = i
    return tuple(out)


PERMUTE = view_operator("permute", _permute_rule, lambda f, g: (g.permute(_inverse(f.attrs)),))


@export()
def permute(input: Any, *order: Any, dims: Any = None) -> Any:
    """Dimension k of the result is dimension ``dims[k]`` of the input."""
    if dims is None:
        dims = tuple(order[0]) if len(order) == 1 and isinstance(order[0], (tuple, list)) else order
    n = input._ty.ndim
    if len(dims) != n:
        raise RuntimeError("permute(sparse_coo): number of dimensions in the tensor input does not match the length "
                           "of the "
                           f"desired ordering of dimensions i.e. input.dim() = {n} is not equal to len(dims) = "
                           f"{len(dims)}")  # fmt: skip
    wrapped = tuple([wrap_dim(d, n) for d in dims])
    if len(set(wrapped)) != n:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return view(PERMUTE, input, wrapped)


def _transpose_rule(t: Ty, dims: tuple[int, int]) -> Ty:
    a, b = dims
    order = list(range(t.ndim))
    if t.ndim:
        order[a], order[b] = order[b], order[a]
    return _permute_rule(t, tuple(order))


TRANSPOSE, TRANSPOSE_IN_PLACE = [
    view_operator("transpose", _transpose_rule, lambda f, g: (g.transpose(*f.attrs),), f"TransposeBackward{n}")
    for n in (0, 1)
]
T = view_operator("t", lambda t, a: _transpose_rule(t, (0, 1)) if t.ndim == 2 else t, lambda f, g: (g.t(),))


@export("swapdims")
def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """A view with two dimensions exchanged
    (https://docs.pytorch.org/docs/stable/generated/torch.transpose.html).

    Raises:
        IndexError: one is no dimension of the input.
    """
    n = input._ty.ndim
    return view(TRANSPOSE, input, (wrap_dim(dim0, n), wrap_dim(dim1, n)))


@export()
def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """A view with two dimensions exchanged, as ``transpose``
    (https://docs.pytorch.org/docs/stable/generated/torch.swapaxes.html).

    Raises:
        IndexError: one is no dimension of the input.
    """
    return transpose(input, axis0, axis1)


@export()
def t(input: Any) -> Any:
    """The transpose of a matrix; vectors and numbers as they are."""
    if input._ty.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._ty.ndim}D")
    return view(T, input)


@export("moveaxis")
def movedim(input: Any, source: Any, destination: Any) -> Any:
    """A view with dimensions moved to new positions, the others in their order
    (https://docs.pytorch.org/docs/stable/generated/torch.movedim.html).

    ``source`` and ``destination`` are numbers, or sequences of as many.

    Raises:
        RuntimeError: there is another number of sources than of destinations, or one comes twice.
        IndexError: one is no dimension of the input.
    """
    src = int_tuple(source)
    dst = int_tuple(destination)
    n = input._ty.ndim
    if len(src) != len(dst):
        raise RuntimeError(f"movedim: Invalid source or destination dims: source ({list(src)} dims) should contain the "
                           f"same number of dims as destination ({list(dst)} dims)")  # fmt: skip
    s, d = [wrap_dim(i, n) for i in src], [wrap_dim(i, n) for i in dst]
    for dims, what in ((s, "source"), (d, "destination")):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{what}` ({list(src if what == 'source' else dst)})")
    if not n:
        return alias_view(input)
    order = [-1] * n
    for a, b in zip(s, d):
        order[b] = a
    rest = iter([i for i in range(n) if i not in s])
    return view(PERMUTE, input, tuple([next(rest) if o == -1 else o for o in order]))


@export()
def adjoint(input: Any) -> Any:
    """The last two dimensions exchanged, conjugated; a number conjugated, with a warning.

    Raises:
        RuntimeError: there is one dimension.
    """
    return matrix_transpose(input, "adjoint()", "Consider using x.conj().").conj()


def matrix_transpose(x: Any, name: str, otherwise: str) -> Any:
    """The last two dimensions exchanged, under the ``name`` that the user called; a number as it is, with a warning.

    Raises:
        RuntimeError: there is one dimension.
    """
    n = x._ty.ndim
    called = name if name.endswith(")") else f"Tensor.{name}"
    if not n:
        warnings.warn(f"{called} is deprecated on 0-D tensors. {otherwise}", stacklevel=3)
        return x
    if n == 1:
        raise RuntimeError(f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return x.transpose(-2, -1)


# ---- sizes of 1


def _unsqueeze_rule(t: Ty, dim: int) -> Ty:
    step = t.shape[dim] * t.strides[dim] if dim < t.ndim else 1
    return _retyped(t, t.shape[:dim] + (1,) + t.shape[dim:], t.strides[:dim] + (step,) + t.strides[dim:])


UNSQUEEZE = view_operator("unsqueeze", _unsqueeze_rule, lambda f, g: (g.squeeze(f.attrs),))


@export()
def unsqueeze(input: Any, dim: int) -> Any:
    """A dimension of size 1 put in at ``dim``."""
    return view(UNSQUEEZE, input, _new_dim(dim, input._ty.ndim))


def _new_dim(dim: int, ndim: int) -> int:
    n = ndim + 1
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim % n


def squeeze_rule(t: Ty, dims: tuple[int, ...] | None) -> Ty:
    """The type without dimensions of size 1: those of ``dims``, or all (None)."""
    keep = [i for i, n in enumerate(t.shape) if n != 1 or (dims is not None and i not in dims)]
    return _retyped(t, [t.shape[i] for i in keep], [t.strides[i] for i in keep])


def squeeze_vjp(f: Any, g: Any) -> tuple[Any]:
    """The gradient under the shape that the dimensions were taken from."""
    return (g.reshape(f.ins[0].shape),)


SQUEEZE_ALL = view_operator("squeeze", lambda t, a: squeeze_rule(t, None), squeeze_vjp)
SQUEEZE = view_operator("squeeze", squeeze_rule, squeeze_vjp, "SqueezeBackward1")
SQUEEZE_DIMS = view_operator("squeeze", squeeze_rule, squeeze_vjp, "SqueezeBackward2")


@export()
def squeeze(input: Any, dim: Any = None) -> Any:
    """Dimensions of size 1 (all, or those named) taken away."""
    if dim is None:
        return view(SQUEEZE_ALL, input)
    n = input._ty.ndim
    if hasattr(dim, "__index__"):
        return view(SQUEEZE, input, (wrap_dim(dim, n),))
    return view(SQUEEZE_DIMS, input, wrap_dims(dim, n) if dim else ())


# ---- parts


def expand_rule(t: Ty, shape: tuple[int, ...]) -> Ty:
    """The type of ``expand(shape)``.

    Raises:
        RuntimeError: the sizes do not fit.
    """
    lead = len(shape) - t.ndim
    if lead < 0:
        raise RuntimeError(f"expand({type_text(t.dtype)}{{{list(t.shape)}}}, size={list(shape)}): the "
                           f"number of sizes provided ({len(shape)}) must be "
                           f"greater or equal to the number of dimensions in the tensor ({t.ndim})")  # fmt: skip
    sizes, strides = list(shape), [0] * len(shape)
    for i in range(len(shape) - 1, -1, -1):
        own = t.shape[i - lead] if i >= lead else 1
        if i < lead:
            if sizes[i] == -1:
                raise RuntimeError(f"The expanded size of the tensor ({shape[i]}) isn't allowed in a leading, "
                                   "non-existing "
                                   f"dimension {i}")  # fmt: skip
            strides[i] = strides[i + 1] * sizes[i + 1] if i + 1 < len(shape) and sizes[i] == 1 else 0
            continue
        stride = t.strides[i - lead]
        if sizes[i] == -1:
            sizes[i] = own
        if sizes[i] != own:
            if own != 1:
                raise RuntimeError(f"The expanded size of the tensor ({sizes[i]}) must match the existing size "
                                   f"({own}) at "
                                   f"non-singleton dimension {i}.  Target sizes: {list(shape)}.  Tensor sizes: "
                                   f"{list(t.shape)}")  # fmt: skip
            stride = 0
        strides[i] = stride
    return _retyped(t, sizes, strides)


EXPAND = view_operator("expand", expand_rule, lambda f, g: (g.sum_to_size(f.ins[0].shape),))


@method()
def expand(self: Any, *sizes: Any, implicit: bool = False, size: Any = None) -> Any:
    """Dimensions of size 1 repeated without copying; -1 keeps a size."""
    if size is None:
        size = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    return view(EXPAND, self, tuple([index(n) for n in size]))


@export()
def broadcast_to(input: Any, *sizes: Any, size: Any = None) -> Any:
    """``input.expand(size)``; the sizes as a sequence or number by number."""
    if size is None and not sizes:
        raise TypeError('broadcast_to() missing 1 required positional arguments: "size"')
    return input.expand(*sizes, size=size)


def select_rule(t: Ty, attrs: tuple[int, int]) -> Ty:
    """The type of what lies at one index of a dimension: ``(dimension, index)``."""
    dim, i = attrs
    cut = slice(None, dim), slice(dim + 1, None)
    return _retyped(t, t.shape[cut[0]] + t.shape[cut[1]], t.strides[cut[0]] + t.strides[cut[1]],
                    t.offset + i * t.strides[dim])  # fmt: skip


def _embed(f: Any, g: Any, rule: Callable[[Ty, Any], Ty]) -> tuple[Any]:
    return (call(EMBED, (g,), (f.ins[0].shape, rule(ty(f.ins[0].shape, g._ty.dtype), f.attrs))),)


def _embed_lower(b: Any, attrs: Any, g: Any) -> Any:
    shape, part = attrs
    zeros = b.const(0, g.dtype, shape)
    return b.update(zeros, g, contiguous_strides(shape), part.strides, part.offset)


def _embed_vjp(f: Any, g: Any) -> tuple[Any]:
    part, g = f.attrs[1], g.contiguous()
    return (g.as_strided(part.shape, part.strides, part.offset + g._ty.offset),)


EMBED = Operator("embed", lambda tys, attrs: ty(attrs[0], tys[0].dtype), _embed_lower, _embed_vjp)

SELECT = view_operator("select", select_rule, lambda f, g: _embed(f, g, select_rule))


@export()
def select(input: Any, dim: int, index: Any) -> Any:
    """A view of what lies at one index of a dimension, which goes away
    (https://docs.pytorch.org/docs/stable/generated/torch.select.html).

    Raises:
        IndexError: the dimension or the index is out of range.
    """
    t = input._ty
    if t.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d = wrap_dim(dim, t.ndim)
    i = integer(index)
    if not -t.shape[d] <= i < t.shape[d]:
        raise IndexError(f"select(): index {i} out of range for tensor of size {list(t.shape)} at dimension {d}")
    return view(SELECT, input, (d, i % t.shape[d]))


def slice_rule(t: Ty, attrs: tuple[int, int, int, int]) -> Ty:
    """The type of a slice: ``(dimension, first index, end, step)``, within the dimension."""
    dim, start, stop, step = attrs
    n = -(-(stop - start) // step)
    shape = t.shape[:dim] + (n,) + t.shape[dim + 1 :]
    strides = t.strides[:dim] + (t.strides[dim] * step,) + t.strides[dim + 1 :]
    return _retyped(t, shape, strides, t.offset + start * t.strides[dim])


SLICE = view_operator("slice", slice_rule, lambda f, g: _embed(f, g, slice_rule))


def slice_view(x: Any, dim: int, start: int | None, stop: int | None, step: int | None) -> Any:
    """``x[start:stop:step]`` along ``dim``, as Python clips the bounds."""
    if step is not None and int(step) <= 0:
        raise ValueError("step must be greater than zero")
    n = x._ty.shape[dim]
    bounds = [None if b is None else int(b) for b in (start, stop, step)]
    a, b, c = slice(*bounds).indices(n)
    return view(SLICE, x, (dim, a, max(a, b), c))


@export()
def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """A view of ``length`` elements of a dimension from ``start`` on, which may be a tensor of one integer
    (https://docs.pytorch.org/docs/stable/generated/torch.narrow.html).

    Raises:
        RuntimeError: they do not lie within the dimension.
        IndexError: ``dim`` is no dimension of the input.
    """
    t = input._ty
    if t.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    start = _start(dim, start, length)
    d = wrap_dim(dim, t.ndim)
    n, length = t.shape[d], index(length)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start = start + n if start < 0 else start
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return view(SLICE, input, (d, start, start + length, 1))


def _start(dim: Any, start: Any, length: Any) -> int:
    """Where ``narrow`` starts.

    Raises:
        RuntimeError: a tensor that is no integer.
        TypeError: not integers.
    """
    integers = (dim, length) if isinstance(start, TensorBase) else (dim, length, start)
    if isinstance(start, bool) or not all([hasattr(i, "__index__") for i in integers]):  # noqa: C419
        forms = "(int dim, Tensor start, int length)", "(int dim, int start, int length)"
        raise invalid_arguments("narrow", (dim, start, length), {}, *forms)
    if isinstance(start, TensorBase) and (start._ty.ndim or start._ty.dtype.kind not in "ui"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    return int(start)


def diagonal_rule(t: Ty, attrs: tuple[int, int, int]) -> Ty:
    """The type of a diagonal: ``(offset, dimension of rows, of columns)``; its elements become the last dimension."""
    offset, a, b = attrs
    rows, cols = t.shape[a], t.shape[b]
    n = max(0, min(rows, cols - offset) if offset >= 0 else min(rows + offset, cols))
    start = t.offset
    if n:
        start += offset * t.strides[b] if offset >= 0 else -offset * t.strides[a]
    rest = [i for i in range(t.ndim) if i not in (a, b)]
    shape = [*[t.shape[i] for i in rest], n]
    strides = [*[t.strides[i] for i in rest], t.strides[a] + t.strides[b]]
    return _retyped(t, shape, strides, start)


DIAGONAL = view_operator("diagonal", diagonal_rule, lambda f, g: _embed(f, g, diagonal_rule))


@export()
def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The diagonal of two dimensions, ``offset`` above it, as the last dimension of a view
    (https://docs.pytorch.org/docs/stable/generated/torch.diagonal.html).

    Raises:
        RuntimeError: both are the same dimension.
        IndexError: one is no dimension of the input.
    """
    n = input._ty.ndim
    a, b = wrap_dim(dim1, n), wrap_dim(dim2, n)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return view(DIAGONAL, input, (index(offset), a, b))


def _unfold_rule(t: Ty, attrs: tuple[int, int, int]) -> Ty:
    dim, size, step = attrs
    if t.ndim == 0:
        return _retyped(t, (size,), (1,))
    n = (t.shape[dim] - size) // step + 1
    shape = (*t.shape[:dim], n, *t.shape[dim + 1 :], size)
    strides = (*t.strides[:dim], t.strides[dim] * step, *t.strides[dim + 1 :], t.strides[dim])
    return _retyped(t, shape, strides)


def _unfold_vjp(f: Any, g: Any) -> tuple[Any]:
    base = ty(f.ins[0].shape, g._ty.dtype)
    return (at_version(as_strided_backward(g, base, _unfold_rule(base, f.attrs)), 0),)


UNFOLD = view_operator("unfold", _unfold_rule, _unfold_vjp)


@method()
def unfold(self: Any, dimension: int, size: int, step: int) -> Any:
    """All slices of ``size`` along a dimension, ``step`` apart, as a new last dimension."""
    t = self._ty
    d = wrap_dim(dimension, t.ndim)
    n = t.shape[d] if t.ndim else 1
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}")
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    return view(UNFOLD, self, (d, size, step))


# ---- this tensor's own geometry


def _inplace_form(op: Operator, grad_name: str) -> Operator:
    """The same operator under the backward name of its in-place form."""
    return Operator(op.name, op.infer, op.lower, op.vjp, (), grad_name)


TRANSPOSE_ = _inplace_form(TRANSPOSE, "TransposeBackward1")
T_ = _inplace_form(T, "TBackward1")
UNSQUEEZE_ = _inplace_form(UNSQUEEZE, "UnsqueezeBackward1")
SQUEEZE_ALL_ = _inplace_form(SQUEEZE_ALL, "SqueezeBackward3")
SQUEEZE_ = _inplace_form(SQUEEZE, "SqueezeBackward4")
SQUEEZE_DIMS_ = _inplace_form(SQUEEZE_DIMS, "SqueezeBackward5")


@method("swapdims_")
def transpose_(self: Any, dim0: int, dim1: int) -> Any:
    """In-place ``transpose``."""
    n = self._ty.ndim
    return view_inplace(TRANSPOSE_, self, (wrap_dim(dim0, n), wrap_dim(dim1, n)))


@method()
def swapaxes_(self: Any, axis0: int, axis1: int) -> Any:
    """In-place ``swapaxes``."""
    return transpose_(self, axis0, axis1)


@method()
def t_(self: Any) -> Any:
    """In-place ``t``."""
    if self._ty.ndim > 2:
        raise RuntimeError(f"t_() expects a tensor with <= 2 dimensions, but self is {self._ty.ndim}D")
    return view_inplace(T_, self)


@method()
def unsqueeze_(self: Any, dim: int) -> Any:
    """In-place ``unsqueeze``."""
    return view_inplace(UNSQUEEZE_, self, _new_dim(dim, self._ty.ndim))


@method()
def squeeze_(self: Any, dim: Any = None) -> Any:
    """In-place ``squeeze``."""
    n = self._ty.ndim
    if dim is None:
        return view_inplace(SQUEEZE_ALL_, self)
    if hasattr(dim, "__index__"):
        return view_inplace(SQUEEZE_, self, (wrap_dim(dim, n),))
    return view_inplace(SQUEEZE_DIMS_, self, wrap_dims(dim, n) if dim else ())


# ---- the same memory

ALIAS = view_operator("alias", lambda t, attrs: t, lambda f, g: (g,))


def alias_view(x: Any) -> Any:
    """A view of all of ``x`` (``x[...]``)."""
    return view(ALIAS, x)


@export()
def detach(input: Any) -> Any:
    """The same memory outside the autograd graph."""
    return alias(input)
