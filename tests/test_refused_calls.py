"""Calls that PyTorch refuses, found by the errors of its operator database, are refused in its words."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch

F = torch.nn.functional
NO_DIMS = "Dimension specified as 0 but tensor has no dimensions"
PERMUTED = (
    "Dimension out of range (expected to be between 0 and 0, but got 3 at index 0).  NB: negative dims not currently "
    "supported; file an issue if you want it."
)
ISIN = ", *, bool assume_unique = False, bool invert = False, Tensor out = None)\n"

CASES: list[tuple[Any, type[Exception], str]] = [
    (lambda: torch.as_strided(torch.zeros(6), (0, -2), (1, 1)), RuntimeError,
     "Storage size calculation overflowed with sizes=[0, -2] and strides=[1, 1]"),
    (lambda: torch.zeros(2, names=("a",)), TypeError, "zeros() got an unexpected keyword argument 'names'"),
    (lambda: torch.full((2,), 1.0, names=None), TypeError, "full() got an unexpected keyword argument 'names'"),
    (lambda: torch.ones(2).new_zeros(2, other=1), TypeError, "new_zeros() got an unexpected keyword argument 'other'"),
    (lambda: torch.empty((2,), size=(2,)), TypeError, "empty() got multiple values for argument 'size'"),
    (lambda: torch.randn(2, names=None), TypeError,
     "randn() received an invalid combination of arguments - got (int, names=NoneType), but expected one of:\n"
     + "".join(f" * (tuple of ints size, *, {given}Tensor out = None, torch.dtype dtype = None, "
               "torch.layout layout = None, torch.device device = None, bool pin_memory = False, "
               "bool requires_grad = False)\n" for given in ("torch.Generator generator, ", ""))),
    (lambda: torch.isin([1], 2, invert=True), TypeError,
     "isin() received an invalid combination of arguments - got (list, int, invert=bool), but expected one of:\n"
     f" * (Tensor elements, Tensor test_elements{ISIN} * (Number element, Tensor test_elements{ISIN}"
     f" * (Tensor elements, Number test_element{ISIN}"),
    (lambda: torch.cov(torch.ones(3), fweights=torch.tensor([1, -1, 2])), RuntimeError,
     "cov(): fweights cannot be negative"),
    (lambda: torch.cov(torch.ones(3), aweights=torch.tensor([1.0, -1, 2])), RuntimeError,
     "cov(): aweights cannot be negative"),
    (lambda: torch.tensor([1, 2]).masked_fill(torch.tensor(True), torch.tensor(1 + 2j)), RuntimeError,
     "value cannot be converted to type int64_t without overflow"),
    (lambda: torch.roll(torch.tensor(1.0), 0, 0), IndexError, NO_DIMS),
    (lambda: torch.fft.fft2(torch.tensor(1.0), dim=[0]), IndexError, NO_DIMS),
    (lambda: torch.empty_permuted([2], [3]), RuntimeError, PERMUTED),
    (lambda: torch.empty_permuted([2, 3], [0, 0]), RuntimeError, "Duplicate dim not allowed"),
    (lambda: torch.multinomial(torch.ones(2**24 + 1), 3), RuntimeError, "number of categories cannot exceed 2^24"),
    (lambda: torch.linspace(torch.zeros(2), torch.zeros(1, 2), 2), RuntimeError,
     "linspace only supports 0-dimensional start and end tensors, but got start with 1 dimension(s) and end with 2 "
     "dimension(s)."),
    (lambda: torch.narrow_copy(torch.zeros(3), 0, -1, -1), RuntimeError,
     "start (2) + length (-1) exceeds dimension size (3)."),
    (lambda: F.adaptive_avg_pool2d(torch.zeros(2, 2), [2, 2]), ValueError, "Input dimension should be at least 3"),
    (lambda: F.adaptive_avg_pool2d(torch.zeros(2, 2), 2), RuntimeError,
     "adaptive_avg_pool2d(): Expected 3D or 4D tensor, but got [2, 2]"),
    (lambda: F.adaptive_max_pool3d(torch.zeros(2, 2, 2), [2, 2, 2]), ValueError,
     "Input dimension should be at least 4"),
    (lambda: F.adaptive_max_pool1d(torch.zeros(1, 2, 3), []), RuntimeError,
     "adaptive_max_pool1d() argument 'output_size' should contain one int (got 0)"),
    (lambda: torch.signal.windows.blackman(-1), ValueError,
     "blackman requires non-negative window length, got M=-1"),
    (lambda: torch.signal.windows.hann(-1), ValueError,
     "general_cosine requires non-negative window length, got M=-1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), CASES)
def test_a_call_is_refused(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert str(caught.value) == message


def test_a_ranking_of_integers_is_a_float() -> None:
    x, y, target = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1], [2]]), torch.tensor([[1], [1]])
    loss = F.margin_ranking_loss(x, y, target, margin=1)
    assert loss.dtype is torch.float32
    assert loss.item() == 0.25
    assert F.margin_ranking_loss(x, y, target, margin=1, reduction="none").tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_strides_of_a_scatter_are_those_of_the_memory() -> None:
    x = torch.arange(18.0).reshape(3, 6)[:, ::2]
    y = torch.as_strided_scatter(x, torch.full((2, 2), -1.0), (2, 2), (1, 2), 1)
    assert y.tolist() == [[0.0, -1.0, -1.0], [6.0, 8.0, 10.0], [12.0, 14.0, 16.0]]
    assert y.stride() == (6, 2)
    assert x[0, 1] == 2


X = torch.arange(6.0).reshape(1, 2, 3)
ONE = torch.zeros(1, 1, 1).long()
WITH_AXIS: list[Any] = [
    lambda x, d: x.squeeze_(**d), lambda x, d: x.unsqueeze_(**d), lambda x, d: x.cumsum_(**d),
    lambda x, d: x.cumprod_(**d), lambda x, d: torch.trapezoid(x, x=X * 2, **d), lambda x, d: torch.trapz(x, **d),
    lambda x, d: torch.cosine_similarity(x, X + 1, **d), lambda x, d: F.cosine_similarity(x, X + 1, **d),
    lambda x, d: x.scatter_(index=ONE, value=7.0, **d), lambda x, d: x.scatter_add(index=ONE, src=X, **d),
    lambda x, d: x.index_fill_(index=ONE[0, 0], value=7.0, **d), lambda x, d: x.gather(index=ONE, **d),
    lambda x, d: x.narrow(start=0, length=1, **d), lambda x, d: x.select(index=0, **d),
    lambda x, d: torch.unflatten(x, sizes=(-1, 1), **d), lambda x, d: x.unsafe_chunk(1, **d)[0],
    lambda x, d: torch.gradient(x, **d)[0] if d.get("axis", d.get("dim")) else x,
]  # fmt: skip


@pytest.mark.parametrize("call", WITH_AXIS)
@pytest.mark.parametrize("dim", [0, 1])
def test_axis_is_dim(call: Any, dim: int) -> None:
    assert torch.equal(call(X.clone(), {"axis": dim}), call(X.clone(), {"dim": dim}))


INTEGERS: list[tuple[Any, str]] = [
    (lambda n: torch.tril(X[0], n), "tril(): argument 'diagonal' (position 2)"),
    (lambda n: torch.topk(X, n)[0], "topk(): argument 'k' (position 2)"),
    (lambda n: X.select(1, n), "select(): argument 'index' (position 2)"),
    (lambda n: X[0].diagonal(n), "diagonal(): argument 'offset' (position 1)"),
    (lambda n: torch.triu_indices(n, 2), "triu_indices(): argument 'row' (position 1)"),
    (lambda n: torch.randint(n, (2,)), "randint(): argument 'high' (position 1)"),
    (lambda n: torch.unsqueeze(X, n), "unsqueeze(): argument 'dim' (position 2)"),
    (lambda n: F.one_hot(ONE, n), "one_hot(): argument 'num_classes' (position 2)"),
]


@pytest.mark.parametrize(("call", "where"), INTEGERS)
def test_a_float_is_no_integer(call: Any, where: str) -> None:
    for n, kind in ((1.0, "float"), (torch.tensor(1.0), "Tensor")):
        with pytest.raises(TypeError) as caught:
            call(n)
        assert str(caught.value) == f"{where} must be int, not {kind}"
    assert call(torch.tensor(1)).shape == call(1).shape


@pytest.mark.parametrize("n", [1.0, torch.tensor(1.0)])
def test_sizes_are_no_floats(n: Any) -> None:
    for call in (
        lambda: X.expand(n, 2, 3),
        lambda: X.repeat(n, 1, 1),
        lambda: X.narrow(0, 0, n),
        lambda: F.pad(X, (n, 1)),
    ):
        with pytest.raises(TypeError):
            call()


def test_integers_move_by_a_float_tensor_without_dimensions() -> None:
    y = torch.lerp(torch.tensor([1, 2]), torch.tensor([3, 8]), torch.tensor(0.5))
    assert y.dtype is torch.float32
    assert y.tolist() == [2.0, 5.0]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: torch.device(""), RuntimeError, "Device string must not be empty"),
        (lambda: torch.device("cpu:0", 0), RuntimeError,
         "type (string) must not include an index because index was passed explicitly: cpu:0"),
        (lambda: torch.device("cpu", "cuda"), TypeError,
         "device(): argument 'index' (position 2) must be int, not str"),
        (lambda: torch.device(), TypeError,
         "device() received an invalid combination of arguments - got (), but expected one of:\n"
         " * (torch.device device)\n * (str type, int index = -1)\n"),
    ],
)  # fmt: skip
def test_devices_that_are_none(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message


def test_a_device_by_keyword() -> None:
    assert torch.device(device="cpu") == torch.device("cpu")
    assert torch.device(device=torch.device("cuda", 1)) == torch.device("cuda:1")


EYE = torch.eye(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: torch.smm(EYE.to_sparse(), EYE), "smm() is not supported: use torch.sparse.mm()"),
        (lambda: torch.hspmm(EYE.to_sparse(), EYE), "hspmm() is not supported: use torch.sparse.mm()"),
        (lambda: EYE.to_sparse().sspaddmm(EYE.to_sparse(), EYE),
         "sspaddmm() is not supported: use torch.sparse.addmm()"),
        (lambda: EYE.to_sparse_bsr((1, 1)), "to_sparse_bsr() is not supported: there are no layouts of blocks"),
        (lambda: EYE.to_sparse().sparse_resize_((3, 3), 2, 0), "sparse_resize_() is not supported"),
        (lambda: torch.masked.masked_tensor(EYE, EYE > 0), "torch.masked.MaskedTensor is not supported: keep the mask"),
        (lambda: torch.masked.MaskedTensor(EYE, EYE > 0), "torch.masked.MaskedTensor is not supported: keep the mask"),
    ],
)  # fmt: skip
def test_what_there_is_not_says_what_to_do(call: Any, message: str) -> None:
    with pytest.raises(NotImplementedError) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_gpus_that_there_are_not() -> None:
    parallel = torch.nn.parallel
    assert not torch.masked.is_masked_tensor(EYE)
    with pytest.raises(ValueError, match="Expected a non cpu device, but got: cpu"):
        parallel.scatter(EYE, ["cpu"])
    with pytest.raises(AssertionError, match="Gather function not implemented for CPU tensors"):
        parallel.gather([EYE, EYE], 0)
    with pytest.raises(AssertionError, match="Broadcast function not implemented for CPU tensors"):
        parallel.replicate(torch.nn.Linear(1, 1), [0])
    with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available"):
        parallel.parallel_apply([torch.nn.Identity()], [(EYE,)])
