"""Hooks around ``forward`` and ``backward``: registering them, and the call of a module that has some."""

from __future__ import annotations

import functools
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import flambeau as torch
from flambeau.utils.hooks import RemovableHandle

from ._attributes import ModuleAttributes
from ._functions import BackwardHook

Hook = Callable[..., Any]

_global_backward_pre_hooks: OrderedDict[int, Hook] = OrderedDict()
_global_backward_hooks: OrderedDict[int, Hook] = OrderedDict()
_global_forward_pre_hooks: OrderedDict[int, Hook] = OrderedDict()
_global_forward_hooks: OrderedDict[int, Hook] = OrderedDict()
_global_forward_hooks_always_called: OrderedDict[int, bool] = OrderedDict()
_global_forward_hooks_with_kwargs: OrderedDict[int, bool] = OrderedDict()
_global_is_full_backward_hook: bool | None = None

# Raised by the functions that register global hooks and lowered by the next call that finds none, so that
# a call without hooks costs one look.
_any_global_hook = False
_NO_INPUT: Any = object()


class _WrappedHook:
    """A hook that is called with its module, held weakly, as the first argument."""

    def __init__(self, hook: Hook, module: Any = None) -> None:
        self.hook = hook
        functools.update_wrapper(self, hook)
        self.with_module = module is not None
        if module is not None:
            self.module = weakref.ref(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {"hook": self.hook, "with_module": self.with_module}
        if self.with_module:
            state["module"] = self.module()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.hook, self.with_module = state["hook"], state["with_module"]
        if self.with_module:
            if state["module"] is None:
                raise RuntimeError("You are trying to revive the hook of a dead Module!")
            self.module = weakref.ref(state["module"])


def _has_any_global_hook() -> bool:
    """Whether a hook for all modules is registered."""
    return bool(
        _global_backward_pre_hooks or _global_backward_hooks or _global_forward_pre_hooks or _global_forward_hooks
    )


def _add_global(registry: OrderedDict[int, Hook], hook: Hook, extra: Any = None) -> RemovableHandle:
    global _any_global_hook
    _any_global_hook = True
    handle = RemovableHandle(registry, extra_dict=extra)
    registry[handle.id] = hook
    return handle


def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """Calls ``hook(module, args)`` before the ``forward`` of every module."""
    return _add_global(_global_forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Hook, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Calls ``hook(module, args, output)`` after the ``forward`` of every module.

    Args:
        hook: The hook; a result that is not None replaces the output.
        with_kwargs: Call it as ``hook(module, args, kwargs, output)``.
        always_call: Call it also when ``forward`` raises.
    """
    extra = [_global_forward_hooks_with_kwargs, _global_forward_hooks_always_called]
    handle = _add_global(_global_forward_hooks, hook, extra)
    if with_kwargs:
        _global_forward_hooks_with_kwargs[handle.id] = True
    if always_call:
        _global_forward_hooks_always_called[handle.id] = True
    return handle


def register_module_full_backward_pre_hook(hook: Hook) -> RemovableHandle:
    """Calls ``hook(module, grad_output)`` before the gradients of every module's inputs are computed."""
    return _add_global(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Hook) -> RemovableHandle:
    """Calls ``hook(module, grad_input, grad_output)`` after the gradients of every module's inputs are computed."""
    return _add_global_backward(hook, full=True)


def register_module_backward_hook(hook: Hook) -> RemovableHandle:
    """The older form of :func:`register_module_full_backward_hook`, which sees the last operation only."""
    return _add_global_backward(hook, full=False)


def _add_global_backward(hook: Hook, full: bool) -> RemovableHandle:
    global _global_is_full_backward_hook
    if _global_is_full_backward_hook is (not full):
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a "
            "global Module hook. Please use only one of them."
        )
    _global_is_full_backward_hook = full
    return _add_global(_global_backward_hooks, hook)


def _forward_unimplemented(self: Any, *input: Any) -> None:
    """Defines the computation performed at every call; every subclass overrides it.

    Call the module itself rather than this method: the call runs the hooks.
    """
    raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')


class ModuleHooks(ModuleAttributes):
    """The part of :class:`Module` that deals with calls and hooks; not for use by itself."""

    forward: Callable[..., Any] = _forward_unimplemented

    # ---- registering ---------------------------------------------------------

    def _add_hook(self, table: str, hook: Hook, prepend: bool, flags: dict[str, bool] | None = None) -> RemovableHandle:
        """Stores a hook; ``flags`` names the tables that hold its options, and the options."""
        flags = flags or {}
        hooks = getattr(self, table)
        handle = RemovableHandle(hooks, extra_dict=[getattr(self, name) for name in flags])
        hooks[handle.id] = hook
        for name, chosen in flags.items():
            if chosen:
                getattr(self, name)[handle.id] = True
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls ``hook(module, args)`` before ``forward``.

        Args:
            hook: The hook. Its result, if it is not None, replaces the arguments.
            prepend: Put it before the hooks registered so far.
            with_kwargs: Call it as ``hook(module, args, kwargs)``; it then gives None or ``(args, kwargs)``.
        """
        flags = {"_forward_pre_hooks_with_kwargs": with_kwargs}
        return self._add_hook("_forward_pre_hooks", hook, prepend, flags)

    def register_forward_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Calls ``hook(module, args, output)`` after ``forward``.

        Args:
            hook: The hook. Its result, if it is not None, replaces the output.
            prepend: Put it before the hooks registered so far.
            with_kwargs: Call it as ``hook(module, args, kwargs, output)``.
            always_call: Call it also when ``forward`` raises.
        """
        flags = {"_forward_hooks_with_kwargs": with_kwargs, "_forward_hooks_always_called": always_call}
        return self._add_hook("_forward_hooks", hook, prepend, flags)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Calls ``hook(module, grad_output)`` before the gradients of the inputs are computed.

        Args:
            hook: The hook. Its result, if it is not None, replaces ``grad_output``.
            prepend: Put it before the hooks registered so far.
        """
        return self._add_hook("_backward_pre_hooks", hook, prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Calls ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are known.

        Args:
            hook: The hook. Its result, if it is not None, replaces ``grad_input``.
            prepend: Put it before the hooks registered so far.

        Raises:
            RuntimeError: The module has a hook of :meth:`register_backward_hook`.
        """
        self._choose_backward_hooks(full=True)
        return self._add_hook("_backward_hooks", hook, prepend)

    def register_backward_hook(self, hook: Hook) -> RemovableHandle:
        """The older form of :meth:`register_full_backward_hook`, which sees the last operation only."""
        self._choose_backward_hooks(full=False)
        return self._add_hook("_backward_hooks", hook, False)

    def _choose_backward_hooks(self, full: bool) -> None:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a "
                "single Module. Please use only one of them."
            )
        self._is_full_backward_hook = full

    # ---- calling -------------------------------------------------------------

    def _wrapped_call_impl(self, input: Any = _NO_INPUT, other: Any = _NO_INPUT, /, *args: Any, **kwargs: Any) -> Any:
        # The first arguments have names of their own because a call with one or two plain arguments is faster than
        # one that unpacks a tuple and a dictionary.
        if self._hooked or _any_global_hook or args or kwargs or input is _NO_INPUT:
            first = tuple([x for x in (input, other) if x is not _NO_INPUT])
            return self._general_call((*first, *args), kwargs)
        return self.forward(input) if other is _NO_INPUT else self.forward(input, other)

    def _general_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call with any arguments, of a module that may be compiled or have hooks."""
        if self._compiled_call_impl is not None:
            return self._compiled_call_impl(*args, **kwargs)
        if self._hooked or _any_global_hook:
            return self._call_impl(*args, **kwargs)
        return self.forward(*args, **kwargs)

    __call__: Callable[..., Any] = _wrapped_call_impl

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        if not self._still_hooked():
            return self.forward(*args, **kwargs)
        call = _HookedCall(self, args, kwargs)
        try:
            return call.run()
        except Exception:
            call.run_always_called()
            raise

    def _still_hooked(self) -> bool:
        """Looks for hooks, and lowers the flags when there are none."""
        global _any_global_hook
        own = self._backward_hooks or self._backward_pre_hooks or self._forward_hooks or self._forward_pre_hooks
        _any_global_hook = _has_any_global_hook()
        self.__dict__["_hooked"] = bool(own) or self._compiled_call_impl is not None
        return bool(own) or _any_global_hook

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles this module's calls with ``torch.compile``; the arguments are passed on to it."""
        self._compiled_call_impl = torch.compile(self._call_impl, *args, **kwargs)
        self._hooked = True

    def _get_backward_hooks(self) -> tuple[list[Hook], list[Hook]]:
        """The full backward hooks that apply to this module, and the others."""
        full: list[Hook] = []
        partial: list[Hook] = []
        for is_full, hooks in (
            (_global_is_full_backward_hook, _global_backward_hooks),
            (self._is_full_backward_hook, self.__dict__["_backward_hooks"]),
        ):
            if is_full is not None:
                (full if is_full else partial).extend(hooks.values())
        return full, partial

    def _get_backward_pre_hooks(self) -> list[Hook]:
        return [*_global_backward_pre_hooks.values(), *self.__dict__["_backward_pre_hooks"].values()]


