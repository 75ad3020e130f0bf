"""Order along a dimension: ``sort``, ``argsort``, ``topk``, ``kthvalue``, ``median``, ``mode``, ``unique``, …

NaN counts as the largest value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import return_types
from ..compiler.numpy_order import at_places, first_in_order, in_order, nth, order
from ..dtypes import SCALAR_NAMES, bool_, int64
from ..graph.node import OUT, Operator
from ..graph.types import Ty, like, ty
from ._arguments import tensor_first
from ._checks import whole
from ._registry import call, export, into, wrap_dim
from .extremes import check_dims, into_named, place, selected_vjp
from .reductions import reduced_ty

# ---- sort


def _sort_lower(b: Any, attrs: Any, x: Any) -> Any:
    if not x.ndim:
        return x, b.const(0, int64)
    return b.extern("sort", in_order, [x], [(x.shape, x.dtype), (x.shape, int64)], *attrs)


SORT = Operator(
    "sort",
    lambda tys, attrs: (like(tys[0]), like(tys[0], int64)),
    _sort_lower,
    lambda f, g, _: (place(g, f.out(1), f.ins[0].shape, f.attrs[0]),),
    saves=((OUT + 1, (0,)),),
)


def refuse_sorting(name: str, t: Ty, kinds: str = "c") -> None:
    """Raises PyTorch's error for values that have no order."""
    if t.dtype.kind in kinds:
        raise NotImplementedError(f"\"{name}\" not implemented for '{SCALAR_NAMES[t.dtype]}'")


SORT_STABLE = Operator("sort", SORT.infer, SORT.lower, SORT.vjp, SORT.saves, "SortBackward1")


def _sort(op: Operator, x: Any, dim: int, descending: bool) -> Any:
    if x._ty.dtype.kind == "c":
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    d = wrap_dim(dim, x._ty.ndim)
    return return_types.sort(call(op, (x,), (d, bool(descending))))


@export()
@tensor_first
def sort(input: Any, dim: int = -1, descending: bool = False, stable: Any = None, *, out: Any = None) -> Any:
    """The elements in order along ``dim``, and where they were; always stable.

    https://docs.pytorch.org/docs/stable/generated/torch.sort.html
    """
    return into_named(_sort(SORT if stable is None else SORT_STABLE, input, dim, descending), out, "sort")


@export()
@tensor_first
def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """The indices (int64) that sort along ``dim``
    (https://docs.pytorch.org/docs/stable/generated/torch.argsort.html).

    Equal elements keep their order, whether ``stable`` is asked for or not; NaN counts as the largest.

    Raises:
        IndexError: ``dim`` is no dimension of the input.
    """
    return _sort(SORT, input, dim, descending)[1]


@export()
@tensor_first
def msort(input: Any, *, out: Any = None) -> Any:
    """Sorted along the first dimension."""
    return into(_sort(SORT, input, 0, False)[0], out, "msort")


# ---- topk


def _topk_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> tuple[Ty, Ty]:
    k, dim, _ = attrs
    t = tys[0]
    shape = t.shape[:dim] + (k,) + t.shape[dim + 1 :] if t.ndim else ()
    return ty(shape, t.dtype), ty(shape, int64)


def _topk_lower(b: Any, attrs: Any, x: Any) -> Any:
    if not x.ndim:
        return x, b.const(0, int64)
    outs = _topk_ty((ty(x.shape, x.dtype),), attrs)
    return b.extern("topk", first_in_order, [x], [(t.shape, t.dtype) for t in outs], *attrs)


def _topk_vjp(f: Any, g: Any, _: Any) -> tuple[Any]:
    return (place(g, f.out(1), f.ins[0].shape, f.attrs[1]),)


TOPK = Operator("topk", _topk_ty, _topk_lower, _topk_vjp, saves=((OUT + 1, (0,)),))


