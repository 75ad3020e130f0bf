"""Matrix factorisations in NumPy on stacks of matrices: what ``numpy.linalg`` lacks, and what it refuses to say.

Functions that may fail return ``info`` as LAPACK does (0: fine), one number a matrix, and never raise for a matrix's
values: other pending work shares the program.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from .openblas import getrf

Array = Any  # numpy.ndarray, whose stubs know neither shapes nor dtypes here
FEW = 4096  # elements of a matrix, which NumPy copies fast
PANEL = 48  # columns that are eliminated before the rest of the matrix is brought up to date


def dagger(a: Array) -> Array:
    """Conjugate transposes."""
    return np.conj(np.swapaxes(a, -1, -2))


def transposed(a: Array) -> Array:
    """Transposes."""
    return np.swapaxes(a, -1, -2)


def each(f: Callable[[Array], tuple[Array, int]], a: Array) -> tuple[Array, Array]:
    """``f`` on every matrix: the results and ``info`` stacked."""
    batch = a.shape[:-2]
    found = [f(m) for m in a.reshape((-1, *a.shape[-2:]))]
    info = np.array([i for _, i in found], np.int32).reshape(batch)
    return np.stack([r for r, _ in found]).reshape(batch + found[0][0].shape), info


def no_info(a: Array) -> Array:
    """``info`` of matrices that caused no trouble."""
    return np.zeros(a.shape[:-2], np.int32)


def _by_columns(name: str, shape: tuple[int, ...], *args: Array) -> Array | None:
    """NumPy's function of LAPACK, into matrices that lie by columns, as LAPACK leaves them.

    None where it fails, or where that does not pay.

    What NumPy takes to copy them into rows is a multiple of the time of a factorisation. It computes in the matrices'
    own precision, as PyTorch does and NumPy's functions do not: these double single precision first.
    """
    if shape[-2] * shape[-1] < FEW or 0 in shape:
        return None
    out = transposed(np.empty((*shape[:-2], shape[-1], shape[-2]), args[0].dtype))
    with np.errstate(all="ignore"):
        getattr(np.linalg._umath_linalg, name)(*args, out=out, dtype=out.dtype)  # type: ignore[attr-defined]
    return None if np.isnan(out).any() else out


def _in_single(name: str, a: Array) -> Any:
    """What NumPy's function of LAPACK of this name gives in single precision.

    None for other dtypes and for small matrices, where that does not pay, and where it fails.
    """
    function = getattr(np.linalg._umath_linalg, name, None)  # type: ignore[attr-defined]
    if a.dtype.char not in "fF" or a.shape[-2] * a.shape[-1] < FEW or 0 in a.shape or function is None:
        return None
    with np.errstate(all="ignore"):
        found = function(a)
    return None if any(np.isnan(x).any() for x in (found if isinstance(found, tuple) else (found,))) else found


# ---- LU


def lu_factor(a: Array) -> tuple[Array, Array, Array]:
    """L and U in one matrix, the row exchanges counted from 1, and where U's first zero is (0 if nowhere)."""
    m, n = a.shape[-2:]
    stack, batch, k = a.reshape((prod(a.shape[:-2]), m, n)), a.shape[:-2], min(m, n)
    lu, pivots, info = getrf(stack) or _eliminated(stack, k)
    return lu.reshape(a.shape), pivots.reshape((*batch, k)), info.reshape(batch)


def _eliminated(a: Array, k: int) -> tuple[Array, Array, Array]:
    """What LAPACK's ``getrf`` gives, for all matrices together."""
    lu = np.array(a)
    pivots = np.tile(np.arange(1, k + 1, dtype=np.int32), (len(lu), 1))
    info = np.zeros(len(lu), np.int32)
    for start in range(0, k, PANEL):
        stop = min(start + PANEL, k)
        for j in range(start, stop):
            _eliminate(lu, pivots, info, j, stop)
        _bring_up_to_date(lu, start, stop)
    return lu, pivots, info


