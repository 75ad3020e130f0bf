"""Checksums, downloads, archives and lists of files. A file that is fetched appears when it is whole and right."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import os
import re
from collections.abc import Iterable, Sequence
from typing import IO, Any
from urllib.parse import urlparse

from flambeau._downloads import advise, fetch
from flambeau.vision.datasets._archives import extract_archive

__all__ = [
    "calculate_md5", "check_integrity", "check_md5", "download_and_extract_archive", "download_file_from_google_drive",
    "download_url", "extract_archive", "iterable_to_str", "list_dir", "list_files", "verify_str_arg",
]  # fmt: skip

_CHUNK = 1 << 20


def calculate_md5(fpath: str | os.PathLike[str], chunk_size: int = _CHUNK) -> str:
    """The MD5 checksum of a file, in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(fpath, "rb") as file:
        while block := file.read(chunk_size):
            digest.update(block)
    return digest.hexdigest()


def check_md5(fpath: str | os.PathLike[str], md5: str, **kwargs: Any) -> bool:
    """Whether a file has this MD5 checksum; more arguments go to `calculate_md5`."""
    return calculate_md5(fpath, **kwargs) == md5


def check_integrity(fpath: str | os.PathLike[str], md5: str | None = None) -> bool:
    """Whether a file exists and, where a checksum is given, has it."""
    return os.path.isfile(fpath) and (md5 is None or check_md5(fpath, md5))


def _fetch(url: str, path: str, md5: str | None) -> None:
    """Fetches a URL into a file.

    Raises:
        RuntimeError: what came has another checksum.
        OSError: nothing, or not all, came.
    """

    def check(found: str) -> None:
        if md5 is not None and found != md5:
            raise RuntimeError(
                f"File not found or corrupted. The MD5 checksum of {url} is {found}, not {md5}: "
                "damaged on the way, or changed."
            )

    os.makedirs(os.path.dirname(path), exist_ok=True)
    fetch(url, path, "md5", check)


def _by_hand(path: str) -> str:
    return f"Where there is no network, put {os.path.basename(path)} into {os.path.dirname(path)} by hand."


def download_from_mirrors(mirrors: Sequence[str], path: str, md5: str) -> None:
    """Fetches a file from the first of several places, each the beginning of an address, that gives it.

    Raises:
        RuntimeError: none did; the message names each with its reason.
    """
    name, failures = os.path.basename(path), []
    for mirror in mirrors:
        try:
            return _fetch(mirror + name, path, md5)
        except (RuntimeError, OSError) as error:
            failures.append(f"Tried {mirror}, got:\n{error}\n")
    raise RuntimeError(f"Error downloading {name}:\n{''.join(failures)}{_by_hand(path)}")


def _place(root: str | os.PathLike[str], name: str | os.PathLike[str]) -> str:
    return os.path.join(os.path.expanduser(root), name)


def download_url(
    url: str,
    root: str | os.PathLike[str],
    filename: str | os.PathLike[str] | None = None,
    md5: str | None = None,
    max_redirect_hops: int = 3,
) -> None:
    """Fetches a file into a folder, unless it is there already.

    Args:
        url: where it is.
        root: the folder.
        filename: what to call it (default: the end of the address).
        md5: its checksum (default: not checked).
        max_redirect_hops: has no effect; Python's own limit of ten holds.

    Raises:
        urllib.error.URLError: it cannot be fetched.
        RuntimeError: its checksum is wrong.
    """
    path = _place(root, filename or os.path.basename(url))
    if check_integrity(path, md5):
        return None
    file_id = _google_drive_id(url)
    if file_id is not None:
        return download_file_from_google_drive(file_id, root, filename, md5)
    try:
        _fetch(url, path, md5)
    except OSError as error:
        advise(error, _by_hand(path))
        raise


