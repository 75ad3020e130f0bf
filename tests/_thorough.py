"""Cases that are left out unless ``pytest -m thorough`` asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest


def thorough(cases: Iterable[Any]) -> Iterator[Any]:
    """More cases of a test of which each takes long; others that ``parametrize`` is given show the same."""
    for one in cases:
        yield pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=pytest.mark.thorough)
