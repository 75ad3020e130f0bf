"""Declares elementwise operators: type rule, lowering, gradient and the public functions under torch and Tensor.

Half precision is computed in float32 and rounded once, as PyTorch's CPU kernels do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..compiler.builder import PREDICATES
from ..dtypes import SCALAR_NAMES, bool_, dtype, weak_dtype
from ..graph.node import OUT, Operator
from ..graph.tensor_base import TensorBase
from ..graph.types import Ty, ty
from ._checks import values_to_check
from ._histories import requires_grad
from ._immediate import function as function_at_once
from ._meanings import described
from ._precision import wide
from ._registry import FUNCTIONS, METHODS, call, call_inplace, check_result, into, is_number, is_tensor, renamed
from ._signatures import explained_function
from ._types import elementwise, float_dtype, operands_dtype, result_dtype

SPECIAL: dict[str, Callable[..., Any]] = {}  # torch.special.<name>, where it is not also torch.<name>
OPERANDS: tuple[Any, ...] = (TensorBase, bool, int, float, complex)
BOTH = ((1, (0,)), (0, (1,)))  # each operand is saved for the gradient of the other

Lower = Callable[..., Any]


def link(name: str) -> str:
    """The address of a function's documentation."""
    return f"https://docs.pytorch.org/docs/stable/generated/torch.{name}.html"


class Support:
    """For which kinds of dtype an operator has a kernel, and PyTorch's error for the others.

    ``errors`` maps a kind to an error of its own: ``(exception type, message)``. The kind "F" stands for
    float32 and float64 without half precision.
    """

    def __init__(self, kernel: str, kinds: str = "buifc", errors: dict[str, tuple[type, str]] | None = None) -> None:
        self.kernel = kernel
        self.kinds = kinds
        self.errors = errors or {}

    def check(self, dt: dtype) -> None:
        """Raises PyTorch's error if there is no kernel for ``dt``."""
        if dt.kind in self.kinds or (dt.kind == "f" and dt.itemsize > 2 and "F" in self.kinds):
            return
        if dt.kind in self.errors:
            error, message = self.errors[dt.kind]
            raise error(message)
        raise NotImplementedError(f"\"{self.kernel}\" not implemented for '{SCALAR_NAMES[dt]}'")


def result_kind(dt: dtype, result: str) -> dtype:
    """The dtype of a result: of the operands ("same"), of floats ("float"), bool, or real for complex ("real")."""
    if result == "same":
        return dt
    if result == "bool":
        return bool_
    return dt.to_real() if result == "real" else float_dtype(dt)


def type_rule(
    result: str, support: Support, count: int | None = None, operands: int | None = None
) -> Callable[..., Ty]:
    """The type rule of an elementwise operator whose first ``count`` inputs decide the dtype.

    Python numbers from input ``operands`` (by default ``count``) on are parameters of PyTorch's kernel: they take no
    part in the layout, as the operands of its TensorIterator do.
    """
    first = count if operands is None else operands

    def infer(tys: Sequence[Ty], attrs: Any) -> Ty:
        dt = result_dtype(tys[:count])
        laid = tys if first is None else [t for i, t in enumerate(tys) if i < first or not t.weak]
        t = elementwise(laid, result_kind(dt, result))
        support.check(t.dtype if result == "float" else dt)
        return t

    return infer


def lowering(rule: Lower | str, result: str, count: int | None = None, exact_numbers: bool = False) -> Lower:
    """Operands cast to the dtype of the computation, ``rule``, and the result cast back.

    ``rule`` is a map's name, or a function of the builder and the values.
    Python numbers are rounded to the operands' dtype, half precision too, unless ``exact_numbers``.
    """
    build = (lambda b, *xs: b.map(rule, *xs)) if isinstance(rule, str) else rule

    def lower(b: Any, attrs: Any, *xs: Any) -> Any:
        out = b.ty.dtype
        dt = out if result in ("same", "float") else operands_dtype(*xs[:count])
        if not exact_numbers:
            xs = tuple([b.cast(x, dt) for x in xs])
        return b.cast(build(b, *[b.cast(x, wide(dt)) for x in xs]), out)

    return lower


# ---- one operand


