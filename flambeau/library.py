"""``torch.library``: operators that a program or package defines itself (https://docs.pytorch.org/docs/stable/library.html).

An operator is a Python function of tensors under a name ``namespace::operator``; ``torch.ops.namespace.operator`` calls
it. What it computes is recorded and compiled like everything else; a gradient of its own is optional.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as torch
from flambeau.ops import NAMESPACES

__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "impl", "opcheck", "register_autograd", "register_fake",
    "register_kernel", "register_torch_dispatch", "register_vmap", "triton_op", "wrap_triton",
]  # fmt: skip

_MARKED = re.compile(r"Tensor\(\w+!\)\S*\s+(\w+)")
_operators: dict[str, CustomOpDef] = {}


class _Members:
    """The operators of a namespace."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"'_OpNamespace' '{self.__name__}' object has no attribute '{name}'")


class CustomOpDef:
    """An operator that a program has defined; calling it runs its function."""

    def __init__(self, name: str, fn: Callable[..., Any] | None, mutates: Sequence[str] | str = ()) -> None:
        namespace, mark, short = name.partition("::")
        if not mark:
            raise ValueError(f"Expected the name of an operator to be of the form namespace::name, but got: {name}")
        self._qualname = name
        self._fn = fn
        self._mutates = mutates  # names of the arguments that it may write to, or "unknown"
        self._fake: Callable[..., Any] | None = None
        self._above: Callable[..., Any] | None = None  # what is called in place of the operator and its gradient
        self._function: Any = None
        _operators[name] = self
        members = NAMESPACES.setdefault(namespace, _Members(namespace))
        setattr(members, short.partition(".")[0], self)

    @property
    def default(self) -> CustomOpDef:
        """The only overload."""
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._above is not None:
            return self._above(*args, **kwargs)
        if self._fn is None:
            raise NotImplementedError(f"{self._qualname} has been defined, but has no implementation")
        if self._function is None or not torch.is_grad_enabled():
            return self._fn(*args, **kwargs)
        bound = inspect.signature(self._fn).bind(*args, **kwargs)
        bound.apply_defaults()
        return self._function.apply(*bound.args, *bound.kwargs.values())

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def register_kernel(self, device_types: Any, func: Callable[..., Any] | None = None, /) -> Any:
        """Sets the function for a device; what is for others than the CPU is never called.

        What is for "AutogradCPU" or "Autograd" is called in place of the operator, and makes its own gradient.
        """
        kinds = [device_types] if isinstance(device_types, str) else device_types

        def register(f: Callable[..., Any]) -> Callable[..., Any]:
            if kinds is None or any(kind.lower().startswith(("cpu", "composite")) for kind in kinds):
                self._fn = f
            elif any(kind in ("AutogradCPU", "Autograd") for kind in kinds):
                self._above = f
            return f

        return register if func is None else register(func)

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Takes a function that gives results without memory; ``opcheck`` alone calls it."""
        self._fake = fn
        return fn

    def register_vmap(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Takes a function that nothing here needs."""
        return fn

    register_torch_dispatch = register_vmap

    def _no_formula(self, ctx: Any, *grads: Any) -> Any:
        """The gradient of an operator that has none: it may compute with arrays, which autograd cannot see."""
        shown = f"{self._qualname.replace('::', '.')}.default"
        raise RuntimeError(
            f"Trying to backward through {shown} but no autograd formula was registered. "
            "Please use register_autograd to add one."
        )

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """Sets the gradient: ``backward(ctx, *grads)``; ``setup_context(ctx, inputs, output)`` saves what it needs."""
        op = self

        class Defined(torch.autograd.Function):
            @staticmethod
            def forward(*args: Any) -> Any:
                return op._fn(*args)  # type: ignore[misc]

            @staticmethod
            def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
                if setup_context is not None:
                    setup_context(ctx, inputs, output)

            @staticmethod
            def backward(ctx: Any, *grads: Any) -> Any:
                return backward(ctx, *grads)

        name = self._qualname.replace("::", "_").replace(".", "_")
        Defined.__name__ = Defined.__qualname__ = f"GeneratedBackwardFor_{name}_default"
        self._function = Defined


def _found(op: Any) -> CustomOpDef:
    if isinstance(op, CustomOpDef):
        return op
    if op not in _operators:
        raise RuntimeError(f"operator {op} does not exist: define it with torch.library.custom_op first")
    return _operators[op]


