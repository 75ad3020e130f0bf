"""How PyTorch reads arguments: NumPy's names for them, and its complaints about what is not a tensor."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

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
