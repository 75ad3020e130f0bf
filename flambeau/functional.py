# ruff: noqa: F822
"""``torch.functional``: functions of ``torch`` under their old home."""

from __future__ import annotations

from typing import Any

__all__ = [
    "align_tensors", "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "broadcast_tensors",
    "cartesian_prod", "cdist", "chain_matmul", "einsum", "istft", "lu", "meshgrid", "norm", "split", "stft",
    "tensordot", "unique", "unique_consecutive", "unravel_index",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    import flambeau as torch

    if name == "F":  # as PyTorch's module has it, and deepchem takes it
        return torch.nn.functional
    if name in __all__:
        return getattr(torch, name)
    raise AttributeError(f"module 'torch.functional' has no attribute {name!r}")
