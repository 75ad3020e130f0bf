"""``torch._dynamo.utils``: what libraries ask of the tracer, which flambeau has none of."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator

__all__ = ["counters", "disable_cache_limit"]

counters: defaultdict[str, Counter[str]] = defaultdict(Counter)  # of graphs and breaks: there are none


@contextlib.contextmanager
def disable_cache_limit() -> Iterator[None]:
    """A block; programs are kept without a limit anyway."""
    yield
