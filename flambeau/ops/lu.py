"""Factors by elimination, LU and LDL, and systems solved with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import return_types
from ..compiler import numpy_linalg as kernels
from ..dtypes import bool_, int32, int64
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._matrices import (
    H,
    LinAlgError,
    batches,
    by_composition,
    columns,
    failures,
    info_ty,
    into_exactly,
    lapack,
    linalg,
    need_compatible,
    need_floating,
    need_kernel,
    need_same_dtype,
    need_square,
    not_differentiable,
    postponed,
    save_all,
    tensor_argument,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS, call, function
from ._warned import warn_of
from .gathering import first_outside
from .joining import cat
from .ranges import eye
from .triangular import _solve_triangular

# ---- LU


def _lu_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty, Ty]:
    t = tys[0]
    pivots = ty((*t.shape[:-2], min(t.shape[-2:])), int32)
    return columns(t.shape, t.dtype), pivots, info_ty(t.shape[:-2])


def _unit_lower(x: Any, k: int) -> Any:
    """L of a packed factorisation."""
    return x[..., :, :k].tril(-1) + eye(x._ty.shape[-2], k, dtype=x._ty.dtype)


def _upper(x: Any, k: int) -> Any:
    """U of a packed factorisation."""
    return x[..., :k, :].triu()


def _lu_factor_vjp(f: Any, g: Any, *_: Any) -> tuple[Any]:
    lu, k = f.out(0), min(f.ins[0].shape[-2:])
    p = _permutation(f.out(1), lu._ty)
    return (p @ lu_gradient(_unit_lower(lu, k), _upper(lu, k), g[..., :, :k].tril(-1), g[..., :k, :].triu()),)


def lu_gradient(low: Any, up: Any, gl: Any, gu: Any) -> Any:
    """The gradient of the matrix L U from those of its factors."""
    m, n = low._ty.shape[-2], up._ty.shape[-1]
    if m == n:
        inner = (H(low) @ gl).tril(-1) + (gu @ H(up)).triu()
        return _solve_triangular(H(up), _solve_triangular(H(low), inner, True, True, True), False, False)
    if m < n:
        # Columns on the right only follow: A2 = L U2.
        g2 = _solve_triangular(H(low), gu[..., m:], True, True, True)
        g1 = lu_gradient(low, up[..., :m], gl - (g2 @ H(up[..., m:])).tril(-1), gu[..., :m])
        return cat([g1, g2], -1)
    g2 = _solve_triangular(H(up), gl[..., n:, :], False, False)
    g1 = lu_gradient(low[..., :n, :], up, gl[..., :n, :], gu - (H(low[..., n:, :]) @ g2).triu())
    return cat([g1, g2], -2)


LU_FACTOR_EX = Operator(
    "linalg_lu_factor_ex", _lu_ty, lapack(kernels.lu_factor), _lu_factor_vjp, saves=((OUT, (0,)), (OUT + 1, (0,)))
)


def _lu_factor(name: str, x: Any, pivot: bool) -> Any:
    if x._ty.ndim < 2:
        raise RuntimeError(f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(x._ty.shape)} instead")
    need_kernel("lu_cpu", x._ty)
    if not pivot:
        raise RuntimeError(f"{name.replace('torch', 'linalg')}: LU without pivoting is not implemented on the CPU")
    return call(LU_FACTOR_EX, (x,))


@postponed
def _zero_pivot(info: Any, name: str = "lu_factor") -> None:
    found = failures(info)
    if found:
        where, k = found
        raise RuntimeError(f"torch.linalg.{name}: {where}U[{k},{k}] is zero and using it on lu_solve would result in a "
                           "division by zero. If you still want to perform the factorization, consider calling "
                           "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)")  # fmt: skip


@linalg
def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """As ``lu_factor``, with a failure code for each matrix instead of an error."""
    result = _lu_factor("torch.lu_factor", A, pivot)
    if check_errors:
        _zero_pivot(result[2], "lu_factor_ex")
    return into_exactly(return_types.linalg_lu_factor_ex(result), out, "linalg_lu_factor_ex")


@linalg
def lu_factor(A: Any, *, pivot: bool = True, out: Any = None) -> Any:
    """L and U in one matrix, and the row exchanges
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu_factor.html).

    Raises:
        RuntimeError: U has a zero on its diagonal.
    """
    lu, pivots, info = _lu_factor("torch.lu_factor", A, pivot)
    _zero_pivot(info)
    return into_exactly(return_types.linalg_lu_factor((lu, pivots)), out, "linalg_lu_factor")


def _torch_lu(A: Any, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """``(LU, pivots)``, with ``get_infos`` also the failure codes; deprecated for ``torch.linalg.lu_factor``."""
    warn_of("lu")
    lu, pivots, info = _lu_factor("torch.lu_factor", A, pivot)
    if not get_infos:
        _zero_pivot(info)
    result = return_types._lu_with_info((lu, pivots, info)) if get_infos else (lu, pivots)
    return into_exactly(result, out, "lu")


FUNCTIONS["lu"] = METHODS["lu"] = tensor_argument(_torch_lu, "lu")


def _permutation_kernel(pivots: Any, m: int) -> Any:
    perm = kernels.permutation(pivots, m)
    return perm[..., None, :] == np.arange(m)[:, None]


def _permutation_ty(tys: tuple[Ty, ...], attrs: tuple[int, Any]) -> Ty:
    m, dt = attrs
    return ty((*tys[0].shape[:-1], m, m), dt)


def _permutation_lower(b: Any, attrs: tuple[int, Any], pivots: Any) -> Any:
    m, dt = attrs
    return b.cast(b.extern("lu_permutation", _permutation_kernel, [pivots], [(b.ty.shape, bool_)], m), dt)


PERMUTATION = Operator("lu_permutation", _permutation_ty, _permutation_lower)


def _permutation(pivots: Any, t: Ty) -> Any:
    """P of ``A = P L U``."""
    return call(PERMUTATION, (pivots,), (t.shape[-2], t.dtype))


def _factors_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    t = tys[0]
    m, n = t.shape[-2:]
    k, batch = min(m, n), t.shape[:-2]
    return ty((*batch, m, k), t.dtype), ty((*batch, k, n), t.dtype)


def _unpack_kernel(lu: Any) -> Any:
    m, n = lu.shape[-2:]
    k = min(m, n)
    return np.tril(lu[..., :k], -1) + np.eye(m, k, dtype=lu.dtype), np.triu(lu[..., :k, :])


def _unpack_vjp(f: Any, gl: Any, gu: Any) -> tuple[Any]:
    m, n = f.ins[0].shape[-2:]
    gl, gu = gl.tril(-1), gu.triu()
    if m < n:
        gl = cat([gl, gl.new_zeros((*gl._ty.shape[:-1], n - m))], -1)
    elif m > n:
        gu = cat([gu, gu.new_zeros((*gu._ty.shape[:-2], m - n, n))], -2)
    return (gl + gu,)


LU_UNPACK = Operator("lu_unpack", _factors_ty, lapack(_unpack_kernel), _unpack_vjp)


def _lu_types(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty, Ty]:
    t = tys[0]
    return (*_factors_ty(tys, attrs), ty((*t.shape[:-2], min(t.shape[-2:])), int32))


def _lu_kernel(a: Any) -> Any:
    lu, pivots, _ = kernels.lu_factor(a)
    return (*_unpack_kernel(lu), pivots)


def _lu_vjp(f: Any, gl: Any, gu: Any, _: Any) -> tuple[Any]:
    p = _permutation(f.out(2), f.ins[0])
    return (p @ lu_gradient(f.out(0), f.out(1), gl.tril(-1), gu.triu()),)


LU = Operator(
    "linalg_lu", _lu_types, lapack(_lu_kernel), _lu_vjp, saves=((OUT, (0,)), (OUT + 1, (0,)), (OUT + 2, (0,))),
)  # fmt: skip


@linalg
def lu(A: Any, *, pivot: bool = True, out: Any = None) -> Any:
    """P, L and U (https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu.html)."""
    t = A._ty
    if t.ndim < 2:
        raise RuntimeError(f"linalg.lu: Expected tensor with 2 or more dimensions. Got size: {list(t.shape)} instead")
    need_kernel("lu_cpu", t)
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    low, up, pivots = call(LU, (A,))
    return into_exactly(return_types.linalg_lu((_permutation(pivots.detach(), t), low, up)), out, "linalg_lu")


@function()
def lu_unpack(
    LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True, *, out: Any = None
) -> Any:
    """P, L and U from ``lu_factor``'s results; what is not asked for is empty."""
    t = LU_data._ty
    if t.ndim < 2:
        raise RuntimeError(
            f"torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: {list(t.shape)} instead"
        )
    if unpack_pivots and LU_pivots._ty.dtype is not int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    if unpack_pivots and first_outside(LU_pivots, 1, t.shape[-2] + 1) is not None:
        raise RuntimeError(
            "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive."
            "Did you properly pass the result of lu_factor?"
        )
    none = LU_data.detach().new_zeros((0,))
    p = _permutation(LU_pivots, t) if unpack_pivots else none
    low, up = call(LU_UNPACK, (LU_data,)) if unpack_data else (none, none)
    return into_exactly(return_types.lu_unpack((p, low, up)), out, "lu_unpack")


