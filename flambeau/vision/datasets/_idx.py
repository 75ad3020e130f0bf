"""The idx file format of MNIST and its like: two zero bytes, a type, the number of axes, their sizes, the data.

All numbers are big-endian. http://yann.lecun.com/exdb/mnist/ describes it.
"""

from __future__ import annotations

import gzip
import math
import zlib

import numpy

import flambeau as torch
from flambeau.vision.datasets.utils import open_maybe_gzip

__all__ = ["read_idx", "read_image_file", "read_label_file"]

_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def _content(path: str) -> bytes:
    try:
        with open_maybe_gzip(path) as file:
            return file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RuntimeError(f"{path} is damaged: {error}") from error


def read_idx(path: str) -> numpy.ndarray:
    """The array in an idx file, or in one packed by gzip (`.gz`).

    Raises:
        RuntimeError: it is no idx file, or shorter or longer than its header says.
    """
    data = _content(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or data[3] == 0:
        raise RuntimeError(f"{path} is no idx file: it begins with {data[:4].hex(' ') or 'nothing'}")
    kind, axes = numpy.dtype(_TYPES[data[2]]), data[3]
    start = 4 + 4 * axes
    shape = [int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4)]
    expected = start + math.prod(shape) * kind.itemsize
    if len(data) != expected:
        raise RuntimeError(f"{path} is damaged: {len(data)} bytes, where its header {shape} asks for {expected}")
    array = numpy.frombuffer(data, kind, offset=start).reshape(shape)
    return array.astype(kind.newbyteorder("="))


def _bytes_of(path: str, axes: int) -> torch.Tensor:
    array = read_idx(path)
    if array.dtype != numpy.uint8:
        raise TypeError(f"x should be of dtype torch.uint8 instead of torch.{array.dtype}")
    if array.ndim != axes:
        raise ValueError(f"x should have {axes} dimension instead of {array.ndim}")
    return torch.from_numpy(array)


def read_label_file(path: str) -> torch.Tensor:
    """The labels (N,) of an idx file, as int64."""
    return _bytes_of(path, 1).long()


def read_image_file(path: str) -> torch.Tensor:
    """The images (N, H, W) of an idx file, as uint8."""
    return _bytes_of(path, 3)
