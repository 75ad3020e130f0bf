"""Compiles vector functions as loops over arrays, for the tests and the benchmark."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from flambeau.compiler.cpu.vector_math import EXACT, FUNCTIONS
from flambeau.compiler.cpu.vector_math.emitter import VectorMath
from flambeau.compiler.cpu.vector_math.ssa import Module

ELEMENT = {"float32": "float", "float64": "double"}
ARITY = {name: f.arity for name, f in (FUNCTIONS | EXACT).items()}


@dataclass(frozen=True)
class Machine:
    """A CPU to compile for; ``vector`` is the size of its vectors in bytes."""

    name: str
    cpu: str
    features: str
    vector: int
    fma: bool
    scalef: bool = False


SSE2 = Machine("sse2", "x86-64", "", 16, False)
SSE4 = Machine("sse4", "x86-64-v2", "", 16, False)
AVX2 = Machine("avx2", "x86-64-v3", "", 32, True)
AVX512 = Machine("avx512", "x86-64-v4", "", 64, True, True)
NEON = Machine("neon", "cortex-a72", "+neon", 16, True)


def _needs(machine: Machine) -> frozenset[str]:
    return {"avx2": frozenset({"avx2", "fma"}), "avx512": frozenset({"avx512f", "avx512vl", "avx512dq"})}.get(
        machine.name, frozenset()
    )


@functools.cache
def runnable() -> list[Machine]:
    """The x86 machines that this processor can play; [] on another architecture."""
    import llvmlite.binding as llvm

    if not llvm.get_process_triple().startswith("x86_64"):
        return []
    features = llvm.get_host_cpu_features()
    return [m for m in (AVX512, AVX2, SSE4, SSE2) if all(features.get(name) for name in _needs(m))]


def attributes(machine: Machine) -> str:
    """What every function of a module for the machine says to LLVM."""
    width = f'"prefer-vector-width"="{machine.vector * 8}" "min-legal-vector-width"="{machine.vector * 8}"'
    return f"nounwind {width}" if machine.vector == 64 else "nounwind"


def loop_text(name: str, dtype: str, lanes: int, machine: Machine) -> str:
    """A module with ``void f(ptr x0, .., ptr y, i64 n)``; n is a multiple of the lanes."""
    module = Module(fma=machine.fma, scalef=machine.scalef, attributes=attributes(machine))
    element = ELEMENT[dtype]
    vector = element if lanes == 1 else f"<{lanes} x {element}>"
    arity = ARITY[name]
    lines: list[str] = []
    for i in range(arity):
        lines.append(f"  %p{i} = getelementptr {element}, ptr %x{i}, i64 %i")
        lines.append(f"  %a{i} = load {vector}, ptr %p{i}, align {4 if element == 'float' else 8}")
    result = VectorMath(lines, module).emit(name, [f"%a{i}" for i in range(arity)], dtype, lanes)
    parameters = ", ".join(f"ptr noalias %x{i}" for i in range(arity))
    head = f"define void @f({parameters}, ptr noalias %y, i64 %n) {module.attributes} {{\nentry:\n  br label %loop"
    tail = f"""  %q = getelementptr {element}, ptr %y, i64 %i
  store {vector} {result}, ptr %q, align {4 if element == "float" else 8}
  %next = add i64 %i, {lanes}
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}}"""
    return "\n".join([module.text(), head, "loop:\n  %i = phi i64 [ 0, %entry ], [ %next, %loop ]", *lines, tail])


@functools.lru_cache(maxsize=1)
def _llvm() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def _engine(text: str, machine: Machine) -> Any:
    llvm = _llvm()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=2, jit=True
    )
    module = llvm.parse_assembly(text)
    module.verify()
    engine = llvm.create_mcjit_compiler(module, target)
    engine.finalize_object()
    return engine


Array = Any


def lanes_of(machine: Machine, dtype: str) -> int:
    """How many elements the machine's vectors hold."""
    return machine.vector // np.dtype(dtype).itemsize


@functools.lru_cache(maxsize=512)
def native(name: str, dtype: str, machine: Machine, lanes: int | None = None) -> Callable[..., None]:
    """The machine code; takes addresses of arguments and result, and the number of elements, a multiple of lanes."""
    engine = _engine(loop_text(name, dtype, lanes or lanes_of(machine, dtype), machine), machine)
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (ARITY[name] + 1), ctypes.c_int64)
    function = kind(engine.get_function_address("f"))
    function.engine = engine  # the code is there as long as this is
    return function


def compiled(name: str, dtype: str, machine: Machine, lanes: int | None = None) -> Callable[..., Array]:
    """The function on arrays of any length."""
    step = lanes or lanes_of(machine, dtype)
    f = native(name, dtype, machine, step)

    def call(*args: Array) -> Array:
        n = args[0].size
        room = -(-n // step) * step
        padded = [np.resize(np.ascontiguousarray(a, dtype), room) for a in args]
        y = np.empty(room, dtype)
        f(*[a.ctypes.data for a in padded], y.ctypes.data, room)
        return y[:n]

    return call


PRECISION = {"float32": (24, -126, 128), "float64": (53, -1022, 1024)}


def ulps(y: Array, reference: Array, dtype: str, low: Array | float = 0.0) -> Array:
    """The errors of ``y`` in units of the last place of ``reference + low``, which is of higher precision.

    Infinity counts as the first number that is too large. Where only one of the two is NaN, or zeros differ in sign,
    the error is infinite.
    """
    precision, smallest, largest = PRECISION[dtype]
    number = reference.dtype.type
    with np.errstate(all="ignore"):
        exponent = np.frexp(np.where(np.isfinite(reference), reference, 1))[1] - 1
        unit = np.ldexp(number(1), np.maximum(exponent, smallest) - precision + 1)
        a, b = (_bounded(v.astype(reference.dtype), largest) for v in (y, reference))
        error = np.abs((a - b) / unit - low / unit)
        error = np.where(a == b, np.abs(low / unit), error)
    error = np.where(np.isnan(y) | np.isnan(reference), np.where(np.isnan(y) & np.isnan(reference), 0, np.inf), error)
    return np.where((y == 0) & (reference == 0) & (np.signbit(y) != np.signbit(reference)), np.inf, error)


def _bounded(v: Array, largest: int) -> Array:
    """What is too large as 2^largest, if the format can hold that."""
    limit = np.ldexp(v.dtype.type(1), largest)
    return np.where(np.abs(v) > limit, np.copysign(limit, v), v) if np.isfinite(limit) else v
