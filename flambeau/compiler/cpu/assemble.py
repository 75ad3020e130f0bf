"""LLVM text to object code.

The generators emit clean code with explicit vectors, so no optimisation pipeline runs: on such text it costs more time
than code generation itself and the result is no faster. Code level 2, small code model, position-independent.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import machine
from .target import Target, binding

__all__ = ["PLAIN", "CompileError", "assemble", "assemble_all", "assembly"]

# Begins a text that is plain, not clean: its helpers are put in where they are called, and memory that is nobody else's
# becomes registers.
PLAIN = "; plain\n"
_PASSES = ("sroa", "simplify_cfg")


class CompileError(RuntimeError):
    """LLVM refuses a kernel; the message holds its reason and the kernel's text."""


_idle: dict[Target, list[Any]] = {}


@contextmanager
def _code_generator(target: Target) -> Iterator[Any]:
    """A target machine of LLVM, for one thread at a time."""
    known = _idle.setdefault(target, [])
    try:
        generator = known.pop()
    except IndexError:
        generator = _create(target)
    yield generator
    known.append(generator)


def _create(target: Target) -> Any:
    llvm = binding()
    if not target.triple.startswith(llvm.get_process_triple().partition("-")[0]):
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.instructions, opt=2, reloc="pic", codemodel="small"
    )


def _numbered(text: str) -> str:
    return "\n".join(f"{number:5} {line}" for number, line in enumerate(text.splitlines(), 1))


@contextmanager
def _refusals(text: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise CompileError(f"LLVM refuses a kernel: {error}\n{_numbered(text)}") from error


@contextmanager
def _parsed(text: str, target: Target, generator: Any) -> Iterator[Any]:
    """The text as a verified module of its own context, which lives as long as the module."""
    llvm = binding()
    with _refusals(text):
        module = llvm.parse_assembly(text, llvm.create_context())
    with module:
        module.triple = target.triple
        module.data_layout = str(generator.target_data)
        with _refusals(text):
            module.verify()
        if text.startswith(PLAIN):
            _clean(module, generator)
        yield module


def _clean(module: Any, generator: Any) -> None:
    llvm = binding()
    builder = llvm.create_pass_builder(generator, llvm.create_pipeline_tuning_options(0))
    builder.getModulePassManager().run(module, builder)
    passes = llvm.create_new_module_pass_manager()
    for name in _PASSES:
        getattr(passes, f"add_{name}_pass")()
    passes.run(module, builder)


def _emitted(generator: Any, module: Any) -> bytes:
    """The module's object code.

    llvmlite lets one thread at a time into LLVM. Code generation is nearly all of the time and touches nothing but
    its own module and target machine, so it goes past that lock where llvmlite has the function to call.
    """
    ffi = binding().ffi
    function = getattr(ffi.lib.LLVMPY_TargetMachineEmitToMemory, "_cfn", None)
    if function is None:
        return generator.emit_object(module)
    with ffi.OutputString() as reason:
        buffer = function(generator, module, 1, reason)
        if not buffer:
            raise CompileError(f"LLVM generates no code: {reason}")
    try:
        return ctypes.string_at(ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer))
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


def assemble(text: str, target: Target) -> bytes:
    """The object file of an LLVM module.

    Args:
        text: LLVM assembly, without a triple or data layout.
        target: what the code is for.

    Raises:
        CompileError: LLVM refuses the text.
        MissingCompiler: llvmlite is not installed.
    """
    with _code_generator(target) as generator, _parsed(text, target, generator) as module:
        return _emitted(generator, module)


def assemble_all(texts: Sequence[str], target: Target) -> Iterator[bytes]:
    """The object files of many modules, in their order, each as soon as it is there while threads make the others.

    Arguments and errors are those of `assemble`.
    """
    threads = min(machine.available_threads(), len(texts))
    if threads < 2:
        for text in texts:
            yield assemble(text, target)
        return
    from concurrent.futures import ThreadPoolExecutor

    binding()
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(assemble, texts, [target] * len(texts))


def assembly(text: str, target: Target) -> str:
    """The same as `assemble`, as assembly code to be read."""
    with _code_generator(target) as generator, _parsed(text, target, generator) as module:
        return generator.emit_assembly(module)
