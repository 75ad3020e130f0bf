"""``torch.load``: what kind of file it is, and PyTorch's zip format."""

from __future__ import annotations

import io
import os
import pickle
import re
import warnings
from typing import Any

import numpy as np

from ..dtypes import dtype, uint8
from ..graph.storage import Storage, flat_type
from ..graph.types import on_meta
from ..storage import TypedStorage, UntypedStorage, new_storage
from ._allowed import Budget
from ._archive import ArchiveReader
from ._files import Source, is_path, reading
from ._interpreter import Interpreter, names_in
from ._locations import restorer
from ._names import real_module, resolve
from ._options import MAP_SHARED, get_default_mmap_options, skipping, swapped

UNSAFE_MESSAGE = (
    "In PyTorch 2.6, we changed the default value of the `weights_only` argument in `torch.load` "
    "from `False` to `True`. Re-running `torch.load` with `weights_only` set to `False` will likely succeed, "
    "but it can result in arbitrary code execution. Do it only if you got the file from a trusted source."
)
_DOCS = (
    "\n\nCheck the documentation of torch.load to learn more about types accepted by default with weights_only "
    "https://pytorch.org/docs/stable/generated/torch.load.html."
)
_YES = ("1", "y", "yes", "true")


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Loads what ``torch.save`` of PyTorch or of flambeau saved.

    Args:
        f: A path, or a file object that can seek.
        map_location: Where storages go: a device, a dict of locations, or a function; the only place is the CPU.
        pickle_module: The module that unpickles with ``weights_only=False``.
        weights_only: Tensors, numbers, strings and containers of them only, built without running anything that the
            file says. With False the file can run any code: load so only what you trust.
        mmap: Map the file into memory instead of reading it.
        pickle_load_args: For the pickle module, such as ``encoding``.

    Raises:
        pickle.UnpicklingError: the file names what ``weights_only`` does not allow, or is damaged.
        RuntimeError: the file is damaged, or its tensors are of a place that does not exist here.
    """
    weights_only = _weights_only(weights_only, pickle_module)
    if weights_only and pickle_module is not None:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    if pickle_load_args and weights_only:
        warnings.warn("pickle_load_args only works if `weights_only=False`.")
    pickle_load_args.setdefault("encoding", "utf-8")
    if is_path(f) and os.fspath(f).endswith(".safetensors"):
        from .safetensors import load_file

        return load_file(f, device=map_location or "cpu")
    unpickling = Unpickling(None if weights_only else pickle_module or pickle, pickle_load_args, map_location)
    with reading(f) as file:
        try:
            return _load_open(f, file, unpickling, bool(mmap))
        except pickle.UnpicklingError as error:
            if not weights_only:
                raise
            raise pickle.UnpicklingError(_refusal(str(error))) from None


def _weights_only(asked: bool | None, pickle_module: Any) -> bool:
    """The argument, its default, and the two environment variables that override them."""
    force, no_force = (os.getenv(f"TORCH_FORCE_{which}WEIGHTS_ONLY_LOAD", "0").lower() in _YES for which in ("", "NO_"))
    if force and no_force:
        raise RuntimeError(
            "Only one of `TORCH_FORCE_WEIGHTS_ONLY_LOAD` or `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD` "
            "should be set, but both were set."
        )
    if force:
        return True
    if no_force and asked is None:
        warnings.warn(
            "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected, since the"
            "`weights_only` argument was not explicitly passed to `torch.load`, forcing weights_only=False.",
            UserWarning,
            stacklevel=3,
        )
        return False
    return pickle_module is None if asked is None else asked


def _refusal(message: str) -> str:
    """PyTorch's explanation around the reason of a refusal."""
    if re.search(r"GLOBAL (\S+) was not an allowed global by default.", message):
        text = (
            "Weights only load failed. This file can still be loaded, to do so you have two options, "
            "\033[1mdo those steps only if you trust the source of the checkpoint\033[0m. "
            f"\n\t(1) {UNSAFE_MESSAGE}\n\t(2) Alternatively, to load with `weights_only=True` please check "
            "the recommended steps in the following error message.\n\tWeightsUnpickler error: " + message
        )
        return text + _DOCS
    text = f"Weights only load failed. {UNSAFE_MESSAGE}\n"
    if not re.search(r"whose module (\S+) is blocked", message):
        text += (
            "Please file an issue with the following so that we can make `weights_only=True` compatible with your use "
            "case: WeightsUnpickler error: "
        )
    return text + "\n\n" + message + _DOCS


def is_zip(file: Any) -> bool:
    """Does a zip archive begin here?"""
    here = file.tell()
    head = file.read(4)
    file.seek(here)
    return head == b"PK\3\4"


def _load_open(f: Any, file: Any, unpickling: Unpickling, mmap: bool) -> Any:
    if not is_zip(file):
        if mmap:
            name = f"{f}, " if isinstance(f, str) else ""
            raise RuntimeError(
                f"mmap can only be used with files saved with `torch.save({name}_use_new_zipfile_serialization=True), "
                "please torch.save your checkpoint with this option in order to use mmap."
            )
        from ._legacy import load_legacy

        return load_legacy(file, unpickling)
    archive = ArchiveReader(file, file.tell())
    if "constants.pkl" in archive:
        raise NotImplementedError("flambeau does not run TorchScript archives; save the module's state_dict instead")
    if mmap and not is_path(f):
        raise ValueError("f must be a file path in order to use the mmap argument")
    whole = UntypedStorage.from_file(f, get_default_mmap_options() == MAP_SHARED, archive.size) if mmap else None
    return load_archive(archive, unpickling, whole)