# ---- systems with LU factors


def _check_pivots(pivots: Any, n: int) -> None:
    wrong = first_outside(pivots, 1, n + 1)
    if wrong is not None:
        bound = "greater or equal to 1" if wrong < 1 else "smaller or equal to LU.size(-2)"
        raise RuntimeError(
            f"Pivots given to lu_solve must all be {bound}. Did you properly pass the result of lu_factor?"
        )


def _lu_solution(attrs: tuple[bool, bool], lu: Any, pivots: Any, b: Any) -> Any:
    left, adjoint = attrs
    if not left:
        return H(_lu_solution((True, not adjoint), lu, pivots, H(b)))
    p = _permutation(pivots, lu._ty)
    if not adjoint:
        y = _solve_triangular(lu, p.mT @ b, False, True, True)
        return _solve_triangular(lu, y, True)
    y = _solve_triangular(H(lu), b, False)
    return p @ _solve_triangular(H(lu), y, True, True, True)


def _lu_solve_ty(tys: tuple[Ty, ...], attrs: tuple[bool, bool]) -> Ty:
    lu, _, b = tys
    shape = batches(lu, b) + b.shape[-2:]
    return columns(shape, b.dtype) if attrs[0] else ty(shape, b.dtype)


LU_SOLVE = Operator(
    "linalg_lu_solve", _lu_solve_ty, lapack(kernels.lu_solve), by_composition(_lu_solution), saves=save_all(0, 1, 2)
)


