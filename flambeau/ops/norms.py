"""Vector norms and ``logsumexp``."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import SCALAR_NAMES, as_dtype, bool_, get_default_dtype
from ..graph.node import OUT, Operator
from ..graph.types import Ty
from ._arguments import tensor_first
from ._precision import wide
from ._registry import call, export, int_tuple, into, wrap_dims
from .reductions import reduced_ty, reduction_ty, restore

# ---- vector norms


def _norm_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
    dims, keepdim, dt, _ = attrs
    return reduced_ty(tys[0], dims, keepdim, dt.to_real())


def _norm_lower(b: Any, attrs: Any, x: Any) -> Any:
    dims, keepdim, dt, p = attrs
    size = b.map("abs", b.cast(b.cast(x, dt), wide(dt)), dt=wide(dt).to_real())
    return b.cast(_norm_of(b, size, p, dims, keepdim), dt.to_real())


def _norm_of(b: Any, size: Any, p: float, dims: tuple[int, ...], keepdim: bool) -> Any:
    """The norm of non-negative values."""
    if math.isinf(p):
        return b.reduce("max" if p > 0 else "min", size, dims, keepdim)
    if p == 0:
        return b.reduce("sum", b.cast(b.cast(size, bool_), size.dtype), dims, keepdim)
    if p == 1:
        return b.reduce("sum", size, dims, keepdim)
    if p == 2:
        return b.map("sqrt", b.reduce("sum", b.map("mul", size, size), dims, keepdim))
    total = b.reduce("sum", b.map("pow", size, b.const(p, size.dtype)), dims, keepdim)
    return b.map("pow", total, b.const(1 / p, size.dtype))


def _norm_vjp(f: Any, g: Any) -> tuple[Any]:
    dims, keepdim, _, p = f.attrs
    x, n = f.saved(0), len(f.ins[0].shape)
    g, y = restore(g, n, dims, keepdim), restore(f.out(), n, dims, keepdim)
    return (_norm_gradient(x, g, y, p, dims),)


def _norm_gradient(x: Any, g: Any, y: Any, p: float, dims: tuple[int, ...]) -> Any:
    if p == 0:
        return None
    if p == 1:
        return x.sgn() * g
    if math.isinf(p):
        mask = x.abs() == y
        return x.sgn() * (g / mask.sum(dims, keepdim=True) * mask)
    if p == 2:
        return g * (x / y).masked_fill(y == 0, 0)
    scale = g / y.pow(p - 1).masked_fill(y == 0, math.inf)
    if p > 2:
        return x * x.abs().pow(p - 2) * scale
    return (x.sgn() * x.abs().pow(p - 1)).masked_fill(x == 0, 0) * scale


VECTOR_NORM = Operator(
    "linalg_vector_norm", _norm_ty, _norm_lower, _norm_vjp, saves=((0, (0,)), (OUT, (0,))),
    grad_name="LinalgVectorNormBackward0",
)  # fmt: skip


def vector_norm(
    x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Any:
    """The ``ord``-norm of the elements over ``dim`` (all by default), as ``torch.linalg.vector_norm``.

    Raises:
        RuntimeError: not a floating or complex tensor, or an empty one whose norm does not exist.
    """
    t, p = x._ty, float(ord)
    if t.dtype.kind not in "fc":
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {SCALAR_NAMES[t.dtype]}"
        )
    dims = wrap_dims(dim, t.ndim)
    if not t.numel:
        _check_reducible(t, dims, p)
    y = call(VECTOR_NORM, (x,), (dims, keepdim, t.dtype if dtype is None else _norm_dtype(t.dtype, dtype), p))
    return y if out is None else into(y, out, "linalg_vector_norm")


def _norm_dtype(have: Any, asked: Any) -> Any:
    asked = as_dtype(asked, "linalg_vector_norm")
    if asked.kind not in "fc":
        raise RuntimeError(
            f"linalg.vector_norm: dtype should be floating point or complex, but got {SCALAR_NAMES[asked]}"
        )
    if have.is_complex != asked.is_complex:
        raise RuntimeError(
            f"linalg.vector_norm: dtype should be {'complex' if have.is_complex else 'real'} for "
            f"{'complex' if have.is_complex else 'real'} inputs, but got {SCALAR_NAMES[asked]}"
        )
    return asked


def _check_reducible(t: Ty, dims: tuple[int, ...], p: float) -> None:
    """Refuses norms of nothing that do not exist."""
    if t.numel or not (p < 0 or p == math.inf):
        return
    name = "inf" if p == math.inf else "-inf" if p == -math.inf else f"{p:g}"
    if len(dims) == t.ndim:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {name} norm on an empty tensor because the "
            f"operation "
            "does not have an identity"
        )
    for d in dims:
        if t.shape[d] == 0:
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {name} norm on the dimension {d} because this "
                "dimension is empty and the operation does not have an identity"
            )


@export()
@tensor_first
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None, dtype: Any = None) -> Any:
    """The norm of the elements, of vectors along ``dim`` or (``'nuc'``) of matrices."""
    if p == "nuc":
        from .matrix_norms import matrix_norm

        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype, out=out)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
    if input.is_sparse or input.is_sparse_csr:
        return into(type(input).norm(input, p, dim, keepdim, dtype=dtype), out, "norm")
    if dim is not None:
        dim = int_tuple(dim)
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype, out=out)


# ---- logsumexp


def _logsumexp_lower(b: Any, attrs: Any, x: Any) -> Any:
    dims, keepdim, dt = attrs
    x = b.cast(b.cast(x, dt), wide(dt))
    if any(x.shape[d] == 0 for d in dims):
        return b.cast(b.map("log", b.reduce("sum", x, dims, keepdim)), dt)
    real = b.map("real", x, dt=x.dtype.to_real()) if x.dtype.kind == "c" else x
    top = b.reduce("max", real, dims, True)
    top = b.cast(b.where(b.map("isinf", top), b.const(0, top.dtype), top), x.dtype)
    total = b.map("log", b.reduce("sum", b.map("exp", b.map("sub", x, top)), dims, True))
    y = b.map("add", total, top)
    return b.cast(y if keepdim else b.reshape(y, [n for d, n in enumerate(x.shape) if d not in dims]), dt)


def _logsumexp_vjp(f: Any, g: Any) -> tuple[Any]:
    dims, keepdim, dt = f.attrs
    x, n = f.saved(0), len(f.ins[0].shape)
    weights = (x - restore(f.out(), n, dims, keepdim)).exp()
    return (restore(g, n, dims, keepdim) * (weights.conj_physical() if dt.is_complex else weights),)


LOGSUMEXP = Operator("logsumexp", reduction_ty, _logsumexp_lower, _logsumexp_vjp, saves=((0, (0,)), (OUT, (0,))))


@export()
@tensor_first
def logsumexp(input: Any, dim: Any, keepdim: bool = False, *, out: Any = None) -> Any:
    """The logarithm of the sum of exponentials over ``dim``, one or several, without overflow
    (https://docs.pytorch.org/docs/stable/generated/torch.logsumexp.html).

    Integers give the default float.

    Raises:
        IndexError: ``dim`` is no dimension of the input.
    """
    t = input._ty
    dt = t.dtype if t.dtype.kind in "fc" else get_default_dtype()
    return into(call(LOGSUMEXP, (input,), (wrap_dims(dim, t.ndim), keepdim, dt)), out, "logsumexp")
