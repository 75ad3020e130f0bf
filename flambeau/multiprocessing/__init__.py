"""``torch.multiprocessing``: Python's, with the names that PyTorch adds."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
from multiprocessing import *  # noqa: F403
from multiprocessing.reduction import ForkingPickler
from typing import Any

from .._shared_memory import reduced
from ..nn.parameter import Parameter
from ..tensor import Tensor

__all__ = [
    *multiprocessing.__all__,
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
]

for _kind in (Tensor, Parameter):
    ForkingPickler.register(_kind, reduced)

_strategy = ["file_descriptor"]


def get_all_sharing_strategies() -> set[str]:
    """The strategies that can be set."""
    return {"file_descriptor", "file_system"}


def get_sharing_strategy() -> str:
    """The strategy that was set. Whatever it is, shared tensors are sent by descriptor, all others by value."""
    return _strategy[0]


def set_sharing_strategy(new_strategy: str) -> None:
    """Sets the strategy.

    Raises:
        AssertionError: there is no such strategy.
    """
    if new_strategy not in get_all_sharing_strategies():
        raise AssertionError(f"invalid sharing strategy: {new_strategy}")
    _strategy[0] = new_strategy


def spawn(
    fn: Any,
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> Any:
    """Starts ``nprocs`` processes that run ``fn(i, *args)``; gives them, or waits for them.

    Raises:
        RuntimeError: a process failed.
    """
    context = multiprocessing.get_context(start_method)
    processes = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]  # type: ignore[attr-defined]
    for process in processes:
        process.start()
    if not join:
        return processes
    for i, process in enumerate(processes):
        process.join()
        if process.exitcode:
            raise RuntimeError(f"process {i} terminated with exit code {process.exitcode}")
    return None
