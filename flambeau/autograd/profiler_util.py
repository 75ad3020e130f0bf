"""What a profiler has measured: events, their sums by name, tables and traces."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg"]

_HEADS = ("Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls")
_WIDTH = 12


def format_time(us: float) -> str:
    """Microseconds with the unit that PyTorch picks."""
    if us >= 1_000_000:
        return f"{us / 1_000_000:.3f}s"
    return f"{us / 1000:.3f}ms" if us >= 1000 else f"{us:.3f}us"


class _Times:
    """What events and their sums have in common."""

    key: str
    count: int
    cpu_time_total: float
    self_cpu_time_total: float
    device_time_total = self_device_time_total = device_time = 0.0

    @property
    def cpu_time(self) -> float:
        """Microseconds a call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def cpu_time_str(self) -> str:
        """``cpu_time`` with its unit."""
        return format_time(self.cpu_time)

    @property
    def cpu_time_total_str(self) -> str:
        """``cpu_time_total`` with its unit."""
        return format_time(self.cpu_time_total)

    @property
    def self_cpu_time_total_str(self) -> str:
        """``self_cpu_time_total`` with its unit."""
        return format_time(self.self_cpu_time_total)


class FunctionEvent(_Times):
    """One block or program run: its name, thread, beginning and length in microseconds, and what ran inside."""

    count = 1

    def __init__(self, name: str, thread: int, start: float) -> None:
        self.name = self.key = name
        self.thread = thread
        self.start = start
        self.end = start
        self.cpu_parent: FunctionEvent | None = None
        self.cpu_children: list[FunctionEvent] = []

    @property
    def cpu_time_total(self) -> float:  # type: ignore[override]
        """Microseconds from begin to end."""
        return self.end - self.start

    @property
    def self_cpu_time_total(self) -> float:  # type: ignore[override]
        """Microseconds not spent in events inside."""
        return self.cpu_time_total - sum(c.cpu_time_total for c in self.cpu_children)

    def __repr__(self) -> str:
        return f"<FunctionEvent name={self.name} cpu_time={self.cpu_time_str} thread={self.thread}>"


class FunctionEventAvg(_Times):
    """The sum of the events of one name."""

    def __init__(self, key: str = "Total") -> None:
        self.key = key
        self.count = 0
        self.cpu_time_total = 0.0
        self.self_cpu_time_total = 0.0

    def add(self, event: _Times) -> FunctionEventAvg:
        """Adds an event, or another sum."""
        self.count += event.count
        self.cpu_time_total += event.cpu_time_total
        self.self_cpu_time_total += event.self_cpu_time_total
        return self

    def __repr__(self) -> str:
        times = f"self_cpu_time={self.self_cpu_time_total_str} cpu_time={self.cpu_time_str}"
        return f"<FunctionEventAvg key={self.key} {times}>"


class EventList(list):
    """Events or their sums, with PyTorch's ways to show them."""

    @property
    def self_cpu_time_total(self) -> float:
        """The microseconds of all events."""
        return sum(e.self_cpu_time_total for e in self)

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> EventList:
        """The events summed by name."""
        sums: dict[str, FunctionEventAvg] = {}
        for e in self:
            sums.setdefault(e.key, FunctionEventAvg(e.key)).add(e)
        return EventList(sums.values())

    def total_average(self) -> FunctionEventAvg:
        """The sum of all events."""
        total = FunctionEventAvg()
        for e in self:
            total.add(e)
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
    ) -> str:
        """A text table, the largest ``sort_by`` (such as "cpu_time_total") first.

        Raises:
            AttributeError: events have no such figure.
        """
        rows: list[Any] = [e for e in self if not top_level_events_only or getattr(e, "cpu_parent", None) is None]
        if sort_by is not None:
            name = sort_by.replace("cuda", "device")
            rows.sort(key=lambda e: getattr(e, name), reverse=True)
        rows = rows if row_limit < 0 else rows[:row_limit]
        return _table(rows, self.self_cpu_time_total, max_name_column_width, header)

    def __str__(self) -> str:
        return self.table()

    def export_chrome_trace(self, path: str) -> None:
        """Writes the events as a trace that chrome://tracing shows."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.trace_events(), file)

    def trace_events(self) -> list[dict[str, Any]]:
        """The events as a trace holds them."""
        return [
            {"name": e.key, "ph": "X", "ts": e.start, "dur": e.cpu_time_total, "tid": e.thread, "pid": "CPU functions",
             "args": {}}
            for e in self
        ]  # fmt: skip


def _table(rows: Iterable[Any], total: float, widest: int, header: str | None) -> str:
    cells = [_cells(e, total, widest) for e in rows]
    name_width = max([len(c[0]) for c in cells] + [4]) + 4
    rule = "  ".join(["-" * name_width] + ["-" * _WIDTH] * 6) + "  "
    lines = [rule, _line(_HEADS, name_width), rule, *[_line(c, name_width) for c in cells], rule]
    if header is not None:
        lines.insert(0, header)
    return "\n".join(lines) + f"\nSelf CPU time total: {format_time(total)}\n"


def _cells(e: Any, total: float, widest: int) -> tuple[str, ...]:
    def share(t: float) -> str:
        return f"{100 * t / total:.2f}%" if total else "NaN"

    name = e.key if len(e.key) <= widest else e.key[: widest - 3] + "..."
    return (name, share(e.self_cpu_time_total), e.self_cpu_time_total_str, share(e.cpu_time_total),
            e.cpu_time_total_str, e.cpu_time_str, str(e.count))  # fmt: skip


def _line(cells: tuple[str, ...], name_width: int) -> str:
    return "  ".join([cells[0].rjust(name_width), *[c.rjust(_WIDTH) for c in cells[1:]]]) + "  "
