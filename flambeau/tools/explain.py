"""`flambeau explain`: run a PyTorch program, then say what became programs, why, and where their time went."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

from flambeau.profiler.explanation import Explanation

__all__ = ["explained"]


def explained(program: Callable[[], int], trace: str | None = None, whole: bool = False) -> int:
    """Runs a program as `flambeau run` does; the explanation follows on standard output, also after an exception.

    Args:
        program: runs it, and returns the exit status.
        trace: where to write a trace that chrome://tracing shows.
        whole: list all kernels.
    """
    explanation = Explanation(trace=trace is not None)
    process, thread = os.getpid(), threading.get_ident()
    try:
        with explanation:
            return program()
    finally:
        if (os.getpid(), threading.get_ident()) == (process, thread):  # a process that the program forked tells nothing
            _tell(explanation, trace, whole)


def _tell(explanation: Explanation, trace: str | None, whole: bool) -> None:
    sys.stdout.flush()
    print(f"\n==== flambeau explain ====\n{explanation.table(whole)}")
    if trace is not None:
        explanation.export_chrome_trace(trace)
        print(f"trace: {trace}")