class Unpickling:
    """How pickles are read: by a module, or by the interpreter of ``weights_only`` (``module`` None)."""

    def __init__(self, module: Any, options: dict[str, Any], map_location: Any) -> None:
        self.module = module
        self.options = options
        self.restore = restorer(map_location)
        self._budget: Budget | None = None

    def load(self, file: Any, persistent_load: Any = None) -> Any:
        """The next pickle of a file, read to its end and no further."""
        if self.module is None:
            source = Source(file)
            self._budget = self._budget or Budget(source.size)
            return Interpreter(source, persistent_load, self.options["encoding"], self._budget).load()
        return _full_unpickler(self.module, file, persistent_load, self.options).load()


def _full_unpickler(module: Any, file: Any, persistent_load: Any, options: dict[str, Any]) -> Any:
    class Unpickler(module.Unpickler):
        """Finds flambeau's classes and functions under PyTorch's names."""

        def find_class(self, mod_name: str, name: str) -> Any:
            if real_module(mod_name) is not None:
                return resolve(mod_name, name)
            return super().find_class(mod_name, name)

    unpickler = Unpickler(file, **options)
    if persistent_load is not None:
        unpickler.persistent_load = persistent_load
    return unpickler


def storage_dtype(kind: Any) -> dtype:
    """The dtype of a storage class that a file names.

    Raises:
        UnpicklingError: it is no storage class.
    """
    if not isinstance(kind, type) or not issubclass(kind, UntypedStorage):
        raise pickle.UnpicklingError(f"expected a class of storages, but got {type(kind)}")
    return kind.dtype or uint8


def checked_size(numel: Any, dt: dtype) -> int:
    """The bytes of so many elements.

    Raises:
        UnpicklingError: ``numel`` is not a number of elements.
    """
    if type(numel) is not int or not 0 <= numel < 2**60:
        raise pickle.UnpicklingError("the number of elements of a storage must be an int that is not negative")
    return numel * dt.itemsize


def ascii_text(text: Any) -> str:
    """A short string of the file, which Python 2 may have written as bytes."""
    if isinstance(text, bytes):
        text = text.decode("ascii")
    if type(text) is not str:
        raise pickle.UnpicklingError(f"expected a string in the description of a storage, but got {type(text)}")
    return text


class _ArchiveStorages:
    """The storages of an archive, each read once when a tensor first names it."""

    def __init__(self, archive: ArchiveReader, unpickling: Unpickling, whole: UntypedStorage | None) -> None:
        self._archive = archive
        self._restore = unpickling.restore
        self._whole = whole
        self._loaded: dict[str, TypedStorage] = {}
        self._swapped = swapped(archive.read("byteorder") if "byteorder" in archive else None)

    def persistent_load(self, described: Any) -> TypedStorage:
        if type(described) is not tuple or len(described) != 5:
            raise pickle.UnpicklingError("a storage is described by five items")
        _, kind, key, location, numel = described
        key, dt = ascii_text(key), storage_dtype(kind)
        nbytes = checked_size(numel, dt)
        if key not in self._loaded:
            raw = UntypedStorage(new_storage(self._bytes(f"data/{key}", nbytes)))
            if self._swapped:
                raw.byteswap(dt)
            placed = self._restore(raw, ascii_text(location))
            self._loaded[key] = typed(placed, dt)
        return self._loaded[key]

    def _bytes(self, name: str, nbytes: int) -> np.ndarray:
        begin, size = self._archive.place(name)
        if size != nbytes:
            raise RuntimeError(f"{name} should have {nbytes} bytes, but the archive holds {size}; the file is damaged")
        if self._whole is not None:
            return self._whole._memory(np.uint8)[begin : begin + size]
        raw = np.zeros(size, np.uint8) if skipping() else np.empty(size, np.uint8)
        if size and not skipping():
            self._archive.read_into(name, raw.data)
        return raw


def typed(storage: UntypedStorage, dt: dtype) -> TypedStorage:
    """Loaded bytes as elements of ``dt``; NumPy wants elements at multiples of their size, and bools 0 or 1."""
    s = storage._s
    if s.ty.meta:
        return TypedStorage(Storage.of(on_meta(flat_type(storage.nbytes() // dt.itemsize, dt))), dtype=dt)
    raw = s.buf
    assert raw is not None
    if raw.dtype == np.uint8 and s.ty.dtype is uint8 and dt is not uint8:
        if dt.kind == "b":
            raw = raw if raw.size == 0 or raw.max() <= 1 else (raw != 0).view(np.uint8)
        if raw.ctypes.data % dt.itemsize:
            raw = raw.copy()
        s = new_storage(raw.view(dt.np), dt)
    return TypedStorage(s, dtype=dt)


def load_archive(archive: ArchiveReader, unpickling: Unpickling, whole: UntypedStorage | None = None) -> Any:
    """The object in an archive; its storages are views of ``whole``, if that is given."""
    storages = _ArchiveStorages(archive, unpickling, whole)
    return unpickling.load(io.BytesIO(archive.read("data.pkl")), storages.persistent_load)


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The classes and functions named in a file that ``load`` with ``weights_only=True`` would refuse.

    Raises:
        ValueError: the file is not of the zip format.
    """
    from ._allowed import default_globals, user_globals

    with reading(f) as file:
        if not is_zip(file):
            raise ValueError("Expected input to be a checkpoint returned by torch.save")
        archive = ArchiveReader(file, file.tell())
        names = names_in(Source(io.BytesIO(archive.read("data.pkl"))))
    return sorted(names - {*default_globals(), *user_globals()})
