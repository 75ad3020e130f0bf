"""The zip archives of PyTorch's files: stored records, each beginning at a multiple of 64 bytes.

Writing makes what PyTorch's writer makes. Reading trusts nothing: every offset and size is checked against the file.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Any, NamedTuple

ALIGNMENT = 64
_LIMIT = 0xFFFFFFFF
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_UTF8, _DESCRIPTOR = 0x0800, 0x0008
_LONGEST_COMMENT = 0xFFFF


class Entry(NamedTuple):
    """A record that was written, or that the central directory lists."""

    name: str
    offset: int  # of the local header
    size: int
    crc: int = 0


class ArchiveWriter:
    """Writes an archive from its beginning to its end, never seeking.

    Args:
        write: Takes bytes-like objects.
        name: The folder inside the archive that holds all records.
        checksums: Whether to compute CRC-32 of the records; without, other tools may call the archive damaged.
    """

    def __init__(self, write: Any, name: str, checksums: bool = True) -> None:
        self._write = write
        self._name = name
        self._checksums = checksums
        self._offset = 0
        self._entries: list[Entry] = []

    def _put(self, data: Any) -> None:
        self._write(data)
        self._offset += len(data)

    def record(self, name: str, data: bytes | memoryview) -> None:
        """Adds a record."""
        size = len(data)
        entry = Entry(f"{self._name}/{name}", self._offset, size, zlib.crc32(data) if self._checksums else 0)
        encoded = entry.name.encode()
        extra = struct.pack("<2H2Q", 1, 16, size, size) if max(size, self._offset) >= _LIMIT else b""
        padding = -(self._offset + _LOCAL.size + len(encoded) + len(extra) + 4) % ALIGNMENT
        extra += struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        flags = _UTF8 | (_DESCRIPTOR if size else 0)
        self._put(_LOCAL.pack(b"PK\3\4", 0, flags, 0, 0, 0, 0, 0, 0, len(encoded), len(extra)) + encoded + extra)
        self._put(data)
        if size:
            large = max(size, entry.offset) >= _LIMIT
            self._put(struct.pack("<4sI2Q" if large else "<4s3I", b"PK\7\10", entry.crc, size, size))
        self._entries.append(entry)

    def finish(self) -> None:
        """Adds PyTorch's last records and the directory."""
        self.record("version", b"3\n")
        self.record(".data/serialization_id", self._identity().encode())
        start = self._offset
        for entry in self._entries:
            self._put(_central(entry))
        size, count, end = self._offset - start, len(self._entries), self._offset
        self._put(_END64.pack(b"PK\6\6", 44, 0x031E, 45, 0, 0, count, count, size, start))
        self._put(_LOCATOR.pack(b"PK\6\7", 0, end, 1))
        short = min(count, 0xFFFF)
        self._put(_END.pack(b"PK\5\6", 0, 0, short, short, min(size, _LIMIT), min(start, _LIMIT), 0))

    def _identity(self) -> str:
        """Forty digits that depend on the names and the contents of the records."""
        names = "".join(entry.name.partition("/")[2] for entry in self._entries)
        values = b"".join(struct.pack("<I", entry.crc) for entry in self._entries)
        return "".join(
            f"{int.from_bytes(hashlib.sha256(part).digest()[:8], 'little'):020d}" for part in (names.encode(), values)
        )


def _central(entry: Entry) -> bytes:
    encoded = entry.name.encode()
    wide = [n for n in (entry.size, entry.size, entry.offset) if n >= _LIMIT]
    extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    size, offset = min(entry.size, _LIMIT), min(entry.offset, _LIMIT)
    flags = _UTF8 | (_DESCRIPTOR if entry.size else 0)
    head = (b"PK\1\2", 0, 0, flags, 0, 0, 0, entry.crc, size, size, len(encoded), len(extra), 0, 0, 0, 0, offset)
    return _CENTRAL.pack(*head) + encoded + extra


def _damaged(why: str) -> RuntimeError:
    return RuntimeError(f"PytorchStreamReader failed reading zip archive: {why}")


