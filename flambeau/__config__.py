"""``torch.__config__``: what computes, in words."""

from __future__ import annotations

from importlib.util import find_spec

import flambeau as torch
from flambeau.version import __flambeau_version__, __version__

__all__ = ["parallel_info", "show"]


def show() -> str:
    """What flambeau is made of, line by line; no line is PyTorch's."""
    compiled = "llvmlite" if find_spec("llvmlite") else "absent, so NumPy computes"
    return f"flambeau {__flambeau_version__}, for PyTorch {__version__}:\n  - Native code: {compiled}\n"


def parallel_info() -> str:
    """The numbers of threads."""
    return f"torch.get_num_threads() : {torch.get_num_threads()}\nParallel backend: flambeau's own threads\n"