class _HookedCall:
    """One call of a module with hooks."""

    def __init__(self, module: ModuleHooks, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.module, self.args, self.kwargs = module, args, kwargs
        self.state = module.__dict__
        self.result: Any = None
        self.called: set[int] = set()

    def run(self) -> Any:
        """The pre-hooks, ``forward``, the hooks."""
        full, partial = self.module._get_backward_hooks()
        before = self.module._get_backward_pre_hooks()
        self.run_forward_pre_hooks()
        backward_hook = None
        if full or before:
            backward_hook = BackwardHook(self.module, full, before)
            self.args = backward_hook.setup_input_hook(self.args)
        self.result = self.module.forward(*self.args, **self.kwargs)
        self.run_forward_hooks()
        if backward_hook is not None:
            self.attach(backward_hook)
        if partial:
            self.attach_partial(partial)
        return self.result

    def run_forward_pre_hooks(self) -> None:
        """Lets the pre-hooks see and replace the arguments."""
        with_kwargs = self.state["_forward_pre_hooks_with_kwargs"]
        for key, hook in (*_global_forward_pre_hooks.items(), *self.state["_forward_pre_hooks"].items()):
            if key not in with_kwargs:
                new = hook(self.module, self.args)
                if new is not None:
                    self.args = new if isinstance(new, tuple) else (new,)
                continue
            new = hook(self.module, self.args, self.kwargs)
            if new is None:
                continue
            if not (isinstance(new, tuple) and len(new) == 2):
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {new}."
                )
            self.args, self.kwargs = new

    def run_forward_hooks(self) -> None:
        """Lets the hooks see and replace the result."""
        always = self.state["_forward_hooks_always_called"]
        for key, hook in (*_global_forward_hooks.items(), *self.state["_forward_hooks"].items()):
            if key in always or key in _global_forward_hooks_always_called:
                self.called.add(key)
            self.run_forward_hook(key, hook)

    def run_forward_hook(self, key: int, hook: Hook) -> None:
        """Calls one forward hook in the form that it was registered for."""
        if key in self.state["_forward_hooks_with_kwargs"] or key in _global_forward_hooks_with_kwargs:
            new = hook(self.module, self.args, self.kwargs, self.result)
        else:
            new = hook(self.module, self.args, self.result)
        if new is not None:
            self.result = new

    def attach(self, backward_hook: BackwardHook) -> None:
        """Hangs full backward hooks on the result."""
        if not isinstance(self.result, (torch.Tensor, tuple)):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors "
                f"but received {type(self.result)}",
                stacklevel=2,
            )
        self.result = backward_hook.setup_output_hook(self.result)

    def attach_partial(self, hooks: list[Hook]) -> None:
        """Hangs the older kind of backward hooks on the node that made the result."""
        var = self.result
        while not isinstance(var, torch.Tensor):
            values = var.values() if isinstance(var, dict) else var[:1]
            var = next(v for v in values if isinstance(v, torch.Tensor) or not isinstance(var, dict))
        if var.grad_fn is not None:
            for hook in hooks:
                var.grad_fn.register_hook(_WrappedHook(hook, self.module))
            _warn_about_partial_hooks(self.args, self.result, var.grad_fn)

    def run_always_called(self) -> None:
        """After an exception: the hooks that want to be called all the same."""
        for registry, always, what in (
            (_global_forward_hooks, _global_forward_hooks_always_called, "global module forward hook"),
            (self.state["_forward_hooks"], self.state["_forward_hooks_always_called"], "module forward hook"),
        ):
            for key, hook in registry.items():
                if key in always and key not in self.called:
                    self.run_silently(key, hook, what)

    def run_silently(self, key: int, hook: Hook, what: str) -> None:
        """Calls a hook while another exception is on its way."""
        try:
            self.run_forward_hook(key, hook)
        except Exception as e:
            warnings.warn(
                f"{what} with ``always_call=True`` raised an exception "
                f"that was silenced as another error was raised in forward: {e!s}",
                stacklevel=2,
            )


