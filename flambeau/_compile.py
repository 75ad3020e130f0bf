"""``torch.compile``: takes what PyTorch's takes. What tensors compute is compiled with and without it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
BACKENDS = ("cudagraphs", "inductor", "openxla", "tvm")

DEBUG_BACKENDS = (
    "aot_eager", "aot_eager_decomp_partition", "aot_eager_default_partitioner", "aot_ts", "eager", "eager_debug",
    "eager_noexcept", "openxla_eval", "pre_dispatch_eager", "ts",
)  # fmt: skip


def compile(
    model: Callable[..., Any] | None = None, *, fullgraph: bool = False, dynamic: bool | None = None,
    backend: Any = "inductor", mode: str | None = None, options: dict[str, Any] | None = None,
    name: str | None = None, disable: bool = False, recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
) -> Any:  # fmt: skip
    """A function, or a module as an ``OptimizedModule`` (https://docs.pytorch.org/docs/stable/generated/torch.compile.html).

    Tensors are computed by compiled programs with and without this call, and Python runs at every call, so there are
    no graph breaks and no recompilations to speak of. The arguments are checked as PyTorch checks them, and then
    change nothing.

    Args:
        model: a module, a function, a class; without it a decorator is returned.
        fullgraph: met by every model.
        dynamic: without effect.
        backend: the name of one of PyTorch's backends.
        mode: the name of one of PyTorch's modes.
        options: without effect.
        name: without effect.
        disable: returns the model as it is.
        recompile_limit: without effect.
        isolate_recompiles: without effect.

    Raises:
        RuntimeError: an unknown mode, or both ``mode`` and ``options`` are given.
        torch._dynamo.exc.InvalidBackend: an unknown backend.
        NotImplementedError: a backend that is a function: there is no FX graph to give it.
        AssertionError: the model cannot be called.
    """
    settings = {
        "fullgraph": fullgraph, "dynamic": dynamic, "backend": backend, "mode": mode, "options": options,
        "name": name, "disable": disable, "recompile_limit": recompile_limit, "isolate_recompiles": isolate_recompiles,
    }  # fmt: skip
    if model is None:
        return functools.partial(_decorated, settings)
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    _check_backend(backend)
    if backend == "inductor" and mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    if dynamic is not None and not isinstance(dynamic, bool):
        raise AssertionError(f"Expected enable to be a bool, got {type(dynamic)}")
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    return model if disable or inspect.isclass(model) else _wrapped(model)


def _decorated(settings: dict[str, Any], model: Callable[..., Any]) -> Any:
    """What ``@torch.compile(...)`` does with the function below it."""
    if model is None:
        raise RuntimeError("Model can't be None")
    return compile(model, **settings)


def _check_backend(backend: Any) -> None:
    if backend in BACKENDS or backend in DEBUG_BACKENDS:
        return
    if callable(backend):
        raise NotImplementedError(
            "torch.compile: a backend that is a function needs an FX graph, and flambeau records programs of its own; "
            'leave backend out, or name "inductor" or "eager"'
        )
    from ._dynamo.exc import InvalidBackend

    raise InvalidBackend(backend)


def _wrapped(model: Callable[..., Any]) -> Any:
    """A module's double, or a function around a function."""
    from .nn import Module

    if isinstance(model, Module):
        from ._dynamo.eval_frame import OptimizedModule

        return model if isinstance(model, OptimizedModule) else OptimizedModule(model)

    @functools.wraps(model)
    def compiled(*args: Any, **kwargs: Any) -> Any:
        return model(*args, **kwargs)

    compiled._torchdynamo_orig_callable = model  # type: ignore[attr-defined]
    return compiled
