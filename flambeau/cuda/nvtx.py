"""``torch.cuda.nvtx``: marks for NVIDIA's profiler, which needs CUDA."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]


def _absent(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises RuntimeError: there is no CUDA."""
    raise RuntimeError("NVTX functions not installed. Are you sure you have a CUDA build?")


mark = range_end = range_pop = range_push = range_start = _absent


@contextlib.contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A block with a name.

    Raises:
        RuntimeError: it is entered.
    """
    range_push(msg.format(*args, **kwargs))
    yield
