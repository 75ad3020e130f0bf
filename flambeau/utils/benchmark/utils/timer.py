"""How long a statement takes (`torch.utils.benchmark.utils.timer`)."""

from __future__ import annotations

import ast
import enum
import statistics
import textwrap
import timeit
from collections.abc import Callable
from typing import Any, NoReturn

import flambeau as torch
from flambeau.graph.realisation import finish

from . import common

__all__ = ["Language", "Timer", "timer"]

_MOST_RUNS = 2**31 - 1


def timer() -> float:
    """Seconds of a clock, once all that is recorded is computed."""
    finish()
    return timeit.default_timer()


class Language(enum.Enum):
    """The language of a statement."""

    PYTHON = 0
    CPP = 1


def _computed(stmt: str) -> str:
    """The statement with its results computed each time that it runs, rather than only recorded.

    The value of a last expression is held until then: what nobody holds would not be computed at all.
    """
    tree = ast.parse(stmt)
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        tree.body[-1] = ast.Assign([ast.Name("_flambeau_result", ast.Store())], tree.body[-1].value)
        ast.fix_missing_locations(tree)
    return f"{ast.unparse(tree)}\n_flambeau_finish()"


def _tidy(code: str) -> str:
    """A block of code as it is written in a function, moved to the left margin."""
    code = textwrap.dedent(code)
    return (code[1:] if code.startswith("\n") else code).rstrip()


class Timer:
    """Measures a statement with warm-up, on one thread unless told otherwise.

    Args:
        stmt: the statement, as text. What it computes is computed each time.
        setup: runs first.
        global_setup: for C++ only.
        timer: the clock.
        globals: names for the statement; `torch` is one of them.
        label: what several measurements have in common; a table is made of it.
        sub_label: the row of a table.
        description: the column of a table.
        env: says in which environment it was measured.
        num_threads: threads that programs run on.
        language: Python.

    Raises:
        ValueError: `stmt` is no text, the language is unknown, or `global_setup` is given for Python.
        NotImplementedError: statements in C++.
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Language | str = Language.PYTHON,
    ) -> None:
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        _check_language(language, global_setup)
        stmt, setup = _tidy(stmt), _tidy(setup)
        names = {"torch": torch, **(globals or {}), "_flambeau_finish": finish}
        self._timer = timeit.Timer(_computed(stmt), setup, timer, names)
        self._task_spec = common.TaskSpec(stmt, setup, "", label, sub_label, description, env, num_threads)

    def _timeit(self, number: int) -> float:
        return max(self._timer.timeit(number), 1e-9)

    def timeit(self, number: int = 1000000) -> common.Measurement:
        """The time of `number` executions in one run, after a hundredth of them to warm up."""
        with common.set_torch_threads(self._task_spec.num_threads):
            self._timeit(max(int(number // 100), 2))
            return common.Measurement(number, [self._timeit(number)], self._task_spec)

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Raises NotImplementedError: `blocked_autorange` does this."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Callable[[int, float], NoReturn] | None = None) -> None:
        """Raises NotImplementedError: `blocked_autorange` does this."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def collect_callgrind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises NotImplementedError: instructions are not counted."""
        raise NotImplementedError(
            "Timer.collect_callgrind() is not supported: flambeau counts no instructions; use blocked_autorange()"
        )

    def _block_size(self, min_run_time: float) -> int:
        """So many executions that the clock's own time does not count; running them is the warm-up."""
        overhead = statistics.median(self._timeit(0) for _ in range(5))
        number = 1
        while number * 10 <= _MOST_RUNS:
            taken = self._timeit(number)
            if taken > min_run_time or (overhead / taken <= 1e-4 and taken >= min_run_time / 1000):
                break
            number *= 10
        return number

    def _runs(
        self, number: int, enough: Callable[[list[float]], bool], least: float, most: float | None, callback: Any
    ) -> common.Measurement:
        """Runs of `number` executions each until there are enough."""
        times: list[float] = []
        while sum(times) < least or not enough(times):
            times.append(self._timeit(number))
            if callback is not None:
                callback(number, times[-1])
            if most and sum(times) > most:
                break
        return common.Measurement(number, times, self._task_spec)

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> common.Measurement:
        """As many runs as fit into `min_run_time` seconds, each so long that the clock's own time does not count.

        `callback` is called with the executions of each run and its time.
        """
        with common.set_torch_threads(self._task_spec.num_threads):
            number = self._block_size(min_run_time)
            return self._runs(number, bool, min_run_time, None, callback)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> common.Measurement:
        """Runs until the interquartile range is below `threshold` of the median, or `max_run_time` seconds are over."""

        def enough(times: list[float]) -> bool:
            return len(times) > 3 and common.Measurement(1, times, self._task_spec).meets_confidence(threshold)

        with common.set_torch_threads(self._task_spec.num_threads):
            number = self._block_size(0.05)
            return self._runs(number, enough, min_run_time, max_run_time, callback)


def _check_language(language: Any, global_setup: str) -> None:
    if language in (Language.CPP, "cpp", "c++"):
        raise NotImplementedError("Timer(language='cpp') is not supported: flambeau has no C++ interface")
    if language not in (Language.PYTHON, "py", "python"):
        raise ValueError(f"Invalid language `{language}`.")
    if global_setup:
        raise ValueError(
            f"global_setup is C++ only, got `{global_setup}`. Most likely this code can simply be moved to `setup`."
        )
