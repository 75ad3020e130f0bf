"""Functions of matrices, and products in the sense of linear algebra."""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any

from ..compiler import numpy_linalg as kernels
from ..dtypes import SCALAR_NAMES, bool_, float32, int64
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._checks import not_implemented
from ._matrices import (
    H,
    by_composition,
    check_one_dtype,
    into_exactly,
    is_half,
    lapack,
    linalg,
    linalg_of_list,
    need_floating,
    need_same_dtype,
    need_square,
    save_all,
    tensor_argument,
)  # fmt: skip
from ._precision import wide
from ._registry import FUNCTIONS, METHODS, call, call_inplace, export, int_tuple, into, method, wrap_dim
from ._types import broadcast_shape, elementwise, operands_dtype
from ._warned import warn_of
from .elimination import inv, solve
from .joining import cat
from .matrix_products import matmul as _matmul
from .matrix_products import mm, vdot
from .norms import _check_reducible, _norm_of, vector_norm
from .slicing import diagonal as _diagonal

# ---- exponential


def _exp_lower(b: Any, attrs: Any, x: Any) -> Any:
    if not is_half(x.dtype):
        return lapack(kernels.expm)(b, attrs, x)
    wide = b.cast(x, float32)
    return b.cast(b.extern("expm", kernels.expm, [wide], [(x.shape, float32)]), x.dtype)


def _exp_vjp(f: Any, g: Any) -> tuple[Any]:
    # The exponential of a block triangle holds the derivative in its corner.
    a, n = H(f.saved(0)), f.ins[0].shape[-1]
    zeros = g.new_zeros(g._ty.shape)
    both = cat([cat([a, g.to(a.dtype)], -1), cat([zeros.to(a.dtype), a], -1)], -2)
    return (_exp(both)[..., :n, n:],)


MATRIX_EXP = Operator(
    "linalg_matrix_exp", lambda tys, attrs: ty(tys[0].shape, tys[0].dtype), _exp_lower, _exp_vjp, saves=((0, (0,)),)
)


def _exp(x: Any) -> Any:
    need_square("linalg.matrix_exp", x._ty)
    need_floating("linalg.matrix_exp", x._ty)
    return call(MATRIX_EXP, (x,))


@linalg
def matrix_exp(input: Any) -> Any:
    """Matrix exponentials (https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_exp.html)."""
    return _exp(input)


FUNCTIONS["matrix_exp"] = METHODS["matrix_exp"] = tensor_argument(matrix_exp.__wrapped__, "matrix_exp")

# ---- powers


def _power(name: str, x: Any, n: Any, out: Any) -> Any:
    if not hasattr(n, "__index__"):
        raise TypeError(f"{name}(): argument 'n' (position 2) must be int, not {type(n).__name__}")
    need_square("linalg.matrix_power", x._ty)
    return into_exactly(_powered(x, index(n)), out, name)


def _powered(x: Any, n: int) -> Any:
    from .ranges import eye

    if n == 0:
        return x.clone().copy_(eye(x._ty.shape[-2], dtype=x._ty.dtype))
    if n < 0:
        return _powered(inv(x), -n)
    if n == 1:
        return x.clone()
    if n == 3:
        return _matmul(_matmul(x, x), x)
    result, square = None, None
    while n:
        square = x if square is None else _matmul(square, square)
        if n % 2:
            result = square if result is None else _matmul(result, square)
        n //= 2
    return result


@linalg
def matrix_power(input: Any, n: int, *, out: Any = None) -> Any:
    """Square matrices to an integer power, the inverse's if it is negative
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_power.html)."""
    return _power("linalg_matrix_power", input, n, out)


def _torch_matrix_power(input: Any, n: int, *, out: Any = None) -> Any:
    """As ``torch.linalg.matrix_power``."""
    return _power("matrix_power", input, n, out)


FUNCTIONS["matrix_power"] = METHODS["matrix_power"] = tensor_argument(_torch_matrix_power, "matrix_power")

# ---- trace


def _trace_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    t = tys[0]
    if t.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {t.ndim}")
    if t.dtype.kind == "b":
        raise not_implemented("trace", t.dtype)
    return ty((), t.dtype if t.dtype.kind in "fc" else int64)


