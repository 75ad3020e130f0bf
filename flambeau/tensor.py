"""``torch.Tensor``: what a user holds. Operators come from ``flambeau.ops``; here are data, autograd and protocols."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import dtypes
from .autograd._backward import backward as _backward
from .autograd.memo import replay
from .compiler.flight import land
from .compiler.numpy import seen_as, to_values
from .compiler.numpy import strided as _strided_view
from .device import CPU, META, device, refuse_device, strided
from .device import device as _Device
from .graph.epoch import complete_all, threads
from .graph.fn import AccumulateGrad, Fn, Out, RemovableHandle, hooks_of
from .graph.glimpse import glimpse
from .graph.gradients import Gradients
from .graph.keeping import let_go, renew
from .graph.realisation import exposed, realised
from .graph.storage import Storage, VersionCounter, flat_type
from .graph.tensor_base import TensorBase, new_tensor, register_class, replaced
from .graph.traced import Traced
from .graph.types import CONJ, NEG, Size, Ty, beside, lazily, ty
from .ops import METHOD_FAMILY, METHODS, LaterMethod
from .ops._layouts import channels_last_strides
from .ops._overriding import copied, note_class, offer, plain, state
from .ops._registry import c_name, requires_grad, version_of, view_edge
from .ops._warned import warn_once

REVERSED = (
    "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an "
    "error in a future release. Consider `x.mT` to transpose batches of matrices or "
    "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor."
)


def _edge_of(x: TensorBase) -> Any:
    return x._edge if x._view is None else view_edge(x)


class _TensorMeta(type):
    """Lets ``isinstance(parameter_like, Tensor)`` and legacy constructors work as in PyTorch."""


class Tensor(TensorBase, metaclass=_TensorMeta):
    """A multi-dimensional array of one dtype with autograd (https://docs.pytorch.org/docs/stable/tensors.html)."""

    __slots__ = ()
    __array_priority__ = 1000

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """``Tensor(2, 3)`` is uninitialised memory, ``Tensor([1, 2])`` a float tensor of the data."""
        if "device" in kwargs:
            refuse_device(kwargs["device"])
        return _legacy(cls, dtypes.get_default_dtype(), args)

    @staticmethod
    def _make_subclass(cls: type, data: Tensor, require_grad: bool = False, **_: Any) -> Any:
        """A tensor of a class on the memory of ``data``."""
        note_class(cls)
        x = object.__new__(cls)
        x._s, x._ty, x._vc = data._s, data._ty, data._vc
        x._h, x._w = None, -1
        x._e = x._view = x._grad = None
        if require_grad:
            x.requires_grad_(True)
        return x

    def as_subclass(self, cls: type) -> Any:
        """This tensor as an object of a subclass.

        Raises:
            TypeError: the class is none of ``Tensor``.
        """
        if not (isinstance(cls, type) and issubclass(cls, Tensor)):
            raise TypeError(
                "Creating a Tensor subclass from a class that does not inherit from Tensor is not possible. Make sure "
                "your class inherits from Tensor."
            )
        y = _alias(self) if threads.epoch.grad and requires_grad(self) else self
        x = Tensor._make_subclass(cls, y)
        x._e, x._view = y._edge, y._view
        return x

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What a call with tensors of a subclass does: as with plain ones, and the results are of that class."""
        if not all(issubclass(cls, t) for t in types):
            return NotImplemented
        with DisableTorchFunctionSubclass():
            result = func(*args, **(kwargs or {}))
        return result if func in _NOT_CONVERTED else _of_class(result, cls)

    # ---- geometry

    @property
    def shape(self) -> Size:
        """The size of each dimension."""
        return self._ty.size

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of the elements."""
        return self._ty.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._ty.ndim

    device = property(lambda self: META if self._ty.meta else CPU, doc='The CPU, or "meta" if it has no memory.')
    layout = property(lambda self: strided, doc="Always ``torch.strided``.")
    itemsize = property(lambda self: self._ty.dtype.itemsize, doc="Bytes of an element.")
    nbytes = property(lambda self: self._ty.numel * self._ty.dtype.itemsize, doc="Bytes of all elements.")
    names = property(lambda self: (None,) * self._ty.ndim, doc="Dimension names, which flambeau does not have.")
    name = property(lambda self: None, doc="None.")
    is_cuda = is_sparse = is_quantized = is_mps = is_mkldnn = is_nested = is_xla = is_xpu = is_ipu = is_sparse_csr = (
        property(lambda self: False, doc="False: dense tensors on the CPU.")
    )
    is_cpu = property(lambda self: not self._ty.meta, doc="Is it on the CPU?")
    is_meta = property(lambda self: self._ty.meta, doc='Is it on the device "meta", without memory?')

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        if dim is None:
            return self._ty.size
        n = self._ty.ndim
        if not -n <= dim < n:
            from .ops._registry import wrap_dim

            if n == 0:
                raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
            wrap_dim(dim, n)
        return self._ty.shape[dim]

    def stride(self, dim: int | None = None) -> Any:
        """Elements in memory from one index of a dimension to the next."""
        return self._ty.strides if dim is None else self._ty.strides[dim]

    def storage_offset(self) -> int:
        """Where in its storage the tensor begins, in elements."""
        return self._ty.offset

    def dim(self) -> int:
        """The number of dimensions."""
        return self._ty.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self._ty.numel

    nelement = numel

    def element_size(self) -> int:
        """Bytes of an element."""
        return self._ty.dtype.itemsize

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Row-major without gaps (or in the given memory format)."""
        t = self._ty
        if memory_format is None or memory_format.name in ("contiguous_format", "preserve_format"):
            return t.contiguous
        want = 4 if memory_format.name == "channels_last" else 5
        if t.ndim != want:
            return False
        dense = channels_last_strides(t.shape)
        return all(n == 1 or a == b for n, a, b in zip(t.shape, t.strides, dense))

    def is_floating_point(self) -> bool:
        """Is the dtype floating?"""
        return self._ty.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Is the dtype complex?"""
        return self._ty.dtype.is_complex

    def is_signed(self) -> bool:
        """Can elements be negative?"""
        return self._ty.dtype.is_signed

    def is_conj(self) -> bool:
        """Is it a view that conjugates?"""
        return self._ty.lazy & CONJ != 0

    def is_neg(self) -> bool:
        """Is it a view that negates?"""
        return self._ty.lazy & NEG != 0

    def is_inference(self) -> bool:
        """Was its memory made in inference mode? Then it is written there alone, and no backward pass may need it."""
        return hasattr(self, "_s") and self._s.version < 0

    def is_pinned(self) -> bool:
        """False: there is no device to pin memory for."""
        return False

    is_coalesced = is_distributed = is_pinned

    def cpu(self, memory_format: Any = None) -> Tensor:
        """The tensor itself if it is on the CPU, and of the memory format.

        Raises:
            NotImplementedError: It is on the device "meta".
        """
        if memory_format is None and not self._ty.meta:
            return self
        return self.to("cpu", memory_format=memory_format)  # type: ignore[attr-defined]

    def pin_memory(self, device: Any = None) -> Tensor:
        """The tensor itself: there is no device to pin for."""
        if self._ty.meta:
            raise RuntimeError(
                f"cannot pin 'Meta{dtypes.SCALAR_NAMES[self._ty.dtype]}Type' only dense CPU tensors can be pinned"
            )
        return self

    def share_memory_(self) -> Tensor:
        """Moves the memory to where processes share it that are forked, or get the tensor, from now on."""
        from . import _shared_memory

        if self._ty.meta:
            raise RuntimeError("_share_fd_: only available on CPU")
        _shared_memory.share(self._s)
        return self

    def is_shared(self) -> bool:
        """Is the memory shared with other processes, after ``share_memory_``?"""
        from . import _shared_memory

        return _shared_memory.memory_of(self._s) is not None

    def cuda(self, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
        """Raises PyTorch's error: there is no CUDA, or the device is none of CUDA's.

        Raises:
            AssertionError: there is no CUDA.
            RuntimeError: the device is another one.
        """
        if device is not None and _Device(device).type != "cuda":
            raise RuntimeError("Invalid device, must be cuda device")
        raise AssertionError("Torch not compiled with CUDA enabled")

    # ---- values

    def _numpy(self) -> np.ndarray:
        """The values, read-only in spirit; bfloat16 as float32."""
        t, flat = self._ty, self._flat_values()
        if t.contiguous and flat.size == t.numel:
            values = flat.reshape(t.shape)
        else:
            values = _strided_view(flat, t.shape, t.strides, t.offset)
        return _read_through(values, t.lazy) if t.lazy else values

    def _flat_values(self) -> np.ndarray:
        """The whole memory as values of the tensor's dtype."""
        flat = realised(self._s)
        if self._ty.dtype is not self._s.ty.dtype:
            flat = seen_as(flat, self._ty.dtype.np)
        return to_values(flat, self._ty.dtype)

    def _check_numpy(self, force: bool = False) -> None:
        """Raises PyTorch's error where there is no NumPy array of the values."""
        if not force and threads.epoch.grad and requires_grad(self):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self._ty.meta:
            raise TypeError("can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the tensor to "
                            "host memory first.")  # fmt: skip
        if self._ty.lazy and not force:
            bit, how = ("conjugate", "conj") if self._ty.lazy & CONJ else ("negative", "neg")
            raise RuntimeError(
                f"Can't call numpy() on Tensor that has {bit} bit set. Use tensor.resolve_{how}().numpy() instead."
            )
        if self._ty.dtype.np != self._ty.dtype.compute:
            raise TypeError(f"Got unsupported ScalarType {dtypes.SCALAR_NAMES[self._ty.dtype]}")

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The values as a NumPy array that shares memory."""
        self._check_numpy(force)
        if self._ty.lazy:
            return self._numpy()
        flat = exposed(self._s)
        if not flat.flags.writeable:
            flat = self._s.buf = flat.copy()
        let_go(self._s)
        self._s.share()
        if self._ty.dtype is not self._s.ty.dtype:
            flat = seen_as(flat, self._ty.dtype.np)
        t = self._ty
        return _strided_view(flat, t.shape, t.strides, t.offset)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy:  # NumPy relies on it: ``np.array(x)`` shares no memory
            self._check_numpy()
            return self._numpy().astype(self._ty.dtype.np if dtype is None else dtype)
        a = self.numpy()
        return a if dtype is None else a.astype(dtype, copy=False)

    def item(self) -> Any:
        """The value of a tensor of one element as a Python number."""
        if self._ty.numel != 1:
            raise RuntimeError(f"a Tensor with {self._ty.numel} elements cannot be converted to Scalar")
        return self._value()

    def _value(self) -> Any:
        """The only element as a Python number."""
        s, t = self._s, self._ty
        if t.meta:
            raise RuntimeError("Tensor.item() cannot be called on meta tensors")
        if t.stored is not s.ty.dtype or t.dtype.np is not t.dtype.compute:
            return self._numpy().item() if t.lazy else self._flat_values().item(t.offset)
        return realised(s).item(t.offset)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._numpy().tolist()

    def __bool__(self) -> bool:
        if self._ty.numel > 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        if self._ty.numel == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        seen = glimpse(self) if self._s.pending else None
        return bool(self.item()) if seen is None else seen

    def is_nonzero(self) -> bool:
        """Is the one element not zero?"""
        return bool(self)

    def _one(self) -> Any:
        """The only element, for Python's numbers."""
        if self._ty.numel != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self._value()

    def _real(self, c_type: str) -> Any:
        """The only element, which must not have an imaginary part."""
        value = self._one()
        if type(value) is not complex:
            return value
        if value.imag:
            raise RuntimeError(f"value cannot be converted to type {c_type} without overflow")
        return value.real

    def __float__(self) -> float:
        if threads.epoch.grad and requires_grad(self):
            warn_once("scalar")
        return float(self._real("double"))

    def __int__(self) -> int:
        return int(self._real("int64_t"))

    def __complex__(self) -> complex:
        if threads.epoch.grad and requires_grad(self):
            warn_once("scalar")
        return complex(self._one())

    def __index__(self) -> int:
        if self._ty.dtype.kind not in "uib" or self._ty.numel != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        if self._ty.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._ty.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if self._ty.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))  # type: ignore[attr-defined]

    def __reversed__(self) -> Tensor:
        """The order of the elements reversed along the first dimension."""
        return self.flip(0) if self._ty.ndim else self  # type: ignore[attr-defined]

    def __delitem__(self, index: Any) -> None:
        raise TypeError("Tensor does not support deleting items")

    def __contains__(self, element: Any) -> bool:
        if isinstance(element, (TensorBase, bool, int, float, complex)):
            return bool((element == self).any())  # type: ignore[union-attr]
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")

    __hash__ = object.__hash__

    @property
    def _cdata(self) -> int:
        """A number that no other living tensor has: PyTorch's is an address, which packages compare."""
        return id(self)

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        from .printing import tensor_str

        return tensor_str(self, tensor_contents=tensor_contents)

    def __format__(self, spec: str) -> str:
        if self._ty.ndim == 0 and not self._ty.meta:
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __dir__(self) -> list[str]:
        return sorted(set(object.__dir__(self)))

    # ---- storage

    def data_ptr(self) -> int:
        """The address of the first element; 0 if there is none."""
        if self._ty.meta:
            return 0
        flat = realised(self._s)
        land()  # whoever has the address may write there
        return flat.ctypes.data + self._ty.offset * self._ty.dtype.itemsize if self._ty.numel else 0

    def untyped_storage(self) -> Any:
        """The storage, as bytes."""
        from .storage import UntypedStorage

        return UntypedStorage(self._s)

    def storage(self) -> Any:
        """The storage, as elements of the tensor's dtype; deprecated for ``untyped_storage``."""
        from .ops._warned import warn_of

        warn_of("storage")
        return self._typed_storage()

    def _typed_storage(self) -> Any:
        from .storage import TypedStorage

        return TypedStorage(self._s, self._ty.dtype)

    @property
    def data(self) -> Tensor:
        """The same memory outside the autograd graph, with a version counter of its own."""
        h = self._h
        x = new_tensor(self._s, self._ty, h.value if type(h) is Traced else h, self._w)
        x._vc = VersionCounter()
        return x

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, TensorBase):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if value._ty.meta is not self._ty.meta:
            raise RuntimeError(
                "Attempted to call `variable.set_data(tensor)`, but `variable` and `tensor` have incompatible tensor "
                "type."
            )
        if value._ty.dtype.kind not in "fc" and requires_grad(self):
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
        self._adopt(value)

    def _adopt(self, other: Any) -> None:
        """Takes over the memory of another tensor; the version counter stays, shared with this tensor's views."""
        complete_all()
        replaced[0] += 1
        self._vc = self._vc or self._s
        self._s, self._ty, self._w = other._s, other._ty, -1

    def module_load(self, other: Any, assign: bool = False) -> Any:
        """What ``load_state_dict`` swaps this parameter or buffer with when it loads ``other`` into it by swapping."""
        return other.detach() if assign else self.copy_(other).detach()

    def set_(self, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None) -> Tensor:
        """Takes over the memory of another tensor or storage, at the given geometry."""
        if source is None:
            t = beside(flat_type(0, self.dtype), self._ty)
            s = Storage.of(t, None, None if t.meta else np.zeros(0, self.dtype.np))
        elif isinstance(source, TensorBase):
            if source._ty.dtype is not self._ty.dtype:
                have, want = c_name(source._ty.dtype), c_name(self._ty.dtype)
                raise RuntimeError(f"Could not set tensor of type {have} to a tensor of type {want}")
            s, t = source._s, source._ty
        else:
            _check_element_type(self, source)
            s = source._s
            t = flat_type(s.ty.numel * s.ty.dtype.itemsize // self.dtype.itemsize, self.dtype)
        if s.ty.meta is not self._ty.meta:
            raise RuntimeError(
                f'Attempted to set the storage of a tensor on device "{self.device}" to a storage on different device '
                f'"{META if s.ty.meta else CPU}".  This is no longer allowed; the devices must match.'
            )
        if size is not None:
            if storage_offset < 0:
                raise RuntimeError(f"Tensor: invalid storage offset {storage_offset}")
            t = ty(tuple(size), self.dtype, tuple(stride) if stride is not None else None, storage_offset)
        t = lazily(beside(t, s.ty), self._ty.lazy)
        _check_room(s, t)
        complete_all()
        replaced[0] += 1
        self._s, self._ty, self._w, self._vc = s, t, -1, None
        s.version += 1
        return self

    # ---- autograd

    @property
    def requires_grad(self) -> bool:
        """Do gradients flow to this tensor?"""
        return requires_grad(self)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._ty.dtype.kind not in "fc":
            raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Makes a leaf require grad, or no longer; returns the tensor."""
        edge = self._edge
        if requires_grad not in (True, False):
            raise TypeError("requires_grad_(): argument 'requires_grad' (position 1) must be bool, not "
                            f"{type(requires_grad).__name__}")  # fmt: skip
        if isinstance(edge, (Fn, Out)):
            if not requires_grad:
                raise RuntimeError("you can only change requires_grad flags of leaf variables. If you want to use a "
                                   "computed variable in a subgraph that doesn't require differentiation use "
                                   "var_no_grad = var.detach().")  # fmt: skip
            return self
        if requires_grad and self._ty.dtype.kind not in "fc":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if requires_grad and edge is None:
            if self._s.version < 0 and not threads.epoch.inference:
                raise RuntimeError(
                    "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
                )
            self._edge = AccumulateGrad(self)
            renew(self._s)
        elif not requires_grad:
            self._edge = None
            renew(self._s)
        return self

    @property
    def grad(self) -> Any:
        """The accumulated gradient of a leaf, or None."""
        g = self._g
        if type(g) is Tensor:
            return g
        if type(g) is Gradients:
            g = self._g = g.take(self)
            return g
        if g is None and isinstance(self._e, (Fn, Out, Traced)) and not _retains(self._edge):
            _warn_non_leaf()
        return g if g is None or isinstance(g, TensorBase) else self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            _check_grad(self, value)
        self._g = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def grad_fn(self) -> Any:
        """The backward node that made this tensor; None for leaves."""
        edge = _edge_of(self)
        if isinstance(edge, Out):
            return edge.fn
        return edge if isinstance(edge, Fn) else None

    @property
    def output_nr(self) -> int:
        """Which output of ``grad_fn`` this is."""
        edge = _edge_of(self)
        return edge.number if isinstance(edge, Out) else 0

    @property
    def is_leaf(self) -> bool:
        """Was this tensor made by the user (or does it not require grad)?"""
        return not isinstance(_edge_of(self), (Fn, Out))

    @property
    def _version(self) -> int:
        if self.is_inference():
            raise RuntimeError("Inference tensors do not track version counter.")
        return version_of(self)

    def _is_view(self) -> bool:
        return self._view is not None

    @property
    def _base(self) -> Any:
        return None if self._view is None else self._view.base

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Adds the gradient of this tensor to the ``grad`` of the leaves of its graph."""
        if gradient is None and inputs is None and not create_graph and replay(self, retain_graph):
            return
        _backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach_(self) -> Tensor:
        """Cuts this tensor from its graph, in place."""
        if self._view is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead. If you are using "
                               "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is set as "
                               "True, "
                               "gradients are views of DDP buckets, and hence detach_() cannot be called on these "
                               "gradients. To fix this error, please refer to the Optimizer.zero_grad() function in "
                               "torch/optim/optimizer.py as the solution.")  # fmt: skip
        self._edge = None
        renew(self._s)
        return self

    def retain_grad(self) -> None:
        """Keeps the gradient of a tensor that is not a leaf, too."""
        edge = self._edge
        if not requires_grad(self):
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if not isinstance(edge, (Fn, Out)):
            return
        import weakref

        fn, k = (edge.fn, edge.number) if isinstance(edge, Out) else (edge, 0)
        hooks_of(fn).retain[k] = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        """Was ``retain_grad`` called on this tensor, which is not a leaf?"""
        return isinstance(self._edge, (Fn, Out)) and _retains(self._edge)

    def register_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Calls ``hook(grad)`` when the gradient is known; a result replaces it."""
        edge = _edge_of(self)
        if edge is None and requires_grad(self):
            return RemovableHandle({}, hook)  # a view made without grad mode: no gradient ever comes
        if edge is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        fn, k = (edge.fn, edge.number) if isinstance(edge, Out) else (edge, 0)
        return RemovableHandle(hooks_of(fn).tensor.setdefault(k, {}), hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        """Calls ``hook(leaf)`` after its gradient has been accumulated."""
        edge = _edge_of(self)
        if edge is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if not isinstance(edge, AccumulateGrad):
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return RemovableHandle(hooks_of(edge).accumulated, hook)

    # ---- copying and pickling

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if not self.is_leaf:
            raise RuntimeError("Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                               "protocol at "
                               "the moment.  If you were attempting to deepcopy a module, this may be because of a "
                               "torch.nn.utils.weight_norm usage, see "
                               "https://github.com/pytorch/pytorch/pull/103001")  # fmt: skip
        if id(self) in memo:
            return memo[id(self)]
        import copy

        if self._ty.lazy:
            whole = self.detach().clone()  # type: ignore[attr-defined]
        else:
            whole = new_tensor(copied_storage(self._s, memo), self._ty)
        x = Tensor._make_subclass(type(self), whole, requires_grad(self))
        memo[id(self)] = x
        if self._grad is not None:
            x._grad = copy.deepcopy(self._grad, memo)
        if self.__dict__ or type(self) is not Tensor:
            from ._tensor import set_state, state_of

            set_state(x, copy.deepcopy(state_of(self), memo))
        return x

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        from ._tensor import _rebuild_from_type_v2, state_of
        from ._utils import reduced

        func, args = reduced(self)
        if type(self) is Tensor and not self.__dict__:
            return func, args
        return _rebuild_from_type_v2, (func, type(self), args, state_of(self))

    # ---- DLPack

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
    ) -> Any:
        if requires_grad(self):
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        if stream is not None and type(stream) is not int:
            raise TypeError("stream must be ``int`` or ``none``")
        if stream not in (None, -1):
            raise AssertionError("stream should be None on cpu.")
        if self._ty.lazy:
            bit = "conjugate" if self._ty.lazy & CONJ else "negative"
            raise BufferError(f"Can't export tensors with the {bit} bit set")
        if self._ty.dtype is dtypes.bfloat16:
            from .ops.sharing import brain_capsule

            return brain_capsule(self)
        return self.numpy().__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class DisableTorchFunctionSubclass:
    """A block in which tensors of subclasses are like plain ones."""

    def __enter__(self) -> None:
        self._before = state.classes
        state.classes = False

    def __exit__(self, *exc: object) -> None:
        state.classes = self._before


def _of_class(result: Any, cls: type) -> Any:
    """A result, its tensors as objects of a subclass."""
    if cls is Tensor:
        return result
    if isinstance(result, Tensor) and not isinstance(result, cls):
        return result.as_subclass(cls)
    if isinstance(result, (tuple, list)):
        return type(result)([_of_class(x, cls) for x in result])
    return result


def _read_through(values: np.ndarray, lazy: int) -> np.ndarray:
    """What a view that conjugates or negates reads where memory holds ``values``."""
    values = np.conjugate(values) if lazy & CONJ else values
    return np.negative(values) if lazy & NEG else values


def _alias(x: Any) -> Any:
    from .ops.views import alias_view

    return alias_view(x)


def _check_room(s: Storage, t: Ty) -> None:
    """Raises unless a storage holds a tensor of this type."""
    from .ops.creation import span_of

    need, have = span_of(t) * t.dtype.itemsize, s.ty.numel * s.ty.dtype.itemsize
    if t.numel and need > have and not s.ty.meta:
        raise RuntimeError(
            f"setStorage: sizes {list(t.shape)}, strides {list(t.strides)}, storage offset {t.offset}, and itemsize "
            f"{t.dtype.itemsize} requiring a storage size of {need} are out of bounds for storage of size {have}"
        )


def _check_element_type(x: Any, source: Any) -> None:
    """Raises if a storage is one of elements of another dtype than ``x``."""
    from .storage import TypedStorage

    if isinstance(source, TypedStorage) and source.dtype is not x._ty.dtype:
        want, have = c_name(x._ty.dtype), dtypes.SCALAR_NAMES[source.dtype]
        raise RuntimeError(
            f"Expected a Storage of type {want} or an UntypedStorage, but got type {have} for argument 1 'storage'"
        )


def copied_storage(s: Storage, memo: dict[int, Any]) -> Storage:
    """One copy for all tensors of a deepcopy that share the storage."""
    copies = memo.setdefault("flambeau storages", {})  # type: ignore[call-overload]
    if id(s) not in copies:
        copies[id(s)] = Storage.of(s.ty, None, None if s.ty.meta else realised(s).copy()), s
    return copies[id(s)][0]


def _retains(edge: Any) -> bool:
    fn, k = (edge.fn, edge.number) if isinstance(edge, Out) else (edge, 0)
    return fn.hooked is not None and k in fn.hooked.retain


def _warn_non_leaf() -> None:
    import warnings

    warnings.warn(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
        "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf "
        "Tensor, "
        "use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access "
        "the leaf Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more information.",
        stacklevel=3,
    )


def _check_grad(x: Tensor, g: Any) -> None:
    if not isinstance(g, TensorBase):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(g).__name__}")
    if g is x:
        raise RuntimeError("can't assign Variable as its own grad")
    if g._ty.meta is not x._ty.meta:
        raise RuntimeError(
            f"attempting to assign a gradient with device type '{g.device}' to a tensor with device type '{x.device}'. "
            "Please ensure that the gradient and the tensor are on the same device"
        )
    if g._ty.dtype is not x._ty.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{c_name(g._ty.dtype)}' to a tensor with grad_dtype "
            f"'{dtypes.SCALAR_NAMES[x._ty.dtype]}'. The gradient must match the tensor's grad_dtype (defaults to the "
            "tensor's dtype). You can set the tensor's grad_dtype attribute with a specific dtype, or None to allow "
            "any dtype. Set grad_dtype with caution. Diverging the dtypes of a tensor and its gradient may break "
            "downstream systems that assume they match."
        )
    if g._ty.shape != x._ty.shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(g._ty.shape)}' to a tensor of size '{list(x._ty.shape)}'. "
            "Please ensure that the gradient and the tensor are the same size"
        )


@functools.cache
def _constructors() -> tuple[Any, Any]:
    """What makes tensors of data and of sizes: looked up once, as modules import this one."""
    from ._tensor_types import of_data
    from .ops.creation import empty

    return of_data, empty


def _legacy(cls: type, dt: dtypes.dtype, args: tuple[Any, ...]) -> Any:
    """PyTorch's old constructors: sizes, or data of the class's dtype."""
    of_data, empty = _constructors()
    if len(args) == 1 and isinstance(args[0], TensorBase):
        x = args[0].detach()  # type: ignore[attr-defined]
    elif len(args) == 1 and not isinstance(args[0], Size):
        x = of_data(args[0], dt)
    else:
        x = empty(*args, dtype=dt) if args else empty(0, dtype=dt)
    return Tensor._make_subclass(cls, x) if cls is not Tensor else x


def _reversed_dims(x: Any) -> Any:
    n = x._ty.ndim
    if n == 0:
        text = "Tensor.T is deprecated on 0-D tensors. This function is the identity in these cases."
        warnings.warn(text, stacklevel=2)
    elif n != 2:
        warnings.warn(REVERSED, stacklevel=2)
    return x.permute(*range(n - 1, -1, -1)) if n else x.permute(())


def _matrix_transpose(x: Any) -> Any:
    if x._ty.ndim > 1:
        return x.transpose(-2, -1)
    from .ops.permuting import matrix_transpose

    return matrix_transpose(x, "mT", "This function is the identity in these cases.")


def _matrix_adjoint(x: Any) -> Any:
    from .ops.permuting import matrix_transpose

    return matrix_transpose(x, "mH", "Consider using x.conj().").conj()


def _adjoint(x: Any) -> Any:
    from .ops.permuting import matrix_transpose

    n = x._ty.ndim
    if n == 1 or n > 2:
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {n}-D tensor."
            + (" For batches of matrices, consider using tensor.mH" if n > 2 else "")
        )
    return matrix_transpose(x, "H", "Consider using x.conj().").conj()


def _refusal(name: str) -> Callable[[Any, Any], None]:
    """The setter of what cannot be set, with PyTorch's error."""

    def refuse(self: Any, value: Any) -> None:
        raise AttributeError(f"attribute '{name}' of 'torch._C.TensorBase' objects is not writable")

    return refuse


