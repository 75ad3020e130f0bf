"""The safetensors format, under the names of the ``safetensors`` package's torch API.

A file is the size of a JSON header (8 bytes), the header, and the tensors' bytes one after the other without gaps
(https://huggingface.co/docs/safetensors). Nothing in it is executed, and every size is checked.
"""

from __future__ import annotations

import io
import json
import os
import struct
from collections import defaultdict
from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

import flambeau as torch

from ..graph.storage import Storage, flat_type
from ..graph.tensor_base import new_tensor
from ..graph.types import ty
from ._archive import read_fully
from ._files import writing

_LONGEST_HEADER = 100_000_000
_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "U16": torch.uint16,
    "U32": torch.uint32, "U64": torch.uint64, "BOOL": torch.bool, "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
_NAMES = {d: name for name, d in _DTYPES.items()}


class SafetensorError(Exception):
    """A file is not of the format, or a tensor is asked for that it does not hold."""


def save_file(tensors: dict[str, Any], filename: Any, metadata: dict[str, str] | None = None) -> None:
    """Saves tensors to a file, atomically.

    Args:
        tensors: The tensors by name.
        filename: The path.
        metadata: Strings to go with them.

    Raises:
        ValueError: a value is not a tensor, or a tensor is not contiguous.
        RuntimeError: tensors share memory.
    """
    parts = _parts(tensors, metadata)
    with writing(filename) as file:
        for part in parts:
            file.write(part)


def save(tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """As ``save_file``, to bytes."""
    return b"".join(bytes(part) for part in _parts(tensors, metadata))


def _parts(tensors: dict[str, Any], metadata: dict[str, str] | None) -> list[Any]:
    _check(tensors)
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    arrays, offset = [], 0
    for name, x in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        flat = _bytes_of(x)
        span = [offset, offset + len(flat)]
        header[name] = {"dtype": _NAMES[x.dtype], "shape": list(x.shape), "data_offsets": span}
        offset += len(flat)
        arrays.append(flat)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return [struct.pack("<Q", len(text)), text, *arrays]


def _bytes_of(x: Any) -> memoryview:
    x = x.detach().resolve_conj().resolve_neg()
    raw = x.untyped_storage()._memory(np.uint8)
    start = x.storage_offset() * x.dtype.itemsize
    return memoryview(raw[start : start + x.nbytes]) if x.nbytes else memoryview(b"")


def _check(tensors: Any) -> None:
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}")
    holders: dict[int, set[str]] = defaultdict(set)
    for name, x in tensors.items():
        if not isinstance(x, torch.Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected torch.Tensor but received {type(x)}")
        if x.dtype not in _NAMES:
            raise ValueError(f"Key `{name}` is invalid: the format has no dtype {x.dtype}")
        if not x.is_contiguous():
            raise ValueError(
                f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. It either means you "
                "are trying to save tensors which are reference of each other in which case it's recommended to save "
                "only the full tensors, and reslice at load time, or simply call `.contiguous()` on your tensor to "
                "pack it before saving."
            )
        if x.numel():
            holders[x.untyped_storage()._cdata].add(name)
    shared = [names for names in holders.values() if len(names) > 1]
    if shared:
        raise RuntimeError(
            f"\n            Some tensors share memory, this will lead to duplicate memory on disk and potential "
            f"differences when loading them again: {shared}.\n            A potential way to correctly save your model "
            "is to use `save_model`.\n            More information at "
            "https://huggingface.co/docs/safetensors/torch_shared_tensors\n            "
        )


def load_file(filename: Any, device: Any = "cpu") -> dict[str, Any]:
    """The tensors of a file by name.

    Raises:
        SafetensorError: the file is damaged.
    """
    with safe_open(filename, framework="pt", device=device) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  the class is no mapping


def load(data: bytes) -> dict[str, Any]:
    """The tensors in bytes that ``save`` made."""
    file = _Reader(io.BytesIO(data))
    return {name: file.tensor(name) for name in file.entries}


class _Reader:
    """The header of an open file, checked, and its tensors on demand."""

    def __init__(self, file: Any) -> None:
        self._file = file
        size = file.seek(0, 2)
        file.seek(0)
        self.entries, self.metadata, self._data = _header(file, size)

    def tensor(self, name: str) -> Any:
        dt, shape, begin, end = self.entries[name]
        raw = np.empty(end - begin, np.uint8)
        if raw.size:
            self._file.seek(self._data + begin)
            read_fully(self._file, raw.data)
        if dt.kind == "b":
            raw = (raw != 0).view(np.uint8)
        flat = raw.view(dt.np)
        return new_tensor(Storage.of(flat_type(flat.size, dt), None, flat), ty(shape, dt))


Entry = tuple[Any, tuple[int, ...], int, int]


def _header(file: Any, size: int) -> tuple[dict[str, Entry], Any, int]:
    """The entries, the metadata and where the data begins."""
    if size < 8:
        raise SafetensorError("Error while deserializing header: header too small")
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LONGEST_HEADER:
        raise SafetensorError("Error while deserializing header: header too large")
    if length > size - 8:
        raise SafetensorError("Error while deserializing header: invalid header length")
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise SafetensorError(f"Error while deserializing header: invalid JSON in header: {error}") from None
    if not isinstance(header, dict):
        raise SafetensorError("Error while deserializing header: invalid JSON in header: not an object")
    metadata = header.pop("__metadata__", None)
    if metadata is not None and not _strings(metadata):
        raise SafetensorError("Error while deserializing header: the metadata must be strings")
    entries = {name: _entry(name, info) for name, info in header.items()}
    _check_cover(entries, size - 8 - length)
    return dict(sorted(entries.items(), key=lambda item: item[1][2:])), metadata, 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise SafetensorError("Error while deserializing header: a name stands twice in the header")
    return found


def _strings(metadata: Any) -> bool:
    return isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and 0 <= n < 2**63 for n in values)


