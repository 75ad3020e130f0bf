"""Step counts: 0-dim tensors that the user sees, mirrored as Python numbers.

The state holds `step` as a tensor, as PyTorch does. Bias corrections need its
value in Python at every step; reading the tensor would realise pending work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import flambeau as torch

if TYPE_CHECKING:
    from flambeau import Tensor

# Above this, float32 cannot count on by ones.
FLOAT32_LIMIT = 2.0**24


def scalar_dtype(fused: bool | None = None) -> Any:
    """The dtype of a step count: float32, or float64 where that is the default dtype."""
    if fused:
        return torch.float32
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32


class Mirror:
    """The last known value of 0-dim CPU tensors, valid while nobody else writes to them.

    An entry is used only if it belongs to the same tensor object at the expected
    version; a tensor that was replaced, loaded or written to is read again. Entries
    are made before the write that they foretell, which adds one to the version.
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

    def foretell(self, tensor: Tensor, value: float) -> float:
        """Notes the value that the next write gives a tensor; returns it rounded as the dtype rounds."""
        if tensor.dtype == torch.float32:
            value = float(np.float32(value))
        elif tensor.dtype != torch.float64:
            return value
        self._known[id(tensor)] = (tensor, _version(tensor) + 1, value)
        return value

    def announce(self, steps: Sequence[Tensor]) -> list[float]:
        """The values that step counts will have once one has been added to each."""
        known, counts = self._known, []
        for step in steps:
            version = _version(step)
            entry = known.get(id(step))
            if entry is not None and entry[0] is step and entry[1] == version:
                count = entry[2] + 1.0
            else:
                count = step.item() + 1.0
            if count < FLOAT32_LIMIT:
                known[id(step)] = (step, version + 1, count)
            counts.append(count)
        return counts

    def restore(self, steps: Sequence[Tensor], count: float) -> None:
        """Notes the value that step counts have."""
        self._known.update({id(step): (step, _version(step), count) for step in steps})

    def advance(self, steps: Sequence[Tensor]) -> list[float]:
        """Adds one to step counts; returns the new values."""
        counts = self.announce(steps)
        for step in steps:
            step += 1
        return counts

    def product(self, tensor: Tensor, factor: float) -> float:
        """What a tensor's value will be once it has been multiplied, rounded as its dtype rounds."""
        value = self.read(tensor)
        if tensor.dtype == torch.float32:
            return self.foretell(tensor, float(np.float32(value) * np.float32(factor)))
        return self.foretell(tensor, value * factor)

    def store(self, tensor: Tensor, value: float) -> None:
        """Writes a value into a tensor and remembers it."""
        self.foretell(tensor, value)
        tensor.fill_(value)


def _version(tensor: Tensor) -> int:
    """The version counter, or -2 for an inference tensor, which has none: such a value is never known."""
    try:
        return tensor._version
    except RuntimeError:
        return -2
