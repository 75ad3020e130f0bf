"""A context that PyTorch's ``vmap`` needs where a function indexes a tensor by another."""

from __future__ import annotations

import contextlib

__all__ = ["TransformGetItemToIndex"]


class TransformGetItemToIndex(contextlib.nullcontext[None]):
    """Changes nothing: here ``vmap`` calls the function for each element, whose indices are numbers."""
