"""Walking over the tree of modules: listing, finding, converting."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

import flambeau as torch
from flambeau.dtypes import as_dtype
from flambeau.nn.parameter import Parameter, UninitializedBuffer, is_lazy

from ._hooks import ModuleHooks

if TYPE_CHECKING:
    from flambeau import Tensor

    from .module import Module

Self = TypeVar("Self", bound="ModuleTree")
TensorFn = Callable[[Any], Any]

_COMPLEX_WARNING = (
    "Complex modules are a new feature under active development whose design may change, and some modules "
    "might not work as expected when using complex tensors as parameters or buffers. "
    "Please file an issue at https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml "
    "if a complex module does not work as expected."
)


def parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool, Any]:
    """The arguments of ``to`` in any of its forms, as ``(device, dtype, non_blocking, memory_format)``.

    Raises:
        TypeError: They fit none of the forms.
    """
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    rest = list(args)
    first = rest[0] if rest else kwargs.pop("tensor", None) or kwargs.pop("other", None)
    if isinstance(first, torch.Tensor):
        device, dtype = first.device, first.dtype
        rest = rest[1:]
    elif isinstance(first, (torch.dtype, type)):
        dtype = as_dtype(first)
        rest = rest[1:]
    elif rest:
        device = rest.pop(0)
        if rest:
            dtype = rest.pop(0)
            if dtype is not None and not isinstance(dtype, (torch.dtype, type)):
                raise TypeError("to() received an invalid combination of arguments")
    dtype = as_dtype(dtype)
    if device is not None and not isinstance(device, torch.device):
        device = torch.device(device)
    non_blocking = rest.pop(0) if rest else kwargs.pop("non_blocking", False)
    if not isinstance(non_blocking, bool) or len(rest) > 1:
        raise TypeError("to() received an invalid combination of arguments")
    if rest or kwargs.pop("copy", False):
        raise RuntimeError(".to() does not accept copy argument")
    memory_format = kwargs.pop("memory_format", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    return device, dtype, non_blocking, memory_format


def _moved(t: Any, options: dict[str, Any]) -> Any:
    """``t.to(**options)``, where PyTorch's error says what to do for parameters without memory."""
    try:
        return t.to(**options)
    except NotImplementedError as error:
        if str(error) != "Cannot copy out of meta tensor; no data!":
            raise
        raise NotImplementedError(
            f"{error} Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from "
            "meta to a different device."
        ) from None


def _table(module: Any, name: str) -> Any:
    """A table of a module as it is stored, without the descriptor that checks it."""
    table = module.__dict__.get(name)
    return getattr(module, name) if table is None else table


def _swap_converted(param: Any, new: Any, new_grad: Any) -> None:
    """Gives a parameter, and its gradient, the content of the converted ones."""
    grad, param.grad = param.grad, None
    torch.utils.swap_tensors(param, Parameter(new, requires_grad=param.requires_grad))
    if grad is not None:
        if new_grad is not grad:
            torch.utils.swap_tensors(grad, new_grad.requires_grad_(grad.requires_grad))
        param.grad = grad


def _still_lazy(old: Any, new: Any) -> Any:
    """``new``, which was made of ``old``, as an uninitialized buffer if ``old`` is one."""
    if not is_lazy(old) or is_lazy(new):
        return new
    return UninitializedBuffer(old.requires_grad, new.device, new.dtype, old.persistent)


