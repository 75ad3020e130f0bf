"""Sparse tensors with coordinates and with compressed rows or columns; numbers and texts are PyTorch's."""

import copy
import io
import pickle

import pytest

import flambeau as torch

ROWS = [[0, 1.0, 0], [2, 0, 3], [0, 0, 0]]
A, B = [[0, 1.0], [2, 0]], [[3.0, 1], [0, 0]]


def csr(values=ROWS):
    return torch.tensor(values).to_sparse_csr()


def coo(values):
    return torch.tensor(values).to_sparse()


def test_a_matrix_with_compressed_rows():
    x = csr()
    assert (x.layout, x.is_sparse_csr, x.is_sparse) == (torch.sparse_csr, True, False)
    assert x.crow_indices().tolist() == [0, 1, 3, 3]
    assert x.col_indices().tolist() == [1, 0, 2]
    assert x.values().tolist() == [1, 2, 3]
    assert (x._nnz(), x.shape, x.dim(), x.sparse_dim(), x.dense_dim()) == (3, (3, 3), 2, 2, 0)
    assert torch.equal(x.to_dense(), torch.tensor(ROWS))
    assert torch.equal(x.to_sparse().to_dense(), torch.tensor(ROWS))
    with pytest.raises(RuntimeError, match="indices expected sparse coordinate tensor layout but got SparseCsr"):
        x.indices()
    with pytest.raises(RuntimeError, match="ccol_indices expected sparse column compressed tensor layout but got"):
        x.ccol_indices()


def test_compressed_columns_are_rows_of_the_transposed():
    x = csr().to_sparse_csc()
    assert x.ccol_indices().tolist() == [0, 1, 2, 3]
    assert x.row_indices().tolist() == [1, 0, 1]
    assert x.values().tolist() == [2, 1, 3]
    assert x.t().layout is torch.sparse_csr
    assert torch.equal(csr().t().to_dense(), torch.tensor(ROWS).t())
    assert torch.equal(x.to_sparse_csr().to_dense(), torch.tensor(ROWS))


def test_text():
    assert repr(csr()) == (
        "tensor(crow_indices=tensor([0, 1, 3, 3]),\n"
        "       col_indices=tensor([1, 0, 2]),\n"
        "       values=tensor([1., 2., 3.]), size=(3, 3), nnz=3,\n"
        "       layout=torch.sparse_csr)"
    )
    assert repr(csr(A)).endswith("values=tensor([1., 2.]), size=(2, 2), nnz=2, layout=torch.sparse_csr)")
    assert repr(csr(A).double()).endswith(
        "values=tensor([1., 2.]), size=(2, 2), nnz=2, dtype=torch.float64,\n       layout=torch.sparse_csr)"
    )
    assert repr(torch.sparse_csr_tensor([0, 0], [], [], (1, 4))) == (
        "tensor(crow_indices=tensor([0, 0]),\n"
        "       col_indices=tensor([], size=(0,)),\n"
        "       values=tensor([], size=(0,)), size=(1, 4), nnz=0,\n"
        "       layout=torch.sparse_csr)"
    )


@pytest.mark.parametrize(
    "multiply",
    [
        lambda x, w: x @ w,
        torch.mm,
        torch.matmul,
        torch.sparse.mm,
        lambda x, w: torch.addmm(torch.zeros(3, 2), x, w),
        lambda x, w: torch.stack([torch.mv(x, w[:, 0]), x @ w[:, 1]], 1),
        lambda x, w: (w.t() @ x.t()).t(),
    ],
)
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_products_with_dense_matrices(multiply, layout):
    w = torch.arange(6.0).view(3, 2)
    assert multiply(torch.tensor(ROWS).to_sparse(layout=layout), w).tolist() == [[2, 3], [12, 17], [0, 0]]


def test_products_of_sparse_matrices():
    x = torch.sparse.mm(coo(A), coo(B))
    assert x.indices().tolist() == [[1, 1], [0, 1]]
    assert x.values().tolist() == [6, 2]
    y = csr() @ csr()
    assert y.layout is torch.sparse_csr
    assert y.to_dense().tolist() == [[2, 0, 3], [0, 2, 0], [0, 0, 0]]
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        coo(A) @ coo(ROWS)


