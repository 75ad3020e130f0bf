"""Files of PyTorch before 1.6: pickles with the storages behind them, and tar archives before 0.2."""

from __future__ import annotations

import io
import struct
import sys
import tarfile
from pickle import UnpicklingError
from typing import Any

import numpy as np

from .. import _utils
from ..dtypes import dtype
from ..storage import TypedStorage, UntypedStorage, new_storage
from ._archive import read_fully
from ._load import UNSAFE_MESSAGE, Unpickling, ascii_text, checked_size, storage_dtype, typed
from ._save import MAGIC_NUMBER, PROTOCOL_VERSION


def load_legacy(file: Any, unpickling: Unpickling) -> Any:
    """The object in a file that is not a zip archive.

    Raises:
        RuntimeError: the file is not one of PyTorch's.
        UnpicklingError: it is damaged, or names what ``weights_only`` does not allow.
    """
    if file.tell() == 0 and _is_tar(file):
        return _load_tar(file, unpickling)
    if unpickling.load(file) != MAGIC_NUMBER:
        raise RuntimeError("Invalid magic number; corrupt file?")
    version = unpickling.load(file)
    if version != PROTOCOL_VERSION:
        raise RuntimeError(f"Invalid protocol version: {version if isinstance(version, int) else type(version)}")
    system = unpickling.load(file)
    storages = _LegacyStorages(file, unpickling)
    with _utils.checked_behind():
        result = unpickling.load(file, storages.persistent_load)
        storages.read(unpickling.load(file), _must_swap(system))
    return result


def _must_swap(system: Any) -> bool:
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    return bool(little) != (sys.byteorder == "little")


class _LegacyStorages:
    """Storages that are named before their bytes come."""

    def __init__(self, file: Any, unpickling: Unpickling) -> None:
        self._file = file
        self._restore = unpickling.restore
        self._loaded: dict[str, tuple[TypedStorage, np.ndarray]] = {}
        self._views: dict[str, TypedStorage] = {}
        here = file.tell()
        self._left = file.seek(0, 2) - here
        file.seek(here)

    def persistent_load(self, described: Any) -> Any:
        if type(described) is tuple and len(described) == 4 and described[0] in ("module", b"module"):
            return described[1]  # a class with its source, which is not compared
        if type(described) is not tuple or len(described) != 6:
            raise UnpicklingError("a storage is described by six items")
        _, kind, key, location, numel, view = described
        key, dt = ascii_text(key), storage_dtype(kind)
        if key not in self._loaded:
            self._loaded[key] = self._reserve(dt, checked_size(numel, dt), ascii_text(location))
        whole = self._loaded[key][0]
        return whole if view is None else self._view(whole, dt, view)

    def _reserve(self, dt: dtype, nbytes: int, location: str) -> tuple[TypedStorage, np.ndarray]:
        """Memory for a storage: no more in all than bytes are left in the file."""
        self._left -= nbytes
        if self._left < 0:
            raise UnpicklingError("the storages are larger than the file; it is damaged")
        memory = np.zeros(nbytes // dt.itemsize, dt.np)
        made = TypedStorage(new_storage(memory, dt), dtype=dt)
        placed = self._restore(made, location)
        return TypedStorage(placed._s, dtype=dt), memory

    def _view(self, whole: TypedStorage, dt: dtype, view: Any) -> TypedStorage:
        if type(view) is not tuple or len(view) != 3 or any(type(n) is not int or n < 0 for n in view[1:]):
            raise UnpicklingError("a view of a storage is described by a key, an offset and a size")
        key, offset, size = ascii_text(view[0]), view[1], view[2]
        if key not in self._views:
            flat = whole._s.buf
            if flat is None or offset + size > flat.size:
                raise UnpicklingError("a view of a storage reaches beyond it")
            self._views[key] = TypedStorage(new_storage(flat[offset : offset + size], dt), dtype=dt)
        return self._views[key]

    def read(self, keys: Any, swap: bool) -> None:
        """Reads the storages in the order in which the file lists them."""
        if type(keys) is not list:
            raise UnpicklingError(f"the storages' keys must be a list, but got {type(keys)}")
        for key in keys:
            name = ascii_text(key)
            if name not in self._loaded:
                raise UnpicklingError(f"storage key {name[:80]!r} not found in deserialized_objects")
            storage, memory = self._loaded[name]
            _read_storage(self._file, memory)
            if swap:
                UntypedStorage(storage._s).byteswap(storage.dtype)
            storage.read_pairs()


def _read_storage(file: Any, memory: np.ndarray) -> None:
    head = file.read(8)
    if len(head) != 8 or struct.unpack("<q", head)[0] != memory.size:
        raise RuntimeError(f"a storage should have {memory.size} elements, but the file says otherwise; it is damaged")
    if memory.size:
        read_fully(file, memory.view(np.uint8).data)
    if memory.dtype == np.bool_:
        memory[...] = memory.view(np.uint8) != 0


def _is_tar(file: Any) -> bool:
    head = file.read(512)
    file.seek(0)
    return len(head) == 512 and head[257:262] == b"ustar"


def _load_tar(file: Any, unpickling: Unpickling) -> Any:
    if unpickling.module is None:
        raise RuntimeError(
            "Cannot use ``weights_only=True`` with files saved in the legacy .tar format. " + UNSAFE_MESSAGE
        )
    with tarfile.open(fileobj=file, mode="r:", format=tarfile.PAX_FORMAT) as tar:
        parts = {name: io.BytesIO(_member(tar, name)) for name in ("storages", "tensors", "pickle")}
    known = _tar_storages(parts["storages"], unpickling)
    _tar_tensors(parts["tensors"], unpickling, known)

    def persistent_load(saved: Any) -> Any:
        return saved[0] if isinstance(saved, tuple) else known[int(saved)]

    return unpickling.load(parts["pickle"], persistent_load)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    found = tar.extractfile(name)
    if found is None:
        raise RuntimeError(f"the archive has no file {name}; it is damaged")
    return found.read()


def _tar_storages(file: io.BytesIO, unpickling: Unpickling) -> dict[int, Any]:
    known: dict[int, Any] = {}
    for _ in range(unpickling.load(file)):
        key, location, kind = unpickling.load(file)
        dt = storage_dtype(kind)
        (numel,) = struct.unpack("<q", file.read(8))
        raw = np.frombuffer(bytearray(file.read(checked_size(numel, dt))), np.uint8)
        known[key] = typed(unpickling.restore(UntypedStorage(new_storage(raw)), ascii_text(location)), dt)
    for target, root, offset, numel in unpickling.load(file):
        whole = known[root]
        part = whole._s.buf[offset : offset + numel]
        known[target] = TypedStorage(new_storage(part, whole.dtype), dtype=whole.dtype)
    return known


def _tar_tensors(file: io.BytesIO, unpickling: Unpickling, known: dict[int, Any]) -> None:
    for _ in range(unpickling.load(file)):
        key, storage, _kind = unpickling.load(file)
        (ndim,) = struct.unpack("<i4x", file.read(8))
        numbers = struct.unpack(f"<{2 * ndim + 1}q", file.read(8 * (2 * ndim + 1)))
        sizes, strides, offset = numbers[:ndim], numbers[ndim : 2 * ndim], numbers[-1]
        known[key] = _utils._rebuild_tensor(known[storage], offset, sizes, strides)
