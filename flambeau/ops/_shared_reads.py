"""Elements gathered from memory that NumPy sees too, as that of ``torch.from_numpy(data)``.

Such memory may be written at any time, so what a recorded call reads is copied when it is recorded. For a few rows of
a data set that would be a copy of all of it in each step; so they are gathered when they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..compiler.numpy import flatten
from ..graph.epoch import threads
from ..graph.storage import Storage
from ..graph.tensor_base import new_tensor
from ..graph.types import Ty
from ._immediate import has_history

LEAST = 4096  # elements of memory: less is copied as fast
FEWER = 2  # elements of memory for each that is asked for: with less the copy costs no more than gathering


def is_costly(x: Any, count: int) -> bool:
    """Would recording a call that gathers so many elements of ``x`` copy many more, and is there no need to?"""
    s, t, epoch = x._s, x._ty, threads.epoch
    if s.owner is None or s.pending or s.ty.numel < max(LEAST, FEWER * count) or not s.shared:
        return False
    if epoch.crowded or epoch.sampling is not None or has_history(x, epoch):
        return False
    return not t.lazy and t.dtype.np == t.dtype.compute


def gathered(x: Any, where: tuple[int, ...], idx: Sequence[Any], t: Ty) -> Any:
    """The elements of ``x`` at index tensors, all in range, for the dimensions ``where``; a tensor of type ``t``."""
    a, at = x._numpy(), [i._numpy() for i in idx]
    if len(where) == 1:
        found = np.take(a, at[0], axis=where[0])
    else:
        places: list[Any] = [slice(None)] * a.ndim
        for d, i in zip(where, at):
            places[d] = i
        found = a[tuple(places)]
    return new_tensor(Storage.of(t, None, flatten(found, t.strides)), t)
