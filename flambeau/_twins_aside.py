"""A process beside this one (``_beside``) that compiles the twins (``_twins``) and leaves them on the disk."""

from __future__ import annotations

import os
import time

from . import _beside

PATIENCE = 60.0  # seconds after which it is no longer thought to be at work
LATER = 5  # how much lower its priority is; much lower, and it waits for minutes where other work goes on
_begun: list[float] = []  # when; for ever ago if it could not begin


def at_work() -> bool:
    """Are twins being compiled beside this process? The first call begins to."""
    if not _begun:
        able = _beside.possible() and _beside.began("_twins_aside")
        _begun.append(time.monotonic() if able else float("-inf"))
    return time.monotonic() < _begun[0] + PATIENCE


def work(owner: int) -> None:
    """What the process does: one at a time of all that share a folder compiles, the others then find it done."""
    _beside.settle(owner)
    os.nice(LATER)
    from . import _twins
    from .compiler.cpu import code_cache, disk

    folder = code_cache.default().store.folder
    with open(f"{folder}.twins", "ab", opener=disk.create_private) as file:
        _only_one(file.fileno())
        _twins.made(compile=True)


def _only_one(file: int) -> None:
    """Waits until no other process has this file."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a file system without locks: twins are then made twice
        pass