def _trace_lower(b: Any, attrs: Any, x: Any) -> Any:
    wide = b.cast(x, float32 if is_half(x.dtype) and x.dtype.kind == "f" else b.ty.dtype)
    return b.cast(b.reduce("sum", b.diagonal(wide, 0, 1), [0]), b.ty.dtype)


def _trace_vjp(f: Any, g: Any) -> tuple[Any]:
    from .ranges import eye

    return (g * eye(*f.ins[0].shape, dtype=g._ty.dtype),)


TRACE = Operator("trace", _trace_ty, _trace_lower, _trace_vjp)


@export()
@tensor_argument
def trace(input: Any) -> Any:
    """The sum of a matrix's diagonal."""
    return call(TRACE, (input,))


# ---- cross products


def _cross_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    t = elementwise(tys)
    return ty(t.shape, t.dtype)


def _cross_lower(b: Any, dim: int, x: Any, y: Any) -> Any:
    shape, dt = b.ty.shape, b.ty.dtype
    x, y = (b.expand(b.cast(v, dt), shape) for v in (x, y))

    def turned(v: Any, first: int) -> Any:
        index = b.map("remainder", b.map("add", b.iota(3), b.const(first, int64)), b.const(3, int64))
        return b.take(v, index, dim)

    return b.map("sub", b.map("mul", turned(x, 1), turned(y, 2)), b.map("mul", turned(x, 2), turned(y, 1)))


def _cross_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    gx = call(CROSS, (_conj(f.saved(1)), g), f.attrs) if f.needs(0) else None
    return gx, call(CROSS, (g, _conj(f.saved(0))), f.attrs) if f.needs(1) else None


def _conj(x: Any) -> Any:
    return x.conj_physical() if x.is_complex() else x


CROSS = Operator("linalg_cross", _cross_ty, _cross_lower, _cross_vjp, saves=((1, (0,)), (0, (1,))))


def _cross(x: Any, y: Any, dim: Any) -> Any:
    a, b = x._ty, y._ty
    if a.ndim != b.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    d = wrap_dim(dim, a.ndim)
    if a.shape[d] != 3 or b.shape[d] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {a.shape[d]} and {b.shape[d]}"
        )
    broadcast_shape(a.shape, b.shape)
    t = elementwise((a, b))
    if t.dtype is bool_:
        raise not_implemented("cross", bool_)
    return call(CROSS, (x, y), d)


@linalg
def cross(input: Any, other: Any, *, dim: int = -1, out: Any = None) -> Any:
    """Cross products of vectors of three elements along ``dim``
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.cross.html)."""
    return into(_cross(input, other, dim), out, "linalg_cross")


def _torch_cross(input: Any, other: Any, dim: int | None = None, *, out: Any = None) -> Any:
    """Cross products along ``dim``, by default the first dimension of size 3."""
    if dim is None:
        shape = (
            broadcast_shape(input._ty.shape, other._ty.shape) if input._ty.ndim == other._ty.ndim else input._ty.shape
        )
        if 3 not in shape:
            raise RuntimeError("no dimension of size 3 in input")
        warn_of("cross")
        dim = shape.index(3)
    return into(_cross(input, other, dim), out, "cross")


FUNCTIONS["cross"] = METHODS["cross"] = tensor_argument(_torch_cross, "cross")

# ---- products of several matrices


@linalg
def matmul(input: Any, other: Any, *, out: Any = None) -> Any:
    """As ``torch.matmul``."""
    return _matmul(input, other, out=out)


@linalg
def vecdot(x: Any, y: Any, *, dim: int = -1, out: Any = None) -> Any:
    """Dot products along ``dim``, of the conjugate of x with y
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.vecdot.html)."""
    need_floating("linalg.vecdot", x._ty)
    need_same_dtype("linalg.vecdot", x._ty, y._ty, "xy")
    if x._ty.ndim == 1 and y._ty.ndim == 1:
        result = vdot(x, y)
    else:
        result = (_conj(x) * y).sum(dim)
    return into_exactly(result, out, "linalg_vecdot")


