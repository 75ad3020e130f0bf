"""A few eigenvalues or singular values of large matrices."""

from __future__ import annotations

from typing import Any

from ._matrices import H, tensor_argument
from ._registry import function
from .matrix_products import matmul as _matmul
from .orthogonal import qr
from .random import randn
from .spectra import eigh, singular_vectors
from .triangular import _solve_triangular, cholesky

# ---- approximate decompositions


def _range_basis(a: Any, q: int, steps: int, m: Any) -> Any:
    """An orthonormal basis of nearly the range of ``a - m`` (Halko et al. 2009, algorithm 4.4)."""

    def times(x: Any, y: Any, z: Any) -> Any:
        return _matmul(x, z) if y is None else _matmul(x, z) - _matmul(y, z)

    basis = qr(times(a, m, randn(a._ty.shape[-1], q, dtype=a._ty.dtype)))[0]
    for _ in range(steps):
        basis = qr(times(H(a), None if m is None else H(m), basis))[0]
        basis = qr(times(a, m, basis))[0]
    return basis


@function()
@tensor_argument
def svd_lowrank(A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None) -> tuple[Any, Any, Any]:
    """About the ``q`` largest singular values and their vectors ``(U, S, V)``, of ``A - M`` if M is given
    (https://docs.pytorch.org/docs/stable/generated/torch.svd_lowrank.html)."""
    q, steps = 6 if q is None else q, 2 if niter is None else niter
    wide = A._ty.shape[-2] < A._ty.shape[-1]
    M = None if M is None else M.expand(A._ty.shape)
    if wide:
        A, M = H(A), None if M is None else H(M)
    basis = _range_basis(A, q, steps, M)
    small = _matmul(H(basis), A)
    if M is not None:
        small = small - _matmul(H(basis), M)
    u, s, vh = singular_vectors(small, False)
    u, v = _matmul(basis, u), vh.mH
    return (v, s, u) if wide else (u, s, v)


@function()
@tensor_argument
def pca_lowrank(A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Any, Any, Any]:
    """Principal components by ``svd_lowrank``, with the columns' means removed if ``center``.

    Raises:
        ValueError: ``q`` or ``niter`` out of range.
    """
    least = min(A._ty.shape[-2:])
    if q is None:
        q = min(6, least)
    elif not 0 <= q <= least:
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={least}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)


# ---- some eigenvalues


@function()
@tensor_argument
def lobpcg(
    A: Any,
    k: int | None = None,
    B: Any = None,
    X: Any = None,
    n: int | None = None,
    iK: Any = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Any = None,
    ortho_iparams: Any = None,
    ortho_fparams: Any = None,
    ortho_bparams: Any = None,
) -> tuple[Any, Any]:
    """The ``k`` largest (or smallest) eigenvalues and eigenvectors of ``A x = w B x``, A symmetric and B positive.

    All eigenvalues are computed directly, so what steers PyTorch's iteration (``iK``, ``niter``, ``tol``, ``method``,
    ``ortho_*``) has no effect.

    Raises:
        NotImplementedError: a ``tracker`` is given, since there are no steps to track.
    """
    if tracker is not None:
        raise NotImplementedError("lobpcg: there are no iterations to call a tracker for; use torch.linalg.eigh")
    k = k if k is not None else 1 if X is None else X._ty.shape[-1]
    low = None if B is None else cholesky(B)
    if low is not None:
        A = _solve_triangular(low, H(_solve_triangular(low, H(A), False)), False)
    w, v = eigh((A + H(A)) / 2)  # an iteration reads both triangles, so both have a gradient
    if largest is None or largest:
        w, v = w.flip(-1), v.flip(-1)
    w, v = w[..., :k], v[..., :k]
    return w, v if low is None else _solve_triangular(H(low), v, True)
