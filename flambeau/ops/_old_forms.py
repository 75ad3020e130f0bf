"""Calls in forms that PyTorch keeps for old programs: numbers before the tensors, as in ``x.add_(-lr, grad)``.

The functions take what is too much as ``*old`` and come here with it, so calls in today's form cost nothing more.
"""

from __future__ import annotations

import warnings
from typing import Any

from ..dtypes import dtype
from ..graph.tensor_base import TensorBase
from ._checks import refuse_out_dtype
from ._registry import is_number, is_tensor
from ._warned import repeating

_warned: list[str] = []  # PyTorch warns of the first such call of a program only


def _number(x: Any) -> bool:
    return is_number(x) or (is_tensor(x) and x._ty.ndim == 0)


def _check(name: str, args: tuple[Any, ...], kw: dict[str, Any], numbers: tuple[int, ...]) -> None:
    """Raises unless there are numbers at the places ``numbers``, tensors at the others, and no ``kw`` besides.

    Raises:
        TypeError: the arguments have no old form either.
    """
    fits = all(_number(x) if k in numbers else isinstance(x, TensorBase) for k, x in enumerate(args))
    if not fits:
        raise TypeError(f"{name}() takes {2 if len(args) < 4 else 3} positional arguments but {len(args)} were given")
    if kw:
        raise TypeError(f"{name}() received an invalid combination of arguments - got unrecognized keyword arguments: "
                        f"{', '.join(kw)}")  # fmt: skip


def _warn(name: str, old: list[str], new: list[str], numbers: list[str]) -> None:
    if _warned and not repeating[0]:
        return
    _warned.append(name)
    written = name.endswith("_")
    first, last = ([], []) if written else (["Tensor input"], ["Tensor out = None"])
    old = old if not written else [p for p in old if p != "Tensor input"]
    before = ", ".join([*old, *(["*", *last] if last else [])])
    after = ", ".join([*first, *new, "*", *(f"Number {n} = 1" for n in numbers), *last])
    warnings.warn(
        f"This overload of {name} is deprecated:\n\t{name}({before})\n"
        f"Consider using one of the following signatures instead:\n\t{name}({after})",
        stacklevel=4,
    )


def factor_of_the_last(name: str, args: tuple[Any, ...], **kw: Any) -> tuple[Any, ...]:
    """``(input, other, alpha)`` of ``add(input, alpha, other)``."""
    if len(args) != 3:
        raise TypeError(f"{name}() takes 2 positional arguments but {len(args)} were given")
    _check(name, args, kw, (1,))
    _warn(name, ["Tensor input", "Number alpha", "Tensor other"], ["Tensor other"], ["alpha"])
    return args[0], args[2], args[1]


def factor_of_two(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """``(input, tensor1, tensor2, value)`` of ``addcmul(input, value, tensor1, tensor2)``."""
    if len(args) != 4:
        raise TypeError(f"{name}() takes 3 positional arguments but {len(args)} were given")
    _check(name, args, {}, (1,))
    tensors = ["Tensor tensor1", "Tensor tensor2"]
    _warn(name, ["Tensor input", "Number value", *tensors], tensors, ["value"])
    return args[0], args[2], args[3], args[1]


def factors_of_both(name: str, args: tuple[Any, ...], tensors: str) -> tuple[Any, ...]:
    """``(input, a, b, beta, alpha)`` of ``addmm(beta, input, alpha, a, b)`` or ``input.addmm(beta, alpha, a, b)``.

    ``alpha`` may be left out; ``tensors`` names a and b.
    """
    refuse_out_dtype(name, args[-1] if isinstance(args[-1], dtype) else None)
    if len(args) not in (4, 5):
        raise TypeError(f"{name}() takes 3 positional arguments but {len(args)} were given")
    method = is_tensor(args[0]) and args[0]._ty.ndim > 0
    at = 0 if method else 1
    numbers = (1 - at,) if len(args) == 4 else (1 - at, 2)
    _check(name, args, {}, numbers)
    new = [f"Tensor {n}" for n in tensors.split()]
    given = ["Number beta", "Tensor input"] + ["Number alpha"] * (len(args) == 5)
    _warn(name, [*given, *new], new, ["beta", "alpha"])
    return args[at], args[-2], args[-1], args[1 - at], args[2] if len(args) == 5 else 1