def unary(
    name: str, rule: Lower | str, vjp: Callable[..., Any] | None = None, *, saves: str = "", result: str = "same",
    kinds: str = "buifc", kernel: str = "", errors: dict[str, tuple[type, str]] | None = None,
    aliases: Sequence[str] = (), inplace: bool = True, grad_name: str | None = None,
    lists: Sequence[str] = ("torch", "Tensor"), check_out: Callable[[Any, Any], None] | None = None,
) -> Operator:  # fmt: skip
    """Declares an elementwise operator of one operand and lists ``name`` and ``name_``.

    Args:
        name: its name.
        rule: a map's name, or ``(b, x) -> value`` on a value of the dtype of the computation.
        vjp: ``(f, g) -> gradient``; None: not differentiable.
        saves: what ``vjp`` reads: "x" for ``f.saved(0)``, "y" for ``f.out()``.
        result: see ``result_kind``.
        kinds: the kinds of dtype that have a kernel.
        kernel: PyTorch's name of the kernel in its errors.
        errors: other errors by kind.
        aliases: other names.
        inplace: is there an in-place form?
        grad_name: the name of the backward node.
        lists: where the functions are public.
        check_out: ``(result, out)``, raises if this ``out`` does not do.
    """
    called = f"special_{name}" if lists == ("special",) else name
    support = Support(kernel or f"{name}_vml_cpu", kinds, errors)
    kept = tuple((0 if c == "x" else OUT, (0,)) for c in saves)
    gradient = None if vjp is None else lambda f, g: (vjp(f, g),)
    op = Operator(name, type_rule(result, support), lowering(rule, result), gradient, kept, grad_name)

    def function(input: Any, *, out: Any = None) -> Any:
        y = method(tensor_argument(called, input))
        if out is not None:
            if check_out is not None and y._ty.dtype.is_complex >= input._ty.dtype.is_complex:
                check_out(y, out)  # what became real is stored as any dtype that can hold it
            into(y, out, called)
            return out
        return y

    def method(self: Any) -> Any:
        if not self._ty.shape:
            y = function_at_once(op, self)
            if y is not None:
                return y
        return call(op, (self,))

    def inplace_form(input: Any) -> Any:
        return written(op, tensor_argument(name + "_", input))

    doc = described(name, result, kinds, False, _other(errors), lists == ("special",))
    public(name, function, method, aliases, lists, doc)
    if inplace:
        public(name + "_", inplace_form, inplace_form, [a + "_" for a in aliases], lists, in_place(name))
    return op


def same_dtype(result: Any, out: Any) -> None:
    """Refuses an ``out`` of another dtype than the result."""
    if isinstance(out, TensorBase) and out._ty.dtype is not result._ty.dtype:
        raise RuntimeError(f"Found dtype {SCALAR_NAMES[out._ty.dtype]} but expected {SCALAR_NAMES[result._ty.dtype]}")


def only_bool(name: str) -> Callable[[Any, Any], None]:
    """Refuses an ``out`` that is not bool."""

    def check(result: Any, out: Any) -> None:
        if isinstance(out, TensorBase) and out._ty.dtype is not bool_:
            raise RuntimeError(f"{name} does not support non-boolean outputs.")

    return check


def number_argument(name: str, argument: str, value: Any) -> Any:
    """``value``, which must be a number (or a tensor with one element that wants no gradient: there is none).

    Raises:
        TypeError: it is not.
    """
    if not (isinstance(value, TensorBase) and requires_grad(value)):
        value = value.item() if isinstance(value, TensorBase) else plain_number(value)
    if not is_number(value):
        raise TypeError(f"{name}(): argument '{argument}' must be Number, not {type(value).__name__}")
    return value


