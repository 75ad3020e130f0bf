"""``torch.UntypedStorage`` and ``torch.TypedStorage``: a tensor's memory seen by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import dtype
from .graph.realisation import realised
from .graph.storage import Storage


class UntypedStorage:
    """Memory as bytes."""

    def __init__(self, s: Storage) -> None:
        self._s = s

    def data_ptr(self) -> int:
        """The address of the first byte; 0 if there is none."""
        buf = realised(self._s)
        return buf.ctypes.data if buf.size else 0

    def nbytes(self) -> int:
        """The size in bytes."""
        return self._s.ty.numel * self._s.ty.dtype.itemsize

    size = nbytes
    __len__ = nbytes

    def _bytes(self) -> np.ndarray:
        return realised(self._s).view(np.uint8)

    def tolist(self) -> list[int]:
        """All bytes."""
        return self._bytes().tolist()

    def __getitem__(self, i: Any) -> Any:
        return self._bytes()[i].tolist()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and other._s is self._s

    def __hash__(self) -> int:
        return id(self._s)


class TypedStorage(UntypedStorage):
    """Memory as elements of one dtype."""

    def __init__(self, s: Storage, dt: dtype) -> None:
        super().__init__(s)
        self.dtype = dt

    def size(self) -> int:
        """The number of elements."""
        return self.nbytes() // self.dtype.itemsize

    __len__ = size

    def _bytes(self) -> np.ndarray:
        return realised(self._s).view(self.dtype.np)

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return UntypedStorage(self._s)