def _eliminate(lu: Array, pivots: Array, info: Array, j: int, stop: int) -> None:
    """Column ``j``: the largest element becomes the pivot; columns before ``stop`` are brought up to date."""
    if not len(lu):
        return
    rows = np.arange(len(lu))
    column = lu[:, j:, j]
    p = j + (np.abs(column.real) + np.abs(column.imag)).argmax(1)
    pivots[:, j] = p + 1
    lu[rows, j], lu[rows, p] = lu[rows, p], lu[rows, j].copy()
    pivot = lu[:, j, j]
    info[(pivot == 0) & (info == 0)] = j + 1
    lu[:, j + 1 :, j] /= np.where(pivot == 0, 1, pivot)[:, None]
    lu[:, j + 1 :, j + 1 : stop] -= lu[:, j + 1 :, j, None] * lu[:, j, None, j + 1 : stop]


def _bring_up_to_date(lu: Array, start: int, stop: int) -> None:
    """The columns right of an eliminated panel."""
    if stop < lu.shape[-1]:
        lu[:, start:stop, stop:] = substitute(lu[:, start:stop, start:stop], lu[:, start:stop, stop:], False, True)
        lu[:, stop:, stop:] -= lu[:, stop:, start:stop] @ lu[:, start:stop, stop:]


def permutation(pivots: Array, m: int) -> Array:
    """Which row of the matrix becomes each row of L U, from the row exchanges."""
    flat = pivots.reshape((prod(pivots.shape[:-1]), pivots.shape[-1])).astype(np.int64) - 1
    perm = np.tile(np.arange(m), (len(flat), 1))
    rows = np.arange(len(flat))
    for j in range(flat.shape[1]):
        p = flat[:, j]
        perm[rows, j], perm[rows, p] = perm[rows, p], perm[rows, j].copy()
    return perm.reshape((*pivots.shape[:-1], m))


# ---- triangles


def triangle(a: Array, upper: bool, unit: bool) -> Array:
    """One triangle of square matrices, with ones on the diagonal if ``unit``."""
    a = np.triu(a) if upper else np.tril(a)
    if unit:
        i = np.arange(a.shape[-1])
        a[..., i, i] = 1
    return a


def substitute(a: Array, b: Array, upper: bool, unit: bool) -> Array:
    """Solves ``A X = B`` for a triangle; a zero on the diagonal divides as IEEE 754 says."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = np.array(np.broadcast_to(b, batch + b.shape[-2:]))
    n = a.shape[-1]
    for i in range(n - 1, -1, -1) if upper else range(n):
        if not unit:
            x[..., i, :] /= a[..., i, i, None]
        rest = slice(0, i) if upper else slice(i + 1, n)
        x[..., rest, :] -= a[..., rest, i, None] * x[..., None, i, :]
    return x


def _solved(a: Array, b: Array) -> Array:
    # NumPy 1 takes sides with one dimension less than the matrices for vectors.
    b = b[(None,) * (a.ndim - b.ndim)]
    found = _by_columns("solve", (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), a, b)
    return np.linalg.solve(a, b) if found is None else found


def solve_triangular(a: Array, b: Array, upper: bool, left: bool = True, unit: bool = False) -> Array:
    """Solves ``A X = B`` (or ``X A = B``) reading one triangle of A."""
    if not left:
        return transposed(solve_triangular(transposed(a), transposed(b), not upper, True, unit))
    a = triangle(a, upper, unit)
    try:
        return _solved(a, b)
    except np.linalg.LinAlgError:
        return substitute(a, b, upper, unit)


def lu_solve(lu: Array, pivots: Array, b: Array, left: bool = True, adjoint: bool = False) -> Array:
    """Solves ``A X = B`` with the factors of A; with ``adjoint`` for its conjugate transpose."""
    if not left:
        return dagger(lu_solve(lu, pivots, dagger(b), True, not adjoint))
    batch = np.broadcast_shapes(lu.shape[:-2], b.shape[:-2])
    b = np.broadcast_to(b, batch + b.shape[-2:])
    perm = np.broadcast_to(permutation(pivots, lu.shape[-1]), (*batch, lu.shape[-1]))[..., None]
    if not adjoint:
        y = solve_triangular(lu, np.take_along_axis(b, perm, -2), False, True, True)
        return solve_triangular(lu, y, True)
    y = solve_triangular(dagger(lu), solve_triangular(dagger(lu), b, False), True, True, True)
    return np.take_along_axis(y, np.argsort(perm, -2), -2)


# ---- solving


def _solve_one(a: Array, b: Array) -> tuple[Array, int]:
    # The transpose is what PyTorch factors of a row-major matrix; it decides which matrices count as singular.
    lu, pivots, info = lu_factor(transposed(a))
    return lu_solve(np.conj(lu), pivots, b, True, True), int(info)


def solve(a: Array, b: Array) -> tuple[Array, Array]:
    """The solution of ``A X = B`` and ``info``."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    try:
        return _solved(a, b), np.zeros(batch, np.int32)
    except np.linalg.LinAlgError:
        n, k = a.shape[-1], b.shape[-1]
        both = np.concatenate([np.broadcast_to(a, (*batch, n, n)), np.broadcast_to(b, (*batch, n, k))], -1)
        return each(lambda m: _solve_one(m[:, :n], m[:, n:]), both)


