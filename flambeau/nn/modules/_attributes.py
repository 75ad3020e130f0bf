"""What a module is made of: parameters, buffers, submodules, and how attributes become one of them."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import flambeau as torch
from flambeau.nn.parameter import Buffer, Parameter
from flambeau.utils.hooks import RemovableHandle

from ._tables import HookSlot, TableSlot, mirror_anew, new_tables, without_mirrors

TABLES = ("_parameters", "_buffers", "_modules")
HOOK_TABLES = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)

_global_buffer_registration_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
_global_module_registration_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
_global_parameter_registration_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()


def _register_global(registry: OrderedDict[int, Callable[..., Any]], hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(registry)
    registry[handle.id] = hook
    return handle


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(module, name, buffer)`` whenever a buffer is registered; a result that is not None replaces it."""
    return _register_global(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(module, name, submodule)`` whenever a submodule is added; a result that is not None replaces it."""
    return _register_global(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(module, name, parameter)`` whenever a parameter is registered; a result not None replaces it."""
    return _register_global(_global_parameter_registration_hooks, hook)


def _filtered(hooks: OrderedDict[int, Callable[..., Any]], module: Any, name: str, value: Any) -> Any:
    """``value`` after the registration hooks have had a chance to replace it."""
    for hook in hooks.values():
        replacement = hook(module, name, value)
        if replacement is not None:
            value = replacement
    return value


def _check_name(module: Any, name: Any, kind: str, table: dict[str, Any]) -> None:
    """The conditions that PyTorch sets on the names of parameters and buffers."""
    if not isinstance(name, str):
        raise TypeError(f"{kind} name should be a string. Got {torch.typename(name)}")
    if "." in name:
        raise KeyError(f'{kind} name can\'t contain "."')
    if name == "":
        raise KeyError(f'{kind} name can\'t be empty string ""')
    if hasattr(module, name) and name not in table:
        raise KeyError(f"attribute '{name}' already exists")


def _is_tensor_like(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or hasattr(value, "__torch_function__")


class ModuleAttributes:
    """The part of :class:`Module` that deals with attributes; not for use by itself."""

    dump_patches: bool = False
    _version: int = 1
    call_super_init: bool = False
    _compiled_call_impl: Callable[..., Any] | None = None
    _mirrors: ClassVar[bool] = True  # are parameters, buffers and modules also in __dict__?

    training: bool
    _hooked: bool
    _non_persistent_buffers_set: set[str]
    _is_full_backward_hook: bool | None

    _parameters: Any = TableSlot()
    _buffers: Any = TableSlot()
    _modules: Any = TableSlot()
    _backward_pre_hooks: Any = HookSlot()
    _backward_hooks: Any = HookSlot()
    _forward_hooks: Any = HookSlot()
    _forward_hooks_with_kwargs: Any = HookSlot()
    _forward_hooks_always_called: Any = HookSlot()
    _forward_pre_hooks: Any = HookSlot()
    _forward_pre_hooks_with_kwargs: Any = HookSlot()
    # Not looked at in a call, so they need no flag.
    _state_dict_hooks: Any
    _state_dict_pre_hooks: Any
    _load_state_dict_pre_hooks: Any
    _load_state_dict_post_hooks: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        new = super().__new__
        module = new(cls) if new is object.__new__ else new(cls, *args, **kwargs)  # a class beside Module reads them
        # Here, so that it is there whatever __init__ or __setstate__ of a subclass do. Not on the class, because
        # Python looks up attributes faster that only instances have.
        module.__dict__["_hooked"] = True
        return module

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init:
            self._refuse_arguments(args, kwargs)
        state = self.__dict__
        state["training"] = True
        new_tables(self, ("_parameters", "_buffers"))
        state["_non_persistent_buffers_set"] = set()
        state["_is_full_backward_hook"] = None
        for name in HOOK_TABLES:
            state[name] = OrderedDict()
        new_tables(self, ("_modules",))
        state["_hooked"] = False
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def _refuse_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if kwargs:
            name = next(iter(kwargs))
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{name}'")
        if args:
            raise TypeError(
                f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )

    # ---- registration --------------------------------------------------------

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Adds a buffer: a tensor that is part of the module's state but is not a parameter.

        Args:
            name: Its name; afterwards ``module.name`` is the buffer.
            tensor: The buffer, or None, which ``state_dict`` leaves out.
            persistent: Whether it is part of ``state_dict``.

        Raises:
            KeyError: The name is empty, has a dot in it, or is taken.
            TypeError: The name is not a string or the buffer is not a tensor.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        _check_name(self, name, "buffer", self._buffers)
        if tensor is not None and not _is_tensor_like(tensor):
            raise TypeError(
                f"cannot assign '{torch.typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        self._buffers[name] = _filtered(_global_buffer_registration_hooks, self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param: Any) -> None:
        """Adds a parameter.

        Args:
            name: Its name; afterwards ``module.name`` is the parameter.
            param: The parameter, or None, which ``state_dict`` and ``parameters`` leave out.

        Raises:
            KeyError: The name is empty, has a dot in it, or is taken.
            TypeError: The name is not a string or ``param`` is not a Parameter.
            ValueError: ``param`` is the result of an operation.
        """
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        _check_name(self, name, "parameter", self._parameters)
        if param is None:
            self._parameters[name] = None
            return
        if not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{torch.typename(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if not param.is_leaf:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model "
                f"parameters must be created explicitly. To express '{name}' "
                "as a function of another Tensor, compute the value in "
                "the forward() method."
            )
        self._parameters[name] = _filtered(_global_parameter_registration_hooks, self, name, param)

    def add_module(self, name: str, module: Any) -> None:
        """Adds a submodule.

        Args:
            name: Its name; afterwards ``module.name`` is the submodule.
            module: The submodule or None.

        Raises:
            KeyError: The name is empty, has a dot in it, or is taken.
            TypeError: ``module`` is not a module or the name is not a string.
        """
        if not isinstance(module, ModuleAttributes) and module is not None:
            raise TypeError(f"{torch.typename(module)} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {torch.typename(name)}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = _filtered(_global_module_registration_hooks, self, name, module)

    def register_module(self, name: str, module: Any) -> None:
        """The same as :meth:`add_module`."""
        self.add_module(name, module)

    # ---- attributes ----------------------------------------------------------

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            self._assign_tensor(name, value)
        elif isinstance(value, ModuleAttributes):
            self._assign_module(name, value)
        else:
            state = self.__dict__
            if (
                name in state.get("_parameters", ())
                or name in state.get("_buffers", ())
                or name in state.get("_modules", ())
            ):
                self._assign_over_registered(name, value)
            else:
                super().__setattr__(name, value)
                if name == "__class__":
                    mirror_anew(self, TABLES)

    def _assign_tensor(self, name: str, value: Any) -> None:
        state = self.__dict__
        if isinstance(value, Parameter):
            if state.get("_parameters") is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "_buffers", "_modules")
            self.register_parameter(name, value)
        elif name in state.get("_parameters", ()) or name in state.get("_modules", ()):
            self._assign_over_registered(name, value)
        elif isinstance(value, Buffer):
            self._assign_buffer(name, value)
        elif name in state.get("_buffers", ()):
            if type(self).register_buffer is ModuleAttributes.register_buffer:
                self._buffers[name] = _filtered(_global_buffer_registration_hooks, self, name, value)
            else:
                self._assign_buffer(name, value)
        else:
            super().__setattr__(name, value)

    def _assign_module(self, name: str, value: Any) -> None:
        state = self.__dict__
        if name in state.get("_parameters", ()):
            self._assign_over_registered(name, value)
        if state.get("_modules") is None:
            raise AttributeError("cannot assign module before Module.__init__() call")
        self._forget(name, "_parameters", "_buffers")
        self._modules[name] = _filtered(_global_module_registration_hooks, self, name, value)

    def _assign_over_registered(self, name: str, value: Any) -> None:
        """Puts None, or something of the wrong kind, where a parameter, module or buffer is."""
        if name in self._parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{torch.typename(value)}' as parameter '{name}' "
                    "(torch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, value)
        elif name in self._modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{torch.typename(value)}' as child module '{name}' "
                    "(torch.nn.Module or None expected)"
                )
            self._modules[name] = _filtered(_global_module_registration_hooks, self, name, value)
        else:
            self._assign_buffer(name, value)

    def _assign_buffer(self, name: str, value: Any) -> None:
        if value is not None and not _is_tensor_like(value):
            raise TypeError(
                f"cannot assign '{torch.typename(value)}' as buffer '{name}' "
                "(torch.nn.Buffer, torch.Tensor or None expected)"
            )
        if isinstance(value, Buffer):
            persistent = value.persistent
        else:
            persistent = name not in self._non_persistent_buffers_set
        if (
            type(self).register_buffer is ModuleAttributes.register_buffer
            or "persistent" in inspect.signature(self.register_buffer).parameters
        ):
            self.register_buffer(name, value, persistent)
        elif persistent:
            self.register_buffer(name, value)
        else:
            raise RuntimeError(
                "Registering a non-persistent buffer "
                "on a Module subclass that implements "
                "register_buffer() without the persistent "
                "argument is not allowed."
            )

    def _forget(self, name: str, *tables: str) -> None:
        """Removes an attribute, wherever it is, before something of another kind takes its name."""
        state = self.__dict__
        for table in tables:
            if name in state[table]:
                del getattr(self, table)[name]
        self._non_persistent_buffers_set.discard(name)
        if name in state and name not in state["_parameters"] and name not in state["_modules"]:
            del state[name]

    def __delattr__(self, name: str) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            super().__delattr__(name)

    def __dir__(self) -> list[str]:
        keys = {*dir(type(self)), *self.__dict__}
        for table in TABLES:
            keys.update(self.__dict__.get(table, ()))
        return sorted(key for key in keys if not key[0].isdigit())

    # ---- pickling and copying ------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = without_mirrors(self.__dict__, TABLES)
        state.pop("_compiled_call_impl", None)
        state.pop("_hooked", None)
        return state

    def __copy__(self) -> Any:
        """A module that shares this one's tables of parameters, buffers and modules."""
        reduced: Any = self.__reduce_ex__(4)
        make, args, state = reduced[:3]
        new = make(*args)
        if isinstance(state, dict):
            state |= {name: self.__dict__[name] for name in TABLES if name in state}
        new.__setstate__(state)
        return new

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in HOOK_TABLES:
            if name not in self.__dict__:
                self.__dict__[name] = OrderedDict()
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)
        self.__dict__["_hooked"] = True
        for name in TABLES:
            getattr(self, name, None)
