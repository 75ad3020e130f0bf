"""Linear systems, inverses and determinants."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import return_types
from ..compiler import numpy_linalg as kernels
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._matrices import (
    H,
    batches,
    check,
    columns,
    info_ty,
    into_exactly,
    lapack,
    linalg,
    need_compatible,
    need_floating,
    need_kernel,
    need_same_dtype,
    need_square,
    tensor_argument,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS, call, export

# ---- linear systems


def _is_vector(a: Ty, b: Ty) -> bool:
    """Is B of ``AX = B`` a batch of vectors, as NumPy 1 read it?"""
    return b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])


def _solve_ty(tys: tuple[Ty, ...], attrs: tuple[bool, bool]) -> tuple[Ty, Ty]:
    a, b = tys
    left, vector = attrs
    shape = b.shape + (1,) if vector else b.shape
    batch = batches(ty(shape, b.dtype), a)
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
    gb = _solution(H(a), g.unsqueeze(-1), True).squeeze(-1) if vector else _solution(H(a), g, left)
    if not f.needs(0):
        return None, gb
    if vector:
        return -(gb.unsqueeze(-1) @ H(x.unsqueeze(-1))), gb
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
    need_compatible(name, a._ty, ty(b._ty.shape + (1,), b._ty.dtype) if vector else b._ty, left)
    need_kernel("lu_cpu", a._ty)
    return call(SOLVE_EX, (a, b), (left, vector))


SINGULAR_SYSTEM = "The solver failed because the input matrix is singular."


@linalg
def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """As ``solve``, with a failure code for each matrix instead of an error."""
    result = _solve_ex(A, B, bool(left))
    if check_errors:
        check(result[1], "torch.linalg.solve_ex", SINGULAR_SYSTEM)
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
    back, g = inverse_ex(H(a))[0], g.conj_physical()
    inner, d = back.conj_physical(), call(DET, (a,))[..., None, None]
    total = (g * (back * d.conj_physical())).sum((-2, -1), keepdim=True)
    return ((total * inner - d * (inner @ g.mT @ inner)).conj_physical(),)


COFACTORS = Operator(
    "cofactors",
    lambda tys, attrs: ty(tys[0].shape, tys[0].dtype),
    lapack(kernels.cofactors),
    _cofactors_vjp,
    saves=((0, (0,)),),
)
DET = Operator(
    "linalg_det", lambda tys, attrs: ty(tys[0].shape[:-2], tys[0].dtype), lapack(np.linalg.det),
    lambda f, g: (g[..., None, None] * call(COFACTORS, (f.saved(0),)).conj_physical(),), saves=((0, (0,)),),
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
        turn = (f.out(0).conj_physical() * gsign).imag
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
