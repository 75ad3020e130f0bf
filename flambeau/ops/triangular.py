"""Cholesky factors and triangular systems."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import return_types
from ..compiler import numpy_linalg as kernels
from ..dtypes import SCALAR_NAMES
from ..graph.node import OUT, Operator
from ..graph.types import Ty
from ._matrices import (
    H,
    batches,
    by_composition,
    check,
    columns,
    info_ty,
    into_exactly,
    lapack,
    linalg,
    need_compatible,
    need_floating,
    need_kernel,
    need_square,
    save_all,
    tensor_argument,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS, call, export, into
from ._warned import warn_of

# ---- solve_triangular


def _triangular_ty(tys: tuple[Ty, ...], attrs: tuple[bool, bool, bool]) -> Ty:
    a, b = tys
    return columns(batches(b, a) + b.shape[-2:], b.dtype)


def _triangular_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    upper, left, unit = f.attrs
    x = f.out()
    back = _solve_triangular(H(f.saved(0)), g, not upper, left, unit)
    if not f.needs(0):
        return None, back
    ga = -(back @ H(x)) if left else -(H(x) @ back)
    return (ga.triu(1 if unit else 0) if upper else ga.tril(-1 if unit else 0)), back


SOLVE_TRIANGULAR = Operator(
    "linalg_solve_triangular", _triangular_ty, lapack(kernels.solve_triangular), _triangular_vjp,
    saves=((0, (0, 1)), (OUT, (0,))), grad_name="LinalgSolveTriangularBackward0",
)  # fmt: skip


def _solve_triangular(a: Any, b: Any, upper: bool, left: bool = True, unit: bool = False) -> Any:
    return call(SOLVE_TRIANGULAR, (a, b), (upper, left, unit))


@linalg
def solve_triangular(
    input: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False, out: Any = None
) -> Any:
    """The solution of ``AX = B`` (``XA = B`` with ``left=False``) that reads one triangle of A
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve_triangular.html).

    Raises:
        RuntimeError: shapes that do not agree.
    """
    need_compatible("linalg.solve_triangular", input._ty, B._ty, left)
    if input._ty.dtype is not B._ty.dtype:
        B = B.to(input._ty.dtype)
    need_kernel("triangular_solve_cpu", input._ty)
    return into(
        _solve_triangular(input, B, bool(upper), bool(left), bool(unitriangular)), out, "linalg_solve_triangular"
    )


# ---- Cholesky


def _cholesky_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    t = tys[0]
    return columns(t.shape, t.dtype), info_ty(t.shape[:-2])


def cholesky_gradient(factor: Any, g: Any, upper: bool) -> Any:
    """The gradient of a matrix from that of its factor (Murray, arXiv:1602.07527)."""
    if upper:
        factor, g = H(factor), H(g)
    p = (H(factor) @ g).tril()
    p = (p + H(p.tril(-1))) * 0.5
    left = _solve_triangular(H(factor), p, True)
    return _solve_triangular(factor, left, False, left=False)


CHOLESKY_EX = Operator(
    "linalg_cholesky_ex", _cholesky_ty, lapack(kernels.cholesky),
    lambda f, g, _: (cholesky_gradient(f.out(0), g, f.attrs[0]),), saves=((OUT, (0,)),),
    grad_name="LinalgCholeskyExBackward0",
)  # fmt: skip
CHOLESKY = Operator(
    "cholesky", _cholesky_ty, lapack(kernels.cholesky), lambda f, g, _: (cholesky_gradient(f.out(0), g, f.attrs[0]),),
    saves=((OUT, (0,)),),
)  # fmt: skip
NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite (the leading minor of "
    "order {} is not positive-definite)."
)


def _checked(name: str, x: Any) -> None:
    need_square(name, x._ty)
    need_floating(name, x._ty)
    need_kernel("cholesky_cpu", x._ty)


@linalg
def cholesky_ex(input: Any, *, upper: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """The Cholesky factor, and for each matrix the order of its first leading minor that is not positive (or 0)."""
    _checked("linalg.cholesky", input)
    result = call(CHOLESKY_EX, (input,), (bool(upper),))
    if check_errors:
        check(result[1], "linalg.cholesky_ex", NOT_POSITIVE)
    return into_exactly(return_types.linalg_cholesky_ex(result), out, "linalg_cholesky_ex")


@linalg
def cholesky(input: Any, *, upper: bool = False, out: Any = None) -> Any:
    """The lower (or upper) triangular factor of Hermitian positive-definite matrices
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.cholesky.html).

    Raises:
        LinAlgError: a matrix is not positive-definite.
    """
    _checked("linalg.cholesky", input)
    factor, info = call(CHOLESKY_EX, (input,), (bool(upper),))
    check(info, "linalg.cholesky", NOT_POSITIVE)
    return into_exactly(factor, out, "linalg_cholesky")


def _torch_cholesky(input: Any, upper: bool = False, *, out: Any = None) -> Any:
    """As ``torch.linalg.cholesky``; deprecated."""
    warn_of("cholesky")
    _checked("cholesky", input)
    factor, info = call(CHOLESKY, (input,), (bool(upper),))
    check(info, "cholesky", NOT_POSITIVE)
    return into_exactly(factor, out, "cholesky")


FUNCTIONS["cholesky"] = METHODS["cholesky"] = tensor_argument(_torch_cholesky, "cholesky")


# ---- with Cholesky factors


def _cholesky_solve_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    factor, upper = f.saved(1), f.attrs[0]
    gb = call(CHOLESKY_SOLVE, (g, factor), (upper,))
    ga = _factor_gradient(gb @ H(f.out()), factor, upper).sum_to_size(f.ins[1].shape) if f.needs(1) else None
    return gb.sum_to_size(f.ins[0].shape), ga


def _factor_gradient(p: Any, factor: Any, upper: bool) -> Any:
    """PyTorch's: of both triangles of the factor, though one is never read."""
    p = p + H(p)
    return -(factor @ p) if upper else -(p @ factor)


