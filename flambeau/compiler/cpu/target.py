"""The CPU that code is made for.

LLVM knows the host best, but asking it means importing llvmlite. Its answer is kept on disk under what the system
says about the processor, so a warm start asks nobody; without llvmlite, code that was made for this kind of processor
can still be run.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import re
from typing import Any

from ..._records import Record
from . import disk, machine

__all__ = ["LINE", "MissingCompiler", "Target", "binding", "compiler_version", "current", "host", "named"]

LINE = 64  # bytes of a cache line
NARROW = 512  # bytes of all vector registers, at most, of a processor with small tiles


class MissingCompiler(RuntimeError):
    """Native code is needed that nobody has compiled yet, and llvmlite is not installed."""


@functools.cache
def _enabled(features: str, signs: str) -> frozenset[str]:
    return frozenset(word[1:] for word in features.split(",") if word[:1] in signs)


class Target(Record):
    """What code is made for and by: all that its bytes depend on beside its text.

    Of `features`, LLVM may use those behind a plus; those behind a tilde are planned with alone, and LLVM takes apart
    what the processor has no instructions for.
    """

    triple: str
    cpu: str
    features: str
    llvm: str

    def has(self, feature: str) -> bool:
        """Is this LLVM feature (`avx2`, `fma`, `avx512f`, …) planned with?"""
        return feature in _enabled(self.features, "+~")

    @property
    def instructions(self) -> str:
        """The features that LLVM may use, as it takes them."""
        return ",".join(word for word in self.features.split(",") if not word.startswith("~"))

    @property
    def has_masks(self) -> bool:
        """Are AVX-512's instructions there, with lanes' masks in registers of their own?"""
        return "avx512f" in _enabled(self.features, "+")

    def splits_masks(self, lanes: int) -> bool:
        """Does LLVM split masked vectors of so many lanes?"""
        is_apart = "avx2" in _enabled(self.features, "+") and not self.has_masks
        return is_apart and lanes * 4 > (16 if self.vector_bytes == 64 else 32)

    @property
    def is_x86(self) -> bool:
        """Is it an x86-64 processor?"""
        return self.triple.startswith(("x86_64", "amd64"))

    @property
    def makes_elf(self) -> bool:
        """Are object files of the format that ``loader`` puts together?"""
        return "linux" in self.triple

    @property
    def is_arm(self) -> bool:
        """Is it a 64-bit ARM processor?"""
        return self.triple.startswith(("aarch64", "arm64"))

    @property
    def vector_bytes(self) -> int:
        """How wide vectors should be: 64, 32 or 16 bytes."""
        if all(map(self.has, ("avx512f", "avx512bw", "avx512dq", "avx512vl"))):
            return 64
        return 32 if self.has("avx2") and self.has("fma") else 16

    @property
    def samples(self) -> int:
        """How many samples of a tiled batch are a chunk: a vector of float32, or 8.

        Half as many are twice as many chunks, where threads on cores of unequal speed share few.
        """
        return max(8, self.vector_bytes // 4)

    @property
    def vector_registers(self) -> int:
        """How many vector registers there are."""
        return 32 if self.is_arm or self.vector_bytes == 64 else 16

    @property
    def is_narrow(self) -> bool:
        """Are tiles of products so small that they read a single cache line of each row?"""
        return self.vector_registers * self.vector_bytes <= NARROW

    @property
    def fma(self) -> bool:
        """Does one instruction multiply and add with one rounding?"""
        return self.is_arm or self.has("fma")

    @property
    def rounds(self) -> bool:
        """Are there instructions that round to integers?"""
        return self.is_arm or self.has("sse4.2")

    @property
    def key(self) -> str:
        """All of it as one text, for cache keys."""
        return "\n".join(self)


# What $FLAMBEAU_CPU may name: LLVM's CPU and features, and the words in which the system says that it has them.
# avx512-emulated is planned as avx512, so that what it computes can be tested where only AVX2 is.
NAMED = {
    "sse2": ("x86-64", "+sse2", ()),
    "sse4": ("x86-64-v2", "+sse2,+sse4.2", ("sse4_2",)),
    "avx2": ("x86-64-v3", "+sse2,+sse4.2,+avx2,+fma,+f16c,+bmi2", ("avx2", "fma", "f16c")),
    "avx512": (
        "x86-64-v4",
        "+sse2,+sse4.2,+avx2,+fma,+f16c,+bmi2,+avx512f,+avx512bw,+avx512dq,+avx512vl",
        ("avx512f", "avx512bw", "avx512dq", "avx512vl"),
    ),
    "avx512-emulated": (
        "x86-64-v3",
        "+sse2,+sse4.2,+avx2,+fma,+f16c,+bmi2,~avx512f,~avx512bw,~avx512dq,~avx512vl",
        ("avx2", "fma", "f16c"),
    ),
    "neon": ("generic", "+neon", ()),
}


@functools.cache
def binding() -> Any:
    """llvmlite's binding, ready to make code for this machine.

    Raises:
        MissingCompiler: llvmlite is not installed.
    """
    try:
        import llvmlite.binding as llvm
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "llvmlite":
            raise
        raise MissingCompiler("native code needs llvmlite: pip install llvmlite") from error
    # Looking for better loop counters takes LLVM a fifth of its time and finds none that make kernels faster.
    llvm.set_option("", "-disable-lsr")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    return llvm


@functools.cache
def compiler_version() -> str:
    """llvmlite's version, read without importing it; empty when it is not installed."""
    spec = importlib.util.find_spec("llvmlite")
    if spec is None or spec.origin is None:
        return ""
    found = _written_version(os.path.join(os.path.dirname(spec.origin), "_version.py"))
    return found or importlib.import_module("llvmlite").__version__


