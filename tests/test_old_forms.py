"""Calls with numbers before the tensors, which PyTorch deprecated and keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.ops import _old_forms

V = torch.tensor([1.0, 2.0])
M = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


@pytest.fixture(autouse=True)
def warned() -> Iterator[None]:
    """PyTorch warns of the first such call of a program; here that was before."""
    _old_forms._warned[:] = ["before"]
    yield
    _old_forms._warned.clear()


def operands(name: str) -> tuple[Any, ...]:
    return {
        "addmm": (M, M, M), "addmv": (V, M, V), "addr": (M, V, V), "addbmm": (M, M[None], M[None]),
        "baddbmm": (M[None], M[None], M[None]),
    }[name]  # fmt: skip


@pytest.mark.parametrize("name", ["addmm", "addmv", "addr", "addbmm", "baddbmm"])
def test_factors_before_the_terms(name: str) -> None:
    x, a, b = operands(name)
    function = getattr(torch, name)
    both, first = function(x, a, b, beta=2, alpha=3), function(x, a, b, beta=2)
    assert torch.equal(function(2, x, 3, a, b), both)
    assert torch.equal(function(2, x, a, b), first)
    assert torch.equal(getattr(x, name)(2, 3, a, b), both)
    assert torch.equal(getattr(x, name)(2, a, b), first)
    for numbers, want in (((2, 3), both), ((2,), first)):
        y = x.clone()
        assert getattr(y, name + "_")(*numbers, a, b) is y
        assert torch.equal(y, want)


@pytest.mark.parametrize("name", ["addcmul", "addcdiv"])
def test_factor_of_a_product(name: str) -> None:
    want = getattr(torch, name)(V, V, V + 1, value=2)
    assert torch.equal(getattr(torch, name)(V, 2, V, V + 1), want)
    assert torch.equal(getattr(V.clone(), name + "_")(2, V, V + 1), want)


@pytest.mark.parametrize("name", ["add", "sub"])
def test_factor_of_an_addend(name: str) -> None:
    want = getattr(torch, name)(V, V, alpha=0.5)
    assert torch.equal(getattr(torch, name)(V, 0.5, V), want)
    assert torch.equal(getattr(V, name)(torch.tensor(0.5), V), want)
    assert torch.equal(getattr(V.clone(), name + "_")(0.5, V), want)


def test_the_first_such_call_warns() -> None:
    _old_forms._warned.clear()
    with pytest.warns(UserWarning) as caught:
        V.clone().add_(2, V)
        torch.addmm(2, M, 3, M, M)
    assert [str(w.message) for w in caught] == [
        "This overload of add_ is deprecated:\n\tadd_(Number alpha, Tensor other)\n"
        "Consider using one of the following signatures instead:\n\tadd_(Tensor other, *, Number alpha = 1)"
    ]
    _old_forms._warned.clear()
    with pytest.warns(UserWarning, match="addr.Number beta, Tensor input, Number alpha, Tensor vec1, Tensor vec2, "):
        torch.addr(2, M, 3, V, V)


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.add(V, V, V),
        lambda: V.add(1, 2, 3),
        lambda: V.add_(2, V, alpha=3),
        lambda: M.addmm(2, 3, M),
        lambda: torch.addmm(M, M, M, M),
        lambda: V.addcmul(V, V, V),
        lambda: torch.addcmul(V, 1, 2, V, V),
    ],
)
def test_what_has_neither_form(call: Any) -> None:
    with pytest.raises(TypeError):
        call()


@pytest.mark.parametrize("name", ["mm", "bmm", "addmm", "baddbmm"])
def test_a_product_in_another_dtype_is_refused(name: str) -> None:
    x = M if "b" not in name else M[None]
    args = (x, x, x) if name.endswith("addmm") or name.startswith("b") and "add" in name else (x, x)
    for call in (lambda f: f(*args, torch.float64), lambda f: f(*args, out_dtype=torch.float64)):
        with pytest.raises(NotImplementedError, match="out_dtype is not supported on the CPU"):
            call(getattr(torch, name))


def test_methods_of_old_programs() -> None:
    x = torch.ones(3)
    assert x.map2_(torch.ones(3) * 2, torch.tensor([3.0]), lambda a, b, c: a + b * c).tolist() == [7, 7, 7]
    with pytest.raises(RuntimeError, match=r"Can't call map2_\(\) on Variable that requires grad"):
        x.map2_(x, torch.ones(3, requires_grad=True), lambda a, b, c: a)
    assert x.new(size=(3, 4)).shape == (3, 4)
    dense = torch.ones(2, 3)
    assert (dense.sparse_dim(), dense.dense_dim()) == (0, 2)
    assert (dense.to_sparse().sparse_dim(), dense.to_sparse(1).dense_dim()) == (2, 1)


def test_what_is_no_tensor_class_and_numbers_without_memory() -> None:
    for other in (object, int):
        with pytest.raises(TypeError, match="Creating a Tensor subclass from a class that does not inherit from Tens"):
            torch.ones(2).as_subclass(other)
    with pytest.raises(RuntimeError, match="can't alias NumPy scalars"):
        torch.asarray(np.float64(0.5), copy=False)
