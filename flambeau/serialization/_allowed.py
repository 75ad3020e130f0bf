"""What a file may name with ``weights_only=True``, and what may be called with which arguments."""

from __future__ import annotations

from _codecs import encode
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache
from pickle import UnpicklingError
from typing import Any

import flambeau as torch

from .. import _tensor, _utils, dtypes
from ..device import device, layout
from ..graph.types import Size
from ..nn.parameter import Parameter
from ..storage import LEGACY_NAMES, TypedStorage, UntypedStorage
from ..tensor import Tensor
from ._names import full_path

BLOCKED_MODULES = frozenset({"sys", "os", "posix", "nt"})
_user: set[Any] = set()  # classes and functions, or pairs of one and its name in files


def add_safe_globals(safe_globals: list[Callable[..., Any] | tuple[Callable[..., Any], str]]) -> None:
    """Lets files that are loaded with ``weights_only=True`` name these classes and functions.

    Args:
        safe_globals: Classes and functions, or pairs of one and its full name in files.
    """
    _user.update(safe_globals)


def get_safe_globals() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """What ``add_safe_globals`` has added."""
    return list(_user)


def clear_safe_globals() -> None:
    """Forgets all that ``add_safe_globals`` has added."""
    _user.clear()


class safe_globals:
    """``add_safe_globals`` for the time of a ``with`` block.

    Args:
        safe_globals: As for ``add_safe_globals``.
    """

    def __init__(self, safe_globals: list[Callable[..., Any] | tuple[Callable[..., Any], str]]) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        add_safe_globals(self.safe_globals)

    def __exit__(self, *exc: object) -> None:
        _user.difference_update(self.safe_globals)


def user_globals() -> dict[str, Any]:
    """The user's additions by their names in files.

    Raises:
        TypeError, ValueError: an addition is not of the form that ``add_safe_globals`` takes.
    """
    named = {}
    for added in _user:
        if not isinstance(added, tuple):
            named[full_path(added)] = added
            continue
        if len(added) != 2:
            raise ValueError(
                f"Expected tuple of length 2 (global, str of callable full path), but got tuple of length: {len(added)}"
            )
        if type(added[1]) is not str:
            raise TypeError(f"Expected second item in tuple to be str of callable full path, but got: {type(added[1])}")
        named[added[1]] = added[0]
    return named


def _get_layout(name: str) -> layout:
    """The layout of this name, such as ``torch.strided``."""
    found = getattr(torch, name.partition(".")[2], None)
    if not isinstance(found, layout):
        raise NotImplementedError(f"flambeau has no layout {name}; its tensors are strided")
    return found


_REBUILD = [
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
    "_rebuild_qtensor",
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_tensor_v3",
    "_rebuild_sparse_tensor",
    "_rebuild_meta_tensor_no_storage",
    "_rebuild_nested_tensor",
    "_rebuild_wrapper_subclass",
    "_rebuild_device_tensor_from_numpy",
    "_rebuild_device_tensor_from_cpu_tensor",
]


@lru_cache(1)
def default_globals() -> dict[str, Any]:
    """What every file may name."""
    allowed: dict[str, Any] = {
        "collections.OrderedDict": OrderedDict,
        "collections.Counter": Counter,
        "torch.nn.parameter.Parameter": Parameter,
        "torch.serialization._get_layout": _get_layout,
        "torch.Size": Size,
        "torch.Tensor": Tensor,
        "torch.device": device,
        "_codecs.encode": encode,
        "builtins.bytearray": bytearray,
        "builtins.set": set,
        "builtins.complex": complex,
        "torch._tensor._rebuild_from_type_v2": _tensor._rebuild_from_type_v2,
        "torch.storage.UntypedStorage": UntypedStorage,
        "torch.storage.TypedStorage": TypedStorage,
    }
    allowed |= {f"torch._utils.{name}": getattr(_utils, name) for name in _REBUILD}
    allowed |= {repr(d): d for d in vars(dtypes).values() if isinstance(d, dtypes.dtype)}
    allowed |= {f"torch.{name}": made for name, made in LEGACY_NAMES.items()}
    return allowed


class Budget:
    """How many more bytes and items calls may make: about as many as the file has bytes.

    Files repeat what they have named at the price of a few bytes; without a limit a small one could fill the memory.
    """

    def __init__(self, size: int) -> None:
        self.left = 2 * size + 4096

    def spend(self, n: int) -> None:
        """Takes ``n`` from what is left.

        Raises:
            UnpicklingError: there is less.
        """
        self.left -= n
        if self.left < 0:
            raise UnpicklingError("the file would make objects much larger than itself; it is damaged or made to harm")


def check_key(key: Any) -> None:
    """Does this key cost little to hash? Tuples that hold one another can take forever.

    Raises:
        UnpicklingError: it has more than 1000 parts.
    """
    stack, seen = [key], 0
    while stack:
        item = stack.pop()
        seen += 1
        if seen > 1000:
            raise UnpicklingError("a key of a dict or an element of a set has more than 1000 parts")
        if isinstance(item, (tuple, frozenset)):
            stack.extend(item)


def _check(holds: bool, function: Any, args: tuple[Any, ...]) -> None:
    if not holds:
        kinds = ", ".join(type(a).__name__ for a in args)
        raise UnpicklingError(f"{getattr(function, '__name__', function)} is not called with ({kinds}) in such files")


