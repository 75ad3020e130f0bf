"""What this machine offers: the CPU's name and features, how many threads may run on it, where caches belong."""

from __future__ import annotations

import os
import platform
import sys

__all__ = ["affinity", "available_threads", "cache_folder", "cpu_features", "cpu_model", "cpu_quota", "cpu_words"]

# The instruction sets that decide how wide generated code is, in the spelling of /proc/cpuinfo.
VECTOR_FEATURES = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "neon",
    "asimd",
    "asimdhp",
    "bf16",
    "sve",
    "sve2",
)


def _cpuinfo() -> dict[str, str]:
    """The first processor's entry of /proc/cpuinfo; empty where there is none."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            text = file.read(8192)  # the first entry is shorter, and the system makes up the rest line by line
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _sysctl(name: str) -> str:
    import subprocess

    try:
        return subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def cpu_model() -> str:
    """The processor's name as the system gives it, or the machine type."""
    info = _cpuinfo()
    name = info.get("model name") or info.get("Model") or ""
    if not name and sys.platform == "darwin":
        name = _sysctl("machdep.cpu.brand_string")
    return name or platform.processor() or platform.machine()


def cpu_words() -> frozenset[str]:
    """All that the system says the processor can do, in its own spelling; empty where it does not say."""
    info = _cpuinfo()
    words = set((info.get("flags") or info.get("Features") or "").split())
    if sys.platform == "darwin":
        words |= set(_sysctl("machdep.cpu.features").lower().replace(".", "_").split())
        words |= set(_sysctl("machdep.cpu.leaf7_features").lower().split())
    return frozenset(words)


def cpu_features() -> list[str]:
    """The vector instruction sets that the processor has, among those the code generator cares about."""
    words = cpu_words()
    return [feature for feature in VECTOR_FEATURES if feature in words]


def affinity() -> int:
    """How many processors this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _control_groups(root: str) -> dict[str, str]:
    """The controllers and the group of this process: `cpu` for version 1, the empty name for version 2."""
    groups = {}
    for line in _read(os.path.join(root, "proc/self/cgroup")).splitlines():
        _, controllers, group = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), group.strip("/")))
    return groups


def _quota_v2(folder: str) -> float | None:
    quota, _, period = _read(os.path.join(folder, "cpu.max")).partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _quota_v1(folder: str) -> float | None:
    quota, period = (_read(os.path.join(folder, f"cpu.cfs_{name}_us")) for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _path_up(group: str) -> list[str]:
    """The group and those it lies in, up to the root."""
    parts = [part for part in group.split("/") if part]
    return ["/".join(parts[:length]) for length in range(len(parts), -1, -1)]


def cpu_quota(root: str | os.PathLike[str] = "/") -> float | None:
    """How many processors' worth of time the container may use; None without a limit.

    The tightest limit on the way from this process's control group up to the root counts. `root` is where the
    system's file tree is, for tests.
    """
    base = os.path.join(root, "sys/fs/cgroup")
    groups = _control_groups(os.fspath(root))
    found = []
    for controller, folder, read in (("", base, _quota_v2), ("cpu", os.path.join(base, "cpu"), _quota_v1)):
        found += [read(os.path.join(folder, group)) for group in _path_up(groups.get(controller, ""))]
    return min((limit for limit in found if limit is not None), default=None)


def available_threads() -> int:
    """How many threads can really run at once: affinity and the container's quota (rounded up), at least one."""
    quota = cpu_quota()
    threads = affinity()
    return threads if quota is None else max(1, min(threads, -int(-quota // 1)))


def cache_folder() -> str:
    """Where machine code is kept between runs: $FLAMBEAU_CACHE, else the user's cache folder."""
    chosen = os.environ.get("FLAMBEAU_CACHE")
    if chosen:
        return chosen
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "flambeau")
