"""LLVM text for vectors, written as Python expressions: ``a * b + 1.0`` appends an ``fmul`` and an ``fadd``.

A vector of one lane is a scalar. Every operation rounds on its own; only :meth:`Block.fma` may be one instruction.
"""

from __future__ import annotations

import struct

from ...._records import Record

Number = float | int

SUFFIX = {"float": "f32", "double": "f64", "i1": "i1", "i16": "i16", "i32": "i32", "i64": "i64", "i128": "i128"}
INTEGER_OF = {"float": "i32", "double": "i64"}


class Kind(Record):
    """An LLVM type: ``lanes`` elements of ``element``."""

    element: str
    lanes: int

    def __str__(self) -> str:
        return self.element if self.lanes == 1 else f"<{self.lanes} x {self.element}>"

    @property
    def suffix(self) -> str:
        """How intrinsics name the type."""
        return SUFFIX[self.element] if self.lanes == 1 else f"v{self.lanes}{SUFFIX[self.element]}"

    @property
    def is_float(self) -> bool:
        """Is the element a floating-point number?"""
        return self.element in INTEGER_OF

    def of(self, element: str) -> Kind:
        """As many lanes of another element."""
        return Kind(element, self.lanes)

    def literal(self, value: Number) -> str:
        """The constant in every lane."""
        text = float_literal(value, self.element) if self.is_float else str(int(value))
        return text if self.lanes == 1 else f"splat ({self.element} {text})"


def float_literal(value: Number, element: str) -> str:
    """A floating-point constant as LLVM's hexadecimal of the double with that value, rounded to the element first."""
    if element == "float":
        value = struct.unpack("f", struct.pack("f", value))[0]
    return "0x" + struct.pack(">d", value).hex().upper()


class Module:
    """What functions under construction share: declarations, tables, outlined functions, and what the CPU can do.

    Args:
        fma: one instruction multiplies and adds.
        scalef: AVX-512's instructions on exponents are there, for all vector sizes (AVX512F and AVX512VL).
        attributes: of outlined functions. Give the calling functions the same: LLVM passes vectors in registers whose
            size depends on the attributes about vector width.
    """

    def __init__(self, *, fma: bool, scalef: bool = False, attributes: str = "") -> None:
        self.fma = fma
        self.scalef = scalef
        self.attributes = attributes
        self._declarations: set[str] = set()
        self._globals: dict[str, str] = {}
        self._functions: dict[str, str] = {}

    def declare(self, declaration: str) -> None:
        """Adds a declaration."""
        self._declarations.add(declaration)

    def add_global(self, name: str, text: str) -> None:
        """Adds a private constant."""
        self._globals[name] = text

    def has_function(self, name: str) -> bool:
        """Is the function defined already?"""
        return name in self._functions

    def add_function(self, name: str, text: str) -> None:
        """Adds an internal function."""
        self._functions[name] = text

    def text(self) -> str:
        """All of it, in an order that does not depend on the order of use."""
        tables = [self._globals[k] for k in sorted(self._globals)]
        functions = [self._functions[k] for k in sorted(self._functions)]
        return "\n".join([*sorted(self._declarations), *tables, *functions])


class Block:
    """Lines of a function under construction; values are named ``%<prefix>0``, ``%<prefix>1``, ..."""

    def __init__(self, lines: list[str], module: Module, prefix: str = "m") -> None:
        self.lines = lines
        self.module = module
        self.prefix = prefix
        self._count = 0

    def op(self, text: str, kind: Kind) -> Vector:
        """Appends an instruction."""
        name = f"%{self.prefix}{self._count}"
        self._count += 1
        self.lines.append(f"  {name} = {text}")
        return Vector(self, name, kind)

    def constant(self, value: Number, kind: Kind) -> Vector:
        """The value in every lane; no instruction."""
        return Vector(self, kind.literal(value), kind)

    def intrinsic(self, name: str, *args: Vector) -> Vector:
        """``llvm.<name>`` of vectors of one kind, with the result in that kind."""
        kind = args[0].kind
        full = f"@llvm.{name}.{kind.suffix}"
        self.module.declare(f"declare {kind} {full}({', '.join([str(kind)] * len(args))})")
        return self.op(f"call {kind} {full}({', '.join(f'{kind} {a.ssa}' for a in args)})", kind)

    def fma(self, a: Operand, b: Operand, c: Operand) -> Vector:
        """``a * b + c`` with one rounding where the CPU has the instruction, else with two."""
        first = next(v for v in (a, b, c) if isinstance(v, Vector))
        x, y, z = (first.same(v) for v in (a, b, c))
        return self.intrinsic("fma", x, y, z) if self.module.fma else x * y + z

    def select(self, condition: Vector, a: Operand, b: Operand) -> Vector:
        """``a`` where the condition holds, else ``b``."""
        first = next(v for v in (a, b) if isinstance(v, Vector))
        x, y = first.same(a), first.same(b)
        return self.op(f"select {condition.kind} {condition.ssa}, {x.kind} {x.ssa}, {y.kind} {y.ssa}", x.kind)


