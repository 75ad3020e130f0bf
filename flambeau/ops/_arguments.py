"""How PyTorch reads arguments: NumPy's names for them, dimensions, and its complaints about what is not a tensor."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from ..compiler.twins import twin
from ..dtypes import C_NAMES
from ..graph.tensor_base import TensorBase
from ._signatures import NUMPY_NAMES, renamed, type_name


def tensor_first(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` with NumPy's keyword names accepted, whose first argument must be a tensor.

    Raises:
        TypeError: the first argument is something else.
    """

    @functools.wraps(f)
    def checked(*args: Any, **kw: Any) -> Any:
        if kw and not NUMPY_NAMES.keys().isdisjoint(kw):
            kw = renamed(kw)
        if not args or not isinstance(args[0], TensorBase):
            check_first(f.__name__, args, kw)
        try:
            return f(*args, **kw)
        except TypeError as error:
            raise _in_torch_words(error) from None

    return checked


def _in_torch_words(error: TypeError) -> TypeError:
    """Python's complaint about missing arguments as PyTorch puts it."""
    found = re.match(r"(\w+\(\)) missing (\d+) required positional arguments?: ('.*)", str(error))
    if not found:
        return error
    names = ", ".join(f'"{name}"' for name in re.findall(r"'(\w+)'", found[3]))
    return TypeError(f"{found[1]} missing {found[2]} required positional arguments: {names}")


def check_first(name: str, args: tuple[Any, ...], kw: dict[str, Any]) -> None:
    """Raises PyTorch's error if the first argument is not a tensor, or is missing."""
    if not args and "input" not in kw:
        raise TypeError(f'{name}() missing 1 required positional arguments: "input"')
    x = args[0] if args else kw["input"]
    if not isinstance(x, TensorBase):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(x)}")


def is_tensor(x: Any) -> bool:
    """Is this a tensor?"""
    return isinstance(x, TensorBase)


def is_number(x: Any) -> bool:
    """Is this a number, Python's or NumPy's?"""
    return isinstance(x, (bool, int, float, complex, np.number))


def is_sequence(x: Any) -> bool:
    """Is this what Python calls a sequence (``PySequence_Check``)? Tensors and NumPy's numbers are none."""
    return hasattr(type(x), "__getitem__") and not isinstance(x, (dict, np.generic, TensorBase))


@twin
def wrap_dim(dim: int, ndim: int) -> int:
    """A dimension counted from the front.

    Raises:
        IndexError: it is out of range.
        TypeError: it is no integer.
    """
    if type(dim) is int:
        found = dim + ndim if dim < 0 else dim
        if found >= 0 and found < ndim:
            return found
    return _counted(dim, ndim)


def _counted(dim: Any, ndim: int) -> int:
    """``wrap_dim`` of what is no ``int``, or out of range, or of a number."""
    if type(dim) is not int:
        dim = _integer(dim)
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim % n


def _integer(dim: Any) -> int:
    """A dimension that may be a NumPy integer, or a tensor of one."""
    try:
        return index(dim)
    except TypeError:
        raise TypeError(f"argument 'dim' must be int, not {type_name(dim)}") from None


def int_tuple(value: Any) -> tuple[int, ...]:
    """One integer or several, also NumPy's and tensors without dimensions, as a tuple.

    Raises:
        TypeError: one is no integer.
    """
    if isinstance(value, int):
        return (value,)
    if hasattr(value, "__index__"):
        return (index(value),)
    return tuple([index(v) for v in value])


def wrap_dims(dims: Any, ndim: int) -> tuple[int, ...]:
    """Several dimensions counted from the front; None means all.

    Raises:
        RuntimeError: one appears twice.
    """
    if dims is None:
        return tuple(range(ndim))
    if isinstance(dims, int) or hasattr(dims, "__index__"):
        dims = (dims,)
    if len(dims) == 0:
        return tuple(range(ndim))
    out = tuple(wrap_dim(d, ndim) for d in dims)
    for i, d in enumerate(out):
        if d in out[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return tuple(d for d in out if ndim)


def c_name(dt: Any) -> str:
    """The dtype's name in PyTorch's C++ error messages."""
    return C_NAMES[dt] if dt in C_NAMES else dt.name
