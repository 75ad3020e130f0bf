"""Samples to batches (`torch.utils.data._utils.collate`)."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import flambeau as torch

from ....graph.realisation import realised
from ....graph.storage import Storage
from ....graph.types import Ty
from ....ops._histories import requires_grad
from ....ops.creation import from_values, realised_tensor

CollateMap = dict[Any, Callable[..., Any]]

np_str_obj_array_pattern = re.compile(r"[SaUO]")

default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)


def default_convert(data: Any) -> Any:
    """NumPy arrays and scalars as tensors, inside containers too; everything else as it is.

    Mappings and sequences are built anew with the same type where that can be done, tuples as lists.
    """
    if isinstance(data, (torch.Tensor, str, bytes)):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if _holds_objects(data) else torch.as_tensor(data)
    if isinstance(data, Mapping):
        return _rebuilt_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        kind: Any = type(data)
        return kind(*(default_convert(d) for d in data))
    if isinstance(data, Sequence):
        return _rebuilt_sequence(data, [default_convert(d) for d in data])
    return data


def _holds_objects(data: Any) -> bool:
    """An array of strings or objects, which no tensor can hold."""
    return isinstance(data, np.ndarray) and np_str_obj_array_pattern.search(data.dtype.str) is not None


def _rebuilt_mapping(like: Any, items: dict[Any, Any]) -> Any:
    """A mapping of the same type with other values; a dict where its type cannot be built."""
    try:
        if not isinstance(like, MutableMapping):
            return type(like)(items)
        # A copy keeps what else the mapping holds: a default factory, attributes.
        clone = copy.copy(like)
        clone.update(items)
    except TypeError:
        return items
    return clone


def _rebuilt_sequence(like: Any, items: list[Any]) -> Any:
    """A sequence of the same type with other items; a list for a tuple or where that cannot be done."""
    if isinstance(like, tuple):
        return items
    try:
        if not isinstance(like, MutableSequence):
            return type(like)(items)
        clone = copy.copy(like)
        for i, item in enumerate(items):
            clone[i] = item
    except TypeError:
        return items
    return clone


def collate(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """A list of samples as one batch, by the type of the first.

    Args:
        batch: samples of one structure.
        collate_fn_map: functions for the leaves, by type or tuple of types; called with
            the batch and `collate_fn_map`.

    Raises:
        RuntimeError: sequences of unequal length.
        TypeError: samples of a type that nothing is known about.
    """
    first = batch[0]
    collator = _collator_for(first, collate_fn_map or {})
    if collator is not None:
        return collator(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        items = {key: collate([d[key] for d in batch], collate_fn_map=collate_fn_map) for key in first}
        return _rebuilt_mapping(first, items)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        kind: Any = type(first)
        columns = zip(*batch, strict=False)
        return kind(*(collate(column, collate_fn_map=collate_fn_map) for column in columns))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = zip(*batch, strict=False)
        return _rebuilt_sequence(first, [collate(column, collate_fn_map=collate_fn_map) for column in columns])
    raise TypeError(default_collate_err_msg_format.format(type(first)))


def _collator_for(sample: Any, functions: CollateMap) -> Callable[..., Any] | None:
    """The function for a sample's type, or for one of its base types."""
    exact = functions.get(type(sample))
    if exact is not None:
        return exact
    return next((f for kind, f in functions.items() if isinstance(sample, kind)), None)


def collate_tensor_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Tensors of one shape stacked along a new first dimension."""
    first = batch[0]
    for bad, what in ((first.is_nested, "nested"), (first.layout != torch.strided, "sparse")):
        if bad:
            raise RuntimeError(
                f"Batches of {what} tensors are not currently supported by the default collate_fn; "
                "please provide a custom collate_fn to handle them appropriately."
            )
    found = _stacked(batch)
    return torch.stack(batch, 0) if found is None else found


def _stacked(batch: Any) -> Any:
    """Tensors that need no computing, stacked; None if some do, or if stacking is not just copying.

    A recorded `stack` would be a program of its own for each batch: what it reads is at other places every time.
    """
    first = batch[0]
    if type(first) is not torch.Tensor or first.is_complex():
        return None
    s, t = first._s, first._ty
    one = True  # are they parts of one memory?
    for x in batch:
        u = x._ty if type(x) is torch.Tensor else None
        if u is None or u.dtype is not t.dtype or u.shape != t.shape or x._s.pending or requires_grad(x):
            return None
        one = one and x._s is s
    rows = _rows_of_one(s, [x._ty for x in batch]) if one else None
    return from_values(np.stack([x._numpy() for x in batch]), t.dtype) if rows is None else rows


def _rows_of_one(s: Storage, types: list[Ty]) -> Any:
    """Parts of one memory of one shape, gathered as rows of a matrix; None if they do not lie like that."""
    t = types[0]
    size = t.numel
    if not size or not t.contiguous or t.stored is not s.ty.dtype:
        return None
    if not all([u.strides == t.strides and not u.lazy and u.offset % size == 0 for u in types]):  # noqa: C419
        return None
    memory = realised(s)
    table = memory[: len(memory) // size * size].reshape(-1, size)
    found = table.take([u.offset // size for u in types], axis=0)
    return realised_tensor(found.reshape(len(types), *t.shape), t.dtype)


def collate_numpy_array_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Arrays of one shape as a stacked tensor.

    Raises:
        TypeError: arrays of strings or objects.
    """
    if _holds_objects(batch[0]):
        raise TypeError(default_collate_err_msg_format.format(batch[0].dtype))
    if all(b.shape == batch[0].shape and b.dtype == batch[0].dtype for b in batch):
        return torch.tensor(np.stack(batch))
    return collate([torch.as_tensor(b) for b in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """NumPy scalars as a tensor."""
    return torch.as_tensor(batch)


def collate_float_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Python floats as a float64 tensor."""
    return torch.tensor(batch, dtype=torch.float64)


def collate_int_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Python integers (or bools) as a tensor."""
    return torch.tensor(batch)


def collate_str_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Strings and bytes as they are."""
    return batch


default_collate_fn_map: CollateMap = {
    torch.Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch: Any) -> Any:
    """Samples as one batch: tensors, arrays and numbers stacked, strings listed, containers item by item.

    Args:
        batch: samples of one structure.

    Raises:
        RuntimeError: tensors of unequal shape, or sequences of unequal length.
        TypeError: samples of another type.
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
