"""Saving and loading: ``torch.save``, ``torch.load``, and what a file may hold.

``load`` builds tensors and plain data only, unless it is told ``weights_only=False``; files are PyTorch's in both
directions (https://docs.pytorch.org/docs/stable/notes/serialization.html).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable

from ..device import device
from ..storage import UntypedStorage
from ._allowed import _get_layout, add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from ._load import UNSAFE_MESSAGE, get_unsafe_globals_in_checkpoint, load
from ._locations import default_restore_location, location_tag, register_package
from ._options import (
    LoadEndianness,
    get_crc32_options,
    get_default_load_endianness,
    get_default_mmap_options,
    set_crc32_options,
    set_default_load_endianness,
    set_default_mmap_options,
    skip_data,
)
from ._save import DEFAULT_PROTOCOL, MAGIC_NUMBER, PROTOCOL_VERSION, normalize_storage_type, save

MAP_LOCATION = Callable[[UntypedStorage, str], UntypedStorage] | device | str | dict[str, str] | None


class SourceChangeWarning(Warning):
    """The source of a saved class has changed (PyTorch's files before 1.6 held it)."""


__all__ = [
    "DEFAULT_PROTOCOL",
    "MAGIC_NUMBER",
    "MAP_LOCATION",
    "PROTOCOL_VERSION",
    "UNSAFE_MESSAGE",
    "LoadEndianness",
    "SourceChangeWarning",
    "_get_layout",
    "add_safe_globals",
    "clear_safe_globals",
    "default_restore_location",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "location_tag",
    "normalize_storage_type",
    "pickle",
    "register_package",
    "safe_globals",
    "save",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
    "skip_data",
]
