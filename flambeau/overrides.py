"""``torch.overrides``: calls of torch's functions that a class or a mode answers (``__torch_function__``).

How calls come to ask is in ``flambeau.ops._overriding``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import flambeau as torch
from flambeau.ops import FUNCTION_FAMILY, METHOD_FAMILY, _overriding
from flambeau.ops._overriding import UNANSWERED_METHODS, Unanswered, answer, answering, itself, state

__all__ = [
    "BaseTorchFunctionMode", "TorchFunctionMode", "enable_reentrant_dispatch", "get_default_nowrap_functions",
    "get_ignored_functions", "get_overridable_functions", "get_testing_overrides", "handle_torch_function",
    "has_torch_function", "has_torch_function_unary", "has_torch_function_variadic", "is_tensor_like",
    "is_tensor_method_or_property", "resolve_name", "wrap_torch_function",
]  # fmt: skip

# Functions of tensors' data or of no tensor at all: a mode sees them, a class does not.
_IGNORED = frozenset(
    "arange as_strided as_tensor asarray bartlett_window blackman_window broadcast_shapes empty empty_permuted "
    "empty_strided eye fill frombuffer from_file from_numpy full hamming_window hann_window kaiser_window linspace "
    "logspace normal ones rand rand_like randint randint_like randn randn_like randperm range result_type "
    "scalar_tensor tensor tril_indices triu_indices vander zeros promote_types can_cast".split()
)
_IGNORED_METHODS = (
    frozenset(
        "new new_empty new_empty_strided new_full new_ones new_tensor new_zeros stride unflatten __delitem__".split()
    )
    | UNANSWERED_METHODS
)
_UNLISTED = frozenset(  # functions that no tensor is given to
    "is_tensor is_storage typename set_printoptions manual_seed seed initial_seed get_rng_state set_rng_state "
    "default_generator compile save load".split()
)


# ---- modes


class TorchFunctionMode:
    """A block in which every call of a torch function asks this object's ``__torch_function__`` first.

    While it answers, the modes around it are asked, and then classes.
    """

    def __init__(self) -> None:
        pass

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Any:
        _push(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _pop()

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> Any:
        """A new mode, to be entered."""
        return cls(*args, **kwargs)


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that does what would be done without it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def _push(mode: Any) -> None:
    """Enters a mode.

    Raises:
        RuntimeError: its answer is that of its class.
    """
    if inspect.ismethod(mode.__torch_function__) and mode.__torch_function__.__self__ is not mode:
        raise RuntimeError(
            "Defining your mode's `__torch_function__` as a classmethod is not supported, please make it a plain method"
        )
    state.modes = (*state.modes, mode)
    state.entered += 1
    _overriding.activate("modes")


def _pop() -> Any:
    *rest, mode = state.modes
    state.modes = tuple(rest)
    state.entered -= 1
    if not state.entered:
        _overriding.deactivate("modes")
    return mode


def _get_current_function_mode() -> Any:
    """The innermost mode, or None."""
    return state.modes[-1] if state.modes else None


def _get_current_function_mode_stack() -> list[Any]:
    """The modes, the innermost one last."""
    return list(state.modes)


@contextmanager
def _pop_mode_temporarily() -> Iterator[Any]:
    """A block without the innermost mode, which it gives."""
    modes = state.modes
    state.modes = modes[:-1]
    try:
        yield modes[-1]
    finally:
        state.modes = modes


@contextmanager
def enable_reentrant_dispatch() -> Iterator[None]:
    """A block of a class's or mode's answer in which calls ask again."""
    before = state.within, state.classes
    state.within, state.classes = False, True
    try:
        yield
    finally:
        state.within, state.classes = before


# ---- asking


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Does an argument, or a mode, answer calls?"""
    if not isinstance(relevant_args, Sequence):
        raise TypeError("expected a sequence")
    if state.within:
        return False
    return bool(state.modes) or (state.classes and any([_overriding.answers(type(x)) for x in relevant_args]))  # noqa: C419


def has_torch_function_unary(x: Any) -> bool:
    """As ``has_torch_function``, of one argument."""
    return has_torch_function((x,))


def has_torch_function_variadic(*args: Any) -> bool:
    """As ``has_torch_function``, of arguments one by one."""
    return has_torch_function(args)


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """The answer of a mode, or of one of the arguments, to a call.

    Raises:
        TypeError: there is none.
    """
    found = answering(tuple(relevant_args)) if state.classes else []
    try:
        return answer(public_api, found, args, kwargs)
    except Unanswered:
        pass
    name = f"{public_api.__module__}.{public_api.__name__}"
    text = f"no implementation found for '{name}' on types that implement __torch_function__: {[*map(type, found)]}"
    if state.modes:
        text += f" nor in mode {_get_current_function_mode()}"
    raise TypeError(text)


