"""A process beside this one that compiles for it: twins (``_twins_aside``) or programs (``_programs_aside``).

Compiling takes seconds, most of it in LLVM and in passes. In a thread of this process it would be in the way of whoever
records, forks, ends or compiles meanwhile; a process of its own is in nobody's way. It is the first to go where memory
is short. Nobody waits for it, and nobody finds it among their children. It ends with the
process that it works for, and leaves nothing behind but finished entries on the disk.

``FLAMBEAU_ASIDE``: "auto", or "off", which leaves all compiling to the process itself.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time

MODES = ("auto", "off")
mode = [os.environ.get("FLAMBEAU_ASIDE") or "auto"]
if mode[0] not in MODES:
    raise ValueError(f"FLAMBEAU_ASIDE={mode[0]}: expected one of {', '.join(MODES)}")

SHELL = "/bin/sh"
LOOK = 0.2  # seconds between two looks at whether the process that it works for is there
CHANNEL = 1  # what it is connected by, if it is: a shell leaves this one to what runs in the background


def possible() -> bool:
    """Is there a processor to spare, a disk to leave results on, and a Python that can be started?"""
    from .compiler.cpu import machine, pool

    name = os.path.basename(sys.executable or "").lower()
    return (
        mode[0] == "auto"
        and min(pool.default().threads, machine.available_threads()) > 1
        and pool.default().cache.store.folder is not None
        and hasattr(os, "posix_spawn")
        and os.path.exists(SHELL)
        and name.startswith("python")
        and not getattr(sys, "frozen", False)
    )


def began(module: str, channel: int | None = None) -> bool:
    """Starts a process that calls ``work(owner)`` of a module of this package, by way of a shell, which ends at once.

    Args:
        module: its name.
        channel: what it is connected by, as a number above that of standard error.
    """
    from .compiler.cpu.target import MissingCompiler

    nowhere = [(os.POSIX_SPAWN_OPEN, k, os.devnull, os.O_RDWR, 0) for k in range(3)]
    connected = [] if channel is None else [(os.POSIX_SPAWN_DUP2, channel, CHANNEL)]
    environment = {**os.environ, "FLAMBEAU_TWINS": "off", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        command = ["sh", "-c", '"$0" "$@" &', *_command(module)]
        child = os.posix_spawn(SHELL, command, environment, file_actions=[*nowhere, *connected])
    except (OSError, MissingCompiler):
        return False
    try:
        return os.waitpid(child, 0)[1] == 0
    except ChildProcessError:  # the program does not want to know of its children, or has asked for all of them
        return True


def _command(module: str) -> list[str]:
    """How Python is started, isolated: it finds what this process has found."""
    options = ["-I", *["-O"] * sys.flags.optimize, *["-B"] * sys.dont_write_bytecode]
    places = list(dict.fromkeys([_place_of(name) for name in (__package__ or "", "numpy", "llvmlite")]))
    code = (
        f"import sys; sys.path[:0] = [p for p in {places!r} if p not in sys.path]; "
        f"from flambeau import {module}; {module}.work({os.getpid()})"
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


def settle(owner: int) -> None:
    """What such a process does first: it holds nothing of its owner's, is modest, and ends with it."""
    os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))
    _first_to_go()
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()


def _first_to_go() -> None:
    """Where memory is short, this process ends before others."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:  # another system than Linux
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
