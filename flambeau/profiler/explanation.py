"""What flambeau made of a program: which parts became programs and why, their kernels, their memory, their times."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NamedTuple

from ..compiler.cpu import inspection
from ..compiler.cpu.inspection import KernelFacts, MemoryFacts
from ..first_tier.by_operator import FirstTier
from ..first_tier.paying import Limited
from ..first_tier.split_programs import WithFront
from ._causes import Cause
from ._recorder import Noted, Recorder, Run

__all__ = ["Explanation", "KernelReport", "ProgramReport", "explain"]

SHOWN_CAUSES = 5
SHOWN_KERNELS = 12


class KernelReport(NamedTuple):
    """A kernel with its times.

    Attributes:
        facts: what it computes.
        seconds: of one run, summed over threads; the least of all runs but the first, if there are others.
        share: of the time of the program's kernels.
    """

    facts: KernelFacts
    seconds: float
    share: float

    @property
    def flops(self) -> float:
        """Operations a second that each thread did."""
        return self.facts.flops / self.seconds if self.seconds else 0.0

    @property
    def bytes(self) -> float:
        """Bytes a second that each thread read and wrote."""
        return self.facts.bytes / self.seconds if self.seconds else 0.0


class ProgramReport(NamedTuple):
    """A program.

    Attributes:
        number: in the order in which programs first ran.
        operators: how often each of PyTorch's operators is in it.
        compiled: why it was compiled; empty if that was before the recording.
        made: how many of its kernels LLVM compiled.
        read: how many came from the cache on disk.
        causes: why it ran, and how often.
        runs: how often it ran.
        first: seconds of its first run, compilation included.
        seconds: mean seconds of the other runs.
        native: mean seconds in native code of the other runs; of the first, if it is the only one.
        kernels: the generated kernels; empty where NumPy runs all.
        by_numpy: what NumPy computes in it.
        memory: the memory plan of native code.
        tier: how it runs: compiled, NumPy, or in the first tier and until when.
        beside: was it compiled by a process beside this one?
    """

    number: int
    operators: Counter[str]
    compiled: str
    made: int
    read: int
    causes: Counter[Cause]
    runs: int
    first: float
    seconds: float
    native: float
    kernels: list[KernelReport]
    by_numpy: list[str]
    memory: MemoryFacts | None
    tier: str
    beside: bool = False


class Explanation:
    """A context manager that records; afterwards it tells.

    Args:
        trace: keep the times of every chunk of every run, for ``export_chrome_trace``.
    """

    def __init__(self, trace: bool = True) -> None:
        self.recorder = Recorder(keep=trace)

    def __enter__(self) -> Explanation:
        self.recorder.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.recorder.stop()

    def programs(self) -> list[ProgramReport]:
        """Every program that ran, in the order in which they first did."""
        return [_report(noted) for noted in self.recorder.noted.values()]

    def table(self, whole: bool = False) -> str:
        """All of it as text. Measures the machine's peak, which takes half a second, once in a process.

        Args:
            whole: all kernels, rather than those that take longest.
        """
        return "\n\n".join([_summary(self.programs()), *[program_text(p, whole) for p in self.programs()]])

    def __str__(self) -> str:
        return self.table()

    def export_chrome_trace(self, path: str) -> None:
        """Writes programs, and the chunks of their kernels on each thread, as a trace that chrome://tracing shows.

        Raises:
            RuntimeError: the explanation was made without ``trace``.
        """
        if not self.recorder.keep:
            raise RuntimeError("this explanation keeps no times of single runs; make it with trace=True")
        with open(path, "w") as file:
            json.dump({"traceEvents": self.trace_events()}, file)

    def trace_events(self) -> list[dict[str, Any]]:
        """The trace's events, in microseconds of ``time.perf_counter``."""
        titles = {noted.number: _titles(noted) for noted in self.recorder.noted.values()}
        return [event for run in self.recorder.runs for event in _events(run, titles[run.number])]


def explain(trace: bool = True) -> Explanation:
    """``with flambeau.profiler.explain() as e: ...``, then ``print(e)``."""
    return Explanation(trace)


def _report(noted: Noted) -> ProgramReport:
    cache: Any = noted.program.cache
    again = max(1, noted.runs - 1)
    native = inspection.is_native(cache)
    facts = inspection.kernels(cache) if native else []
    times = noted.kernels if len(noted.kernels) == len(facts) else [0.0] * len(facts)
    total = float(sum(times)) or 1.0
    kernels = [KernelReport(f, float(t), float(t) / total) for f, t in zip(facts, times)]
    values = inspection.by_numpy(cache) if native else [v for v in noted.program.function.values if v.args]
    if isinstance(noted.program.cache, Limited):
        values = []
    return ProgramReport(
        noted.number, noted.outline.operators, noted.compiled, noted.made, noted.read, noted.causes, noted.runs,
        noted.first, noted.seconds / again, noted.native / again, kernels,
        [f"{v.kind} {v.name} -> {inspection.type_of(v)}" for v in values],
        inspection.memory(cache) if native else None, tier_of(noted.program.cache),
        getattr(cache, "beside", False),
    )  # fmt: skip


def tier_of(cache: Any) -> str:
    """How a program runs."""
    if isinstance(cache, Limited):
        how = "operator by operator" if isinstance(cache, FirstTier) else "one native call for programs of all sizes"
        until = "being compiled beside this process" if cache.asked else f"compiled when it has run {cache.limit} times"
        return f"the first tier, {how}; {until}"
    if isinstance(cache, WithFront):
        return "compiled code, and operator by operator behind it"
    return "compiled" if inspection.is_native(cache) else "NumPy"


