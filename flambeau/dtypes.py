"""Data types: the ``torch.dtype`` objects, promotion, ``finfo`` and ``iinfo``.

The promotion lattice is PyTorch's (https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_REGISTRY: dict[str, dtype] = {}


class dtype:
    """The type of a tensor's elements, such as ``torch.float32``.

    ``np`` is the NumPy dtype in which values are stored; bfloat16 is stored as ``uint16`` bit patterns
    and computed in float32 (``compute``), floats of 8 bits as bytes.
    """

    __slots__ = ("compute", "is_complex", "is_floating_point", "is_signed", "itemsize", "kind", "name", "np", "rank")

    def __init__(self, name: str, np_type: str, kind: str, rank: int, compute: str | None = None) -> None:
        self.name = name
        self.np = np.dtype(np_type)
        self.compute = np.dtype(compute or np_type)
        self.kind = kind  # b bool, u unsigned, i signed, f floating, c complex, q quantised
        self.rank = rank
        self.itemsize = self.np.itemsize
        self.is_floating_point = kind == "f"
        self.is_complex = kind == "c"
        self.is_signed = kind in "ifc"
        _REGISTRY[name] = self

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return get_dtype, (self.name,)

    def to_real(self) -> dtype:
        """The dtype of the real part."""
        return {complex32: float16, complex64: float32, complex128: float64}.get(self, self)

    def to_complex(self) -> dtype:
        """The complex dtype whose parts have this dtype, or can hold it.

        Raises:
            RuntimeError: there is none.
        """
        if self.is_complex:
            return self
        found = {float16: complex32, bfloat16: complex64, float32: complex64, float64: complex128}.get(self)
        if found is None:
            raise RuntimeError(f"Unknown Complex ScalarType for {SCALAR_NAMES[self]}")
        return found


def get_dtype(name: str) -> dtype:
    """The dtype of this name; the inverse of pickling."""
    return _REGISTRY[name]


bool_ = dtype("bool", "bool", "b", 0)
uint8 = dtype("uint8", "uint8", "u", 1)
int8 = dtype("int8", "int8", "i", 1)
int16 = dtype("int16", "int16", "i", 2)
int32 = dtype("int32", "int32", "i", 3)
int64 = dtype("int64", "int64", "i", 4)
uint16 = dtype("uint16", "uint16", "u", 2)
uint32 = dtype("uint32", "uint32", "u", 3)
uint64 = dtype("uint64", "uint64", "u", 4)
float16 = dtype("float16", "float16", "f", 5)
bfloat16 = dtype("bfloat16", "uint16", "f", 5, "float32")
float32 = dtype("float32", "float32", "f", 6)
float64 = dtype("float64", "float64", "f", 7)
complex32 = dtype("complex32", "complex64", "c", 5)
complex64 = dtype("complex64", "complex64", "c", 6)
complex128 = dtype("complex128", "complex128", "c", 7)
float8_e4m3fn = dtype("float8_e4m3fn", "uint8", "f", 4, "float32")
float8_e5m2 = dtype("float8_e5m2", "uint8", "f", 4, "float32")
qint8 = dtype("qint8", "int8", "q", 8)  # these have names only: no tensor has such elements (graph/types.py)
quint8 = dtype("quint8", "uint8", "q", 8)
qint32 = dtype("qint32", "int32", "q", 8)
quint4x2 = dtype("quint4x2", "uint8", "q", 8)
quint2x4 = dtype("quint2x4", "uint8", "q", 8)

ALIASES = {
    "bool": bool_, "half": float16, "float": float32, "double": float64, "short": int16, "int": int32, "long": int64,
    "chalf": complex32, "cfloat": complex64, "cdouble": complex128,
}  # fmt: skip

SCALAR_NAMES = {
    bool_: "Bool", uint8: "Byte", int8: "Char", int16: "Short", int32: "Int", int64: "Long", float16: "Half",
    bfloat16: "BFloat16", float32: "Float", float64: "Double", complex32: "ComplexHalf", complex64: "ComplexFloat",
    complex128: "ComplexDouble", uint16: "UInt16", uint32: "UInt32", uint64: "UInt64",
    float8_e4m3fn: "Float8_e4m3fn", float8_e5m2: "Float8_e5m2",
}  # fmt: skip

_LEGACY = frozenset([uint8, int8, int16, int32, int64, float16, float32, float64])


def type_text(dt: dtype) -> str:
    """What PyTorch's messages call a type of tensors: ``torch.FloatTensor``, ``CPUBFloat16Type``."""
    return f"torch.{SCALAR_NAMES[dt]}Tensor" if dt in _LEGACY else f"CPU{SCALAR_NAMES[dt]}Type"


