"""Largest and smallest elements: ``max``, ``min``, ``amax``, ``amin``, ``aminmax``, ``argmax``, ``argmin``.

NaN counts as the largest and the smallest at once: whatever looks for an extreme finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import return_types
from ..dtypes import C_NAMES, SCALAR_NAMES, bool_, dtype, int64
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._arguments import tensor_first
from ._precision import wide
from ._registry import at_version, c_name, call, export, into, is_tensor, wrap_dim, wrap_dims
from .reductions import reduced_ty, restore

# ---- gradients that go to selected elements


def _place_lower(b: Any, attrs: Any, g: Any, index: Any) -> Any:
    shape, dim, add = attrs
    if not shape:
        return g
    zeros = b.const(0, wide(g.dtype), shape)
    return b.cast(b.scatter("add" if add else "set", zeros, index, b.cast(g, wide(g.dtype)), dim), g.dtype)


PLACE = Operator(
    "place",
    lambda tys, attrs: ty(attrs[0], tys[0].dtype),
    _place_lower,
    lambda f, g: (pick(g, f.saved(1), f.attrs[1], f.attrs[2]) if f.needs(0) else None, None),
    saves=((1, (0,)),),
)
PICK = Operator(
    "pick",
    lambda tys, attrs: ty(tys[1].shape, tys[0].dtype),
    lambda b, attrs, x, index: b.gather(x, index, attrs[0]) if x.ndim else x,
    lambda f, g: (place(g, f.saved(1), f.ins[0].shape, *f.attrs) if f.needs(0) else None, None),
    saves=((1, (0,)),),
)


def place(g: Any, index: Any, shape: tuple[int, ...], dim: int, add: bool = False) -> Any:
    """Zeros of ``shape`` with ``g`` at ``index`` along ``dim``; ``add`` if an index may come twice."""
    return call(PLACE, (g, index), (shape, dim, add))


def pick(x: Any, index: Any, dim: int, add: bool = False) -> Any:
    """The elements of ``x`` at ``index`` along ``dim``: the inverse of ``place``."""
    return call(PICK, (x, index), (dim, add))


def selected_vjp(f: Any, g: Any, *_: Any) -> tuple[Any]:
    """The gradient of ``(values, indices)`` reduced over the dimension ``attrs[0]``, ``attrs[1]`` being keepdim."""
    dim, keepdim = f.attrs[0], f.attrs[1]
    shape = f.ins[0].shape
    dims = (dim,)[: len(shape)]
    index = restore(f.out(1), len(shape), dims, keepdim)
    return (at_version(place(restore(g, len(shape), dims, keepdim), index, shape, dim), 2),)


# ---- checks


def refuse_complex(name: str, t: Ty, kernel: str) -> None:
    """Raises PyTorch's error for complex input."""
    if t.dtype.kind == "c":
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{SCALAR_NAMES[t.dtype]}'")


def _refuse_complex_dim(name: str, t: Ty) -> None:
    if t.dtype.kind == "c":
        raise RuntimeError(f"{name}(): does not support complex input")


def check_not_empty(name: str, t: Ty) -> None:
    """Raises if there is nothing to choose from."""
    if t.numel == 0:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
        )


def check_dims(name: str, t: Ty, dims: tuple[int, ...], brackets: str = "()") -> None:
    """Raises if a dimension to choose along is empty."""
    for d in dims:
        if t.shape[d] == 0:
            raise IndexError(f"{name}{brackets}: Expected reduction dim {d} to have non-zero size.")


# ---- over everything


def _all_lower(name: str) -> Callable[..., Any]:
    return lambda b, attrs, x: b.reduce(name, x, range(x.ndim))


def _evenly_vjp(f: Any, g: Any) -> tuple[Any]:
    x, y = f.saved(0), f.out()
    mask = (x == y) | ((x != x) & (y != y))
    return (at_version(g / mask.sum() * mask, 1),)


def _over_all(name: str) -> Operator:
    return Operator(
        name,
        lambda tys, attrs: ty((), tys[0].dtype),
        _all_lower(name),
        _evenly_vjp,
        saves=((0, (0,)), (OUT, (0,))),
        grad_name=name.capitalize() + "Backward1",
    )


MAX = _over_all("max")
MIN = _over_all("min")

# ---- along one dimension, with indices


def _dim_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> tuple[Ty, Ty]:
    dim, keepdim = attrs
    dims = (dim,)[: tys[0].ndim]
    return reduced_ty(tys[0], dims, keepdim, tys[0].dtype), reduced_ty(tys[0], dims, keepdim, int64)


def _dim_lower(name: str) -> Callable[..., Any]:
    def lower(b: Any, attrs: Any, x: Any) -> Any:
        dim, keepdim = attrs
        if not x.ndim:
            return x, b.const(0, int64)
        return b.reduce(name, x, (dim,), keepdim), b.reduce("arg" + name, x, (dim,), keepdim)

    return lower


