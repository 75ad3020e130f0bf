"""A group of one process: ``torch.distributed`` where ``world_size`` is 1. Every exchange is a copy, or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import flambeau as torch

__all__ = [
    "ABSENT", "Backend", "GroupMember", "ProcessGroup", "ReduceOp", "Work", "all_gather", "all_gather_into_tensor",
    "all_gather_object", "all_reduce", "all_to_all", "all_to_all_single", "barrier", "broadcast",
    "broadcast_object_list", "destroy_process_group", "gather", "gather_object", "get_backend",
    "get_process_group_ranks", "get_rank", "get_world_size", "group", "init_process_group", "is_initialized",
    "monitored_barrier", "new_group", "reduce", "reduce_scatter", "reduce_scatter_tensor", "scatter",
    "scatter_object_list",
]  # fmt: skip

ABSENT = "Default process group has not been initialized, please make sure to call init_process_group."


class ProcessGroup:
    """Processes that speak to each other: this one."""

    def rank(self) -> int:
        """The number of this process."""
        return 0

    def size(self) -> int:
        """How many processes there are."""
        return 1


class _Groups(type):
    @property
    def WORLD(cls) -> ProcessGroup | None:
        """The group of all processes; None before there is one."""
        return _world[0] if _world else None


class group(metaclass=_Groups):
    """Groups by name: ``group.WORLD``."""


class GroupMember(metaclass=_Groups):
    """What a process is in a group that it is none of; ``WORLD`` is the group of all."""

    NON_GROUP_MEMBER = -100


class Backend(str):
    """A way of exchanging values, by its name in small letters.

    Raises:
        ValueError: the name is not a string.
    """

    UNDEFINED, GLOO, NCCL, XCCL, UCC, MPI, FAKE = "undefined", "gloo", "nccl", "xccl", "ucc", "mpi", "fake"
    default_device_backend_map = {"cpu": GLOO}
    backend_list = [UNDEFINED, GLOO, NCCL, XCCL, UCC, MPI, FAKE]

    def __new__(cls, name: str) -> Any:
        """The name in small letters."""
        if not isinstance(name, str):
            raise ValueError(f"Backend constructor parameter must be string-ish, got {name=}")
        return str.__new__(cls, name.lower())


_world: list[ProcessGroup] = []


class ReduceOp(Enum):
    """What becomes of the processes' values; of one process's, that value."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7
    PREMUL_SUM = 8


class Work:
    """An exchange that has ended."""

    def wait(self, timeout: Any = None) -> bool:
        """True."""
        return True

    is_completed = is_success = wait


# ---- the group


def is_initialized() -> bool:
    """Is there a process group?"""
    return bool(_world)


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: Any = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Makes the group of this process alone.

    Args:
        backend: "gloo", or nothing.
        init_method: Where processes meet; without it ``MASTER_ADDR`` and ``MASTER_PORT`` say so.
        timeout: Ignored.
        world_size: How many processes there are; -1 for what ``WORLD_SIZE`` says.
        rank: The number of this one; -1 for what ``RANK`` says.
        store: Where processes meet; ignored, but then the environment is not asked.
        group_name: Ignored.
        pg_options: Ignored.
        device_id: Ignored.

    Raises:
        NotImplementedError: there are several processes.
        ValueError: there is a group already, or a number is not given.
        RuntimeError: the backend is one that PyTorch for CPUs does not have.
    """
    if _world:
        raise ValueError("trying to initialize the default process group twice!")
    _check_backend((backend or "gloo").lower())
    if store is None and init_method in (None, "env://"):
        rank = _told("RANK") if rank == -1 else rank
        world_size = _told("WORLD_SIZE") if world_size == -1 else world_size
        _told("MASTER_ADDR", str)
        _told("MASTER_PORT")
    if world_size != 1 or rank != 0:
        raise NotImplementedError(
            "torch.distributed.init_process_group() is not supported for several processes: flambeau runs in one "
            f"process (rank 0, world_size 1), but got rank {rank} and world_size {world_size}"
        )
    _world.append(ProcessGroup())


def _told(name: str, kind: Callable[[str], Any] = int) -> Any:
    value = os.environ.get(name)
    if value is None:
        raise ValueError(
            "Error initializing torch.distributed using env:// rendezvous: environment variable "
            f"{name} expected, but not set"
        )
    return kind(value)


def _check_backend(backend: str) -> None:
    if backend in ("nccl", "ucc", "xccl"):
        raise RuntimeError(f"Distributed package doesn't have {backend.upper()} built in")
    if backend == "mpi":
        raise RuntimeError(
            "Distributed package doesn't have MPI built in. MPI is only included if you build PyTorch from source on a "
            "host that has MPI installed."
        )
    assert "gloo" in backend, f"Unknown backend type {backend}"


def destroy_process_group(group: Any = None) -> None:
    """Ends the group.

    Raises:
        AssertionError: there is none.
    """
    if not _world:
        raise AssertionError
    if group is None or group is _world[0]:
        _world.clear()


def _check() -> None:
    if not _world:
        raise ValueError(ABSENT)


def new_group(ranks: Sequence[int] | None = None, *args: Any, **kwargs: Any) -> ProcessGroup:
    """Another group of this process."""
    _check()
    return ProcessGroup()


def get_rank(group: Any = None) -> int:
    """The number of this process: 0."""
    _check()
    return 0


def get_world_size(group: Any = None) -> int:
    """How many processes there are: 1."""
    _check()
    return 1


def get_backend(group: Any = None) -> str:
    """How processes would exchange values: "gloo"."""
    _check()
    return "gloo"


def get_process_group_ranks(group: Any = None) -> list[int]:
    """The numbers of the processes of a group."""
    _check()
    return [0]


# ---- exchanges


def _done(async_op: bool) -> Work | None:
    return Work() if async_op else None


def _ready(name: str, root: int | None, *tensors: Any) -> None:
    """Raises unless there is a group, ``root`` is this process, and these are tensors."""
    for x in tensors:
        if not isinstance(x, torch.Tensor):
            raise TypeError(
                "Invalid function argument. Expected parameter `tensor` of type torch.Tensor\n"
                f"             but got {type(x)} instead."
            )
    _check()
    if root not in (0, None):
        raise RuntimeError(f"ProcessGroupGloo::{name}: invalid root rank: {root}")


def _only(name: str, tensors: Any, what: str) -> Any:
    if len(tensors) != 1:
        raise RuntimeError(
            f"ProcessGroupGloo::{name}: invalid {what} tensor list at index 0 (expected length 1, got {len(tensors)})"
        )
    return tensors[0]


def _put(name: str, target: Any, source: Any) -> None:
    if target.numel() != source.numel():
        raise RuntimeError(
            f"ProcessGroupGloo::{name}: invalid tensor size at index 0 (expected ({', '.join(map(str, source.shape))}"
            f"), got ({', '.join(map(str, target.shape))}))"
        )
    with torch.no_grad():
        target.copy_(source.reshape(target.shape))


def all_reduce(tensor: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Work | None:
    """Leaves the tensor as it is: it is the only one."""
    _ready("allreduce", None, tensor)
    return _done(async_op)


def reduce(tensor: Any, dst: int = 0, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Work | None:
    """Leaves the tensor as it is."""
    _ready("reduce", dst, tensor)
    return _done(async_op)


def broadcast(tensor: Any, src: int = 0, group: Any = None, async_op: bool = False) -> Work | None:
    """Leaves the tensor as it is."""
    _ready("broadcast", src, tensor)
    return _done(async_op)


def all_gather(tensor_list: Any, tensor: Any, group: Any = None, async_op: bool = False) -> Work | None:
    """Copies the tensor into the list's only one."""
    _ready("allgather", None, tensor, *tensor_list)
    _put("allgather", _only("allgather", tensor_list, "output"), tensor)
    return _done(async_op)


