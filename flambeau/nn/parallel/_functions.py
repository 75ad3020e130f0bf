"""What moves tensors between devices, as networks with batch norms over several GPUs import it; here is one device."""

from __future__ import annotations

from typing import Any, NoReturn

from ...autograd.function import Function

__all__ = ["Broadcast", "Gather", "ReduceAddCoalesced", "Scatter"]


class _Between(Function):
    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises AssertionError: tensors of the CPU are not moved between devices."""
        raise AssertionError(f"{cls.__name__} function not implemented for CPU tensors")


class Broadcast(_Between):
    """Copies tensors to several GPUs."""


class Gather(_Between):
    """Joins tensors of several GPUs."""


class ReduceAddCoalesced(_Between):
    """Adds tensors of several GPUs."""


class Scatter(_Between):
    """Cuts a tensor into parts for several GPUs."""
