"""Checksums and downloads. A file appears under its name only when it is whole and its checksum is right."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

__all__ = [
    "calculate_md5",
    "check_integrity",
    "check_md5",
    "download_and_extract_archive",
    "download_url",
    "extract_archive",
    "verify_str_arg",
]

_CHUNK = 1 << 18
_TIMEOUT = 30.0
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_AGENT = {"User-Agent": "flambeau"}


def calculate_md5(fpath: str | os.PathLike[str], chunk_size: int = _CHUNK) -> str:
    """The MD5 checksum of a file, in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(fpath, "rb") as file:
        while block := file.read(chunk_size):
            digest.update(block)
    return digest.hexdigest()


def check_md5(fpath: str | os.PathLike[str], md5: str) -> bool:
    """Whether a file has this MD5 checksum."""
    return calculate_md5(fpath) == md5


def check_integrity(fpath: str | os.PathLike[str], md5: str | None = None) -> bool:
    """Whether a file exists and, where a checksum is given, has it."""
    return os.path.isfile(fpath) and (md5 is None or check_md5(fpath, md5))


def write_whole(path: str, write: Callable[[IO[bytes]], None]) -> None:
    """Write a file under a temporary name in the same folder and rename it, so that it is never seen half written."""
    descriptor, temporary = tempfile.mkstemp(
        prefix=os.path.basename(path), suffix=".partial", dir=os.path.dirname(path)
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def _progress(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        part = f"{100 * done // total:3d}%" if total else f"{done / 1e6:.1f} MB"
        print(f"\r{name} {part}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _fetch(url: str, path: str, md5: str | None) -> None:
    """Fetch a URL into a file.

    Raises:
        RuntimeError: what came has another checksum.
        OSError: nothing, or not all, came.
    """
    digest = hashlib.md5(usedforsecurity=False)

    def write(file: IO[bytes]) -> None:
        with urllib.request.urlopen(urllib.request.Request(url, headers=_AGENT), timeout=_TIMEOUT) as response:
            total, done = int(response.headers.get("Content-Length") or 0), 0
            while block := response.read(_CHUNK):
                digest.update(block)
                file.write(block)
                done += len(block)
                _progress(os.path.basename(path), done, total)
        if done < total:
            raise OSError(f"the connection ended after {done} of {total} bytes")
        if md5 is not None and digest.hexdigest() != md5:
            raise RuntimeError(f"its MD5 checksum is {digest.hexdigest()}, not {md5}: damaged on the way, or changed")

    write_whole(path, write)


def download(urls: Sequence[str], path: str, md5: str | None = None) -> None:
    """Fetch a file from the first of several addresses that gives it.

    Raises:
        RuntimeError: none did; the message names each with its reason.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    failures = []
    for url in urls:
        try:
            return _fetch(url, path, md5)
        except (RuntimeError, OSError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            failures.append(f"Tried {url}, got:\n{reason}\n")
    raise RuntimeError(
        f"Error downloading {os.path.basename(path)}:\n{''.join(failures)}"
        f"Where there is no network, put the file into {os.path.dirname(path)} by hand."
    )


def download_url(
    url: str,
    root: str | os.PathLike[str],
    filename: str | None = None,
    md5: str | None = None,
    max_redirect_hops: int = 3,
) -> None:
    """Fetch a file into a folder, unless it is there already.

    Raises:
        RuntimeError: it cannot be fetched, or its checksum is wrong.
    """
    path = os.path.join(os.path.expanduser(root), filename or os.path.basename(url))
    if not check_integrity(path, md5):
        download([url], path, md5)


def open_maybe_gzip(path: str) -> IO[bytes]:
    """A file opened for reading, unpacked on the way where its name ends in `.gz`."""
    return gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")  # type: ignore[return-value]


def unpack_gzip(path: str) -> None:
    """Write the content of `NAME.gz` to `NAME` beside it."""

    def write(file: IO[bytes]) -> None:
        with gzip.open(path, "rb") as packed:
            shutil.copyfileobj(packed, file)

    write_whole(path.removesuffix(".gz"), write)


def extract_archive(
    from_path: str | os.PathLike[str], to_path: str | os.PathLike[str] | None = None, remove_finished: bool = False
) -> str | os.PathLike[str]:
    """Unpack a tar archive (`.tar`, `.tar.gz`, `.tgz`, `.tar.bz2`, `.tar.xz`) or a zip file; gives the folder.

    Nothing is written outside the folder, whatever the archive names.

    Args:
        from_path: the archive.
        to_path: the folder (default: the archive's own).
        remove_finished: delete the archive afterwards.

    Raises:
        RuntimeError: the name ends as that of no archive.
        tarfile.FilterError: a tar archive names a place outside the folder.
    """
    source, folder = os.fspath(from_path), os.path.dirname(from_path) if to_path is None else to_path
    if source.endswith(".zip"):
        with zipfile.ZipFile(source) as packed:
            packed.extractall(folder)
    elif source.endswith(_TAR_SUFFIXES):
        with tarfile.open(source) as packed:
            packed.extractall(folder, filter="data")
    else:
        raise RuntimeError(f"{source} is no archive: its name ends in none of .zip, {', '.join(_TAR_SUFFIXES)}")
    if remove_finished:
        os.remove(source)
    return folder


def download_and_extract_archive(
    url: str,
    download_root: str | os.PathLike[str],
    extract_root: str | os.PathLike[str] | None = None,
    filename: str | None = None,
    md5: str | None = None,
    remove_finished: bool = False,
) -> None:
    """Fetch an archive into a folder, unless it is there already, and unpack it there or into another one.

    Raises:
        RuntimeError: it cannot be fetched, or its checksum is wrong.
    """
    folder, name = os.path.expanduser(download_root), filename or os.path.basename(url)
    download_url(url, folder, name, md5)
    extract_archive(os.path.join(folder, name), folder if extract_root is None else extract_root, remove_finished)


def load_mat(path: str, **options: Any) -> dict[str, Any]:
    """The content of a MATLAB file.

    Raises:
        ImportError: SciPy is not installed.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError(f"{path} is a MATLAB file, which SciPy reads: pip install 'flambeau[scipy]'") from error
    return loadmat(path, **options)


def verify_str_arg(
    value: Any, arg: str | None = None, valid_values: Iterable[str] | None = None, custom_msg: str | None = None
) -> str:
    """Check that an argument is a string, and one of some.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, str):
        place = "" if arg is None else f" for argument {arg}"
        raise ValueError(f"Expected type str{place}, but got type {type(value)}.")
    if valid_values is not None and value not in valid_values:
        valid = "'" + "', '".join(map(str, valid_values)) + "'"
        raise ValueError(custom_msg or f"Unknown value '{value}' for argument {arg}. Valid values are {{{valid}}}.")
    return value
