"""Functions of torch that record calls with proxies, in the place of torch's own while proxies are about.

An operator takes tensors and asks nothing about others, so a proxy must not get there. While a tracer works, or as soon
as proxies were made outside one, the public functions of ``torch`` are replaced by recorders: these look for a proxy
among the arguments, and call the function itself if there is none.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import flambeau as torch

_SPACES = ("", "nn.functional", "linalg", "fft", "special")
_NO_CALLS = ("is_tensor", "is_storage", "typename", "is_floating_point_dtype", "compile", "save", "load")
_PRIVATE = ("_assert",)
# Functions of torch.nn.functional that are not Python in PyTorch, and functions of torch that are:
_BUILT_IN = set(
    "adaptive_avg_pool1d avg_pool1d avg_pool2d avg_pool3d bilinear celu_ channel_shuffle conv1d conv2d conv3d conv_tbc "
    "conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity elu_ gelu hardshrink hardtanh_ leaky_relu_ "
    "linear logsigmoid native_channel_shuffle one_hot pairwise_distance pdist pixel_shuffle pixel_unshuffle prelu "
    "relu_ rrelu_ scaled_dot_product_attention selu_ softplus softshrink threshold_".split()
)
_IN_PYTHON = set("cdist lu norm split stft tensordot unique unique_consecutive unravel_index".split())

is_proxy: list[type] = []  # the class of proxies, once it is there


class Recorder:
    """A function that becomes a node when it gets a proxy; equal to the function."""

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f)
        self.f = f
        self.signature = _python_signature(f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tracers = proxy_tracers(args, kwargs)
        if not tracers:
            return self.f(*args, **kwargs)
        if len(tracers) > 1:
            raise RuntimeError(f"Found multiple different tracers {tracers} while trying to trace operations {self.f}")
        if self.f.__name__ == "einsum" and len(args) == 2 and isinstance(args[1], (list, tuple)):
            args = (args[0], *args[1])  # PyTorch calls itself so before it asks
        if self.signature is not None:
            args, kwargs = _with_defaults(self.signature, args, kwargs)
        name = tracers[0].graph._target_to_str(self.f)
        return tracers[0].create_proxy("call_function", self.f, args, kwargs, name=name)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self.f

    def __hash__(self) -> int:
        return hash(self.f)

    def __reduce__(self) -> Any:
        return self.f.__reduce_ex__(2)


def _python_signature(f: Any) -> inspect.Signature | None:
    """The signature of a function that is Python in PyTorch: its node has all arguments, defaults too, by name."""
    name = f.__name__
    if vars(torch.nn.functional).get(name) is f:
        python = name not in _BUILT_IN
    else:
        python = name in _IN_PYTHON and vars(torch).get(name) is f
    if not python:
        return None
    signature = inspect.signature(inspect.unwrap(f))
    kinds = {p.kind for p in signature.parameters.values()}
    return None if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} else signature


def _with_defaults(signature: inspect.Signature, args: Any, kwargs: Any) -> tuple[Any, Any]:
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return args, kwargs
    bound.apply_defaults()
    needed = [n for n, p in signature.parameters.items() if p.default is p.empty]
    return tuple([bound.arguments[n] for n in needed]), {n: v for n, v in bound.arguments.items() if n not in needed}


class MethodRecorder:
    """A method of tensors that becomes a node when it gets a proxy for an argument."""

    def __init__(self, name: str, method: Any) -> None:
        self.name, self.method = name, method

    def __get__(self, x: Any, owner: Any = None) -> Any:
        if not inspect.isfunction(self.method):
            self._load()
        inner = self.method.__get__(x, owner)
        if x is None:
            return inner

        def call(*args: Any, **kwargs: Any) -> Any:
            tracers = proxy_tracers(args, kwargs)
            if not tracers:
                return inner(*args, **kwargs)
            return tracers[0].create_proxy("call_method", self.name, (x, *args), kwargs)

        return call

    def _load(self) -> None:
        """Takes the method that a stand-in for it gives when it is asked."""
        setattr(torch.Tensor, self.name, self.method)
        getattr(torch.Tensor, self.name)
        self.method = vars(torch.Tensor)[self.name]
        setattr(torch.Tensor, self.name, self)


def proxy_tracers(args: Any, kwargs: Any) -> list[Any]:
    """The tracers of the proxies among some arguments, each once."""
    found: list[Any] = []
    for a in (*args, *kwargs.values()) if kwargs else args:
        _look(a, found)
    return found


def _look(a: Any, found: list[Any]) -> None:
    if isinstance(a, is_proxy[0]):
        if not any(a.tracer is t for t in found):
            found.append(a.tracer)
    elif isinstance(a, (list, tuple)):
        for x in a:
            _look(x, found)
    elif isinstance(a, dict):
        for x in a.values():
            _look(x, found)
    elif isinstance(a, slice):
        for x in (a.start, a.stop, a.step):
            _look(x, found)


_known: dict[int, Recorder] = {}  # of public functions, by their identity


def recorder_of(f: Any) -> Any:
    """What stands for a public function while the recorders are in place; other things as they are."""
    return _known.get(id(f), f)


def _recorded(name: str, f: Any) -> Any:
    """A recorder for what is a public function, which is remembered."""
    if isinstance(f, Recorder) or not inspect.isfunction(f) or name in _NO_CALLS:
        return f
    if name.startswith("_") and name not in _PRIVATE:
        return f
    if id(f) not in _known:
        _known[id(f)] = Recorder(f)
    return _known[id(f)]


def _spaces() -> list[Any]:
    """The modules of public functions that have been imported."""
    names = [f"{torch.__package__}.{path}".rstrip(".") for path in _SPACES]
    return [sys.modules[name] for name in names if name in sys.modules]


def _replace(space: Any) -> None:
    """Puts recorders in the place of a module's functions, also of those that it imports later."""
    home = vars(space)
    for name, f in list(home.items()):
        if name != "__getattr__":
            home[name] = _recorded(name, f)
    inner = home.get("__getattr__")
    if inner is None:
        return

    def later(name: str) -> Any:
        value = _recorded(name, inner(name))
        if isinstance(value, Recorder):
            home[name] = value
        elif inspect.ismodule(value) and value in _spaces():
            _replace(value)
        return value

    later.inner = inner  # type: ignore[attr-defined]
    home["__getattr__"] = later


