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
        """Remembers the value just written to a tensor, rounded as its dtype rounds."""
        version = _version(tensor)
        if version is None or tensor.dtype not in (torch.float32, torch.float64):
            return
        if tensor.dtype == torch.float32:
            value = float(np.float32(value))
        self._known[id(tensor)] = (tensor, version, value)

    def product(self, tensor: Tensor, factor: float) -> float:
        """What a tensor's value will be once it has been multiplied, rounded as its dtype rounds."""
        value = self.read(tensor)
        return float(np.float32(value) * np.float32(factor)) if tensor.dtype == torch.float32 else value * factor

    def announce(self, steps: Sequence[Tensor]) -> list[float]:
        """The values that step counts will have once one has been added to each."""
        return [self.read(step) + 1.0 for step in steps]

    def note_counts(self, steps: Sequence[Tensor], counts: Sequence[float]) -> None:
        """`note` for step counts, which no dtype rounds until they are very large."""
        for step, count in zip(steps, counts, strict=True):
            version = _version(step)
            if version is not None and count < _FLOAT32_LIMIT:
                self._known[id(step)] = (step, version, count)

    def advance(self, steps: Sequence[Tensor]) -> list[float]:
        """Adds one to step counts; returns the new values."""
        counts = self.announce(steps)
        for step in steps:
            step += 1
        self.note_counts(steps, counts)
        return counts

    def store(self, tensor: Tensor, value: float) -> None:
        """Writes a value into a tensor and remembers it."""
        tensor.fill_(value)
        self.note(tensor, value)


def _version(tensor: Tensor) -> int | None:
    """The version counter, or None for an inference tensor, which has none."""
    try:
        return tensor._version
    except RuntimeError:
        return None
