"""Factorisations that lie by columns: NumPy's own numbers, and its errors as codes."""

from __future__ import annotations

import numpy as np
import pytest

from flambeau.compiler import numpy_linalg, openblas
from flambeau.compiler.blas_threads import one_thread

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]


@pytest.fixture(autouse=True)
def none_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_linalg, "FEW", 0)


def matrices(dt: type, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    a = rng.standard_normal(shape)
    return (a + 1j * rng.standard_normal(shape) if np.dtype(dt).kind == "c" else a).astype(dt)


@pytest.mark.parametrize("dt", DTYPES)
@pytest.mark.parametrize("batch", [(), (3,), (2, 0)])
def test_numbers_are_numpys(dt: type, batch: tuple[int, ...]) -> None:
    a, b = matrices(dt, *batch, 20, 20), matrices(dt, *batch, 20, 3)
    positive = a @ numpy_linalg.dagger(a) + np.eye(20, dtype=dt)
    with one_thread():
        found = [numpy_linalg.inv(a), numpy_linalg.solve(a, b), numpy_linalg.cholesky(positive)]
        expected = [np.linalg.inv(a), np.linalg.solve(a, b), np.linalg.cholesky(positive)]
    for (x, info), y in zip(found, expected):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        if x.dtype.itemsize // (1 + (x.dtype.kind == "c")) == 8:
            assert x.tobytes() == y.tobytes()
        else:  # NumPy computes in double precision
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4)
        assert info.shape == batch and not info.any()
        assert not x.size or x.swapaxes(-1, -2).flags.c_contiguous  # by columns


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # programs run with none
def test_what_fails_has_a_code() -> None:
    a = matrices(np.float64, 3, 4, 4)
    a[1] = 0
    assert numpy_linalg.inv(a)[1].tolist() == numpy_linalg.solve(a, a[..., :1])[1].tolist() == [0, 1, 0]
    positive = a @ numpy_linalg.dagger(a) + np.eye(4)
    positive[2, 1, 1] = -1
    factor, info = numpy_linalg.cholesky(positive)
    assert info.tolist() == [0, 0, 2] and np.isfinite(factor[:2]).all()
    a[0, 0, 0] = np.nan
    assert np.isnan(numpy_linalg.inv(a[:1])[0]).any()


@pytest.mark.parametrize("shape", [(7, 30), (30, 7), (2, 7, 9)])
def test_orthogonal_factors_are_numpys(shape: tuple[int, ...]) -> None:
    a = matrices(np.float32, *shape)
    for mode in ("reduced", "complete"):
        q, r = numpy_linalg.qr(a, mode)
        assert np.allclose(q @ r, a, atol=1e-5)
        for x, y in zip((q, r), np.linalg.qr(a, mode)):
            assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("dt", [np.float32, np.complex64])
def test_single_precision_is_kept(dt: type) -> None:
    """Spectra of large matrices are LAPACK's in single precision, so close to NumPy's double, not the same."""
    a = matrices(dt, 2, 30, 30)
    h = a + numpy_linalg.dagger(a)
    with one_thread():
        u, s, vh, info = numpy_linalg.svd(a, False)
        w, v = numpy_linalg.eigh(h, "L")
        found = [s, numpy_linalg.svdvals(a)[0], w, numpy_linalg.eigvalsh(h, "U")]
        expected = [np.linalg.svd(a)[1], np.linalg.svd(a)[1], np.linalg.eigh(h)[0], np.linalg.eigvalsh(h, "U")]
    for x, y in zip(found, expected):
        assert x.dtype == y.dtype == np.float32
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-5)
    assert not all((x == y).all() for x, y in zip(found, expected))
    np.testing.assert_allclose((u * s[:, None]) @ vh, a, atol=1e-4)
    np.testing.assert_allclose((v * w[:, None]) @ numpy_linalg.dagger(v), h, atol=1e-4)
    assert not info.any()
    a[0, 1, 1] = np.nan
    assert numpy_linalg.svd(a, True)[3].tolist() == [-1, 0]
    assert np.isnan(numpy_linalg.eigh(a, "L")[0][0]).all()


@pytest.mark.parametrize("dt", DTYPES)
@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 9, 4), (2, 4, 9), (40, 6, 6), (1, 70, 70)])
def test_factors_by_elimination(dt: type, shape: tuple[int, ...]) -> None:
    """LAPACK's routine, where NumPy has brought it along, gives what elimination in NumPy gives."""
    a = matrices(dt, *shape)
    a[0, :, 1] = 0
    k = min(shape[1:])
    known = openblas.getrf(a)
    if known is None:
        pytest.skip("this NumPy has brought no such LAPACK")
    for x, y in zip(known, numpy_linalg._eliminated(a, k)):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(x, y, rtol=2e-3, atol=2e-4)
    assert known[2][0] == 2 and not known[2][1:].any()
    lu, pivots, info = numpy_linalg.lu_factor(a.reshape((1, *shape)))
    assert lu.shape == (1, *shape) and pivots.shape == (1, shape[0], k) and info.shape == (1, shape[0])


def test_many_small_matrices_are_eliminated_together() -> None:
    assert openblas.getrf(matrices(np.float32, 100, 3, 3)) is None
    assert openblas.getrf(matrices(np.float32, 0, 3, 3)) is None
    assert numpy_linalg.lu_factor(matrices(np.float32, 100, 3, 3))[0].shape == (100, 3, 3)
