"""``torch.PyTorchFileReader``: the records of a file that ``torch.save`` has written."""

from __future__ import annotations

import os
import weakref
from typing import Any

from ._archive import ArchiveReader
from ._files import is_path

__all__ = ["PyTorchFileReader"]


class PyTorchFileReader:
    """Reads records by their names within the archive (``data.pkl``, ``data/0``).

    Args:
        file: A path, or a binary file that can seek.

    Raises:
        RuntimeError: it is no archive, or a corrupt one.
    """

    def __init__(self, file: str | os.PathLike[str] | Any) -> None:
        if is_path(file):
            file = open(file, "rb")
            weakref.finalize(self, file.close)
        self._archive = ArchiveReader(file)

    def has_record(self, name: str) -> bool:
        """Is there a record of this name?"""
        return name in self._archive

    def get_all_records(self) -> list[str]:
        """The names of all records."""
        return self._archive.names()

    def get_record(self, name: str) -> bytes:
        """A record's content."""
        return self._archive.read(name)

    def get_record_offset(self, name: str) -> int:
        """Where a record's content begins in the file."""
        return self._archive.place(name)[0]
