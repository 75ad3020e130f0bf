"""What public programs use beside the operators: old tensor types, sparse matrices, and the like."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as torch

INDICES, VALUES = [[0, 1, 1], [2, 0, 2]], [3.0, 4.0, 5.0]


def sparse(**options):
    return torch.sparse_coo_tensor(torch.tensor(INDICES), torch.tensor(VALUES, **options), (2, 3))


# ---- tensor types


def test_tensor_types_make_tensors_of_their_dtype():
    assert torch.LongTensor([1.5, 2]).tolist() == [1, 2]
    assert torch.FloatTensor(2, 3).shape == (2, 3)
    assert torch.FloatTensor(torch.Size([4])).shape == (4,)
    assert torch.BoolTensor([1, 0]).tolist() == [True, False]
    assert torch.DoubleTensor(np.array([1, 2], np.int32)).dtype is torch.float64
    assert torch.FloatTensor().shape == (0,)


def test_tensors_are_instances_of_the_type_of_their_dtype():
    x = torch.ones(2)
    assert isinstance(x, torch.FloatTensor)
    assert not isinstance(x, torch.LongTensor)
    assert x.type(torch.LongTensor).dtype is torch.int64
    assert repr(torch.FloatTensor) == "<class 'torch.FloatTensor'>"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.FloatTensor(3.0), r"new\(\): data must be a sequence \(got float\)"),
        (lambda: torch.LongTensor("a"), r"new\(\): invalid data type 'str'"),
        (lambda: torch.LongTensor(torch.ones(2)), r"expected TensorOptions\(dtype=long int, .*got .*dtype=float,"),
    ],
)
def test_tensor_types_refuse(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_default_tensor_type():
    torch.set_default_tensor_type(torch.DoubleTensor)
    try:
        assert torch.zeros(1).dtype is torch.float64
    finally:
        torch.set_default_tensor_type("torch.FloatTensor")
    with pytest.raises(TypeError, match="only floating-point types are supported as the default type"):
        torch.set_default_tensor_type(torch.LongTensor)


# ---- sparse matrices


def test_sparse_matrix_prints_as_pytorch_does():
    assert repr(sparse()) == (
        "tensor(indices=tensor([[0, 1, 1],\n"
        "                       [2, 0, 2]]),\n"
        "       values=tensor([3., 4., 5.]),\n"
        "       size=(2, 3), nnz=3, layout=torch.sparse_coo)"
    )


def test_sparse_products_and_sums():
    s, dense = sparse(), torch.tensor([[0.0, 0.0, 3.0], [4.0, 0.0, 5.0]])
    b = torch.arange(6.0).reshape(3, 2)
    assert s.to_dense().tolist() == dense.tolist()
    for y in (s @ b, torch.mm(s, b), torch.spmm(s, b), torch.sparse.mm(s, b), torch.matmul(s, b)):
        assert y.tolist() == (dense @ b).tolist()
    assert (s @ b[:, 0]).tolist() == (dense @ b[:, 0]).tolist()
    assert (torch.ones(4, 2) @ s).tolist() == (torch.ones(4, 2) @ dense).tolist()
    assert (torch.ones(2, 3) + s).tolist() == (torch.ones(2, 3) + dense).tolist()
    assert (s + s).to_dense().tolist() == (2 * dense).tolist()
    assert s.t().to_dense().tolist() == dense.t().tolist()
    assert s.sum().item() == 12
    assert torch.sparse.sum(s, dim=0).to_dense().tolist() == [4, 0, 8]


def test_sparse_product_has_gradients():
    values, b = torch.tensor(VALUES, requires_grad=True), torch.arange(6.0).reshape(3, 2).requires_grad_(True)
    (torch.sparse_coo_tensor(torch.tensor(INDICES), values, (2, 3)) @ b).sum().backward()
    assert b.grad.tolist() == [[4, 4], [0, 0], [8, 8]]
    assert values.grad.tolist() == [9, 1, 9]


def test_coalesce_adds_what_has_one_index():
    s = torch.sparse_coo_tensor([[1, 0, 1]], [1.0, 2.0, 3.0], (3,)).coalesce()
    assert s.indices().tolist() == [[0, 1]]
    assert s.values().tolist() == [2, 4]


def test_dense_to_sparse_and_back():
    x = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    assert x.to_sparse().indices().tolist() == [[0, 1], [1, 0]]
    assert x.to_sparse().to_dense().tolist() == x.tolist()
    assert x.to_sparse().is_sparse
    assert isinstance(x.to_sparse(), torch.sparse.FloatTensor)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: torch.relu(s), NotImplementedError, "does not take sparse tensors"),
        (
            lambda s: s + torch.ones(2, 3),
            RuntimeError,
            r"add\(sparse, dense\) is not supported. Use add\(dense, sparse\)",
        ),
        (lambda s: s.indices(), RuntimeError, "Cannot get indices on an uncoalesced tensor"),
        (lambda s: s @ torch.ones(2, 2), RuntimeError, r"Argument #3 \(dense\): Expected dim 0 size 3, got 2"),
        (lambda s: s.numpy(), TypeError, "can't convert Sparse layout tensor to numpy"),
        (lambda s: torch.sparse_coo_tensor([[5]], [1.0], (3,)), RuntimeError, "for dim 0, size is 3 but found index 5"),
        (lambda s: torch.sparse_coo_tensor([[0, 1]], [1.0], (3,)), RuntimeError, "must have same nnz"),
    ],
)
def test_sparse_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call(sparse())


# ---- big optimizers


def test_first_step_of_a_large_group_records_in_one_epoch(monkeypatch):
    from flambeau.ops import _registry

    monkeypatch.setattr(_registry, "BUDGET", 1 << 18)
    parameters = [torch.nn.Parameter(torch.full((64, 64), float(i))) for i in range(12)]
    optimizer = torch.optim.Adadelta(parameters, lr=1.0)
    for p in parameters:
        p.grad = torch.ones_like(p)
    optimizer.step()
    steps = {round((p - i).mean().item(), 6) for i, p in enumerate(parameters)}
    assert steps == {-0.003162} or len(steps) < 4
