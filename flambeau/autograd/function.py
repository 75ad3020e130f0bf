"""Custom differentiable functions: ``torch.autograd.Function``."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from .._records import Record
from ..graph import packing
from ..graph.epoch import threads
from ..graph.fn import Fn, Out, Saved, current_version, saved_version
from ..graph.node import OUT, Operator
from ..graph.packing import Packed, over, unpacked
from ..graph.tensor_base import TensorBase, view_of
from ..ops._registry import alias, rebase, requires_grad, version_of, view_edge
from ..ops._view_rules import refuse_write
from .engine import FREED, _overwritten
from .grad_mode import call_with_grad_mode, no_grad, pushing, recording


class FunctionCtx:
    """What ``forward`` leaves for ``backward``; ``grad_fn`` of the outputs is this object."""

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps tensors for ``backward``, where ``saved_tensors`` gives them back, checked for in-place writes."""
        self.__dict__["to_save"] = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keeps tensors for ``jvp``, where ``saved_tensors`` gives them."""
        self.__dict__["to_push"] = tensors

    def mark_dirty(self, *args: Any) -> None:
        """Names the inputs that ``forward`` wrote in place; call it at most once."""
        self.__dict__["dirty"] = args

    def mark_non_differentiable(self, *args: Any) -> None:
        """Names outputs that do not require grad."""
        self.__dict__["non_differentiable"] = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros (default) or None for outputs without a gradient."""
        self.__dict__["materialize"] = value

    @property
    def saved_variables(self) -> tuple[Any, ...]:
        """The older name of ``saved_tensors``."""
        warnings.warn("'saved_variables' is deprecated; use 'saved_tensors'", DeprecationWarning, stacklevel=2)
        return self.saved_tensors  # type: ignore[attr-defined]


