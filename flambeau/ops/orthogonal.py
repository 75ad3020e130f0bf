"""QR and Householder reflectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import return_types
from ..compiler import numpy_linalg as kernels
from ..dtypes import SCALAR_NAMES
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._matrices import (
    H,
    by_composition,
    columns,
    into_exactly,
    lapack,
    linalg,
    need_floating,
    need_kernel,
    need_matrix,
    not_differentiable,
    save_all,
    tensor_argument,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS, call, export
from ._warned import warn_of
from .joining import cat
from .triangular import _solve_triangular

# ---- QR


def _qr_ty(tys: tuple[Ty, ...], attrs: tuple[str]) -> tuple[Ty, Ty]:
    t, mode = tys[0], attrs[0]
    m, n = t.shape[-2:]
    k = m if mode == "complete" else min(m, n)
    batch = t.shape[:-2]
    q = ty((0,), t.dtype) if mode == "r" else columns((*batch, m, k), t.dtype)
    return q, columns((*batch, k, n), t.dtype)


def _qr_kernel(a: Any, mode: str) -> Any:
    if mode == "r":
        return np.zeros(0, a.dtype), np.linalg.qr(a, "r")
    return kernels.qr(a, mode)


def _qr_vjp(f: Any, gq: Any, gr: Any) -> tuple[Any]:
    mode = f.attrs[0]
    m, n = f.ins[0].shape[-2:]
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use "
            "linalg.qr(A, mode='reduced') if you are going to differentiate through linalg.qr."
        )
    if mode == "complete" and m > n:
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
    q, r = f.out(0), f.out(1)
    if m >= n:
        return (_tall_qr_gradient(q, r, gq, gr),)
    # A = [X | Y] with X square: Y = Q R2 depends on X through Q.
    r1, gr1, gr2 = r[..., :m], gr[..., :m], gr[..., m:]
    gx = _tall_qr_gradient(q, r1, gq + (q @ r[..., m:]) @ H(gr2), gr1)
    return (cat([gx, q @ gr2], -1),)


def _tall_qr_gradient(q: Any, r: Any, gq: Any, gr: Any) -> Any:
    """The gradient of a matrix with at least as many rows as columns."""
    x = (gr @ H(r) - H(q) @ gq).triu()
    return _solve_triangular(
        H(r), gq + q @ (x + H(x.triu(1)) if not x.is_complex() else _real_diagonal(x)), False, left=False
    )


def _real_diagonal(x: Any) -> Any:
    """An upper triangle made Hermitian."""
    strict = x.triu(1)
    real = x.diagonal(0, -2, -1).real
    return strict + H(strict) + real.to(x.dtype).diag_embed(0, -2, -1)


QR = Operator(
    "linalg_qr",
    _qr_ty,
    lapack(_qr_kernel),
    _qr_vjp,
    saves=((OUT, (0,)), (OUT + 1, (0,))),
    grad_name="LinalgQrBackward0",
)


def _qr(x: Any, mode: str) -> Any:
    need_matrix("linalg.qr", x._ty)
    need_floating("linalg.qr", x._ty)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    need_kernel("geqrf_cpu", x._ty)
    return call(QR, (x,), (mode,))


@linalg
def qr(A: Any, mode: str = "reduced", *, out: Any = None) -> Any:
    """An orthogonal and an upper triangular factor (https://docs.pytorch.org/docs/stable/generated/torch.linalg.qr.html).

    With ``mode="complete"`` Q is square; with ``"r"`` it is empty.
    """
    return into_exactly(return_types.linalg_qr(_qr(A, mode)), out, "linalg_qr")


def _torch_qr(input: Any, some: bool = True, *, out: Any = None) -> Any:
    """As ``torch.linalg.qr``; deprecated."""
    warn_of("qr")
    return into_exactly(return_types.qr(_qr(input, "reduced" if some else "complete")), out, "qr")


FUNCTIONS["qr"] = METHODS["qr"] = tensor_argument(_torch_qr, "qr")

# ---- reflectors


def _geqrf_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    t = tys[0]
    return columns(t.shape, t.dtype), ty((*t.shape[:-2], min(t.shape[-2:])), t.dtype)


GEQRF = Operator("geqrf", _geqrf_ty, lapack(kernels.geqrf), not_differentiable("geqrf"))


@export()
@tensor_argument
def geqrf(input: Any, *, out: Any = None) -> Any:
    """The reflectors whose product is Q, below the diagonal of R, and their factors, as LAPACK has them."""
    if input._ty.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    need_kernel("geqrf_cpu", input._ty)
    return into_exactly(return_types.geqrf(call(GEQRF, (input,))), out, "geqrf")


def _reflected(v: Any, tau: Any, c: Any, order: range, adjoint: bool = False) -> Any:
    """The reflectors applied to ``c`` in tensor operators."""
    m = v._ty.shape[-2]
    for i in order:
        w = cat([v.new_zeros((*v._ty.shape[:-2], i)), v.new_ones((*v._ty.shape[:-2], 1)), v[..., i + 1 : m, i]], -1)[
            ..., None
        ]
        t = tau[..., i, None, None]
        c = c - (t.conj_physical() if adjoint else t) * (w @ (H(w) @ c))
    return c


def _householder_composition(attrs: Any, v: Any, tau: Any) -> Any:
    from .ranges import eye

    m, n = v._ty.shape[-2:]
    start = eye(m, n, dtype=v._ty.dtype).expand(v._ty.shape)
    return _reflected(v, tau, start, range(tau._ty.shape[-1] - 1, -1, -1))


HOUSEHOLDER_PRODUCT = Operator(
    "linalg_householder_product", lambda tys, attrs: columns(tys[0].shape, tys[0].dtype),
    lapack(kernels.householder_product), by_composition(_householder_composition), saves=save_all(0, 1),
    grad_name="LinalgHouseholderProductBackward0",
)  # fmt: skip


def _check_reflectors(name: str, v: Ty, tau: Ty) -> None:
    if v.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if name.endswith("product"):
        if v.shape[-2] < v.shape[-1]:
            raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
        if v.shape[-1] < tau.shape[-1]:
            raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")


def _check_tau(name: str, v: Ty, tau: Ty) -> None:
    if v.ndim - tau.ndim != 1:
        raise RuntimeError(f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to "
                           f"{tau.ndim} and input.ndim is equal to {v.ndim}")  # fmt: skip
    if v.shape[:-2] != tau.shape[:-1]:
        raise RuntimeError(f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got "
                           f"{list(tau.shape[:-1])}")  # fmt: skip
    if v.dtype is not tau.dtype:
        raise RuntimeError(
            f"{name}: tau dtype {SCALAR_NAMES[tau.dtype]} does not match input dtype {SCALAR_NAMES[v.dtype]}"
        )


@linalg
def householder_product(input: Any, tau: Any, *, out: Any = None) -> Any:
    """The first columns of a product of reflectors, as ``geqrf`` gives them
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.householder_product.html)."""
    name = "torch.linalg.householder_product"
    _check_reflectors(name, input._ty, tau._ty)
    _check_tau(name, input._ty, tau._ty)
    need_kernel("orgqr_cpu", input._ty)
    return into_exactly(call(HOUSEHOLDER_PRODUCT, (input, tau)), out, "linalg_householder_product")


@export()
@tensor_argument
def orgqr(input: Any, input2: Any, *, out: Any = None) -> Any:
    """As ``torch.linalg.householder_product``."""
    return householder_product(input, input2, out=out)


def _ormqr_composition(attrs: tuple[bool, bool], v: Any, tau: Any, c: Any) -> Any:
    left, adjoint = attrs
    if not left:
        return H(_ormqr_composition((True, not adjoint), v, tau, H(c)))
    k = tau._ty.shape[-1]
    return _reflected(v, tau, c, range(k) if adjoint else range(k - 1, -1, -1), adjoint)


ORMQR = Operator(
    "ormqr", lambda tys, attrs: columns(tys[2].shape, tys[2].dtype), lapack(kernels.ormqr),
    by_composition(_ormqr_composition), saves=save_all(0, 1, 2),
)  # fmt: skip


@export()
@tensor_argument
def ormqr(input: Any, tau: Any, other: Any, left: bool = True, transpose: bool = False, *, out: Any = None) -> Any:
    """A product of reflectors times ``other``, without forming the product."""
    v, t, c = input._ty, tau._ty, other._ty
    _check_reflectors("torch.ormqr", v, t)
    if c.ndim < 2:
        raise RuntimeError("torch.ormqr: other must have at least 2 dimensions.")
    side = -2 if left else -1
    if c.shape[side] != v.shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be equal to input.shape[-2]")
    if t.shape[-1] != min(c.shape[side], v.shape[-1]):
        raise RuntimeError(f"torch.ormqr: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])")
    _check_tau("torch.ormqr", v, t)
    need_kernel("ormqr_cpu", v)
    return into_exactly(call(ORMQR, (input, tau, other), (bool(left), bool(transpose))), out, "ormqr")
