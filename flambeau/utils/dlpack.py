"""``torch.utils.dlpack``: tensors to and from other libraries without copies (https://dmlc.github.io/dlpack/latest/)."""

from __future__ import annotations

from typing import Any

import flambeau as torch

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: torch.Tensor) -> Any:
    """A DLPack capsule of the tensor's memory, to be taken by one library once."""
    return tensor.__dlpack__()


def from_dlpack(ext_tensor: Any) -> torch.Tensor:
    """A tensor on the memory of another library's array, or of a DLPack capsule."""
    return torch.from_dlpack(ext_tensor)
