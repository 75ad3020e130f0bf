"""From the primitive IR to what runs; also what PyTorch calls ``torch.compiler``, which has nothing to prepare here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_USERS = frozenset("allow_in_graph disable is_compiling is_dynamo_compiling reset".split())


def __getattr__(name: str) -> Any:
    """``torch.compiler.disable`` and the like."""
    if name in _USERS:
        return getattr(import_module("flambeau._dynamo"), name)
    raise AttributeError(f"module 'torch.compiler' has no attribute {name!r}")
