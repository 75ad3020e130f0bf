"""LU and what rests on it: linear systems, inverses, determinants; LDL."""

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
    call,
    check,
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
    save_all,
    tensor_argument,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS, export, function, into
from .joining import cat
from .ranges import eye
from .triangular import _solve_triangular

# ---- linear systems


def _is_vector(a: Ty, b: Ty) -> bool:
    """Is B of ``AX = B`` a batch of vectors, as NumPy 1 read it?"""
    return b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])


def _solve_ty(tys: tuple[Ty, ...], attrs: tuple[bool, bool]) -> tuple[Ty, Ty]:
    a, b = tys
    left, vector = attrs
    shape = b.shape + (1,) if vector else b.shape
    batch = batches(a, ty(shape, b.dtype))
    if vector:
        return columns(batch + shape[-2:-1], b.dtype) if len(batch) else ty(shape[:-1], b.dtype), info_ty(a.shape[:-2])
    full = batch + shape[-2:]
    return columns(full, b.dtype) if left else ty(full, b.dtype), info_ty(a.shape[:-2])


def _solve_kernel(a: Any, b: Any, left: bool, vector: bool) -> Any:
    if vector:
        x, info = kernels.solve(a, b[..., None])
        return x[..., 0], info
    if left:
        return _own_info(kernels.solve(a, b), a)
    x, info = kernels.solve(kernels.transposed(a), kernels.transposed(b))
    return _own_info((kernels.transposed(x), info), a)


def _own_info(found: tuple[Any, Any], a: Any) -> tuple[Any, Any]:
    """``info`` of A's matrices where B has more."""
    x, info = found
    for _ in range(info.ndim - a.ndim + 2):
        info = info.max(0, initial=0)
    for d in range(info.ndim):
        if info.shape[d] != a.shape[d]:
            info = info.max(d, keepdims=True, initial=0)
    return x, info


def _solve_vjp(f: Any, g: Any, _: Any) -> tuple[Any, Any]:
    left, vector = f.attrs
    a, x = f.saved(0), f.out(0)
    if vector:
        gb = _solution(H(a), g.unsqueeze(-1), True).squeeze(-1)
        return -(gb.unsqueeze(-1) @ H(x.unsqueeze(-1))), gb
    gb = _solution(H(a), g, left)
    if not f.needs(0):
        return None, gb  # type: ignore[return-value]
    return -(gb @ H(x)) if left else -(H(x) @ gb), gb


SOLVE_EX = Operator(
    "linalg_solve_ex", _solve_ty, lapack(_solve_kernel), _solve_vjp, saves=((0, (0, 1)), (OUT, (0,))),
    grad_name="LinalgSolveExBackward0",
)  # fmt: skip


def _solution(a: Any, b: Any, left: bool) -> Any:
    return call(SOLVE_EX, (a, b), (left, False))[0]


def _solve_ex(a: Any, b: Any, left: bool) -> Any:
    name = "linalg.solve"
    need_floating(name, a._ty)
    need_square(name, a._ty)
    need_same_dtype(name, a._ty, b._ty)
    vector = _is_vector(a._ty, b._ty)
    if vector and not left:
        raise RuntimeError("linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In "
                           "this case linalg.solve is equivalent to B / A.squeeze(-1)")  # fmt: skip
    need_compatible(name, a._ty, ty(b._ty.shape + (1,), b._ty.dtype) if vector else b._ty, left)
    need_kernel("lu_cpu", a._ty)
    return call(SOLVE_EX, (a, b), (left, vector))


SINGULAR_SYSTEM = "The solver failed because the input matrix is singular."


@linalg
def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """As ``solve``, with a failure code for each matrix instead of an error."""
    result = _solve_ex(A, B, bool(left))
    if check_errors:
        check(result[1], "torch.linalg.solve", SINGULAR_SYSTEM)
    return into_exactly(return_types.linalg_solve_ex(result), out, "linalg_solve_ex")


@linalg
def solve(A: Any, B: Any, *, left: bool = True, out: Any = None) -> Any:
    """The solution of ``AX = B``, or ``XA = B`` with ``left=False``
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve.html).

    Raises:
        RuntimeError: shapes or dtypes that do not agree.
        LinAlgError: a matrix is singular.
    """
    x, info = _solve_ex(A, B, bool(left))
    check(info, "torch.linalg.solve", SINGULAR_SYSTEM)
    return into_exactly(x, out, "linalg_solve")


