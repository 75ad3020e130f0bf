"""Step counts: 0-dim tensors that the user sees, mirrored as Python numbers.

The state holds `step` as a tensor, as PyTorch does. Bias corrections need its
value in Python at every step; reading the tensor would realise pending work.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

import flambeau as torch

if TYPE_CHECKING:
    from flambeau import Tensor

# Above this, float32 cannot count on by ones.
_FLOAT32_LIMIT = 2.0**24


def scalar_dtype(fused: bool | None = None) -> Any:
    """The dtype of a step count: float32, or float64 where that is the default dtype."""
    if fused:
        return torch.float32
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32


class Mirror:
    """The last known value of 0-dim CPU tensors, valid while nobody else writes to them.

    An entry is used only if it belongs to the same tensor object at the same
    version; a tensor that was replaced, loaded or written to is read again.
    """

    def __init__(self) -> None:
        # The tensor is kept in the entry, so that its id cannot be reused.
        self._known: dict[int, tuple[Tensor, int, float]] = {}

    def read(self, tensor: Tensor) -> float:
        """The value of a 0-dim tensor; realises it only if it is not known."""
        entry = self._known.get(id(tensor))
        if entry is not None and entry[0] is tensor and entry[1] == _version(tensor):
            return entry[2]
        return tensor.item()

    def note(self, tensor: Tensor, value: float) -> None:
        """Remembers the value that a tensor has now."""
        version = _version(tensor)
        if version is not None:
            self._known[id(tensor)] = (tensor, version, value)

    def advance(self, step: Tensor) -> float:
        """Adds one to a step count; returns the new value."""
        value = self.read(step) + 1.0
        step += 1
        if value > _FLOAT32_LIMIT:
            return step.item()
        self.note(step, value)
        return value

    def scale(self, tensor: Tensor, factor: float) -> float:
        """Multiplies a tensor in place; returns the new value, rounded as the tensor's dtype rounds."""
        value = self.read(tensor)
        tensor *= factor
        if tensor.dtype == torch.float32:
            value = float(np.float32(value) * np.float32(factor))
        elif tensor.dtype == torch.float64:
            value *= factor
        else:
            return tensor.item()
        self.note(tensor, value)
        return value

    def store(self, tensor: Tensor, value: float) -> None:
        """Writes a value into a tensor and remembers it, rounded as the tensor's dtype rounds."""
        tensor.fill_(value)
        if tensor.dtype == torch.float32:
            self.note(tensor, float(np.float32(value)))
        elif tensor.dtype == torch.float64:
            self.note(tensor, value)

    def advance_all(self, steps: Iterable[Tensor]) -> list[float]:
        """`advance` for each tensor."""
        return [self.advance(step) for step in steps]


def _version(tensor: Tensor) -> int | None:
    """The version counter, or None for an inference tensor, which has none."""
    return None if tensor.is_inference() else tensor._version
