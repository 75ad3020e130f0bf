"""Generated loops as NumPy ufuncs, which walk through arrays of any shape and strides.

NumPy's C API for ufuncs is a table of addresses that its extension module gives to whoever asks for it.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..code_cache import default

NONE = -1  # no identity
PLAIN, GENERALIZED = 1, 31  # where the functions lie in NumPy's table
_kept: list[Any] = []  # what ufuncs point at
loop_of: dict[Any, int] = {}  # the addresses of ufuncs' loops


@functools.cache
def _table() -> Any:
    """NumPy's table of functions on ufuncs."""
    module: Any = getattr(np, "_core", None) or getattr(np, "core")  # noqa: B009
    address = ctypes.pythonapi.PyCapsule_GetPointer
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return (ctypes.c_void_p * (GENERALIZED + 1)).from_address(address(module._multiarray_umath._UFUNC_API, None))


@functools.cache
def _maker() -> Any:
    """``PyUFunc_FromFuncAndDataAndSignature``."""
    p, i, s = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    return ctypes.PYFUNCTYPE(ctypes.py_object, p, p, p, i, i, i, i, s, s, i, s)(_table()[GENERALIZED])


def ufunc(name: str, what: str, text: Callable[[], str], dtypes: str, signature: str | None = None) -> Any:
    """The ufunc whose loop is the function ``loop`` of an LLVM text.

    Args:
        name: what NumPy calls it.
        what: says which text it is, for this source and any processor.
        text: writes it, ``void loop(ptr args, ptr dims, ptr steps, ptr data)``, where no code is kept for it.
        dtypes: NumPy's letters for operands and results, as ``"ff->f"``.
        signature: of a generalized ufunc.
    """
    from ..stored import source

    operands, results = dtypes.split("->")
    functions = default().named(f"{source()} {what}", text)
    loops = (ctypes.c_void_p * 1)(functions["loop"])
    data = (ctypes.c_void_p * 1)(None)
    types = bytes([np.dtype(c).num for c in operands + results])
    words = name.encode(), signature.encode() if signature else None
    _kept.append((loops, data, types, words))
    counts = 1, len(operands), len(results), NONE
    found = _maker()(loops, data, types, *counts, words[0], b"", 0, words[1])
    loop_of[found] = functions["loop"]
    return found


def made(text: Callable[..., str], name: str, dtypes: str, *args: Any, signature: str | None = None) -> Any:
    """The ufunc of what ``text(*args, target)`` writes for this processor; ``args`` are known by their ``repr``."""
    what = f"{text.__module__}.{text.__qualname__}{args!r}"
    return ufunc(name, what, lambda: text(*args, default().target), dtypes, signature)
