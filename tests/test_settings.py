"""Threads, determinism, precision, the default device and the rest of ``flambeau.settings``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import settings


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settings as they were."""
    monkeypatch.setattr(settings, "_state", dict(settings._state))
    monkeypatch.setattr(settings, "_deterministic", dict(settings._deterministic))


WRONG = [
    ("torch.set_num_threads(0)", RuntimeError, "set_num_threads expects a positive integer"),
    ("torch.set_num_threads(1.5)", RuntimeError, "set_num_threads expects an int, but got float"),
    ("torch.set_num_interop_threads(0)", RuntimeError, "set_num_interop_threads expects a positive integer"),
    (
        "torch.use_deterministic_algorithms(1)",
        TypeError,
        "_set_deterministic_algorithms(): argument 'mode' (position 1) must be bool, not int",
    ),
    (
        "torch.set_deterministic_debug_mode(7)",
        RuntimeError,
        "invalid value of debug_mode, expected 0, 1, or 2, but got 7",
    ),
    (
        "torch.set_deterministic_debug_mode('foo')",
        RuntimeError,
        "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got foo",
    ),
    ("torch.set_warn_always(1)", RuntimeError, "setWarnOnlyOnce expects a bool, but got int"),
    ("torch.set_flush_denormal(1)", RuntimeError, "flush_denormal expects a bool, but got int"),
    ("torch.ones(2).__delitem__(0)", TypeError, "Tensor does not support deleting items"),
    (
        "torch.adjoint(torch.ones(3))",
        RuntimeError,
        "tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor.",
    ),
    (
        "torch.hash_tensor(torch.ones(0))",
        RuntimeError,
        "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with "
        "the 'dim' argument.",
    ),
    (
        "torch.hash_tensor(torch.ones(2, 0), 1)",
        IndexError,
        "hash_tensor: Expected reduction dim 1 to have non-zero size.",
    ),
    ("torch.hash_tensor(torch.ones(2), mode=1)", RuntimeError, "Unknown hash_tensor mode: 1"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG, ids=[row[0] for row in WRONG])
def test_wrong_calls(call: str, kind: type, message: str) -> None:
    with pytest.raises(kind) as caught:
        eval(call)
    assert str(caught.value) == message


def test_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)
    torch.set_num_interop_threads(3)
    assert torch.get_num_interop_threads() == 3
    with pytest.raises(RuntimeError, match="cannot set number of interop threads"):
        torch.set_num_interop_threads(3)


def test_determinism() -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_deterministic_debug_mode("error")
    assert torch.get_deterministic_debug_mode() == 2


def test_precision_and_devices() -> None:
    torch.set_float32_matmul_precision("high")
    with pytest.warns(UserWarning, match="foo is not one of"):
        torch.set_float32_matmul_precision("foo")
    assert torch.get_float32_matmul_precision() == "high"
    torch.set_default_device("cpu")
    assert torch.get_default_device() == torch.device("cpu")
    torch.set_default_device("meta")
    assert torch.zeros(1).is_meta and torch.get_default_device() == torch.device("meta")
    torch.set_default_device(None)
    with pytest.raises(AssertionError, match="not compiled with CUDA"):
        torch.set_default_device("cuda")


def test_files_in_memory(tmp_path: Path) -> None:
    name = str(tmp_path / "numbers")
    np.arange(5, dtype=np.float32).tofile(name)
    own = torch.from_file(name, shared=False, size=5)
    own.mul_(2)
    assert own.tolist() == [0, 2, 4, 6, 8] and np.fromfile(name, np.float32).tolist() == [0, 1, 2, 3, 4]
    seen = torch.from_file(name, shared=True, size=7)
    seen.mul_(2)
    seen[6] = 5
    assert np.fromfile(name, np.float32).tolist() == [0, 2, 4, 6, 8, 0, 5]
    assert torch.from_file(name, size=0).numel() == 0
    with pytest.raises(RuntimeError, match="is smaller than the required mapping size <800>"):
        torch.from_file(name, size=200)
    with pytest.raises(RuntimeError, match=r"in read-only mode: No such file or directory \(2\)"):
        torch.from_file(name + "!", size=1)


def test_hash_tensor() -> None:
    assert torch.hash_tensor(torch.tensor([1.0, 2.0, 3.0])).item() == 4609434218613702656
    assert torch.hash_tensor(torch.tensor([1, -2, 3], dtype=torch.int8)).item() == 18446744073709551612
    kept = torch.hash_tensor(torch.tensor([[1, 2], [3, 5]]), 0, keepdim=True)
    assert kept.dtype is torch.uint64 and kept.tolist() == [[2, 7]]


ARANGE = [
    ((0, 3.1), "int64", [0, 1, 2]),
    ((0, 3.1), "int32", [0, 1, 2, 3]),
    ((-0.9, 2.1, 2.0), "int64", [0]),
    ((0, 5, 1.5), "int64", [0, 1, 2, 3, 4]),
    ((0, 5, 1.5), "int32", [0, 1, 2, 3]),
    ((5, 0.5, -1.5), "int64", [5, 4, 3, 2, 1]),
]


@pytest.mark.parametrize(("args", "dtype", "values"), ARANGE)
def test_arange_of_integers(args: Any, dtype: str, values: list[int]) -> None:
    assert torch.arange(*args, dtype=getattr(torch, dtype)).tolist() == values


def test_half_precision_complex_numbers() -> None:
    x = torch.tensor([1.1369616985321045], requires_grad=True)
    y = x.chalf()
    assert y.dtype is torch.complex32 and y.to(torch.complex64).item() == 1.13671875
    with pytest.raises(NotImplementedError, match="view_as_complex: complex32"):
        torch.view_as_complex(torch.ones(2, 2, dtype=torch.float16))


