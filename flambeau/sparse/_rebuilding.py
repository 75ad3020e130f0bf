"""Sparse tensors of the parts that a file holds: ``(indices, values, size, coalesced)`` of a layout with coordinates,
``(pointers, indices, values, size)`` of a compressed one."""

from __future__ import annotations

from typing import Any

import flambeau as torch

from ._compressed import CompressedTensor, _compressed, sparse_compressed_tensor
from ._coordinates import SparseTensor, made, sparse_coo_tensor


def checked(layout: Any, data: tuple[Any, ...]) -> Any:
    """The tensor of these parts.

    Raises:
        RuntimeError: the indices describe no tensor of this size.
        NotImplementedError: the layout is of blocks.
    """
    if layout is not torch.sparse_coo:
        return sparse_compressed_tensor(*data, layout=layout, check_invariants=False)
    indices, values, size, *rest = data
    return sparse_coo_tensor(indices, values, size, is_coalesced=rest[0] if rest else None, check_invariants=False)


def unchecked(layout: Any, data: tuple[Any, ...]) -> SparseTensor | CompressedTensor:
    """The tensor of these parts, which share its memory: only their own shapes and dtypes are looked at.

    Raises:
        RuntimeError: they are not those of such a tensor.
        NotImplementedError: the layout is of blocks.
    """
    if layout not in (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc):
        raise NotImplementedError(f"the layout {layout} is not supported: use torch.sparse_csr or torch.sparse_coo")
    coordinates = layout is torch.sparse_coo
    indices, values = (data[:1], data[1]) if coordinates else (data[:2], data[2])
    if not all(_is_index(i, 2 if coordinates else 1) for i in indices) or values.ndim < 1:
        raise RuntimeError("indices and values of a sparse tensor must be tensors of PyTorch's dtypes and dimensions")
    if not coordinates:
        return _compressed(layout, indices[0].detach(), indices[1].detach(), values, data[3])
    return made(indices[0].detach(), values, data[2], bool(data[3]) if len(data) > 3 else False)


def _is_index(x: Any, ndim: int) -> bool:
    return x.ndim == ndim and (x.dtype is torch.int64 or (ndim == 1 and x.dtype is torch.int32))
