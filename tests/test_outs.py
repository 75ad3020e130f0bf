"""Outputs whose dtype does not do are refused, in PyTorch's words."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch

X = torch.arange(6.0).reshape(2, 3)
DOUBLE = "Expected out tensor to have dtype float, but got double instead"
INDICES = "Expected out tensor to have dtype long int, but got int instead"


def zeros(dtype: Any, *size: int) -> Any:
    return torch.zeros(size, dtype=dtype)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "cumsum", "cumprod"])
def test_a_dtype_that_is_not_the_outputs(name: str) -> None:
    size = (2, 3) if name.startswith("cum") else (3,)
    with pytest.raises(RuntimeError, match=DOUBLE):
        getattr(torch, name)(X, 0, dtype=torch.float32, out=zeros(torch.float64, *size))
    out = zeros(torch.float64, *size)
    assert getattr(torch, name)(X, 0, dtype=torch.float64, out=out) is out
    assert torch.equal(out, getattr(torch, name)(X.double(), 0))


def test_sums_without_nan() -> None:
    with pytest.raises(RuntimeError, match="provided dtype must match dtype of result. Got Double and Float"):
        torch.nansum(X, 0, dtype=torch.float32, out=zeros(torch.float64, 3))


@pytest.mark.parametrize("name", ["all", "any"])
def test_decisions_are_bool_or_bytes(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"{name} only supports bool tensor for result, got: Float"):
        getattr(torch, name)(X, 0, out=zeros(torch.float32, 3))
    for dtype in (torch.bool, torch.uint8):
        out = zeros(dtype, 3)
        getattr(torch, name)(X, 0, out=out)
        assert out.tolist() == getattr(torch, name)(X, 0).tolist()


@pytest.mark.parametrize(
    ("name", "values", "indices"),
    [
        ("max", DOUBLE, INDICES),
        ("min", DOUBLE, INDICES),
        ("cummax", "expected scalar_type Float but found Double", "expected scalar_type Long but found Int"),
        ("sort", DOUBLE, INDICES),
        ("mode", "expected scalar type 'Float' but got 'Double' for values output",
         "expected scalar type 'Long' but got 'Int' for indices output"),
    ],
)  # fmt: skip
def test_values_and_indices(name: str, values: str, indices: str) -> None:
    whole = name in ("cummax", "sort")
    size, f = (2, 3) if whole else (2,), getattr(torch, name)
    for dtypes, message in (((torch.float64, torch.int64), values), ((torch.float32, torch.int32), indices)):
        with pytest.raises(RuntimeError) as caught:
            f(X, 1, out=tuple([zeros(d, *size) for d in dtypes]))
        assert str(caught.value) == message
    out = zeros(torch.float32, *size), zeros(torch.int64, *size)
    f(X, 1, out=out)
    assert torch.equal(out[1], f(X, 1).indices)


def test_other_indices() -> None:
    out = zeros(torch.float32, 2), zeros(torch.int32, 2)
    with pytest.raises(RuntimeError, match="output indices must be of scalar type Long"):
        torch.kthvalue(X, 1, 1, out=out)
    with pytest.raises(TypeError, match="must be int, not bool"):
        torch.topk(X, 1, True)


def test_bounds_that_are_tensors_promote_as_operands_do() -> None:
    x, out = torch.tensor([1, 2, 3], dtype=torch.int32), zeros(torch.float32, 3)
    assert torch.clamp_min(x, torch.tensor(2), out=out) is out
    assert out.tolist() == [2.0, 2.0, 3.0]
    with pytest.raises(RuntimeError, match="Found dtype Float but expected Int"):
        torch.clamp_min(x, 2, out=out)


def test_the_quotient_of_two_numbers_is_a_tensor() -> None:
    assert repr(torch.floor_divide(7, 2)) == "tensor(3)"
    assert repr(torch.floor_divide(5.0, 2.0)) == "tensor(2.)"


SHARED = "some elements of the input tensor and the written-to tensor refer to a single memory location"


def test_memory_that_an_operator_reads_shifted_is_refused() -> None:
    for f in (
        lambda b: torch.add(b[:-1], 1, out=b[1:]),
        lambda b: torch.exp(b[:6], out=b[3:9]),
        lambda b: torch.mul(b[:9].view(3, 3), b[:9].view(3, 3).t(), out=b[:9].view(3, 3)),
        lambda b: torch.where(b[:9] > 1, b[:9], b[1:], out=b[1:]),
        lambda b: torch.index_select(b, 0, torch.arange(10), out=b),
    ):
        b = torch.arange(10.0)
        with pytest.raises(RuntimeError, match=SHARED):
            f(b)
        assert b.tolist() == list(range(10))


def test_memory_that_is_read_as_it_is_written_or_apart_is_taken() -> None:
    b = torch.arange(10.0)
    torch.add(b, 1, out=b)
    assert b.tolist() == list(range(1, 11))
    torch.mul(b[:5], 2, out=b[5:])
    assert b.tolist() == [1, 2, 3, 4, 5, 2, 4, 6, 8, 10]
    torch.add(b[::2], 1, out=b[1::2])
    assert b.tolist() == [1, 2, 3, 4, 5, 6, 4, 5, 8, 9]


def test_sums_and_products_may_be_written_over_what_they_are_made_of() -> None:
    b = torch.arange(6.0)
    torch.sum(b.view(2, 3), 0, out=b[:3])
    assert b.tolist() == [3, 5, 7, 3, 4, 5]
    torch.softmax(b[:2] * 0, 0, out=b[1:3])
    torch.tril(b[:4].view(2, 2), out=b[2:].view(2, 2))
    assert b.tolist() == [3, 0.5, 3, 0, 0.5, 3]
    m = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    torch.mm(m, m, out=m)
    assert m.tolist() == [[7, 10], [15, 22]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda out: torch.mm(X, X.t(), out=out), DOUBLE),
        (lambda out: torch.gather(X, 1, torch.zeros(2, 1).long(), out=out), DOUBLE),
        (lambda out: torch.softmax(X, 1, out=out), DOUBLE),
        (lambda out: torch.lerp(X, X, X, out=out), "Found dtype Double but expected Float"),
        (lambda out: torch.dot(X[0], X[1], out=out), "result dtype Double does not match input dtype Float"),
        (lambda out: torch.index_select(X, 0, torch.tensor([0]), out=out),
         "index_select(): self and result must have the same scalar type"),
        (lambda out: torch.multinomial(X, 1, out=out), "multinomial expects Long tensor out, got: Double"),
    ],
)  # fmt: skip
def test_operators_that_convert_no_result(call: Any, message: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        call(torch.zeros(0, dtype=torch.float64))
    assert str(caught.value) == message


def test_sizes_of_complex_numbers_are_stored_as_wider_dtypes() -> None:
    x = torch.tensor([3 + 4j, -1j])
    for dtype in (torch.float32, torch.float64, torch.complex64):
        for call in (torch.abs, torch.absolute):
            out = call(x, out=torch.zeros(2, dtype=dtype))
            assert out.dtype is dtype and out.tolist() == [5, 1]
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
        torch.abs(x, out=torch.zeros(2, dtype=torch.int64))
    with pytest.raises(RuntimeError, match="Found dtype Double but expected Float"):
        torch.abs(x.real, out=torch.zeros(2, dtype=torch.float64))


EYE, ONES = torch.eye(3), torch.ones(3)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("linalg.cond", lambda out: torch.linalg.cond(EYE, out=out)),
        ("linalg.pinv", lambda out: torch.linalg.pinv(EYE, out=out)),
        ("cholesky_inverse", lambda out: torch.cholesky_inverse(EYE, out=out)),
        ("cholesky_solve", lambda out: torch.cholesky_solve(EYE, EYE, out=out)),
        ("torch.linalg.householder_product", lambda out: torch.linalg.householder_product(EYE, ONES, out=out)),
        ("tensorinv", lambda out: torch.linalg.tensorinv(torch.eye(4).view(2, 2, 2, 2), out=out)),
    ],
)
def test_results_that_are_converted_where_no_kind_of_number_is_lost(name: str, call: Any) -> None:
    wide = call(zeros(torch.float64, 0))
    assert wide.dtype is torch.float64
    assert torch.equal(wide, call(None).double())
    with pytest.raises(RuntimeError) as caught:
        call(zeros(torch.int32, 0))
    assert str(caught.value) == (
        f"{name}: Expected result to be safely castable from Float dtype, but got result with dtype Int"
    )


def test_which_of_several_results_is_not_converted() -> None:
    right, wrong = zeros(torch.complex64, 0), zeros(torch.float32, 0)
    text = "torch.linalg.eig: Expected eigen{0} to be safely castable from ComplexFloat dtype, but got eigen{0} with"
    for part, out in (("values", (wrong, right)), ("vectors", (right, wrong))):
        with pytest.raises(RuntimeError, match=text.format(part)):
            torch.linalg.eig(EYE, out=out)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda out: torch.linalg.multi_dot([EYE, EYE], out=out), "multi_dot(): expected out tensor to have dtype "
         "float but got double"),
        (lambda out: torch.linalg.norm(EYE, out=out), "linalg.norm expected out tensor dtype Float but got: Double"),
        (lambda out: torch.linalg.matrix_norm(EYE, out=out), "linalg.matrix_norm expected out tensor dtype Float but "
         "got: Double"),
        (lambda out: torch.linalg.vecdot(ONES, ONES, out=out), "linalg.vecdot: Expected out of dtypeFloat but found "
         "Double"),
        (lambda out: torch.tensordot(EYE, EYE, 1, out=out), "tensordot: Expected the output tensor to have dtype "
         "Float, but got an output tensor with dtype Double"),
        (lambda out: torch.mv(EYE, ONES, out=out), DOUBLE),
        (lambda out: torch.linalg.solve_triangular(EYE, EYE, upper=True, out=out), "expected scalar type Float but "
         "found Double"),
    ],
)  # fmt: skip
def test_products_and_norms_say_so_in_their_own_words(call: Any, message: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        call(zeros(torch.float64, 0))
    assert str(caught.value) == message


@pytest.mark.parametrize("call", [lambda **kw: torch.eye(3, **kw), lambda **kw: torch.arange(3, **kw)])
def test_a_dtype_beside_an_out_of_another(call: Any) -> None:
    with pytest.raises(RuntimeError) as caught:
        call(dtype=torch.int64, out=zeros(torch.float32, 3))
    assert str(caught.value) == "dtype Long does not match dtype of out parameter (Float)"