C_NAMES = {
    bool_: "bool", uint8: "unsigned char", int8: "signed char", int16: "short int", int32: "int", int64: "long int",
    float16: "c10::Half", bfloat16: "c10::BFloat16", float32: "float", float64: "double",
    complex32: "c10::complex<c10::Half>", complex64: "c10::complex<float>", complex128: "c10::complex<double>",
}  # fmt: skip

_FROM_NUMPY = {
    d.np: d
    for d in (bool_, uint8, int8, int16, int32, int64, uint16, uint32, uint64, float16, float32, float64, complex64,
              complex128)
}  # fmt: skip

_default = [float32]


def from_numpy_dtype(d: np.dtype) -> dtype | None:
    """The dtype that stores NumPy's ``d``, or None."""
    return _FROM_NUMPY.get(d) or _FROM_NUMPY.get(d.newbyteorder("="))


def get_default_dtype() -> dtype:
    """The floating dtype of Python floats and of factories without ``dtype`` (float32 at the start)."""
    return _default[0]


def set_default_dtype(d: dtype) -> None:
    """Sets the default floating dtype.

    Raises:
        TypeError: ``d`` is not a floating dtype.
    """
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    if d is not _default[0]:
        _default[0] = d
        for hook in default_hooks:
            hook()


default_hooks: list[Callable[[], None]] = []  # called when the default dtype has changed


def default_complex_dtype() -> dtype:
    """The complex dtype that goes with the default floating dtype."""
    return _default[0].to_complex()


def _promote_integers(a: dtype, b: dtype) -> dtype:
    if a.kind == b.kind:
        return a if a.rank >= b.rank else b
    u, i = (a, b) if a.kind == "u" else (b, a)
    if u is uint8:
        return int16 if i is int8 else i
    raise RuntimeError(f"Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
                       f"{SCALAR_NAMES[a]} and {SCALAR_NAMES[b]}")  # fmt: skip


def _promote_floats(a: dtype, b: dtype) -> dtype:
    if a.rank == b.rank:
        return float32
    return a if a.rank > b.rank else b


