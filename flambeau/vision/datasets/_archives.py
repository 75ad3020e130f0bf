"""Archives and packed files, known by how their names end. Nothing is written outside the folder that is asked for."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pathlib
import shutil
import tarfile
import zipfile
from typing import Any

from flambeau.serialization._files import writing

__all__ = ["decompress", "extract_archive"]

_ARCHIVES = (".tar", ".zip")
_OPENERS: dict[str, Any] = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}
_SHORT = {".tbz": (".tar", ".bz2"), ".tbz2": (".tar", ".bz2"), ".tgz": (".tar", ".gz")}


def _kind(path: str | os.PathLike[str]) -> tuple[str, str | None, str | None]:
    """What of a name says its kind, the kind of archive, and how it is packed.

    Raises:
        RuntimeError: it says nothing, or of another kind.
    """
    suffixes = pathlib.Path(path).suffixes
    if not suffixes:
        raise RuntimeError(
            f"File '{path}' has no suffixes that could be used to detect the archive type and compression."
        )
    last, before = suffixes[-1], suffixes[-2] if len(suffixes) > 1 else ""
    if last in _SHORT:
        return last, *_SHORT[last]
    if last in _ARCHIVES:
        return last, last, None
    if last in _OPENERS:
        return (before + last, before, last) if before in _ARCHIVES else (last, None, last)
    known = sorted({*_SHORT, *_ARCHIVES, *_OPENERS})
    raise RuntimeError(f"Unknown compression or archive type: '{last}'.\nKnown suffixes are: '{known}'.")


def decompress(
    from_path: str | os.PathLike[str], to_path: str | os.PathLike[str] | None = None, remove_finished: bool = False
) -> pathlib.Path:
    """Unpacks one packed file (`.bz2`, `.gz`, `.xz`); gives the new file, by default the name without its ending.

    Raises:
        RuntimeError: the name ends as that of no packed file.
    """
    suffix, archive, packing = _kind(from_path)
    if packing is None:
        raise RuntimeError(f"Couldn't detect a compression from suffix {suffix}.")
    target = pathlib.Path(to_path or os.fspath(from_path).removesuffix(suffix) + (archive or ""))
    with _OPENERS[packing](from_path, "rb") as packed, writing(target) as file:
        shutil.copyfileobj(packed, file)
    if remove_finished:
        os.remove(from_path)
    return target


def _unpack(path: str | os.PathLike[str], folder: str | os.PathLike[str], archive: str) -> None:
    if archive == ".zip":
        with zipfile.ZipFile(path) as packed:
            packed.extractall(folder)
    else:
        with tarfile.open(path) as packed:
            packed.extractall(folder, filter="data")


def extract_archive(
    from_path: str | os.PathLike[str], to_path: str | os.PathLike[str] | None = None, remove_finished: bool = False
) -> str | os.PathLike[str]:
    """Unpacks a zip or tar archive (`.tar`, `.tar.gz`, `.tgz`, `.tar.bz2`, `.tar.xz`, ...), or one packed file.

    Args:
        from_path: the archive.
        to_path: the folder (default: the archive's own).
        remove_finished: delete the archive afterwards.

    Returns:
        The folder, or the unpacked file.

    Raises:
        RuntimeError: the name ends as that of no archive.
        tarfile.FilterError: a tar archive names a place outside the folder.
    """
    folder = os.path.dirname(from_path) if to_path is None else to_path
    suffix, archive, _ = _kind(from_path)
    if archive is None:
        name = os.path.basename(from_path).removesuffix(suffix)
        made = decompress(from_path, os.path.join(folder, name), remove_finished=remove_finished)
        return os.fspath(made) if isinstance(from_path, str) else made
    _unpack(from_path, folder, archive)
    if remove_finished:
        os.remove(from_path)
    return os.fspath(folder) if isinstance(from_path, str) else pathlib.Path(folder)