def _titles(noted: Noted) -> list[str]:
    cache = noted.program.cache
    return [f.title for f in inspection.kernels(cache)] if inspection.is_native(cache) else []


def _events(run: Run, titles: list[str]) -> list[dict[str, Any]]:
    """The events of one run: the program on the thread of the caller, chunks on numbered threads."""
    head = {"ph": "X", "pid": "programs", "tid": run.thread, "cat": "program"}
    events = [{**head, "name": f"program {run.number}", "ts": run.begin * 1e6, "dur": (run.end - run.begin) * 1e6}]
    first = 0
    for native in run.natives:
        p = native.profile
        for step, chunk, thread, begin, end in zip(*[column.tolist() for column in p[:5]]):
            name = titles[first + step] if first + step < len(titles) else p.labels[step]
            at = {"ts": (native.begin + begin) * 1e6, "dur": (end - begin) * 1e6, "args": {"chunk": chunk}}
            events.append({"ph": "X", "pid": "kernels", "tid": thread, "cat": "kernel", "name": name, **at})
        first += len(p.labels)
    return events


# ---- text


def _summary(programs: list[ProgramReport]) -> str:
    runs, compiled = sum(p.runs for p in programs), sum(bool(p.compiled) for p in programs)
    first, later = sum(p.first for p in programs), sum(p.seconds * (p.runs - 1) for p in programs)
    return (
        f"{len(programs)} programs, {compiled} of them compiled here, ran {runs} times: "
        f"{first:.3f} s in first runs, {later:.3f} s in the others"
    )


def program_text(p: ProgramReport, whole: bool = False) -> str:
    """A program as text, with the kernels that take longest, or the whole of them."""
    count = sum(p.operators.values())
    lines = [f"program {p.number}: {count} operators, {len(p.kernels)} kernels, ran {p.runs} times", _times(p)]
    if not p.kernels:
        lines.append(f"  runs by {p.tier}")
    if p.compiled:
        made = f" ({p.made} kernels by LLVM, {p.read} from the disk)" if p.kernels else ""
        made = made.replace("(", "(by a process beside this one: ") if p.beside else made
        lines.append(f"  {'compiled' if p.kernels else 'new'} because: {p.compiled}{made}")
    for cause, n in p.causes.most_common(SHOWN_CAUSES):
        lines.append(f"  realised by {cause}" + (f" ({n} times)" if n > 1 else ""))
    if len(p.causes) > SHOWN_CAUSES:
        lines.append(f"  realised at {len(p.causes) - SHOWN_CAUSES} more places")
    if p.memory is not None:
        lines.append(_memory(p.memory))
    if p.by_numpy:
        shown = ", ".join(f"{n} x {what}" for what, n in Counter(p.by_numpy).most_common(6))
        lines.append(f"  by NumPy: {len(p.by_numpy)} values, among them {shown}")
    if p.kernels:
        lines += _kernel_lines(p, len(p.kernels) if whole else SHOWN_KERNELS)
    return "\n".join(lines)


def _times(p: ProgramReport) -> str:
    if p.runs < 2:
        return f"  the only run took {p.first * 1e3:.3f} ms ({p.native * 1e3:.3f} native), compilation included"
    rest = p.seconds - p.native
    return (
        f"  first run {p.first * 1e3:.3f} ms, then {p.seconds * 1e3:.3f} ms "
        f"({p.native * 1e3:.3f} native, {rest * 1e3:.3f} NumPy and Python)"
    )


def _memory(m: MemoryFacts) -> str:
    words = {
        "inputs": m.inputs, "outputs": m.outputs, "of them in place of inputs": m.donated,
        "buffers of outputs": m.kept, "workspace a thread": m.workspace,
    }  # fmt: skip
    sizes = ", ".join(f"{name} {size_text(size)}" for name, size in words.items() if size)
    arena = f"arena {size_text(m.arena)} for {len(m.places)} results of {size_text(m.separate)}"
    return f"  memory: {sizes}, {arena}"


def size_text(size: float) -> str:
    """Bytes with a unit."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.4g} {unit}"
        size /= 1000
    return f"{size:.4g} GB"


def _kernel_lines(p: ProgramReport, most: int) -> list[str]:
    from ..compiler.cpu.peak import peak

    best = peak(1)
    lines = [f"  {'share':>6} {'us':>9} {'GFLOP/s':>8} {'peak':>5} {'GB/s':>7} {'copy':>5} {'chunks':>6}  kernel"]
    ordered = sorted(p.kernels, key=lambda k: -k.seconds)
    for k in ordered[:most]:
        rates = f"{k.flops / 1e9:8.1f} {k.flops / best.flops:5.0%} {k.bytes / 1e9:7.1f} {k.bytes / best.bytes:5.0%}"
        lines.append(f"  {k.share:6.1%} {k.seconds * 1e6:9.1f} {rates} {k.facts.chunks:6}  {k.facts.title}")
        lines += [f"{'':49}  {call}" for call in k.facts.calls]
    if len(ordered) > most:
        lines.append(f"  {sum(k.share for k in ordered[most:]):6.1%} in {len(ordered) - most} more kernels")
    lines.append(
        f"  (rates of one thread; its peak is {best.flops / 1e9:.0f} GFLOP/s; it copies {best.bytes / 1e9:.1f} GB/s "
        "outside of caches)"
    )
    return lines
