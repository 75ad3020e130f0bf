"""Warnings of replaced operators and of calls that lose something: PyTorch 2.13's texts, at the caller's line."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch
from flambeau.ops import _warned
from flambeau.utils.checkpoint import checkpoint_sequential

EYE = torch.eye(3)
COMPLEX = torch.ones(2, dtype=torch.complex64)
CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "qr": (lambda: torch.qr(EYE), "torch.qr is deprecated in favor of torch.linalg.qr and will be removed"),
    "cholesky": (EYE.cholesky, "torch.cholesky is deprecated in favor of torch.linalg.cholesky and will be"),
    "lu": (EYE.lu, "torch.lu is deprecated in favor of torch.linalg.lu_factor / torch.linalg.lu_factor_ex and"),
    "lu_solve": (lambda: EYE.lu_solve(*torch.linalg.lu_factor(EYE)), "torch.lu_solve is deprecated in favor of"),
    "triangular_solve": (lambda: EYE.triangular_solve(EYE), "torch.triangular_solve is deprecated in favor of"),
    "cross": (lambda: torch.cross(EYE, EYE), "Using torch.cross without specifying the dim arg is deprecated."),
    "searchsorted": (lambda: torch.searchsorted(torch.arange(4.0), EYE.T), "input value tensor is non-contiguous"),
    "bucketize": (lambda: torch.bucketize(EYE, torch.arange(4.0)[::2]), "boundary tensor is non-contiguous"),
    "to": (lambda: COMPLEX.to(torch.float32), "Casting complex values to real discards the imaginary part"),
    "int": (COMPLEX.int, "Casting complex values to real discards the imaginary part"),
    "copy_": (lambda: torch.ones(2).copy_(COMPLEX), "Casting complex values to real discards the imaginary part"),
    "istft": (lambda: torch.istft(torch.ones(3, 4) + 0j, 4), "A window was not provided. A rectangular window will be"),
    "tensor": (lambda: torch.tensor(EYE), "To copy construct from a tensor, it is recommended to use sourceTensor"),
    "storage": (EYE.storage, "TypedStorage is deprecated."),
    "type": (lambda: torch.set_default_tensor_type("torch.FloatTensor"), "as of PyTorch 2.1, please use"),
    "segments": (lambda: checkpoint_sequential([torch.sin], 1, EYE), "the use_reentrant parameter should be passed"),
}


@pytest.mark.parametrize("name", CASES)
def test_warning(name: str) -> None:
    run, text = CASES[name]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run()
    assert [text in str(w.message) and w.category is UserWarning and w.filename == __file__ for w in seen] == [True]


def test_a_number_of_a_tensor_with_a_history_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_warned, "_given", set())
    x = torch.ones(1, requires_grad=True)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with torch.no_grad():
            assert float(x) == 1
        assert int(x) == x.item() == float(x.detach()) == 1
        assert float(x) == complex(x) == 1 and float(x * 2) == 2
    assert [w.filename == __file__ and "Consider using tensor.detach()" in str(w.message) for w in seen] == [True]


def test_old_sparse_types_name_what_replaces_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_warned, "_given", set())
    at, values = torch.tensor([[0, 2]]), torch.ones(2)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(2):
            torch.sparse.FloatTensor(at, values, torch.Size([4]))
            torch.sparse.FloatTensor(at, values)
            torch.sparse.FloatTensor(2, 3)
    forms = ["indices, values, shape", "indices, values", "shape"]
    assert [str(w.message).partition("Please use ")[2] for w in seen] == [
        f"torch.sparse_coo_tensor({form}, dtype=, device=)." for form in forms
    ]


def test_sparse_tensors_warn_once_unless_somebody_says_whether_indices_are_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_warned, "_given", set())
    at, values, checks = torch.tensor([[0, 2]]), torch.ones(2), torch.sparse.check_sparse_tensor_invariants
    monkeypatch.setattr(checks, "_said", None)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.sparse_coo_tensor(at, values, check_invariants=False)
        with checks(False):
            torch.sparse_coo_tensor(at, values)
        EYE.to_sparse()
        assert not seen and not checks.is_enabled()
        for _ in range(2):
            torch.sparse_coo_tensor(at, values)
            EYE.to_sparse_csr()
    assert [str(w.message)[:24] for w in seen] == ["Sparse invariant checks ", "Sparse CSR tensor suppor"]


def test_nothing_is_lost_without_a_warning_being_due() -> None:
    x = COMPLEX.clone().requires_grad_()
    assert COMPLEX.bool().all() and COMPLEX.to(torch.complex128).dtype is torch.complex128
    (torch.ones(2, requires_grad=True).to(torch.complex64) * x).real.sum().backward()  # in silence
    assert torch.searchsorted(torch.arange(4.0), EYE).sum() == 3 and torch.cross(EYE, EYE, dim=0).sum() == 0


def test_a_nan_in_a_gradient_warns_of_the_line_that_recorded_it() -> None:
    x = torch.zeros(1, requires_grad=True)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with torch.autograd.detect_anomaly():
            y = torch.sqrt(x) * 0
            with pytest.raises(RuntimeError, match="^Function .SqrtBackward0. returned nan values in its 0th output.$"):
                y.backward()
    text = str(seen[1].message)
    assert text.startswith("Error detected in SqrtBackward0. Traceback of forward call that caused the error:\n")
    assert f'File "{__file__}", line ' in text and text.endswith("\n    y = torch.sqrt(x) * 0\n")


def test_gradients_that_do_not_fit_and_flags_that_are_none() -> None:
    x = torch.ones(2)
    with pytest.raises(RuntimeError, match=r"gradient of size '\[3\]' to a tensor of size '\[2\]'"):
        x.grad = torch.ones(3)
    with pytest.raises(TypeError, match=r"'requires_grad' \(position 1\) must be bool, not str"):
        x.requires_grad_("yes")  # type: ignore[arg-type]


def test_the_node_of_a_custom_function_shows_its_module() -> None:
    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    node = Same.apply(torch.ones(1, requires_grad=True)).grad_fn
    assert repr(node).startswith("<torch.autograd.function.SameBackward object at 0x")
