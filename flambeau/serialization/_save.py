"""``torch.save``: PyTorch's zip format, and its format before 1.6."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from ..device import layout
from ..dtypes import dtype, uint8
from ..graph.types import Size
from ..return_types import Result
from ..storage import LEGACY_NAMES, TypedStorage, UntypedStorage
from ._allowed import _get_layout
from ._archive import ALIGNMENT, ArchiveWriter
from ._files import is_path, writing
from ._locations import location_tag
from ._names import written
from ._options import get_crc32_options, skipping

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
DEFAULT_PROTOCOL = 2


def save(
    obj: object,
    f: Any,
    pickle_module: Any = pickle,
    pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Saves an object with its tensors to a file that PyTorch and flambeau load.

    A path's file is replaced when the new one is complete: at any moment the old or the new one is there, whole.

    Args:
        obj: What to save; tensors that share memory share it in the file.
        f: A path, or a file object with ``write``.
        pickle_module: The pickle module for what is not a tensor.
        pickle_protocol: Its protocol; ``load`` with ``weights_only=True`` reads protocol 2 only.

    Raises:
        AttributeError: ``f`` is neither a path nor a file object.
        RuntimeError: two tensors view the same memory as different dtypes, or the folder does not exist.
    """
    if not is_path(f) and not hasattr(f, "write"):
        raise AttributeError("expected 'f' to be string, path, or a file-like object with a 'write' attribute")
    storages = SavedStorages(legacy=not _use_new_zipfile_serialization)
    if not _use_new_zipfile_serialization:
        if skipping():
            raise RuntimeError("Cannot use skip_data=True with _use_new_zipfile_serialization=False")
        with writing(f) as file:
            _write_legacy(obj, file, pickle_module, pickle_protocol, storages)
        return
    pickled = pickle_of(obj, pickle_module, pickle_protocol, storages)
    with writing(f) as file:
        archive = ArchiveWriter(file.write, _archive_name(f), get_crc32_options())
        archive.record("data.pkl", pickled)
        archive.record(".format_version", b"1")
        archive.record(".storage_alignment", str(ALIGNMENT).encode())
        if not _disable_byteorder_record:
            archive.record("byteorder", sys.byteorder.encode())
        for key, storage in storages.kept.items():
            archive.record(f"data/{key}", storage_bytes(storage))
        archive.finish()


def _archive_name(f: Any) -> str:
    """The folder in the archive: the file's name without its ending."""
    name = os.path.basename(os.fspath(f)) if is_path(f) else ""
    stem = name.rpartition(".")[0] or name
    return stem if stem and stem.isascii() else "archive"


def storage_bytes(storage: UntypedStorage) -> memoryview:
    """A storage's bytes, without a copy if they lie in a row."""
    if skipping():
        return memoryview(bytes(storage.nbytes()))
    raw = storage._memory(np.uint8)
    return raw.data if raw.size else memoryview(b"")