def _written_version(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(r"version_version = '([^']+)'", file.read())
    except OSError:
        return ""
    return "" if found is None else found[1]


def _asked() -> Target:
    """The host, by LLVM."""
    llvm = binding()
    version = ".".join(map(str, llvm.llvm_version_info))
    features = llvm.get_host_cpu_features().flatten()
    return Target(llvm.get_process_triple(), llvm.get_host_cpu_name(), features, f"{version} {compiler_version()}")


def _fingerprint(version: str) -> str:
    """The name under which LLVM's answer for this kind of processor is kept."""
    words = " ".join(sorted(machine.cpu_words()))
    return disk.key_of("host", platform.system(), platform.machine(), machine.cpu_model(), words, version)


def host(store: disk.Disk) -> Target:
    """This machine: as remembered in `store`, else as LLVM says.

    Raises:
        MissingCompiler: neither is there.
    """
    name = _fingerprint(compiler_version())
    known = store.get(name)
    if known is not None:
        return Target(*known.decode().split("\n"))
    found = _asked()
    for key in (name, _fingerprint("")):
        store.put(key, found.key.encode())
    return found


def named(name: str, base: Target) -> Target:
    """A processor of $FLAMBEAU_CPU's list (sse2, avx2, avx512, neon, …), of the same system as `base`.

    Raises:
        ValueError: the name is unknown, or this processor cannot run such code.
    """
    if name not in NAMED or (name == "neon") != base.is_arm:
        fitting = [known for known in NAMED if (known == "neon") == base.is_arm]
        raise ValueError(f"FLAMBEAU_CPU={name}: expected one of {', '.join(fitting)}")
    cpu, features, needed = NAMED[name]
    words = machine.cpu_words()
    missing = [word for word in needed if words and word not in words]
    if missing:
        raise ValueError(f"FLAMBEAU_CPU={name}: this processor lacks {', '.join(missing)}")
    return Target(base.triple, cpu, features, base.llvm)


def current(store: disk.Disk) -> Target:
    """What this process makes code for: the host, or the processor that $FLAMBEAU_CPU names."""
    found = host(store)
    name = os.environ.get("FLAMBEAU_CPU")
    return named(name, found) if name else found
