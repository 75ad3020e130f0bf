"""Shapes, parts, sums, products and gradients of tensors in coordinate form, beside those of dense tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch

D = torch.tensor([[2.0, 0, 1, 0], [0, 3, 0, 0], [0, 0, 4, 0]])
E = torch.tensor([[0.0, 2, 0, 0], [0, 0, 4, 0], [0, 0, 0, 0]])
W = torch.arange(8.0).view(4, 2)
CUBE = torch.stack([D, E, D + E])


def uncoalesced() -> Any:
    """``E`` with an index twice, out of order."""
    return torch.sparse_coo_tensor([[1, 0, 1], [2, 1, 2]], [1.0, 2.0, 3.0], (3, 4))


SAME: dict[str, Callable[[Any], Any]] = {
    "transpose": lambda x: x.transpose(-1, 0),
    "permute": lambda x: torch.permute(x, (1, 0)),
    "unsqueeze 0": lambda x: x.unsqueeze(0),
    "unsqueeze 2": lambda x: torch.unsqueeze(x, -1),
    "select 0": lambda x: x.select(0, -1),
    "select 1": lambda x: torch.select(x, 1, 2),
    "an element": lambda x: x[0, 2],
    "a row": lambda x: x[1],
    "narrow_copy": lambda x: x.narrow_copy(1, 1, 2),
    "unbind": lambda x: torch.unbind(x)[2],
    "iterate": lambda x: next(iter(x)),
    "sum": lambda x: x.sum(),
    "sum 0": lambda x: torch.sum(x, 0),
    "sum kept": lambda x: x.sum(1, keepdim=True),
    "norm": lambda x: torch.norm(x),
    "norm 1": lambda x: x.norm(1),
    "cat 0": lambda x: torch.cat([x, x * 2]),
    "cat 1": lambda x: torch.cat([x, x * 2], -1),
    "stack 0": lambda x: torch.stack([x, x * 2]),
    "stack 2": lambda x: torch.stack([x, x * 2], -1),
    "index_select": lambda x: x.index_select(1, torch.tensor([2, 0, 2])),
    "floor_divide": lambda x: x // 2,
    "any": lambda x: x.any(),
    "log1p_": lambda x: x.clone().log1p_(),
}


def dense(x: Any) -> Any:
    return x if x.layout is torch.strided else x.to_dense()


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("given", ["coalesced", "uncoalesced", "rows"])
def test_same_as_dense(name: str, given: str) -> None:
    x = {"coalesced": D.to_sparse(), "uncoalesced": uncoalesced(), "rows": D.to_sparse(1)}[given]
    f = SAME[name]
    if given == "rows" and name in ("transpose", "permute", "an element"):
        with pytest.raises((RuntimeError, NotImplementedError), match="sparse"):
            f(x)
        return
    assert torch.equal(dense(f(x)), f(x.to_dense()))


@pytest.mark.parametrize("dim", [0, 1])
def test_dense_dimensions(dim: int) -> None:
    x = D.to_sparse(1)
    for y in (torch.cat([x, x], dim), x.sum(dim), x.index_select(dim, torch.tensor([1])), x.select(dim, 1)):
        assert y.shape == (y.to_dense() if y.is_sparse else y).shape
    assert torch.equal(torch.cat([x, x * 2], dim).to_dense(), torch.cat([D, D * 2], dim))
    assert torch.equal(x.index_select(1, torch.tensor([1])).to_dense(), D[:, 1:2])
    soft = torch.sparse.softmax(x, 0).to_dense()[[0, 1, 2]]
    torch.testing.assert_close(soft, torch.softmax(D, 0))


def test_batched_products() -> None:
    batch = torch.stack([W, W + 1, W - 1])
    assert torch.equal(torch.bmm(CUBE.to_sparse(), batch), torch.bmm(CUBE, batch))
    x, y = CUBE.to_sparse().requires_grad_(), batch.clone().requires_grad_()
    a, b = CUBE.clone().requires_grad_(), batch.clone().requires_grad_()
    for left, right in ((x, y), (a, b)):
        torch.bmm(left, right).square().sum().backward()
    assert torch.equal(x.grad, a.grad) and torch.equal(y.grad, b.grad)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("sum", [[4, 7], [6, 9], [16, 20]]),
        ("mean", [[2, 3.5], [6, 9], [16, 20]]),
        ("amax", [[4, 5], [6, 9], [16, 20]]),
        ("amin", [[0, 2], [6, 9], [16, 20]]),
    ],
)
def test_products_with_other_reductions(how: str, expected: Any) -> None:
    assert torch.sparse.mm(D.to_sparse_csr(), W, how).tolist() == expected
    with pytest.raises(RuntimeError, match="only supported for a CSR matrix"):
        torch.sparse.mm(D.to_sparse(), W, how)


def test_masks() -> None:
    s = D.to_sparse()
    assert s.sparse_mask(uncoalesced().coalesce())._values().tolist() == [0, 0]
    assert (s + E.to_sparse()).sparse_mask(s)._values().tolist() == [2, 1, 3, 4]
    assert torch.zeros(3, 4).to_sparse().sparse_mask(s)._values().tolist() == [0, 0, 0, 0]


def test_parts_of_compressed_matrices() -> None:
    x = D.to_sparse_csr()
    assert x[0, 2] == 1 and torch.equal(x[0].to_dense(), D[0]) and torch.equal(x.select(1, 2).to_dense(), D[:, 2])


def test_tensors_without_entries() -> None:
    for x in (
        torch.zeros_like(D.to_sparse()),
        torch.empty_like(D.to_sparse()),
        torch.zeros(3, 4, layout=torch.sparse_coo),
        torch.sparse_coo_tensor((3, 4)),
    ):
        assert (x.is_sparse, x._nnz(), x.shape, x.dtype) == (True, 0, (3, 4), torch.float32)
    for f in (torch.ones_like, torch.rand_like, lambda x: torch.full_like(x, 1)):
        with pytest.raises(NotImplementedError, match="does not take sparse tensors"):
            f(D.to_sparse())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: torch.cat([s, D]), RuntimeError, "a dense tensor was found at position 1"),
        (lambda s: torch.cat([s, s.t()]), RuntimeError, r"same shape: \[3, 4\] \(except in the conc"),
        (lambda s: torch.stack([s, s.t()]), RuntimeError, r"equal size, but got \[3, 4\] at entry 0 and \[4, 3\]"),
        (lambda s: torch.cat([s.to_sparse_csr()]), NotImplementedError, "cat"),
        (lambda s: s.select(0, 3), IndexError, r"select\(\): index 3 out of range for tensor of size \[3, 4\]"),
        (lambda s: s.index_select(0, torch.tensor([5])), IndexError, "index contains 5 that is out of range"),
        (lambda s: s.narrow_copy(0, 2, 2), RuntimeError, r"must be a subset of range\(0, 3\)"),
        (lambda s: D.to_sparse(1).transpose(0, 1), RuntimeError, "transposed dimensions must be sparse"),
        (lambda s: s / D, RuntimeError, "Sparse division requires a scalar or zero-dim dense tensor divisor"),
        (lambda s: s.to_dense(torch.float64), RuntimeError, "dtype argument is not supported by sparse_to_dense"),
        (lambda s: s @ W.double(), RuntimeError, "expected scalar type Float but found Double"),
        (lambda s: torch.ones(2, 2).sparse_mask(s), RuntimeError, "operands have incompatible sizes"),
        (lambda s: s + D.to_sparse(1), RuntimeError, "same number of sparse dimensions, but 2 != 1"),
        (lambda s: s + s.t(), RuntimeError, r"\[3, 4\] != \[4, 3\]"),
        (lambda s: torch.exp(s), NotImplementedError, r"exp\(\) does not take sparse tensors"),
        (lambda s: torch.sparse_coo_tensor([[0], [0]], [1.0], (2,)), RuntimeError, "len.size. = 1, sparse_dim = 2"),
    ],
)
def test_refusals(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(D.to_sparse())


# ---- gradients of sparse leaves


def leaf(convert: str = "to_sparse") -> Any:
    return getattr(D, convert)().requires_grad_()


@pytest.mark.parametrize("convert", ["to_sparse", "to_sparse_csr", "to_sparse_csc"])
@pytest.mark.parametrize("vector", [False, True])
def test_operators_give_all_elements_a_gradient(convert: str, vector: bool) -> None:
    for left in (False, True):
        x, a = leaf(convert), D.clone().requires_grad_()
        w = W[:, 0] if vector else W
        w = w[:3].t() if left else w
        for y in (x, a):
            (w @ y if left else y @ w).pow(2).sum().backward()
        assert x.grad.layout is torch.strided and torch.equal(x.grad, a.grad)
        x.grad = None
        assert x.grad is None


def test_functions_of_torch_sparse_give_entries_a_gradient() -> None:
    x = leaf()
    torch.sparse.mm(x, W).sum().backward()
    assert x.grad.is_sparse and x.grad._values().tolist() == [1, 9, 5, 9]
    x = leaf()
    torch.sparse.sum(x).backward()
    assert x.grad.is_sparse and x.grad._values().tolist() == [1, 1, 1, 1]


def test_sums_give_all_elements_a_gradient() -> None:
    x = leaf()
    x.sum().backward()
    assert torch.equal(x.grad, torch.ones(3, 4))
    (E + x).mul(W.view(1, 8)[:, :4]).sum().backward()
    assert torch.equal(x.grad, 1 + W.view(1, 8)[:, :4].expand(3, 4))


def test_gradients_of_both_kinds_are_added() -> None:
    x = leaf()
    (torch.sparse.mm(x, W).sum() + (x @ W).sum()).backward()
    every = torch.ones(3, 2) @ W.t()
    assert torch.equal(x.grad, every + every * (D != 0))


def test_gradients_reach_the_values_of_a_derived_tensor() -> None:
    x = leaf()
    (x.t() @ W[:3]).sum().backward()
    assert x.grad.is_sparse and x.grad._values().tolist() == [1, 1, 5, 9]
    v = torch.ones(2, requires_grad=True)
    s = torch.sparse_coo_tensor([[0, 1], [1, 2]], v, (3, 4))
    assert not s.is_leaf and x.is_leaf
    (s @ W).sum().backward()
    assert v.grad.tolist() == [5, 9]


def test_second_derivatives() -> None:
    x, w = leaf(), W.clone().requires_grad_()
    (g,) = torch.autograd.grad((x @ w).pow(3).sum(), w, create_graph=True)
    g.sum().backward()
    a, v = D.clone().requires_grad_(), W.clone().requires_grad_()
    (h,) = torch.autograd.grad((a @ v).pow(3).sum(), v, create_graph=True)
    h.sum().backward()
    torch.testing.assert_close(w.grad, v.grad)
