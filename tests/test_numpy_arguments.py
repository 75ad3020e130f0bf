"""NumPy's numbers, names of arguments and arrays where PyTorch takes them (PyTorch 2.13's results)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.nn import functional as F

N, HALF = np.int64(2), np.float32(0.5)


def x() -> Any:
    return torch.tensor([[-2.0, -1.0, 0.0], [1.0, 2.0, 3.0]])


# ---- np.array copies


@pytest.mark.parametrize("dtype", [None, np.float32, np.float64])
def test_an_array_of_a_tensor_is_a_copy(dtype: Any) -> None:
    t = torch.zeros(2)
    a = np.array(t, dtype=dtype)
    t.add_(1)
    a[1] = 5
    assert a.tolist() == [0, 5] and t.tolist() == [1, 1] and a.dtype == (dtype or np.float32)


def test_a_copy_has_the_layout_of_the_tensor() -> None:
    t = x().t()
    a = np.array(t)
    assert a.strides == (4, 12) and a.tolist() == t.tolist()
    assert np.array(x()[1]).tolist() == [1, 2, 3]


def test_asarray_shares_memory() -> None:
    t = torch.zeros(2)
    a = np.asarray(t)
    t.add_(1)
    assert a.tolist() == [1, 1]


def test_what_has_no_array() -> None:
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        np.array(torch.zeros(2, requires_grad=True))
    with pytest.raises(TypeError, match="Got unsupported ScalarType BFloat16"):
        np.array(torch.zeros(2, dtype=torch.bfloat16))


# ---- numbers


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (lambda: F.layer_norm(x(), (3,), eps=N), [[-0.6123724, 0.0, 0.6123724], [-0.6123724, 0.0, 0.6123724]]),
        (lambda: torch.lerp(x(), x() * 2, HALF), [[-3.0, -1.5, 0.0], [1.5, 3.0, 4.5]]),
        (lambda: x().lerp_(x() * 2, N), [[-6.0, -3.0, 0.0], [3.0, 6.0, 9.0]]),
        (lambda: x().masked_fill(x() > 0, HALF), [[-2.0, -1.0, 0.0], [0.5, 0.5, 0.5]]),
        (lambda: x().index_fill(1, torch.tensor([0]), N), [[2.0, -1.0, 0.0], [2.0, 2.0, 3.0]]),
        (lambda: x().scatter(0, torch.tensor([[0]]), HALF), [[0.5, -1.0, 0.0], [1.0, 2.0, 3.0]]),
        (lambda: torch.arange(3).fill_(N), [2, 2, 2]),
        (lambda: F.pad(torch.arange(2), (1, 0), value=N), [2, 0, 1]),
        (lambda: torch.arange(3).masked_fill(torch.arange(3) > 0, N), [0, 2, 2]),
        (lambda: torch.addmm(torch.ones(1, 1, dtype=torch.int64), torch.ones(1, 2, dtype=torch.int64),
                             torch.ones(2, 1, dtype=torch.int64), alpha=N, beta=N), [[6]]),
        (lambda: torch.gradient(torch.tensor([0.0, 1.0, 4.0]), spacing=HALF)[0], [2.0, 4.0, 6.0]),
        (lambda: torch.tensor_split(torch.arange(3), N)[0], [0, 1]),
        (lambda: np.array([2.0, 4.0]) / torch.tensor([4.0, 2.0]), [0.5, 2.0]),
        (lambda: torch.trapezoid(torch.ones(3, dtype=torch.float16), dx=torch.tensor(2.0)), 4.0),
        (lambda: torch.eye(torch.tensor(2)), [[1, 0], [0, 1]]),
    ],
)  # fmt: skip
def test_numpys_numbers(f: Callable[[], Any], want: Any) -> None:
    np.testing.assert_allclose(f().tolist(), want, rtol=1e-6)


def test_dtypes_beside_numpys_numbers() -> None:
    assert (np.array([2.0]) / torch.ones(1)).dtype is torch.float64
    assert torch.trapezoid(torch.ones(3, dtype=torch.float16), dx=torch.tensor(2.0)).dtype is torch.float16


@pytest.mark.parametrize("f", [torch.eye, torch.randperm, torch.hann_window])
def test_sizes_are_integers(f: Callable[..., Any]) -> None:
    for n in (2.0, torch.tensor(2.0), np.float64(2)):
        with pytest.raises(TypeError, match=rf"{f.__name__}\(\): argument '.*' \(position 1\) must be int, not "):
            f(n)


# ---- names


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (lambda: torch.unsqueeze(x(), axis=-1).shape, (2, 3, 1)),
        (lambda: x().softmax(axis=0).sum(axis=0, keepdims=True).shape, (1, 3)),
        (lambda: torch.log_softmax(x(), axis=1).shape, (2, 3)),
        (lambda: x()[:1].squeeze(axis=0).shape, (3,)),
        (lambda: x().unbind(axis=1)[0].shape, (2,)),
        (lambda: x().repeat_interleave(2, axis=1).shape, (2, 6)),
        (lambda: torch.chunk(x(), 3, axis=1)[0].shape, (2, 1)),
        (lambda: torch.tensor_split(x(), 3, axis=1)[0].shape, (2, 1)),
        (lambda: torch.take_along_dim(x(), torch.zeros(2, 1, dtype=torch.int64), axis=1).shape, (2, 1)),
        (lambda: torch.matmul(x1=torch.ones(2), x2=torch.ones(2)).shape, ()),
        (lambda: torch.exp(x=torch.ones(2)).shape, (2,)),
    ],
)
def test_numpys_names_of_arguments(f: Callable[[], Any], want: Any) -> None:
    assert tuple(f()) == want


def test_names_that_nobody_knows() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'keepdim"):
        x().unsqueeze(axis=1, keepdims=True)


# ---- reductions and windows


@pytest.mark.parametrize(("reduce", "want"), [("min", [3.0, 1.0]), ("max", [3.0, 2.0])])
def test_short_names_of_reductions(reduce: str, want: list[float]) -> None:
    index, source = torch.tensor([0, 1, 1]), torch.tensor([3.0, 1.0, 2.0])
    assert torch.zeros(2).scatter_reduce(0, index, source, reduce, include_self=False).tolist() == want


@pytest.mark.parametrize(
    ("window", "want"),
    [
        (torch.hamming_window, [0.078125, 0.396484375, 0.9140625, 0.90625, 0.39453125]),
        (torch.hann_window, [0.0, 0.345703125, 0.90625, 0.8984375, 0.34375]),
        (torch.kaiser_window, [5.269050598144531e-05, 0.1015625, 0.79296875, 0.79296875, 0.1015625]),
    ],
)
def test_windows_of_16_bits(window: Callable[..., Any], want: list[float]) -> None:
    assert window(5, dtype=torch.bfloat16).tolist() == want


def test_a_window_of_one_point_has_any_kind_of_length() -> None:
    assert torch.signal.windows.bartlett(torch.tensor(1.0)).tolist() == [1.0]


def test_a_blank_among_the_labels() -> None:  # keras counts its padding as labels
    logits = (torch.arange(24.0).reshape(2, 4, 3) - 12) / 100
    log_probs = logits.transpose(0, 1).log_softmax(-1)
    loss = F.ctc_loss(log_probs, torch.tensor([[1, 2, 1, 0], [1, 2, 0, 2]]), (4, 4), (4, 4), reduction="none")
    np.testing.assert_allclose(loss.tolist(), [4.394582271575928, 4.384582042694092], rtol=1e-6)


@pytest.mark.parametrize("f", [torch.from_numpy, torch.tensor, torch.as_tensor, torch.asarray, torch.FloatTensor])
def test_bytes_in_another_order(f: Callable[..., Any]) -> None:
    assert f(np.arange(3, dtype="<f4")).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="byte order different from the native byte order"):
        f(np.arange(3, dtype=">f4"))