def inv(a: Array) -> tuple[Array, Array]:
    """The inverse and ``info``."""
    found = _by_columns("inv", a.shape, a)
    if found is not None:
        return found, no_info(a)
    try:
        return np.linalg.inv(a), no_info(a)
    except np.linalg.LinAlgError:
        return each(lambda m: _solve_one(m, np.eye(len(m), dtype=m.dtype)), a)


def cofactors(a: Array) -> Array:
    """The derivative of the determinant, also where it is zero."""
    if 0 in a.shape:
        return np.zeros_like(a)
    u, s, vh = np.linalg.svd(a)
    n = s.shape[-1]
    others = np.prod(np.where(np.eye(n, dtype=bool), 1, s[..., None, :]), -1)
    unit = np.linalg.det(u) * np.linalg.det(vh)
    return unit[..., None, None] * np.conj((u * others[..., None, :]) @ vh)


# ---- Cholesky


def _cholesky_one(a: Array) -> tuple[Array, int]:
    good, bad = 0, len(a)  # the leading minors of order ``good`` are positive, of order ``bad`` not
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if _positive(a[:middle, :middle]) else (good, middle)
    if bad == len(a) and _positive(a):
        return np.linalg.cholesky(a), 0
    part = np.tril(a)
    part[:good, :good] = np.linalg.cholesky(a[:good, :good])
    return part, bad


def _positive(a: Array) -> bool:
    try:
        return not np.isnan(np.linalg.cholesky(a)).any()
    except np.linalg.LinAlgError:
        return False


def cholesky(a: Array, upper: bool = False) -> tuple[Array, Array]:
    """The factor and ``info``: the order of the first leading minor that is not positive."""
    if upper:
        factor, info = cholesky(dagger(a))
        return dagger(factor), info
    found = _by_columns("cholesky_lo", a.shape, a)
    if found is not None:
        return found, no_info(a)
    try:
        factor = np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return each(_cholesky_one, a)
    return each(_cholesky_one, a) if np.isnan(factor).any() else (factor, no_info(a))


# ---- Householder reflectors


def qr(a: Array, mode: Any) -> tuple[Array, Array]:
    """Q and R; mode ``reduced`` or ``complete``."""
    # What NumPy works on keeps the order of this copy, and it copies columns faster.
    q, r = np.linalg.qr(a.copy("F") if a.ndim == 2 else a, mode)
    return q, r


def geqrf(a: Array) -> tuple[Array, Array]:
    """R and the reflectors' vectors in one matrix, and the reflectors' factors."""
    h, tau = np.linalg.qr(a, "raw")
    return transposed(h), tau


def reflect(v: Array, tau: Array, c: Array, order: range, adjoint: bool = False) -> Array:
    """The reflectors ``order`` applied to ``c`` from the left; their vectors are below the diagonal of ``v``."""
    c = np.array(c)
    for i in order:
        w = np.concatenate([np.ones_like(v[..., :1, i]), v[..., i + 1 :, i]], -1)
        t = tau[..., i, None]
        c[..., i:, :] -= (
            (np.conj(t) if adjoint else t)[..., None] * w[..., :, None] * (np.conj(w)[..., None, :] @ c[..., i:, :])
        )
    return c


def householder_product(v: Array, tau: Array) -> Array:
    """The first columns of the product of reflectors."""
    eye = np.broadcast_to(np.eye(*v.shape[-2:], dtype=v.dtype), v.shape)
    return reflect(v, tau, eye, range(tau.shape[-1] - 1, -1, -1))