def _entry(name: str, info: Any) -> Entry:
    wrong = SafetensorError(f"Error while deserializing header: tensor `{name[:80]}` is described wrongly")
    if not isinstance(info, dict) or set(info) != {"dtype", "shape", "data_offsets"}:
        raise wrong
    shape, offsets, kind = info["shape"], info["data_offsets"], info["dtype"]
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or len(shape) > 64:
        raise wrong
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise SafetensorError(f"Error while deserializing header: tensor `{name[:80]}` has an unknown dtype")
    if prod(shape) * _DTYPES[kind].itemsize != offsets[1] - offsets[0]:
        raise SafetensorError(f"Error while deserializing header: shape and size of `{name[:80]}` do not agree")
    return _DTYPES[kind], tuple(shape), offsets[0], offsets[1]


def _check_cover(entries: dict[str, Entry], size: int) -> None:
    """The tensors must fill the data, in a row."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry[2] != end:
            raise SafetensorError(f"Error while deserializing header: invalid offset for tensor `{name[:80]}`")
        end = entry[3]
    if end != size:
        raise SafetensorError("Error while deserializing header: incomplete metadata, file not fully covered")


class safe_open:
    """Opens a file and loads tensors on demand; a context manager.

    Args:
        filename: The path.
        framework: "pt".
        device: The CPU.
    """

    def __init__(self, filename: Any, framework: str = "pt", device: Any = "cpu") -> None:
        if framework not in ("pt", "torch", "pytorch"):
            raise SafetensorError(f"framework {framework} is invalid: these are PyTorch's tensors")
        if torch.device(device).type != "cpu":
            raise SafetensorError(f"device {device} is invalid: there is only the CPU")
        if not os.path.exists(filename):
            raise FileNotFoundError(f'No such file or directory: "{os.fspath(filename)}"')
        self._file = open(filename, "rb")
        try:
            self._reader = _Reader(self._file)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def keys(self) -> list[str]:
        """The names of the tensors, sorted."""
        return sorted(self._reader.entries)

    def offset_keys(self) -> list[str]:
        """The names in the order of the file."""
        return list(self._reader.entries)

    def metadata(self) -> dict[str, str] | None:
        """The strings that were saved with the tensors."""
        return self._reader.metadata

    def get_tensor(self, name: str) -> Any:
        """A tensor.

        Raises:
            SafetensorError: there is none of this name.
        """
        if name not in self._reader.entries:
            raise SafetensorError(f"File does not contain tensor {name}")
        return self._reader.tensor(name)

    def get_slice(self, name: str) -> PySafeSlice:
        """A tensor that is loaded when it is indexed."""
        if name not in self._reader.entries:
            raise SafetensorError(f"File does not contain tensor {name}")
        return PySafeSlice(self._reader, name)


class PySafeSlice:
    """A tensor of an open file that has not been loaded."""

    def __init__(self, reader: _Reader, name: str) -> None:
        self._reader, self._name = reader, name

    def get_shape(self) -> list[int]:
        """The sizes."""
        return list(self._reader.entries[self._name][1])

    def get_dtype(self) -> str:
        """The dtype's name in the format."""
        return _NAMES[self._reader.entries[self._name][0]]

    def __getitem__(self, index: Any) -> Any:
        return self._reader.tensor(self._name)[index]


def save_model(
    model: Any, filename: Any, metadata: dict[str, str] | None = None, force_contiguous: bool = True
) -> None:
    """Saves a module's state; of tensors that share memory one is saved, and the metadata names the others."""
    kept, aliases = _without_shared(model.state_dict())
    if force_contiguous:
        kept = {name: x.contiguous() for name, x in kept.items()}
    strings = {**(metadata or {}), **aliases}
    save_file(kept, filename, strings or None)


def _without_shared(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The state with one of each group of equal tensors, and the left out with the name that stands for them."""
    kept: dict[str, Any] = {}
    first: dict[Any, str] = {}
    aliases: dict[str, str] = {}
    for name in sorted(state):
        x = state[name]
        place = (x.untyped_storage()._cdata, x.storage_offset(), x.shape, x.stride(), x.dtype)
        if x.numel() and place in first:
            aliases[name] = first[place]
        else:
            first[place] = name
            kept[name] = x
    return kept, aliases


def load_model(model: Any, filename: Any, strict: bool = True, device: Any = "cpu") -> tuple[list[str], list[str]]:
    """Loads a file of ``save_model`` into a module.

    Returns:
        The names that the file lacks, and those that the module lacks.

    Raises:
        RuntimeError: with ``strict``, when there are such names.
    """
    state = load_file(filename, device)
    _, aliases = _without_shared(model.state_dict())
    result = model.load_state_dict(state, strict=False)
    missing = [name for name in result.missing_keys if aliases.get(name) not in state]
    unexpected = list(result.unexpected_keys)
    if strict and (missing or unexpected):
        raise RuntimeError(_mismatch(model, missing, unexpected))
    return missing, unexpected


def _mismatch(model: Any, missing: Iterable[str], unexpected: Iterable[str]) -> str:
    text = f"Error(s) in loading state_dict for {type(model).__name__}:"
    for what, names in (("Missing", sorted(missing)), ("Unexpected", sorted(unexpected))):
        if names:
            text += f"\n    {what} key(s) in state_dict: " + ", ".join(f'"{name}"' for name in names)
    return text
