"""``torch.distributed`` for a group of one process; several are refused."""

from __future__ import annotations

import importlib
import os
from typing import Any, NoReturn

from . import _alone
from ._alone import (
    Backend,
    GroupMember,
    ProcessGroup,
    ReduceOp,
    Work,
    all_gather,
    all_gather_into_tensor,
    all_gather_object,
    all_reduce,
    all_to_all,
    all_to_all_single,
    barrier,
    broadcast,
    broadcast_object_list,
    destroy_process_group,
    gather,
    gather_object,
    get_backend,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_initialized,
    monitored_barrier,
    new_group,
    reduce,
    reduce_scatter,
    reduce_scatter_tensor,
    scatter,
    scatter_object_list,
)

__all__ = [
    "Backend", "GroupMember", "ProcessGroup", "ReduceOp", "Work", "all_gather", "all_gather_into_tensor",
    "all_gather_object", "all_reduce", "all_to_all", "all_to_all_single", "barrier", "broadcast",
    "broadcast_object_list", "destroy_process_group", "gather", "gather_object", "get_backend",
    "get_default_backend_for_device", "get_process_group_ranks", "get_rank", "get_world_size", "group",
    "init_process_group", "irecv", "is_available", "is_backend_available", "is_gloo_available", "is_initialized",
    "is_mpi_available", "is_nccl_available", "is_torchelastic_launched", "is_ucc_available", "is_xccl_available",
    "isend", "monitored_barrier", "new_group", "recv", "reduce", "reduce_scatter", "reduce_scatter_tensor", "scatter",
    "scatter_object_list", "send",
]  # fmt: skip


def is_available() -> bool:
    """Is there a process group? Before that, packages shall not ask for parts that only several processes need."""
    return is_initialized()


def is_gloo_available() -> bool:
    """True: a group of one process may be made by it."""
    return True


def is_mpi_available() -> bool:
    """False, as in PyTorch for CPUs."""
    return False


is_nccl_available = is_ucc_available = is_xccl_available = is_mpi_available


def is_backend_available(backend: str) -> bool:
    """Is this "gloo"?"""
    return backend.lower() == "gloo"


def get_default_backend_for_device(device: Any) -> str:
    """How tensors of a device are exchanged: "gloo" for the CPU.

    Raises:
        ValueError: any other device.
    """
    kind = str(device).partition(":")[0]
    if kind != "cpu":
        raise ValueError(f"Default backend not registered for device : {kind}")
    return "gloo"


def is_torchelastic_launched() -> bool:
    """Was the process started by torchrun?"""
    return os.environ.get("TORCHELASTIC_RUN_ID") is not None


def _with_another(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises ValueError: there is no other process."""
    if not is_initialized():
        raise ValueError(_alone.ABSENT)
    raise ValueError(
        "Invalid destination rank: destination rank should not be the same as the rank of the current process."
    )


send = isend = recv = irecv = _with_another


def __getattr__(name: str) -> Any:
    """Loads submodules when they are first used."""
    known = "algorithms checkpoint constants device_mesh distributed_c10d fsdp nn optim rpc tensor"
    if name in known.split():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'torch.distributed' has no attribute '{name}'")
