"""Modules whose switches are plain attributes that can be set for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def temporarily(module: ModuleType, **values: Any) -> Iterator[None]:
    """Set attributes of a module and put them back at the end."""
    before = {name: getattr(module, name) for name in values}
    try:
        for name, value in values.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
