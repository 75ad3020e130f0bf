"""What was measured, and how it is written down (`torch.utils.benchmark.utils.common`)."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

import flambeau as torch

__all__ = [
    "Measurement",
    "TaskSpec",
    "ordered_unique",
    "select_unit",
    "set_torch_threads",
    "trim_sigfig",
    "unit_to_english",
]

_MOST_FIGURES = 4
_LEAST_INTERVAL = 25e-9  # seconds
_SUSPECT, _BAD = 0.1, 0.25  # spreads, relative to the median, that a measurement warns of
_UNITS = {"ns": (1e-9, "nanosecond"), "us": (1e-6, "microsecond"), "ms": (1e-3, "millisecond"), "s": (1, "second")}


@dataclasses.dataclass(repr=False, frozen=True)
class TaskSpec:
    """What a `Timer` measures."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """A heading: the label, or the statement."""
        if self.label is None and "\n" in self.stmt:
            aside = f" ({self.sub_label})" if self.sub_label else ""
            return f"stmt:{aside}\n{textwrap.indent(self.stmt, '  ')}"
        head = self.stmt if self.label is None else self.label
        return head + (f": {self.sub_label}" if self.sub_label else "")

    def setup_str(self) -> str:
        """The preparation, if there is any."""
        if not self.setup or self.setup == "pass":
            return ""
        return f"setup:\n{textwrap.indent(self.setup, '  ')}" if "\n" in self.setup else f"setup: {self.setup}"

    def summarize(self) -> str:
        """The lines about the task in what a measurement prints."""
        sections = [self.title, self.description or "", self.setup_str()]
        return "\n".join(f"{text}\n" if "\n" in text else text for text in sections if text)


_TASK_FIELDS = frozenset(field.name for field in dataclasses.fields(TaskSpec))


@dataclasses.dataclass(repr=False)
class Measurement:
    """Times of a statement. The fields of its `task_spec` can be asked for directly.

    Args:
        number_per_run: how often the statement ran for each time.
        raw_times: seconds of each run.
        task_spec: what was measured.
        metadata: for the user.
    """

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name in _TASK_FIELDS:
            return getattr(self.task_spec, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def times(self) -> list[float]:
        """Seconds of one execution, from each run."""
        return [t / self.number_per_run for t in self.raw_times]

    def _quantile(self, q: float) -> float:
        return float(np.quantile(self.times, q)) if self.raw_times else -1.0

    @property
    def median(self) -> float:
        """The median of `times`."""
        return self._quantile(0.5)

    @property
    def mean(self) -> float:
        """The mean of `times`."""
        return float(np.mean(self.times)) if self.raw_times else -1.0

    @property
    def iqr(self) -> float:
        """The interquartile range of `times`."""
        return self._quantile(0.75) - self._quantile(0.25)

    @property
    def significant_figures(self) -> int:
        """Roughly how many figures of the median are sure: 1 to 4."""
        n = len(self.raw_times)
        middle = np.asarray(sorted(self.times)[n // 4 : math.ceil(3 * n / 4)], np.float32)
        interval = max(1.645 * float(middle.std()) / math.sqrt(len(middle)), _LEAST_INTERVAL)
        return min(max(math.floor(math.log10(self.median / interval)), 1), _MOST_FIGURES)

    def meets_confidence(self, threshold: float = _SUSPECT) -> bool:
        """Is the interquartile range small beside the median?"""
        return self.iqr / self.median < threshold

    @property
    def has_warnings(self) -> bool:
        """Is the spread suspect?"""
        return bool(self.raw_times) and not self.meets_confidence()

    def _warning(self) -> str:
        if not self.has_warnings:
            return ""
        bad = not self.meets_confidence(_BAD)
        why = "This suggests significant environmental influence." if bad else "This could indicate system fluctuation."
        spread = self.iqr / self.median * 100
        return f"  WARNING: Interquartile range is {spread:.1f}% of the median measurement.\n           {why}"

    @property
    def title(self) -> str:
        """The heading of the task."""
        return self.task_spec.title

    @property
    def as_row_name(self) -> str:
        """What the row of a table is called."""
        return self.sub_label or self.stmt or "[Unknown]"

    def __repr__(self) -> str:
        n, (unit, scale) = len(self.raw_times), select_unit(self.median)
        many = n > 1
        lines = [object.__repr__(self), self.task_spec.summarize()]
        lines.append(f"  {'Median: ' if many else ''}{self.median / scale:.2f} {unit}")
        if n >= 4:
            low, high = self._quantile(0.25) / scale, self._quantile(0.75) / scale
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} ({low:.2f} to {high:.2f})")
        per_run = f"{self.number_per_run} runs {'per measurement,' if many else ','}"
        threads = f"{self.num_threads} thread{'s' if self.num_threads > 1 else ''}"
        lines.append(f"  {n} measurement{'s' if many else ''}, {per_run} {threads}")
        return "\n".join([*lines, self._warning()]).strip()

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """One measurement a task, of all times of its measurements."""
        groups: dict[TaskSpec, list[float]] = {}
        for measurement in measurements:
            groups.setdefault(measurement.task_spec, []).extend(measurement.times)
        return [Measurement(1, times, task) for task, times in groups.items()]


def select_unit(t: float) -> tuple[str, float]:
    """The unit for a time in seconds, and its seconds."""
    power = math.trunc(math.log10(t) // 3) if t > 0 else 0
    unit = {-3: "ns", -2: "us", -1: "ms"}.get(power, "s")
    return unit, _UNITS[unit][0]


def unit_to_english(u: str) -> str:
    """The name of a unit."""
    return _UNITS[u][1]


def trim_sigfig(x: float, n: int) -> float:
    """`x` rounded to `n` significant figures.

    Raises:
        AssertionError: `n` is no integer.
    """
    if n != int(n):
        raise AssertionError("Number of significant figures must be an integer")
    scale = 10 ** (math.ceil(math.log10(abs(x))) - n)
    return float(np.float32(np.round(np.float32(x / scale)) * np.float32(scale)))


def ordered_unique(elements: Iterable[Any]) -> list[Any]:
    """The elements without repetitions, in order."""
    return list(dict.fromkeys(elements))


@contextlib.contextmanager
def set_torch_threads(n: int) -> Iterator[None]:
    """Within it programs run on `n` threads."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n)
        yield
    finally:
        torch.set_num_threads(before)