class SavedStorages:
    """The storages met while pickling, and their names in the file."""

    def __init__(self, legacy: bool) -> None:
        self.kept: dict[str, UntypedStorage] = {}
        self.dtypes: dict[str, dtype] = {}
        self._keys: dict[int, str] = {}
        self._legacy = legacy

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        """How the pickle describes a storage; None for all else."""
        if not isinstance(obj, UntypedStorage):
            return None
        known = isinstance(obj, TypedStorage) and obj.dtype in TypedStorage.LEGACY
        kind = TypedStorage.LEGACY[obj.dtype] if known else UntypedStorage
        dt = obj.dtype if known else uint8
        key = self._keys.setdefault(obj._cdata, str(obj._cdata if self._legacy else len(self._keys)))
        if obj.nbytes() and self.dtypes.setdefault(key, dt) is not dt:
            raise RuntimeError("Cannot save multiple tensors or storages that view the same data as different types")
        self.kept.setdefault(key, obj)
        described = ("storage", kind, key, location_tag(obj), obj.nbytes() // dt.itemsize)
        return (*described, None) if self._legacy else described


def _pickler_class(module: Any) -> type:
    """The module's pickler in Python, whose way of writing names can be changed; else its only one."""
    found = getattr(module, "_Pickler", module.Pickler)
    return found if hasattr(found, "save_global") else module.Pickler


def _pickler(module: Any, file: Any, protocol: int, storages: SavedStorages) -> Any:
    base: Any = _pickler_class(module)

    class Pickler(base):
        """Writes storages as references, and PyTorch's names of flambeau's classes and functions."""

        def persistent_id(self, obj: Any) -> Any:
            return storages.persistent_id(obj)

        def reducer_override(self, obj: Any) -> Any:
            found = _reduced(obj)
            if found is not None:
                return found
            own = getattr(super(), "reducer_override", None)  # cloudpickle has one
            return NotImplemented if own is None else own(obj)

        def save_global(self, obj: Any, name: str | None = None) -> None:
            names = _names_of(obj, name)
            if names is None:
                base.save_global(self, obj, name)
            else:
                _write_name(self, obj, *names)

    if not hasattr(base, "save_global"):
        del Pickler.save_global
    elif hasattr(base, "dispatch"):
        Pickler.dispatch = {
            **base.dispatch,
            **{kind: _named_first(base.dispatch[kind]) for kind in (FunctionType, type)},
        }
    return Pickler(file, protocol=protocol)


def _named_first(save_it: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """A pickler's way of saving classes or functions, but for flambeau's, which have names of their own."""

    def save_named(pickler: Any, obj: Any) -> None:
        if _names_of(obj, None) is None:
            save_it(pickler, obj)
        else:
            pickler.save_global(obj)

    return save_named


def _reduced(obj: Any) -> Any:
    """The few objects that PyTorch's files hold in another form than plain pickles; None for all others."""
    if isinstance(obj, dtype):
        return obj.name
    if isinstance(obj, layout):
        return _get_layout, (repr(obj),)
    if type(obj) is Size:
        return Size, (tuple(obj),)
    if isinstance(obj, Result):
        return type(obj), (tuple(obj), {})
    return None


def _names_of(obj: Any, name: str | None) -> tuple[str, str] | None:
    if isinstance(obj, dtype):
        return "torch", obj.name
    if obj is _get_layout:
        return "torch.serialization", "_get_layout"
    if isinstance(obj, type) and issubclass(obj, Result):
        return "torch.return_types", obj.__name__
    return written(obj)


def _write_name(pickler: Any, obj: Any, module: str, name: str) -> None:
    """GLOBAL, or STACK_GLOBAL from protocol 4 on; nothing is imported to look whether the name exists."""
    if pickler.proto >= 4:
        pickler.save(module)
        pickler.save(name)
        pickler.write(pickle.STACK_GLOBAL)
    elif "." in name:
        *owner, last = name.split(".")
        pickler.save_reduce(getattr, (_Named(module, ".".join(owner)), last))
    else:
        pickler.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
    pickler.memoize(obj)


class _Named:
    """A class known by its names alone."""

    def __init__(self, module: str, name: str) -> None:
        self.__module__, self.__qualname__ = module, name


def pickle_of(obj: object, module: Any, protocol: int, storages: SavedStorages) -> bytes:
    """A pickle in which PyTorch's names stand for flambeau's."""
    buffer = io.BytesIO()
    _pickler(module, buffer, protocol, storages).dump(obj)
    return buffer.getvalue()


def _write_legacy(obj: object, file: Any, module: Any, protocol: int, storages: SavedStorages) -> None:
    """The format before PyTorch 1.6: pickles one after the other, then the storages."""
    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": sys.byteorder == "little",
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    pickled = pickle_of(obj, module, protocol, storages)
    keys = sorted(storages.kept)
    for part in (MAGIC_NUMBER, PROTOCOL_VERSION, system):
        module.dump(part, file, protocol=protocol)
    file.write(pickled)
    module.dump(keys, file, protocol=protocol)
    for key in keys:
        storage = storages.kept[key]
        itemsize = storages.dtypes.get(key, uint8).itemsize
        file.write(struct.pack("<q", storage.nbytes() // itemsize))
        file.write(storage_bytes(storage))


def normalize_storage_type(storage_type: Any) -> Any:
    """The class of storages that ``torch`` has under this class's name."""
    return LEGACY_NAMES.get(storage_type.__name__, UntypedStorage)