def _as_tensors(value: Any) -> tuple[Any, ...] | None:
    """A tensor or a tuple of tensors as a tuple, anything else as None."""
    if isinstance(value, torch.Tensor):
        return (value,)
    return value if isinstance(value, tuple) and all(isinstance(v, torch.Tensor) for v in value) else None


def _warn_about_partial_hooks(inputs: Any, result: Any, grad_fn: Any) -> None:
    """Warns when a hook of ``register_backward_hook`` will not see all gradients."""
    outputs, inputs = _as_tensors(result), _as_tensors(inputs)
    advice = "Please use register_full_backward_hook to get the documented behavior."
    if outputs is None:
        why = (
            "Using non-full backward hooks on a Module that does not return a "
            "single Tensor or a tuple of Tensors is deprecated and will be removed "
            f"in future versions. This hook will be missing some of the grad_output. {advice}"
        )
    elif inputs is None:
        why = (
            "Using non-full backward hooks on a Module that does not take as input a "
            "single Tensor or a tuple of Tensors is deprecated and will be removed "
            f"in future versions. This hook will be missing some of the grad_input. {advice}"
        )
    else:
        why = _missing_gradients(inputs, outputs, grad_fn, advice)
    if why:
        warnings.warn(why, FutureWarning, stacklevel=2)


def _missing_gradients(inputs: tuple[Any, ...], outputs: tuple[Any, ...], grad_fn: Any, advice: str) -> str:
    """Why a hook on ``grad_fn`` would miss gradients of a module's inputs or outputs, or ""."""
    nodes = {r.grad_fn for r in outputs if r.grad_fn is not None}
    if not nodes or (len(nodes) == 1 and grad_fn not in nodes):
        return (
            "Using a non-full backward hook when outputs are nested in python data structure "
            "is deprecated and will be removed in future versions. This hook will be missing some grad_output."
        )
    if len(nodes) > 1:
        return (
            "Using a non-full backward hook when outputs are generated by different autograd Nodes "
            "is deprecated and will be removed in future versions. This hook will be missing some grad_output. "
            + advice
        )
    if {i.grad_fn for i in inputs if i.grad_fn is not None} != {n[0] for n in grad_fn.next_functions}:
        return (
            "Using a non-full backward hook when the forward contains multiple autograd Nodes "
            "is deprecated and will be removed in future versions. This hook will be missing some grad_input. " + advice
        )
    return ""