class ModuleTree(ModuleHooks):
    """The part of :class:`Module` that deals with the modules inside it; not for use by itself."""

    # ---- finding -------------------------------------------------------------

    def get_submodule(self, target: str) -> Module:
        """The submodule with a dotted name such as ``"encoder.layers.0"``; the module itself for ``""``.

        Raises:
            AttributeError: There is no such name, or it is no module.
        """
        found: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(found, name):
                raise AttributeError(found._get_name() + " has no attribute `" + name + "`")
            found = getattr(found, name)
            if not isinstance(found, ModuleTree):
                raise AttributeError("`" + name + "` is not an nn.Module")
        return cast("Module", found)

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts ``module`` where a submodule with a dotted name is.

        Args:
            target: The dotted name.
            module: The new submodule.
            strict: Refuse a name that does not exist yet.

        Raises:
            ValueError: The name is empty, or ``module`` is no module.
            AttributeError: A part of the name does not exist or is no module.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, ModuleTree):
            raise ValueError("`" + "module" + f"` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(parent._get_name() + " has no attribute `" + name + "`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), ModuleTree):
            raise AttributeError("`" + name + "` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with a dotted name.

        Raises:
            AttributeError: There is no such name, or it is no parameter.
        """
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(module._get_name() + " has no attribute `" + name + "`")
        param = getattr(module, name)
        if not isinstance(param, Parameter):
            raise AttributeError("`" + name + "` is not an nn.Parameter")
        return param

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with a dotted name.

        Raises:
            AttributeError: There is no such name, or it is no buffer.
        """
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(module._get_name() + " has no attribute `" + name + "`")
        if name not in module._buffers:
            raise AttributeError("`" + name + "` is not a buffer")
        return getattr(module, name)

    # ---- listing -------------------------------------------------------------

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Every module of the tree with its dotted name, this one first.

        Args:
            memo: Modules to leave out; those found are added.
            prefix: Put before each name.
            remove_duplicate: List a module that occurs twice only once.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self  # type: ignore[misc]
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Every module of the tree, this one first."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self,
        get_members_fn: Callable[[Any], Iterable[tuple[str, Any]]],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        """What ``get_members_fn`` finds in each module of the tree, with dotted names."""
        seen = set()
        own: Any = [(prefix, self)]
        for path, module in self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else own:
            for name, value in get_members_fn(module):
                if value is None or value in seen:
                    continue
                if remove_duplicate:
                    seen.add(value)
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names.

        Args:
            prefix: Put before each name.
            recurse: Also those of submodules.
            remove_duplicate: List a parameter that occurs twice only once.
        """
        yield from self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once; with ``recurse`` also those of submodules."""
        if recurse and type(self).named_parameters is ModuleTree.named_parameters:
            yield from self._all_parameters()
        else:
            yield from (param for _, param in self.named_parameters(recurse=recurse))

    def _all_parameters(self) -> Iterator[Parameter]:
        """The parameters of the tree in the order of ``named_parameters``, without their names."""
        seen: set[Any] = set()
        modules: set[Any] = set()
        stack: list[Any] = [self]
        while stack:
            module = stack.pop()
            if module is None or module in modules:
                continue
            if type(module).named_modules is ModuleTree.named_modules:
                modules.add(module)
                found: Any = (module,)
                stack += reversed(_table(module, "_modules").values())
            else:
                found = [m for _, m in module.named_modules(modules)]
            for m in found:
                for param in _table(m, "_parameters").values():
                    if param is not None and param not in seen:
                        seen.add(param)
                        yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted names; the arguments are those of :meth:`named_parameters`."""
        yield from self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once; with ``recurse`` also those of submodules."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    # ---- changing ------------------------------------------------------------

    def apply(self: Self, fn: Callable[[Any], Any]) -> Self:
        """Calls ``fn`` with every module of the tree, submodules first; gives the module back."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self: Self, fn: TensorFn, recurse: bool = True) -> Self:
        """Replaces every parameter, gradient and buffer ``t`` by ``fn(t)``. Parameters stay the same objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, param in self._parameters.items():
            if param is not None:
                self._apply_to_parameter(name, param, fn)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = _still_lazy(buffer, fn(buffer))
        return self

    def _apply_to_parameter(self, name: str, param: Any, fn: TensorFn) -> None:
        grad = param.grad
        with torch.no_grad():
            new = fn(param)
            new_grad = None if grad is None else fn(grad)
        if torch.__future__.get_swap_module_params_on_conversion():
            _swap_converted(param, new, new_grad)
        elif new.device.type == param.device.type and not torch.__future__.get_overwrite_module_params_on_conversion():
            if new is not param:
                param.data = new
            if grad is not None and new_grad is not grad:
                grad.data = new_grad
        else:
            moved = Parameter(new, param.requires_grad)
            if grad is not None and new_grad is not None:
                moved.grad = new_grad.requires_grad_(grad.requires_grad)
            self._parameters[name] = moved

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Converts the parameters and buffers, in place: ``to(device)``, ``to(dtype)``, ``to(tensor)``...

        A dtype changes only those of a floating point or complex dtype.

        Raises:
            TypeError: The dtype is neither floating point nor complex.
        """
        device, dtype, non_blocking, memory_format = parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        if dtype is not None and dtype.is_complex:
            warnings.warn(_COMPLEX_WARNING, stacklevel=2)

        def convert(t: Any) -> Any:
            options: dict[str, Any] = {"non_blocking": non_blocking}
            if device is not None:
                options["device"] = device
            if dtype is not None and (t.is_floating_point() or t.is_complex()):
                options["dtype"] = dtype
            if memory_format is not None and t.dim() in (4, 5):
                options["memory_format"] = memory_format
            return _moved(t, options) if len(options) > 1 else t

        return self._apply(convert)

    def to_empty(self: Self, *, device: Any, recurse: bool = True) -> Self:
        """Moves the parameters and buffers to a device without copying their values."""
        return self._apply(lambda t: torch.empty_like(t, device=device), recurse=recurse)

    def cpu(self: Self) -> Self:
        """Moves the parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self: Self, device: Any = None) -> Self:
        """Moves the parameters and buffers to a GPU, where the package has one."""
        return self._apply(lambda t: t.cuda(device))

    def ipu(self: Self, device: Any = None) -> Self:
        """Moves the parameters and buffers to an IPU, where the package has one."""
        return self._apply(lambda t: t.ipu(device))

    def xpu(self: Self, device: Any = None) -> Self:
        """Moves the parameters and buffers to an XPU, where the package has one."""
        return self._apply(lambda t: t.xpu(device))

    def mtia(self: Self, device: Any = None) -> Self:
        """Moves the parameters and buffers to an MTIA device, where the package has one."""
        return self._apply(lambda t: t.mtia(device))

    def type(self: Self, dst_type: Any) -> Self:
        """Converts all parameters and buffers to a dtype."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self: Self) -> Self:
        """Converts floating point parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self: Self) -> Self:
        """Converts floating point parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self: Self) -> Self:
        """Converts floating point parameters and buffers to float16."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self: Self) -> Self:
        """Converts floating point parameters and buffers to bfloat16."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def share_memory(self: Self) -> Self:
        """Moves the parameters and buffers to shared memory."""
        return self._apply(lambda t: t.share_memory_())

    def train(self: Self, mode: bool = True) -> Self:
        """Sets training mode, here and in all submodules: dropout, batch normalisation and others look at it.

        Raises:
            ValueError: ``mode`` is no bool.
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Sets evaluation mode: the same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Sets ``requires_grad`` of every parameter."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Removes the gradient of every parameter, or sets it to zeros with ``set_to_none=False``."""
        for p in self.parameters():
            if set_to_none:
                p.grad = None
                continue
            if p.grad is None:
                continue
            if p.grad.grad_fn is not None:
                p.grad.detach_()
            else:
                p.grad.requires_grad_(False)
            p.grad.zero_()

    def _get_name(self) -> str:
        return type(self).__name__

    def _replicate_for_data_parallel(self) -> Any:
        """A copy that shares everything and has no parameters of its own."""
        replica: Any = self.__new__(type(self))
        replica.__dict__ = dict(self.__dict__)
        replica._parameters = {}
        replica._buffers = dict(self._buffers)
        replica._modules = dict(self._modules)
        replica._is_replica = True
        return replica
