"""Functions of lists of tensors (``torch._foreach_add`` and the like), which optimizers and averages of weights call.

Each is a loop of calls: what they record becomes one program in any case. A name with a trailing underscore writes
into the tensors and gives the list back, the others give a tuple of new tensors.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

from ..graph.tensor_base import TensorBase
from ._registry import FUNCTIONS
from ._signatures import type_name
from .norms import vector_norm

# What one tensor does in ``_foreach_<name>(self)``: the method of this name, and with "_" the one that writes.
UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal round "
    "rsqrt sigmoid sign sin sinh sqrt tan tanh trunc"
)
# ... and in ``_foreach_<name>(self, other)``, for a name of another method that one.
BINARY = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "div", "pow": "pow", "clamp_max": "clamp_max",
    "clamp_min": "clamp_min", "maximum": "clamp_min", "minimum": "clamp_max",
}  # fmt: skip
WITH_ALPHA = ("add", "sub")
OPERAND_NAMES = ("other", "scalar", "scalars", "exponent")  # of the second operand, by its kind


def _tensors(name: str, x: Any, argument: str = "self", position: int = 1) -> Sequence[Any]:
    """``x`` as a list of tensors.

    Raises:
        TypeError: it is something else.
        RuntimeError: it is empty.
    """
    if not isinstance(x, (list, tuple)):
        raise TypeError(
            f"{name}(): argument '{argument}' (position {position}) must be tuple of Tensors, not {type_name(x)}"
        )
    for k, t in enumerate(x):
        if not isinstance(t, TensorBase):
            raise TypeError(f"expected Tensor as element {k} in argument {position - 1}, but got {type_name(t)}")
    if not x:
        raise RuntimeError("Tensor list must have at least one tensor.")
    return x


def _equally_many(xs: Sequence[Any], ys: Sequence[Any]) -> Sequence[Any]:
    """``ys``, refused if there are more or fewer than ``xs``."""
    if len(xs) != len(ys):
        raise RuntimeError(f"Tensor lists must have the same number of tensors, got {len(xs)} and {len(ys)}")
    return ys


def _operands(name: str, xs: Sequence[Any], y: Any, position: int = 2) -> Sequence[Any]:
    """The operand of each of ``xs``: of a list its elements, of a number or a 0-dim tensor the same for all."""
    if isinstance(y, TensorBase):
        if y.dim():
            raise RuntimeError(
                f"scalar tensor expected to be 0 dim but it has {y.dim()} dimensions and {y.numel()} elements."
            )
        return [y] * len(xs)
    if isinstance(y, numbers.Number):
        return [y] * len(xs)
    if not isinstance(y, (list, tuple)):
        raise TypeError(
            f"{name}(): argument {position} must be a number, a Tensor or a list of them, not {type_name(y)}"
        )
    if y and isinstance(y[0], TensorBase):
        return _equally_many(xs, _tensors(name, y, "other", position))
    return _numbers(xs, y)


def _numbers(xs: Sequence[Any], scalars: Sequence[Any]) -> Sequence[Any]:
    if len(xs) != len(scalars):
        raise RuntimeError("Tensor list must have same number of elements as scalar list.")
    return scalars


def _packed_numbers(xs: Sequence[Any], value: Any) -> Sequence[Any]:
    """The factor of each of ``xs`` in ``addcmul`` and ``addcdiv``: a number, a list, or a 1-dim tensor of them."""
    if isinstance(value, TensorBase):
        if value.dim() != 1:
            raise RuntimeError(f"Expected packed scalar Tensor to be of dimension 1. Got {value.dim()} instead.")
        if len(value) != len(xs):
            raise RuntimeError(
                f"Expected length of scalars to match input of length {len(xs)} but got {len(value)} instead."
            )
        return value.tolist()
    return _numbers(xs, value) if isinstance(value, (list, tuple)) else [value] * len(xs)


def _list(name: str, f: Callable[..., Any], doc: str) -> None:
    """Lists ``f`` as ``torch.<name>``."""
    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    FUNCTIONS[name] = f


def _in_both_ways(name: str, define: Callable[[str, str, bool], Any], method: str, doc: str) -> None:
    """Lists ``torch._foreach_<name>``, and the one that writes into its tensors."""
    for suffix, way in (("", "New tensors: "), ("_", "In place: ")):
        full = f"_foreach_{name}{suffix}"
        _list(full, define(full, method + suffix, bool(suffix)), way + doc)


def _given(self: Any, results: Sequence[Any], inplace: bool) -> Any:
    return self if inplace else tuple(results)


# ---- one list


def _unary(full: str, method: str, inplace: bool) -> Callable[..., Any]:
    def f(self: Any) -> Any:
        return _given(self, [getattr(x, method)() for x in _tensors(full, self)], inplace)

    return f


for _name in UNARY.split():
    _in_both_ways(_name, _unary, _name, f"``{_name}`` of each tensor of a list.")


# ---- a list and an operand


def _second_operand(full: str, args: tuple[Any, ...], kw: dict[str, Any]) -> Any:
    """What is combined with the list, given by position or under one of its names.

    Raises:
        TypeError: it is missing, or something else is given too.
    """
    given = list(args) + [kw.pop(name) for name in OPERAND_NAMES if name in kw]
    if len(given) != 1 or kw:
        raise TypeError(f"{full}() takes a list of tensors and one operand, got {len(given)} operands and {sorted(kw)}")
    return given[0]


def _binary(full: str, method: str, inplace: bool) -> Callable[..., Any]:
    def f(self: Any, *args: Any, **kw: Any) -> Any:
        alpha = {"alpha": kw.pop("alpha")} if "alpha" in kw and method.rstrip("_") in WITH_ALPHA else {}
        other = _second_operand(full, args, kw)
        if full == "_foreach_pow" and isinstance(self, numbers.Number):
            return tuple([FUNCTIONS["pow"](self, x) for x in _tensors(full, other, "exponent", 2)])
        xs = _tensors(full, self)
        return _given(self, [getattr(x, method)(y, **alpha) for x, y in zip(xs, _operands(full, xs, other))], inplace)

    return f


for _name, _method in BINARY.items():
    _in_both_ways(_name, _binary, _method, f"``{_name}`` of each tensor of a list and its operand.")


# ---- three lists


def _lerp(full: str, method: str, inplace: bool) -> Callable[..., Any]:
    def f(self: Any, tensors1: Any, weight: Any = None, *, weights: Any = None) -> Any:
        xs = _tensors(full, self)
        ends = _equally_many(xs, _tensors(full, tensors1, "tensors1", 2))
        parts = _operands(full, xs, weights if weight is None else weight, 3)
        return _given(self, [getattr(x, method)(y, w) for x, y, w in zip(xs, ends, parts)], inplace)

    return f


_in_both_ways("lerp", _lerp, "lerp", "each tensor of a list moved towards that of another by a weight.")


def _with_factor(full: str, method: str, inplace: bool) -> Callable[..., Any]:
    def f(self: Any, tensor1: Any, tensor2: Any, value: Any = 1, *, scalars: Any = None) -> Any:
        xs = _tensors(full, self)
        firsts = _equally_many(xs, _tensors(full, tensor1, "tensor1", 2))
        seconds = _equally_many(xs, _tensors(full, tensor2, "tensor2", 3))
        factors = _packed_numbers(xs, value if scalars is None else scalars)
        rows = zip(xs, firsts, seconds, factors)
        return _given(self, [getattr(x, method)(y, z, value=v) for x, y, z, v in rows], inplace)

    return f


for _name in ("addcmul", "addcdiv"):
    _in_both_ways(_name, _with_factor, _name, f"``{_name}`` of the tensors of three lists, with a factor or one each.")


# ---- others


def _zero_(self: Any) -> Any:
    return _given(self, [x.zero_() for x in _tensors("_foreach_zero_", self)], True)


def _copy_(self: Any, src: Any, non_blocking: bool = False) -> Any:
    xs = _tensors("_foreach_copy_", self)
    ys = _equally_many(xs, _tensors("_foreach_copy_", src, "src", 2))
    return _given(self, [x.copy_(y, non_blocking) for x, y in zip(xs, ys)], True)


def _clone(self: Any, *, memory_format: Any = None) -> tuple[Any, ...]:
    return tuple([x.clone(memory_format=memory_format) for x in _tensors("_foreach_clone", self)])


def _mm(self: Any, mat2: Any) -> tuple[Any, ...]:
    xs = _tensors("_foreach_mm", self)
    return tuple([x.mm(y) for x, y in zip(xs, _equally_many(xs, _tensors("_foreach_mm", mat2, "mat2", 2)))])


def _max(self: Any) -> tuple[Any, ...]:
    return tuple([x.max() for x in _tensors("_foreach_max", self)])


def _norm(self: Any, ord: float = 2, dtype: Any = None) -> tuple[Any, ...]:
    return tuple([vector_norm(x, ord, dtype=dtype) for x in _tensors("_foreach_norm", self)])


def _powsum(self: Any, ord: float = 2, dtype: Any = None) -> tuple[Any, ...]:
    return tuple([x.abs().pow(ord).sum(dtype=dtype) for x in _tensors("_foreach_powsum", self)])


_list("_foreach_zero_", _zero_, "Fills each tensor of a list with zeros.")
_list("_foreach_copy_", _copy_, "Copies each tensor of ``src`` into that of a list.")
_list("_foreach_clone", _clone, "A copy of each tensor of a list.")
_list("_foreach_mm", _mm, "The products of the matrices of two lists.")
_list("_foreach_max", _max, "The largest element of each tensor of a list.")
_list("_foreach_norm", _norm, "The vector norm of order ``ord`` of each tensor of a list.")
_list("_foreach_powsum", _powsum, "The sum of the ``ord``-th powers of the sizes in each tensor of a list.")
