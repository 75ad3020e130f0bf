"""``torch.autograd.profiler`` and ``torch.profiler``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import flambeau as torch
from flambeau.autograd import profiler
from flambeau.profiler import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    record_function,
    schedule,
    tensorboard_trace_handler,
)


def work() -> Any:
    """Something to measure."""
    x = torch.ones(8, 8)
    return (x @ x).sum().item()


def test_blocks_and_programs() -> None:

    with profiler.profile() as p, profiler.record_function("outer"):
        work()
        with profiler.record_function("inner"):
            work()
        with profiler.record_function("inner"):
            pass
    rows = {row.key: row for row in p.key_averages()}
    assert rows["outer"].count == 1 and rows["inner"].count == 2 and rows[profiler.PROGRAM].count == 2
    assert rows["outer"].cpu_time_total >= rows["inner"].cpu_time_total > 0
    assert rows["outer"].self_cpu_time_total < rows["outer"].cpu_time_total
    assert p.self_cpu_time_total == pytest.approx(rows["outer"].cpu_time_total)
    assert p.total_average().count == 5


def test_table() -> None:
    with profiler.profile() as p, profiler.record_function("a block"):
        work()
    lines = p.key_averages().table(sort_by="cpu_time_total", row_limit=1).splitlines()
    assert lines[1].split("  ")[-2].strip() == "# of Calls" and lines[3].split()[:2] == ["a", "block"]
    assert len(lines) == 6 and lines[-1].startswith("Self CPU time total: ")


def test_nothing_is_recorded_outside() -> None:
    @profiler.record_function("named")
    def named() -> Any:
        return work()

    named()
    with profiler.profile() as p:
        named()
    with profiler.profile(enabled=False) as off:
        named()
    assert [e.key for e in p.function_events] == ["named", profiler.PROGRAM]
    assert not off.function_events
    with pytest.raises(RuntimeError, match="not reentrant"):
        p.__enter__()


def test_schedule() -> None:
    action = schedule(wait=1, warmup=1, active=2, repeat=1, skip_first=1)
    assert [action(i).name for i in range(8)] == [
        "NONE", "NONE", "WARMUP", "RECORD", "RECORD_AND_SAVE", "NONE", "NONE", "NONE",
    ]  # fmt: skip
    assert schedule(wait=0, warmup=0, active=1)(5) is ProfilerAction.RECORD_AND_SAVE
    with pytest.raises(AssertionError):
        schedule(wait=0, warmup=0, active=0)


def test_steps(tmp_path: Path) -> None:
    traces: list[list[str]] = []
    write = tensorboard_trace_handler(str(tmp_path), worker_name="me")

    def ready(p: Any) -> None:
        traces.append([e.key for e in p.events() if e.key.startswith("Profiler")])
        write(p)

    plan = schedule(wait=1, warmup=1, active=2, repeat=2)
    with profile(activities=[ProfilerActivity.CPU], schedule=plan, on_trace_ready=ready) as p:
        for _ in range(9):
            with record_function("step"):
                work()
            p.step()
    assert traces == [["ProfilerStep#2", "ProfilerStep#3"], ["ProfilerStep#6", "ProfilerStep#7"]]
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    names = [event["name"] for event in json.loads(files[0].read_text())["traceEvents"]]
    assert names.count("step") == 2 and profiler.PROGRAM in names


def test_what_is_not_there() -> None:
    with pytest.raises(NotImplementedError, match="emit_nvtx"):
        profiler.emit_nvtx()
    with profile() as p:
        work()
    assert p.key_averages()
    with pytest.raises(NotImplementedError, match="export_stacks"):
        p.export_stacks("nowhere")


def test_there_is_no_itt() -> None:
    itt = torch.profiler.itt
    assert not itt.is_available()
    with pytest.raises(RuntimeError, match="ITT functions not installed"), itt.range("part {}", 1):
        pass
