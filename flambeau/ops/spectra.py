"""Singular values, eigenvalues and their vectors."""

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
    check,
    columns,
    info_ty,
    into_exactly,
    known_zero,
    lapack,
    linalg,
    need_floating,
    need_kernel,
    need_matrix,
    need_square,
    on_diagonal,
    tensor_argument,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS, call

# ---- singular values


def _svd_ty(tys: tuple[Ty, ...], attrs: tuple[bool]) -> tuple[Ty, ...]:
    t = tys[0]
    m, n = t.shape[-2:]
    k, batch = min(m, n), t.shape[:-2]
    rows, cols = (m, n) if attrs[0] else (k, k)
    u, vh = columns((*batch, m, rows), t.dtype), columns((*batch, cols, n), t.dtype)
    return u, ty((*batch, k), t.dtype.to_real()), vh, info_ty(batch)


def _values_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    t = tys[0]
    return ty((*t.shape[:-2], min(t.shape[-2:])), t.dtype.to_real()), info_ty(t.shape[:-2])


def _svd_vjp(f: Any, gu: Any, gs: Any, gvh: Any, _: Any) -> tuple[Any]:
    u, s, vh = f.out(0), f.out(1), f.out(2)
    k = s._ty.shape[-1]
    u, vh = u[..., :k], vh[..., :k, :]
    if known_zero(gu) and known_zero(gvh):
        return (_scaled(u, gs) @ vh,)
    _check_phase("svd_backward: The singular vectors", gu, f.out(0), gvh, f.out(2))
    return (svd_gradient(u, s, vh, gu[..., :k], gs, gvh[..., :k, :], f.ins[0].shape),)


def _scaled(u: Any, d: Any) -> Any:
    """``u`` times a diagonal matrix."""
    return u * d.unsqueeze(-2).to(u.dtype)


