"""PNG images of 16 bits a channel, which Pillow cuts to 8 where there are colours."""

from __future__ import annotations

import os
import zlib

import numpy

__all__ = ["decode_png16", "is_png16", "read_png16"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by the type of colour


def read_png16(path: str | os.PathLike[str]) -> numpy.ndarray:
    """The image in a PNG file of 16 bits a channel: uint16 (height, width, channels).

    Raises:
        ValueError: it is no such file.
    """
    with open(path, "rb") as file:
        content = file.read()
    if not is_png16(content):
        raise ValueError(f"{path} is no PNG file of 16 bits a channel")
    return decode_png16(content)


def is_png16(content: bytes) -> bool:
    """Are these the bytes of a PNG file of 16 bits a channel?"""
    return content[:8] == _SIGNATURE and content[24:25] == b"\x10"


def decode_png16(content: bytes) -> numpy.ndarray:
    """The image in the bytes of such a file: uint16 (height, width, channels).

    Raises:
        ValueError: its rows come in an order other than from top to bottom.
    """
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    if content[28]:
        raise ValueError("a PNG file of 16 bits a channel that is interlaced")
    step = 2 * _CHANNELS[content[25]]
    packed = numpy.frombuffer(zlib.decompress(_data(content)), numpy.uint8).reshape(height, 1 + width * step)
    return _unfiltered(packed, step).view(">u2").astype(numpy.uint16)


def _data(content: bytes) -> bytes:
    """The packed rows: those of all chunks "IDAT"."""
    found, at = [], 8
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == b"IDAT":
            found.append(content[at + 8 : at + 8 + size])
        at += size + 12
    return b"".join(found)


def _unfiltered(packed: numpy.ndarray, step: int) -> numpy.ndarray:
    """Rows of bytes, each after the number of its filter, as the bytes that were filtered (height, width, step).

    A pixel is the sum of what is stored and of a guess from the pixels to its left, above it, and left above. Pixels
    of one diagonal wait for none of their own, so that all of a diagonal are summed at once.
    """
    filters, stored = packed[:, 0], packed[:, 1:].reshape(len(packed), -1, step)
    height, width, _ = stored.shape
    known = numpy.zeros((height + 1, width + 1, step), numpy.int16)  # one row and column of zeros before the first
    for diagonal in range(height + width - 1):
        rows = numpy.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        columns = diagonal - rows
        left, above, corner = known[rows + 1, columns], known[rows, columns + 1], known[rows, columns]
        guess = _guess(filters[rows, None], left, above, corner)
        known[rows + 1, columns + 1] = (stored[rows, columns] + guess) & 255
    return known[1:, 1:].astype(numpy.uint8)


def _guess(filters: numpy.ndarray, left: numpy.ndarray, above: numpy.ndarray, corner: numpy.ndarray) -> numpy.ndarray:
    """The guess of each of the filters: none, left, above, their mean, and the nearest to left + above - corner."""
    to_left, to_above = abs(above - corner), abs(left - corner)
    to_corner = abs(left + above - 2 * corner)
    nearest = numpy.where(to_above <= to_corner, above, corner)
    nearest = numpy.where((to_left <= to_above) & (to_left <= to_corner), left, nearest)
    return numpy.choose(filters, [numpy.zeros_like(left), left, above, (left + above) // 2, nearest])