def _check_chain(tensors: list[Any]) -> None:
    n = len(tensors)
    if n < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {n}")
    first, last = tensors[0]._ty, tensors[-1]._ty
    if first.ndim not in (1, 2):
        raise RuntimeError(f"multi_dot(): the first tensor must be 1D or 2D but got {first.ndim}D")
    if last.ndim not in (1, 2):
        raise RuntimeError(f"multi_dot(): the last tensor must be 1D or 2D but got {last.ndim}D")
    for i, x in enumerate(tensors[1:-1], 1):
        if x._ty.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {x._ty.ndim}D")
    check_one_dtype(tensors)


def _best_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split each stretch of a chain of matrices so that the fewest multiplications are needed."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    split = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            ways = [(cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            cost[i, j], split[i, j] = min(ways)
    return split


@linalg_of_list
def multi_dot(tensors: Any, *, out: Any = None) -> Any:
    """The product of several matrices in the cheapest order; the first and the last may be vectors
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.multi_dot.html)."""
    xs = list(tensors)
    _check_chain(xs)
    shape = xs[0]._ty.shape[:-1] + xs[-1]._ty.shape[1:]
    if xs[0]._ty.ndim == 1:
        xs[0] = xs[0].unsqueeze(0)
    if xs[-1]._ty.ndim == 1:
        xs[-1] = xs[-1].unsqueeze(-1)
    for i in range(len(xs) - 1):
        if xs[i]._ty.shape[-1] != xs[i + 1]._ty.shape[0]:
            raise RuntimeError(f"multi_dot(): tensors {i} and {i + 1} with shapes {list(xs[i]._ty.shape)} and "
                               f"{list(xs[i + 1]._ty.shape)} cannot be multiplied")  # fmt: skip
    splits = _best_splits([x._ty.shape[0] for x in xs] + [xs[-1]._ty.shape[1]])

    def product(i: int, j: int) -> Any:
        if i == j:
            return xs[i]
        k = splits[i, j]
        return mm(product(i, k), product(k + 1, j))

    return into_exactly(product(0, len(xs) - 1).view(shape), out, "linalg_multi_dot")


# ---- tensors as matrices


@linalg
def tensorinv(input: Any, ind: int = 2, *, out: Any = None) -> Any:
    """The inverse for ``tensordot`` over the first ``ind`` dimensions
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.tensorinv.html)."""
    shape = input._ty.shape
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    if ind > len(shape):
        raise RuntimeError(f"ArrayRef: invalid slice, N = {ind}; size = {len(shape)}")
    rows, cols = shape[:ind], shape[ind:]
    if prod(rows) != prod(cols):
        raise RuntimeError("Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), "
                           f"but got {prod(cols)} != {prod(rows)}")  # fmt: skip
    result = inv(input.reshape(prod(cols), prod(rows)))
    return into_exactly(result.reshape(cols + rows), out, "linalg_tensorinv")


@linalg
def tensorsolve(input: Any, other: Any, dims: Any = None, *, out: Any = None) -> Any:
    """The X whose ``tensordot`` with the input is ``other``
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.tensorsolve.html)."""
    x = input
    if dims is not None:
        at = [wrap_dim(d, x._ty.ndim) for d in int_tuple(dims)]
        x = x.movedim(at, list(range(x._ty.ndim - len(at), x._ty.ndim)))
    rows, cols = x._ty.shape[: other._ty.ndim], x._ty.shape[other._ty.ndim :]
    if prod(rows) != prod(cols):
        raise RuntimeError("Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
                           f"prod(self.shape[:other.ndim]), but got {prod(cols)} != {prod(rows)}")  # fmt: skip
    solution = solve(x.reshape(prod(cols), prod(cols)), other.reshape(-1))
    return into_exactly(solution.reshape(cols), out, "linalg_tensorsolve")


@linalg
def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """As ``torch.diagonal``, of the last two dimensions by default."""
    return _diagonal(A, offset, dim1, dim2)


