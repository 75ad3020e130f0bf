"""Vector functions appended to a function under construction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...._records import Record
from . import (
    algebraic,
    error_function,
    exponential,
    inverse_error_function,
    inverse_hyperbolic,
    inverse_trigonometric,
    logarithm,
    power,
    trigonometric,
)
from .formats import F32, F64, WIDE, Format
from .ssa import Block, Kind, Module, Vector

ELEMENT = {"float32": "float", "float64": "double"}


class Function(Record):
    """One vector function: its body, the number of its operands, and the arithmetic of its float32 form.

    ``outlined``: it has branches, so it is emitted once as an internal function and called.
    """

    body: Callable[..., Vector]
    arity: int = 1
    float32: Format = F32
    outlined: bool = False


FUNCTIONS: dict[str, Function] = {
    "exp": Function(exponential.exp),
    "exp2": Function(exponential.exp2),
    "expm1": Function(exponential.expm1),
    "sigmoid": Function(exponential.sigmoid),
    "tanh": Function(exponential.tanh),
    "sinh": Function(exponential.sinh),
    "cosh": Function(exponential.cosh),
    "log": Function(logarithm.log),
    "log2": Function(logarithm.log2),
    "log10": Function(logarithm.log10),
    "log1p": Function(logarithm.log1p),
    "sin": Function(trigonometric.sin, outlined=True),
    "cos": Function(trigonometric.cos, outlined=True),
    "tan": Function(trigonometric.tan, outlined=True),
    "asin": Function(inverse_trigonometric.asin),
    "acos": Function(inverse_trigonometric.acos),
    "atan": Function(inverse_trigonometric.atan),
    "atan2": Function(inverse_trigonometric.atan2, arity=2),
    "asinh": Function(inverse_hyperbolic.asinh, float32=WIDE),
    "acosh": Function(inverse_hyperbolic.acosh, float32=WIDE),
    "atanh": Function(inverse_hyperbolic.atanh, float32=WIDE),
    "erf": Function(error_function.erf),
    "erfc": Function(error_function.erfc, float32=WIDE),
    "erfinv": Function(inverse_error_function.erfinv, float32=WIDE),
    "pow": Function(power.pow, arity=2),
    "hypot": Function(algebraic.hypot, arity=2, float32=WIDE),
    "sqrt": Function(algebraic.sqrt),
    "rsqrt": Function(algebraic.rsqrt),
    "reciprocal": Function(algebraic.reciprocal),
}


class VectorMath:
    """Appends vector functions to the lines of one LLVM function.

    Everything is straight-line code, without labels, so it may stand anywhere in a block. ``sin``, ``cos`` and ``tan``
    become calls of internal functions, which :meth:`Module.text` holds together with the intrinsics' declarations.

    Args:
        lines: the function's body so far; instructions are appended.
        module: what the functions of one LLVM module share.
        prefix: values are named ``%<prefix>0``, ``%<prefix>1``, ...; unique in the function.
    """

    def __init__(self, lines: list[str], module: Module, prefix: str = "m") -> None:
        self.block = Block(lines, module, prefix)

    def emit(self, name: str, operands: str | Sequence[str], dtype: str, lanes: int) -> str:
        """Appends ``name(operands)`` and returns the result's SSA name.

        Args:
            name: a key of :data:`FUNCTIONS`.
            operands: SSA names or constants of ``<lanes x float>`` or ``<lanes x double>`` (a scalar for one lane).
            dtype: ``"float32"`` or ``"float64"``.
            lanes: any number of lanes; LLVM splits what is wider than the CPU's vectors.

        Raises:
            NotImplementedError: the function or the dtype is not known.
            ValueError: a wrong number of operands.
        """
        if name not in FUNCTIONS or dtype not in ELEMENT:
            raise NotImplementedError(f"no vector function {name!r} for {dtype}")
        function = FUNCTIONS[name]
        names = [operands] if isinstance(operands, str) else list(operands)
        if len(names) != function.arity:
            raise ValueError(f"{name} takes {function.arity} operands, got {len(names)}")
        kind = Kind(ELEMENT[dtype], lanes)
        args = [Vector(self.block, ssa, kind) for ssa in names]
        if function.outlined:
            return _call(self.block, name, args).ssa
        return _apply(function, args).ssa


def _apply(function: Function, args: list[Vector]) -> Vector:
    """The function's body on vectors, through float64 where float32 is computed so."""
    if args[0].kind.element == "double":
        return function.body(F64, *args)
    if not function.float32.wide:
        return function.body(F32, *args)
    return function.body(WIDE, *(a.widen() for a in args)).narrow()


def _call(block: Block, name: str, args: list[Vector]) -> Vector:
    """A call of the outlined function, which is made when it is first called."""
    kind = args[0].kind
    full = f"@flambeau.{name}.{kind.suffix}"
    if not block.module.has_function(full):
        block.module.add_function(full, _define(block.module, full, name, kind))
    return block.op(f"call {kind} {full}({', '.join(f'{kind} {a.ssa}' for a in args)})", kind)


def _define(module: Module, full: str, name: str, kind: Kind) -> str:
    """The text of an outlined function."""
    names = [f"%x{i}" for i in range(FUNCTIONS[name].arity)]
    lines = ["entry:"]
    block = Block(lines, module, "v")
    result = _apply(FUNCTIONS[name], [Vector(block, n, kind) for n in names])
    lines.append(f"  ret {kind} {result.ssa}")
    parameters = ", ".join(f"{kind} {n}" for n in names)
    return "\n".join([f"define internal {kind} {full}({parameters}) {module.attributes} {{", *lines, "}"])
