"""torch.linalg: identities, PyTorch's numbers, gradients of first and second order, named results, layouts."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as torch

L = torch.linalg
gradcheck, gradgradcheck = torch.autograd.gradcheck, torch.autograd.gradgradcheck


def matrix(*shape: int, seed: int = 0, is_complex: bool = False) -> Any:
    """Well-conditioned matrices with distinct singular values, requiring grad."""
    draw = np.random.default_rng(seed)
    a = draw.standard_normal(shape)
    if is_complex:
        a = a + 1j * draw.standard_normal(shape)
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    s = np.arange(1, min(shape[-2:]) + 1) / 1.7 + 0.4
    return torch.tensor((u * s) @ vh, requires_grad=True)


def adjoint(x: Any) -> Any:
    return x.transpose(-2, -1).conj()


def positive(x: Any) -> Any:
    """A Hermitian positive-definite function of a matrix."""
    return x @ adjoint(x) + torch.eye(x.shape[-1], dtype=x.dtype)


def close(a: Any, b: Any, tolerance: float = 1e-10) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), tolerance, tolerance)


KINDS = pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])

# ---- identities


@KINDS
@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 3), (3, 5), (0, 3), (2, 0, 0)])
def test_factors_multiply_to_the_matrix(shape: tuple[int, ...], is_complex: bool) -> None:
    a = torch.zeros(shape, dtype=torch.float64) if 0 in shape else matrix(*shape, is_complex=is_complex)
    for full in (False, True):
        u, s, vh = L.svd(a, full_matrices=full)
        k = s.shape[-1]
        close((u[..., :k] * s.unsqueeze(-2)) @ vh[..., :k, :], a)
        q, r = L.qr(a, mode="complete" if full else "reduced")
        close(q @ r, a)
        assert r.detach().numpy().tolist() == r.triu().detach().numpy().tolist()
    p, low, up = L.lu(a)
    close(p.to(a.dtype) @ low @ up, a)
    close(a @ L.pinv(a) @ a, a)


@KINDS
def test_square_matrices(is_complex: bool) -> None:
    a = matrix(2, 4, 4, is_complex=is_complex)
    eye = torch.eye(4, dtype=a.dtype).expand(2, 4, 4)
    close(L.inv(a) @ a, eye)
    close(L.solve(a, a @ eye), eye)
    close(L.solve(a, eye @ a, left=False), eye)
    w, v = L.eig(a)
    close(a.to(torch.complex128) @ v, v * w.unsqueeze(-2))
    sign, size = L.slogdet(a)
    close(sign * size.exp(), L.det(a))
    close(L.det(a), torch.tensor(np.linalg.det(a.detach().numpy())))
    close(L.matrix_power(a, -3) @ L.matrix_power(a, 3), eye)
    close(L.matrix_exp(a) @ L.matrix_exp(-a), eye)
    close(L.lu_solve(*L.lu_factor(a), a @ eye), eye)
    h = positive(a)
    w, v = L.eigh(h)
    close(h @ v, v * w.unsqueeze(-2))
    for upper in (False, True):
        c = L.cholesky(h, upper=upper)
        close(adjoint(c) @ c if upper else c @ adjoint(c), h)
        close(torch.cholesky_solve(h, c, upper), eye)
        close(torch.cholesky_inverse(c, upper) @ h, eye)


@pytest.mark.parametrize(("upper", "left", "unit"), [(u, s, n) for u in (0, 1) for s in (0, 1) for n in (0, 1)])
def test_solve_triangular_reads_one_triangle(upper: int, left: int, unit: int) -> None:
    a, b = matrix(3, 3) + 2 * torch.eye(3, dtype=torch.float64), matrix(3, 3, seed=1)
    t = a.triu(unit) if upper else a.tril(-unit)
    t = t + torch.eye(3, dtype=torch.float64) if unit else t
    x = L.solve_triangular(a, b, upper=bool(upper), left=bool(left), unitriangular=bool(unit))
    close(t @ x if left else x @ t, b)


def test_triangles_with_zeros_divide_as_floats_do() -> None:
    x = L.solve_triangular(torch.zeros(2, 2), torch.ones(2, 1), upper=True)
    assert math.isnan(x[0].item()) and x[1].item() == math.inf


@pytest.mark.parametrize("n", [3, 60, 130])
def test_lu_in_panels(n: int) -> None:
    draw = np.random.default_rng(n)
    a = torch.tensor(draw.standard_normal((2, n, n + 7)))
    p, low, up = L.lu(a)
    close(p @ low @ up, a)
    assert low.abs().max() <= 1 and (p.sum(-1) == 1).all()


def test_reflectors() -> None:
    a = matrix(2, 4, 3)
    packed, tau = torch.geqrf(a.detach())
    q, r = L.qr(a.detach())
    close(L.householder_product(packed, tau), q)
    close(packed[..., :3, :].triu(), r)
    c = matrix(2, 4, 2, seed=5).detach()
    full = L.qr(a.detach(), mode="complete")[0]
    close(torch.ormqr(packed, tau, c), full @ c)
    close(torch.ormqr(packed, tau, c, transpose=True), full.mT @ c)
    close(torch.ormqr(packed, tau, c.mT, left=False), c.mT @ full)


def test_least_squares() -> None:
    a, b = matrix(5, 3), matrix(5, 2, seed=1)
    expected, residuals, rank, values = np.linalg.lstsq(a.detach().numpy(), b.detach().numpy(), rcond=None)
    for driver in ("gels", "gelsy", "gelsd", "gelss"):
        x = L.lstsq(a, b, driver=driver)
        close(x.solution, torch.tensor(expected))
        assert x.rank.tolist() == ([] if driver == "gels" else rank)
        if driver != "gelsy":
            close(x.residuals, torch.tensor(residuals))
        if driver in ("gelsd", "gelss"):
            close(x.singular_values, torch.tensor(values))
    assert L.lstsq(a, b[:, 0]).solution.shape == (3,)


def test_ranks_and_tolerances() -> None:
    a = torch.diag(torch.tensor([4.0, 1.0, 1e-3, 0.0]))
    assert L.matrix_rank(a) == 3
    assert L.matrix_rank(a, atol=0.01) == 2
    assert L.matrix_rank(a, rtol=0.5) == 1
    assert L.matrix_rank(a, tol=2.0, hermitian=True) == 1
    assert L.matrix_rank(a, atol=torch.tensor([0.01, 2.0])).tolist() == [2, 1]
    assert L.matrix_rank(torch.zeros(2, 0, 3)).tolist() == [0, 0]
    assert L.pinv(a, atol=0.01).diagonal().tolist() == [0.25, 1.0, 0.0, 0.0]


# ---- numbers of PyTorch 2.13


A = [[1.0, -2.0, 3.0], [4.0, 0.5, -6.0], [-7.0, 8.0, 9.0]]
NUMBERS = [
    ("L.norm(a)", 16.132265090942383),
    ("L.norm(a, 2)", 15.131346702575684),
    ("L.norm(a, -2)", 1.8388792276382446),
    ("L.norm(a, 1)", 18.0),
    ("L.norm(a, -inf)", 6.0),
    ("L.norm(a, inf)", 24.0),
    ("L.norm(a, 'nuc')", 22.253297805786133),
    ("L.vector_norm(a, 3)", 12.385895729064941),
    ("L.norm(a[0], 0)", 3.0),
    ("L.cond(a)", 8.228569984436035),
    ("L.cond(a, 1)", 11.510204315185547),
    ("L.cond(a, 'fro')", 9.350102424621582),
    ("L.det(a)", 147.0),
    ("torch.logdet(a)", 4.9904327392578125),
    ("torch.trace(a)", 10.5),
]


@pytest.mark.parametrize(("expression", "value"), NUMBERS)
def test_numbers(expression: str, value: float) -> None:
    found = eval(expression, {"L": L, "torch": torch, "a": torch.tensor(A), "inf": math.inf})
    assert found.dtype is torch.float32
    assert found.item() == pytest.approx(value, rel=1e-5)


def test_singular_and_empty_cases() -> None:
    z = torch.zeros(2, 2)
    assert L.det(z) == 0 and torch.logdet(z) == -math.inf
    assert torch.logdet(torch.tensor([[-1.0, 0.0], [0.0, 1.0]])).isnan()
    assert L.slogdet(z) == (0, -math.inf)
    assert L.cond(z, 1) == math.inf
    assert L.inv_ex(torch.stack([torch.eye(2), z])).info.tolist() == [0, 1]
    assert L.cholesky_ex(torch.tensor([[1.0, 2.0], [2.0, 1.0]])).info == 2
    assert L.lu_factor_ex(z).info == 1
    assert L.det(torch.zeros(3, 0, 0)).tolist() == [1.0, 1.0, 1.0]
    assert L.matrix_norm(torch.zeros(0, 3), 2) == 0
    good = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    x, info = L.solve_ex(torch.stack([z, good]), torch.ones(2, 2, 1))
    assert info.tolist() == [1, 0] and x[1].tolist() == [[0.5], [0.25]]


@pytest.mark.filterwarnings("ignore:Using torch.cross")
def test_products() -> None:
    a, b, c = (
        torch.tensor(np.random.default_rng(i).standard_normal(s)) for i, s in enumerate([(5, 2), (2, 7), (7, 3)])
    )
    close(L.multi_dot([a, b, c]), a @ b @ c)
    assert L.multi_dot([a[0], b, c[:, 0]]).shape == ()
    close(torch.kron(a[:2], c[:2]), torch.tensor(np.kron(a[:2].numpy(), c[:2].numpy())))
    x, y = torch.tensor([[1.0, 2, 3], [4, 5, 6]]), torch.tensor([[3.0, 1, 2]])
    assert torch.cross(x, y).tolist() == L.cross(x, y).tolist() == [[1.0, 7.0, -5.0], [4.0, 10.0, -11.0]]
    assert torch.cross(x.mT, y.mT.expand(3, 2)).shape == (3, 2)
    assert L.vecdot(x, x).tolist() == [14.0, 77.0]
    assert L.vander(torch.tensor([2, 3]), N=3).tolist() == [[1, 2, 4], [1, 3, 9]]
    eye = torch.eye(6, dtype=torch.float64).reshape(2, 3, 6) * 2
    assert L.tensorinv(eye).shape == (6, 2, 3)
    assert L.tensorsolve(eye, torch.ones(2, 3, dtype=torch.float64)).tolist() == [0.5] * 6


def test_renorm_shrinks_what_is_too_long() -> None:
    x = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    expected = np.array([[0.6, 0.8], [0.3, 0.4]], np.float32)
    np.testing.assert_allclose(x.renorm(2, 0, 1.0).numpy(), expected, 1e-6)
    x.renorm_(2, 0, 1.0)
    np.testing.assert_allclose(x.numpy(), expected, 1e-6)


def test_low_rank() -> None:
    torch.manual_seed(0)
    a = matrix(12, 3).detach() @ matrix(3, 8, seed=1).detach()
    u, s, v = torch.svd_lowrank(a, 3)
    close(u @ torch.diag(s) @ v.mT, a, 1e-8)
    close(s, L.svdvals(a)[:3], 1e-8)
    u, s, v = torch.pca_lowrank(a, 2)
    close(s, L.svdvals(a - a.mean(0))[:2], 1e-2)
    h = positive(matrix(5, 5)).detach()
    w, x = torch.lobpcg(h, 2)
    close(h @ x, x * w)
    close(w, L.eigvalsh(h).flip(0)[:2], 1e-12)
    m = positive(matrix(5, 5, seed=3)).detach()
    w, x = torch.lobpcg(h, 2, m, largest=False)
    close(h @ x, m @ x * w)


def test_indefinite_systems() -> None:
    pytest.importorskip("scipy")
    a = torch.tensor([[0.0, 2.0, 1.0], [2.0, 0.0, 3.0], [1.0, 3.0, 0.0]], dtype=torch.float64)
    ld, pivots = L.ldl_factor(a)
    close(L.ldl_solve(ld, pivots, a), torch.eye(3, dtype=torch.float64))
    h = positive(matrix(2, 3, 3, is_complex=True)).detach()
    factors = L.ldl_factor(h, hermitian=True)
    close(L.ldl_solve(*factors, h, hermitian=True), torch.eye(3, dtype=h.dtype).expand(2, 3, 3))


# ---- gradients


def no_phase(v: Any) -> Any:
    """What does not change when eigenvectors or singular vectors turn."""
    return v.abs()


SQUARE: dict[str, Callable[[Any], Any]] = {
    "inv": L.inv,
    "det": L.det,
    "slogdet": lambda x: L.slogdet(x)[1],
    "matrix_power": lambda x: L.matrix_power(x, -2),
    "matrix_exp": L.matrix_exp,
    "cholesky": lambda x: L.cholesky(positive(x)),
    "upper cholesky": lambda x: L.cholesky(positive(x), upper=True),
    "torch.cholesky": lambda x: torch.cholesky(positive(x)),
    "eigh": lambda x: (L.eigh(positive(x))[0], no_phase(L.eigh(positive(x))[1])),
    "eigvalsh": lambda x: L.eigvalsh(positive(x)),
    "lu": lambda x: L.lu(x)[1:],
    "lu_factor": lambda x: L.lu_factor(x)[0],
    "lu_unpack": lambda x: torch.lu_unpack(*L.lu_factor(x))[1:],
    "cholesky_inverse": lambda x: torch.cholesky_inverse(L.cholesky(positive(x))),
    "cond": lambda x: L.cond(x, 1),
}
ANY: dict[str, Callable[[Any], Any]] = {
    "pinv": L.pinv,
    "svdvals": L.svdvals,
    "svd": lambda x: (no_phase(L.svd(x, False)[0]), L.svd(x)[1], no_phase(L.svd(x, False)[2])),
    "qr": lambda x: tuple(L.qr(x)),
    "nuclear norm": lambda x: L.matrix_norm(x, "nuc"),
    "spectral norm": lambda x: L.matrix_norm(x, 2),
    "row norm": lambda x: L.matrix_norm(x, 1),
    "renorm": lambda x: torch.renorm(x, 2, 0, 0.5),
    "kron": lambda x: torch.kron(x[..., :1], x),
}


@KINDS
@pytest.mark.parametrize("name", SQUARE)
@pytest.mark.filterwarnings("ignore:torch\\.(cholesky|triangular_solve) is deprecated")
def test_gradients_of_square_matrices(name: str, is_complex: bool) -> None:
    assert gradcheck(SQUARE[name], matrix(2, 3, 3, is_complex=is_complex))


@KINDS
@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (2, 3)])
@pytest.mark.parametrize("name", ANY)
def test_gradients_of_any_matrices(name: str, shape: tuple[int, int], is_complex: bool) -> None:
    assert gradcheck(ANY[name], matrix(*shape, is_complex=is_complex))


def test_gradients_of_eigenvectors() -> None:
    x = matrix(3, 3)
    assert gradcheck(L.eigvals, x) and gradcheck(lambda x: no_phase(L.eig(x)[1]), x)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4)])
def test_gradients_of_lu_of_rectangles(shape: tuple[int, int]) -> None:
    assert gradcheck(lambda x: L.lu(x)[1:], matrix(*shape))
    assert gradcheck(lambda x: L.lu_factor(x)[0], matrix(*shape))
    assert gradcheck(lambda x: torch.lu_unpack(x, torch.tensor([1, 2], dtype=torch.int32))[1:], matrix(*shape))


PAIRS: dict[str, tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...]]] = {
    "solve": (L.solve, (2, 3, 3), (3, 2)),
    "solve left=False": (lambda a, b: L.solve(a, b, left=False), (3, 3), (2, 2, 3)),
    "solve vector": (lambda a, b: L.solve(a, b[:, 0]), (3, 3), (3, 2)),
    "solve_triangular": (lambda a, b: L.solve_triangular(a, b, upper=True), (2, 3, 3), (3, 2)),
    "solve_triangular right": (
        lambda a, b: L.solve_triangular(a, b, upper=False, left=False, unitriangular=True), (3, 3), (2, 3)),
    "triangular_solve": (lambda a, b: torch.triangular_solve(b, a, transpose=True)[0], (3, 3), (3, 2)),
    "cholesky_solve": (lambda a, b: torch.cholesky_solve(b, a.tril()), (3, 3), (3, 2)),
    "lu_solve": (lambda a, b: L.lu_solve(*L.lu_factor(a), b), (3, 3), (3, 2)),
    "lu_solve adjoint": (lambda a, b: L.lu_solve(*L.lu_factor(a), b, left=False, adjoint=True), (3, 3), (2, 3)),
    "lstsq": (lambda a, b: L.lstsq(a, b).solution, (4, 3), (4, 2)),
    "lstsq wide": (lambda a, b: L.lstsq(a, b).solution, (2, 3), (2, 2)),
    "lstsq residuals": (lambda a, b: L.lstsq(a, b, driver="gelsd").residuals, (4, 2), (4, 2)),
    "cross": (L.cross, (2, 3), (1, 3)),
    "householder_product": (lambda a, b: L.householder_product(a, b[0]), (4, 3), (1, 3)),
    "ormqr": (lambda a, b: torch.ormqr(a, b[0], a[:, :2]), (4, 3), (1, 3)),
    "multi_dot": (lambda a, b: L.multi_dot([a, b, a]), (2, 3), (3, 2)),
    "vecdot": (L.vecdot, (2, 3), (2, 3)),
    "dist": (lambda a, b: torch.dist(a, b[0], 3), (2, 3), (1, 3)),
}  # fmt: skip


@KINDS
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.filterwarnings("ignore:torch\\.(cholesky|triangular_solve) is deprecated")
def test_gradients_of_pairs(name: str, is_complex: bool) -> None:
    f, a, b = PAIRS[name]
    assert gradcheck(f, (matrix(*a, is_complex=is_complex), matrix(*b, seed=1, is_complex=is_complex)))


TWICE: dict[str, Callable[[Any], Any]] = {
    name: ({**SQUARE, **ANY})[name]
    for name in (
        "inv",
        "det",
        "slogdet",
        "matrix_exp",
        "cholesky",
        "eigh",
        "lu",
        "pinv",
        "svd",
        "qr",
        "svdvals",
        "renorm",
    )
}


@pytest.mark.parametrize("name", TWICE)
def test_second_gradients(name: str) -> None:
    assert gradgradcheck(TWICE[name], matrix(2, 2))


@pytest.mark.parametrize("name", ["solve", "solve_triangular", "cross", "lu_solve", "householder_product"])
def test_second_gradients_of_pairs(name: str) -> None:
    f, a, b = PAIRS[name]
    assert gradgradcheck(f, (matrix(*a[-2:]), matrix(*b[-2:], seed=1)))


def test_determinant_of_a_singular_matrix_has_a_gradient() -> None:
    x = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64, requires_grad=True)
    L.det(x).backward()
    close(x.grad, torch.tensor([[4.0, -2.0], [-2.0, 1.0]], dtype=torch.float64))


def test_equal_singular_values_do_not_disturb_their_own_gradient() -> None:
    for f in (L.svdvals, lambda x: L.svd(x)[1], L.eigvalsh, lambda x: L.eigh(x)[0]):
        x = torch.eye(3, requires_grad=True)
        f(x).sum().backward()
        assert x.grad.tolist() == torch.eye(3).tolist()


def test_a_loss_that_depends_on_the_phase_is_refused() -> None:
    x = matrix(3, 3, is_complex=True)
    with pytest.raises(RuntimeError, match=r"^svd_backward: The singular vectors in the complex case"):
        L.svd(x)[0].real.sum().backward()
    with pytest.raises(RuntimeError, match=r"^linalg_eigh_backward: The eigenvectors"):
        (L.eigh(positive(x))[1] * torch.tensor(1 + 2j)).imag.sum().backward()


def test_second_gradient_of_a_slice_of_a_slice() -> None:
    x = matrix(4, 3)
    assert gradgradcheck(lambda x: x[1:][:, 0] ** 3, x)


def test_only_the_input_that_wants_a_gradient_gets_one() -> None:
    a, b = matrix(3, 3), matrix(3, 1, seed=1)
    lu, pivots = L.lu_factor(a.detach())
    for left, right in ((True, False), (False, True), (True, True), (False, True)):
        x, y = lu.clone().requires_grad_(left), b.detach().clone().requires_grad_(right)
        L.lu_solve(x, pivots, y).sum().backward()
        assert (None if x.grad is None else x.grad.shape) == ((3, 3) if left else None)
        assert (None if y.grad is None else y.grad.shape) == ((3, 1) if right else None)


# ---- results as PyTorch has them


def test_named_results() -> None:
    a = torch.eye(2)
    assert repr(L.slogdet(a)) == "torch.return_types.linalg_slogdet(\nsign=tensor(1.),\nlogabsdet=tensor(0.))"
    assert repr(L.qr(a)).startswith("torch.return_types.linalg_qr(\nQ=tensor(")
    assert L.svd(a).Vh.shape == (2, 2) and L.eigh(a).eigenvalues.tolist() == [1.0, 1.0]
    assert L.inv_ex(a).info.dtype is torch.int32


GRAD_NAMES = {
    "L.qr(x)[0]": "LinalgQrBackward0", "L.svd(x)[1]": "LinalgSvdBackward0", "L.svdvals(x)": "LinalgSvdBackward0",
    "L.inv(x)": "LinalgInvExBackward0", "L.solve(x, x)": "LinalgSolveExBackward0", "L.det(x)": "LinalgDetBackward0",
    "L.slogdet(x)[1]": "LinalgSlogdetBackward0", "torch.logdet(x)": "WhereBackward0",
    "L.eigh(x)[0]": "LinalgEighBackward0", "L.eig(x)[0]": "LinalgEigBackward0", "L.pinv(x)": "LinalgPinvBackward0",
    "L.cholesky(x)": "LinalgCholeskyExBackward0", "torch.cholesky(x)": "CholeskyBackward0",
    "L.lu(x)[1]": "LinalgLuBackward0", "L.lu_factor(x)[0]": "LinalgLuFactorExBackward0",
    "L.lstsq(x, x)[0]": "LinalgLstsqBackward0", "L.matrix_exp(x)": "LinalgMatrixExpBackward0",
    "L.norm(x, 2)": "AmaxBackward0", "L.matrix_norm(x, 'nuc')": "SumBackward1",
    "L.norm(x)": "LinalgVectorNormBackward0",
    "torch.trace(x)": "TraceBackward0", "torch.renorm(x, 2, 0, 1.0)": "RenormBackward0",
    "L.matrix_power(x, 1)": "CloneBackward0", "L.cross(x, x)": "LinalgCrossBackward0",
}  # fmt: skip


@pytest.mark.parametrize("expression", GRAD_NAMES)
@pytest.mark.filterwarnings("ignore:torch\\.(cholesky|triangular_solve) is deprecated")
def test_names_of_backward_nodes(expression: str) -> None:
    x = torch.eye(3, requires_grad=True)
    y = eval(expression, {"L": L, "torch": torch, "x": x})
    assert type(y.grad_fn).__name__ == GRAD_NAMES[expression]


def test_permutations_and_pivots_have_no_gradient() -> None:
    p, low, _ = L.lu(torch.eye(2, requires_grad=True))
    assert not p.requires_grad and low.requires_grad


def test_results_are_column_major_where_lapack_makes_them() -> None:
    a = torch.eye(3).repeat(2, 1, 1)
    for x in (L.inv(a), L.cholesky(a), L.qr(a)[0], L.svd(a)[0], L.eigh(a)[1], L.solve(a, a), L.lu_factor(a)[0]):
        assert x.stride() == (9, 1, 3)
    for x in (L.pinv(a), L.matrix_exp(a), L.solve(a, a, left=False), *L.lu(a)):
        assert x.stride() == (9, 3, 1)


def test_out() -> None:
    a = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    out = torch.empty(2, 2)
    assert L.inv(a, out=out) is out and out.tolist() == [[0.5, 0.0], [0.0, 0.25]]
    q, r = torch.empty(0), torch.empty(0)
    found = L.qr(a, out=(q, r))
    assert found.Q is q and (q @ r).tolist() == a.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert L.det(a, out=torch.empty(())).item() == 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_single_precision_stays(dtype: Any) -> None:
    a = torch.eye(3, dtype=dtype)
    real = torch.float32
    for x in (L.inv(a), L.solve(a, a), L.det(a), L.qr(a)[1], L.svd(a)[0], L.pinv(a), L.matrix_exp(a), L.cholesky(a)):
        assert x.dtype is dtype
    assert L.svdvals(a).dtype is real and L.eigvalsh(a).dtype is real and L.eigvals(a).dtype is torch.complex64


def test_orthogonal_initialisation() -> None:
    torch.manual_seed(0)
    w = torch.nn.init.orthogonal_(torch.empty(4, 6))
    np.testing.assert_allclose((w @ w.T).numpy(), np.eye(4), atol=1e-6)


def test_the_right_side_alone_may_require_grad() -> None:
    a, b = torch.tensor([[2.0, 1.0], [0.5, 3.0]]), torch.tensor([1.0, 2.0], requires_grad=True)
    torch.linalg.solve(a, b).sum().backward()
    assert torch.allclose(a.mT @ b.grad, torch.ones(2))


@pytest.mark.parametrize("upper", [False, True])
def test_gradients_of_cholesky_factors_are_of_both_triangles(upper: bool) -> None:
    factor = torch.tensor([[2.0, 0.0], [0.5, 1.5]], dtype=torch.float64)
    factor = (factor.mT if upper else factor).contiguous().requires_grad_()
    inverse = torch.cholesky_inverse(factor, upper=upper)
    inverse.sum().backward()
    whole = inverse.detach() @ torch.full((2, 2), 2.0, dtype=torch.float64) @ inverse.detach()
    want = -(factor @ whole) if upper else -(whole @ factor)
    assert torch.allclose(factor.grad, want.detach())
    first, factor.grad = factor.grad, None
    torch.cholesky_solve(torch.eye(2, dtype=torch.float64), factor, upper=upper).sum().backward()
    assert torch.allclose(factor.grad, first)


def test_the_error_of_matrix_functions_by_its_private_name() -> None:
    with pytest.raises(torch._C._LinAlgError, match="singular"):
        torch.linalg.inv(torch.zeros(2, 2))


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.filterwarnings("ignore:torch\\.(cholesky|triangular_solve) is deprecated")
def test_transposed_triangles_are_not_conjugated(upper: bool) -> None:
    a, b = matrix(3, 3, is_complex=True).detach(), matrix(3, 2, is_complex=True).detach()
    x, _ = torch.triangular_solve(b, a, upper=upper, transpose=True)
    close((a.triu() if upper else a.tril()).mT @ x, b)
    gradcheck(
        lambda b, a: torch.triangular_solve(b, a, upper, True)[0],
        (b.requires_grad_(), (a + 2 * torch.eye(3)).requires_grad_()),
    )


def test_a_negative_tolerance_is_lapacks_own() -> None:
    a, b = torch.tensor([[1.0, 2], [2, 4], [0, 0]]).double(), torch.tensor([[1.0], [2], [3]]).double()
    for driver in ("gelsd", "gelss"):
        found = L.lstsq(a, b, driver=driver, rcond=-1)
        assert int(found.rank) == 1
        close(found.solution, torch.tensor([[0.2], [0.4]], dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("beta", 2.0, "For integral input tensors, argument beta must not be a floating point number."),
        ("alpha", 2.5, "For integral input tensors, argument alpha must not be a floating point number."),
        ("beta", True, "Boolean beta only supported for Boolean results."),
    ],
)
def test_factors_of_integer_outer_products(name: str, value: Any, message: str) -> None:
    x, v = torch.ones(2, 2, dtype=torch.int32), torch.ones(2, dtype=torch.int32)
    for f in (x.addr, x.clone().addr_):
        with pytest.raises(RuntimeError) as caught:
            f(v, v, **{name: value})
        assert str(caught.value) == message


def test_pivots_out_of_range_are_refused() -> None:
    lu, pivots = L.lu_factor(torch.eye(2) * 2)
    for wrong, word in ((0, "greater or equal to 1"), (3, "smaller or equal to LU.size.-2.")):
        pivots[0] = wrong
        with pytest.raises(RuntimeError, match=f"Pivots given to lu_solve must all be {word}"):
            L.lu_solve(lu, pivots, torch.eye(2))
        with pytest.raises(RuntimeError, match="pivots passed to lu_unpack must be between 1 and"):
            torch.lu_unpack(lu, pivots)


def test_products_of_nothing_are_refused() -> None:
    with pytest.raises(RuntimeError, match="Expected one or more matrices"):
        torch.chain_matmul()
    with pytest.raises(ValueError, match="must specify the equation string and at least one operand"):
        torch.einsum("", [])


def test_pivots_with_gaps_and_absent_matrices():
    lu, pivots = torch.linalg.lu_factor(torch.eye(3).flip(0))
    spread = torch.stack([pivots, pivots], -1)[:, 0]
    assert torch.equal(torch.lu_unpack(lu, spread)[0], torch.lu_unpack(lu, pivots)[0])
    w, _ = torch.lobpcg(torch.diag(torch.arange(1.0, 10)), 1, None, None)
    assert torch.allclose(w, torch.tensor([9.0]))
    with pytest.raises(TypeError, match="argument 'B' .* must be Tensor, not int"):
        torch.lobpcg(torch.eye(9), 1, 3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_the_gradient_of_eigenvectors_is_symmetric(dtype):
    a = torch.tensor([[2.0, 0.3, -1.0], [0.3, 1.0, 0.5], [-1.0, 0.5, -0.7]], dtype=torch.float64).to(dtype)
    if dtype is torch.complex128:
        a = a + torch.tensor([[0, 0.2, -0.4], [-0.2, 0, 0.1], [0.4, -0.1, 0]], dtype=torch.float64) * 1j
    weights = torch.arange(9.0, dtype=torch.float64).reshape(3, 3)

    def f(x):
        w, v = torch.linalg.eigh(x)
        return (v.abs() ** 2 * weights).sum() + (w**3).sum()

    x = a.clone().requires_grad_()
    (g,) = torch.autograd.grad(f(x), x)
    assert torch.allclose(g, g.mH)
    turn = (weights + weights.T).to(dtype)
    slope = (f(a + 1e-6 * turn) - f(a - 1e-6 * turn)) / 2e-6
    assert torch.allclose((g.conj() * turn).sum().real, slope, rtol=1e-6)
    (second,) = torch.autograd.grad(torch.autograd.grad((torch.linalg.eigvalsh(x) ** 3).sum(), x, create_graph=True)[0]
                                    .abs().mul(weights).sum(), x)  # fmt: skip
    assert torch.allclose(second, second.mH)


def test_eigenvectors_of_an_iteration_have_gradients_in_both_triangles() -> None:
    a = torch.tensor([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 0.5]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: torch.lobpcg(a, 1)[0], a)
    (g,) = torch.autograd.grad(torch.lobpcg(a, 1)[0].sum(), a)
    assert torch.allclose(g, g.T)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda x: torch.cummax(x, 0, out=(torch.zeros(3, dtype=torch.int16), torch.zeros(3, dtype=torch.int64))),
            "expected scalar_type Float but found Short",
        ),
        (
            lambda x: torch.cummin(x, 0, out=(torch.zeros(3), torch.zeros(3))),
            "expected scalar_type Long but found Float",
        ),
        (
            lambda x: torch.logcumsumexp(x.double(), 0, out=torch.zeros(3)),
            "expected scalar_type Double but found Float",
        ),
    ],
)
def test_running_reductions_convert_nothing(call: Any, text: str) -> None:
    with pytest.raises(RuntimeError) as e:
        call(torch.ones(3))
    assert str(e.value) == text
