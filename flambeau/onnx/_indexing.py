"""Translations of ``x[index]`` and ``x[index] = value``, and of functions that write at indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.onnx._graph import END, Graph, Value
from flambeau.onnx._translations import translation


@translation("getitem")
def getitem(g: Graph, out: Value, x: Value, index: Any) -> str:
    """Integers, slices, None, an ellipsis, and tensors of integers."""
    return _selected(g, g.value(x), _items(x.ndim, index))


def _items(ndim: int, index: Any) -> list[Any]:
    """What an index says about each dimension, with None where one is made."""
    items = [_constant_index(i) if isinstance(i, list) else i
             for i in (index if isinstance(index, tuple) else (index,))]  # fmt: skip
    if any(isinstance(i, bool) or (isinstance(i, Value) and i.dtype is torch.bool) for i in items):
        raise NotImplementedError(
            "torch.onnx.export: indexing with a mask, which gives a size that depends on values; use where()"
        )
    taken = sum(i is not None and i is not Ellipsis for i in items)
    if not any(i is Ellipsis for i in items):
        items.append(Ellipsis)
    at = next(k for k, i in enumerate(items) if i is Ellipsis)
    items[at : at + 1] = [slice(None)] * (ndim - taken)
    return items


def _constant_index(places: list[Any]) -> Value:
    x = torch.tensor(places)
    return Value(x, x.shape)


def _selected(g: Graph, name: str, items: list[Any]) -> str:
    """What ``items`` select of a value: slices, then integers and new dimensions, then tensors of integers."""
    name, d, tensors = _sliced(g, name, [i for i in items if i is not None]), 0, []
    for i in items:
        if i is None:
            name = g.op("Unsqueeze", name, g.const([d]))
        elif isinstance(i, Value):
            tensors.append((d, i))
        elif not isinstance(i, slice):
            name, d = g.op("Gather", name, g.number(i), axis=d), d - 1
        d += 1
    if len(tensors) == 1:
        at, index = tensors[0]
        return g.op("Gather", name, g.value(index, torch.int64), axis=at)
    return _of_several(g, name, d, tensors) if tensors else name


def _sliced(g: Graph, name: str, items: list[Any]) -> str:
    sliced = [(k, i) for k, i in enumerate(items) if isinstance(i, slice) and i != slice(None)]
    if not sliced:
        return name
    starts, ends, steps = zip(*[(i.start or 0, END if i.stop is None else i.stop, i.step or 1) for _, i in sliced])
    axes = g.const([k for k, _ in sliced])
    return g.op("Slice", name, g.ints(starts), g.ints(ends), axes, g.ints(steps))


def _of_several(g: Graph, name: str, ndim: int, tensors: list[tuple[int, Value]]) -> str:
    """Elements at several indices, which are broadcast: GatherND takes them for the first dimensions."""
    dims = [d for d, _ in tensors]
    rest = [d for d in range(ndim) if d not in dims]
    indices = [g.value(i, torch.int64) for _, i in tensors]
    zeros = [g.op("Mul", i, g.const(0)) for i in indices]
    zero = zeros[0]
    for other in zeros[1:]:
        zero = g.op("Add", zero, other)
    places = [g.op("Unsqueeze", g.op("Add", i, zero), g.const([-1])) for i in indices]
    if dims + rest != list(range(ndim)):
        name = g.op("Transpose", name, perm=dims + rest)
    found = g.op("GatherND", name, g.op("Concat", *places, axis=-1))
    first, wide = dims[0], max(i.ndim for _, i in tensors)
    if first == 0 or dims != list(range(first, first + len(dims))):
        return found
    order = [*range(wide, wide + first), *range(wide), *range(wide + first, wide + len(rest))]
    return g.op("Transpose", found, perm=order)


# ---- writes


@translation("setitem")
def setitem(g: Graph, out: Value, x: Value, index: Any, value: Any) -> str:
    """``x`` with other elements at an index, or where a mask holds."""
    if isinstance(index, Value) and index.dtype is torch.bool:
        return _under_mask(g, x, index, value)
    return _put(g, x, _items(x.ndim, index), value, False)


def _under_mask(g: Graph, x: Value, mask: Value, value: Any) -> str:
    if isinstance(value, Value) and value.ndim > x.ndim - mask.ndim:
        raise NotImplementedError("torch.onnx.export: writing a value for each element of a mask; use where()")
    where = g.value(mask)
    if mask.ndim < x.ndim:
        where = g.op("Unsqueeze", where, g.const(list(range(mask.ndim, x.ndim))))
    return g.op("Where", where, g.value(value, x.dtype), g.value(x))


def _put(g: Graph, x: Value, items: list[Any], value: Any, add: bool) -> str:
    """Values at the places that ``items`` select of the numbers of all elements."""
    name = g.value(x)
    shape, everything = g.op("Shape", name), g.const([-1])
    numbers = g.op("Reshape", g.op("Range", g.const(0), g.op("Size", name), g.const(1)), shape)
    places = _selected(g, numbers, items)
    values = g.op("Expand", g.value(value, x.dtype), g.op("Shape", places))
    flat, at, new = [g.op("Reshape", v, everything) for v in (name, places, values)]
    put = g.op("ScatterElements", flat, at, new, axis=0, reduction="add" if add else None)
    return g.op("Reshape", put, shape)


@translation("index_put")
def index_put(g: Graph, out: Value, x: Value, indices: Sequence[Any], values: Any, accumulate: bool = False) -> str:
    """``x`` with values at the places of several tensors of indices."""
    given = tuple([slice(None) if i is None else i for i in indices])
    if len(given) == 1 and isinstance(given[0], Value) and given[0].dtype is torch.bool and not accumulate:
        return _under_mask(g, x, given[0], values)
    return _put(g, x, _items(x.ndim, given), values, accumulate)


@translation("index_fill", "index_copy")
def index_copy(g: Graph, out: Value, x: Value, dim: int, index: Value, source: Any) -> str:
    """``x`` with other slices at the indices of a dimension."""
    return _put(g, x, _slices(x, dim, index), source, False)


@translation("index_add")
def index_add(g: Graph, out: Value, x: Value, dim: int, index: Value, source: Value, *, alpha: float = 1) -> str:
    """``x`` with slices added at the indices of a dimension."""
    added: Any = source
    if alpha != 1:
        added = Value(source.tensor, source.shape, g.op("Mul", g.value(source), g.const(alpha, source.dtype)))
    return _put(g, x, _slices(x, dim, index), added, True)


def _slices(x: Value, dim: int, index: Any) -> list[Any]:
    items: list[Any] = [slice(None)] * x.ndim
    items[x.dim(dim)] = index
    return items


@translation("select_scatter")
def select_scatter(g: Graph, out: Value, x: Value, src: Value, dim: int, index: Any) -> str:
    """``x`` with another slice."""
    return _put(g, x, _slices(x, dim, index), src, False)


@translation("slice_scatter")
def slice_scatter(
    g: Graph, out: Value, x: Value, src: Value, dim: int = 0, start: Any = None, end: Any = None, step: Any = 1
) -> str:
    """``x`` with other slices."""
    return _put(g, x, _slices(x, dim, slice(start, end, step)), src, False)


# ---- bags


@translation("embedding_bag")
def embedding_bag(
    g: Graph, out: Any, x: Value, weight: Value, offsets: Any = None, max_norm: Any = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: Any = "mean", sparse: bool = False, per_sample_weights: Any = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> str:  # fmt: skip
    """Sums, means or maxima of the rows of each bag, where all bags have as many."""
    if x.ndim != 2 or offsets is not None or max_norm is not None or padding_idx is not None:
        raise NotImplementedError("torch.onnx.export: bags of embeddings with offsets, max_norm or padding_idx")
    rows = g.op("Gather", g.value(weight), g.value(x), axis=0)
    if per_sample_weights is not None:
        rows = g.op("Mul", rows, g.op("Unsqueeze", g.value(per_sample_weights), g.const([-1])))
    kind = {"mean": "ReduceMean", "sum": "ReduceSum", "max": "ReduceMax"}[mode]
    return g.op(kind, rows, g.const([1]), keepdims=0)
