"""A process beside this one that compiles the twins (``_twins``) and leaves them on the disk.

Compiling takes a second or two, most of it in LLVM. In a thread of this process it would be in the way of whoever
forks, ends or compiles meanwhile; a process of its own is in nobody's way. It has a low priority and is the first
to go where memory is short. Nobody waits for it, and nobody finds it among their children. It ends
with the process that it works for, and leaves nothing behind but finished entries.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time

SHELL = "/bin/sh"
PATIENCE = 60.0  # seconds after which it is no longer thought to be at work
LATER = 5  # how much lower its priority is; much lower, and it waits for minutes where other work goes on
LOOK = 0.2  # seconds between two looks at whether the process that it works for is there
_begun: list[float] = []  # when; for ever ago if it could not begin


def at_work() -> bool:
    """Are twins being compiled beside this process? The first call begins to."""
    if not _begun:
        _begun.append(time.monotonic() if _possible() and _began() else float("-inf"))
    return time.monotonic() < _begun[0] + PATIENCE


def _possible() -> bool:
    """Is there a processor to spare, a disk to leave twins on, and a Python that can be started?"""
    from .compiler.cpu import machine, pool

    name = os.path.basename(sys.executable or "").lower()
    return (
        min(pool.default().threads, machine.available_threads()) > 1
        and pool.default().cache.store.folder is not None
        and hasattr(os, "posix_spawn")
        and os.path.exists(SHELL)
        and name.startswith("python")
        and not getattr(sys, "frozen", False)
    )


def _began() -> bool:
    """Starts it by way of a shell, which ends at once."""
    from .compiler.cpu.target import MissingCompiler

    nowhere = [(os.POSIX_SPAWN_OPEN, k, os.devnull, os.O_RDWR, 0) for k in range(3)]
    environment = {**os.environ, "FLAMBEAU_TWINS": "off", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        command = ["sh", "-c", '"$0" "$@" &', *_command()]
        child = os.posix_spawn(SHELL, command, environment, file_actions=nowhere)
    except (OSError, MissingCompiler):
        return False
    try:
        return os.waitpid(child, 0)[1] == 0
    except ChildProcessError:  # the program does not want to know of its children, or has asked for all of them
        return True


def _command() -> list[str]:
    """How Python is started, isolated: it finds what this process has found."""
    options = ["-I", *["-O"] * sys.flags.optimize, *["-B"] * sys.dont_write_bytecode]
    places = list(dict.fromkeys([_place_of(name) for name in (__package__ or "", "numpy", "llvmlite")]))
    code = (
        f"import sys; sys.path[:0] = [p for p in {places!r} if p not in sys.path]; "
        f"from flambeau import _twins_aside; _twins_aside.work({os.getpid()})"
    )
    return [sys.executable, *options, "-c", code]


def _place_of(package: str) -> str:
    """The folder that a package is imported from."""
    if package == __package__:
        return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        from .compiler.cpu.target import MissingCompiler

        raise MissingCompiler(f"{package} is not installed")
    return os.path.dirname(os.path.dirname(os.path.abspath(found.origin)))


def work(owner: int) -> None:
    """What the process does: one at a time of all that share a folder compiles, the others then find it done."""
    os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))
    os.nice(LATER)
    _first_to_go()
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()
    from . import _twins
    from .compiler.cpu import code_cache, disk

    folder = code_cache.default().store.folder
    with open(f"{folder}.twins", "ab", opener=disk.create_private) as file:
        _only_one(file.fileno())
        _twins.made(compile=True)


def _first_to_go() -> None:
    """Where memory is short, this process ends before others."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:  # another system than Linux
        pass


def _only_one(file: int) -> None:
    """Waits until no other process has this file."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a file system without locks: twins are then made twice
        pass


def _end_with(owner: int) -> None:
    """Ends this process, whatever it does, when its owner has ended."""
    while True:
        try:
            os.kill(owner, 0)
        except ProcessLookupError:
            os._exit(1)
        except OSError:  # it is there
            pass
        time.sleep(LOOK)
