"""``torch.UntypedStorage`` and ``torch.TypedStorage``: a tensor's memory seen by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from . import dtypes
from .compiler.flight import land
from .compiler.numpy import seen_as, to_values
from .device import CPU, META, device
from .dtypes import dtype, from_numpy_dtype
from .graph.epoch import complete_all
from .graph.keeping import let_go
from .graph.realisation import realised, settled
from .graph.storage import Storage, flat_type


def new_storage(flat: np.ndarray, dt: dtype | None = None) -> Storage:
    """The storage on a flat array."""
    dt = dt or from_numpy_dtype(flat.dtype)
    assert dt is not None
    return Storage.of(flat_type(flat.size, dt), None, flat)


class UntypedStorage:
    """Memory as bytes.

    Args:
        source: The number of bytes (they are zero), or a sequence of bytes.
    """

    dtype: Any = dtypes.uint8
    is_cuda = is_sparse = is_hpu = False

    def __init__(self, source: Any = 0, *, device: Any = None) -> None:
        if isinstance(source, Storage):
            self._s = source
        elif isinstance(source, int):
            self._s = new_storage(np.zeros(source * self.dtype.itemsize, np.uint8).view(self.dtype.np), self.dtype)
        else:
            self._s = new_storage(np.array(source, self.dtype.np), self.dtype)
        self._pairs: Storage | None = None

    @property
    def device(self) -> device:
        """The CPU, or "meta" if there is no memory."""
        return META if self._s.ty.meta else CPU

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """A file's bytes, mapped into memory; writes reach the file only if ``shared``."""
        path = os.fspath(filename)
        if shared and (not os.path.exists(path) or os.path.getsize(path) < nbytes):
            with open(path, "ab") as f:
                f.truncate(nbytes)
        if nbytes > os.path.getsize(path):
            raise RuntimeError(f"the file {path} has {os.path.getsize(path)} bytes, fewer than {nbytes}")
        if not nbytes:
            return cls()
        return cls(new_storage(np.asarray(np.memmap(path, np.uint8, "r+" if shared else "c", shape=(nbytes,)))))

    @property
    def filename(self) -> str | None:
        """The file that the memory is mapped from, if writes reach it."""
        memory: Any = realised(self._s)
        while isinstance(memory, np.ndarray):
            if isinstance(memory, np.memmap) and memory.mode == "r+":
                return str(memory.filename)
            memory = memory.base
        return None

    def _memory(self, np_type: Any) -> np.ndarray:
        return seen_as(np.ascontiguousarray(realised(self._s)).reshape(-1), np_type)

    def _items(self) -> np.ndarray:
        return to_values(self._memory(self.dtype.np), self.dtype)

    def _stored(self, values: Any) -> Any:
        """A number, numbers or another storage's elements, as this memory holds them."""
        if isinstance(values, UntypedStorage):
            values = values._items()
        if self.dtype.np == self.dtype.compute:
            return values
        from .ops.from_data import tensor

        rounded = tensor(values, dtype=self.dtype).contiguous()
        return realised(rounded._s).reshape(rounded.shape)

    def _writable(self) -> np.ndarray:
        flat = settled(self._s)
        if not flat.flags.writeable or not flat.flags.c_contiguous:
            flat = self._s.buf = flat.copy()
        let_go(self._s)
        complete_all()
        self._s.version += 1
        return seen_as(flat.reshape(-1), self.dtype.np)

    @property
    def _cdata(self) -> int:
        return id(self._s)

    @property
    def _untyped_storage(self) -> UntypedStorage:
        return UntypedStorage(self._s)

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return self._untyped_storage

    def data_ptr(self) -> int:
        """The address of the first byte; 0 if there is none."""
        buf = realised(self._s)
        land()  # whoever has the address may write there
        return buf.ctypes.data if buf.size else 0

    def nbytes(self) -> int:
        """The size in bytes."""
        return self._s.ty.numel * self._s.ty.dtype.itemsize

    def size(self) -> int:
        """The number of elements."""
        return self.nbytes() // self.dtype.itemsize

    def __sizeof__(self) -> int:
        """The bytes of the object and of the memory, as ``sys.getsizeof`` asks for them."""
        return super().__sizeof__() + self.nbytes()

    def __len__(self) -> int:
        return self.size()

    def element_size(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    def tolist(self) -> list[Any]:
        """All elements."""
        return self._items().tolist()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return UntypedStorage(new_storage(self._memory(self.dtype.np)[i].view(np.uint8)))
        n = self.size()
        if isinstance(i, int) and not -n <= i < n:
            raise IndexError(f"index {i} out of range for storage of size {n}")
        return self._items()[i].item()

    def __setitem__(self, i: Any, value: Any) -> None:
        self._writable()[i] = self._stored(value)

    def fill_(self, value: Any) -> Any:
        """Sets all elements."""
        self._writable()[...] = self._stored(value)
        return self

    def copy_(self, source: UntypedStorage, non_blocking: bool | None = None) -> Any:
        """Takes over the elements of another storage of the same size."""
        self._writable()[...] = self._stored(source)
        return self

    def clone(self) -> Any:
        """A copy."""
        return type(self)(new_storage(realised(self._s).copy(), self._s.ty.dtype))

    def cpu(self) -> Any:
        """The storage itself: it is on the CPU."""
        return self

    def pin_memory(self, device: Any = "cuda") -> Any:
        """The storage itself: there is no device to pin for."""
        return self

    def is_pinned(self, device: Any = "cuda") -> bool:
        """False."""
        return False

    def resizable(self) -> bool:
        """Does ``resize_`` work? Not for memory that NumPy has seen."""
        return self._s.notes is None or not self._s.notes.outside

    def resize_(self, size: int) -> Any:
        """Another number of elements; new ones are zero.

        Raises:
            ValueError: a negative number.
            RuntimeError: NumPy has seen the memory.
        """
        if size < 0:
            raise ValueError(f"a storage cannot have {size} elements")
        if not self.resizable():
            raise RuntimeError("Trying to resize storage that is not resizable")
        old = self._writable()
        new = np.zeros(size, old.dtype)
        new[: old.size] = old[:size]
        base = self._s.ty.dtype
        self._s.buf = new.view(np.uint8)[: new.nbytes // base.itemsize * base.itemsize].view(base.np)
        self._s.ty = flat_type(self._s.buf.size, base)
        return self

    def _as(self, dt: dtype) -> TypedStorage:
        return TypedStorage(new_storage(self._items().astype(dt.np), dt), dtype=dt)

    def float(self) -> TypedStorage:
        """The elements as float32."""
        return self._as(dtypes.float32)

    def double(self) -> TypedStorage:
        """The elements as float64."""
        return self._as(dtypes.float64)

    def long(self) -> TypedStorage:
        """The elements as int64."""
        return self._as(dtypes.int64)

    def byte(self) -> TypedStorage:
        """The elements as uint8."""
        return self._as(dtypes.uint8)

    def get_device(self) -> int:
        """-1: the CPU."""
        return -1

    def is_shared(self) -> bool:
        """Is the memory shared with other processes?"""
        from . import _shared_memory

        return _shared_memory.memory_of(self._s) is not None

    def share_memory_(self) -> Any:
        """The storage itself, moved to memory that processes share."""
        from . import _shared_memory

        _shared_memory.share(self._s)
        return self

    def byteswap(self, dtype: Any) -> None:
        """Reverses the bytes of every element of ``dtype``."""
        step = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
        raw = self._writable().view(np.uint8).reshape(-1, step)
        raw[...] = raw[:, ::-1].copy()

    def half_pairs(self) -> Storage:
        """These bytes as pairs of float16, the form in which PyTorch saves complex32."""
        if self._pairs is None:
            self._pairs = new_storage(np.empty(self.nbytes() // 4, np.complex64), dtypes.complex32)
            self.read_pairs()
        return self._pairs

    def read_pairs(self) -> None:
        """Reads the pairs again, if there are any, from bytes that came after them."""
        if self._pairs is not None:
            pairs = realised(self._pairs)
            pairs.view(np.float32)[...] = self._memory(np.uint8)[: 4 * pairs.size].view(np.float16)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and other._s is self._s

    def __hash__(self) -> int:
        return id(self._s)

    def __repr__(self) -> str:
        items = "...\n" if self._s.ty.meta else "".join(f" {item}\n" for item in self.tolist())
        return f"{items}[{self._title()}]"

    def _title(self) -> str:
        return f"torch.storage.UntypedStorage(device={self.device}) of size {self.size()}"

    def __copy__(self) -> Any:
        return self.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from .tensor import copied_storage

        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__, _s=copied_storage(self._s, memo), _pairs=None)
        return memo.setdefault(id(self), copy)

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_array, (type(self), self._memory(np.uint8), self._s.ty.dtype, self.dtype)


class TypedStorage(UntypedStorage):
    """Memory as elements of one dtype."""

    LEGACY: ClassVar[dict[dtype, type[TypedStorage]]] = {}  # the class of each dtype that has one

    def __init__(self, *args: Any, wrap_storage: Any = None, dtype: Any = None, device: Any = None, **_: Any) -> None:
        if len(args) == 2 and isinstance(args[1], dtypes.dtype):
            args, dtype = args[:1], args[1]
        self.dtype = dtype or type(self).dtype
        if wrap_storage is not None:
            args = (wrap_storage._s,)
        super().__init__(*args)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        if not isinstance(i, int):
            raise RuntimeError(f"can't index a <class 'torch.storage.TypedStorage'> with {type(i)}")
        return super().__getitem__(i)

    def type(self) -> str:
        """The name of the storage's class, such as ``torch.FloatStorage``."""
        return f"torch.{self.pickle_storage_type()}"

    def _title(self) -> str:
        return f"torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) of size {self.size()}"

    def clone(self) -> Any:
        """A copy."""
        return TypedStorage(new_storage(realised(self._s).copy(), self._s.ty.dtype), self.dtype)

    def pickle_storage_type(self) -> str:
        """The name of the class of this dtype, such as ``FloatStorage``."""
        return self.LEGACY[self.dtype].__name__

    _pickle_storage_type = pickle_storage_type


def _from_array(kind: Any, raw: np.ndarray, base: dtype, dt: dtype) -> Any:
    """The inverse of pickling a storage."""
    flat = raw.view(base.np)
    s = new_storage(flat if flat.flags.writeable else flat.copy(), base)
    return kind(s) if kind is UntypedStorage else kind(s, dt)


def is_storage(obj: Any) -> bool:
    """Is this a storage?"""
    return isinstance(obj, UntypedStorage)


def _load_from_bytes(b: bytes) -> Any:
    """A storage in a plain pickle of PyTorch."""
    import io

    from .serialization import load

    return load(io.BytesIO(b), weights_only=False)


def _legacy_class(name: str, dt: dtype) -> type[TypedStorage]:
    made = type(name, (TypedStorage,), {"dtype": dt, "__doc__": f"Memory as elements of {dt}."})
    TypedStorage.LEGACY[dt] = made
    return made


DoubleStorage = _legacy_class("DoubleStorage", dtypes.float64)
FloatStorage = _legacy_class("FloatStorage", dtypes.float32)
HalfStorage = _legacy_class("HalfStorage", dtypes.float16)
BFloat16Storage = _legacy_class("BFloat16Storage", dtypes.bfloat16)
LongStorage = _legacy_class("LongStorage", dtypes.int64)
IntStorage = _legacy_class("IntStorage", dtypes.int32)
ShortStorage = _legacy_class("ShortStorage", dtypes.int16)
CharStorage = _legacy_class("CharStorage", dtypes.int8)
ByteStorage = _legacy_class("ByteStorage", dtypes.uint8)
BoolStorage = _legacy_class("BoolStorage", dtypes.bool_)
ComplexDoubleStorage = _legacy_class("ComplexDoubleStorage", dtypes.complex128)
ComplexFloatStorage = _legacy_class("ComplexFloatStorage", dtypes.complex64)
LEGACY_NAMES = {made.__name__: made for made in TypedStorage.LEGACY.values()}

__all__ = ["LEGACY_NAMES", "TypedStorage", "UntypedStorage", "device", "is_storage", "new_storage"]
