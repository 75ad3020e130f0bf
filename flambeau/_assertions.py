"""``torch._check`` and its kind: conditions that a program states, each with an error of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from .dtypes import bool_
from .graph.tensor_base import TensorBase

__all__ = [
    "_assert",
    "_assert_async",
    "_check",
    "_check_index",
    "_check_is_size",
    "_check_not_implemented",
    "_check_tensor_all",
    "_check_tensor_all_with",
    "_check_type",
    "_check_value",
    "_check_with",
]

Message = Callable[[], object] | None
NO_MESSAGE = (
    "Expected cond to be True, but got False. (Could this error message be improved? If so, please report an "
    "enhancement request to PyTorch.)"
)


def _assert(condition: Any, message: str) -> None:
    """Raises AssertionError unless the condition holds; a function, so that a trace can hold it."""
    assert condition, message


def _assert_async(input: Any, assert_msg: str = "") -> None:
    """Raises RuntimeError if the tensor's one value is zero."""
    if not input:
        raise RuntimeError(assert_msg or "Expected Tensor with single nonzero value, but got zero")


def _check_with(error_type: type[Exception], cond: bool, message: Message = None) -> None:
    """Raises ``error_type`` with what ``message()`` gives, unless ``cond``."""
    if not isinstance(cond, bool):
        raise TypeError(f"cond must be a bool, but got {type(cond)}")
    if not cond:
        _fail(error_type, message)


def _fail(error_type: type[Exception], message: Message) -> NoReturn:
    if message is not None and not callable(message):
        raise TypeError("message must be a callable")
    raise error_type(NO_MESSAGE if message is None else str(message()))


def _check(cond: bool, message: Message = None) -> None:
    """Raises RuntimeError unless ``cond``."""
    _check_with(RuntimeError, cond, message)


def _check_index(cond: bool, message: Message = None) -> None:
    """Raises IndexError unless ``cond``."""
    _check_with(IndexError, cond, message)


def _check_value(cond: bool, message: Message = None) -> None:
    """Raises ValueError unless ``cond``."""
    _check_with(ValueError, cond, message)


def _check_type(cond: bool, message: Message = None) -> None:
    """Raises TypeError unless ``cond``."""
    _check_with(TypeError, cond, message)


def _check_not_implemented(cond: bool, message: Message = None) -> None:
    """Raises NotImplementedError unless ``cond``."""
    _check_with(NotImplementedError, cond, message)


def _check_is_size(i: int, message: Message = None, *, max: int | None = None) -> None:
    """Raises RuntimeError unless ``i`` is a size: not negative, and at most ``max``."""
    _check(i >= 0 and (max is None or i <= max), message)


def _check_tensor_all_with(error_type: type[Exception], cond: Any, message: Message = None) -> None:
    """Raises ``error_type`` unless all elements of a boolean tensor hold."""
    if not isinstance(cond, TensorBase):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond.dtype is not bool_:
        raise TypeError(f"cond tensor must have dtype torch.bool, but got {cond.dtype}")
    _check_with(error_type, bool(cond.all().item()), message)


def _check_tensor_all(cond: Any, message: Message = None) -> None:
    """Raises RuntimeError unless all elements of a boolean tensor hold."""
    _check_tensor_all_with(RuntimeError, cond, message)