def ormqr(v: Array, tau: Array, c: Array, left: bool, adjoint: bool) -> Array:
    """The whole product of reflectors (or its conjugate transpose) times ``c``."""
    if not left:
        return dagger(ormqr(v, tau, dagger(c), True, not adjoint))
    k = tau.shape[-1]
    return reflect(v, tau, c, range(k) if adjoint else range(k - 1, -1, -1), adjoint)


# ---- spectra


def _finite(a: Array) -> tuple[Array, Array]:
    """Zeros in place of matrices with values that are not finite, and which those are."""
    bad = ~np.isfinite(a).all((-2, -1))
    return (np.where(bad[..., None, None], 0, a), bad) if bad.any() else (a, bad)


def svd(a: Array, full: bool) -> tuple[Array, Array, Array, Array]:
    """U, S, V^H and ``info``, which is -1 for values that are not finite."""
    good, bad = _finite(a)
    u, s, vh = _in_single("svd_f" if full else "svd_s", good) or np.linalg.svd(good, full)
    return u, s, vh, np.where(bad, -1, 0)


def svdvals(a: Array) -> tuple[Array, Array]:
    """The singular values and ``info``."""
    good, bad = _finite(a)
    s = _in_single("svd", good)
    return np.linalg.svd(good, compute_uv=False) if s is None else s, np.where(bad, -1, 0)


_TRIANGLES = {"L": "lo", "U": "up"}


def eigh(a: Array, uplo: Any) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors; NaN where the values are not finite."""
    good, bad = _finite(a)
    w, v = _in_single(f"eigh_{_TRIANGLES[uplo.upper()]}", good) or np.linalg.eigh(good, uplo)
    return np.where(bad[..., None], np.nan, w), np.where(bad[..., None, None], np.nan, v)


def eigvalsh(a: Array, uplo: Any) -> Array:
    """Eigenvalues."""
    good, bad = _finite(a)
    w = _in_single(f"eigvalsh_{_TRIANGLES[uplo.upper()]}", good)
    return np.where(bad[..., None], np.nan, np.linalg.eigvalsh(good, uplo) if w is None else w)


def pinv(a: Array, atol: Array, rtol: Array, hermitian: bool) -> Array:
    """Pseudo-inverses; singular values up to ``max(atol, rtol * largest)`` count as zero."""
    if 0 in a.shape:
        return np.zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
    if hermitian:
        w, u = np.linalg.eigh(a)
        s, sign, vh = np.abs(w), np.sign(w), dagger(u)
    else:
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        sign = np.ones_like(s)
    keep = s > np.maximum(atol, rtol * s.max(-1, initial=0))[..., None]
    inverse = np.where(keep, sign / np.where(keep, s, 1), 0)
    return (dagger(vh) * inverse[..., None, :]) @ dagger(u)


def lstsq(a: Array, b: Array, rcond: float) -> tuple[Array, Array, Array]:
    """The least-squares solution of least norm, the rank and the singular values."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if 0 in a.shape[-2:]:
        k = min(a.shape[-2:])
        return (
            np.zeros((*batch, a.shape[-1], b.shape[-1]), a.dtype),
            np.zeros(batch, np.int64),
            np.zeros((*batch, k), a.dtype),
        )
    u, s, vh = np.linalg.svd(a.astype(np.promote_types(a.dtype, np.float64)), full_matrices=False)
    keep = s > rcond * s.max(-1, initial=0, keepdims=True)
    inverse = np.where(keep, 1 / np.where(keep, s, 1), 0)
    return dagger(vh) @ (inverse[..., :, None] * (dagger(u) @ b)), keep.sum(-1), s


# ---- functions of matrices

PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
        670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)  # fmt: skip


def _expm_one(a: Array) -> tuple[Array, int]:
    """Padé approximation of order 13 with scaling and squaring (Higham 2005)."""
    size = np.abs(a).sum(0).max(initial=0)
    if not np.isfinite(size):
        return np.full_like(a, np.nan), 0
    squarings = max(0, int(np.ceil(np.log2(size / 5.37)))) if size else 0
    a = a / 2.0**squarings
    a2 = a @ a
    powers = [np.eye(len(a), dtype=a.dtype), a2, a2 @ a2]
    powers.append(powers[2] @ a2)
    even = powers[3] @ sum(PADE[2 * i + 6] * powers[i] for i in range(1, 4)) + sum(
        PADE[2 * i] * powers[i] for i in range(4)
    )
    odd = powers[3] @ sum(PADE[2 * i + 7] * powers[i] for i in range(1, 4)) + sum(
        PADE[2 * i + 1] * powers[i] for i in range(4)
    )
    odd = a @ odd
    x = np.linalg.solve(even - odd, even + odd)
    for _ in range(squarings):
        x = x @ x
    return x, 0