def test_reversed_and_adjoint() -> None:
    x = torch.arange(4).reshape(2, 2)
    backwards: Any = reversed(x)
    assert backwards.tolist() == [[2, 3], [0, 1]]
    assert torch.tensor([[1j, 2.0]]).adjoint().tolist() == [[-1j], [2 + 0j]]
    assert torch.ones(2, 3).as_strided_((2,), (1,)).tolist() == [1.0, 1.0]


def test_flags_of_autograd() -> None:
    x = torch.ones(2, requires_grad=True)
    with torch.autograd.set_multithreading_enabled(False), torch.autograd.enforce_grad_layout_policy(False):
        (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("n", [3, 400_000])
def test_denormals_are_flushed(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from flambeau._execution import run_compiled
    from flambeau.graph import realisation

    monkeypatch.setattr(realisation, "executor", [run_compiled])
    small = torch.tensor(np.full(n, 1e-30, np.float32))
    try:
        assert torch.set_flush_denormal(True) is True
        assert (small * 1e-10).max().item() == 0
    finally:
        assert torch.set_flush_denormal(False) is True
    assert (small * 1e-10).min().item() == pytest.approx(1e-40, rel=1e-3)


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True


DTYPES = "float32 float64 float16 bfloat16 complex64 int64 int32 uint8 uint64 bool".split()


@pytest.mark.parametrize("name", DTYPES)
def test_undefined_values_show_while_deterministic_algorithms_are_asked_for(name: str, deterministic: None) -> None:
    dtype = getattr(torch, name)
    like = torch.zeros(2, 3, dtype=dtype)
    made = [
        torch.empty(2, 3, dtype=dtype),
        torch.empty(2, 3, out=torch.zeros(0, dtype=dtype)),
        torch.empty_like(like),
        like.new_empty(2, 2),
        torch.empty_strided((2, 3), (1, 2), dtype=dtype),
        torch.empty_strided((2, 3), (1, 5), dtype=dtype),
        torch.empty_permuted((2, 3), (1, 0), dtype=dtype),
        torch.zeros(2, dtype=dtype).resize_(5)[2:],
    ]
    for x in made:
        if dtype.is_floating_point or dtype.is_complex:
            assert x.isnan().all()
        else:
            assert set(x.reshape(-1).tolist()) == {True if name == "bool" else torch.iinfo(dtype).max}
    assert like.resize_(2).tolist() == [0, 0]  # type: ignore[attr-defined]
    assert torch.zeros(3, dtype=dtype).resize_(2, 3)[0].tolist() == [0, 0, 0]


def test_undefined_values_are_zeros_otherwise(deterministic: None) -> None:
    torch.utils.deterministic.fill_uninitialized_memory = False
    assert not torch.utils.deterministic.fill_uninitialized_memory
    assert torch.empty(3).tolist() == [0, 0, 0]
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.use_deterministic_algorithms(False)
    assert torch.empty(3).tolist() == [0, 0, 0]
    with pytest.raises(TypeError, match="bool"):
        torch.utils.deterministic.fill_uninitialized_memory = 1


def test_networks_are_whole_while_undefined_values_show(deterministic: None) -> None:
    nn = torch.nn
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 8))
    x = torch.ones(3, 2, 8)
    layers = [net(torch.ones(2, 1, 4, 4)), nn.Embedding(3, 8)(torch.tensor([2])), nn.Bilinear(8, 8, 3)(x, x)]
    layers += [nn.LSTM(8, 4)(x)[0], nn.GRU(8, 4)(x)[0], nn.MultiheadAttention(8, 2)(x, x, x)[0]]
    layers += [nn.TransformerEncoderLayer(8, 2, 16)(x)]
    torch.stack([y.sum() for y in layers]).sum().backward()
    assert all(y.isfinite().all() for y in layers)
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_warnings_that_are_given_once() -> None:
    """``backward(create_graph=True)`` warns once a process, or each time if that is asked for; ``grad`` never does."""
    x = torch.ones(2, requires_grad=True)
    torch.set_warn_always(True)
    try:
        assert torch.is_warn_always_enabled()
        for _ in range(2):
            with pytest.warns(UserWarning, match="will create a reference cycle between the parameter"):
                (x * x).sum().backward(create_graph=True)
        with pytest.warns(UserWarning, match="This overload of add is deprecated"):
            torch.add(x.detach(), 2, x.detach())
        with pytest.warns(UserWarning, match="This overload of add is deprecated"):
            torch.add(x.detach(), 2, x.detach())
    finally:
        torch.set_warn_always(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (x * x).sum().backward(create_graph=True)
        torch.autograd.grad((x * x).sum(), x, create_graph=True)


def test_hooks_that_are_there_are_not_disabled() -> None:
    with (
        torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x),
        pytest.raises(RuntimeError, match="not here"),
        torch.autograd.graph.disable_saved_tensors_hooks("not here"),
    ):
        pass


def test_sizes_whose_strides_overflow() -> None:
    with pytest.raises(RuntimeError, match="Stride calculation overflowed"):
        torch.zeros([0, 4, 2**61])


def test_complex_numbers_where_halves_are_made() -> None:
    torch.set_default_dtype(torch.float16)
    try:
        assert torch.full((2,), 1 + 1j).dtype is torch.complex64
        assert torch.tensor(1 + 1j).dtype is torch.complex32
    finally:
        torch.set_default_dtype(torch.float32)