for _name in {**METHOD_FAMILY, **METHODS}:
    if _name not in Tensor.__dict__ and _name not in TensorBase.__slots__:  # an operator must not hide a field
        setattr(Tensor, _name, METHODS.get(_name) or LaterMethod(_name))
Tensor.T = property(_reversed_dims, doc="All dimensions reversed.")  # type: ignore[attr-defined]
Tensor.mT = property(_matrix_transpose, doc="The last two dimensions exchanged.")  # type: ignore[attr-defined]
Tensor.H = property(_adjoint, doc="The last two dimensions exchanged, conjugated.")  # type: ignore[attr-defined]
Tensor.mH = property(_matrix_adjoint, doc="The last two dimensions exchanged, conjugated.")  # type: ignore[attr-defined]
for _name, _property in list(vars(Tensor).items()):
    if type(_property) is property:  # each with a function of its own, by which it is known
        _get: Any = copied(_property.fget, _name)  # type: ignore[arg-type]
        setattr(Tensor, _name, property(_get, _property.fset or _refusal(_name), _property.fdel, _property.__doc__))
register_class(Tensor)
plain.add(Tensor)
_NOT_CONVERTED = {Tensor._base.__get__, Tensor.grad.__get__}  # type: ignore[attr-defined]
offer("torch.Tensor", {n: f for n, f in vars(Tensor).items() if n not in METHODS and type(f) is not LaterMethod})

__all__ = ["Tensor", "device"]
