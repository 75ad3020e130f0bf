"""Conversions by name (``float()``, ``long()``, …), ``type()``, and questions about dtypes as functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import SCALAR_NAMES, dtype
from ._elementwise import OPERANDS, plain_number, tensor_argument
from ._registry import METHODS, function, is_tensor
from ._signatures import explained_method
from ._types import result_dtype
from .arithmetic import type_of
from .copying import converted
from .from_data import from_numpy

_CONVERSIONS = {
    "float": dtypes.float32, "double": dtypes.float64, "half": dtypes.float16, "bfloat16": dtypes.bfloat16,
    "int": dtypes.int32, "long": dtypes.int64, "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8,
    "bool": dtypes.bool_, "chalf": dtypes.complex32, "cfloat": dtypes.complex64, "cdouble": dtypes.complex128,
}  # fmt: skip


def _conversion(name: str, dt: dtype) -> Any:
    def f(self: Any, *args: Any, memory_format: Any = None) -> Any:
        if args:
            verb = "was" if len(args) == 1 else "were"
            raise TypeError(f"{name}() takes 0 positional arguments but {len(args)} {verb} given")
        return converted(self, dt, memory_format=memory_format)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"``self.to({dt!r})``."
    return f


for _name, _dt in _CONVERSIONS.items():
    METHODS[_name] = explained_method(_conversion(_name, _dt), _name)

_BY_TYPE_NAME = {f"torch.{name}Tensor": dt for dt, name in SCALAR_NAMES.items()}


def _type(self: Any, dtype: Any = None, non_blocking: bool = False, *, memory_format: Any = None) -> Any:
    """The name of the tensor's type (``'torch.FloatTensor'``), or the tensor converted to a dtype or a type's name.

    Raises:
        ValueError: there is no type of this name.
    """
    if dtype is None:
        where = "meta." if self._ty.meta else ""
        return f"torch.{where}{SCALAR_NAMES[self._ty.dtype]}Tensor"
    return converted(self, _named(dtype), memory_format=memory_format)


METHODS["type"] = _type


def _named(name: Any) -> dtype:
    if isinstance(name, dtype):
        return name
    if isinstance(name, type):
        name = name.__name__ if name.__module__ == "builtins" else f"torch.{name.__name__}"
    if not isinstance(name, str):
        raise TypeError("dtype must be a type, str, or dtype object")
    if name == "torch.Tensor":
        return dtypes.get_default_dtype()
    if name not in _BY_TYPE_NAME:
        raise ValueError(f"invalid type: '{name}'")
    return _BY_TYPE_NAME[name]


@function()
def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The dtype of arithmetic on two operands, tensors or numbers."""
    xs = [plain_number(x) for x in (tensor1, tensor2)]
    if not all(isinstance(x, OPERANDS) for x in xs):
        got = ", ".join("Tensor" if is_tensor(x) else type(x).__name__ for x in xs)
        forms = ("Tensor tensor, Tensor other", "Number scalar, Tensor tensor", "Tensor tensor, Number other")
        lines = "".join(f" * ({f})\n" for f in (*forms, "Number scalar1, Number scalar2"))
        raise TypeError(
            f"result_type() received an invalid combination of arguments - got ({got}), but expected one of:\n{lines}"
        )
    return result_dtype([type_of(x) for x in xs])


@function()
def is_floating_point(input: Any) -> bool:
    """Is the dtype floating?"""
    return tensor_argument("is_floating_point", input)._ty.dtype.is_floating_point


@function()
def is_complex(input: Any) -> bool:
    """Is the dtype complex?"""
    return tensor_argument("is_complex", input)._ty.dtype.is_complex


@function()
def is_conj(input: Any) -> bool:
    """Is it a view that conjugates?"""
    return tensor_argument("is_conj", input).is_conj()


@function()
def is_neg(input: Any) -> bool:
    """Is it a view that negates?"""
    return tensor_argument("is_neg", input).is_neg()


@function()
def is_signed(input: Any) -> bool:
    """Can elements be negative?"""
    return tensor_argument("is_signed", input)._ty.dtype.is_signed


@function()
def is_nonzero(input: Any) -> bool:
    """Is the one element of the tensor not zero?"""
    return bool(tensor_argument("is_nonzero", input))


@function()
def numel(input: Any) -> int:
    """The number of elements."""
    return tensor_argument("numel", input)._ty.numel


METHODS["__nonzero__"] = lambda self: bool(self)
METHODS["__long__"] = lambda self: int(self)


def _array_wrap(self: Any, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
    """Results of NumPy's functions on tensors are tensors; bool becomes uint8, as in PyTorch."""
    a = np.asarray(array)
    return from_numpy(a.astype(np.uint8) if a.dtype == np.bool_ else a)


METHODS["__array_wrap__"] = _array_wrap
