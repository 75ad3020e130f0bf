"""``torch.distributed`` of one process: exchanges are copies, and several processes are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import flambeau as torch
import flambeau.distributed as dist
from flambeau import nn
from flambeau.distributed import nn as dist_nn
from flambeau.nn.parallel import DistributedDataParallel
from flambeau.utils.data import DistributedSampler


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    dist.init_process_group("gloo")
    yield
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "environment variable RANK expected, but not set"),
        ({"rank": 0}, ValueError, "environment variable WORLD_SIZE expected"),
        ({"rank": 0, "world_size": 1}, ValueError, "environment variable MASTER_ADDR expected"),
        ({"backend": "nccl"}, RuntimeError, "Distributed package doesn't have NCCL built in"),
        ({"backend": "mpi"}, RuntimeError, "doesn't have MPI built in"),
        ({"backend": "x"}, AssertionError, "Unknown backend type x"),
        ({"init_method": "tcp://localhost:1", "rank": 1, "world_size": 2}, NotImplementedError, "runs in one process"),
    ],
)
def test_what_makes_no_group(
    arguments: dict[str, Any], error: type, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(error, match=message):
        dist.init_process_group(**arguments)
    assert not dist.is_initialized()


def test_the_group(alone: None) -> None:
    assert dist.is_initialized() and dist.is_available()
    assert (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (0, 1, "gloo")
    assert dist.get_process_group_ranks() == [0] and dist.get_world_size(dist.new_group([0])) == 1
    assert dist.group.WORLD.rank() == 0 and dist.group.WORLD.size() == 1
    with pytest.raises(ValueError, match="trying to initialize the default process group twice!"):
        dist.init_process_group("gloo")
    assert list(DistributedSampler(range(4), shuffle=False)) == [0, 1, 2, 3]
    dist.destroy_process_group()
    assert not dist.is_initialized() and dist.group.WORLD is None
    with pytest.raises(AssertionError):
        dist.destroy_process_group()


@pytest.mark.parametrize(
    "call",
    [dist.get_rank, dist.get_world_size, dist.barrier, dist.new_group, dist.send,
     lambda: dist.all_reduce(torch.ones(1)), lambda: dist_nn.all_reduce(torch.ones(1))],
)  # fmt: skip
def test_without_a_group(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        call()


def test_ways_of_exchanging() -> None:
    assert dist.Backend("GLOO") == dist.Backend.GLOO == dist.get_default_backend_for_device("cpu") == "gloo"
    assert dist.is_gloo_available() and dist.is_backend_available("Gloo") and not dist.is_nccl_available()
    assert dist.GroupMember.WORLD is None and dist.constants.default_pg_timeout.seconds == 1800
    with pytest.raises(ValueError, match="must be string-ish, got name=3"):
        dist.Backend(3)
    with pytest.raises(ValueError, match="Default backend not registered for device : cuda"):
        dist.get_default_backend_for_device("cuda:0")


def test_exchanges_are_copies(alone: None) -> None:
    x, out = torch.arange(3.0), torch.zeros(3)
    for call in (dist.all_reduce, dist.broadcast, dist.reduce):
        assert call(x) is None and call(x, async_op=True).wait() and x.tolist() == [0, 1, 2]
    for fill in (
        lambda: dist.all_gather([out], x),
        lambda: dist.all_gather_into_tensor(out.view(1, 3), x),
        lambda: dist.gather(x, [out]),
        lambda: dist.scatter(out, [x]),
        lambda: dist.reduce_scatter(out, [x]),
        lambda: dist.reduce_scatter_tensor(out, x),
        lambda: dist.all_to_all([out], [x]),
        lambda: dist.all_to_all_single(out, x),
    ):
        out.zero_()
        fill()
        assert out.tolist() == [0, 1, 2]
    dist.barrier()
    dist.monitored_barrier()


def test_objects(alone: None) -> None:
    for fill in (dist.all_gather_object, lambda found, x: dist.gather_object(x, found),
                 lambda found, x: dist.scatter_object_list(found, [x])):  # fmt: skip
        found: list[Any] = [None]
        fill(found, {"a": 1})
        assert found == [{"a": 1}]
    dist.broadcast_object_list(found)
    assert found == [{"a": 1}]


def test_exchanges_that_autograd_sees(alone: None) -> None:
    x = torch.ones(2, requires_grad=True)
    y = dist_nn.all_reduce(x) + dist_nn.all_gather(x)[0] + dist_nn.scatter([x]) + dist_nn.all_to_all([None], [x])[0]
    for f in (dist_nn.reduce, dist_nn.broadcast):
        y = y + f(x, 0)
    y = y + dist_nn.gather(x)[0] + dist_nn.reduce_scatter(None, [x]) + dist_nn.all_to_all_single(None, x)
    y.sum().backward()
    assert x.grad.tolist() == [9, 9]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: dist.broadcast(x, 1), RuntimeError, "broadcast: invalid root rank: 1"),
        (lambda x: dist.all_gather([x, x], x), RuntimeError, r"index 0 \(expected length 1, got 2\)"),
        (lambda x: dist.all_gather([torch.ones(4)], x), RuntimeError, r"\(expected \(3\), got \(4\)\)"),
        (lambda x: dist.all_reduce(3), TypeError, "of type torch.Tensor"),
        (lambda x: dist.send(x, 0), ValueError, "should not be the same as the rank of the current process"),
        (lambda x: dist.gather_object(1), ValueError, "must be specified on destination rank"),
        (lambda x: DistributedDataParallel(nn.ReLU()), RuntimeError, "DistributedDataParallel is not needed"),
        (lambda x: DistributedDataParallel(nn.Linear(1, 1), [0]), ValueError, r"got device_ids \[0\], output_device"),
    ],
)
def test_refused(alone: None, call: Callable[[Any], Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call(torch.ones(3))


def test_a_module_of_several_processes(alone: None) -> None:
    torch.manual_seed(0)
    inner, x = nn.Linear(3, 2), torch.ones(4, 3)
    outer = DistributedDataParallel(inner, find_unused_parameters=True)
    assert list(outer.state_dict()) == ["module.weight", "module.bias"] and outer.module is inner
    with outer.no_sync():
        assert not outer.require_backward_grad_sync
        outer(x).sum().backward()
    assert outer.require_backward_grad_sync and inner.weight.grad.tolist() == [[4, 4, 4]] * 2
    with outer.join():
        assert torch.equal(outer(input=x), inner(x))
    assert repr(outer).startswith("DistributedDataParallel(\n  (module): Linear(")
    with pytest.raises(NotImplementedError, match="there is one process"):
        outer.register_comm_hook(None, None)


def test_placements_of_tensors_that_are_spread() -> None:
    from flambeau.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

    assert [repr(p) for p in (Shard(0), Replicate(), Partial())] == ["Shard(dim=0)", "Replicate()", "Partial(sum)"]
    assert Shard(1) == Shard(dim=1) != Shard(0) and Shard(1).is_shard(1) and not Shard(1).is_shard(0)
    assert Replicate().is_replicate() and Partial("max").is_partial("max") and not isinstance(torch.ones(1), DTensor)
    with pytest.raises(NotImplementedError, match="there is one process; use the tensor itself"):
        distribute_tensor(torch.ones(1))
