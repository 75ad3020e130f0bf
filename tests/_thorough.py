"""What is left out or cut short unless ``pytest -m "thorough or search"`` asks for all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

SHARE = 4  # of a long search, by default
LEAST = 15  # examples
asked = [False]  # for all cases and examples?


def thorough(cases: Iterable[Any]) -> Iterator[Any]:
    """More cases of a test of which each takes long; others that ``parametrize`` is given show the same."""
    for one in cases:
        yield pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=pytest.mark.thorough)


def search(examples: int) -> Callable[[Any], Any]:
    """A search among random examples, the same ones each time: so many if that is asked for, else the first of them."""
    many = examples if asked[0] else min(examples, max(LEAST, examples // SHARE))
    chosen = settings(max_examples=many, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    return lambda test: pytest.mark.search(chosen(test))