def wrap_torch_function(dispatcher: Callable[..., Iterable[Any]]) -> Callable[..., Any]:
    """A decorator of functions whose calls are to be answered by arguments: those that ``dispatcher`` picks."""

    def decorated(func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return func(*args, **kwargs)

        return wrapped

    return decorated


def is_tensor_like(inp: Any) -> bool:
    """Is this a tensor, or an object that answers calls?"""
    return type(inp) is torch.Tensor or hasattr(inp, "__torch_function__")


# ---- what there is


def get_default_nowrap_functions() -> set[Any]:
    """What gives tensors that keep their class: see ``Tensor.__torch_function__``."""
    return {torch.Tensor._base.__get__, torch.Tensor.grad.__get__}  # type: ignore[attr-defined]


def _names() -> dict[str, dict[str, Any]]:
    """All functions, methods and properties, by space and name; everything is imported."""
    for space in ("linalg", "fft", "special", "nn"):
        getattr(torch, space)
    found: dict[str, dict[str, Any]] = {"torch": {name: getattr(torch, name) for name in FUNCTION_FAMILY}}
    for name in METHOD_FAMILY:
        getattr(torch.Tensor, name)
    for space, offered in _overriding.spaces.items():
        names = {name: f for mapping in offered for name, f in mapping.items()}
        found.setdefault(space, {}).update(names)
    found["torch.Tensor"] = {n: f for n, f in vars(torch.Tensor).items() if n in found["torch.Tensor"]}
    return found


def _known_as(space: str, name: str, f: Any) -> list[tuple[str, Any]]:
    """The full names and objects by which a function, method or property is called."""
    full = f"{space}.{name}"
    if isinstance(f, property):
        return [(f"{full}.__get__", f.__get__), (f"{full}.__set__", f.__set__)]  # type: ignore[attr-defined]
    return [(full, f)] if isinstance(f, FunctionType) else []


def _sorted_out() -> tuple[dict[str, list[Any]], set[Any]]:
    """The functions that classes answer, by space, and those that they do not."""
    answered: dict[str, list[Any]] = {}
    ignored: set[Any] = set()
    for space, names in _names().items():
        refused = _IGNORED_METHODS if space == "torch.Tensor" else _IGNORED
        for name, f in names.items():
            known = [g for _, g in _known_as(space, name, f)][:1]
            if name in refused or (name[0] == "_" and name[:2] != "__"):
                ignored.update(known)
            elif name not in _UNLISTED:
                answered.setdefault(space, []).extend(known)
    return answered, ignored


def get_overridable_functions() -> dict[Any, list[Callable[..., Any]]]:
    """The functions that ``__torch_function__`` may answer, by the module or class that has them."""
    owners = {
        "torch": torch, "torch.Tensor": torch.Tensor, "torch.linalg": torch.linalg, "torch.fft": torch.fft,
        "torch.special": torch.special, "torch.nn.functional": torch.nn.functional, "torch.nn.init": torch.nn.init,
    }  # fmt: skip
    return {owners[space]: functions for space, functions in _sorted_out()[0].items()}


def get_ignored_functions() -> set[Callable[..., Any]]:
    """Public functions that no class answers."""
    return _sorted_out()[1]


def get_testing_overrides() -> dict[Callable[..., Any], Callable[..., Any]]:
    """For each function that may be answered one with the same parameters that gives -1."""
    return {f: _minus_one(f) for functions in get_overridable_functions().values() for f in functions}


def _minus_one(f: Any) -> Callable[..., Any]:
    self = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    function = inspect.isfunction(f)  # else how a property is got
    signature = inspect.signature(itself(f)) if function else inspect.Signature([self])

    def override(*args: Any, **kwargs: Any) -> int:
        signature.bind(*args, **kwargs)
        return -1

    override.__signature__ = signature  # type: ignore[attr-defined]
    return override


def resolve_name(f: Any) -> str | None:
    """What a function is called in PyTorch, such as "torch.add" or "torch.Tensor.add"; None if it is not known."""
    for space, names in _names().items():
        for name, g in sorted(names.items(), key=lambda item: item[0][0] == "_"):
            for full, known in _known_as(space, name, g):
                if known == f:
                    return full
    return None


@functools.cache
def _methods_of_tensors() -> frozenset[Any]:
    return frozenset(f for f in _names()["torch.Tensor"].values() if isinstance(f, FunctionType))


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Is this a method of tensors, or how a property is got?"""
    return func in _methods_of_tensors() or getattr(func, "__name__", "") == "__get__"