def _pairs(args: tuple[Any, ...], budget: Budget) -> bool:
    if not args:
        return True
    if len(args) != 1 or type(args[0]) not in (list, tuple, dict, OrderedDict, Counter):
        return False
    budget.spend(len(args[0]))
    items: Iterable[Any] = args[0].items() if isinstance(args[0], dict) else args[0]
    for item in items:
        if type(item) not in (tuple, list) or len(item) != 2:
            return False
        check_key(item[0])
    return True


def _elements(args: tuple[Any, ...], budget: Budget) -> bool:
    if not args:
        return True
    if len(args) != 1 or type(args[0]) not in (list, tuple, set):
        return False
    budget.spend(len(args[0]))
    for element in args[0]:
        check_key(element)
    return True


def _encoded(args: tuple[Any, ...], budget: Budget) -> bool:
    """``encode(str, "latin1")`` and ``bytearray(bytes)`` or ``bytearray(str, "latin-1")``."""
    if not args:
        return True
    fits = type(args[0]) in (str, bytes) and args[1:] in ((), ("latin1",), ("latin-1",))
    budget.spend(len(args[0]) if fits else 0)
    return fits


def _integers(args: tuple[Any, ...], budget: Budget) -> bool:
    if not args or type(args[0]) not in (tuple, list):
        return not args
    budget.spend(len(args[0]))
    return len(args) == 1 and all(type(n) is int for n in args[0])


def _numbers(args: tuple[Any, ...], budget: Budget) -> bool:
    return len(args) <= 2 and all(type(a) in (int, float) for a in args)


def _place(args: tuple[Any, ...], budget: Budget) -> bool:
    return len(args) in (1, 2) and type(args[0]) is str and all(type(a) in (int, type(None)) for a in args[1:])


def _names(args: tuple[Any, ...], budget: Budget) -> bool:
    return len(args) == 1 and type(args[0]) is str


def _shapes(args: tuple[Any, ...], budget: Budget) -> bool:
    return True  # the function itself looks at every argument


def _parameter(args: tuple[Any, ...], budget: Budget) -> bool:
    return bool(args) and isinstance(args[0], Tensor) and all(type(a) is bool for a in args[1:2])


def _parameter_and_state(args: tuple[Any, ...], budget: Budget) -> bool:
    return len(args) == 4 and _parameter(args, budget) and is_state(args[3])


def _moved(args: tuple[Any, ...], budget: Budget) -> bool:
    if len(args) != 4 or not isinstance(args[0], Tensor) or not isinstance(args[1], dtypes.dtype):
        return False
    budget.spend(args[0].numel() * args[1].itemsize)
    return True


def is_state(state: Any) -> bool:
    """Are these attributes as pickles hold them: a dict with names, or a pair of such (or None)?"""
    parts = state if type(state) is tuple and len(state) == 2 else (state,)
    return all(part is None or (isinstance(part, dict) and all(type(k) is str for k in part)) for part in parts)


_RULES: dict[Any, Callable[[tuple[Any, ...], Budget], bool]] = {
    OrderedDict: _pairs,
    Counter: _pairs,
    set: _elements,
    encode: _encoded,
    bytearray: _encoded,
    Size: _integers,
    complex: _numbers,
    device: _place,
    Parameter: _parameter,
    _get_layout: _names,
    _utils._rebuild_parameter: _parameter,
    _utils._rebuild_parameter_with_state: _parameter_and_state,
    _utils._rebuild_device_tensor_from_cpu_tensor: _moved,
    **{
        getattr(_utils, name): _shapes
        for name in _REBUILD
        if name not in ("_rebuild_parameter", "_rebuild_parameter_with_state", "_rebuild_device_tensor_from_cpu_tensor")
    },
}


def call(function: Any, args: Any, trusted: dict[str, Any], budget: Budget) -> Any:
    """Calls what a file asks to be called, if it is allowed with these arguments.

    Raises:
        UnpicklingError: it is not.
    """
    if type(args) is not tuple:
        raise UnpicklingError(f"Can only call with a tuple of arguments, but got {type(args)}")
    if function is _tensor._rebuild_from_type_v2:
        return _rebuild_subclass(args, trusted, budget)
    rule = _rule(function)
    if rule is not None:
        _check(rule(args, budget), function, args)
        return function(*args)
    if any(function is allowed for allowed in trusted.values()):
        return function(*args)
    raise UnpicklingError(f"Trying to call reduce for unrecognized function {describe(function)}")


def _rule(function: Any) -> Any:
    try:
        return _RULES.get(function) if callable(function) else None
    except TypeError:
        return None


def describe(obj: Any) -> str:
    """An object in an error message: never its contents, which the file chooses."""
    return getattr(obj, "__qualname__", "") if isinstance(obj, type) or callable(obj) else f"of {type(obj)}"


def _rebuild_subclass(args: tuple[Any, ...], trusted: dict[str, Any], budget: Budget) -> Any:
    fits = len(args) == 4 and isinstance(args[1], type) and issubclass(args[1], Tensor) and is_state(args[3])
    _check(fits, _tensor._rebuild_from_type_v2, args)
    inner, new_type, inner_args, state = args
    return _tensor._rebuild_from_type_v2(lambda *a: call(inner, a, trusted, budget), new_type, inner_args, state)
