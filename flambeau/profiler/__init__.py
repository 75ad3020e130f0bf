"""``torch.profiler``: profiling by steps, on the events of ``torch.autograd.profiler``."""

from __future__ import annotations

import enum
import json
import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..autograd import profiler as _profiler
from ..autograd.profiler import record_function
from ..autograd.profiler_util import EventList
from ..graph.realisation import finish
from . import itt
from .explanation import Explanation, explain

__all__ = [
    "Explanation",
    "ProfilerAction",
    "ProfilerActivity",
    "explain",
    "itt",
    "kineto_available",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


class ProfilerAction(enum.Enum):
    """What a profiler does in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


class ProfilerActivity(enum.Enum):
    """What a profiler may watch; here there is only the CPU."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


def kineto_available() -> bool:
    """False: events are recorded by flambeau itself."""
    return False


def supported_activities() -> set[ProfilerActivity]:
    """What can be watched: the CPU."""
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """Cycles of ``wait`` idle steps, ``warmup`` steps and ``active`` recorded ones, after ``skip_first`` steps.

    Args:
        wait: idle steps of a cycle.
        warmup: steps in which the profiler runs and its events are dropped.
        active: recorded steps, at least one.
        repeat: how many cycles; 0: no end.
        skip_first: idle steps before the first cycle.
        skip_first_wait: not 0: the first cycle has no idle steps.
    """
    assert wait >= 0 and warmup >= 0 and active > 0 and repeat >= 0 and skip_first >= 0, (
        "Invalid profiler schedule arguments"
    )

    def action(step: int) -> ProfilerAction:
        assert step >= 0
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        cycle = wait + warmup + active
        if repeat and step // cycle >= repeat:
            return ProfilerAction.NONE
        at = step % cycle
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < cycle - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def _always(step: int) -> ProfilerAction:
    return ProfilerAction.RECORD


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """An ``on_trace_ready`` that writes each trace into a folder, as TensorBoard's plug-in expects them."""

    def handler(p: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        path = os.path.join(dir_name, f"{worker}.{time.time_ns()}.pt.trace.json")
        p.export_chrome_trace(path)
        if use_gzip:
            _compress(path)

    return handler


def _compress(path: str) -> None:
    import gzip

    with open(path, "rb") as plain, gzip.open(path + ".gz", "wb") as packed:
        packed.write(plain.read())
    os.remove(path)


_RECORDED = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


class profile:
    """Measures blocks and programs step by step (https://docs.pytorch.org/docs/stable/profiler.html).

    Args:
        activities: what to watch; anything beside the CPU is without effect.
        schedule: what to do in which step; by default everything is recorded.
        on_trace_ready: called with the profiler when a cycle's last step, or the block, ends.
        **options: PyTorch's other options, which change nothing.

    Attributes:
        explanation: which programs ran in the last recorded steps, why, and their kernels; flambeau's own.
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
        **options: Any,
    ) -> None:
        self.activities = set(activities) if activities else supported_activities()
        self.schedule = schedule or _always
        self.on_trace_ready = on_trace_ready
        self.record_steps = schedule is not None
        self.options = options
        self.step_num = 0
        self.current_action = self.schedule(0)
        self.profiler: Any = None
        self.explanation = Explanation()
        self._running = False
        self._step: Any = None

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begins the first step."""
        if self.current_action is not ProfilerAction.NONE:
            self._record()
        self._name_step()

    def stop(self) -> None:
        """Ends the last step."""
        self._end_step()
        if self._running:
            self._finish(self.current_action in _RECORDED)

    def step(self) -> None:
        """The next step begins."""
        self._end_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        if before is ProfilerAction.RECORD_AND_SAVE or self.current_action is ProfilerAction.NONE:
            if self._running:
                self._finish(before in _RECORDED)
        elif before is ProfilerAction.WARMUP and self.current_action in _RECORDED:
            self._finish(False)
        if self.current_action is not ProfilerAction.NONE and not self._running:
            self._record()
        self._name_step()

    def _name_step(self) -> None:
        if self.record_steps:
            self._step = record_function(f"ProfilerStep#{self.step_num}")
            self._step.__enter__()

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.__exit__(None, None, None)
            self._step = None

    def _record(self) -> None:
        self.profiler = _profiler.profile()
        self.profiler.__enter__()
        self.explanation = Explanation()
        self.explanation.__enter__()
        self._running = True

    def _finish(self, ready: bool) -> None:
        self._running = False
        finish()
        self.explanation.__exit__(None, None, None)
        self.profiler.__exit__(None, None, None)
        if ready and self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def events(self) -> EventList:
        """The recorded events."""
        assert self.profiler is not None
        return self.profiler.function_events

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, **options: Any) -> EventList:
        """The events summed by name."""
        return self.events().key_averages(group_by_input_shape, group_by_stack_n)

    def export_chrome_trace(self, path: str) -> None:
        """Writes the events, and when which thread ran which part of a kernel, as a trace for chrome://tracing."""
        events = [*self.events().trace_events(), *self.explanation.trace_events()]
        with open(path, "w") as file:
            json.dump({"traceEvents": events}, file)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Raises NotImplementedError: stacks are not recorded."""
        raise NotImplementedError("profile.export_stacks: call stacks are not recorded; use export_chrome_trace")

    def add_metadata(self, key: str, value: str) -> None:
        """Raises NotImplementedError: traces have no metadata."""
        raise NotImplementedError("profile.add_metadata: traces carry no metadata")