def _restore(space: Any) -> None:
    """Puts a module's functions back."""
    home = vars(space)
    for name, f in list(home.items()):
        if isinstance(f, Recorder):
            home[name] = f.f
    if hasattr(home.get("__getattr__"), "inner"):
        home["__getattr__"] = home["__getattr__"].inner


def original(f: Any) -> Any:
    """The function itself, of a recorder."""
    return f.f if isinstance(f, Recorder) else f


_depth = [0]


def install() -> None:
    """Puts the recorders in the place of the functions."""
    _depth[0] += 1
    if _depth[0] > 1:
        return
    for space in _spaces():
        _replace(space)
    for name, method in list(vars(torch.Tensor).items()):
        if name[0] != "_" and (inspect.isfunction(method) or type(method).__name__ == "LaterMethod"):
            setattr(torch.Tensor, name, MethodRecorder(name, method))


def uninstall() -> None:
    """Puts the functions back, if whoever asked for the recorders is done."""
    _depth[0] -= 1
    if _depth[0]:
        return
    for space in _spaces():
        _restore(space)
    for name, method in list(vars(torch.Tensor).items()):
        if isinstance(method, MethodRecorder):
            setattr(torch.Tensor, name, method.method)


def replace_in(home: dict[str, Any]) -> list[tuple[str, Any]]:
    """Replaces torch's functions in a namespace; gives the names and what was there."""
    undo = [(name, f) for name, f in home.items() if inspect.isfunction(f) and id(f) in _known]
    for name, f in undo:
        home[name] = _known[id(f)]
    return undo


def installed() -> bool:
    """Are the recorders in place?"""
    return _depth[0] > 0
