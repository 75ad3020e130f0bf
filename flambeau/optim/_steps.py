"""Step counts: 0-dim tensors that the user sees, mirrored as Python numbers.

The state holds `step` as a tensor, as PyTorch does. Bias corrections need its
value in Python at every step; reading the tensor would realise pending work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def rounding(like: Tensor) -> Callable[[float], float]:
    """What rounds a number as a tensor does that holds it."""
    return _to_float32 if like.dtype == torch.float32 else float


def _to_float32(value: float) -> float:
    return float(np.float32(value))


_WIDE = (torch.float32, torch.float64)


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

    def foretell_all(self, tensors: Sequence[Tensor], values: Sequence[float]) -> None:
        """Notes the values that the next write gives tensors, as they are once rounded."""
        for tensor, value in zip(tensors, values):
            if value < FLOAT32_LIMIT and tensor.dtype in _WIDE:
                self._known[id(tensor)] = (tensor, _version(tensor) + 1, value)

    def restore(self, counted: Sequence[Sequence[Tensor]], key: Sequence[float]) -> None:
        """Notes the values that states have, a value for each kind."""
        for tensors, value in zip(counted, key):
            self._known.update({id(x): (x, _version(x), value) for x in tensors})


def _version(tensor: Tensor) -> int:
    """The version counter, or -2 for an inference tensor, which has none: such a value is never known."""
    try:
        return tensor._version
    except RuntimeError:
        return -2
