"""``torch.utils.collect_env``: what a report of a bug should say of the machine."""

from __future__ import annotations

import os
import platform
import sys

import numpy as np

import flambeau as torch

__all__ = ["get_env_info", "get_pretty_env_info", "main"]


def get_env_info() -> dict[str, str]:
    """Versions and the machine, by name."""
    return {
        "PyTorch version": torch.__version__,
        "Is debug build": "False",
        "CUDA used to build PyTorch": "None",
        "OS": platform.platform(),
        "Python version": sys.version.replace("\n", " "),
        "Python platform": platform.platform(),
        "Is CUDA available": "False",
        "CPU": f"{platform.processor() or platform.machine()}, {os.cpu_count()} threads",
        "Versions of relevant libraries": f"numpy=={np.__version__}",
    }


def get_pretty_env_info() -> str:
    """The same as text, a line each."""
    return "\n".join(f"{name}: {value}" for name, value in get_env_info().items())


def main() -> None:
    """Prints it."""
    print("Collecting environment information...")
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
