"""Names that packages built on PyTorch (gpytorch, pyro, captum, kornia, transformers, …) look for."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.futures import Future, collect_all, wait_all
from flambeau.utils import _pytree as pytree
from flambeau.utils import dlpack

# ---- futures


def test_a_future_is_set_once_and_calls_back() -> None:
    future: Future[int] = Future()
    seen: list[int] = []
    future.add_done_callback(lambda f: seen.append(f.value()))
    following = future.then(lambda f: f.value() + 1)
    assert not future.done()
    with pytest.raises(RuntimeError, match="not completed"):
        future.value()
    future.set_result(3)
    assert (future.wait(), following.wait(), seen) == (3, 4, [3])
    with pytest.raises(RuntimeError, match="only be marked completed once"):
        future.set_result(4)


def test_a_future_of_another_thread() -> None:
    future: Future[str] = Future()
    thread = threading.Thread(target=lambda: future.set_result("done"))
    thread.start()
    assert future.wait() == "done"
    thread.join()


def test_exceptions_of_futures() -> None:
    failed: Future[int] = Future()
    failed.set_exception(ValueError("no"))
    for wait in (failed.wait, failed.value, lambda: wait_all([failed])):
        with pytest.raises(ValueError, match="no"):
            wait()
    with pytest.raises(RuntimeError, match="Got the following error when running the callback: ValueError: no"):
        failed.then(lambda f: f.value()).wait()


def test_errors_of_callbacks_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    future: Future[int] = Future()
    future.add_done_callback(lambda f: 1 / 0)
    future.set_result(1)
    assert "Got the following error when running the callback: ZeroDivisionError" in caplog.text
    with pytest.raises(RuntimeError, match="Future can only be marked completed once"):
        future.set_result(2)


def test_futures_are_not_pickled_and_not_none() -> None:
    with pytest.raises(RuntimeError, match="Can not pickle torch.futures.Future"):
        pickle.dumps(Future())
    with pytest.raises(RuntimeError, match="Future can't be None"):
        collect_all([None])  # type: ignore[list-item]


def test_futures_together() -> None:
    futures: list[Future[int]] = [Future() for _ in range(3)]
    together = collect_all(futures)
    for k, future in enumerate(futures):
        assert not together.done()
        future.set_result(k)
    assert [f.value() for f in together.wait()] == wait_all(futures) == [0, 1, 2]
    assert collect_all([]).wait() == []
    assert torch.jit.wait(torch.jit.fork(lambda x: x + 1, 1)) == 2 and torch.Future is Future


# ---- memory of other libraries


def test_capsules_share_memory() -> None:
    x = torch.arange(4.0)
    y = dlpack.from_dlpack(dlpack.to_dlpack(x))
    y[1] = 9
    assert x.tolist() == [0, 9, 2, 3] and np.from_dlpack(x).tolist() == x.tolist()


# ---- trees with paths

Point = namedtuple("Point", "x y")


def test_paths_of_trees() -> None:
    tree = {"a": [1, (2, 3)], "b": Point(4, {"c": 5})}
    found, spec = pytree.tree_flatten_with_path(tree)
    assert [pytree.keystr(path) for path, _ in found] == ["['a'][0]", "['a'][1][0]", "['a'][1][1]", "['b'].x",
                                                          "['b'].y['c']"]  # fmt: skip
    assert pytree.tree_unflatten([leaf for _, leaf in found], spec) == tree
    assert pytree.tree_map_with_path(lambda path, leaf: len(path) * leaf, tree)["b"] == Point(8, {"c": 15})
    path, leaf = found[4]
    node: Any = tree
    for key in path:
        node = key.get(node)
    assert node == leaf


# ---- conditions


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: torch._check(False, lambda: "x"), RuntimeError, "x"),
        (lambda: torch._check(False), RuntimeError, "Expected cond to be True, but got False"),
        (lambda: torch._check(1), TypeError, "cond must be a bool, but got <class 'int'>"),
        (lambda: torch._check_value(False, lambda: "v"), ValueError, "v"),
        (lambda: torch._check_index(False), IndexError, "Expected cond"),
        (lambda: torch._check_is_size(-1), RuntimeError, "Expected cond"),
        (lambda: torch._check_tensor_all(torch.tensor([True, False])), RuntimeError, "Expected cond"),
        (lambda: torch._check_tensor_all([True]), TypeError, "cond must be a tensor, but got <class 'list'>"),
        (lambda: torch._check_tensor_all(torch.ones(2)), TypeError, "must have dtype torch.bool, but got"),
        (lambda: torch._check_tensor_all_with(ValueError, torch.tensor(False), lambda: "x"), ValueError, "x"),
        (lambda: torch._assert_async(torch.tensor(0)), RuntimeError, "single nonzero value, but got zero"),
        (lambda: torch._assert_async(torch.tensor(0), "m"), RuntimeError, "m"),
    ],
)
def test_conditions(call: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_conditions_that_hold() -> None:
    torch._check(True)
    torch._check_is_size(3, max=3)
    torch._assert_async(torch.tensor(2.0))


# ---- limits and names


def test_limits_of_eight_bit_floats() -> None:
    info = torch.finfo(torch.float8_e4m3fn)
    assert (info.bits, info.max, info.eps, info.tiny) == (8, 448.0, 0.125, 0.015625)
    assert repr(torch.finfo(torch.float8_e5m2)) == (
        "finfo(resolution=1, min=-57344, max=57344, eps=0.25, smallest_normal=6.10352e-05, tiny=6.10352e-05, "
        "dtype=float8_e5m2)"
    )


def test_ordinary_modules_are_no_script_modules() -> None:
    class Scripted(torch.jit.ScriptModule):
        """A module written for TorchScript."""

    assert isinstance(Scripted(), torch.nn.Module) and isinstance(Scripted(), torch.jit.ScriptModule)
    assert not isinstance(torch.jit.script(torch.nn.ReLU()), torch.jit.ScriptModule)


def test_the_name_of_the_module_where_it_stands_for_torch() -> None:
    code = (
        "import flambeau; from flambeau.tools import alias; alias.install(); import torch; "
        "from torch.jit.annotations import List; from torch._subclasses.fake_tensor import is_fake; "
        "from torch.fx.experimental.proxy_tensor import get_proxy_mode; assert get_proxy_mode() is None; "
        "assert torch._C._get_tracing_state() is None and not is_fake(torch.ones(1)); "
        "print(torch.__name__, torch.torch is flambeau); alias.uninstall(); print(flambeau.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["torch", "True", "flambeau"]


def test_nothing_is_scattered_over_gpus() -> None:
    from flambeau.nn.parallel import scatter_gather

    assert scatter_gather.is_namedtuple(Point(1, 2)) and not scatter_gather.is_namedtuple((1, 2))
    for call in (scatter_gather.scatter, lambda x, devices: scatter_gather.scatter_kwargs(x, {}, devices)):
        with pytest.raises(AssertionError, match="not compiled with CUDA"):
            call(torch.ones(2), [0])


def test_records_of_saved_files(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(3.0)}, tmp_path / "a.pt")
    reader = torch.PyTorchFileReader(str(tmp_path / "a.pt"))
    assert reader.has_record("data/0") and "data.pkl" in reader.get_all_records()
    assert np.frombuffer(reader.get_record("data/0"), np.float32).tolist() == [0, 1, 2]
    with open(tmp_path / "a.pt", "rb") as f:
        f.seek(reader.get_record_offset("data/0"))
        assert f.read(12) == reader.get_record("data/0")
    with pytest.raises(RuntimeError, match="failed locating file nothing"):
        reader.get_record("nothing")


def test_what_cannot_be_entered_says_what_to_do() -> None:
    from flambeau.distributed.device_mesh import init_device_mesh
    from flambeau.distributed.tensor import DTensor

    with pytest.raises(NotImplementedError, match="one process"):
        init_device_mesh("cpu", (2,))
    assert not isinstance(torch.ones(1), DTensor)


def test_private_functions() -> None:
    assert torch._C._nn._parse_to(torch.float64)[1] is torch.float64
    assert pytree.SUPPORTED_NODES[list].flatten_fn([1, 2])[0] == [1, 2]
    assert torch.ScriptModule is torch.jit.ScriptModule and torch._C._TensorMeta is type(torch.Tensor)


def test_named_results_are_taken_apart() -> None:
    found = torch.max(torch.tensor([[1.0, 2.0]]), 1)
    assert [x.item() for x in pytree.tree_leaves(found)] == [2.0, 1]
    assert isinstance(pytree.tree_map(lambda x: x + 1, found), torch.return_types.max)
    signs = torch.vmap(torch.linalg.slogdet)(torch.eye(2)[None])
    assert signs.sign.tolist() == [1.0]


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_the_size_of_a_storage_counts_its_memory() -> None:  # torchinfo's "Input size (MB)"
    few, many = (sys.getsizeof(torch.zeros(n).untyped_storage()) for n in (10, 1010))
    assert many - few == 4000
    typed = torch.zeros(1010).storage()
    assert sys.getsizeof(typed) > typed.nbytes() == 4040


def test_tensors_can_be_told_apart_by_a_number() -> None:  # pyro.module
    x = torch.zeros(2)
    assert x._cdata == x._cdata != x.view(2)._cdata


def test_leaves_of_some_types() -> None:
    tree = {"a": [1, torch.ones(2)], "b": (2.5, None)}
    assert pytree.tree_all_only(int, lambda x: x > 0, tree) and not pytree.tree_all_only(float, lambda x: x > 3, tree)
    assert pytree.tree_any_only((int, float), lambda x: x > 2, tree)
    assert not pytree.tree_any_only(str, lambda x: True, tree)
    assert pytree.tree_map_only(int, lambda x: x + 1, tree)["a"][0] == 2
    seen: list[Any] = []
    assert pytree.tree_map_only_(torch.Tensor, seen.append, tree) is tree and len(seen) == 1
    assert [type(x).__name__ for x in pytree.tree_iter(tree)] == ["int", "Tensor", "float", "NoneType"]
    assert pytree.tree_is_leaf(3) and not pytree.tree_is_leaf([3]) and pytree.tree_is_leaf([3], lambda x: True)


def test_brain_floats_are_shared() -> None:
    """NumPy has none, so a capsule says it of integers of the same size."""
    x = torch.arange(6.0).to(torch.bfloat16).reshape(2, 3).t()
    y = dlpack.from_dlpack(dlpack.to_dlpack(x))
    y[0, 0] = 7
    assert y.dtype is torch.bfloat16 and y.stride() == (1, 3) and x.tolist() == [[7, 3], [1, 4], [2, 5]]

    class Foreign:
        def __dlpack__(self, **_: object) -> object:
            return x.__dlpack__()

        def __dlpack_device__(self) -> tuple[int, int]:
            return x.__dlpack_device__()

    assert torch.from_dlpack(Foreign()).data_ptr() == x.data_ptr()


def test_what_is_not_handed_on_as_it_lies() -> None:
    with pytest.raises(BufferError, match="Can't export tensors that require gradient, use tensor.detach"):
        torch.from_dlpack(torch.ones(2, requires_grad=True))
    with pytest.raises(BufferError, match="Can't export tensors with the conjugate bit set"):
        torch.from_dlpack(torch.ones(2, dtype=torch.complex64).conj())
