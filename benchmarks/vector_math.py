"""Times the vector functions beside NumPy and PyTorch: ``python benchmarks/vector_math.py [names]``.

One thread, arrays in the first cache, nanoseconds an element: what 4,096 elements take longer than 64, each the best of
many runs, so that the call's own cost cancels. Arguments are where the function is interesting. Prints a Markdown
table; PyTorch's column stays empty where it is not installed, as does that of a processor that this one cannot play.
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

from _vector_math import AVX2, AVX512, FUNCTIONS, Machine, native, runnable  # noqa: E402

SMALL, LARGE = 64, 4096
RANGES = {
    "log": (1e-3, 1e3), "log2": (1e-3, 1e3), "log10": (1e-3, 1e3), "log1p": (-0.9, 10.0), "asin": (-1.0, 1.0),
    "acos": (-1.0, 1.0), "sqrt": (0.0, 100.0), "rsqrt": (0.01, 100.0), "pow": (0.01, 10.0),
    "acosh": (1.0, 20.0), "atanh": (-1.0, 1.0), "erfinv": (-1.0, 1.0),
}  # fmt: skip
NUMPY = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "pow": "power",
}  # fmt: skip


def slope(f: Callable[[int], Callable[[], Any]]) -> float:
    """Nanoseconds an element of the run that ``f`` prepares for a size."""
    return (best(f(LARGE)) - best(f(SMALL))) / (LARGE - SMALL) * 1e9


def best(f: Callable[[], Any], seconds: float = 0.12) -> float:
    """The shortest run in seconds."""
    shortest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        f()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest


def arguments(name: str, dtype: str) -> list[Any]:
    """Arrays in the function's range."""
    generator = np.random.default_rng(0)
    low, high = RANGES.get(name, (-10.0, 10.0))
    return [generator.uniform(low, high, LARGE).astype(dtype) for _ in range(FUNCTIONS[name].arity)]


def ours(name: str, dtype: str, machine: Machine, args: list[Any]) -> float | None:
    """Time of our function for a CPU, if this one can play it."""
    if machine not in runnable():
        return None
    y = np.empty_like(args[0])
    f, pointers = native(name, dtype, machine), [a.ctypes.data for a in [*args, y]]
    return slope(lambda n: lambda: f(*pointers, n))


def numpys(name: str, args: list[Any]) -> float | None:
    """Time of NumPy's function, if there is one."""
    f = getattr(np, NUMPY.get(name, name), None)
    if f is None:
        return None
    y = np.empty_like(args[0])

    def prepare(n: int) -> Callable[[], Any]:
        inputs, output = [a[:n] for a in args], y[:n]
        return lambda: f(*inputs, out=output)

    return slope(prepare)


def torchs(torch: Any, name: str, args: list[Any]) -> float | None:
    """Time of PyTorch's function."""
    if torch is None:
        return None
    y = torch.empty(LARGE, dtype=getattr(torch, args[0].dtype.name))
    f = getattr(torch, name)

    def prepare(n: int) -> Callable[[], Any]:
        inputs, output = [torch.from_numpy(a[:n]) for a in args], y[:n]
        return lambda: f(*inputs, out=output)

    return slope(prepare)


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
