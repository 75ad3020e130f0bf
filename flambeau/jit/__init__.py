"""`torch.jit`: programs written for TorchScript run, as the Python that they are.

`script` and `trace` return the function or module itself: flambeau compiles what runs anyway, and a branch is never
frozen. `save` and `load` have archives of their own (`_archive.py`); TorchScript's are not read.
"""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeVar

import flambeau as torch
from flambeau.futures import Future

from ._archive import load, save, with_save

__all__ = [
    "Attribute",
    "Final",
    "Future",
    "ScriptFunction",
    "annotate",
    "export",
    "fork",
    "freeze",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "optimize_for_inference",
    "optimized_execution",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "set_fusion_strategy",
    "trace",
    "trace_module",
    "unused",
    "wait",
]

_T = TypeVar("_T")


class Error(RuntimeError):
    """PyTorch's error of the TorchScript compiler; here only a name to catch."""


class TracerWarning(Warning):
    """PyTorch's warning of the tracer; never given here."""


class _ScriptFunctionType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return False


class ScriptFunction(metaclass=_ScriptFunctionType):
    """PyTorch's class of compiled functions: nothing is an instance, since `script` returns the function itself."""


def script(
    obj: _T,
    optimize: Any = None,
    _frames_up: int = 0,
    _rcb: Any = None,
    example_inputs: Any = None,
) -> _T:
    """Return the function, class or module as it is; functions and modules can `save` themselves from now on."""
    return with_save(obj)


def trace(func: _T, example_inputs: Any = None, *_args: Any, example_kwarg_inputs: Any = None, **_kwargs: Any) -> _T:
    """Return the function or module, which can `save` itself from now on.

    The example inputs are run through it once, as PyTorch does.
    """
    if example_kwarg_inputs is not None:
        inputs, named = (), dict(example_kwarg_inputs)
    else:
        inputs, named = _as_tuple(example_inputs), {}
    with torch.no_grad():
        typing.cast(Callable[..., Any], func)(*inputs, **named)
    return with_save(func)


def trace_module(mod: _T, inputs: dict[str, Any], *_args: Any, **_kwargs: Any) -> _T:
    """Return the module as it is, after running each named method once on its inputs."""
    with torch.no_grad():
        for name, values in inputs.items():
            getattr(mod, name)(*_as_tuple(values))
    return with_save(mod)


def _as_tuple(inputs: Any) -> tuple[Any, ...]:
    if inputs is None:
        return ()
    return tuple(inputs) if type(inputs) in (tuple, list) else (inputs,)


def _get_trace_graph(f: Any, args: Any = (), kwargs: Any = None, **_options: Any) -> NoReturn:
    """Raises NotImplementedError: there are no graphs of TorchScript."""
    raise NotImplementedError("torch.jit._get_trace_graph is not supported: use torch.fx or `flambeau explain`")


def _overload(func: _T) -> _T:
    """The function as it is: signatures for TorchScript, before the one that Python runs."""
    return func


_overload_method = _overload


def script_method(fn: _T) -> _T:
    """Return the method as it is."""
    return fn


def script_if_tracing(fn: _T) -> _T:
    """Return the function as it is."""
    return fn


def export(fn: _T) -> _T:
    """Return the method as it is."""
    return fn


def unused(fn: _T) -> _T:
    """Return the function as it is."""
    return fn


def interface(obj: _T) -> _T:
    """Return the class as it is."""
    return obj


def ignore(drop: Any = False, **_kwargs: Any) -> Any:
    """Decorator, with or without arguments: the function stays as it is."""
    return drop if callable(drop) else (lambda function: function)


def is_scripting() -> bool:
    """Whether TorchScript is compiling this: never."""
    return False


def is_tracing() -> bool:
    """Whether a trace is being recorded: never."""
    return False


def annotate(the_type: Any, the_value: _T) -> _T:
    """Return the value; the type was for TorchScript."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether an object has a type, containers' element types included (`List[int]`, `Dict[str, Tensor]`)."""
    candidates = target_type if type(target_type) is tuple else (target_type,)
    return any(_matches(obj, candidate) for candidate in candidates)


def _matches(obj: Any, kind: Any) -> bool:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if kind is None or kind is type(None):
        return obj is None
    if origin is None:
        return type(obj) is kind or kind in type(obj).__mro__
    if origin is typing.Union or getattr(origin, "__name__", "") == "UnionType":
        return any(_matches(obj, argument) for argument in arguments)
    if type(obj) is not origin:
        return False
    if origin is list:
        return all(_matches(item, arguments[0]) for item in obj)
    if origin is dict:
        return all(_matches(key, arguments[0]) and _matches(value, arguments[1]) for key, value in obj.items())
    return len(obj) == len(arguments) and all(map(_matches, obj, arguments))


def freeze(mod: _T, preserved_attrs: Any = None, optimize_numerics: bool = True) -> _T:
    """Return the module as it is.

    Raises:
        RuntimeError: the module is in training mode.
    """
    if getattr(mod, "training", False):
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. "
            "Please call .eval() on your module before freezing."
        )
    return mod


def optimize_for_inference(mod: _T, other_methods: Any = None) -> _T:
    """Return the module as it is."""
    return mod


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """A context that changes nothing."""
    yield


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Accept a strategy of TorchScript's fuser, which is not used; returns it."""
    return strategy


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
    """Call the function at once, as PyTorch does outside TorchScript."""
    future: Future[Any] = Future()
    future.set_result(func(*args, **kwargs))
    return future


def wait(future: Future[Any]) -> Any:
    """The result of a `fork`."""
    if future is None:
        raise RuntimeError("Future can't be None")
    return future.wait()


class Attribute(typing.NamedTuple):
    """A value with the type that TorchScript should give it."""

    value: Any
    type: Any


def __getattr__(name: str) -> Any:
    """`ScriptModule`, imported with `nn` when it is first used."""
    if name == "ScriptModule":
        from ._script import ScriptModule

        return ScriptModule
    raise AttributeError(f"module 'torch.jit' has no attribute '{name}'")