@linalg
def lu_solve(LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False, out: Any = None) -> Any:
    """The solution of ``AX = B`` with A's factors from ``lu_factor``
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu_solve.html)."""
    name = "linalg.lu_solve"
    need_floating(name, LU._ty)
    if pivots._ty.dtype is not int32:
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    need_same_dtype(name, LU._ty, B._ty, ("LU", "B"))
    need_square(name, LU._ty, "LU")
    need_compatible(name, LU._ty, B._ty, left)
    if pivots._ty.ndim == 0 or pivots._ty.shape[-1] != LU._ty.shape[-1]:
        raise RuntimeError(f"{name}: Number of pivots per batch should be same as the dimension of the matrix")
    if pivots._ty.shape[:-1] != LU._ty.shape[:-2]:
        raise RuntimeError(f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
                           f"{list(pivots._ty.shape)} instead")  # fmt: skip
    need_kernel("lu_solve_cpu", LU._ty)
    _check_pivots(pivots, LU._ty.shape[-2])
    return into_exactly(call(LU_SOLVE, (LU, pivots, B), (bool(left), bool(adjoint))), out, "linalg_lu_solve")


def _torch_lu_solve(b: Any, LU_data: Any, LU_pivots: Any, *, out: Any = None) -> Any:
    """As ``torch.linalg.lu_solve``; deprecated."""
    warn_of("lu_solve")
    return lu_solve(LU_data, LU_pivots, b, out=out)


