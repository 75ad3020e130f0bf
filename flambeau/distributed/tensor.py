"""Tensors spread over processes. Nothing is one: there is one process."""

from __future__ import annotations

import dataclasses
from typing import Any, NoReturn

__all__ = ["DTensor", "Partial", "Placement", "Replicate", "Shard", "distribute_tensor"]


class DTensor:
    """A tensor of which each process holds a part; for annotations and ``isinstance``."""


class Placement:
    """How processes hold a tensor."""

    def is_shard(self, dim: int | None = None) -> bool:
        """Does each hold a part, along ``dim`` if it is given?"""
        return isinstance(self, Shard) and dim in (None, self.dim)

    def is_replicate(self) -> bool:
        """Does each hold all of it?"""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Does each hold a term of it, of ``reduce_op`` if it is given?"""
        return isinstance(self, Partial) and reduce_op in (None, self.reduce_op)


@dataclasses.dataclass(frozen=True)
class Shard(Placement):
    """Each process holds a part along a dimension."""

    dim: int


@dataclasses.dataclass(frozen=True)
class Replicate(Placement):
    """Each process holds all of it."""


@dataclasses.dataclass(frozen=True)
class Partial(Placement):
    """Each process holds a term of what a reduction gives."""

    reduce_op: str = "sum"

    def __repr__(self) -> str:
        return f"Partial({self.reduce_op})"


def distribute_tensor(tensor: Any, device_mesh: Any = None, placements: Any = None, **_options: Any) -> NoReturn:
    """Raises NotImplementedError: no tensor is spread over processes."""
    raise NotImplementedError(
        "torch.distributed.tensor.distribute_tensor is not supported: there is one process; use the tensor itself"
    )
