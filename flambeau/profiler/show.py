"""``FLAMBEAU_SHOW=graph,ir,kernels,llvm,asm,memory,timing``: prints what becomes of each program, to standard error.

- graph: the recorded operators with their types and the user's lines
- ir: the program in primitives, as lowered and as simplified
- kernels: the loop nests, and what NumPy computes
- llvm, asm: the kernels' code
- memory: what lies where
- timing: why and for how long each run ran, with the kernels that took longest

All but the last come once a program, and once more when it leaves the first tier, timing at every run.
"""

from __future__ import annotations

import sys
from typing import Any

from ..compiler.cpu import inspection
from ._recorder import Noted, Recorder, Run
from .explanation import tier_of

__all__ = ["STAGES", "install"]

STAGES = ("graph", "ir", "kernels", "llvm", "asm", "memory", "timing")


def install(chosen: str) -> None:
    """Shows these stages, separated by commas, from now on.

    Raises:
        ValueError: there is no such stage.
    """
    stages = [word.strip() for word in chosen.split(",") if word.strip()]
    unknown = [word for word in stages if word not in STAGES]
    if unknown:
        raise ValueError(f"FLAMBEAU_SHOW: there is no stage {unknown[0]!r}; there are {', '.join(STAGES)}")
    shown: set[tuple[int, bool]] = set()

    def seen(noted: Noted, run: Run) -> None:
        state = noted.number, inspection.is_native(noted.program.cache)  # a program may be compiled later
        once = state not in shown
        shown.add(state)
        for stage in STAGES:
            if stage in stages and (once or stage == "timing"):
                title = f"---- program {noted.number}: {stage}"
                print(title, _TEXTS[stage](noted, run), sep="\n", file=sys.stderr, flush=True)

    Recorder(seen=seen).start()


def _graph(noted: Noted, run: Run) -> str:
    o, lines = noted.outline, []
    for k, node in enumerate(o.nodes):
        name, inputs = o.calls[k]
        constants = "" if o.constants[k] is None else f" {_cut(repr(o.constants[k]), 60)}"
        place = f"  # {node.src[0]}:{node.src[1]}" if node.src else ""
        lines.append(f"%{k} = {name}({', '.join(f'%{i}' for i in inputs)}){constants} : {o.types[k]}{place}")
    reason = f"compiled because: {noted.compiled}\n" if noted.compiled else ""
    return f"{reason}{chr(10).join(lines)}\nreturn {', '.join(f'%{k}' for k in o.results)}"


def _ir(noted: Noted, run: Run) -> str:
    text, cache = inspection.listing(noted.program.function), noted.program.cache
    return (
        text
        if not inspection.is_native(cache)
        else f"{text}\nsimplified:\n{inspection.listing(inspection.planned(cache).f)}"
    )


def _kernels(noted: Noted, run: Run) -> str:
    if not inspection.is_native(noted.program.cache):
        return f"(this program runs by {tier_of(noted.program.cache)})"
    lines = []
    for number, k in enumerate(inspection.kernels(noted.program.cache)):
        loops = " x ".join(map(str, k.sizes)) or "1"
        reads, writes = ", ".join(k.reads), ", ".join(k.writes)
        lines.append(f"kernel {number}: {k.title}")
        lines += [f"    {call}" for call in k.calls]
        lines.append(f"    loops {loops}, {k.chunks} chunks, {k.flops:.4g} operations; reads {reads}; writes {writes}")
    lines += [f"by NumPy: {_cut(repr(v), 120)}" for v in inspection.by_numpy(noted.program.cache)]
    return "\n".join(lines)


def _llvm(noted: Noted, run: Run) -> str:
    if not inspection.is_native(noted.program.cache):
        return f"(this program runs by {tier_of(noted.program.cache)})"
    facts = inspection.kernels(noted.program.cache)
    return "\n".join([f"; kernel {number}: {k.title}\n{k.text}" for number, k in enumerate(facts)])


def _asm(noted: Noted, run: Run) -> str:
    if not inspection.is_native(noted.program.cache):
        return f"(this program runs by {tier_of(noted.program.cache)})"
    from ..compiler.cpu.assemble import assembly

    executable = inspection.planned(noted.program.cache)
    target, facts = executable.pool.cache.target, inspection.kernels(executable)
    return "\n".join([f"# kernel {number}: {k.title}\n{assembly(k.text, target)}" for number, k in enumerate(facts)])


def _memory(noted: Noted, run: Run) -> str:
    if not inspection.is_native(noted.program.cache):
        return f"(this program runs by {tier_of(noted.program.cache)})"
    m = inspection.memory(noted.program.cache)
    lines = [
        f"inputs {m.inputs} bytes, outputs {m.outputs}, of them in place of inputs {m.donated}",
        f"buffers of outputs {m.kept} bytes, workspace a thread {m.workspace}",
        f"arena {m.arena} bytes for {len(m.places)} results of {m.separate}",
    ]
    return "\n".join(lines + [f"    {name} at {at}, {size} bytes" for name, (at, size) in m.places.items()])


def _timing(noted: Noted, run: Run) -> str:
    native = sum(n.profile.seconds for n in run.natives)
    why = next(reversed(noted.causes)) if noted.runs == 1 else max(noted.causes, key=noted.causes.__getitem__)
    head = f"run {noted.runs}: {(run.end - run.begin) * 1e3:.3f} ms, {native * 1e3:.3f} native; by {why}"
    if not run.natives or not inspection.is_native(noted.program.cache):
        return head
    titles = [k.title for k in inspection.kernels(noted.program.cache)]
    times = [t for n in run.natives for t in n.profile.by_kernel()]
    longest = sorted(zip(times, titles), reverse=True)[:3]
    return "\n".join([head, *[f"    {t * 1e6:9.1f} us {title}" for t, title in longest]])


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


_TEXTS: dict[str, Any] = {
    "graph": _graph, "ir": _ir, "kernels": _kernels, "llvm": _llvm, "asm": _asm, "memory": _memory, "timing": _timing,
}  # fmt: skip