def _along(name: str) -> Operator:
    return Operator(name, _dim_ty, _dim_lower(name), selected_vjp, saves=((OUT + 1, (0,)),))


MAX_DIM = _along("max")
MIN_DIM = _along("min")


def into_named(result: Any, out: Any, name: str) -> Any:
    """As ``into`` for a named result, where ``out`` has its dtypes.

    Raises:
        RuntimeError: it has others.
    """
    if out is None:
        return result
    for field, r, o in zip(result.fields, result, out):
        if is_tensor(o) and o._ty.dtype is not r._ty.dtype:
            raise RuntimeError(_wrong_out(name, field, r._ty.dtype, o._ty.dtype))
    return type(result)(into(tuple(result), out, name))


def _wrong_out(name: str, field: str, want: dtype, got: dtype) -> str:
    """PyTorch's complaint about the dtype of an ``out``, which each of these operators puts in its own words."""
    if name == "mode":
        return f"expected scalar type '{SCALAR_NAMES[want]}' but got '{SCALAR_NAMES[got]}' for {field} output"
    if name in ("cummax", "cummin"):
        return f"expected scalar_type {SCALAR_NAMES[want]} but found {SCALAR_NAMES[got]}"
    if name == "kthvalue" and field == "indices":
        return "output indices must be of scalar type Long"
    return f"Expected out tensor to have dtype {C_NAMES[want]}, but got {C_NAMES[got]} instead"


def _extreme(name: str, ops: tuple[Operator, Operator, Any], x: Any, dim: Any, keepdim: bool, out: Any) -> Any:
    t = x._ty
    if dim is None:
        refuse_complex(name, t, name + "_all")
        check_not_empty(name, t)
        return into(call(ops[0], (x,)), out, name)
    _refuse_complex_dim(name, t)
    d = wrap_dim(dim, t.ndim)
    check_dims(name, t, (d,)[: t.ndim])
    return into_named(ops[2](call(ops[1], (x,), (d, keepdim))), out, name)


@export()
@tensor_first
def max(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None, other: Any = None) -> Any:
    """The largest element; with ``dim`` along it, with indices; with another tensor elementwise.

    https://docs.pytorch.org/docs/stable/generated/torch.max.html
    """
    if is_tensor(dim) or other is not None:
        return into(input.maximum(dim if other is None else other), out, "max")
    return _extreme("max", (MAX, MAX_DIM, return_types.max), input, dim, keepdim, out)


@export()
@tensor_first
def min(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None, other: Any = None) -> Any:
    """The smallest element; with ``dim`` along it, with indices; with another tensor elementwise.

    https://docs.pytorch.org/docs/stable/generated/torch.min.html
    """
    if is_tensor(dim) or other is not None:
        return into(input.minimum(dim if other is None else other), out, "min")
    return _extreme("min", (MIN, MIN_DIM, return_types.min), input, dim, keepdim, out)


# ---- along several dimensions, without indices


def _ties_vjp(f: Any, g: Any) -> tuple[Any]:
    dims, keepdim = f.attrs
    x = f.saved(0)
    mask = x == restore(f.out(), x.dim(), dims, keepdim)
    return (restore(g, x.dim(), dims, keepdim) * mask / mask.sum(dims, keepdim=True),)


def _several_dims(name: str, how: str) -> Operator:
    return Operator(
        name,
        lambda tys, attrs: reduced_ty(tys[0], attrs[0], attrs[1], tys[0].dtype),
        lambda b, attrs, x: b.reduce(how, x, attrs[0], attrs[1]),
        _ties_vjp,
        saves=((0, (0,)), (OUT, (0,))),
    )


AMAX = _several_dims("amax", "max")
AMIN = _several_dims("amin", "min")


def _several(op: Operator, x: Any, dim: Any, keepdim: bool, out: Any) -> Any:
    t = x._ty
    refuse_complex(op.name, t, op.name[1:] + "_values_cpu")
    dims = wrap_dims(dim, t.ndim)
    if dim == () or dim == []:
        check_not_empty(op.name, t)
    check_dims(op.name, t, dims)
    if out is not None and out.dtype is not t.dtype:
        have, want = SCALAR_NAMES[t.dtype], SCALAR_NAMES[out.dtype]
        raise RuntimeError(
            f"Expected the dtype for input and out to match, but got {have} for input's dtype and {want} for "
            "out's dtype."
        )
    return into(call(op, (x,), (dims, keepdim)), out, op.name)


@export()
@tensor_first
def amax(input: Any, dim: Any = (), keepdim: bool = False, *, out: Any = None) -> Any:
    """The largest element over some dimensions, NaN where one is
    (https://docs.pytorch.org/docs/stable/generated/torch.amax.html).

    ``dim`` is one or several; all if there is none. Equal largest elements share the gradient.

    Raises:
        IndexError: ``dim`` is no dimension of the input, or one of size 0.
    """
    return _several(AMAX, input, dim, keepdim, out)