# ---- inverses


def _inv_vjp(f: Any, g: Any, _: Any) -> tuple[Any]:
    y = H(f.out(0))
    return (-(y @ (g @ y)),)


INV_EX = Operator(
    "linalg_inv_ex", lambda tys, attrs: (columns(tys[0].shape, tys[0].dtype), info_ty(tys[0].shape[:-2])),
    lapack(kernels.inv), _inv_vjp, saves=((OUT, (0,)),),
)  # fmt: skip
NOT_INVERTIBLE = (
    "The diagonal element {} is zero, the inversion could not be completed because the input matrix is singular."
)


def inverse_ex(x: Any) -> tuple[Any, Any]:
    """The inverse and failure codes."""
    need_square("linalg.inv", x._ty)
    need_floating("linalg.inv", x._ty, low=False)
    return call(INV_EX, (x,))


@linalg
def inv_ex(A: Any, *, check_errors: bool = False, out: Any = None) -> Any:
    """As ``inv``, with a failure code for each matrix instead of an error."""
    result = inverse_ex(A)
    if check_errors:
        check(result[1], "linalg.inv_ex", NOT_INVERTIBLE)
    return into_exactly(return_types.linalg_inv_ex(result), out, "linalg_inv_ex")


@linalg
def inv(A: Any, *, out: Any = None) -> Any:
    """Inverse matrices (https://docs.pytorch.org/docs/stable/generated/torch.linalg.inv.html).

    Raises:
        RuntimeError: not square matrices of a floating dtype.
        LinAlgError: a matrix is singular.
    """
    result, info = inverse_ex(A)
    check(info, "linalg.inv", NOT_INVERTIBLE)
    return into_exactly(result, out, "linalg_inv")


@export()
@tensor_argument
def inverse(input: Any, *, out: Any = None) -> Any:
    """As ``torch.linalg.inv``."""
    return inv(input, out=out)


# ---- determinants


def _cofactors_vjp(f: Any, g: Any) -> tuple[Any]:
    """Differentiates det(A) A^-H; where A is singular the result is not finite."""
    a = f.saved(0)
    back = inverse_ex(H(a))[0]
    d = call(DET, (a,)).conj()[..., None, None]
    total = (g.conj() * (back * d)).sum((-2, -1), keepdim=True)
    return ((total * back.conj() - d.conj() * (back.conj() @ g.mT.conj() @ back.conj())).conj(),)


COFACTORS = Operator(
    "cofactors",
    lambda tys, attrs: ty(tys[0].shape, tys[0].dtype),
    lapack(kernels.cofactors),
    _cofactors_vjp,
    saves=((0, (0,)),),
)
DET = Operator(
    "linalg_det", lambda tys, attrs: ty(tys[0].shape[:-2], tys[0].dtype), lapack(np.linalg.det),
    lambda f, g: (g[..., None, None] * call(COFACTORS, (f.saved(0),)).conj(),), saves=((0, (0,)),),
)  # fmt: skip


def _det(x: Any) -> Any:
    need_square("linalg.det", x._ty)
    need_floating("linalg.det", x._ty)
    need_kernel("lu_cpu", x._ty)
    return call(DET, (x,))


@linalg
def det(A: Any, *, out: Any = None) -> Any:
    """Determinants (https://docs.pytorch.org/docs/stable/generated/torch.linalg.det.html)."""
    return into_exactly(_det(A), out, "linalg_det")


def _torch_det(input: Any) -> Any:
    """As ``torch.linalg.det``."""
    return _det(input)


FUNCTIONS["det"] = METHODS["det"] = tensor_argument(_torch_det, "det")


def _slogdet_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    t = tys[0]
    return ty(t.shape[:-2], t.dtype), ty(t.shape[:-2], t.dtype.to_real())


def _slogdet_kernel(a: Any) -> Any:
    sign, size = np.linalg.slogdet(a)
    return np.where(np.isnan(size), 0, sign), size


def _slogdet_vjp(f: Any, gsign: Any, glog: Any) -> tuple[Any]:
    back = H(inverse_ex(f.saved(0))[0])
    g = glog.to(back.dtype)
    if back.is_complex():
        turn = (f.out(0).conj() * gsign).imag
        g = g + turn * 1j
    return (g[..., None, None] * back,)