def all_gather_into_tensor(
    output_tensor: Any, input_tensor: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copies the input."""
    _ready("allgather", None, output_tensor, input_tensor)
    _put("allgather", output_tensor, input_tensor)
    return _done(async_op)


def gather(
    tensor: Any, gather_list: Any = None, dst: int = 0, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copies the tensor into the list's only one."""
    _ready("gather", dst, tensor, *(gather_list or ()))
    _put("gather", _only("gather", gather_list or (), "output"), tensor)
    return _done(async_op)


def scatter(
    tensor: Any, scatter_list: Any = None, src: int = 0, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copies the list's only tensor."""
    _ready("scatter", src, tensor, *(scatter_list or ()))
    _put("scatter", tensor, _only("scatter", scatter_list or (), "input"))
    return _done(async_op)


def reduce_scatter(
    output: Any, input_list: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copies the list's only tensor."""
    _ready("reduce_scatter", None, output, *input_list)
    _put("reduce_scatter", output, _only("reduce_scatter", input_list, "input"))
    return _done(async_op)


def reduce_scatter_tensor(
    output: Any, input: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copies the input."""
    return reduce_scatter(output, [input], op, group, async_op)


def all_to_all(
    output_tensor_list: Any, input_tensor_list: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copies the only tensor."""
    return reduce_scatter(_only("alltoall", output_tensor_list, "output"), input_tensor_list, async_op=async_op)


def all_to_all_single(
    output: Any, input: Any, output_split_sizes: Any = None, input_split_sizes: Any = None, group: Any = None,
    async_op: bool = False,
) -> Work | None:  # fmt: skip
    """Copies the input."""
    return reduce_scatter(output, [input], async_op=async_op)


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Waits for nobody."""
    _check()
    return _done(async_op)


def monitored_barrier(group: Any = None, timeout: Any = None, wait_all_ranks: bool = False) -> None:
    """Waits for nobody."""
    _check()


# ---- objects


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """Puts the object into the list."""
    _check()
    object_list[0] = obj


def gather_object(obj: Any, object_gather_list: list[Any] | None = None, dst: int = 0, group: Any = None) -> None:
    """Puts the object into the list."""
    _ready("gather", dst)
    if object_gather_list is None:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    object_gather_list[0] = obj


def broadcast_object_list(object_list: list[Any], src: int = 0, group: Any = None, device: Any = None) -> None:
    """Leaves the list as it is."""
    _ready("broadcast", src)


def scatter_object_list(
    scatter_object_output_list: list[Any], scatter_object_input_list: list[Any] | None = None, src: int = 0,
    group: Any = None,
) -> None:  # fmt: skip
    """Puts the only object into the list."""
    _ready("scatter", src)
    scatter_object_output_list[0] = _only("scatter", scatter_object_input_list or (), "input")