def test_products_of_random_sparse_matrices():
    torch.manual_seed(0)
    a, b = (torch.randn(shape).relu() * (torch.rand(shape) < 0.4) for shape in ((7, 9), (9, 5)))
    for layout in (torch.sparse_coo, torch.sparse_csr):
        found = a.to_sparse(layout=layout) @ b.to_sparse(layout=layout)
        torch.testing.assert_close(found.to_dense(), a @ b)


@pytest.mark.parametrize("convert", ["to_sparse", "to_sparse_csr", "to_sparse_csc"])
def test_gradients(convert):
    """The operator gives all elements of the dense matrix a gradient; ``torch.sparse.mm`` those that are there."""
    w = torch.tensor([[1.0, 2], [3, 4]], requires_grad=True)
    for multiply, expected in ((torch.matmul, [[3, 7], [3, 7]]), (torch.sparse.mm, [[0, 7], [3, 0]])):
        x = torch.tensor(A, requires_grad=True)
        multiply(getattr(x, convert)(), w).sum().backward()
        assert x.grad.tolist() == expected
    x = torch.tensor(A, requires_grad=True)
    (getattr(x, convert)() * 2).to_dense().sum().backward()
    assert x.grad.tolist() == [[0, 2], [2, 0]]
    v = torch.tensor([1.0, 2], requires_grad=True)
    (torch.sparse_csr_tensor([0, 1, 2], [1, 0], v) @ w).sum().backward()
    assert v.grad.tolist() == [7, 3]


def test_sums_and_elementwise_products():
    a, b = coo(A), coo(B)
    assert (a - b).to_dense().tolist() == [[-3, 0], [2, 0]]
    assert (a - b)._nnz() == 3
    assert (a * b).indices().tolist() == [[0], [1]]
    assert (a * torch.tensor([[5.0, 6], [7, 8]])).values().tolist() == [6, 14]
    assert (torch.ones(2, 2) * a * 2).values().tolist() == [2, 4]
    assert (torch.ones(2, 2) + csr(A)).tolist() == [[1, 2], [3, 1]]
    assert (csr(A) + csr(B)).to_dense().tolist() == [[3, 2], [2, 0]]
    assert (csr(A) * csr(B)).to_dense().tolist() == [[0, 1], [0, 0]]
    assert torch.sparse.sum(a, (0, 1)).item() == 3
    assert torch.sparse.sum(a, [0]).to_dense().tolist() == [2, 1]
    assert csr().sum().item() == 6
    assert csr().norm().item() == pytest.approx(14**0.5)


def test_functions_that_keep_zeros():
    twice = torch.sparse_coo_tensor([[0, 0, 1], [1, 1, 0]], [1.0, 2, -4], (2, 2))
    assert twice.abs().values().tolist() == [3, 4]
    assert torch.square(twice).values().tolist() == [9, 16]
    assert (twice**2).values().tolist() == [9, 16]
    assert (-twice)._values().tolist() == [-1, -2, 4]
    assert torch.abs(csr(A)).values().tolist() == [1, 2]
    assert (csr(A) / 2).values().tolist() == [0.5, 1]
    with pytest.raises(NotImplementedError, match="only exponents above zero"):
        twice.pow(0)
    with pytest.raises(NotImplementedError, match="layout torch.sparse_csr"):
        torch.cos(csr(A))


def test_parts_of_a_tensor():
    a = coo(A)
    assert a[0].to_dense().tolist() == [0, 1]
    assert a[-1, 0].item() == 2
    assert a[0, 0].item() == 0
    assert a.index_select(0, torch.tensor([1, 0, 1])).to_dense().tolist() == [[2, 0], [0, 1], [2, 0]]
    assert a.index_select(1, torch.tensor([1])).to_dense().tolist() == [[1], [0]]
    assert torch.ones(2, 2).sparse_mask(coo(B)).to_dense().tolist() == [[1, 1], [0, 0]]
    with pytest.raises(IndexError, match="out of bounds"):
        a[2]
    rows = torch.eye(3).to_sparse(1)
    assert (rows.sparse_dim(), rows.dense_dim(), rows.values().tolist()) == (1, 1, torch.eye(3).tolist())