def _cholesky_solve_kernel(b: Any, factor: Any, upper: bool) -> Any:
    lower = kernels.dagger(factor) if upper else factor
    return kernels.solve_triangular(kernels.dagger(lower), kernels.solve_triangular(lower, b, False), True)


def _cholesky_solve_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    b, factor = tys
    return columns(batches(b, factor) + b.shape[-2:], b.dtype)


CHOLESKY_SOLVE = Operator(
    "cholesky_solve", _cholesky_solve_ty, lapack(_cholesky_solve_kernel), _cholesky_solve_vjp,
    saves=((1, (0, 1)), (OUT, (1,))),
)  # fmt: skip


@export()
@tensor_argument
def cholesky_solve(input: Any, input2: Any, upper: bool = False, *, out: Any = None) -> Any:
    """The solution of ``AX = B``, B the input, with the Cholesky factor of A.

    Raises:
        RuntimeError: shapes or dtypes that do not agree.
    """
    b, a = input._ty, input2._ty
    if b.ndim < 2:
        raise RuntimeError(f"b should have at least 2 dimensions, but has {b.ndim} dimensions instead")
    if a.ndim < 2:
        raise RuntimeError(f"u should have at least 2 dimensions, but has {a.ndim} dimensions instead")
    _check_pair("cholesky_solve", a, b)
    need_kernel("cholesky_solve_cpu", b)
    return into(call(CHOLESKY_SOLVE, (input, input2), (bool(upper),)), out, "cholesky_solve")


def _check_pair(name: str, a: Ty, b: Ty) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(f"Expected b and A to have the same dtype, but found b of type {SCALAR_NAMES[b.dtype]} and "
                           f"A of type {SCALAR_NAMES[a.dtype]} instead")  # fmt: skip
    if a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"A must be batches of square matrices, but they are {a.shape[-2]} by {a.shape[-1]} matrices"
        )
    if a.shape[-2] != b.shape[-2]:
        raise RuntimeError(f"Incompatible matrix sizes for {name}: each A matrix is {a.shape[-1]} by {a.shape[-1]} but "
                           f"each b matrix is {b.shape[-2]} by {b.shape[-1]}")  # fmt: skip


def _cholesky_inverse_kernel(factor: Any, upper: bool) -> Any:
    return _cholesky_solve_kernel(np.eye(factor.shape[-1], dtype=factor.dtype), factor, upper)


def _cholesky_inverse_vjp(f: Any, g: Any) -> tuple[Any]:
    inverse = f.out()
    return (_factor_gradient(inverse @ g @ inverse, f.saved(0), f.attrs[0]),)


CHOLESKY_INVERSE = Operator(
    "cholesky_inverse", lambda tys, attrs: columns(tys[0].shape, tys[0].dtype), lapack(_cholesky_inverse_kernel),
    _cholesky_inverse_vjp, saves=((0, (0,)), (OUT, (0,))),
)  # fmt: skip


@export()
@tensor_argument
def cholesky_inverse(input: Any, upper: bool = False, *, out: Any = None) -> Any:
    """The inverse of the matrices whose Cholesky factors these are."""
    need_square("cholesky_inverse", input._ty)
    need_kernel("cholesky_inverse_out_cpu", input._ty)
    return into(call(CHOLESKY_INVERSE, (input,), (bool(upper),)), out, "cholesky_inverse")


# ---- torch.triangular_solve


def _system(a: Any, upper: bool, transpose: bool) -> tuple[Any, bool]:
    return (a.mT, not upper) if transpose else (a, upper)


def _triangular_solution(attrs: tuple[bool, bool, bool], b: Any, a: Any) -> tuple[Any, Any]:
    upper, transpose, unit = attrs
    matrix, side = _system(a, upper, transpose)
    return _solve_triangular(matrix, b, side, True, unit), a.clone()


def _triangular_solve_kernel(b: Any, a: Any, upper: bool, transpose: bool, unit: bool) -> Any:
    matrix, side = (np.swapaxes(a, -1, -2), not upper) if transpose else (a, upper)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return kernels.solve_triangular(matrix, b, side, True, unit), np.broadcast_to(a, batch + a.shape[-2:])


def _triangular_solve_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    b, a = tys
    batch = batches(a, b)
    return columns(batch + b.shape[-2:], b.dtype), columns(batch + a.shape[-2:], a.dtype)


TRIANGULAR_SOLVE = Operator(
    "triangular_solve", _triangular_solve_ty, lapack(_triangular_solve_kernel), by_composition(_triangular_solution),
    saves=save_all(0, 1),
)  # fmt: skip


@export()
@tensor_argument
def triangular_solve(
    input: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False, *, out: Any = None
) -> Any:
    """The solution of ``AX = B``, B the input, reading one triangle of A; ``linalg.solve_triangular`` replaces it."""
    warn_of("triangular_solve")
    b, a = input._ty, A._ty
    for t, letter in ((b, "b"), (a, "A")):
        if t.ndim < 2:
            raise RuntimeError(f"torch.triangular_solve: Expected {letter} to have at least 2 dimensions, but it has "
                               f"{t.ndim} dimensions instead")  # fmt: skip
    _check_pair("triangular_solve", a, b)
    need_kernel("triangular_solve_cpu", b)
    attrs = (bool(upper), bool(transpose), bool(unitriangular))
    return into_exactly(
        return_types.triangular_solve(call(TRIANGULAR_SOLVE, (input, A), attrs)), out, "triangular_solve"
    )
