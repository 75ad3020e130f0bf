"""Elements that lie apart in vectors, read and written one by one by functions of the module.

Processors without masks for all vectors have no instruction for this. LLVM makes a branch a lane of each gather and
scatter, which takes it several milliseconds for each of them: most of what the kernels of this tier took to compile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..text import suffix

if TYPE_CHECKING:
    from ..vector_math.ssa import Module


def read(module: Module, lanes: int, t: str, align: int) -> str:
    """The function that gives a vector of the lanes that ``bits`` has, zeros in the others: its name."""
    name, vector = f"@read.{suffix(t, lanes)}", f"<{lanes} x {t}>"
    if not module.has_function(name):
        every = []
        for k in range(lanes):
            so_far = f"%v{k - 1}" if k else "poison"
            every += [*_next(k), f"  %x{k} = load {t}, ptr %p{k}, align {align}"]
            every += [f"  %v{k} = insertelement {vector} {so_far}, {t} %x{k}, i64 {k}"]
        every += [f"  ret {vector} %v{lanes - 1}"]
        copy = [f"  %one = load {t}, ptr %at, align {align}", f"  store {t} %one, ptr %own, align {align}"]
        some = [f"  store {vector} zeroinitializer, ptr %room, align 64", *_lane_by_lane(module, t, copy)]
        some += [f"  %all = load {vector}, ptr %room, align 64", f"  ret {vector} %all"]
        head = f"define internal {vector} {name}(ptr %from, i64 %step, i64 %bits) {module.attributes} {{"
        module.add_function(name, "\n".join([head, *_either(lanes, vector, every, some)]))
    return name


def written(module: Module, lanes: int, t: str, align: int) -> str:
    """The function that writes the lanes of a vector that ``bits`` has, ascending: its name."""
    name, vector = f"@write.{suffix(t, lanes)}", f"<{lanes} x {t}>"
    if not module.has_function(name):
        every = []
        for k in range(lanes):
            every += [*_next(k), f"  %x{k} = extractelement {vector} %all, i64 {k}"]
            every += [f"  store {t} %x{k}, ptr %p{k}, align {align}"]
        copy = [f"  %one = load {t}, ptr %own, align {align}", f"  store {t} %one, ptr %at, align {align}"]
        some = [f"  store {vector} %all, ptr %room, align 64", *_lane_by_lane(module, t, copy), "  ret void"]
        head = f"define internal void {name}({vector} %all, ptr %from, i64 %step, i64 %bits) {module.attributes} {{"
        module.add_function(name, "\n".join([head, *_either(lanes, vector, [*every, "  ret void"], some)]))
    return name


def _either(lanes: int, vector: str, every: list[str], some: list[str]) -> list[str]:
    """The body of a function that does ``every`` if ``bits`` has all lanes, else ``some``."""
    return [
        "entry:",
        f"  %room = alloca {vector}, align 64",
        f"  %whole = icmp eq i64 %bits, {(1 << lanes) - 1 if lanes < 64 else -1}",
        "  br i1 %whole, label %every, label %some",
        *["every:", *every, "some:", *some, "}", ""],
    ]


def _next(k: int) -> list[str]:
    """The address of a lane, after that of the lane before."""
    return [f"  %p{k} = getelementptr i8, ptr {f'%p{k - 1}' if k else '%from'}, i64 {'%step' if k else '0'}"]


def _lane_by_lane(module: Module, t: str, copy: list[str]) -> list[str]:
    """The rest of the block ``some``: copies between memory, ``%at``, and room of the function's own, ``%own``."""
    module.declare("declare i64 @llvm.cttz.i64(i64, i1)")
    return [
        "  %none = icmp eq i64 %bits, 0",
        "  br i1 %none, label %done, label %lane",
        "lane:",
        "  %left = phi i64 [ %bits, %some ], [ %rest, %lane ]",
        "  %k = call i64 @llvm.cttz.i64(i64 %left, i1 true)",
        "  %away = mul i64 %k, %step",
        "  %at = getelementptr i8, ptr %from, i64 %away",
        f"  %own = getelementptr {t}, ptr %room, i64 %k",
        *copy,
        "  %below = sub i64 %left, 1",
        "  %rest = and i64 %left, %below",
        "  %last = icmp eq i64 %rest, 0",
        "  br i1 %last, label %done, label %lane",
        "done:",
    ]
