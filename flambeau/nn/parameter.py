"""Parameters and buffers: tensors that a :class:`~flambeau.nn.Module` registers when they are assigned to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

import flambeau as torch
from flambeau._utils import _rebuild_parameter, _rebuild_parameter_with_state
from flambeau.ops._overriding import disabled

__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "UninitializedTensorMixin",
    "is_lazy",
]

_TensorMeta: Any = type(torch.Tensor)


class _ParameterMeta(_TensorMeta):
    """Lets tensor subclasses that carry ``_is_param`` pass ``isinstance(x, Parameter)``."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if super().__instancecheck__(instance):
            return True
        return cls is Parameter and isinstance(instance, torch.Tensor) and getattr(instance, "_is_param", False)


class Parameter(torch.Tensor, metaclass=_ParameterMeta):
    """A tensor that is a parameter of a module.

    Assigned as an attribute of a :class:`~flambeau.nn.Module` it is listed by ``parameters()``.

    Args:
        data: The values; an empty tensor when left out. Memory is shared with ``data``.
        requires_grad: Whether gradients are wanted. It is not affected by ``no_grad``.
    """

    __torch_function__ = disabled  # type: ignore[assignment]

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = torch.empty(0)
        if type(data) is torch.Tensor or type(data) is Parameter:
            return torch.Tensor._make_subclass(cls, data, requires_grad)
        marked = data.detach().requires_grad_(requires_grad)
        if type(marked) is not type(data):
            raise RuntimeError(
                f"Creating a Parameter from an instance of type {type(data).__name__} requires that detach() "
                "returns an instance of the same type, but return type "
                f"{type(marked).__name__} was found instead. To use the type as a "
                "Parameter, please correct the detach() semantics defined by "
                "its __torch_dispatch__() implementation."
            )
        marked._is_param = True
        return marked

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            values = self.data.clone(memory_format=torch.preserve_format)
            memo[id(self)] = type(self)(values, self.requires_grad)
        return memo[id(self)]

    def __repr__(self, **options: Any) -> str:
        return "Parameter containing:\n" + super().__repr__(**options)

    def __reduce_ex__(self, proto: Any) -> tuple[Any, ...]:
        state = _own_attributes(self)
        args = (self.data, self.requires_grad, OrderedDict())
        if state:
            return _rebuild_parameter_with_state, (*args, state)
        return _rebuild_parameter, args


def _own_attributes(tensor: Any) -> dict[str, Any]:
    """What the user has stored on a parameter (``p.tag = ...``)."""
    return dict(getattr(tensor, "__dict__", {}))


# What a tensor without a shape can do: modules ask and convert it.
_POSSIBLE = frozenset(
    "size copy_ is_complex is_floating_point half float double char short int long bfloat16 cuda cpu to get_device "
    "materialize share_memory_ requires_grad_".split()
)


def _refuse_use(tensor: Any, name: str) -> NoReturn:
    raise ValueError(
        f"Attempted to use an uninitialized parameter in <method '{name}' of 'torch._C.TensorBase' objects>. This "
        "error happens when you are using a `LazyModule` or explicitly manipulating "
        f"`torch.nn.parameter.{type(tensor).__name__}` objects. When using LazyModules Call `forward` with a dummy "
        "batch to initialize the parameters before calling torch functions"
    )


def _refused(name: str) -> Callable[..., NoReturn]:
    """A method that Python finds on the class."""

    def method(self: Any, *args: Any) -> NoReturn:
        _refuse_use(self, name.strip("_"))

    method.__name__ = name
    return method


class UninitializedTensorMixin:
    """What uninitialized parameters and buffers have in common: no shape until ``materialize``.

    Any other method of a tensor raises a ValueError.
    """

    cls_to_become: type = torch.Tensor

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name[0] != "_" and name not in _POSSIBLE and callable(getattr(torch.Tensor, name, None)):
            _refuse_use(self, name)
        return found

    __add__ = __radd__ = _refused("__add__")
    __sub__ = __rsub__ = _refused("__sub__")
    __mul__ = __rmul__ = _refused("__mul__")
    __truediv__ = _refused("__truediv__")
    __matmul__ = __rmatmul__ = _refused("__matmul__")
    __getitem__ = _refused("__getitem__")

    def materialize(self: Any, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Becomes an ordinary tensor of the given shape, with undefined values.

        Args:
            shape: The shape.
            device: Default: the device given at construction.
            dtype: Default: the dtype given at construction.
        """
        device = self.data.device if device is None else device
        dtype = self.data.dtype if dtype is None else dtype
        self.data = torch.empty(shape, device=device, dtype=dtype)
        self.__class__ = self.cls_to_become

    @property
    def shape(self) -> Any:
        """Always raises: there is no shape yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. "
            "This error usually happens in `load_state_dict` when trying to load "
            "an uninitialized parameter into an initialized one. "
            "Call `forward` to initialize the parameters before accessing their attributes."
        )

    def share_memory_(self) -> Any:
        """Always raises: there is no memory yet."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. "
            "Call `forward` to initialize the parameters before calling "
            "`module.share_memory()`."
        )

    def __repr__(self, **options: Any) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self: Any, proto: Any) -> tuple[Any, ...]:
        return type(self), (self.requires_grad,)


def is_lazy(param: Any) -> bool:
    """Whether ``param`` is an uninitialized parameter or buffer."""
    return isinstance(param, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is not known yet; ``materialize`` turns it into a :class:`Parameter`.

    Args:
        requires_grad: As for :class:`Parameter`.
        device: Where the values will be.
        dtype: What the values will be.
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return torch.Tensor._make_subclass(cls, torch.empty(0, device=device, dtype=dtype), requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        return memo[id(self)]


class _BufferMeta(_TensorMeta):
    """Makes ``isinstance(x, Buffer)`` look at the mark that :class:`Buffer` leaves on a tensor."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if cls is Buffer and isinstance(instance, torch.Tensor) and getattr(instance, "_is_buffer", False):
            return True
        return super().__instancecheck__(instance)


class Buffer(torch.Tensor, metaclass=_BufferMeta):
    """A tensor that a module registers as a buffer when it is assigned as an attribute.

    Args:
        data: The values; an empty tensor when left out.
        persistent: Whether the buffer is part of the module's ``state_dict``.
    """

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Any:
        if data is None:
            data = torch.empty(0)
        marked = data.detach().requires_grad_(data.requires_grad)
        marked.persistent = persistent
        marked._is_buffer = True
        return marked


class UninitializedBuffer(UninitializedTensorMixin, torch.Tensor):
    """A buffer whose shape is not known yet.

    Args:
        requires_grad: Whether gradients are wanted.
        device: Where the values will be.
        dtype: What the values will be.
        persistent: Whether the buffer is part of the module's ``state_dict``.
    """

    cls_to_become = torch.Tensor
    __torch_function__ = disabled  # type: ignore[assignment]

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Any:
        empty = torch.empty(0, device=device, dtype=dtype)
        buffer = torch.Tensor._make_subclass(cls, empty, requires_grad)
        buffer.persistent = persistent
        buffer._is_buffer = True
        return buffer
