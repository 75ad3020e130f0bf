"""``torch.nested``: tensors of components that differ in the size of one dimension
(https://docs.pytorch.org/docs/stable/nested.html).

Both layouts, ``torch.jagged`` and ``torch.strided``, are kept as one dense tensor of all rows; gradients flow to it.
Elementwise functions, layers, reductions and attention take nested tensors; others refuse them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import flambeau as torch
from flambeau.ops._registry import version_of

from ._tensor import Lengths, NestedTensor, made

__all__ = [
    "NestedTensor", "as_nested_tensor", "narrow", "nested_tensor", "nested_tensor_from_jagged", "to_padded_tensor",
]  # fmt: skip


def nested_tensor(
    tensor_list: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:  # fmt: skip
    """A nested tensor of copies of tensors, or of what makes tensors; a leaf.

    Raises:
        RuntimeError: the tensors differ in more than the size of their first dimension (layout jagged).
        NotImplementedError: they do, in the strided layout.
    """
    parts = [x.detach() if isinstance(x, torch.Tensor) else torch.tensor(x) for x in tensor_list]
    found = _of_parts(parts, dtype, layout)
    return found.detach().requires_grad_(requires_grad)


def as_nested_tensor(ts: Any, dtype: Any = None, device: Any = None, layout: Any = None) -> Any:
    """A nested tensor of tensors, to which gradients flow; see ``nested_tensor``."""
    if isinstance(ts, NestedTensor):
        return ts if dtype is None else ts.to(dtype)
    if isinstance(ts, torch.Tensor):
        ts = ts.unbind(0)
    return _of_parts([x if isinstance(x, torch.Tensor) else torch.tensor(x) for x in ts], dtype, layout)


def _of_parts(parts: Sequence[Any], dtype: Any, layout: Any) -> NestedTensor:
    layout = torch.strided if layout is None else layout
    if layout not in (torch.strided, torch.jagged):
        raise RuntimeError(f"Specified layout is unsupported for nested tensors: {layout}")
    if not parts:
        raise NotImplementedError("a nested tensor without components is not supported")
    if any(x.ndim == 0 or x.shape[1:] != parts[0].shape[1:] or x.dtype != parts[0].dtype for x in parts):
        if layout is torch.jagged:
            raise RuntimeError(
                "Cannot represent given tensor list as a nested tensor with the jagged layout. Note that the jagged "
                "layout only allows for a single ragged dimension. For example: (B, *, D_0, D_1, ..., D_N), with "
                "ragged * dim."
            )
        raise NotImplementedError("nested tensors whose components differ in other dimensions than the first, or in "
                                  "dtype, are not supported")  # fmt: skip
    rows = torch.cat(list(parts))
    lengths = torch.tensor([0, *[x.shape[0] for x in parts]], dtype=torch.int64)
    return made(rows if dtype is None else rows.to(dtype), _known(lengths.cumsum(0)), layout)


def nested_tensor_from_jagged(
    values: Any, offsets: Any = None, lengths: Any = None, jagged_dim: int | None = None, min_seqlen: Any = None,
    max_seqlen: Any = None,
) -> Any:  # fmt: skip
    """A nested tensor of rows that lie one after the other; component i is ``values[offsets[i]:offsets[i + 1]]``.

    Tensors made with the same ``offsets`` have the same ragged size.

    Raises:
        RuntimeError: neither ``offsets`` nor ``lengths`` are given, or they do not cover the values.
        NotImplementedError: there are gaps (both are given), or the ragged dimension is not the first of the values.
    """
    if jagged_dim not in (None, 1):
        raise NotImplementedError("nested_tensor_from_jagged: only jagged_dim=1 is supported")
    if offsets is None:
        if lengths is None:
            raise RuntimeError("nested_tensor_from_jagged(): At least one of offsets or lengths is required.")
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    elif lengths is not None:
        raise NotImplementedError("nested_tensor_from_jagged: gaps between components are not supported")
    known = _known(offsets)
    if known.rows != values.shape[0] or offsets[0] != 0 or min(known.each, default=0) < 0:
        raise RuntimeError(f"nested_tensor_from_jagged(): the offsets {offsets.tolist()} do not cover the values, of "
                           f"which there are {values.shape[0]}")  # fmt: skip
    return made(values, known, torch.jagged)


_lengths: list[Lengths] = []  # those of offsets that were given last: who gives the same tensor means the same size
_MOST = 64


def _known(offsets: Any) -> Lengths:
    for lengths in _lengths:
        if lengths.offsets is offsets and lengths.version == version_of(offsets):
            return lengths
    found = Lengths(offsets)
    _lengths.append(found)
    del _lengths[:-_MOST]
    return found


def to_padded_tensor(input: Any, padding: float, output_size: Any = None, out: Any = None) -> Any:
    """A dense tensor of all components, with ``padding`` where one is shorter than the longest."""
    return input.to_padded_tensor(padding, output_size)


def narrow(tensor: Any, dim: int, start: Any, length: Any, layout: Any = None) -> NoReturn:
    """Raises NotImplementedError: use ``nested_tensor`` of the slices."""
    raise NotImplementedError("torch.nested.narrow is not supported: use nested_tensor of the slices")