FUNCTIONS["lu_solve"] = METHODS["lu_solve"] = tensor_argument(_torch_lu_solve, "lu_solve")

# ---- LDL


LDL_FACTOR_EX = Operator(
    "linalg_ldl_factor_ex",
    lambda tys, attrs: (columns(tys[0].shape, tys[0].dtype), ty(tys[0].shape[:-1], int32), info_ty(tys[0].shape[:-2])),
    lapack(kernels.ldl_factor), not_differentiable("linalg_ldl_factor_ex"), grad_name="NotImplemented",
)  # fmt: skip


@linalg
def ldl_factor_ex(input: Any, *, hermitian: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """As ``ldl_factor``, with a failure code for each matrix.

    Raises:
        ImportError: SciPy is not installed.
    """
    name = "torch.linalg.ldl_factor_ex"
    need_square(name, input._ty)
    need_floating(name, input._ty)
    need_kernel("ldl_factor_kernel_cpu", input._ty)
    kernels.sytrf(input._ty.dtype.np, bool(hermitian))
    result = call(LDL_FACTOR_EX, (input,), (bool(hermitian),))
    if check_errors:
        _check_ldl(result[2], name)
    return into_exactly(return_types.linalg_ldl_factor_ex(result), out, "linalg_ldl_factor_ex")


@postponed
def _check_ldl(info: Any, name: str) -> None:
    found = failures(info)
    if found:
        raise LinAlgError(
            f"{name}: {found[0]}The factorization could not be completed: the diagonal element {found[1]} is zero."
        )


@linalg
def ldl_factor(input: Any, *, hermitian: bool = False, out: Any = None) -> Any:
    """The factors L D L^T of symmetric matrices that need not be positive, packed, and pivots
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.ldl_factor.html).

    Raises:
        ImportError: SciPy is not installed.
        LinAlgError: a matrix is singular.
    """
    ld, pivots, info = ldl_factor_ex(input, hermitian=hermitian)
    _check_ldl(info, "torch.linalg.ldl_factor")
    return into_exactly(return_types.linalg_ldl_factor((ld, pivots)), out, "linalg_ldl_factor")


LDL_SOLVE = Operator(
    "linalg_ldl_solve", lambda tys, attrs: columns(batches(tys[0], tys[2]) + tys[2].shape[-2:], tys[2].dtype),
    lapack(kernels.ldl_solve), not_differentiable("linalg_ldl_solve"), grad_name="NotImplemented",
)  # fmt: skip


@linalg
def ldl_solve(LD: Any, pivots: Any, B: Any, *, hermitian: bool = False, out: Any = None) -> Any:
    """The solution of ``AX = B`` with A's factors from ``ldl_factor``."""
    name, a, b = "torch.linalg.ldl_solve", LD._ty, B._ty
    need_floating(name, a)
    need_square(name, a, "LD")
    if b.ndim < 2:
        raise RuntimeError(f"{name}: Expected B to have at least 2 dimensions, but it has {b.ndim} dimensions instead")
    if a.shape[-2] != b.shape[-2]:
        raise RuntimeError(f"Incompatible matrix sizes for {name}: each A matrix is {a.shape[-1]} by {a.shape[-1]} but "
                           f"each b matrix is {b.shape[-2]} by {b.shape[-1]}")  # fmt: skip
    if pivots._ty.dtype not in (int32, int64):
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {pivots._ty.dtype.name}")
    if a.dtype is not b.dtype:
        need_same_dtype(name, a, b)
    need_kernel("ldl_solve_kernel_cpu", a)
    return into_exactly(call(LDL_SOLVE, (LD, pivots, B), (bool(hermitian),)), out, "linalg_ldl_solve")
