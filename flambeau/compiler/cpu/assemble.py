"""LLVM text to object code.

The generators emit clean code with explicit vectors, so no optimisation pipeline runs: on such text it costs more time
than code generation itself and the result is no faster. Code level 2, small code model, position-independent.
"""

from __future__ import annotations

import functools
from typing import Any

from .target import Target, binding

__all__ = ["CompileError", "assemble", "assembly"]


class CompileError(RuntimeError):
    """LLVM refuses a kernel; the message holds its reason and the kernel's text."""


@functools.lru_cache(maxsize=8)
def _machine(target: Target) -> Any:
    llvm = binding()
    if not target.triple.startswith(llvm.get_process_triple().partition("-")[0]):
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="small"
    )


def _numbered(text: str) -> str:
    return "\n".join(f"{number:5} {line}" for number, line in enumerate(text.splitlines(), 1))


def _module(text: str, target: Target) -> Any:
    """The text as a verified module of its own context."""
    llvm = binding()
    machine = _machine(target)
    try:
        module = llvm.parse_assembly(text, llvm.create_context())
        module.triple = target.triple
        module.data_layout = str(machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise CompileError(f"LLVM refuses a kernel: {error}\n{_numbered(text)}") from error
    return module


def assemble(text: str, target: Target) -> bytes:
    """The object file of an LLVM module.

    Args:
        text: LLVM assembly, without a triple or data layout.
        target: what the code is for.

    Raises:
        CompileError: LLVM refuses the text.
        MissingCompiler: llvmlite is not installed.
    """
    return _machine(target).emit_object(_module(text, target))


def assembly(text: str, target: Target) -> str:
    """The same as `assemble`, as assembly code to be read."""
    return _machine(target).emit_assembly(_module(text, target))
