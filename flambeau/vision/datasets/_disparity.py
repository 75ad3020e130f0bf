"""The file formats of fields of displacements: what moves where (optical flow), and how far (disparity)."""

from __future__ import annotations

import os
import re

import numpy

from flambeau.vision._png16 import read_png16

__all__ = ["read_flo", "read_flow_png", "read_pfm"]


def read_pfm(path: str | os.PathLike[str], channels: int) -> numpy.ndarray:
    """The first channels of a `.pfm` file: float32 (channels, height, width).

    Raises:
        ValueError: it is no such file.
    """
    with open(path, "rb") as file:
        kind = file.readline().rstrip()
        if kind not in (b"PF", b"Pf"):
            raise ValueError("Invalid PFM file")
        size = re.match(rb"^(\d+)\s(\d+)\s$", file.readline())
        if not size:
            raise ValueError("Malformed PFM header.")
        scale = float(file.readline())  # negative: the smaller end comes first
        values = numpy.frombuffer(file.read(), "<f4" if scale < 0 else ">f4")
    width, height = (int(number) for number in size.groups())
    image = values.reshape(height, width, 3 if kind == b"PF" else 1).transpose(2, 0, 1)
    return image[:channels, ::-1].astype(numpy.float32)  # the last row comes first


def read_flo(path: str | os.PathLike[str]) -> numpy.ndarray:
    """The flow in a `.flo` file: float32 (2, height, width).

    Raises:
        ValueError: it is no such file.
    """
    with open(path, "rb") as file:
        content = file.read()
    if content[:4] != b"PIEH":
        raise ValueError("Magic number incorrect. Invalid .flo file")
    width, height = numpy.frombuffer(content, "<i4", 2, 4).tolist()
    values = numpy.frombuffer(content, "<f4", 2 * width * height, 12)
    return values.astype(numpy.float32).reshape(height, width, 2).transpose(2, 0, 1)


def read_flow_png(path: str | os.PathLike[str]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The flow in a PNG file of 16 bits, float32 (2, height, width), and where it is known, bool (height, width)."""
    image = read_png16(path).transpose(2, 0, 1)
    return ((image[:2].astype(numpy.float32) - 2**15) / 64), image[2] != 0
