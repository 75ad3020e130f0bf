"""A private folder of small binary entries: written atomically, verified when read, bounded in size.

Whoever can write into the folder can make this process run their code, so the folder and every entry must belong to
the user and be writable by nobody else. Each entry starts with a digest of its key and its content: a torn, damaged
or renamed entry is a miss. Several processes may share the folder; a file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
import warnings

from . import machine

__all__ = ["Disk", "default", "key_of"]

FORMAT = "1"
MAGIC = b"flmbcc01"
DIGEST = 32
SIZE_LIMIT = 256 << 20
KEPT_AFTER_EVICTION = 0.75
STORES_BETWEEN_EVICTIONS = 200
SECONDS_BETWEEN_EVICTIONS = 3600.0  # by all processes; looking at 65,000 entries takes 0.3 seconds
MOST_AT_ONCE = 5000  # entries that one eviction removes, so that nobody waits long for it
BLOCK = 4096  # what a file takes at least
SWEPT = ".swept"  # ends the name of a file beside the folder that is as old as the last eviction
REFRESH_AFTER = 24 * 3600.0
ABANDONED_AFTER = 3600.0


def key_of(*parts: str) -> str:
    """The name of what these texts determine."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).digest()


def _is_private(status: os.stat_result, beyond: int) -> bool:
    """Does this user own it, and may nobody else do what the mode bits `beyond` stand for?"""
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & beyond


class Disk:
    """The entries under `folder`. With None, or where the folder cannot be private, nothing is kept.

    Args:
        folder: made (mode 0700) when it is absent.
        limit: bytes; the entries that were used the longest ago go first.

    Attributes:
        began_empty: was there nothing in it when this was made?
    """

    def __init__(self, folder: str | os.PathLike[str] | None, limit: int = SIZE_LIMIT) -> None:
        self.folder = None if folder is None else _prepare(os.fspath(folder))
        self.limit = limit
        self.began_empty = self.folder is None or _is_empty(self.folder)
        self._stores = 0

    def get(self, key: str) -> bytes | None:
        """The content stored under the key; None when there is none that can be trusted."""
        if self.folder is None:
            return None
        path = os.path.join(self.folder, key)
        try:
            with open(path, "rb", opener=_open_without_links) as file:
                status = os.fstat(file.fileno())
                data = file.read()
        except OSError:
            return None
        content = data[len(MAGIC) + DIGEST :]
        whole = data.startswith(MAGIC) and data[len(MAGIC) : len(MAGIC) + DIGEST] == _digest(key, content)
        if not (whole and stat.S_ISREG(status.st_mode) and _is_private(status, 0o022)):
            return None
        if time.time() - status.st_mtime > REFRESH_AFTER:
            _ignoring_errors(os.utime, path)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Stores the content; a folder that is full or gone is no error."""
        if self.folder is None:
            return
        if self._stores % STORES_BETWEEN_EVICTIONS == 0 and (self._stores or self._is_due()):
            self.evict()
        self._stores += 1
        temporary = os.path.join(self.folder, f".{key}.{os.getpid()}.{time.monotonic_ns():x}")
        try:
            with open(temporary, "xb", opener=create_private) as file:
                file.write(MAGIC + _digest(key, content) + content)
            os.replace(temporary, os.path.join(self.folder, key))
        except OSError:
            _ignoring_errors(os.unlink, temporary)

    def drop(self, key: str) -> None:
        """Removes what is stored under the key, if anything is."""
        if self.folder is not None:
            _ignoring_errors(os.unlink, os.path.join(self.folder, key))

    def evict(self) -> None:
        """Removes what writers left behind and, above the limit, the entries used the longest ago."""
        if self.folder is None:
            return
        _ignoring_errors(_touch, self.folder + SWEPT)
        entries = _entries(self.folder)
        total = sum(size for _, size, _ in entries)
        if total <= self.limit:
            return
        for _, size, path in sorted(entries)[:MOST_AT_ONCE]:
            if total <= self.limit * KEPT_AFTER_EVICTION:
                break
            _ignoring_errors(os.unlink, path)
            total -= size

    def _is_due(self) -> bool:
        """Has no process evicted lately?"""
        try:
            return time.time() - os.stat(f"{self.folder}{SWEPT}").st_mtime > SECONDS_BETWEEN_EVICTIONS
        except OSError:
            return True


def _is_empty(folder: str) -> bool:
    with os.scandir(folder) as found:
        return next(found, None) is None


def _touch(path: str) -> None:
    with open(path, "ab", opener=create_private):
        os.utime(path)


def _entries(folder: str) -> list[tuple[float, int, str]]:
    """(time of last use, size, path) of the entries. Unfinished files of dead writers are removed on the way."""
    found = []
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                status = entry.stat(follow_symlinks=False)
                if not entry.name.startswith("."):
                    found.append((status.st_mtime, status.st_size + -status.st_size % BLOCK, entry.path))
                elif time.time() - status.st_mtime > ABANDONED_AFTER:
                    _ignoring_errors(os.unlink, entry.path)
    except OSError:  # another process evicts at the same time
        pass
    return found


def _ignoring_errors(action, path) -> None:
    try:
        action(path)
    except OSError:
        pass


def _open_without_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def create_private(path: str, flags: int) -> int:
    """Opens a file, as ``open`` asks its opener to, that only this user may read and write; no link is followed."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


def _prepare(folder: str) -> str | None:
    """The folder, made if need be; None (with a warning where somebody else has power over it) if it is unusable."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        status = os.lstat(folder)
    except OSError:
        return None
    if stat.S_ISDIR(status.st_mode) and _is_private(status, 0o077):
        return folder
    warnings.warn(
        f"machine code is not cached: {folder} is not a folder that only you can read and write; "
        "remove it, or set FLAMBEAU_CACHE to another folder or to 'off'",
        RuntimeWarning,
    )
    return None


def default() -> Disk:
    """The folder of this user: $FLAMBEAU_CACHE ('off' for none), else in the user's cache folder."""
    if os.environ.get("FLAMBEAU_CACHE") == "off":
        return Disk(None)
    folder = machine.cache_folder()
    homeless = folder.startswith("~")
    return Disk(None if homeless else os.path.join(folder, f"code-{FORMAT}"), _limit())


def _limit() -> int:
    """$FLAMBEAU_CACHE_SIZE in MB, else 256.

    Raises:
        ValueError: it is no such number.
    """
    chosen = os.environ.get("FLAMBEAU_CACHE_SIZE")
    if not chosen:
        return SIZE_LIMIT
    if not chosen.replace(".", "", 1).isdigit():
        raise ValueError(f"FLAMBEAU_CACHE_SIZE={chosen}: expected a number of megabytes")
    return int(float(chosen) * 1e6)