def _google_drive_id(url: str) -> str | None:
    """What Google Drive calls the file at an address; `None` for one that is elsewhere."""
    parts = urlparse(url)
    found = re.match(r"/file/d/([^/]*)", parts.path)
    return found.group(1) if found and re.match(r"(drive|docs)[.]google[.]com", parts.netloc) else None


def download_file_from_google_drive(
    file_id: str,
    root: str | os.PathLike[str],
    filename: str | os.PathLike[str] | None = None,
    md5: str | None = None,
) -> None:
    """Fetches a file from Google Drive into a folder, unless it is there already, with the package `gdown`.

    Raises:
        RuntimeError: `gdown` is not installed, or the file's checksum is wrong.
    """
    try:
        gdown = importlib.import_module("gdown")
    except ModuleNotFoundError as error:
        raise RuntimeError(
            "To download files from GDrive, 'gdown' is required. You can install it with 'pip install gdown'."
        ) from error
    path = _place(root, filename or file_id)
    if check_integrity(path, md5):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = path + ".partial"
    gdown.download(id=file_id, output=partial, quiet=False)
    if not check_integrity(partial, md5):
        raise RuntimeError("File not found or corrupted.")
    os.replace(partial, path)


def download_and_extract_archive(
    url: str,
    download_root: str | os.PathLike[str],
    extract_root: str | os.PathLike[str] | None = None,
    filename: str | os.PathLike[str] | None = None,
    md5: str | None = None,
    remove_finished: bool = False,
) -> None:
    """Fetches an archive into a folder, unless it is there already, and unpacks it there or into another one.

    Raises:
        urllib.error.URLError: it cannot be fetched.
        RuntimeError: its checksum is wrong.
    """
    folder, name = os.path.expanduser(download_root), filename or os.path.basename(url)
    download_url(url, folder, name, md5)
    extract_archive(os.path.join(folder, name), folder if extract_root is None else extract_root, remove_finished)


def open_maybe_gzip(path: str) -> IO[bytes]:
    """A file opened for reading, unpacked on the way where its name ends in `.gz`."""
    return gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")  # type: ignore[return-value]


def _listed(root: str | os.PathLike[str], wanted: Any, prefix: bool) -> list[str]:
    folder = os.path.expanduser(root)
    return [os.path.join(folder, e.name) if prefix is True else e.name for e in os.scandir(folder) if wanted(e)]


def list_dir(root: str | os.PathLike[str], prefix: bool = False) -> list[str]:
    """The names of the folders in a folder, or their paths (`prefix=True`), in the file system's order."""
    return _listed(root, lambda entry: entry.is_dir(), prefix)


def list_files(root: str | os.PathLike[str], suffix: str | tuple[str, ...], prefix: bool = False) -> list[str]:
    """The names of a folder's files that end in `suffix`, or their paths (`prefix=True`)."""
    return _listed(root, lambda entry: entry.is_file() and entry.name.endswith(suffix), prefix)


def load_mat(path: str | os.PathLike[str], **options: Any) -> dict[str, Any]:
    """The content of a MATLAB file.

    Raises:
        ImportError: SciPy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError(f"{path} is a MATLAB file, which SciPy reads: pip install 'flambeau[scipy]'") from error
    return loadmat(path, **options)


def iterable_to_str(iterable: Iterable[Any]) -> str:
    """Values in quotes, with commas between them."""
    return "'" + "', '".join(map(str, iterable)) + "'"


def verify_str_arg(
    value: Any, arg: str | None = None, valid_values: Iterable[str] | None = None, custom_msg: str | None = None
) -> str:
    """Checks that an argument is a string, and one of some.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, str):
        place = "" if arg is None else f" for argument {arg}"
        raise ValueError(f"Expected type str{place}, but got type {type(value)}.")
    if valid_values is not None and value not in valid_values:
        valid = iterable_to_str(valid_values)
        raise ValueError(custom_msg or f"Unknown value '{value}' for argument {arg}. Valid values are {{{valid}}}.")
    return value
