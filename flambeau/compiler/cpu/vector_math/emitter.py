"""Vector functions appended to a function under construction."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from .formats import F32, F64, WIDE
from .functions import EXACT, FUNCTIONS
from .ssa import Block, Kind, Module, Vector

ELEMENT = {"float32": "float", "float64": "double"}
ALL = FUNCTIONS | EXACT


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
            name: a key of :data:`ALL`.
            operands: SSA names or constants of ``<lanes x float>`` or ``<lanes x double>`` (a scalar for one lane).
            dtype: ``"float32"`` or ``"float64"``.
            lanes: any number of lanes; LLVM splits what is wider than the CPU's vectors.

        Raises:
            NotImplementedError: the function or the dtype is not known.
            ValueError: a wrong number of operands.
        """
        if name not in ALL or dtype not in ELEMENT:
            raise NotImplementedError(f"no vector function {name!r} for {dtype}")
        function = ALL[name]
        names = [operands] if isinstance(operands, str) else list(operands)
        if len(names) != function.arity:
            raise ValueError(f"{name} takes {function.arity} operands, got {len(names)}")
        kind = Kind(ELEMENT[dtype], lanes)
        args = [Vector(self.block, ssa, kind) for ssa in names]
        if function.outlined:
            return _call(self.block, name, args).ssa
        return _apply(name, args).ssa


def _apply(name: str, args: list[Vector]) -> Vector:
    """The function's body on vectors, through float64 where float32 is computed so."""
    function = ALL[name]
    body = getattr(import_module(f"{__package__}.{function.home}"), name)
    if args[0].kind.element == "double":
        return body(F64, *args)
    if not function.wide:
        return body(F32, *args)
    return body(WIDE, *(a.widen() for a in args)).narrow()


def _call(block: Block, name: str, args: list[Vector]) -> Vector:
    """A call of the outlined function, which is made when it is first called."""
    kind = args[0].kind
    full = f"@flambeau.{name}.{kind.suffix}"
    if not block.module.has_function(full):
        block.module.add_function(full, _define(block.module, full, name, kind))
    return block.op(f"call {kind} {full}({', '.join(f'{kind} {a.ssa}' for a in args)})", kind)


def _define(module: Module, full: str, name: str, kind: Kind) -> str:
    """The text of an outlined function."""
    names = [f"%x{i}" for i in range(ALL[name].arity)]
    lines = ["entry:"]
    block = Block(lines, module, "v")
    result = _apply(name, [Vector(block, n, kind) for n in names])
    lines.append(f"  ret {kind} {result.ssa}")
    parameters = ", ".join(f"{kind} {n}" for n in names)
    return "\n".join([f"define internal {kind} {full}({parameters}) {module.attributes} {{", *lines, "}"])
