"""Lists what native programs leave to NumPy: ``python -m benchmarks.numpy_steps tests/test_nn_layers.py``.

The arguments are pytest's. Each program that the tests compile counts once; a line is a primitive, the dtypes of its
result and operands, how many programs have it, and a test where it was met.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest

from flambeau.compiler.cpu import execute
from flambeau.compiler.ir import Value
from flambeau.graph import realisation


class Steps:
    """A pytest plugin that runs everything natively and notes what NumPy computes."""

    def __init__(self) -> None:
        self.test = ""
        self.programs = 0
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.example: dict[tuple[str, str, str], str] = {}

    def pytest_runtest_setup(self, item: Any) -> None:
        """Notes which test runs."""
        self.test = item.nodeid

    def note(self, program: execute.Executable) -> None:
        """Counts a program's NumPy steps."""
        self.programs += 1
        for key in {described(v) for v in program.steps if isinstance(v, Value)}:
            self.counts[key] += 1
            self.example.setdefault(key, self.test)

    def report(self) -> None:
        """Prints the table, the most frequent first."""
        print(f"{self.programs} programs")
        for key, n in self.counts.most_common():
            print(f"{n:6}  {key[0]:9} {key[1]:24} {key[2]:32} {self.example[key]}")


def described(v: Value) -> tuple[str, str, str]:
    """A primitive's kind, name and dtypes."""
    empty = " (no elements)" if 0 in v.shape or any(0 in a.shape for a in v.args) else ""
    dtypes = sorted({a.dtype.name for a in v.args})
    return v.kind, v.name, f"{v.dtype.name} of {', '.join(dtypes)}{empty}"


def main() -> int:
    """Runs the tests and prints what was found."""
    steps = Steps()
    made = execute.Executable.__init__

    def init(self: Any, *args: Any, **keywords: Any) -> None:
        made(self, *args, **keywords)
        steps.note(self)

    execute.Executable.__init__ = init  # type: ignore[method-assign]
    realisation.executor[:] = [execute.run_native]
    status = pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[steps])
    steps.report()
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
