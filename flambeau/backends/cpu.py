"""`torch.backends.cpu`: the vector instruction set that the CPU offers."""

from __future__ import annotations

import functools
import platform

__all__ = ["get_cpu_capability"]

# What PyTorch asks for before it calls a CPU by the name on the left.
_CAPABILITIES = (
    ("AVX512", {"avx512f", "avx512bw", "avx512vl", "avx512dq", "fma"}),
    ("AVX2", {"avx2", "fma"}),
)


@functools.cache
def get_cpu_capability() -> str:
    """`"AVX512"`, `"AVX2"`, `"DEFAULT"`, or `"NO AVX"` on x86 without AVX2, by PyTorch's names."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            flags = next((set(line.split()) for line in file if line.startswith("flags")), set())
    except OSError:
        flags = set()
    for name, needed in _CAPABILITIES:
        if needed <= flags:
            return name
    return "NO AVX" if flags and platform.machine() in ("x86_64", "AMD64") else "DEFAULT"