class Vector:
    """A value in a block."""

    __slots__ = ("block", "kind", "ssa")

    def __init__(self, block: Block, ssa: str, kind: Kind) -> None:
        self.block = block
        self.ssa = ssa
        self.kind = kind

    def same(self, other: Operand) -> Vector:
        """A number as a constant of this kind; a vector as it is."""
        return other if isinstance(other, Vector) else self.block.constant(other, self.kind)

    def _binary(self, float_name: str, integer_name: str, a: Operand, b: Operand) -> Vector:
        name = float_name if self.kind.is_float else integer_name
        return self.block.op(f"{name} {self.kind} {self.same(a).ssa}, {self.same(b).ssa}", self.kind)

    def __add__(self, other: Operand) -> Vector:
        return self._binary("fadd", "add", self, other)

    def __radd__(self, other: Number) -> Vector:
        return self._binary("fadd", "add", other, self)

    def __sub__(self, other: Operand) -> Vector:
        return self._binary("fsub", "sub", self, other)

    def __rsub__(self, other: Number) -> Vector:
        return self._binary("fsub", "sub", other, self)

    def __mul__(self, other: Operand) -> Vector:
        return self._binary("fmul", "mul", self, other)

    def __rmul__(self, other: Number) -> Vector:
        return self._binary("fmul", "mul", self, other)

    def __truediv__(self, other: Operand) -> Vector:
        return self._binary("fdiv", "udiv", self, other)

    def __rtruediv__(self, other: Number) -> Vector:
        return self._binary("fdiv", "udiv", other, self)

    def __and__(self, other: Operand) -> Vector:
        return self._binary("", "and", self, other)

    def __or__(self, other: Operand) -> Vector:
        return self._binary("", "or", self, other)

    def __xor__(self, other: Operand) -> Vector:
        return self._binary("", "xor", self, other)

    def __lshift__(self, other: Operand) -> Vector:
        return self._binary("", "shl", self, other)

    def __rshift__(self, other: Operand) -> Vector:
        """Zeros come in from above."""
        return self._binary("", "lshr", self, other)

    def __neg__(self) -> Vector:
        return self.block.op(f"fneg {self.kind} {self.ssa}", self.kind)

    def __invert__(self) -> Vector:
        return self ^ (1 if self.kind.element == "i1" else -1)

    def _compare(self, condition: str, other: Operand) -> Vector:
        name = "fcmp" if self.kind.is_float else "icmp"
        text = f"{name} {condition} {self.kind} {self.ssa}, {self.same(other).ssa}"
        return self.block.op(text, self.kind.of("i1"))

    def lt(self, other: Operand) -> Vector:
        """Is it less? False for NaN."""
        return self._compare("olt" if self.kind.is_float else "slt", other)

    def le(self, other: Operand) -> Vector:
        """Is it less or equal? False for NaN."""
        return self._compare("ole" if self.kind.is_float else "sle", other)

    def gt(self, other: Operand) -> Vector:
        """Is it greater? False for NaN."""
        return self._compare("ogt" if self.kind.is_float else "sgt", other)

    def ge(self, other: Operand) -> Vector:
        """Is it greater or equal? False for NaN."""
        return self._compare("oge" if self.kind.is_float else "sge", other)

    def eq(self, other: Operand) -> Vector:
        """Is it equal? False for NaN."""
        return self._compare("oeq" if self.kind.is_float else "eq", other)

    def ne(self, other: Operand) -> Vector:
        """Is it different? True for NaN."""
        return self._compare("une" if self.kind.is_float else "ne", other)

    def is_nan(self) -> Vector:
        """Is it NaN?"""
        return self.block.op(f"fcmp uno {self.kind} {self.ssa}, {self.ssa}", self.kind.of("i1"))

    def at_most(self, bound: Number) -> Vector:
        """The smaller of it and the bound; NaN stays (the form that is one ``min`` on x86)."""
        return self.block.select(self.gt(bound), bound, self)

    def at_least(self, bound: Number) -> Vector:
        """The larger of it and the bound; NaN stays."""
        return self.block.select(self.lt(bound), bound, self)

    def _convert(self, name: str, element: str) -> Vector:
        kind = self.kind.of(element)
        return self.block.op(f"{name} {self.kind} {self.ssa} to {kind}", kind)

    def bits(self) -> Vector:
        """The bit pattern as an integer."""
        return self._convert("bitcast", INTEGER_OF[self.kind.element])

    def as_float(self) -> Vector:
        """The number with this bit pattern."""
        return self._convert("bitcast", "float" if self.kind.element == "i32" else "double")

    def widen(self) -> Vector:
        """float to double."""
        return self._convert("fpext", "double")

    def narrow(self) -> Vector:
        """double to float."""
        return self._convert("fptrunc", "float")

    def zero_extend(self, element: str) -> Vector:
        """To a wider integer."""
        return self._convert("zext", element)

    def truncate(self, element: str) -> Vector:
        """To a narrower integer."""
        return self._convert("trunc", element)

    def to_float(self, element: str) -> Vector:
        """A signed integer's value."""
        return self._convert("sitofp", element)

    def abs(self) -> Vector:
        """Without its sign."""
        return self.block.intrinsic("fabs", self)

    def sqrt(self) -> Vector:
        """The square root, rounded correctly."""
        return self.block.intrinsic("sqrt", self)

    def with_sign_of(self, other: Vector) -> Vector:
        """Its magnitude with the other's sign."""
        return self.block.intrinsic("copysign", self, other)


Operand = Vector | float | int
