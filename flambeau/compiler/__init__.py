"""From the primitive IR to what runs; also what PyTorch calls ``torch.compiler``, which has nothing to prepare here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_DYNAMOS = frozenset(
    "allow_in_graph assume_constant_result disable is_compiling is_dynamo_compiling list_backends reset".split()
)


def __getattr__(name: str) -> Any:
    """``torch.compiler.disable`` and the like."""
    if name in _DYNAMOS:
        return getattr(import_module("flambeau._dynamo"), name)
    if name == "compile":
        return import_module("flambeau._compile").compile
    raise AttributeError(f"module 'torch.compiler' has no attribute {name!r}")


def is_exporting() -> bool:
    """``torch.compiler.is_exporting``: False, as nothing is traced."""
    return False


def cudagraph_mark_step_begin() -> None:
    """``torch.compiler.cudagraph_mark_step_begin``: does nothing."""


class set_stance:
    """``torch.compiler.set_stance``: how ``torch.compile`` behaves, at once, in a block or in a function; no effect."""

    def __init__(self, stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Any = None):
        self.stance = stance

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...

    def __call__(self, fn: Any) -> Any:
        return fn