SLOGDET = Operator("linalg_slogdet", _slogdet_ty, lapack(_slogdet_kernel), _slogdet_vjp, saves=((0, (0,)), (OUT, (0,))))


def _slogdet(x: Any, name: str = "linalg.slogdet") -> Any:
    need_square(name, x._ty)
    need_floating(name, x._ty, low=False)
    return call(SLOGDET, (x,))


@linalg
def slogdet(A: Any, *, out: Any = None) -> Any:
    """Sign and logarithm of the absolute value of determinants
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.slogdet.html)."""
    return into_exactly(return_types.linalg_slogdet(_slogdet(A)), out, "linalg_slogdet")


def _torch_slogdet(input: Any, *, out: Any = None) -> Any:
    """As ``torch.linalg.slogdet``."""
    return into_exactly(return_types.slogdet(_slogdet(input)), out, "slogdet")


FUNCTIONS["slogdet"] = METHODS["slogdet"] = tensor_argument(_torch_slogdet, "slogdet")


@export()
@tensor_argument
def logdet(input: Any) -> Any:
    """The logarithm of determinants: NaN where one is negative, -inf where it is zero."""
    sign, size = _slogdet(input, "logdet")
    if input.is_complex():
        return sign.log() + size
    from .ternary import where

    return where(sign == -1.0, float("nan"), size)


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


def _zero_pivot(info: Any) -> None:
    found = failures(info)
    if found:
        where, k = found
        raise RuntimeError(f"torch.linalg.lu_factor: {where}U[{k},{k}] is zero and using it on lu_solve would result in a "
                           "division by zero. If you still want to perform the factorization, consider calling "
                           "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)")  # fmt: skip


@linalg
def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """As ``lu_factor``, with a failure code for each matrix instead of an error."""
    result = _lu_factor("torch.lu_factor", A, pivot)
    if check_errors:
        _zero_pivot(result[2])
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


PERMUTATION = Operator(
    "lu_permutation", _permutation_ty,
    lambda b, attrs, p: b.cast(b.extern("lu_permutation", _permutation_kernel, [p], [(b.ty.shape, bool_)], attrs[0]), attrs[1]),
)  # fmt: skip


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
    if unpack_pivots and (LU_pivots._ty.dtype is not int32 or not LU_pivots._ty.contiguous):
        raise RuntimeError("torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
                           "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor")  # fmt: skip
    none = LU_data.detach().new_zeros((0,))
    p = _permutation(LU_pivots, t) if unpack_pivots else none
    low, up = call(LU_UNPACK, (LU_data,)) if unpack_data else (none, none)
    return into_exactly(return_types.lu_unpack((p, low, up)), out, "lu_unpack")


# ---- systems with LU factors


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
    if LU._ty.dtype is not B._ty.dtype:
        need_same_dtype(name, LU._ty, B._ty)
    need_square(name, LU._ty, "LU")
    need_compatible(name, LU._ty, B._ty, left)
    if pivots._ty.ndim == 0 or pivots._ty.shape[-1] != LU._ty.shape[-1]:
        raise RuntimeError(f"{name}: Number of pivots per batch should be same as the dimension of the matrix")
    if pivots._ty.shape[:-1] != LU._ty.shape[:-2]:
        raise RuntimeError(f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
                           f"{list(pivots._ty.shape)} instead")  # fmt: skip
    need_kernel("lu_solve_cpu", LU._ty)
    return into_exactly(call(LU_SOLVE, (LU, pivots, B), (bool(left), bool(adjoint))), out, "linalg_lu_solve")


def _torch_lu_solve(b: Any, LU_data: Any, LU_pivots: Any, *, out: Any = None) -> Any:
    """As ``torch.linalg.lu_solve``."""
    return lu_solve(LU_data, LU_pivots, b, out=out)


FUNCTIONS["lu_solve"] = METHODS["lu_solve"] = tensor_argument(_torch_lu_solve, "lu_solve")

# ---- LDL


LDL_FACTOR_EX = Operator(
    "linalg_ldl_factor_ex",
    lambda tys, attrs: (columns(tys[0].shape, tys[0].dtype), ty(tys[0].shape[:-1], int32), info_ty(tys[0].shape[:-2])),
    lapack(kernels.ldl_factor), not_differentiable("linalg_ldl_factor_ex"),
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
    lapack(kernels.ldl_solve), not_differentiable("linalg_ldl_solve"),
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