_COMPLEX_OF_RANK = {5: complex32, 6: complex64, 7: complex128}
_PROMOTED: dict[tuple[dtype, dtype], dtype] = {}


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that holds both (``torch.promote_types``).

    Raises:
        RuntimeError: one has 8 bits and is a float, the other is another dtype.
    """
    if type1 is type2:
        return type1
    known = _PROMOTED.get((type1, type2))
    if known is None:
        known = _PROMOTED[type1, type2] = _promote(as_dtype(type1, "promote_types"), as_dtype(type2, "promote_types"))
    return known


def refuse_quantised(d: dtype) -> None:
    """Raises NotImplementedError if this is a dtype of quantised tensors."""
    if d.kind == "q":
        raise NotImplementedError(f"{d} is not supported: there are no quantised tensors; use float16 or bfloat16")


_FLOAT8 = {float8_e4m3fn, float8_e5m2}


def _promote(a: dtype, b: dtype) -> dtype:
    refuse_quantised(a)
    refuse_quantised(b)
    if _FLOAT8 & {a, b}:
        raise RuntimeError(
            f"Promotion for Float8 Types is not supported, attempted to promote {SCALAR_NAMES[a]} and {SCALAR_NAMES[b]}"
        )
    if a.kind == "b" or b.kind == "b":
        return b if a.kind == "b" else a
    if a.kind == "c" or b.kind == "c":
        if a.kind in "ui" or b.kind in "ui":
            return a if a.kind == "c" else b
        rank = max(6 if bfloat16 in (a, b) else 5, a.rank, b.rank)
        return _COMPLEX_OF_RANK[rank]
    if a.kind == "f" and b.kind == "f":
        return _promote_floats(a, b)
    if a.kind == "f" or b.kind == "f":
        return a if a.kind == "f" else b
    return _promote_integers(a, b)


_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def category(d: dtype) -> int:
    """bool 0, integers 1, floating 2, complex 3: the steps of the promotion lattice."""
    return _CATEGORY[d.kind]


def as_dtype(asked: Any, name: str = "to") -> Any:
    """A dtype that was asked for, which may be Python's ``float``, ``int``, ``bool`` or ``complex``; None as it is.

    Raises:
        TypeError: no dtype, for an argument of the function ``name``.
    """
    if asked is None or asked.__class__ is dtype:
        return asked
    if asked not in _OF_PYTHON:
        raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(asked).__name__}")
    return _OF_PYTHON[asked]


_OF_PYTHON: dict[Any, dtype] = {float: float64, int: int64, bool: bool_, complex: complex128}


def weak_dtype(value: Any) -> dtype:
    """The dtype as which a Python number takes part in promotion.

    Raises:
        OverflowError: an integer of more than 64 bits.
    """
    if type(value) is float:
        return _default[0]
    if type(value) is int and -(2**63) <= value < 2**63:
        return int64
    if isinstance(value, bool):
        return bool_
    if isinstance(value, np.bool_):
        return bool_
    if isinstance(value, (int, np.integer)):
        if not -(2**63) <= int(value) < 2**64:
            raise OverflowError("int too big to convert" if value > 0 else "can't convert negative int to unsigned")
        return int64
    return default_complex_dtype() if isinstance(value, (complex, np.complexfloating)) else get_default_dtype()


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether a result of ``from_`` may be stored in place as ``to`` (``torch.can_cast``)."""
    order = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    return order[as_dtype(from_, "can_cast").kind] <= order[as_dtype(to, "can_cast").kind]


# eps, max, tiny and resolution of floats that NumPy does not know
_OWN_LIMITS = {
    bfloat16: (2.0**-7, 3.3895313892515355e38, 2.0**-126, 0.01),
    float8_e4m3fn: (0.125, 448.0, 2.0**-6, 1.0),
    float8_e5m2: (0.25, 57344.0, 2.0**-14, 1.0),
}


class _Limits:
    """What ``finfo`` and ``iinfo`` share: two of one dtype are equal."""

    dtype: str

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.dtype == self.dtype

    __hash__ = None  # type: ignore[assignment]


def _limited(name: str, x: Any) -> dtype:
    """The dtype whose limits are asked for, which may be one of Python's."""
    if not isinstance(x, dtype) and x not in _OF_PYTHON:
        raise TypeError(f"{name}(): argument 'type' (position 1) must be torch.dtype, not {type(x).__name__}")
    return as_dtype(x)


class finfo(_Limits):
    """Machine limits of a floating dtype (``torch.finfo``): bits, eps, max, min, tiny, resolution.

    Raises:
        TypeError: ``type`` is no dtype, or not one of floating or complex numbers.
    """

    def __init__(self, type: Any = None) -> None:
        type = get_default_dtype() if type is None else _limited("finfo", type)
        real = float16 if type is complex32 else type.to_real()
        if not real.is_floating_point:
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{real}'")
        self.dtype = real.name
        self.bits = real.itemsize * 8
        if real in _OWN_LIMITS:
            self.eps, self.max, self.tiny, self.resolution = _OWN_LIMITS[real]
        else:
            info = np.finfo(real.np)
            self.eps, self.max, self.tiny = float(info.eps), float(info.max), float(info.tiny)
            self.resolution = float(str(info.resolution))  # 1e-06, not float32's nearest number
        self.min = -self.max
        self.smallest_normal = self.tiny

    def __repr__(self) -> str:
        return (f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
                f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})")  # fmt: skip


class iinfo(_Limits):
    """Machine limits of an integer dtype (``torch.iinfo``): bits, max, min.

    Raises:
        TypeError: ``type`` is no dtype, or not one of integers.
    """

    def __init__(self, type: Any) -> None:
        type = _limited("iinfo", type)
        if type is bool_:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if type.kind not in "ui":
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'")
        info = np.iinfo(type.np)
        self.dtype, self.bits, self.min, self.max = type.name, info.bits, int(info.min), int(info.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
