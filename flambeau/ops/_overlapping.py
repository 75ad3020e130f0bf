"""In-place writes at some elements: of tensors whose elements share memory, and of memory that is read as well.

PyTorch allows a few of the former, with a warning. They are done on the memory itself: what is written to one element
all that share it show.
"""

from __future__ import annotations

import warnings
from typing import Any

from ..graph.tensor_base import TensorBase
from ..graph.types import overlaps_itself
from ._writing import SHARED
from .creation import arange


def refuse_read(x: Any, *others: Any) -> None:
    """Raises if an index or a source lies in the memory that is written, also if it is all of it.

    Raises:
        RuntimeError: one does.
    """
    t = x._ty
    for y in others:
        if not isinstance(y, TensorBase) or y._s is not x._s or t.meta:
            continue
        u = y._ty
        if y is x or t.dense and u.dense and t.offset < u.offset + u.numel and u.offset < t.offset + t.numel:
            raise RuntimeError(SHARED)


def shared_places(x: Any, name: str, example: str) -> tuple[Any, Any] | None:
    """The memory that ``x`` sees as a vector and, in the shape of ``x``, where in it each element is.

    None if no elements share memory; warns otherwise, in the name of the operator and with an example of its use.
    """
    t = x._ty
    if not overlaps_itself(t):
        return None
    warnings.warn(
        f"Use of {name} on expanded tensors is deprecated. Please clone() the tensor before performing this operation. "
        f"This also applies to advanced indexing e.g. {example}",
        stacklevel=4,
    )
    span = 1 + sum([(n - 1) * step for n, step in zip(t.shape, t.strides)])
    return x.as_strided((span,), (1,), t.offset), arange(span).as_strided(t.shape, t.strides)
