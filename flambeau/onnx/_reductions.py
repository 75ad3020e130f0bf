"""Translations of reductions, softmax and sorting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.onnx._graph import Graph, Value
from flambeau.onnx._translations import translation


def _axes(g: Graph, x: Value, dim: Any) -> list[str]:
    """The dimensions as an input of a node; none for all of them."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return []
    return [g.const([x.dim(d) for d in (dim if isinstance(dim, (tuple, list)) else [dim])])]


def _reduced(g: Graph, kind: str, out: Value, x: Value, dim: Any, keepdim: bool) -> str:
    return g.op(kind, g.value(x, out.dtype), *_axes(g, x, dim), keepdims=int(keepdim))


def _enter_sum(name: str, kind: str) -> None:
    @translation(name)
    def reduce(g: Graph, out: Value, x: Value, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> str:
        return _reduced(g, kind, out, x, kwargs.get("axis", dim), keepdim)


for _name, _kind in {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "logsumexp": "ReduceLogSumExp",
                     "amax": "ReduceMax", "amin": "ReduceMin"}.items():  # fmt: skip
    _enter_sum(_name, _kind)


def _enter_extreme(name: str, kind: str, place: str) -> None:
    @translation(name)
    def extreme(g: Graph, out: Any, x: Value, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None:
            return _reduced(g, kind, out, x, None, False)
        if isinstance(dim, Value):
            return g.op(kind.removeprefix("Reduce"), g.value(x, out.dtype), g.value(dim, out.dtype))
        values = _reduced(g, kind, out[0], x, dim, keepdim)
        return values, g.op(place, g.value(x), axis=x.dim(dim), keepdims=int(keepdim))


_enter_extreme("max", "ReduceMax", "ArgMax")
_enter_extreme("min", "ReduceMin", "ArgMin")


def _enter_place(name: str, kind: str) -> None:
    @translation(name)
    def place(g: Graph, out: Value, x: Value, dim: Any = None, keepdim: bool = False) -> str:
        if dim is None:
            return g.op(kind, g.op("Reshape", g.value(x), g.const([-1])), axis=0, keepdims=0)
        return g.op(kind, g.value(x), axis=x.dim(dim), keepdims=int(keepdim))


_enter_place("argmax", "ArgMax")
_enter_place("argmin", "ArgMin")


def _enter_quantifier(name: str, kind: str) -> None:
    @translation(name)
    def quantifier(g: Graph, out: Value, x: Value, dim: Any = None, keepdim: bool = False) -> str:
        ones = g.op("Cast", g.value(x, torch.bool), to=6)
        found = g.op(kind, ones, *_axes(g, x, dim), keepdims=int(keepdim))
        return g.cast(found, torch.int32, torch.bool)


_enter_quantifier("any", "ReduceMax")
_enter_quantifier("all", "ReduceMin")


def _count(g: Graph, x: Value, dim: Any, dtype: Any) -> str:
    """How many elements meet in a result."""
    shape = g.ints(x.shape)
    axes = _axes(g, x, dim)
    sizes = g.op("Gather", shape, axes[0], axis=0) if axes else shape
    return g.cast(g.op("ReduceProd", sizes, keepdims=0), torch.int64, dtype)


@translation("var")
def var(g: Graph, out: Value, x: Value, dim: Any = None, *args: Any, **kwargs: Any) -> str:
    """The variance; ``correction`` is taken off the number of elements."""
    unbiased = kwargs.get("unbiased", args[0] if args else True)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = kwargs.get("correction", 1 if unbiased else 0)
    name, axes = g.value(x), _axes(g, x, dim)
    off = g.op("Sub", name, g.op("ReduceMean", name, *axes, keepdims=1))
    total = g.op("ReduceSumSquare", off, *axes, keepdims=int(kwargs.get("keepdim", False)))
    count = g.op("Sub", _count(g, x, dim, out.dtype), g.const(float(correction), out.dtype))
    return g.op("Div", total, count)


@translation("std")
def std(g: Graph, out: Value, x: Value, *args: Any, **kwargs: Any) -> str:
    """The standard deviation."""
    return g.op("Sqrt", var(g, out, x, *args, **kwargs))


@translation("norm", "vector_norm")
def norm(g: Graph, out: Value, x: Value, p: Any = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> str:
    """The norm of order 1 or 2."""
    p = kwargs.get("ord", p)
    kinds = {1: "ReduceL1", 2: "ReduceL2", "fro": "ReduceL2", None: "ReduceL2"}
    if p not in kinds:
        raise NotImplementedError(f"torch.onnx.export: a norm of order {p}")
    return _reduced(g, kinds[p], out, x, dim, keepdim)


@translation("normalize")
def normalize(g: Graph, out: Value, x: Value, p: float = 2.0, dim: int = 1, eps: float = 1e-12, **kwargs: Any) -> str:
    """Divided by the norm, which is at least ``eps``."""
    length = g.op("Max", norm(g, out, x, p, dim, True), g.const(eps, out.dtype))
    return g.op("Div", g.value(x), length)


@translation("cumsum")
def cumsum(g: Graph, out: Value, x: Value, dim: int, **kwargs: Any) -> str:
    """Sums up to each element."""
    return g.op("CumSum", g.value(x, out.dtype), g.const(x.dim(dim)))


# ---- softmax


@translation("softmax")
def softmax(g: Graph, out: Value, x: Value, dim: int | None = None, *args: Any, **kwargs: Any) -> str:
    """exp(x) / Σ exp(x)."""
    return g.op("Softmax", g.value(x, out.dtype), axis=_softmax_dim(x, dim))


@translation("log_softmax")
def log_softmax(g: Graph, out: Value, x: Value, dim: int | None = None, *args: Any, **kwargs: Any) -> str:
    """The logarithm of softmax."""
    return g.op("LogSoftmax", g.value(x, out.dtype), axis=_softmax_dim(x, dim))


def _softmax_dim(x: Value, dim: int | None) -> int:
    return x.dim(dim) if dim is not None else 0 if x.ndim in (0, 1, 3) else 1


# ---- order


@translation("topk")
def topk(
    g: Graph, out: Sequence[Value], x: Value, k: Any, dim: int = -1, largest: bool = True, sorted: bool = True
) -> Any:
    """The largest elements, or the smallest, and their places."""
    return g.op("TopK", g.value(x), g.ints([k]), outputs=2, axis=x.dim(dim), largest=int(largest), sorted=int(sorted))


@translation("sort")
def sort(g: Graph, out: Sequence[Value], x: Value, dim: int = -1, descending: bool = False, **kwargs: Any) -> Any:
    """All elements in order, and their places."""
    d = x.dim(dim)
    return g.op("TopK", g.value(x), g.ints([x.shape[d]]), outputs=2, axis=d, largest=int(descending), sorted=1)


@translation("argsort")
def argsort(g: Graph, out: Value, x: Value, dim: int = -1, descending: bool = False, **kwargs: Any) -> str:
    """The places of the elements in order."""
    return sort(g, [out, out], x, dim, descending)[1]