class _Node(FunctionCtx, Fn):
    """The backward node of one call of a custom function."""

    forward_class: Any
    simple = False

    def __repr__(self) -> str:
        return f"<torch.autograd.function.{type(self).__name__} object at {id(self):#x}>"

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors given to ``save_for_backward``.

        Raises:
            RuntimeError: they were freed, or written in place since.
        """
        if self.freed:
            raise RuntimeError(FREED)
        if self.__dict__.get("running"):
            return tuple(self.__dict__.get(self.__dict__["running"], ()))
        return tuple([self._unpack(s) for s in self.__dict__.get("kept", ())])

    @property
    def needs_input_grad(self) -> tuple[bool, ...]:
        """For each argument of ``forward``: does it want a gradient?"""
        return self.__dict__["needs"]

    def _unpack(self, kept: tuple[Any, int, int | None]) -> Any:
        x, output, version = kept
        if x.__class__ is Packed:
            return unpacked(x, self._edge_of(output))
        if x is None or not (x.__class__ is Saved or isinstance(x, TensorBase)):
            return x
        if current_version(x) != version:
            raise RuntimeError(_overwritten(self, x, OUT + output, version or 0))
        if x.__class__ is not Saved:
            return x
        return over(x, self._edge_of(output))

    def _edge_of(self, output: Any) -> Any:
        """The place in the graph of a kept value: of an output by its number, else the edge itself."""
        if not isinstance(output, int):
            return output
        if self.outs[output] is None or self.outs[output].dtype.kind not in "fc":
            return None
        return self if len(self.outs) == 1 else Out(self, output)

    def apply(self, *grads: Any) -> list[Any]:
        """Runs the user's ``backward``; its results in the order of ``forward``'s arguments."""
        if pushing and self.forward_class.jvp is not Function.jvp:
            from ._pushing import transposed

            return transposed(self, grads)
        if self.__dict__.get("materialize", True):
            grads = tuple([_zeros(t) if g is None else g for g, t in zip(grads, self.outs)])
        out = _rule_of(self.forward_class)(self, *grads)
        out = list(out) if isinstance(out, (tuple, list)) else [out]
        name, count = type(self).__name__, len(self.edges)
        while len(out) > count and out[-1] is None:
            out.pop()
        if len(out) != count:
            raise RuntimeError(
                f"function {name} returned an incorrect number of gradients (expected {count}, got {len(out)})"
            )
        for i, (g, e) in enumerate(zip(out, self.edges)):
            if g is not None and not isinstance(g, TensorBase) and e is not None:
                raise TypeError(f"function {name} returned a gradient of type {type(g).__name__} at index {i}, "
                                "expected a "
                                "Tensor or None")  # fmt: skip
        return out

    def release(self) -> None:
        """Frees what was saved."""
        if self.__dict__.get("kept"):
            self.__dict__["kept"] = ()
            self.__dict__["to_save"] = ()
            self.freed = True


def _rule_of(cls: Any) -> Callable[..., Any]:
    """What a class defines as its backward, under either of the two names.

    Raises:
        RuntimeError: it defines both.
    """
    if cls.vjp is Function.vjp:
        return cls.backward
    if cls.backward is not Function.backward:
        raise RuntimeError(
            "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement "
            "one of them."
        )
    return cls.vjp


def _zeros(t: Any) -> Any:
    from ..ops.creation import zeros_of

    return zeros_of(t) if t is not None else None


def _missing(*_: Any) -> Any:
    raise NotImplementedError("You must implement the forward function for custom autograd.Function.")


class Function:
    """Subclass it with static methods ``forward(ctx, *args)`` (or ``forward(*args)`` and
    ``setup_context(ctx, inputs, output)``) and ``backward(ctx, *grads)``; call it by ``apply``
    (https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.Function).
    """

    _node_class: Any = None
    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should "
            "invoke them on the class itself. Instantiating an autograd function will raise an error in a future "
            "version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
            "function with static forward method. (Example: "
            "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The computation."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Saves what ``backward`` needs, if ``forward`` takes no ``ctx``."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of ``forward``'s arguments."""
        raise NotImplementedError("You must implement either the backward or vjp method for your custom "
                                  "autograd.Function to "
                                  "use it with backward mode AD.")  # fmt: skip

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangents of the outputs from those of the arguments (``torch.autograd.forward_ad``)."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        """The computation for a batch; ``torch.vmap`` does not need it here: it makes its own of ``forward``."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or set "
            "generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Runs ``forward`` outside the graph and records one node for it."""
        separate = cls.setup_context is not Function.setup_context
        if separate:
            args, kwargs = _with_defaults(cls.forward, args, kwargs)
        tangents = _tangents(args) if recording else None
        node = _make_node(cls, args)
        out = call_with_grad_mode(False, _computed, node, separate, args, kwargs)
        pushed = None if tangents is None else _pushed(node, _given_tangents(node, tangents))
        node.__dict__["running"] = None
        if not any(recording):
            node.__dict__.pop("to_push", None)
        result = _finish(node, args, out, any(node.needs_input_grad) and threads.epoch.grad)
        return result if pushed is None else _duals(result, pushed, node)


