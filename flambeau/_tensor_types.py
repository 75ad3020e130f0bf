"""PyTorch's old tensor types: ``torch.FloatTensor``, ``torch.LongTensor`` and the like make tensors of one dtype."""

from __future__ import annotations

from typing import Any

from . import dtypes
from .device import refuse_device, strided
from .graph.tensor_base import TensorBase
from .graph.types import Size
from .ops._warned import warn_of, warn_once
from .ops.creation import empty
from .ops.from_data import legacy_tensor
from .storage import FloatStorage, TypedStorage, UntypedStorage

_OPTIONS = (
    "TensorOptions(dtype={}, device=cpu, layout=Strided, requires_grad=false (default), "
    "pinned_memory=false (default), memory_format=(nullopt))"
)


def of_data(data: Any, dt: dtypes.dtype) -> Any:
    """What a tensor type makes of its one argument that is no tensor: a storage's memory, a size or data."""
    if isinstance(data, (TypedStorage, UntypedStorage)):
        return empty(0, dtype=dt).set_(data)
    return legacy_tensor(data, dt)


class tensortype(type):
    """The class of the tensor types. Tensors are instances of them by dtype: the types are no subclasses of Tensor."""

    dtype: dtypes.dtype
    layout = strided
    is_cuda = is_sparse = is_xpu = False

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, TensorBase) and x._ty.dtype is cls.dtype and not x.is_sparse  # type: ignore[attr-defined]

    def __call__(cls, *args: Any, device: Any = None, **named: Any) -> Any:
        """Uninitialised memory for sizes; a tensor of the data for a sequence, an array or a storage.

        Raises:
            TypeError: the argument is neither, or a tensor of another dtype.
            RuntimeError: another device than the CPU.
        """
        refuse_device(device)
        data = (*args, *named.values())
        if not data:
            return empty(0, dtype=cls.dtype)
        if len(data) == 1 and not isinstance(data[0], Size):
            return cls._of(data[0])
        return empty(*data, dtype=cls.dtype)

    def _of(cls, data: Any) -> Any:
        if isinstance(data, TensorBase):
            return cls._same(data)
        return of_data(data, cls.dtype)

    def _same(cls, x: Any) -> Any:
        if x.dtype is not cls.dtype:
            want, got = (_OPTIONS.format(_C_WORDS.get(d, d.name)) for d in (cls.dtype, x.dtype))
            raise TypeError(f"expected {want} (got {got})")
        return x.detach()

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__name__}'>"


class _SparseType(tensortype):
    """``torch.sparse.FloatTensor``: makes sparse tensors of the dtype of the values that it is given."""

    is_sparse = True
    make: Any

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, TensorBase) and x._ty.dtype is cls.dtype and x.is_sparse  # type: ignore[attr-defined]

    def __call__(cls, *args: Any, **named: Any) -> Any:
        """A sparse tensor of indices, values and a size; or an empty one of a size."""
        if args and isinstance(args[0], TensorBase):
            warn_once("sparse type", "indices, values, shape" if len(args) > 2 else "indices, values")
            return cls.make(*args, **named)
        warn_once("sparse type", "shape")
        size = args[0] if len(args) == 1 and isinstance(args[0], Size) else args
        return cls.make(size=size, dtype=cls.dtype, **named)


Storage = FloatStorage  # torch.Storage
tensortype.__module__ = "torch"
_C_WORDS = {dtypes.float32: "float", dtypes.float64: "double", dtypes.int64: "long int", dtypes.int32: "int",
            dtypes.bool_: "bool", dtypes.uint8: "unsigned char", dtypes.int8: "signed char", dtypes.int16: "short int",
            dtypes.float16: "c10::Half", dtypes.bfloat16: "c10::BFloat16"}  # fmt: skip
_KINDS = ("BFloat16", "Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")
_DTYPES = {dtypes.SCALAR_NAMES[dt]: dt for dt in dtypes.SCALAR_NAMES}


def _made(meta: type[tensortype], kind: str, module: str, **more: Any) -> Any:
    doc = f"The type of {_DTYPES[kind].name} tensors."
    return meta(f"{kind}Tensor", (), {"__module__": module, "dtype": _DTYPES[kind], "__doc__": doc, **more})


TYPES = {f"{kind}Tensor": _made(tensortype, kind, "torch") for kind in _KINDS}
globals().update(TYPES)


def sparse_types(make: Any) -> dict[str, Any]:
    """``torch.sparse.FloatTensor`` and the like, made by ``make(indices, values, size)``."""
    made = staticmethod(make)
    return {f"{kind}Tensor": _made(_SparseType, kind, "torch.sparse", make=made) for kind in _KINDS if kind != "Bool"}


def dtype_of(kind: Any) -> dtypes.dtype:
    """The dtype that a tensor type, or its name (``'torch.FloatTensor'``), stands for.

    Raises:
        TypeError: it is no tensor type of the CPU.
    """
    name = kind.removeprefix("torch.") if isinstance(kind, str) else getattr(kind, "__name__", "")
    if name in TYPES and (isinstance(kind, str) or kind is TYPES[name]):
        return TYPES[name].dtype
    raise TypeError(f"invalid type object: {kind!r} is no tensor type")


def set_default_tensor_type(t: Any) -> None:
    """Makes the dtype of a floating tensor type, or of its name, the default.

    Raises:
        TypeError: it is no floating type of the CPU.
    """
    warn_of("default type")
    dt = dtype_of(t)
    if not dt.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    dtypes.set_default_dtype(dt)
