"""``torch.compile``: every program is compiled, so a model is returned as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def compile(
    model: Callable[..., Any] | None = None, *, fullgraph: bool = False, dynamic: bool | None = None,
    backend: Any = "inductor", mode: str | None = None, options: dict[str, Any] | None = None, disable: bool = False,
) -> Any:  # fmt: skip
    """The model or function itself; without one, a decorator (https://docs.pytorch.org/docs/stable/generated/torch.compile.html).

    What tensors compute is compiled with and without this call.

    Raises:
        RuntimeError: the model cannot be called, or both ``mode`` and ``options`` are given.
    """
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if model is None:
        return lambda fn: compile(fn, mode=mode, options=options)
    if not callable(model):
        raise RuntimeError(f"torch.compile expects a callable model, got {type(model).__name__}")
    return model
