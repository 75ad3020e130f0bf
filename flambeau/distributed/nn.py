"""Communication that autograd sees: of one process, each gives what it is given."""

from __future__ import annotations

from typing import Any

from ._alone import ReduceOp, get_rank

__all__ = [
    "all_gather", "all_reduce", "all_to_all", "all_to_all_single", "broadcast", "gather", "reduce", "reduce_scatter",
    "scatter",
]  # fmt: skip


def all_reduce(tensor: Any, op: Any = ReduceOp.SUM, group: Any = None) -> Any:
    """A copy of the tensor, which is the only one."""
    get_rank(group)
    return tensor.clone()


def reduce(tensor: Any, dst: int, op: Any = ReduceOp.SUM, group: Any = None) -> Any:
    """As ``all_reduce``."""
    return all_reduce(tensor)


def broadcast(tensor: Any, src: int, group: Any = None) -> Any:
    """As ``all_reduce``."""
    return all_reduce(tensor)


def all_gather(tensor: Any, group: Any = None) -> tuple[Any, ...]:
    """A copy of the tensor, as a tuple."""
    return (all_reduce(tensor),)


def gather(tensor: Any, dst: int = 0, group: Any = None) -> tuple[Any, ...]:
    """As ``all_gather``."""
    return all_gather(tensor)


def scatter(tensors: Any, src: int = 0, group: Any = None) -> Any:
    """A copy of the only tensor."""
    (tensor,) = tensors
    return all_reduce(tensor)


def reduce_scatter(output: Any, input_list: Any, op: Any = ReduceOp.SUM, group: Any = None) -> Any:
    """As ``scatter``."""
    return scatter(input_list)


def all_to_all(output_tensor_list: Any, input_tensor_list: Any, group: Any = None) -> tuple[Any, ...]:
    """As ``scatter``, as a tuple."""
    return (scatter(input_tensor_list),)


def all_to_all_single(
    output: Any, input: Any, output_split_sizes: Any = None, input_split_sizes: Any = None, group: Any = None
) -> Any:
    """As ``all_reduce``."""
    return all_reduce(input)