@linalg
def vander(x: Any, N: int | None = None) -> Any:
    """Vandermonde matrices: powers 0 to N - 1 of each element along a new last dimension
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.vander.html)."""
    t = x._ty
    if not t.ndim:
        return vander(x.reshape(1), N)
    if is_half(t.dtype) or t.dtype is bool_:
        raise RuntimeError(
            f"linalg.vander supports floating point, complex, and integer tensors, but got {SCALAR_NAMES[t.dtype]}"
        )
    n = N if N is not None else (t.shape[-1])
    if n <= 1:
        raise RuntimeError("N must be greater than 1.")
    column = x.unsqueeze(-1)
    powers = column.expand(*t.shape, n - 1).cumprod(-1)
    return cat([powers.new_ones((*t.shape, 1)), powers], -1)


# ---- renorm


def _renorm_composition(attrs: tuple[float, int, float], x: Any) -> Any:
    p, dim, most = attrs
    dims = tuple([d for d in range(x._ty.ndim) if d != dim])
    sizes = vector_norm(x, p, dims, True, dtype=float32 if is_half(x._ty.dtype) else None)
    factor = (sizes > most) * (most / (sizes + 1e-7)) + (sizes <= most)
    return (x * factor).to(x._ty.dtype)


def _renorm_lower(b: Any, attrs: tuple[float, int, float], x: Any) -> Any:
    p, dim, most = attrs
    dims = tuple([d for d in range(x.ndim) if d != dim])
    dt = wide(x.dtype)
    v = b.cast(x, dt)
    sizes = _norm_of(b, b.map("abs", v, dt=dt.to_real()), p, dims, True)
    limit = b.const(most, sizes.dtype)
    shrunk = b.map("div", limit, b.map("add", sizes, b.const(1e-7, sizes.dtype)))
    factor = b.where(b.map("gt", sizes, limit), shrunk, b.const(1, sizes.dtype))
    return b.cast(b.map("mul", v, b.cast(factor, dt)), x.dtype)


def _renorm_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    return ty(tys[0].shape, tys[0].dtype)


RENORM = Operator("renorm", _renorm_ty, _renorm_lower, by_composition(_renorm_composition), saves=save_all(0))


def _renorm_attrs(x: Any, p: Any, dim: int, maxnorm: Any) -> tuple[float, int, float]:
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if x._ty.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {x._ty.ndim} dimensions")
    d = wrap_dim(dim, x._ty.ndim)
    need_floating("linalg.vector_norm", x._ty)
    return float(p), d, float(maxnorm)


@export()
@tensor_argument
def renorm(input: Any, p: Any, dim: int, maxnorm: Any, *, out: Any = None) -> Any:
    """Slices along ``dim`` shrunk to a ``p``-norm of at most ``maxnorm``."""
    return into(call(RENORM, (input,), _renorm_attrs(input, p, dim, maxnorm)), out, "renorm")


@method()
def renorm_(self: Any, p: Any, dim: int, maxnorm: Any) -> Any:
    """In-place ``renorm``."""
    return call_inplace(RENORM, self, (), _renorm_attrs(self, p, dim, maxnorm))


# ---- distances


def _dist_lower(b: Any, p: float, x: Any, y: Any) -> Any:
    dt = wide(operands_dtype(x, y))
    size = b.map("abs", b.map("sub", b.cast(x, dt), b.cast(y, dt)), dt=dt.to_real())
    return b.cast(_norm_of(b, size, p, tuple(range(size.ndim)), False), b.ty.dtype)


def _dist_ty(tys: tuple[Ty, ...], p: float) -> Ty:
    return ty((), elementwise(tys).dtype.to_real())


DIST = Operator(
    "dist", _dist_ty, _dist_lower, by_composition(lambda p, x, y: vector_norm(x - y, p)), saves=save_all(0, 1)
)


@export()
@tensor_argument
def dist(input: Any, other: Any, p: Any = 2) -> Any:
    """The ``p``-norm of ``input - other``."""
    t = elementwise((input._ty, other._ty))
    if t.dtype.kind not in "fc":
        raise RuntimeError(
            f"norm(): input dtype should be either floating point or complex. Got {SCALAR_NAMES[t.dtype]} instead."
        )
    _check_reducible(t, tuple(range(t.ndim)), float(p))
    return call(DIST, (input, other), float(p))
