"""Views: tensors that share their base's memory. Each is a rule from the base's type to its own, and a gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from operator import index
from typing import Any

from ..compiler.affine import strides_under
from ..dtypes import SCALAR_NAMES, type_text
from ..graph.epoch import threads
from ..graph.node import Operator
from ..graph.types import CONJ, Ty, contiguous_strides, ty
from ._registry import (
    alias,
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


def view_operator(
    name: str, rule: Callable[[Ty, Any], Any], vjp: Callable[..., Any], grad_name: str | None = None
) -> Operator:
    """An operator whose result shares its input's memory; ``rule(type, attrs)`` gives the view's type."""
    return Operator(name, lambda tys, attrs: rule(tys[0], attrs), None, vjp, (), grad_name)  # type: ignore[arg-type]


def retyped(t: Ty, shape: Sequence[int], strides: Sequence[int], offset: int | None = None) -> Ty:
    """The type of a view of a tensor of type ``t``; without ``offset`` it begins where ``t`` does."""
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
    return retyped(t, shape, strides)


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


# ---- sizes of 1


def _unsqueeze_rule(t: Ty, dim: int) -> Ty:
    step = t.shape[dim] * t.strides[dim] if dim < t.ndim else 1
    return retyped(t, t.shape[:dim] + (1,) + t.shape[dim:], t.strides[:dim] + (step,) + t.strides[dim:])


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
    return retyped(t, [t.shape[i] for i in keep], [t.strides[i] for i in keep])


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


# ---- expand


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
    return retyped(t, sizes, strides)


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


# ---- this tensor's own geometry


def inplace_form(op: Operator, grad_name: str) -> Operator:
    """The same operator under the backward name of its in-place form."""
    return Operator(op.name, op.infer, op.lower, op.vjp, (), grad_name)


UNSQUEEZE_ = inplace_form(UNSQUEEZE, "UnsqueezeBackward1")
SQUEEZE_ALL_ = inplace_form(SQUEEZE_ALL, "SqueezeBackward3")
SQUEEZE_ = inplace_form(SQUEEZE, "SqueezeBackward4")
SQUEEZE_DIMS_ = inplace_form(SQUEEZE_DIMS, "SqueezeBackward5")


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