def _computed(node: Any, separate: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs the user's ``forward``, and ``setup_context`` if that is separate."""
    cls = node.forward_class
    node.__dict__["running"] = "to_save"
    if not separate:
        return cls.forward(node, *args, **kwargs)
    out = cls.forward(*args, **kwargs)
    cls.setup_context(node, args, out)
    return out


def _with_defaults(forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
    """The arguments of a call with the defaults of those that were not given."""
    defaults = getattr(forward, "__defaults__", None) or getattr(
        getattr(forward, "__func__", None), "__defaults__", None
    )
    if not defaults and not kwargs:
        return args, kwargs
    import inspect

    bound = inspect.signature(forward).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args, bound.kwargs


def _tangents(args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The tangents of the arguments; None if there are none at all."""
    from .forward_ad import unpack_dual

    found = [unpack_dual(a).tangent if isinstance(a, TensorBase) else None for a in args]
    return None if all(t is None for t in found) else tuple(found)


def _given_tangents(node: Any, tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """What ``jvp`` gets: zeros for arguments without a tangent, unless the call wants None."""
    return tuple([_no_tangent(node, ty) if t is None else t for ty, t in zip(node.ins, tangents)])


class _Tangents(Record):
    """What ``jvp`` gave for the outputs of a call, and which of the arguments' tangents it wrote."""

    outputs: Any
    written: tuple[Any, ...]


def _pushed(node: Any, given: tuple[Any, ...]) -> _Tangents:
    """Runs the user's ``jvp``."""
    node.__dict__["running"] = "to_push"
    tangents = [t for t in given if isinstance(t, TensorBase)]
    versions = [version_of(t) for t in tangents]
    with no_grad():
        found = node.forward_class.jvp(node, *given)
    return _Tangents(found, tuple([t for t, before in zip(tangents, versions) if version_of(t) != before]))


def tangents_of(node: Any, tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """The tangents of a call's outputs from those of the inputs that have a history, by the user's ``jvp``."""
    rest = iter([t.clone() for t in tangents] if node.__dict__.get("dirty") else tangents)
    given = [next(rest) if edge is not None else _no_tangent(node, t) for t, edge in zip(node.ins, node.edges)]
    node.__dict__["running"] = "to_push"
    try:
        found = node.forward_class.jvp(node, *given)
    finally:
        node.__dict__["running"] = None
    return found if isinstance(found, tuple) else (found,)


def _no_tangent(node: Any, t: Any) -> Any:
    """What stands for the tangent of an argument that has none."""
    wanted = t is not None and t.dtype.kind in "fc" and node.__dict__.get("materialize", True)
    return _zeros(t) if wanted else None


def _is_float(x: Any) -> bool:
    return isinstance(x, TensorBase) and x._ty.dtype.kind in "fc"


def _duals(result: Any, tangents: _Tangents, node: Any) -> Any:
    """The outputs of a call with the tangents that its ``jvp`` gave."""
    found = tangents.outputs
    if not isinstance(result, tuple):
        return _dual(result, found, tangents.written, node, 0)
    found = found if isinstance(found, tuple) else (found,)
    return tuple([_dual(y, t, tangents.written, node, k) for k, (y, t) in enumerate(zip(result, found))])


def _dual(y: Any, tangent: Any, written: tuple[Any, ...], node: Any, k: int) -> Any:
    """An output with its tangent; one of the arguments that was written stays the tensor that it is."""
    from .forward_ad import with_tangent

    if tangent is None or not isinstance(y, TensorBase):
        return y
    if not _is_float(y) or _among(y, node.__dict__.get("non_differentiable", ())):
        raise RuntimeError(
            f"A custom Function's forward is returning a view (or an input as-is) or a non-differentiable output {k} "
            "but the jvp is returning a gradient for it. You should return None at that position instead."
        )
    if not _among(y, node.__dict__.get("dirty", ())):
        return with_tangent(y, tangent)
    if not _among(tangent, written):
        raise RuntimeError(
            "An inplace custom Function is not modifying the forward mode gradients inplace. If the forward is "
            "modifying an input inplace, then the jvp function must modify the corresponding gradient inplace."
        )
    y._edge = with_tangent(y, tangent)._edge
    return y


def _edge(x: Any) -> Any:
    if not isinstance(x, TensorBase):
        return None
    return x._edge if x._view is None else view_edge(x)


def _make_node(cls: Any, args: tuple[Any, ...]) -> _Node:
    if cls.__dict__.get("_node_class") is None:
        op = Operator(cls.__name__, _missing, _missing, grad_name=f"{cls.__name__}Backward")
        cls._node_class = type(f"{cls.__name__}Backward", (_Node,), {"forward_class": cls, "op": op})
    grad = threads.epoch.grad
    edges = tuple([_edge(a) if grad else None for a in args])
    tys = tuple([a._ty if isinstance(a, TensorBase) else None for a in args])
    node = cls._node_class(None, (None, tys, ()), edges)
    node.__dict__["needs"] = tuple([isinstance(a, TensorBase) and requires_grad(a) for a in args])
    return node


def _finish(node: _Node, args: tuple[Any, ...], out: Any, grad: bool) -> Any:
    """Gives the outputs their history."""
    several = isinstance(out, (tuple, list))
    outs = list(out) if several else [out]
    dirty = node.__dict__.get("dirty", ())
    plain = node.__dict__.get("non_differentiable", ())
    node.call = (None, node.ins, tuple([y._ty if isinstance(y, TensorBase) else None for y in outs]))
    if grad:
        for x in dirty:
            refuse_write(x)
    saved = node.__dict__.get("to_save", ())
    for k, y in enumerate(outs):
        if isinstance(y, TensorBase):
            outs[k] = _with_history(node, args, y, k, len(outs), grad and not _among(y, plain), _among(y, dirty))
    kept = [_kept(x, out if several else (out,), outs) for x in saved]
    if packing.active and packing.hooks.stack and grad:
        kept = [_packed(node, *k) for k in kept]
    node.__dict__["kept"] = tuple(kept)
    node.__dict__["to_save"] = ()
    return tuple(outs) if several else outs[0]


def _among(x: Any, group: tuple[Any, ...]) -> bool:
    return any(x is y for y in group)


def _with_history(node: _Node, args: tuple[Any, ...], y: Any, k: int, count: int, grad: bool, dirty: bool) -> Any:
    """Output ``k`` of a custom function under its node: what it wrote is rebased, a returned input becomes a view."""
    edge = node if count == 1 else Out(node, k)
    if dirty:
        if grad:
            rebase(y, edge)
        return y
    if _among(y, args):
        y = _returned_input(y)
    if y._ty.dtype.kind not in "fc":
        grad = False
    if y._view is not None:
        y._view = view_of(y._view.base, "custom", version_of(y))
    if grad:
        y._edge = edge
    else:
        y._edge = None
    return y


def _returned_input(x: Any) -> Any:
    y = alias(x)
    base = x if x._view is None else x._view.base
    y._view = view_of(base, "custom", version_of(x))
    return y


def _kept(x: Any, before: Any, after: list[Any]) -> tuple[Any, int, int | None]:
    """What is kept of a saved value, which output it is, its version. Outputs are kept without their history."""
    for k, (old, new) in enumerate(zip(before, after)):
        if x is old and isinstance(new, TensorBase):
            return Saved(new._s, new._ty, new._vc), k, version_of(new)
    return x, 0, current_version(x) if x.__class__ is Saved else saved_version(x)


def _packed(node: _Node, x: Any, output: int, version: int | None) -> tuple[Any, Any, int | None]:
    """What the pack hook of the thread makes of a kept value."""
    if x.__class__ is Saved:
        return packing.pack(x, node._edge_of(output)), output, None
    if isinstance(x, TensorBase):
        edge = _edge(x)
        return packing.pack(x, edge), edge, None
    return x, output, version


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a ``backward`` whose result cannot be differentiated again."""

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any) -> Any:
        with no_grad():
            out = fn(ctx, *args)
        if not threads.epoch.grad or not any(isinstance(a, TensorBase) and requires_grad(a) for a in args):
            return out
        several = isinstance(out, tuple)
        outs = [_refusing(y) for y in (out if several else (out,))]
        return tuple(outs) if several else outs[0]

    return wrapper


class _DelayedError(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


def _refusing(y: Any) -> Any:
    return None if y is None else _DelayedError.apply(y.detach().requires_grad_(True))


class NestedIOFunction(Function):
    """PyTorch's base for nested inputs, which flambeau does not need."""


InplaceFunction = Function


class _ExecutionEngine:
    """What programs ask of PyTorch's engine."""

    @staticmethod
    def queue_callback(callback: Callable[[], Any]) -> None:
        """Calls ``callback`` when the backward pass that runs now is over.

        Raises:
            RuntimeError: none runs.
        """
        if threads.task is None:
            raise RuntimeError("Final callbacks can only be installed during backward pass.")
        threads.task.callbacks.append(callback)


class _VariableMeta(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, TensorBase)


class Variable(metaclass=_VariableMeta):
    """Tensors were once wrapped in it; calling it gives a tensor on the same memory, and tensors are its instances."""

    _execution_engine = _ExecutionEngine()

    def __new__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        """The tensor, outside of the graph."""
        x = data.detach()
        return x.requires_grad_(True) if requires_grad else x
