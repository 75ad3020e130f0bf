"""Planned programs on disk, so that a process runs what an earlier one has planned without lowering or passes.

An entry is found by what the program computes (its graph's signature), by what made it (the source of the package, the
versions of Python and NumPy, the kind of processor) and by which of its outputs replace inputs. It holds the table of
kernels, by the names of their machine code, and the memory plan. Entries are private to the user and verified as
machine code is; if a kernel's code is gone, the program is planned anew.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dtypes import get_dtype
from . import code_cache, disk, pool
from .between_runs import Arena
from .executor import Array, Buffer, Constant, Executor, Kernel, Scalar, Scratch, Segment
from .running import Outputs, Scalars, Whole

if TYPE_CHECKING:
    from .execute import Executable

KINDS = (Array, Buffer, Constant, Scalar, Scratch)
SOURCES = ("compiler", "first_tier", "graph", "ops", "random")  # folders that decide what graphs and draws become


class Restored(Whole):
    """A program from the disk. ``planned`` plans it after all, for who wants to look at it.

    ``beside``: was it compiled for this process, by one beside it?
    """

    plan: Callable[[], Executable]
    beside = False

    @functools.cached_property
    def planned(self) -> Executable:
        """The program as its planning gives it; its kernels are the same."""
        return self.plan()


def store() -> disk.Disk:
    """Where programs are kept: where machine code is."""
    return code_cache.default().store


def name_of(signature: str | None, olds: Mapping[int, int]) -> str | None:
    """The name of a program's entry; None if it has none.

    Args:
        signature: what the program computes, if that can be told.
        olds: for outputs that replace an input: which.
    """
    if signature is None or store().folder is None:
        return None
    made_by = (source(), sys.version, np.__version__, code_cache.default().target.key)
    return disk.key_of("program", *made_by, signature, repr(sorted(olds.items())))


@functools.cache
def source() -> str:
    """The hash of the code that makes programs."""
    return hash_of(_home())


def _home() -> str:
    return os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


def hash_of(home: str) -> str:
    """The hash of the code in a folder that decides what programs become.

    It is kept on the disk for files that are as they were: Python runs byte code by their time and size alone, here the
    time of the last change of any kind and the number of the file count too, which nobody can set back.
    """
    found = _looked_at.pop(home, None) or files(home)
    if os.name != "posix":
        return _hash(home, [path for path, _ in found])
    states = [f"{path} {s.st_dev} {s.st_ino} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns}" for path, s in found]
    name = disk.key_of("source", *states)
    known = store().get(name)
    if known is None:
        known = _hash(home, [path for path, _ in found]).encode()
        store().put(name, known)
    return known.decode()


def get_ready() -> None:
    """Looks at the files of the source before the first program needs it."""
    _looked_at[_home()] = files(_home())


_looked_at: dict[str, list[tuple[str, os.stat_result]]] = {}


def files(home: str) -> list[tuple[str, os.stat_result]]:
    """The files in a folder that decide what programs become, and their states."""
    found = [(os.path.join(home, "dtypes.py"), os.stat(os.path.join(home, "dtypes.py")))]
    for name in SOURCES:
        found += _files(os.path.join(home, name))
    return found


def _hash(home: str, paths: Sequence[str]) -> str:
    """The hash of files."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        digest.update(f"{path[len(home) :]} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.endswith(".py"):
            yield entry.path, os.stat(entry.path)
        elif entry.name != "__pycache__" and entry.is_dir():
            yield from _files(entry.path)


# ---- writing


def keep(name: str | None, executable: Executable) -> None:
    """Stores a program that native code computes whole."""
    whole = executable.whole
    if name is None or whole is None:
        return
    texts = {k.text for segment in whole.native.segments for group in segment.groups for k in group.kernels}
    keys = {text: code_cache.default().key(text) for text in texts}
    segments = [
        ([([_packed(k, keys[k.text]) for k in group.kernels], group.chunks) for group in segment.groups], segment.light)
        for segment in whole.native.segments
    ]
    table = {
        "segments": segments,
        "inputs": whole.inputs,
        "scalars": [(k, dt.name, whole.scalars.given[k].name) for k, dt in whole.scalars.values],
        "filled": executable.filled,
        "inplace": executable.inplace,
        "given": sorted(executable.outputs.given),
        "early": whole.early,
        "arena": whole.arena.size,
        "workspace": executable.workspace,
        "scratch": executable.scratch,
        "cost": executable.steps[0].cost,  # type: ignore[union-attr]
    }
    store().put(name, marshal.dumps(table))


def _packed(k: Kernel, key: str) -> tuple[Any, ...]:
    return key, k.function, k.label, [(KINDS.index(type(o)), *o) for o in k.operands], k.turn


# ---- reading


def restored(name: str | None, types: Sequence[Any], plan: Callable[[], Executable]) -> Restored | None:
    """The program that was stored under a name, if all of it is there.

    Args:
        name: by ``name_of``.
        types: of its outputs.
        plan: plans it.
    """
    content = None if name is None else store().get(name)
    if content is None:
        return None
    table = marshal.loads(content)
    kernels = [k for groups, _ in table["segments"] for group, _ in groups for k in group]
    functions = pool.default().cache.find([k[0] for k in kernels])
    if functions is None:
        return None
    scalars = Scalars(
        [(k, get_dtype(dt)) for k, dt, _ in table["scalars"]], {k: get_dtype(dt) for k, _, dt in table["scalars"]}
    )
    native = Executor(
        [_segment(*segment) for segment in table["segments"]],
        arrays=table["inputs"] + len(types),
        buffers=2,
        workspace=table["workspace"],
        scratch=table["scratch"],
        cost=table["cost"],
        functions=functions,
    )
    outputs = Outputs(types, table["filled"], table["inplace"], table["given"])
    found = Restored(native, table["inputs"], scalars, outputs, Arena(table["arena"]), table["early"])
    found.plan = plan
    return found


def _segment(groups: Sequence[Any], light: int) -> Segment:
    first, *beside = [Segment(tuple([_kernel(*k) for k in kernels]), chunks) for kernels, chunks in groups]
    return first._replace(beside=tuple(beside), light=light)


def _kernel(key: str, function: str, label: str, operands: Sequence[Any], turn: int) -> Kernel:
    return Kernel("", tuple([KINDS[kind](*rest) for kind, *rest in operands]), function, label, turn=turn)
