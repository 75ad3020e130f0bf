"""Times the vector functions beside NumPy and PyTorch: ``python benchmarks/vector_math.py [names]``.

One thread, 4,096 elements in cache, nanoseconds an element (the best of many runs), arguments where the function is
interesting. Prints a Markdown table; PyTorch's column stays empty where it is not installed.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from _vector_math import AVX2, AVX512, FUNCTIONS, Machine, native  # noqa: E402

SIZE = 4096
RANGES = {
    "log": (1e-3, 1e3), "log2": (1e-3, 1e3), "log10": (1e-3, 1e3), "log1p": (-0.9, 10.0), "asin": (-1.0, 1.0),
    "acos": (-1.0, 1.0), "sqrt": (0.0, 100.0), "rsqrt": (0.01, 100.0), "pow": (0.01, 10.0),
}  # fmt: skip
NUMPY = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "pow": "power",
}  # fmt: skip


def best(f: Callable[[], Any], seconds: float = 0.15) -> float:
    """The shortest run in nanoseconds an element."""
    shortest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        f()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest / SIZE * 1e9


def arguments(name: str, dtype: str) -> list[Any]:
    """Arrays in the function's range."""
    generator = np.random.default_rng(0)
    low, high = RANGES.get(name, (-10.0, 10.0))
    return [generator.uniform(low, high, SIZE).astype(dtype) for _ in range(FUNCTIONS[name].arity)]


def ours(name: str, dtype: str, machine: Machine, args: list[Any]) -> float:
    """Time of our function for a CPU."""
    y = np.empty_like(args[0])
    f, pointers = native(name, dtype, machine), [a.ctypes.data for a in [*args, y]]
    return best(lambda: f(*pointers, SIZE))


def numpys(name: str, args: list[Any]) -> float | None:
    """Time of NumPy's function, if there is one."""
    f = getattr(np, NUMPY.get(name, name), None)
    if f is None:
        return None
    y = np.empty_like(args[0])
    return best(lambda: f(*args, out=y))


def torchs(torch: Any, name: str, args: list[Any]) -> float | None:
    """Time of PyTorch's function."""
    if torch is None:
        return None
    tensors = [torch.from_numpy(a) for a in args]
    y = torch.empty_like(tensors[0])
    f = getattr(torch, name)
    return best(lambda: f(*tensors, out=y))


def cell(ns: float | None) -> str:
    """A time as text."""
    return "" if ns is None else f"{ns:.2f}"


def main() -> None:
    """Prints the table."""
    try:
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
    except ImportError:
        torch = None
    print("| function | dtype | AVX-512 | AVX2 | NumPy | PyTorch |\n| --- | --- | --- | --- | --- | --- |")
    for dtype in ("float32", "float64"):
        for name in sys.argv[1:] or FUNCTIONS:
            args = arguments(name, dtype)
            times = [ours(name, dtype, m, args) for m in (AVX512, AVX2)]
            cells = [cell(t) for t in [*times, numpys(name, args), torchs(torch, name, args)]]
            print(f"| {name} | {dtype} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