def svd_gradient(u: Any, s: Any, vh: Any, gu: Any, gs: Any, gvh: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of a matrix from those of its reduced decomposition (Townsend 2016; Wan and Zhang 2019)."""
    m, n = shape[-2:]
    k = s._ty.shape[-1]
    row, col = s.unsqueeze(-2), s.unsqueeze(-1)
    gaps = (row - col) * (row + col)
    gaps = gaps + on_diagonal(gaps.new_ones(s._ty.shape))
    left, right = H(u) @ gu, vh @ H(gvh)
    skew_u, skew_v = (left - H(left)) / gaps, (right - H(right)) / gaps
    inner = skew_u * row + col * skew_v + on_diagonal(gs).to(u.dtype)
    if u.is_complex():
        phase = (left - H(left)).diagonal(0, -2, -1)
        turned = phase / (2 * s)
        inner = skew_u * row * _off_diagonal(s) + col * skew_v * _off_diagonal(s) + on_diagonal(gs.to(u.dtype) + turned)
    if m > k or n > k:
        return _svd_outside(u, s, vh, gu, gvh, inner, m > k)
    return u @ inner @ vh


def _off_diagonal(s: Any) -> Any:
    return 1 - on_diagonal(s.new_ones(s._ty.shape))


def _svd_outside(u: Any, s: Any, vh: Any, gu: Any, gvh: Any, inner: Any, tall: bool) -> Any:
    """With the part of the gradient outside the spaces that the singular vectors span."""
    if tall:
        outside = gu / s.unsqueeze(-2)
        return (u @ (inner - H(u) @ outside) + outside) @ vh
    outside = gvh / s.unsqueeze(-1)
    return u @ ((inner - outside @ H(vh)) @ vh + outside)


def _check_phase(what: str, gu: Any, u: Any, gvh: Any, vh: Any) -> None:
    """Complex vectors are free up to a phase, on which the loss must not depend."""
    if not u.is_complex():
        return
    k = min(u._ty.shape[-1], vh._ty.shape[-2])
    left = (H(u) @ gu)[..., :k, :k].diagonal(0, -2, -1).imag.detach()._numpy()
    right = (vh @ H(gvh))[..., :k, :k].diagonal(0, -2, -1).imag.detach()._numpy()
    if not np.allclose(left, -right, 1e-2, 1e-2):
        raise RuntimeError(
            f"{what} in the complex case are specified up to multiplication by e^{{i phi}}. The specified loss "
            "function depends on this phase term, making it ill-defined."
        )


def _svdvals_vjp(f: Any, g: Any, _: Any) -> tuple[Any]:
    u, _, vh, _ = call(SVD, (f.saved(0),), (False,))
    return (_scaled(u, g) @ vh,)


SVD = Operator(
    "linalg_svd", _svd_ty, lapack(kernels.svd), _svd_vjp, saves=((OUT, (0,)), (OUT + 1, (0,)), (OUT + 2, (0,))),
    grad_name="LinalgSvdBackward0",
)  # fmt: skip
SVDVALS = Operator(
    "linalg_svdvals",
    _values_ty,
    lapack(kernels.svdvals),
    _svdvals_vjp,
    saves=((0, (0,)),),
    grad_name="LinalgSvdBackward0",
)
NOT_FINITE = "The algorithm failed to converge because the input matrix contained non-finite values."


def _check_svd(x: Any, driver: Any = None) -> None:
    need_matrix("linalg.svd", x._ty)
    need_floating("linalg.svd", x._ty)
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend."
        )
    need_kernel("linalg_svd_cpu", x._ty)


def singular_vectors(x: Any, full: bool) -> tuple[Any, Any, Any]:
    """U, S and V^H.

    Raises:
        LinAlgError: values that are not finite.
    """
    _check_svd(x)
    u, s, vh, info = call(SVD, (x,), (full,))
    check(info, "linalg.svd", NOT_FINITE)
    return u, s, vh


@linalg
def svd(A: Any, full_matrices: bool = True, *, driver: str | None = None, out: Any = None) -> Any:
    """Singular values and vectors (https://docs.pytorch.org/docs/stable/generated/torch.linalg.svd.html).

    Raises:
        LinAlgError: values that are not finite.
    """
    _check_svd(A, driver)
    return into_exactly(return_types.linalg_svd(singular_vectors(A, bool(full_matrices))), out, "linalg_svd")


@linalg
def svdvals(A: Any, *, driver: str | None = None, out: Any = None) -> Any:
    """Singular values in descending order."""
    _check_svd(A, driver)
    s, info = call(SVDVALS, (A,))
    check(info, "linalg.svd", NOT_FINITE)
    return into_exactly(s, out, "linalg_svdvals")


def _torch_svd(input: Any, some: bool = True, compute_uv: bool = True, *, out: Any = None) -> Any:
    """Singular values and vectors, V not transposed; deprecated for ``torch.linalg.svd``."""
    t = input._ty
    if t.ndim < 2:
        raise RuntimeError(f"linalg.svd: input should have at least 2 dimensions, but has {t.ndim} dimensions instead")
    if compute_uv:
        u, s, vh = singular_vectors(input, not some)
        return into_exactly(return_types.svd((u, s, vh.mH)), out, "svd")
    m, n = t.shape[-2:]
    empty = [input.new_zeros((*t.shape[:-2], size, size)) for size in (m, n)]
    return into_exactly(return_types.svd((empty[0], svdvals(input), empty[1])), out, "svd")


FUNCTIONS["svd"] = METHODS["svd"] = tensor_argument(_torch_svd, "svd")

# ---- Hermitian matrices


def _eigh_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    t = tys[0]
    return ty(t.shape[:-1], t.dtype.to_real()), columns(t.shape, t.dtype)


def _eigh_vjp(f: Any, gw: Any, gv: Any) -> tuple[Any]:
    w, v = f.out(0), f.out(1)
    if known_zero(gv):
        return (_scaled(v, gw) @ H(v),)
    inner = H(v) @ gv
    _check_turn("linalg_eigh_backward", inner)
    gaps = w.unsqueeze(-2) - w.unsqueeze(-1)
    eye = on_diagonal(w.new_ones(w._ty.shape))
    turn = (inner - H(inner)) / 2  # eigenvectors can but turn; what is left makes the gradient symmetric
    inner = turn / (gaps + eye) * (1 - eye) + on_diagonal(gw).to(v.dtype)
    return (v @ inner @ H(v),)


def _check_turn(name: str, inner: Any) -> None:
    if inner.is_complex() and np.abs(inner.diagonal(0, -2, -1).imag.detach()._numpy()).max(initial=0) > 1e-2:
        raise RuntimeError(
            f"{name}: The eigenvectors in the complex case are specified up to multiplication by e^{{i phi}}. The "
            "specified loss function depends on this quantity, so it is ill-defined."
        )


EIGH = Operator(
    "linalg_eigh",
    _eigh_ty,
    lapack(kernels.eigh),
    _eigh_vjp,
    saves=((OUT, (0,)), (OUT + 1, (0,))),
    grad_name="LinalgEighBackward0",
)


def _eigvalsh_vjp(f: Any, g: Any) -> tuple[Any]:
    v = call(EIGH, (f.saved(0),), f.attrs)[1]
    return (_scaled(v, g) @ H(v),)


EIGVALSH = Operator(
    "linalg_eigvalsh", lambda tys, attrs: _eigh_ty(tys, attrs)[0], lapack(kernels.eigvalsh), _eigvalsh_vjp,
    saves=((0, (0,)),), grad_name="LinalgEighBackward0",
)  # fmt: skip


def _checked_uplo(x: Any, uplo: str) -> str:
    need_square("linalg.eigh", x._ty)
    if uplo.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")
    need_kernel("linalg_eigh_cpu", x._ty)
    return uplo.upper()


@linalg
def eigh(input: Any, UPLO: str = "L", *, out: Any = None) -> Any:
    """Eigenvalues in ascending order and eigenvectors of Hermitian matrices, of which one triangle is read
    (https://docs.pytorch.org/docs/stable/generated/torch.linalg.eigh.html)."""
    uplo = _checked_uplo(input, UPLO)
    return into_exactly(return_types.linalg_eigh(call(EIGH, (input,), (uplo,))), out, "linalg_eigh")


@linalg
def eigvalsh(input: Any, UPLO: str = "L", *, out: Any = None) -> Any:
    """Eigenvalues of Hermitian matrices in ascending order."""
    uplo = _checked_uplo(input, UPLO)
    return into_exactly(call(EIGVALSH, (input,), (uplo,)), out, "linalg_eigvalsh")


# ---- any square matrices


def _eig_ty(tys: tuple[Ty, ...], attrs: Any) -> tuple[Ty, Ty]:
    t = tys[0]
    dt = t.dtype.to_complex()
    return ty(t.shape[:-1], dt), columns(t.shape, dt)


def _eig_vjp(f: Any, gw: Any, gv: Any) -> tuple[Any]:
    w, v = f.out(0), f.out(1)
    if known_zero(gv):
        inner = on_diagonal(gw)
    else:
        inner = H(v) @ gv
        if f.ins[0].dtype.is_complex:
            _check_turn("linalg_eig_backward", inner)
        inner = inner - (H(v) @ v) * inner.diagonal(0, -2, -1).real.unsqueeze(-2)
        gaps = (w.unsqueeze(-2) - w.unsqueeze(-1)).conj_physical()
        eye = on_diagonal(w.real.new_ones(w._ty.shape))
        inner = inner / (gaps + eye) * (1 - eye) + on_diagonal(gw)
    from .elimination import solve

    return (solve(H(v), inner @ H(v)),)


EIG = Operator(
    "linalg_eig",
    _eig_ty,
    lapack(np.linalg.eig),
    _eig_vjp,
    saves=((OUT, (0,)), (OUT + 1, (0,))),
    grad_name="LinalgEigBackward0",
)


def _eigvals_vjp(f: Any, g: Any) -> tuple[Any]:
    from .elimination import solve

    v = call(EIG, (f.saved(0),))[1]
    return (solve(H(v), on_diagonal(g) @ H(v)),)


EIGVALS = Operator(
    "linalg_eigvals", lambda tys, attrs: _eig_ty(tys, attrs)[0], lapack(np.linalg.eigvals), _eigvals_vjp,
    saves=((0, (0,)),), grad_name="LinalgEigBackward0",
)  # fmt: skip


def _check_eig(name: str, x: Any) -> None:
    need_square(name, x._ty)
    if x._ty.dtype.kind not in "fc":
        raise RuntimeError(f"Unknown Complex ScalarType for {SCALAR_NAMES[x._ty.dtype]}")
    need_kernel("linalg_eig_out_cpu", x._ty)
    if not np.isfinite(x.detach()._numpy()).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")


@linalg
def eig(input: Any, *, out: Any = None) -> Any:
    """Eigenvalues and eigenvectors, complex (https://docs.pytorch.org/docs/stable/generated/torch.linalg.eig.html)."""
    _check_eig("linalg.eig", input)
    return into_exactly(return_types.linalg_eig(call(EIG, (input,))), out, "linalg_eig")


@linalg
def eigvals(input: Any, *, out: Any = None) -> Any:
    """Eigenvalues, complex."""
    _check_eig("linalg.eigvals", input)
    return into_exactly(call(EIGVALS, (input,)), out, "linalg_eigvals")
