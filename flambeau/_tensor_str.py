"""Parts of a tensor's printed form, under PyTorch's private names."""

from __future__ import annotations

from typing import Any

from .printing import PRINT_OPTS, _contents, get_printoptions, printoptions, set_printoptions, tensor_str

__all__ = ["PRINT_OPTS", "get_printoptions", "printoptions", "set_printoptions"]


def _tensor_str(self: Any, indent: int) -> str:
    """The bracketed values of a tensor as they print after ``indent`` characters."""
    return _contents(self, indent)


def _str(self: Any, *, tensor_contents: str | None = None) -> str:
    """What ``repr`` gives of a tensor; ``tensor_contents`` takes the place of the values."""
    return tensor_str(self, tensor_contents=tensor_contents)
