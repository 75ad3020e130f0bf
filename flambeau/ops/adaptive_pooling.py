"""Adaptive pooling: windows that divide the input into a given number of parts, averages and maxima."""

from __future__ import annotations

from math import prod
from typing import Any

from ..dtypes import SCALAR_NAMES, int64
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._layouts import formatted
from ._registry import call, function
from .pooling import _spread, _wide

# ---- geometry: part o of out covers start(o) = o * n // out up to end(o) = ceil((o + 1) * n / out)


def _longest(n: int, out: int) -> int:
    return max([-(-(o + 1) * n // out) - o * n // out for o in range(out)], default=0)


def _scaled(b: Any, i: Any, n: int, out: int, add: int) -> Any:
    return b.map(
        "floor_divide", b.map("add", b.map("mul", i, b.const(n, int64)), b.const(add, int64)), b.const(out, int64)
    )


def _bounds(b: Any, n: int, out: int) -> tuple[Any, Any]:
    """Where each part begins and ends."""
    o = b.iota(out)
    return _scaled(b, o, n, out, 0), _scaled(b, b.map("add", o, b.const(1, int64)), n, out, out - 1)


def _table(b: Any, n: int, out: int) -> tuple[Any, Any]:
    """For each part its indices, (out, longest), the last repeated; and which of them count."""
    start, end = _bounds(b, n, out)
    at = b.map("add", b.reshape(start, (out, 1)), b.iota(_longest(n, out)))
    end = b.reshape(end, (out, 1))
    return b.map("minimum", at, b.map("sub", end, b.const(1, int64))), b.map("lt", at, end)


def _parts(b: Any, x: Any, dim: int, out: int) -> tuple[Any, Any]:
    """Dimension ``dim`` (negative) replaced by parts and their elements; which of them count."""
    at, valid = _table(b, x.shape[dim], out)
    return b.take(x, at, x.ndim + dim), b.reshape(valid, (*valid.shape, *[1] * (-dim - 1)))


def _sum_parts(b: Any, x: Any, dim: int, out: int) -> Any:
    """The sum of each part along ``dim``."""
    if x.shape[dim] % out == 0:
        d = x.ndim + dim
        split = b.reshape(x, (*x.shape[:d], out, x.shape[d] // out, *x.shape[d + 1 :]))
        return b.reduce("sum", split, (d + 1,))
    seen, valid = _parts(b, x, dim, out)
    return b.reduce("sum", b.where(valid, seen, b.const(0, x.dtype)), (seen.ndim + dim,))


def _lengths(b: Any, n: int, out: int, dim: int, dt: Any) -> Any:
    """How many elements each part has, shaped to broadcast."""
    start, end = _bounds(b, n, out)
    return b.cast(b.reshape(b.map("sub", end, start), (out, *[1] * (-dim - 1))), dt)


# ---- average


def _check(name: str, t: Ty, n: int, out: tuple[int, ...]) -> None:
    """PyTorch's checks of adaptive pooling."""
    lists = {2: "3D or 4D", 3: "4D or 5D"}[n]
    colon = ":" if "max" in name else ""
    if t.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"{name}(): Expected {lists} tensor, but got{colon} {list(t.shape)}")
    _refuse_empty(f"{name}(): Expected input", "input", t, t.ndim - n if name == "adaptive_avg_pool2d" else 1)
    if any(o < 0 for o in out):
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{{{', '.join(map(str, out))}}}"
        )
    if t.dtype.kind != "f":
        raise NotImplementedError(f"\"{name}\" not implemented for '{SCALAR_NAMES[t.dtype]}'")


def _refuse_empty(begins: str, name: str, t: Ty, first: int) -> None:
    """Raises if a dimension from ``first`` on has no elements."""
    for d in range(first, t.ndim):
        if t.shape[d] == 0:
            raise RuntimeError(
                f"{begins} to have non-zero size for non-batch dimensions, but {name} has sizes "
                f"{list(t.shape)} with dimension {d} being empty"
            )


def _refuse_empty_gradient(kind: str, n: int, g: Any) -> None:
    """As PyTorch: what was pooled to nothing has no gradient."""
    _refuse_empty(f"adaptive_{kind}_pool{n}d_backward(): Expected grad_output", "grad_output", g._ty, 1)


def _pooled(t: Ty, out: tuple[int, ...]) -> Ty:
    """The result's type. In three dimensions PyTorch's kernels know row-major results only."""
    shape = t.shape[: -len(out)] + out
    if prod(shape) * t.dtype.itemsize >= 1 << 63:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}")
    return formatted(shape, t.dtype, t) if len(out) == 2 or prod(out) == 1 else ty(shape, t.dtype)


def _avg_ty(tys: tuple[Ty, ...], out: tuple[int, ...]) -> Ty:
    t, n = tys[0], len(out)
    _check(f"adaptive_avg_pool{n}d", t, n, out)
    return _pooled(t, out)


def _avg_lower(b: Any, out: tuple[int, ...], x: Any) -> Any:
    if 0 in out:
        return b.const(0, x.dtype, x.shape[: -len(out)] + out)
    dt = x.dtype
    x = _wide(b, x)
    for k, o in enumerate(out):
        dim = k - len(out)
        size = x.shape[dim]
        x = b.map("div", _sum_parts(b, x, dim, o), _lengths(b, size, o, dim, x.dtype))
    return b.cast(x, dt)


def _avg_backward_lower(b: Any, shape: tuple[int, ...], g: Any) -> Any:
    """An element lies in the parts that an adaptive pooling the other way would sum."""
    n = g.ndim
    if 0 in g.shape:
        return b.const(0, g.dtype, shape)
    dt = g.dtype
    g = _wide(b, g)
    for d in range(n):
        if g.shape[d] != shape[d]:
            dim = d - n
            g = _sum_parts_back(b, b.map("div", g, _lengths(b, shape[d], g.shape[d], dim, g.dtype)), dim, shape[d])
    return b.cast(g, dt)


def _sum_parts_back(b: Any, g: Any, dim: int, n: int) -> Any:
    out, d = g.shape[dim], g.ndim + dim
    if n % out == 0:
        spread = b.expand(b.unsqueeze(g, d + 1), (*g.shape[: d + 1], n // out, *g.shape[d + 1 :]))
        return b.reshape(spread, (*g.shape[:d], n, *g.shape[d + 1 :]))
    return _sum_parts(b, g, dim, n)


def _avg_operator(n: int) -> Operator:
    def vjp(f: Any, g: Any) -> tuple[Any]:
        _refuse_empty_gradient("avg", n, g)
        return (call(ADAPTIVE_AVG_BACKWARD[n], (g,), f.ins[0].shape),)

    return Operator(f"adaptive_avg_pool{n}d", _avg_ty, _avg_lower, vjp, grad_name=f"AdaptiveAvgPool{n}DBackward0")


def _avg_backward_operator(n: int) -> Operator:
    def vjp(f: Any, gg: Any) -> tuple[Any]:
        return (call(ADAPTIVE_AVG[n], (gg,), f.ins[0].shape[-n:]),)

    return Operator(
        f"adaptive_avg_pool{n}d_backward", lambda tys, shape: ty(shape, tys[0].dtype), _avg_backward_lower, vjp,
        grad_name=f"AdaptiveAvgPool{n}DBackwardBackward0",
    )  # fmt: skip


ADAPTIVE_AVG = {n: _avg_operator(n) for n in (2, 3)}
ADAPTIVE_AVG_BACKWARD = {n: _avg_backward_operator(n) for n in (2, 3)}


def _sizes(name: str, t: Ty, output_size: Any, n: int) -> tuple[int, ...]:
    """The output size; None keeps the input's."""
    given = (output_size,) if output_size is None or hasattr(output_size, "__index__") else tuple(output_size)
    if len(given) == 1:
        given = given * n
    if len(given) != n:
        if n == 1:
            raise RuntimeError(f"{name}() argument 'output_size' should contain one int (got {len(given)})")
        must = "(): internal error: output_size.size()" if "max" in name else ": output_size"
        raise RuntimeError(f"{name}{must} must be {n}")
    if t.ndim <= n and not hasattr(output_size, "__index__"):
        raise ValueError(f"Input dimension should be at least {n + 1}")
    return tuple([t.shape[k - n] if o is None else int(o) for k, o in enumerate(given)])


def _adaptive_avg(n: int, x: Any, output_size: Any) -> Any:
    out = _sizes(f"adaptive_avg_pool{n}d", x._ty, output_size, n)
    if out == (1,) * n and x._ty.ndim > n:
        return x.mean(list(range(-n, 0)), keepdim=True)
    return call(ADAPTIVE_AVG[n], (x,), out)


@function()
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The mean of each of ``output_size`` parts of the last dimension."""
    t = input._ty
    if t.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {t.ndim}-dimensional tensor for argument #1 'self' "
            "(while checking arguments for adaptive_avg_pool1d)"
        )
    out = _sizes("adaptive_avg_pool1d", t, output_size, 1)
    return adaptive_avg_pool2d(input.unsqueeze(-2), (1, *out)).squeeze(-2)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """The mean of each of ``output_size`` parts of the last two dimensions; None keeps a size."""
    return _adaptive_avg(2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """The mean of each of ``output_size`` parts of the last three dimensions; None keeps a size."""
    return _adaptive_avg(3, input, output_size)


# ---- maximum


def _max_ty(tys: tuple[Ty, ...], out: tuple[int, ...]) -> tuple[Ty, Ty]:
    t, n = tys[0], len(out)
    _check(f"adaptive_max_pool{n}d", t, n, out)
    y = _pooled(t, out) if n == 2 else ty(t.shape[:-n] + out, t.dtype)
    return y, ty(y.shape, int64, y.strides)


def _flat_windows(b: Any, x: Any, out: tuple[int, ...]) -> tuple[Any, Any]:
    """Parts with their elements as the last dimension; the flattened position of each."""
    n, lead = len(out), x.ndim - len(out)
    tables = [_table(b, x.shape[lead + k], o)[0] for k, o in enumerate(out)]
    seen = x
    for k in reversed(range(n)):
        seen = b.take(seen, tables[k], lead + k)
    order = [*range(lead), *range(lead, lead + 2 * n, 2), *range(lead + 1, lead + 2 * n, 2)]
    seen = b.permute(seen, order)
    where = b.const(0, int64)
    for k, table in enumerate(tables):
        shape = [1] * (2 * n)
        shape[k], shape[n + k] = table.shape
        where = b.map("add", b.map("mul", where, b.const(x.shape[lead + k], int64)), b.reshape(table, shape))
    points = prod(seen.shape[lead + n :])
    return b.reshape(seen, (*seen.shape[: lead + n], points)), b.reshape(where, (*out, points))


def _pick(b: Any, where: Any, best: Any, lead: int) -> Any:
    """The position that each window's ``best`` element has."""
    full = b.expand(where, (*best.shape[:lead], *where.shape))
    return b.reshape(b.gather(full, b.unsqueeze(best, best.ndim), best.ndim), best.shape)


def _max_lower(b: Any, out: tuple[int, ...], x: Any) -> tuple[Any, Any]:
    shape = x.shape[: -len(out)] + out
    if 0 in shape:
        return b.const(0, x.dtype, shape), b.const(0, int64, shape)
    seen, where = _flat_windows(b, x, out)
    best = b.reduce("argmax", seen, (seen.ndim - 1,))
    return b.reduce("max", seen, (seen.ndim - 1,)), _pick(b, where, best, x.ndim - len(out))


def _max_vjp(f: Any, g: Any, _: Any) -> tuple[Any]:
    _refuse_empty_gradient("max", len(f.attrs), g)
    return (call(SPREAD, (g, f.out(1)), (f.ins[0].shape, len(f.attrs))),)


def _spread_vjp(f: Any, gg: Any) -> tuple[Any, None]:
    index = f.saved(1)
    shape, n = f.attrs
    lead, at = shape[:-n], f.ins[0].shape
    taken = gg.reshape(*lead, prod(shape[-n:])).gather(-1, index.reshape(*lead, prod(at[-n:])))
    return taken.reshape(at), None


SPREAD = Operator(
    "max_pool_backward",
    lambda tys, attrs: ty(attrs[0], tys[0].dtype),
    lambda b, attrs, g, index: _spread(b, g, index, *attrs),
    _spread_vjp,
    ((1, (0,)),),
    "MaxPool2DWithIndicesBackwardBackward0",
)


def _max_operator(n: int) -> Operator:
    name = f"adaptive_max_pool{n}d"
    return Operator(name, _max_ty, _max_lower, _max_vjp, ((1001, (0,)),), f"AdaptiveMaxPool{n}DBackward0")


ADAPTIVE_MAX = {n: _max_operator(n) for n in (2, 3)}


def _adaptive_max(n: int, x: Any, output_size: Any) -> tuple[Any, Any]:
    return call(ADAPTIVE_MAX[n], (x,), _sizes(f"adaptive_max_pool{n}d", x._ty, output_size, n))


@function("adaptive_max_pool1d")
def adaptive_max_pool1d_with_indices(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The maximum of each of ``output_size`` parts of the last dimension, and where it is."""
    t = input._ty
    if t.ndim not in (2, 3):
        raise RuntimeError(f"adaptive_max_pool1d(): Expected 2D or 3D tensor, but got: {list(t.shape)}")
    y, index = _adaptive_max(2, input.unsqueeze(-2), (1, *_sizes("adaptive_max_pool1d", t, output_size, 1)))
    return y.squeeze(-2), index.squeeze(-2)


def adaptive_max_pool2d_with_indices(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The maximum of each part of the last two dimensions, and where in the flattened channel it is."""
    return _adaptive_max(2, input, output_size)


def adaptive_max_pool3d_with_indices(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The maximum of each part of the last three dimensions, and where in the flattened channel it is."""
    return _adaptive_max(3, input, output_size)