def test_softmax_of_the_entries():
    x = coo([[1.0, 2, 0], [0, 3, 4]])
    expected = torch.tensor([0.2689, 0.7311, 0.2689, 0.7311])
    torch.testing.assert_close(torch.sparse.softmax(x, 1).values(), expected, atol=1e-4, rtol=0)
    found = torch.sparse.log_softmax(x, 0).values()
    torch.testing.assert_close(found, torch.tensor([0, -1.3133, -0.3133, 0]), atol=1e-4, rtol=0)


def test_sampled_products_and_diagonals():
    x = torch.sparse.sampled_addmm(csr(A), torch.ones(2, 3), torch.arange(6.0).view(3, 2), beta=0.5, alpha=2)
    assert x.values().tolist() == [18.5, 13]
    d = torch.sparse.spdiags(torch.tensor([[1.0, 2, 3], [4, 5, 6]]), torch.tensor([0, -1]), (3, 3))
    assert d.indices().tolist() == [[0, 1, 2, 1, 2], [0, 1, 2, 0, 1]] if d.is_coalesced() else d._nnz() == 5
    assert d.to_dense().tolist() == [[1, 0, 0], [4, 2, 0], [0, 5, 3]]
    with pytest.raises(RuntimeError, match="duplicate"):
        torch.sparse.spdiags(torch.ones(2, 3), torch.tensor([1, 1]), (3, 3))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([0, 1, 2], [1, 0], [1.0]), "number of specified elements must match"),
        (([0, 1, 3], [1, 0], [1.0, 2]), r"`crow_indices\[..., -1\] == nnz` is not satisfied"),
        (([1, 1, 2], [1, 0], [1.0, 2]), r"`crow_indices\[..., 0\] == 0` is not satisfied"),
        (([0, 1, 2], [1, 5], [1.0, 2], (2, 2)), "`0 <= col_indices < ncols` is not satisfied"),
        (([0, 1, 2], [1, 0], [1.0, 2], (3, 2)), "must be equal to the number of nrows plus one"),
        (([0, 3, 2], [1, 0], [1.0, 2], (2, 2)), "is not satisfied"),
        (([0, 2, 2], [1, 0], [1.0, 2], (2, 2)), "sorted and distinct"),
        (([0, 2, 2], [1, 1], [1.0, 2], (2, 2)), "sorted and distinct"),
    ],
)
def test_parts_that_make_no_matrix(args, message):
    with pytest.raises(RuntimeError, match=message):
        torch.sparse_csr_tensor(*args)


def test_layouts_that_are_not_there():
    with pytest.raises(NotImplementedError, match="torch.sparse_bsr is not supported"):
        torch.eye(2).to_sparse(layout=torch.sparse_bsr)
    with pytest.raises(NotImplementedError, match="for matrices"):
        torch.ones(2, 2, 2).to_sparse_csr()


@pytest.mark.parametrize("x", [csr(), csr().to_sparse_csc().half(), coo(A)])
def test_saved_and_copied(x):
    file = io.BytesIO()
    torch.save({"x": x}, file)
    file.seek(0)
    for y in (torch.load(file)["x"], pickle.loads(pickle.dumps(x)), copy.deepcopy(x), x.clone()):
        assert repr(y) == repr(x)
        assert y.values().data_ptr() != x.values().data_ptr()
    leaf = copy.deepcopy(x.float().requires_grad_())
    assert leaf.requires_grad and leaf.is_leaf
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(leaf * 2)


def test_saying_that_indices_are_checked():
    check = torch.sparse.check_sparse_tensor_invariants
    assert not check.is_enabled()
    with check():
        assert check.is_enabled()
    assert not check.is_enabled()


def test_parts_are_printed_as_wide_as_the_line_leaves() -> None:
    x = torch.sparse_coo_tensor(torch.arange(40).reshape(2, 20), torch.ones(20), (20, 40))
    lines = repr(x).split("\n")
    assert lines[0] == "tensor(indices=tensor([[ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13,"
    assert lines[1] == " " * 24 + "14, 15, 16, 17, 18, 19],"
    assert lines[4] == "       values=tensor([1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1., 1.,"
    assert lines[-1] == "       size=(20, 40), nnz=20, layout=torch.sparse_coo)"