def tensor_argument(name: str, x: Any, argument: str = "input", position: int = 1) -> Any:
    """``x``, which must be a tensor.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(x, TensorBase):
        raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type(x).__name__}")
    return x


# in-place forms that PyTorch has as methods only
_METHOD_ONLY = frozenset(
    ["absolute_", "bitwise_not_", "digamma_", "erfinv_", "lgamma_", "logical_not_", "sgn_", "sign_"]
)
# and those with two operands that it has under torch too
_INPLACE_FUNCTIONS = frozenset(["gcd_", "lcm_", "ldexp_", "xlogy_"])


def public(
    name: str, function: Any, method: Any, aliases: Sequence[str] = (), lists: Sequence[str] = ("torch", "Tensor"),
    doc: str | None = None,
) -> None:  # fmt: skip
    """Lists a function under torch or torch.special and a method under Tensor.

    ``doc`` is their documentation where they have none of their own.
    """
    for f, place, table in (
        (function, "torch", FUNCTIONS),
        (function, "special", SPECIAL),
        (method, "Tensor", METHODS),
    ):
        if place in lists:
            f.__name__ = f.__qualname__ = name
            f.__doc__ = f.__doc__ or doc or f"``{name}`` elementwise ({link(name)})."
            for n in (name, *aliases):
                if place != "torch" or n not in _METHOD_ONLY:
                    g = f if n == name else renamed(f, n)
                    table[n] = explained_function(g, n) if place == "torch" else g


def in_place(name: str) -> str:
    """The documentation of the in-place form of an operator."""
    return (
        f"``{name}`` written into the tensor, which is given back.\n\n"
        "Raises:\n"
        "    RuntimeError: the result has a dtype or shape that does not fit, or the tensor is a leaf that needs grad."
    )


def _other(errors: dict[str, tuple[type, str]] | None) -> list[str]:
    return [kind for kind, (error, _) in (errors or {}).items() if error is RuntimeError]


# ---- two operands


def binary(
    name: str, rule: Lower | str, vjp: Callable[..., Any] | None = None, *, saves: Sequence[Any] = (),
    result: str = "same", kinds: str = "buifc", kernel: str = "", errors: dict[str, tuple[type, str]] | None = None,
    aliases: Sequence[str] = (), inplace: bool = True, numbers: str = "other", grad_names: Sequence[str] = (),
    lists: Sequence[str] = ("torch", "Tensor"), check: Callable[[Any, Any], None] | None = None,
) -> Operator:  # fmt: skip
    """Declares an elementwise operator of two operands and lists ``name`` and ``name_``.

    ``saves`` is in the form of ``Operator.saves``; ``vjp(f, g)`` gives two gradients. ``numbers`` says which
    operands may be Python numbers: "", "other", "self other" (in the function only), "any" (both at once).
    ``grad_names`` are
    the names of the backward nodes for two tensors, for a number as the second and as the first operand.
    ``check(x, y)`` is called first. The rest is as for ``unary``.
    """
    support = Support(kernel or f"{name}_cpu", kinds, errors)
    rules = type_rule(result, support), lowering(rule, result)
    ops = [
        Operator(name, *rules, refuse_derivative(name) if n == "NotImplemented" else vjp, tuple(saves), n)
        for n in (grad_names or (None,))
    ]
    doc = described(name, result, kinds, True, _other(errors), lists == ("special",))
    list_binary(ops, aliases, inplace, numbers, lists, check, doc)
    return ops[0]


def list_binary(
    ops: Sequence[Operator], aliases: Sequence[str] = (), inplace: bool = True, numbers: str = "other",
    lists: Sequence[str] = ("torch", "Tensor"), check: Callable[[Any, Any], None] | None = None, doc: str | None = None,
) -> None:  # fmt: skip
    """Lists the function, the method and the in-place form of an operator of two operands.

    ``ops`` are its forms for two tensors, for a number as second and as first operand (or one for all); ``doc`` is the
    functions' documentation.
    """
    op = ops[0]
    name = op.name
    called = f"special_{name}" if lists == ("special",) else name
    with_other, with_self = ops[min(1, len(ops) - 1)], ops[-1]

    plain = (int, float, bool) if numbers in ("other", "self other", "any") else ()

    def prepare(x: Any, y: Any, called: str, position: int) -> tuple[Operator, Any, Any]:
        if type(y) in plain and isinstance(x, TensorBase):
            return with_other, x, y
        if numbers == "any" and is_number(x) and is_number(y):
            x = FUNCTIONS["tensor"](x)
        x, y = operands(called, x, y, "self other" if numbers == "any" else numbers, position, len(ops) > 1)
        return (op if is_tensor(x) and is_tensor(y) else with_other if is_tensor(x) else with_self), x, y

    def function(input: Any, other: Any, *, out: Any = None) -> Any:
        form = op
        if not isinstance(input, TensorBase) or not isinstance(other, TensorBase):
            form, input, other = prepare(input, other, called, 2)
        if check is not None:
            check(input, other)
        y = call(form, (input, other))
        return y if out is None else into(y, out, called)

    def method(self: Any, other: Any) -> Any:
        form = op
        if type(other) in plain and isinstance(self, TensorBase):
            form = with_other
        elif not isinstance(other, TensorBase):
            form, self, other = prepare(self, other, name, 1)
        if check is not None:
            check(self, other)
        return call(form, (self, other))

    def inplace_form(self: Any, other: Any) -> Any:
        form = op
        if not isinstance(other, TensorBase):
            form, self, other = prepare(self, other, name + "_", 1)
        if check is not None:
            check(self, other)
        return written(form, self, other)

    public(name, function, method, aliases, lists, doc)
    if inplace and "Tensor" in lists:
        places = ("torch", "Tensor") if name + "_" in _INPLACE_FUNCTIONS else ("Tensor",)
        public(name + "_", inplace_form, inplace_form, [a + "_" for a in aliases], places, in_place(name))


def written(op: Operator, x: Any, *others: Any) -> Any:
    """``call_inplace``; that the result fits comes before the question whether there is a kernel."""
    try:
        return call_inplace(op, x, others)
    except NotImplementedError:
        if op.name in PREDICATES:
            raise
        dt = result_dtype([x._ty, *[y._ty if is_tensor(y) else ty((), weak_dtype(y), weak=True) for y in others]])
        check_result(op, ty(x._ty.shape, dt), x._ty)
        raise


def operands(name: str, x: Any, y: Any, numbers: str, position: int, overloaded: bool = False) -> tuple[Any, Any]:
    """Two operands, of which those that ``numbers`` names may be Python or NumPy numbers.

    Raises:
        TypeError: another is not a tensor, or neither is.
    """
    x, y = plain_number(x), plain_number(y)
    if (
        overloaded
        and not (_allowed(x, numbers, "self") and _allowed(y, numbers, "other"))
        or not (is_tensor(x) or is_tensor(y))
    ):
        raise TypeError(_usage(name, (x, y) if position == 2 else (y,)))
    if not isinstance(x, TensorBase) and not ("self" in numbers and is_number(x)):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    if not isinstance(y, TensorBase) and not ("other" in numbers and is_number(y)):
        raise TypeError(f"{name}(): argument 'other' (position {position}) must be Tensor, not {type(y).__name__}")
    return x, y


def _allowed(x: Any, numbers: str, which: str) -> bool:
    return is_tensor(x) or which in numbers and is_number(x)


def _usage(name: str, given: Sequence[Any]) -> str:
    """PyTorch's error for arguments that fit none of the forms with a tensor or a number."""
    got = ", ".join("Tensor" if is_tensor(x) else type(x).__name__ for x in given)
    forms = ("Tensor input, Tensor other, *, Tensor out = None", "Tensor input, Number other, *, Tensor out = None")
    lines = forms if len(given) == 2 else ("Tensor other", "Number other")
    return f"{name}() received an invalid combination of arguments - got ({got}), but expected one of:\n" + "".join(
        f" * ({f})\n" for f in lines
    )


