"""Names that packages take from PyTorch: helpers of one process, private forms, and functions that were removed."""

import pytest

import flambeau as torch
from flambeau._vmap_internals import _vmap
from flambeau.autograd import functional
from flambeau.distributed import autograd
from flambeau.distributed.elastic.multiprocessing.errors import record


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("eig", 1, r"torch.linalg.eig\(A\)"),
        ("symeig", 1, "UPLO='U' if upper else 'L'"),
        ("solve", 2, r"X = torch.linalg.solve\(A, B\)"),
        ("lstsq", 2, r"X = torch.linalg.lstsq\(A, B\).solution"),
        ("matrix_rank", 1, "Please use the `torch.linalg.matrix_rank` function instead"),
    ],
)
def test_removed_functions_say_what_to_use(name, count, message):
    with pytest.raises(RuntimeError, match=message) as info:
        getattr(torch, name)(*[torch.eye(2)] * count)
    assert str(info.value).startswith("This function was deprecated since version 1.9 and is now removed.")


def test_the_older_vmap():
    x = torch.arange(6.0).view(3, 2)
    assert _vmap(torch.sum)(x).tolist() == [1, 5, 9]
    total, nothing = _vmap(lambda row: (row.sum(), None), allow_none_pass_through=True)(x)
    assert total.tolist() == [1, 5, 9]
    assert nothing is None


def test_helpers_of_jacobians():
    x, y = torch.ones(2), torch.ones(1, 2, dtype=torch.float64)
    a, b = functional._construct_standard_basis_for((x, y), (2, 2))
    assert a.tolist() == [[1, 0], [0, 1], [0, 0], [0, 0]]
    assert b.tolist() == [[0, 0], [0, 0], [1, 0], [0, 1]]
    assert b.dtype == torch.float64
    assert functional._as_tuple(x) == (False, (x,))
    assert functional._as_tuple((x, y)) == (True, (x, y))
    assert functional._tuple_postprocess((1, 2), True) == (1, 2)
    assert functional._tuple_postprocess((1,), False) == 1
    assert functional._tuple_postprocess(((1,), (2,)), (True, False)) == (1, 2)
    z = x.clone().requires_grad_() * 2
    assert functional._grad_postprocess((z,), True)[0] is z
    assert not functional._grad_postprocess((z,), False)[0].requires_grad


def test_line_search():
    from flambeau.optim.lbfgs import _cubic_interpolate, _strong_wolfe

    assert _cubic_interpolate(*(torch.tensor(v) for v in (0.0, 1.0, -2.0, 2.0, 1.0, 2.0))).item() == 1
    x, d = torch.tensor([4.0, -2.0]), torch.tensor([-8.0, 4.0])

    def loss(x, t, d):
        at = x + t * d
        return float(at.square().sum()), 2 * at

    g = 2 * x
    f, grad, t, evaluations = _strong_wolfe(loss, x, 1.0, d, 20.0, g, g.dot(d))
    assert (f, t.item(), evaluations) == (0, 0.5, 2)
    assert grad.tolist() == [0, 0]
    with pytest.raises(NotImplementedError, match="c1, c2"):
        _strong_wolfe(loss, x, 1.0, d, 20.0, g, g.dot(d), c1=0.1)


def test_distributed_names_of_one_process():
    @record
    def main():
        return 3

    assert main() == 3
    assert not autograd.is_available()
    with pytest.raises(NotImplementedError, match="one process"):
        autograd.context()
