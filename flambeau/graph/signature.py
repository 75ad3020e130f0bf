"""What a graph computes, as bytes that are the same in every process: the name of its program on disk.

An operator is known by its name and its lowering: a function of this package with what it closes over, which the hash
of the package's source covers. Whatever cannot be told in this way (functions of users, objects) has no signature.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

from ..dtypes import dtype, get_default_dtype
from .node import LEAF, Node, Operator
from .types import Ty

PACKAGE = __name__.partition(".")[0] + "."


class UnknownError(Exception):
    """Something has no signature."""


_PLAIN = frozenset([int, float, complex, bool, str, bytes, type(None)])
_operators: dict[Operator, str] = {}


def signature(order: Sequence[Node], roots: Sequence[Node], place: dict[int, int]) -> str | None:
    """The text of a graph; None if it has none.

    Args:
        order: its nodes, inputs before users.
        roots: its results.
        place: the numbers of inputs whose ordinals are the process's own.
    """
    number = {node: k for k, node in enumerate(order)}
    parts = [get_default_dtype().name]
    try:
        types = {t: _text(t) for t in {node.ty for node in order}}
        operators: dict[Operator, int] = {}
        for node in order:
            attrs = place.get(node.attrs, node.attrs) if node.op is LEAF else node.attrs
            ins = ",".join([str(number[i]) for i in node.ins])
            which = operators.setdefault(node.op, len(operators))
            parts.append(f"{which}({ins}){_text(attrs)}:{types[node.ty]}")
        parts += map(_operator, operators)
    except (UnknownError, RecursionError):  # the latter from objects that lead to themselves
        return None
    parts.append(",".join([str(number[r]) for r in roots]))
    return "\n".join(parts)


def text_of(parts: Sequence[Any]) -> str | None:
    """The text of operators and constants; None if it has none."""
    operators: dict[Operator, int] = {}
    found = [get_default_dtype().name]
    try:
        for x in parts:
            kind = type(x)
            if kind is int:
                found.append(repr(x))
            elif kind is Operator:
                found.append(f"operator {operators.setdefault(x, len(operators))}")
            else:
                found.append(_text(x))
        found += map(_operator, operators)
    except (UnknownError, RecursionError):
        return None
    return "\n".join(found)


def _operator(op: Operator) -> str:
    found = _operators.get(op)
    if found is None:
        found = _operators[op] = f"{op.name} {_text(op.lower)}"
    return found


def _text(x: Any) -> str:
    """A constant's text, which tells it from all others.

    Raises:
        UnknownError: there is none.
    """
    kind = type(x)
    if kind in _PLAIN or kind is tuple and _PLAIN.issuperset(map(type, x)):
        return repr(x)
    if kind is dtype:
        return x.name
    if kind is Ty:
        return f"{x.dtype.name}{x.shape}{x.strides}{x.offset}{x.weak:d}"
    if isinstance(x, (tuple, list)):
        return f"{kind.__name__}({','.join([_text(y) for y in x])})"
    if kind is dict:
        return f"dict({','.join([f'{_text(k)}={_text(y)}' for k, y in x.items()])})"
    if kind is FunctionType:
        return _function(x)
    if kind is partial:
        return f"partial({_text(x.func)},{_text(x.args)},{_text(x.keywords)})"
    if kind is Operator:  # what an object of this package knows; it is told by its own lowering where it is called
        return f"operator {x.name}"
    if kind is MethodType:
        return f"{_text(x.__self__)}.{_text(x.__func__)}"
    if kind in (type, BuiltinFunctionType):
        return f"{x.__module__}.{x.__qualname__}"
    if _is_own(kind) and hasattr(x, "__dict__"):
        return f"{kind.__module__}.{kind.__qualname__}{_text(vars(x))}"
    raise UnknownError(repr(kind))


def _is_own(kind: type) -> bool:
    """Is it a class of this package, whose classes may show its modules under PyTorch's names?"""
    module = sys.modules.get(kind.__module__)
    return module is not None and module.__name__.startswith(PACKAGE)


def _function(f: FunctionType) -> str:
    """A function of this package: where it is written, and the constants that it was made with."""
    if not f.__module__.startswith(PACKAGE):
        raise UnknownError(f.__module__)
    try:
        cells = tuple([cell.cell_contents for cell in f.__closure__ or ()])
    except ValueError:  # a cell that is not filled
        raise UnknownError(f.__qualname__) from None
    code = f.__code__
    own = (f.__defaults__, f.__kwdefaults__, cells)
    return f"{f.__module__}.{f.__qualname__}@{code.co_firstlineno}{_code(code)}{_text(own)}"


def _code(code: CodeType) -> str:
    """What tells two functions on the same line apart."""
    return f"{code.co_code!r}{code.co_names}{[_constant(c) for c in code.co_consts]}"


def _constant(c: Any) -> str:
    if isinstance(c, CodeType):
        return _code(c)
    return repr(sorted(map(repr, c))) if isinstance(c, frozenset) else repr(c)