def custom_op(
    name: str,
    fn: Callable[..., Any] | None = None,
    /,
    *,
    mutates_args: Sequence[str] | str,
    device_types: Any = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Defines an operator, also as a decorator.

    Args:
        name: ``namespace::operator``.
        fn: The function.
        mutates_args: The arguments that it writes to; ``opcheck`` looks at it.
        device_types: Accepted; only the CPU is there.
        schema: Accepted; arguments are those of the function.
        tags: Ignored.

    Raises:
        ValueError: the name has no namespace.
    """

    def make(f: Callable[..., Any]) -> CustomOpDef:
        made = CustomOpDef(name, f, mutates_args)
        made.register_autograd(made._no_formula)
        return made

    return make if fn is None else make(fn)


def triton_op(name: str, fn: Any = None, /, *, mutates_args: Any, schema: str | None = None) -> Any:
    """Defines an operator that calls Triton's kernels where there is a GPU; here it is a ``custom_op``."""
    return custom_op(name, fn, mutates_args=mutates_args, schema=schema)


def wrap_triton(triton_kernel: Any, /) -> Any:
    """Raises NotImplementedError: Triton's kernels run on a GPU."""
    raise NotImplementedError("torch.library.wrap_triton is not supported: Triton's kernels need a GPU")


def define(qualname: str, schema: str, *, lib: Any = None, tags: Any = ()) -> None:
    """Defines an operator whose function ``impl`` gives; in the schema those arguments are marked that it writes to."""
    CustomOpDef(qualname, None, _MARKED.findall(schema))


def impl(qualname: str, types: Any, func: Callable[..., Any] | None = None, *, lib: Any = None) -> Any:
    """Sets the function of an operator that ``define`` has named."""
    return _found(qualname).register_kernel(types, func)


def register_kernel(op: Any, device_types: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """Sets an operator's function for a device."""
    return _found(op).register_kernel(device_types, func)


def register_fake(op: Any, func: Callable[..., Any] | None = None, /, **_: Any) -> Any:
    """Takes an operator's function of results without memory."""
    return _found(op).register_fake if func is None else _found(op).register_fake(func)


def register_vmap(op: Any, func: Callable[..., Any] | None = None, /, **_: Any) -> Any:
    """Takes a function that nothing here needs."""
    return _found(op).register_vmap if func is None else _found(op).register_vmap(func)


register_torch_dispatch = register_vmap


def register_autograd(
    op: Any, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None, lib: Any = None
) -> None:
    """Sets an operator's gradient."""
    _found(op).register_autograd(backward, setup_context=setup_context)


class Library:
    """Operators of one namespace, defined one by one.

    Args:
        ns: The namespace.
        kind: "DEF", "FRAGMENT" or "IMPL".
        dispatch_key: For which device the functions are; only the CPU's are called.
    """

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}")
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Defines the operator that a schema begins with, and gives its name."""
        name = schema.partition("(")[0].strip()
        define(f"{self.ns}::{name}", schema)
        return name

    def impl(self, op_name: str, fn: Callable[..., Any], dispatch_key: str = "", **_: Any) -> None:
        """Sets an operator's function."""
        name = op_name if "::" in op_name else f"{self.ns}::{op_name}"
        impl(name, [dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"], fn)


def opcheck(
    op: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    test_utils: str | Sequence[str] = (
        "test_schema",
        "test_autograd_registration",
        "test_faketensor",
        "test_aot_dispatch_dynamic",
    ),
    raise_exception: bool = True,
    atol: float | None = None,
    rtol: float | None = None,
) -> dict[str, Any]:
    """Tests that an operator does with these arguments what it was said to do.

    Args:
        op: The operator.
        args: What it is called with, as copies.
        kwargs: The same of arguments by name.
        test_utils: Which tests: "test_schema" (nothing else is written to, and no result shares memory with an
            argument), "test_autograd_registration" (it can be called on arguments that want gradients),
            "test_faketensor" (the function given to ``register_fake`` says what results are like),
            "test_aot_dispatch_static" and "test_aot_dispatch_dynamic" (compiled, it gives the same).
        raise_exception: Raise what a test finds, instead of returning it.
        atol: How near compiled results are.
        rtol: The same relative to their size.

    Returns:
        For each test "SUCCESS", or the error.

    Raises:
        OpCheckError: a test has failed.
        ValueError: there is no such operator or test.
    """
    from ._opcheck import check

    return check(op, args, kwargs or {}, test_utils, raise_exception, {"atol": atol, "rtol": rtol})