class ArchiveReader:
    """Reads the records of an archive.

    Args:
        file: A seekable file; the archive goes from ``start`` to its end.

    Raises:
        RuntimeError: it is no archive, or a damaged one.
    """

    def __init__(self, file: Any, start: int = 0) -> None:
        self._file = file
        self._start = start
        self.size = file.seek(0, 2) - start
        self._entries: dict[str, Entry] = {}
        self._read_directory()
        self.name = next(iter(self._entries), "").partition("/")[0]
        if f"{self.name}/" != next(iter(self._entries), "")[: len(self.name) + 1]:
            raise _damaged("file in archive is not in a subdirectory")

    def _at(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``, all of which must be in the file."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise _damaged(f"{size} bytes at {offset} lie outside of the file of {self.size} bytes")
        self._file.seek(self._start + offset)
        data = self._file.read(size)
        if len(data) != size:
            raise _damaged("the file ends too early")
        return data

    def _directory_place(self) -> tuple[int, int, int]:
        """Number of entries, size and offset of the central directory."""
        tail_size = min(self.size, _END.size + _LONGEST_COMMENT)
        tail = self._at(self.size - tail_size, tail_size)
        found = tail.rfind(b"PK\5\6")
        if found < 0 or found + _END.size > len(tail):
            raise _damaged("failed finding central directory")
        _, _, _, _, count, size, offset, _ = _END.unpack_from(tail, found)
        locator = found - _LOCATOR.size
        if locator >= 0 and tail[locator : locator + 4] == b"PK\6\7":
            _, _, where, _ = _LOCATOR.unpack_from(tail, locator)
            record = _END64.unpack(self._at(where, _END64.size))
            if record[0] != b"PK\6\6":
                raise _damaged("invalid header or archive is corrupted")
            count, size, offset = record[7], record[8], record[9]
        return count, size, offset

    def _read_directory(self) -> None:
        count, size, offset = self._directory_place()
        directory = self._at(offset, size)
        position, total = 0, size
        for _ in range(count):
            if position + _CENTRAL.size > len(directory):
                raise _damaged("invalid header or archive is corrupted")
            entry, position = self._entry(directory, position)
            self._entries[entry.name] = entry
            total += entry.size
            if total > self.size:
                raise _damaged("records lie over one another")

    def _entry(self, directory: bytes, position: int) -> tuple[Entry, int]:
        fields = _CENTRAL.unpack_from(directory, position)
        names, extras, comments = fields[10:13]
        begin = position + _CENTRAL.size
        after = begin + names + extras + comments
        if fields[0] != b"PK\1\2" or after > len(directory):
            raise _damaged("invalid header or archive is corrupted")
        name = directory[begin : begin + names].decode("utf-8", "replace")
        packed, size, offset = _wide(
            directory[begin + names : begin + names + extras], fields[8], fields[9], fields[16]
        )
        if fields[4] or packed != size:
            raise _damaged(f"{name} is compressed; PyTorch's files hold stored records only")
        if fields[3] & 1:
            raise _damaged(f"{name} is encrypted")
        return Entry(name, offset, size, fields[7]), after

    def __contains__(self, name: str) -> bool:
        return f"{self.name}/{name}" in self._entries

    def names(self) -> list[str]:
        """The records, named without the archive's folder."""
        return [name.partition("/")[2] for name in self._entries]

    def place(self, name: str) -> tuple[int, int]:
        """Where a record's data begins in the archive, and its size.

        Raises:
            RuntimeError: there is no such record, or it reaches beyond the file.
        """
        entry = self._entries.get(f"{self.name}/{name}")
        if entry is None:
            raise RuntimeError(f"PytorchStreamReader failed locating file {name}: file not found")
        header = _LOCAL.unpack(self._at(entry.offset, _LOCAL.size))
        if header[0] != b"PK\3\4":
            raise _damaged(f"the header of {name} is damaged")
        begin = entry.offset + _LOCAL.size + header[9] + header[10]
        if begin + entry.size > self.size:
            raise _damaged(f"{name} reaches beyond the end of the file")
        return begin, entry.size

    def read(self, name: str) -> bytes:
        """A record's data."""
        return self._at(*self.place(name))

    def read_into(self, name: str, target: memoryview) -> None:
        """Reads a record's data into memory of its size."""
        begin, size = self.place(name)
        assert size == len(target)
        self._file.seek(self._start + begin)
        read_fully(self._file, target)


def read_fully(file: Any, target: memoryview) -> None:
    """Fills ``target`` from a file.

    Raises:
        RuntimeError: the file ends before.
    """
    done, into = 0, getattr(file, "readinto", None)
    while done < len(target):
        if into is not None:
            got = into(target[done:])
        else:
            part = file.read(min(len(target) - done, 1 << 24))
            target[done : done + len(part)] = part
            got = len(part)
        if not got:
            raise RuntimeError(
                f"unexpected EOF, expected {len(target) - done} more bytes. The file might be corrupted."
            )
        done += got


def _wide(extra: bytes, packed: int, size: int, offset: int) -> tuple[int, int, int]:
    """Sizes and offset of an entry, from its zip64 field where the 32 bits are all ones."""
    values = [size, packed, offset]
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == 1:
            field = extra[position + 4 : position + 4 + length]
            for i, value in enumerate(values):
                if value == _LIMIT and len(field) >= 8:
                    values[i], field = struct.unpack_from("<Q", field)[0], field[8:]
        position += 4 + length
    return values[1], values[0], values[2]