@export()
@tensor_first
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, out: Any = None) -> Any:
    """The ``k`` largest (or smallest) elements along ``dim``, in order, and where they are."""
    t = input._ty
    if isinstance(dim, bool):
        raise TypeError("topk(): argument 'dim' (position 3) must be int, not bool")
    d, k = wrap_dim(dim, t.ndim), whole("topk", "k", 2, k)
    if not 0 <= k <= (t.shape[d] if t.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if t.dtype.kind in "bc":
        kind = "complex" if t.dtype.kind == "c" else "bool"
        raise RuntimeError(f"{' ' if kind == 'complex' else ''}topk does not support {kind} dtypes on CPU")
    return into_named(return_types.topk(call(TOPK, (input,), (k, d, bool(largest)))), out, "topk")


# ---- one element in order


def _chosen_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> tuple[Ty, Ty]:
    dims = (attrs[0],)[: tys[0].ndim]
    return reduced_ty(tys[0], dims, attrs[1], tys[0].dtype), reduced_ty(tys[0], dims, attrs[1], int64)


def _chosen_lower(name: str, choose: Any) -> Any:
    """``choose(array, dim, *params)`` gives the index along ``dim``, which is kept with size 1."""

    def find(a: np.ndarray, dim: int, keepdim: bool, *params: Any) -> tuple[np.ndarray, np.ndarray]:
        index = choose(a, dim, *params)
        pair = at_places(a, index, dim), index
        return pair if keepdim else (pair[0].squeeze(dim), pair[1].squeeze(dim))

    def lower(b: Any, attrs: Any, x: Any) -> Any:
        if not x.ndim:
            return x, b.const(0, int64)
        outs = _chosen_ty((ty(x.shape, x.dtype),), attrs)
        return b.extern(name, find, [x], [(t.shape, t.dtype) for t in outs], *attrs)

    return lower


def _chooser(name: str, choose: Any, grad_name: str | None = None) -> Operator:
    return Operator(
        name, _chosen_ty, _chosen_lower(name, choose), selected_vjp, saves=((OUT + 1, (0,)),), grad_name=grad_name
    )


def _kth(a: np.ndarray, dim: int, k: int) -> np.ndarray:
    return nth(a, k - 1, dim)


def _middle(a: np.ndarray, dim: int) -> np.ndarray:
    """The lower median; the first NaN if there is one."""
    index = nth(a, (a.shape[dim] - 1) // 2, dim)
    missing = a != a
    if not missing.any():
        return index
    return np.where(missing.any(dim, keepdims=True), missing.argmax(dim, keepdims=True), index)


def _middle_number(a: np.ndarray, dim: int) -> np.ndarray:
    """The lower median of what is not NaN, which sorts behind the numbers."""
    numbers = (a == a).sum(dim, keepdims=True)
    return np.take_along_axis(order(a, dim, False), np.maximum(numbers - 1, 0) // 2, dim)


def _most_frequent(a: np.ndarray, dim: int) -> np.ndarray:
    """The smallest of the most frequent values, at its last place."""
    index = np.moveaxis(order(a, dim, False), dim, -1)
    s = np.take_along_axis(np.moveaxis(a, dim, -1), index, -1)
    n = s.shape[-1]
    new = np.concatenate([np.ones_like(s[..., :1], bool), s[..., 1:] != s[..., :-1]], -1)
    start = np.maximum.accumulate(np.where(new, np.arange(n), 0), -1)
    best = np.argmax(np.arange(n) - start, -1)[..., None]
    return np.moveaxis(np.take_along_axis(index, best, -1), -1, dim)


KTHVALUE = _chooser("kthvalue", _kth)
MEDIAN_DIM = _chooser("median", _middle, "MedianBackward1")
NANMEDIAN_DIM = _chooser("nanmedian", _middle_number, "NanmedianBackward1")
MODE = _chooser("mode", _most_frequent)


@export()
@tensor_first
def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """The ``k``-th smallest element along ``dim``, counted from 1, and its place (int64)
    (https://docs.pytorch.org/docs/stable/generated/torch.kthvalue.html).

    Raises:
        RuntimeError: ``k`` is not between 1 and the size of the dimension.
        IndexError: ``dim`` is no dimension of the input.
    """
    t = input._ty
    d = wrap_dim(dim, t.ndim)
    check_dims("kthvalue", t, (d,)[: t.ndim])
    if not 1 <= k <= (t.shape[d] if t.ndim else 1):
        raise RuntimeError("kthvalue(): selected number k out of range for dimension " + str(d))
    refuse_sorting("kthvalue_cpu", t, "bc")
    return into_named(return_types.kthvalue(call(KTHVALUE, (input,), (d, keepdim, int(k)))), out, "kthvalue")


@export()
@tensor_first
def mode(input: Any, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    """The most frequent value along ``dim`` (the smallest of several), and where it is."""
    d = wrap_dim(dim, input._ty.ndim)
    check_dims("mode", input._ty, (d,)[: input._ty.ndim])
    refuse_sorting("mode_cpu", input._ty)
    return into_named(return_types.mode(call(MODE, (input,), (d, keepdim))), out, "mode")


# ---- median


def _median_all_lower(choose: Any) -> Any:
    def find(a: np.ndarray) -> np.ndarray:
        flat = a.reshape(-1)
        return flat[choose(flat, 0)[0]] if flat.size else np.asarray(np.nan, a.dtype)

    return lambda b, attrs, x: b.extern("median_all", find, [x], [((), x.dtype)])


def _median_vjp(f: Any, g: Any) -> tuple[Any]:
    x, y = f.saved(0), f.out()
    mask = (x == y) | ((x != x) & (y != y))
    return (g / mask.sum() * mask,)


def _median_all(name: str, choose: Any) -> Operator:
    return Operator(name, lambda tys, attrs: ty((), tys[0].dtype), _median_all_lower(choose), _median_vjp,
                    saves=((0, (0,)), (OUT, (0,))))  # fmt: skip


MEDIAN = _median_all("median", _middle)
NANMEDIAN = _median_all("nanmedian", _middle_number)


def _median(ops: tuple[Operator, Operator, Any], x: Any, dim: int | None, keepdim: bool, out: Any) -> Any:
    t, name = x._ty, ops[0].name
    if t.dtype is bool_ or t.dtype.kind == "c":
        raise NotImplementedError(
            f"\"{'median_cpu' if dim is None else 'median_out'}\" not implemented for '{SCALAR_NAMES[t.dtype]}'"
        )
    if dim is None:
        return into(call(ops[0], (x,)), out, name)
    d = wrap_dim(dim, t.ndim)
    check_dims("median", t, (d,)[: t.ndim])
    return into_named(ops[2](call(ops[1], (x,), (d, keepdim))), out, name)


@export()
@tensor_first
def median(input: Any, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The lower median of all elements, or along ``dim`` with its index; NaN if there is one."""
    return _median((MEDIAN, MEDIAN_DIM, return_types.median), input, dim, keepdim, out)


@export()
@tensor_first
def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """As ``median`` of the elements that are not NaN."""
    return _median((NANMEDIAN, NANMEDIAN_DIM, return_types.nanmedian), input, dim, keepdim, out)
