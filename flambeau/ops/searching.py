"""Looking values up: ``searchsorted``, ``bucketize``, ``isin``, ``unique``, ``unique_consecutive``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..compiler.builder import Builder
from ..compiler.ir import Value
from ..compiler.numpy_order import order
from ..dtypes import SCALAR_NAMES, bool_, int32, int64, promote_types
from ..graph.epoch import threads
from ..graph.node import Operator
from ..graph.types import ty
from ._arguments import tensor_first
from ._registry import call, export, forgetting, function, into, is_number, is_tensor, wrap_dim
from ._signatures import invalid_arguments
from ._warned import warn_of
from .creation import from_values
from .from_data import tensor

# ---- searchsorted


def _found(sequence: np.ndarray, values: np.ndarray, side: Any, dt: Any) -> np.ndarray:
    if sequence.ndim == 1:
        return np.searchsorted(sequence, values, side).astype(dt)
    n, m, many = sequence.shape[-1], values.shape[-1], math.prod(values.shape[:-1])
    rows = zip(sequence.reshape(many, n), values.reshape(many, m))
    found = [np.searchsorted(s, v, side) for s, v in rows]
    return np.asarray(found, dt).reshape(values.shape)


SEARCHSORTED = Operator(
    "searchsorted",
    lambda tys, attrs: ty(tys[1].shape, attrs[1]),
    lambda b, attrs, s, v: b.extern("searchsorted", _found, [s, v], [(v.shape, attrs[1])], attrs[0], attrs[1].np),
)


def _side(name: str, right: bool, side: str | None) -> str:
    if side not in (None, "left", "right"):
        raise RuntimeError(f"{name}: side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(f"{name}: side and right can't be set to opposites, got side of left while right was True")
    return "right" if right or side == "right" else "left"


def _in_order(s: Any, sorter: Any) -> Any:
    """The sequence in the order that ``sorter`` says."""
    if s._ty.shape != sorter._ty.shape:
        raise RuntimeError(
            "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor "
            f"{list(s._ty.shape)}and got sorter tensor {list(sorter._ty.shape)}"
        )
    if not sorter._ty.meta and sorter._ty.numel and not 0 <= int(sorter.min()) <= int(sorter.max()) < s._ty.shape[-1]:
        raise RuntimeError("torch.searchsorted(): sorter index out of range")
    return s.gather(-1, sorter)


def _check_found(out: Any, out_int32: bool) -> None:
    if out is not None and out._ty.dtype is not (int32 if out_int32 else int64):
        raise RuntimeError(
            "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending "
            f"on whether out_int32 flag is True, but we got output tensor's dtype {SCALAR_NAMES[out._ty.dtype]} and "
            f"out_int32 flag is {out_int32}"
        )


def _check_search(s: Any, v: Any) -> None:
    if s._ty.ndim == 0:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if s._ty.ndim != 1 and (s._ty.ndim != v._ty.ndim or s._ty.shape[:-1] != v._ty.shape[:-1]):
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of "
            f"boundaries tensor and input value tensor must match, but we got boundaries tensor "
            f"{list(s._ty.shape)} "
            f"and input value tensor {list(v._ty.shape)}"
        )


def _search(s: Any, v: Any, side: str, out_int32: bool) -> Any:
    if not is_tensor(v):
        if s._ty.ndim != 1:
            raise RuntimeError(
                "torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, "
                f"but we got boundaries tensor dim({s._ty.ndim}) and input value's dim(0) numel(1)"
            )
        v = tensor(v)
    _check_search(s, v)
    for x, what in ((v, "input value"), (s, "boundary")):
        if not x._ty.contiguous:
            warn_of("searchsorted", what)
    dt = promote_types(s._ty.dtype, v._ty.dtype)
    s, v = s.to(dt), v.to(dt)
    return call(SEARCHSORTED, (s, v), (side, int32 if out_int32 else int64))


@function()
def searchsorted(
    sorted_sequence: Any, input: Any = None, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Any = None, out: Any = None, self: Any = None,
) -> Any:  # fmt: skip
    """Where values would be inserted in the sorted last dimension to keep its order."""
    if sorter is not None:
        if sorter._ty.dtype is not int64:
            raise RuntimeError(
                "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype "
                f"{SCALAR_NAMES[sorter._ty.dtype]}"
            )
        sorted_sequence = _in_order(sorted_sequence, sorter)
    value = self if input is None else input
    _check_found(out, out_int32)
    return into(
        _search(sorted_sequence, value, _side("torch.searchsorted()", right, side), out_int32), out, "searchsorted"
    )


@function()
def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False, out: Any = None) -> Any:
    """The number of the interval between ``boundaries`` in which each value lies."""
    if boundaries._ty.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries._ty.ndim})")
    _check_found(out, out_int32)
    return into(_search(boundaries, input, "right" if right else "left", out_int32), out, "bucketize")


# ---- isin


def _lower_isin(b: Builder, invert: bool, x: Value, test: Value) -> Any:
    """Beside one element, as the token that ends a text, a comparison."""
    if math.prod(test.shape) == 1:
        return b.map("ne" if invert else "eq", x, b.expand(b.reshape(test, ()), x.shape), dt=bool_)
    return b.extern("isin", _isin, [x, test], [(x.shape, bool_)], invert)


ISIN = Operator("isin", lambda tys, invert: ty(tys[0].shape, bool_), _lower_isin)


def _isin(x: np.ndarray, test: np.ndarray, invert: bool) -> np.ndarray:
    return np.isin(x, test, invert=invert)


@function()
def isin(
    elements: Any = None,
    test_elements: Any = None,
    *,
    assume_unique: bool = False,
    invert: bool = False,
    out: Any = None,
    element: Any = None,
    test_element: Any = None,
) -> Any:
    """Is each element among ``test_elements``? Truth values of the shape of ``elements``
    (https://docs.pytorch.org/docs/stable/generated/torch.isin.html).

    With ``invert`` whether it is not among them. ``assume_unique`` changes nothing.

    Raises:
        TypeError: one is neither a tensor nor a number, or both are numbers.
        RuntimeError: one is of truth values or complex.
    """
    elements = element if elements is None else elements
    test_elements = test_element if test_elements is None else test_elements
    given = elements, test_elements
    if not all(is_tensor(v) or is_number(v) for v in given) or not any(map(is_tensor, given)):
        raise invalid_arguments("isin", given, {"invert": True} if invert else {}, *_ISIN)
    x, test = [v if is_tensor(v) else tensor(v) for v in given]
    dt = promote_types(x._ty.dtype, test._ty.dtype)
    for t in (x._ty, test._ty):
        if t.dtype.kind in "bc":
            raise RuntimeError(f"Unsupported input type encountered for isin(): {SCALAR_NAMES[t.dtype]}")
    return into(call(ISIN, (x.to(dt), test.to(dt)), bool(invert)), out, "isin")


_ISIN = [
    f"({given}, *, bool assume_unique = False, bool invert = False, Tensor out = None)"
    for given in (
        "Tensor elements, Tensor test_elements",
        "Number element, Tensor test_elements",
        "Tensor elements, Number test_element",
    )
]


# ---- unique


def no_derivative(name: str, error: Exception, grad_name: str | None = None) -> Operator:
    """An operator that ties the second input to the graph of the first, through which no gradient goes."""

    def refuse(f: Any, g: Any) -> Any:
        raise error

    return Operator(name, lambda tys, attrs: tys[1], lambda b, attrs, x, y: y, refuse, grad_name=grad_name)


def _underived(name: str, grad_name: str) -> Operator:
    return no_derivative(name, NotImplementedError(f"the derivative for '{name}' is not implemented."), grad_name)


UNIQUE = _underived("_unique2", "Unique2Backward0")
UNIQUE_DIM = _underived("unique_dim", "UniqueDimBackward0")
UNIQUE_RUNS = _underived("unique_consecutive", "UniqueConsecutiveBackward0")


def _distinct(a: np.ndarray, along: bool, counted: bool) -> tuple[np.ndarray, ...]:
    """Distinct values (or rows) in order; if ``counted``, where each element's is, and counts; each NaN for itself."""
    if not along:
        return _distinct_values(a.reshape(-1), counted)
    if a.size == 0:
        kept = min(a.shape[0], 1)
        return a[:kept], np.zeros(a.shape[0], np.int64), np.full(kept, a.shape[0])
    if a.dtype.kind == "f" and np.isnan(a).any():
        return _distinct_unordered(a)
    return np.unique(a, return_inverse=True, return_counts=True, axis=0, equal_nan=False)


def _distinct_unordered(a: np.ndarray) -> tuple[np.ndarray, ...]:
    """Distinct rows, some of which have NaN, in the order in which PyTorch's sort leaves rows that have none.

    NaN is neither less nor greater than a number, so rows are compared by what comes after it.
    """
    from ._introsort import introsort

    flat = a.reshape(len(a), -1)
    index = np.array(introsort([tuple(row) for row in flat.tolist()], _before), np.int64)
    new = np.ones(len(a), bool)
    new[1:] = (flat[index[1:]] != flat[index[:-1]]).any(1)
    where = np.empty(len(a), np.int64)
    where[index] = np.cumsum(new) - 1
    return a[index[new]], where, np.diff(np.append(np.flatnonzero(new), len(a)))


def _before(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    for x, y in zip(a, b):
        if x < y:
            return True
        if x > y:
            return False
    return False


def _distinct_values(flat: np.ndarray, counted: bool) -> tuple[np.ndarray, ...]:
    index = order(flat, 0, False) if counted else None
    s = np.sort(flat) if index is None else flat.take(index)
    new = np.ones(len(s), bool)
    new[1:] = s[1:] != s[:-1]
    if index is None:
        return (s[new],)
    where = np.empty(len(s), np.int64)
    where[index] = np.cumsum(new) - 1
    return s[new], where, np.diff(np.append(np.flatnonzero(new), len(s)))


def _runs(a: np.ndarray, along: bool, counted: bool) -> tuple[np.ndarray, ...]:
    """As ``_distinct`` for runs of equal values."""
    rows = a if along else a.reshape(-1)
    flat = rows.reshape(len(rows), math.prod(rows.shape[1:]))
    new = np.ones(len(rows), bool)
    new[1:] = (flat[1:] != flat[:-1]).any(1)
    ends = np.append(np.flatnonzero(new), len(rows))
    return rows[new], np.cumsum(new) - 1, np.diff(ends)


def _answer(find: Any, op: Operator, x: Any, inverse: bool, counts: bool, dim: int | None) -> Any:
    t = x._ty
    d = 0 if dim is None else wrap_dim(dim, t.ndim)
    along = dim is not None and t.ndim > 0
    a = x.detach()._numpy()
    if along and not t.shape[d] and t.shape.count(0) > 1:
        raise RuntimeError("Number of zero sized dimensions is more than one, so unique cannot be applied ")
    if along and 0 in t.shape[:d] + t.shape[d + 1 :]:
        raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
    values, *places = find(np.moveaxis(a, d, 0) if along else a, along, inverse or counts)
    y = from_values(np.ascontiguousarray(values).reshape(values.shape), t.dtype)
    y = _tied(op, x, forgetting(y.movedim(0, d)) if along and d else y)
    out = [y]
    if inverse:
        out.append(from_values(places[0].reshape(-1 if along else t.shape).astype(np.int64), int64))
    if counts:
        out.append(from_values(places[1].astype(np.int64), int64))
    return out[0] if len(out) == 1 else tuple(out)


def _tied(op: Operator, x: Any, y: Any) -> Any:
    """``y``, with ``op`` as its history if ``x`` has one."""
    return call(op, (x, y)) if x.requires_grad and threads.epoch.grad else y


@export()
@tensor_first
def unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The distinct values (or slices along ``dim``) in order; on request where each element's is, and counts."""
    if input._ty.dtype.kind == "c":
        raise NotImplementedError(f"\"unique\" not implemented for '{SCALAR_NAMES[input._ty.dtype]}'")
    op = UNIQUE if dim is None else UNIQUE_DIM
    return _answer(_distinct, op, input, return_inverse, return_counts, dim)


@export()
@tensor_first
def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The first of each run of equal values (or slices along ``dim``)."""
    return _answer(_runs, UNIQUE_RUNS, input, return_inverse, return_counts, dim)
