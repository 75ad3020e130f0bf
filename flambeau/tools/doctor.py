"""`flambeau doctor`: what flambeau finds on this machine, and what is missing and for what."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from pathlib import Path

import flambeau
from flambeau.compiler.cpu import machine
from flambeau.tools import alias
from flambeau.version import __flambeau_version__, __version__

__all__ = ["report"]

REQUIRED = (("numpy", "numpy", "arrays; nothing runs without it"), ("llvmlite", "llvmlite", "native code"))
OPTIONAL = (
    ("PIL", "pillow", "images: torchvision's data sets and transforms (pip install 'flambeau[images]')"),
    ("scipy", "scipy", "some functions of torch.special and torch.linalg (pip install 'flambeau[scipy]')"),
)


def _version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package_line(module: str, distribution: str, purpose: str) -> str:
    if importlib.util.find_spec(module) is None:
        return f"missing: {purpose}"
    return _version_of(distribution) or "present, version unknown"


def _torch_line() -> str | None:
    """PyTorch that is installed too, which `flambeau run` leaves aside."""
    if any(isinstance(finder, alias.AliasFinder) for finder in sys.meta_path):
        return None
    found = _version_of("torch")
    return None if found is None else f"{found} is installed too; `flambeau run` does not use it"


def _threads_line() -> str:
    quota = machine.cpu_quota()
    limit = "no limit" if quota is None else f"{quota:g} processors"
    return (
        f"{machine.available_threads()} (processors {os.cpu_count()}, affinity {machine.affinity()}, "
        f"container quota: {limit})"
    )


def _size(folder: Path) -> tuple[int, int]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return len(files), sum(file.stat().st_size for file in files)


def _cache_line() -> str:
    if os.environ.get("FLAMBEAU_CACHE") == "off":
        return "off ($FLAMBEAU_CACHE)"
    folder = Path(machine.cache_folder())
    if not folder.exists():
        return f"{folder} (empty)"
    count, size = _size(folder)
    note = "" if os.access(folder, os.W_OK) else ", not writable"
    return f"{folder} ({count} files, {size / 1e6:.1f} MB{note})"


def _lines() -> list[tuple[str, str]]:
    features = " ".join(machine.cpu_features())
    lines = [
        ("flambeau", f"{__flambeau_version__}, PyTorch API {__version__.partition('+')[0]}, in {flambeau.__path__[0]}"),
        ("python", f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"),
        ("system", platform.platform()),
        ("cpu", machine.cpu_model()),
        ("features", features or "unknown"),
        ("threads", _threads_line()),
        ("cache", _cache_line()),
    ]
    lines += [(name, _package_line(module, name, purpose)) for module, name, purpose in REQUIRED + OPTIONAL]
    torch = _torch_line()
    return lines if torch is None else [*lines, ("torch", torch)]


def report() -> str:
    """The whole report, one line a fact."""
    return "\n".join(f"{name:<10} {text}" for name, text in _lines())
