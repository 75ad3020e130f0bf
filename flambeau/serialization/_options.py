"""Settings of saving and loading."""

from __future__ import annotations

import mmap
import sys
from contextvars import ContextVar
from enum import Enum
from typing import Any


class LoadEndianness(Enum):
    """The byte order that files without a mark of it are taken to have."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


MAP_SHARED = getattr(mmap, "MAP_SHARED", 1)
MAP_PRIVATE = getattr(mmap, "MAP_PRIVATE", 2)

_endianness: list[LoadEndianness | None] = [None]
_checksums = [True]
_mapping = [MAP_PRIVATE]
_without_data: ContextVar[bool] = ContextVar("skip_data", default=False)


def get_default_load_endianness() -> LoadEndianness | None:
    """The byte order of files without a mark of it; None: little."""
    return _endianness[0]


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Sets the byte order of files without a mark of it.

    Raises:
        TypeError: not a ``LoadEndianness`` and not None.
    """
    if not isinstance(endianness, LoadEndianness) and endianness is not None:
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _endianness[0] = endianness


def get_crc32_options() -> bool:
    """Are checksums of the records computed when a file is saved?"""
    return _checksums[0]


def set_crc32_options(compute_crc32: bool) -> None:
    """Switches the checksums of records on or off; without them other tools may refuse the archive."""
    _checksums[0] = compute_crc32


def get_default_mmap_options() -> int:
    """How ``load(mmap=True)`` maps files: ``MAP_PRIVATE`` (writes stay in memory) or ``MAP_SHARED``."""
    return _mapping[0]


class set_default_mmap_options:
    """Sets how files are mapped: from now on, or for the time of a ``with`` block.

    Args:
        flags: ``mmap.MAP_PRIVATE`` or ``mmap.MAP_SHARED``.

    Raises:
        ValueError: another value.
    """

    def __init__(self, flags: int) -> None:
        if flags not in (MAP_PRIVATE, MAP_SHARED):
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, "
                f"expected mmap.MAP_PRIVATE or mmap.MAP_SHARED, but got {flags}"
            )
        self.prev, _mapping[0] = _mapping[0], flags

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _mapping[0] = self.prev


class skip_data:
    """In this block ``save`` leaves the storages' bytes zero, and ``load`` leaves them unread.

    Args:
        materialize_fake_tensors: Accepted; there are no fake tensors.
    """

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self.materialize_fake_tensors = materialize_fake_tensors
        self._token: Any = None

    def __enter__(self) -> None:
        self._token = _without_data.set(True)

    def __exit__(self, *exc: object) -> None:
        _without_data.reset(self._token)


def skipping() -> bool:
    """Are we in a block of ``skip_data``?"""
    return _without_data.get()


def swapped(mark: bytes | None) -> bool:
    """Must the bytes of a file with this mark (None: it has none) be reversed?

    Raises:
        ValueError: the mark is neither "little" nor "big".
    """
    if mark is None:
        default = _endianness[0] or LoadEndianness.LITTLE
        mark = sys.byteorder.encode() if default is LoadEndianness.NATIVE else default.name.lower().encode()
    if mark not in (b"little", b"big"):
        raise ValueError("Unknown endianness type: " + mark.decode("utf-8", "replace")[:80])
    return mark.decode() != sys.byteorder
