"""Opening what a user names: paths and file objects; writing files atomically."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import stat
from collections.abc import Iterator
from typing import IO, Any, TypeGuard


def is_path(f: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Is this a path, not a file object?"""
    return isinstance(f, (str, os.PathLike))


@contextlib.contextmanager
def reading(f: Any) -> Iterator[Any]:
    """The file object to read from.

    Raises:
        AttributeError: ``f`` is neither a path nor a file object that can seek.
    """
    if is_path(f):
        with open(f, "rb") as file:
            yield file
        return
    check_seekable(f)
    yield f


def check_seekable(f: Any) -> None:
    """Raises PyTorch's error if a file object cannot seek."""
    if not hasattr(f, "read") and not hasattr(f, "seek"):
        raise AttributeError(
            f"'{type(f).__name__}' object has no attribute 'seek'. You can only torch.load from a file that is "
            "seekable. Please pre-load the data into a buffer like io.BytesIO and try to load from it instead."
        )
    try:
        f.seek(f.tell())
    except (io.UnsupportedOperation, AttributeError) as error:
        raise type(error)(
            f"{error}. You can only torch.load from a file that is seekable. Please pre-load the data into a buffer "
            "like io.BytesIO and try to load from it instead."
        ) from error


@contextlib.contextmanager
def writing(f: Any) -> Iterator[IO[bytes]]:
    """The file object to write to; a path's file appears whole when the block has ended, or is left as it was."""
    if not is_path(f):
        yield f
        if hasattr(f, "flush"):
            f.flush()
        return
    path = os.path.realpath(os.fspath(f))
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        with open(path, "wb") as file:  # a device or a pipe: nothing to replace
            yield file
        return
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {os.path.dirname(os.fspath(f))} does not exist.")
    with _replacing(path, os.path.join(folder, f".{name[:128]}.{secrets.token_hex(8)}.tmp")) as file:
        yield file


@contextlib.contextmanager
def _replacing(path: str, temporary: str) -> Iterator[IO[bytes]]:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(os.path.dirname(path))


def _sync_folder(folder: str) -> None:
    """Makes the new name last through a power failure, where folders can be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Source:
    """Reads pickles from a file, never asking for more bytes than there are.

    Raises (when reading):
        EOFError: the file ends before.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        here = file.tell()
        self._left = file.seek(0, 2) - here
        self.size = self._left
        file.seek(here)

    def read(self, n: int) -> bytes:
        """Exactly ``n`` bytes."""
        if n > self._left:
            raise EOFError("Ran out of input")
        self._left -= n
        data = self._file.read(n)
        if len(data) != n:
            raise EOFError("Ran out of input")
        return data

    def readline(self) -> bytes:
        """A line with its end."""
        line = self._file.readline()
        self._left -= len(line)
        if not line.endswith(b"\n"):
            raise EOFError("Ran out of input")
        return line

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return self._left
