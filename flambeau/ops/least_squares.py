"""Pseudo-inverses, least squares and ranks."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .. import return_types
from ..autograd.grad_mode import no_grad
from ..compiler import numpy_linalg as kernels
from ..dtypes import SCALAR_NAMES, finfo, int64
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._matrices import (
    H,
    batches,
    columns,
    into_exactly,
    is_half,
    known_zero,
    lapack,
    linalg,
    need_matrix,
    tensor_argument,
)  # fmt: skip
from ._registry import call, export, is_tensor
from .creation import full
from .elimination import _is_vector
from .from_data import tensor
from .spectra import eigvalsh, svdvals

# ---- tolerances


def _tolerances(x: Any, atol: Any, rtol: Any) -> tuple[Any, Any]:
    """Both as tensors; ``rtol`` is epsilon times the larger size unless it, or ``atol``, is given."""
    t = x._ty
    dt = t.dtype.to_real()
    default = finfo(dt).eps * max(t.shape[-2:])
    if rtol is None:
        if is_tensor(atol):
            # Where atol is positive it alone counts.
            rtol = full((), default, dtype=dt).where(atol <= 0, full((), 0.0, dtype=dt))
        else:
            rtol = 0.0 if atol is not None and atol > 0 else default
    return _as_tensor(0.0 if atol is None else atol, dt), _as_tensor(rtol, dt)


def _as_tensor(v: Any, dt: Any) -> Any:
    return v.detach().to(dt) if is_tensor(v) else tensor(float(v), dtype=dt)


# ---- pinv


def _pinv_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    t = tys[0]
    return ty((*t.shape[:-2], t.shape[-1], t.shape[-2]), t.dtype)


def pinv_gradient(g: Any, p: Any, a: Any) -> Any:
    """The gradient of a matrix from that of its pseudo-inverse ``p`` (Golub and Pereyra 1973)."""
    ph, gh = H(p), H(g)
    left = gh @ (p @ ph)
    right = (ph @ p) @ gh
    return -(ph @ g @ ph) + (left - a @ (p @ left)) + (right - (right @ p) @ a)


PINV = Operator(
    "linalg_pinv", _pinv_ty, lapack(kernels.pinv),
    lambda f, g: (pinv_gradient(g, f.out(), f.saved(0)), None, None), saves=((0, (0,)), (OUT, (0,))),
)  # fmt: skip


@linalg
def pinv(
    input: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Any = None
) -> Any:
    """Pseudo-inverses (https://docs.pytorch.org/docs/stable/generated/torch.linalg.pinv.html).

    Singular values up to ``max(atol, rtol * largest)`` count as zero.
    """
    t = input._ty
    if t.ndim < 2 or t.dtype.kind not in "fc" or is_half(t.dtype):
        raise RuntimeError(f"linalg.pinv({SCALAR_NAMES[t.dtype]}{{{list(t.shape)}}}): expected a tensor with 2 or more "
                           "dimensions of float, double, cfloat or cdouble types")  # fmt: skip
    if rcond is not None:
        atol, rtol = 0.0, rcond
    a, r = _tolerances(input, atol, rtol)
    return into_exactly(call(PINV, (input, a, r), (bool(hermitian),)), out, "linalg_pinv")


@export()
@tensor_argument
def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """As ``torch.linalg.pinv``."""
    return pinv(input, rcond)


# ---- rank


@linalg
def matrix_rank(
    input: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None, out: Any = None
) -> Any:
    """How many singular values count as not zero
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_rank.html)."""
    t = input._ty
    need_matrix("torch.linalg.matrix_rank", t, "input")
    if t.dtype.kind not in "fc" or is_half(t.dtype):
        raise RuntimeError("This function doesn't handle types other than float and double")
    if tol is not None:
        atol, rtol = tol, 0.0
    with no_grad():
        rank = _rank(input.detach(), hermitian, atol, rtol)
    return into_exactly(rank, out, "linalg_matrix_rank")


def _rank(x: Any, hermitian: bool, atol: Any, rtol: Any) -> Any:
    if 0 in x._ty.shape[-2:]:
        return full(x._ty.shape[:-2], 0, dtype=int64)
    a, r = _tolerances(x, atol, rtol)
    s = eigvalsh(x).abs() if hermitian else svdvals(x)
    bound = a.maximum(r * s.amax(-1))
    return (s > bound.unsqueeze(-1)).sum(-1)


# ---- least squares


def _lstsq_ty(tys: tuple[Ty, ...], attrs: tuple[float, bool, bool, bool]) -> tuple[Ty, ...]:
    a, b = tys
    _, vector, residuals, ranks = attrs
    shape = b.shape + (1,) if vector else b.shape
    batch = batches(a, ty(shape, b.dtype))
    n, k = a.shape[-1], shape[-1]
    solution = columns((*batch, n, k), b.dtype)
    if vector:
        solution = ty((*batch, n), b.dtype)
    left = (*batch, k) if residuals else (0,)
    real = b.dtype.to_real()
    return solution, ty(left, real), ty(batch if ranks else (0,), int64)


def _lstsq_kernel(a: Any, b: Any, rcond: float, vector: bool, residuals: bool, ranks: bool) -> Any:
    b = b[..., None] if vector else b
    x, rank, _ = kernels.lstsq(a, b, rcond)
    left = np.zeros(0)
    if residuals:
        left = (np.abs(b - a @ x) ** 2).sum(-2)
    return x[..., 0] if vector else x, left, rank if ranks else np.zeros(0)


def _lstsq_vjp(f: Any, gx: Any, gl: Any, _: Any) -> tuple[Any, Any]:
    vector = f.attrs[1]
    a, b, x = f.saved(0), f.saved(1), f.out(0)
    if vector:
        b, x, gx = b.unsqueeze(-1), x.unsqueeze(-1), gx.unsqueeze(-1)
    p = pinv(a)
    gb = H(p) @ gx
    ga = pinv_gradient(gx @ H(b), p, a) if f.needs(0) else None
    if f.attrs[2] and not known_zero(gl):
        rest = (a @ x - b) * (2 * gl.unsqueeze(-2)).to(b.dtype)
        gb = gb - rest
        ga = None if ga is None else ga + rest @ H(x)
    return ga, gb.squeeze(-1) if vector else gb


LSTSQ = Operator(
    "linalg_lstsq", _lstsq_ty, lapack(_lstsq_kernel), _lstsq_vjp, saves=((0, (0, 1)), (1, (0, 1)), (OUT, (0, 1)))
)
DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _check_lstsq(a: Ty, b: Ty, driver: Any) -> bool:
    """Are the right sides vectors?"""
    name = "torch.linalg.lstsq"
    if a.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if b.ndim < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if a.dtype is not b.dtype:
        raise RuntimeError(f"{name}: Expected input and other to have the same dtype, but got input's dtype "
                           f"{SCALAR_NAMES[a.dtype]} and other's dtype {SCALAR_NAMES[b.dtype]}")  # fmt: skip
    if a.dtype.kind not in "fc" or is_half(a.dtype):
        raise RuntimeError("This function doesn't handle types other than float and double")
    if driver is not None and driver not in DRIVERS:
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    vector = _is_vector(a, b)
    if vector and a.shape[-2] != b.shape[-1]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-1)")
    if not vector and a.shape[-2] != b.shape[-2]:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-2)")
    return vector


@linalg
def lstsq(input: Any, b: Any, rcond: float | None = None, *, driver: str | None = None, out: Any = None) -> Any:
    """The X of least norm that minimises the norm of ``AX - B``
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.lstsq.html).

    Singular values up to ``rcond`` times the largest count as zero. The ``driver`` decides, as in PyTorch, which of
    residuals, rank and singular values are given.
    """
    vector = _check_lstsq(input._ty, b._ty, driver)
    driver = driver or "gelsy"
    m, n = input._ty.shape[-2:]
    bound = _least_part(driver, rcond, finfo(input._ty.dtype).eps, max(m, n))
    result = call(LSTSQ, (input, b), (bound, vector, False, driver != "gels"))
    if m > n and driver != "gelsy" and prod(input._ty.shape):
        result = _with_residuals(input, b, bound, vector, driver, result)
    values = input.new_zeros((0,)).detach()
    if driver in ("gelsd", "gelss"):
        values = svdvals(input.detach())
    solution, residuals, rank = result
    return into_exactly(return_types.linalg_lstsq((solution, residuals, rank, _real(values))), out, "linalg_lstsq")


def _least_part(driver: str, rcond: float | None, eps: float, size: int) -> float:
    """Singular values up to this part of the largest count as zero; LAPACK has its own where ``rcond`` is negative,
    and gelsd where it is not between 0 and 1."""
    if driver == "gels":
        return 0.0
    if rcond is None:
        return eps * size
    own = (driver == "gelss" and rcond < 0) or (driver == "gelsd" and not 0 < rcond < 1)
    return eps if own else float(rcond)


def _with_residuals(a: Any, b: Any, bound: float, vector: bool, driver: str, result: Any) -> Any:
    """Residuals are given if all matrices have full rank."""
    if driver != "gels" and (result[2]._numpy() != a._ty.shape[-1]).any():
        return result
    return call(LSTSQ, (a, b), (bound, vector, True, driver != "gels"))


def _real(x: Any) -> Any:
    return x.real if x.is_complex() else x