@export()
@tensor_first
def amin(input: Any, dim: Any = (), keepdim: bool = False, *, out: Any = None) -> Any:
    """The smallest element over some dimensions, NaN where one is
    (https://docs.pytorch.org/docs/stable/generated/torch.amin.html).

    ``dim`` is one or several; all if there is none. Equal smallest elements share the gradient.

    Raises:
        IndexError: ``dim`` is no dimension of the input, or one of size 0.
    """
    return _several(AMIN, input, dim, keepdim, out)


def _aminmax_lower(b: Any, attrs: Any, x: Any) -> Any:
    dims, keepdim = attrs
    return b.reduce("min", x, dims, keepdim), b.reduce("max", x, dims, keepdim)


def _aminmax_vjp(f: Any, low: Any, high: Any) -> tuple[Any]:
    dims, keepdim = f.attrs
    x, n = f.saved(0), len(f.ins[0].shape)
    masks = [x == restore(f.out(k), n, dims, keepdim) for k in (0, 1)]
    a, b = [restore(g, n, dims, keepdim) * m / m.sum(dims, keepdim=True) for g, m in zip((low, high), masks)]
    return (a + b,)


AMINMAX = Operator(
    "aminmax",
    lambda tys, attrs: (reduced_ty(tys[0], attrs[0], attrs[1], tys[0].dtype),) * 2,
    _aminmax_lower,
    _aminmax_vjp,
    saves=((0, (0,)), (OUT, (0,)), (OUT + 1, (0,))),
)


@export()
@tensor_first
def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False, out: Any = None) -> Any:
    """The smallest and the largest element, over everything or along one dimension."""
    t = input._ty
    refuse_complex("aminmax", t, "aminmax_cpu")
    if dim is None:
        if t.numel == 0:
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
            )
        dims: tuple[int, ...] = tuple(range(t.ndim))
    else:
        dims = (wrap_dim(dim, t.ndim),)[: t.ndim]
        check_dims("aminmax", t, dims, "")
    return into_named(return_types.aminmax(call(AMINMAX, (input,), (dims, keepdim))), out, "aminmax")


# ---- where


def _arg_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
    dim, keepdim = attrs
    t = tys[0]
    dims = tuple(range(t.ndim)) if dim is None else (dim,)[: t.ndim]
    return reduced_ty(t, dims, keepdim, int64)


def _arg_lower(name: str) -> Callable[..., Any]:
    def lower(b: Any, attrs: Any, x: Any) -> Any:
        dim, keepdim = attrs
        if not x.ndim:
            return b.const(0, int64)
        if dim is not None:
            return b.reduce(name, x, (dim,), keepdim)
        flat = b.reduce(name, b.reshape(x, (-1,)), (0,))
        return b.reshape(flat, (1,) * x.ndim) if keepdim else flat

    return lower


ARGMAX = Operator("argmax", _arg_ty, _arg_lower("argmax"))
ARGMIN = Operator("argmin", _arg_ty, _arg_lower("argmin"))


def _argument(op: Operator, x: Any, dim: Any, keepdim: bool, out: Any) -> Any:
    t = x._ty
    _refuse_complex_dim(op.name, t)
    if t.dtype is bool_:
        raise RuntimeError(f"{op.name}(): does not support bool input")
    if dim is None:
        if t.numel == 0:
            raise IndexError(f"{op.name}(): Expected reduction dim to be specified for input.numel() == 0.")
    else:
        dim = wrap_dim(dim, t.ndim)
        check_dims(op.name, t, (dim,)[: t.ndim])
    if out is not None and out.dtype is not int64:
        raise RuntimeError(f"Expected out tensor to have dtype long int, but got {c_name(out.dtype)} instead")
    return into(call(op, (x,), (dim, keepdim)), out, op.name)


@export()
@tensor_first
def argmax(input: Any, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The place of the largest element along ``dim``, or in the flattened input (int64)
    (https://docs.pytorch.org/docs/stable/generated/torch.argmax.html).

    The first of equal ones; the first NaN where there is one.

    Raises:
        IndexError: ``dim`` is no dimension of the input, or one of size 0.
    """
    return _argument(ARGMAX, input, dim, keepdim, out)


@export()
@tensor_first
def argmin(input: Any, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The place of the smallest element along ``dim``, or in the flattened input (int64)
    (https://docs.pytorch.org/docs/stable/generated/torch.argmin.html).

    The first of equal ones; the first NaN where there is one.

    Raises:
        IndexError: ``dim`` is no dimension of the input, or one of size 0.
    """
    return _argument(ARGMIN, input, dim, keepdim, out)