def expm(a: Array) -> Array:
    """Matrix exponentials, computed in double precision."""
    if a.size == 0:
        return a.copy()
    return each(_expm_one, a.astype(np.promote_types(a.dtype, np.float64)))[0].astype(a.dtype)


# ---- symmetric indefinite matrices


def ldl_factor(a: Array, hermitian: bool) -> tuple[Array, Array, Array]:
    """The factors of Bunch and Kaufman as LAPACK lays them out for a lower triangle, pivots and ``info``.

    Raises:
        ImportError: SciPy is not installed.
    """
    routine = sytrf(a.dtype, hermitian)
    batch, n = a.shape[:-2], a.shape[-1]
    if a.size == 0:
        return a.copy(), np.zeros((*batch, n), np.int32), no_info(a)
    found = [routine(m, lower=1) for m in a.reshape((-1, n, n))]
    ld = np.stack([np.tril(f[0]) for f in found]).reshape(a.shape)
    pivots = np.stack([f[1] for f in found]).astype(np.int32)
    return ld, pivots.reshape((*batch, n)), np.array([f[2] for f in found], np.int32).reshape(batch)


def sytrf(dtype: np.dtype, hermitian: bool) -> Callable[..., tuple[Array, Array, int]]:
    """LAPACK's routine.

    Raises:
        ImportError: SciPy is not installed.
    """
    try:
        from scipy.linalg import get_lapack_funcs
    except ImportError:
        raise ImportError("torch.linalg.ldl_factor needs SciPy: pip install flambeau[scipy]") from None
    name = "hetrf" if hermitian and dtype.kind == "c" else "sytrf"
    return get_lapack_funcs((name,), dtype=dtype)[0]  # type: ignore[index,return-value]


def ldl_solve(ld: Array, pivots: Array, b: Array, hermitian: bool) -> Array:
    """Solves ``A X = B`` with the factors of ``ldl_factor``."""
    n = ld.shape[-1]
    batch = np.broadcast_shapes(ld.shape[:-2], b.shape[:-2])
    out = np.empty(batch + b.shape[-2:], b.dtype)
    for i in np.ndindex(batch):
        a = np.broadcast_to(ld, (*batch, n, n))[i]
        p = np.broadcast_to(pivots, (*batch, n))[i]
        out[i] = _ldl_solve_one(a, p, np.broadcast_to(b, batch + b.shape[-2:])[i], hermitian)
    return out


def _ldl_solve_one(ld: Array, pivots: Array, b: Array, hermitian: bool) -> Array:
    lower, middle = _ldl_parts(ld, pivots, hermitian)
    back = dagger(lower) if hermitian else lower.T
    return np.linalg.solve(back, np.linalg.solve(middle, np.linalg.solve(lower, b)))


def _ldl_parts(ld: Array, pivots: Array, hermitian: bool) -> tuple[Array, Array]:
    """The factor left of the block diagonal matrix (row exchanges included), and that matrix."""
    n = len(ld)
    product, middle = np.eye(n, dtype=ld.dtype), np.zeros_like(ld)
    k = 0
    while k < n:
        size = 1 if pivots[k] > 0 else 2
        exchange = np.eye(n, dtype=ld.dtype)
        last, p = k + size - 1, abs(int(pivots[k])) - 1
        exchange[[last, p]] = exchange[[p, last]]
        column = np.eye(n, dtype=ld.dtype)
        column[k + size :, k : k + size] = ld[k + size :, k : k + size]
        product = product @ exchange @ column
        middle[k : k + size, k : k + size] = ld[k : k + size, k : k + size]
        if size == 2:
            off = ld[k + 1, k]
            middle[k, k + 1] = np.conj(off) if hermitian else off
        k += size
    return product, middle