def plain_number(x: Any) -> Any:
    """NumPy's numbers as Python's, anything else as it is."""
    return x.item() if isinstance(x, np.generic) and not isinstance(x, (float, complex)) else x


def reflected(f: Callable[..., Any], arrays: bool = False) -> Callable[..., Any]:
    """An operator method that answers NotImplemented to operands that are neither tensors nor numbers.

    With ``arrays`` NumPy's arrays count as tensors.
    """

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, OPERANDS):
            other = _as_operand(other, arrays)
            if other is NotImplemented:
                return NotImplemented
        return f(self, other)

    return method


def _as_operand(x: Any, arrays: bool) -> Any:
    """NumPy's numbers count as Python's."""
    if isinstance(x, np.generic) and x.dtype.kind in "buifc":
        return x.item()
    return FUNCTIONS["tensor"](x) if arrays and isinstance(x, np.ndarray) else NotImplemented


def no_gradient(f: Any, g: Any) -> tuple[Any, Any]:
    """Zeros: the result is constant between its steps, whose places do not count."""
    gx, gy = [g.new_zeros(t.shape) if t is not None and f.needs(i) else None for i, t in enumerate(f.ins)]
    return gx, gy


def refuse_derivative(name: str) -> Callable[..., Any]:
    """The gradient of an operator that PyTorch does not differentiate."""

    def vjp(f: Any, *grads: Any) -> Any:
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return vjp


def check_divisor(x: Any, y: Any) -> None:
    """Integer division by zero.

    Raises:
        RuntimeError: ``ZeroDivisionError``, as PyTorch says.
    """
    if isinstance(y, float) or not isinstance(y, TensorBase) and (-128 < y < 0 or 0 < y < 128):
        return
    tys = [v._ty for v in (x, y) if isinstance(v, TensorBase)]
    kinds = {t.dtype.kind for t in tys}
    if kinds & {"f", "c"} or isinstance(x, (float, complex)) or (kinds == {"b"} and len(tys) == 2):
        return
    if isinstance(y, TensorBase):
        zero = not bool(values_to_check(y).all())
    else:  # a number loses the bits for which the dtype has no place
        zero = int(y) % 2 ** (8 * tys[0].dtype.itemsize) == 0
    if zero and all(t.numel for t in tys):
        raise RuntimeError("ZeroDivisionError")
