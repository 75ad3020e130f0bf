"""A process beside this one (``_beside``) that compiles programs while they run in the first tier.

What is asked for lies on the disk (``compiler.cpu.sent``), and so does what comes of it (``compiler.cpu.stored``), both
private to the user and verified when read. Through a socket go their names alone: whoever asks looks at it without
waiting, and learns of the other's end. Nothing depends on an answer: a program without one stays in the first tier, and
is compiled in this process if the answer comes too late.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from . import _beside

if TYPE_CHECKING:
    from .compiler.cpu import sent
    from .graph.program import Program

PATIENCE = 60.0  # seconds after which an answer is no longer waited for
IDLE = 20.0  # seconds after which the process ends if nothing is asked
NAME = 64  # bytes of a name
FAILURES = 2  # processes that ended without an answer: no further one is started
ABOVE = 10  # numbers of files below this are left to the program


class Asked:
    """A program that has been asked for.

    Attributes:
        name: of its entry on the disk.
        olds: for outputs that replace an input: which.
        at: when.
        found: is it on the disk? None: not known yet.
    """

    def __init__(self, name: str, olds: Mapping[int, int]) -> None:
        self.name = name
        self.olds = olds
        self.at = time.monotonic()
        self.found: bool | None = None

    @property
    def answer(self) -> bool | None:
        """Is the program on the disk? None: perhaps later."""
        if self.found is None and _worker:
            _worker[0].listen()
        if self.found is None and time.monotonic() > self.at + PATIENCE:
            _end(failed=True)
        return self.found


class Worker:
    """A process that compiles, as the one that asks sees it.

    Attributes:
        waiting: what it has not answered yet.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.identity = _identity(connection.fileno())
        self.waiting: dict[str, Asked] = {}
        self.heard = b""

    def ask(self, asked: Asked) -> bool:
        """Asks for a program; False, or an error of the system, if there is nobody any more."""
        self.waiting[asked.name] = asked
        flags = getattr(socket, "MSG_NOSIGNAL", 0)
        return self.is_own and self.connection.send(asked.name.encode(), flags) == NAME

    def listen(self) -> None:
        """Takes the answers that have come."""
        try:
            more = self.connection.recv(4096) if self.is_own else b""
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            more = b""
        if not more:
            _end(failed=bool(self.waiting))
            return
        self.heard += more
        while len(self.heard) > NAME:
            name, found, self.heard = self.heard[:NAME], self.heard[NAME:][:1], self.heard[NAME + 1 :]
            self.waiting.pop(name.decode()).found = found == b"1"

    def close(self) -> None:
        """Lets go of the process, which ends; there will be no answers."""
        for asked in self.waiting.values():
            asked.found = False
        if self.is_own:
            self.connection.close()
        else:
            self.connection.detach()

    @property
    def is_own(self) -> bool:
        """Is the socket's number still that of the socket? A program may close files that it has not opened."""
        try:
            return _identity(self.connection.fileno()) == self.identity
        except OSError:
            return False


_worker: list[Worker] = []  # the process, if there is one
_failures = [0]
_known: dict[str, Asked] = {}


def ask(p: Program, olds: Mapping[int, int]) -> Asked | None:
    """Has a program compiled beside this process; None if that cannot be.

    Args:
        p: the program.
        olds: for outputs that replace an input: which.
    """
    from .compiler.cpu import sent, stored

    name = stored.name_of(p.signature, olds)
    if name in _known:
        return _known[name]
    if name is None or _failures[0] >= FAILURES:
        return None
    try:
        content = sent.written(sent.Sent((*_about(), name), p.function, p.outputs, dict(olds)))
    except sent.NotSentError:
        return None
    finally:
        p.__dict__.pop("function", None)  # it is seldom wanted again
    asked = _known[name] = Asked(name, olds)
    stored.store().put(_request(name, os.getpid()), content)
    if not _is_heard(asked):
        asked.found = False
        _end(failed=True)
        stored.store().drop(_request(name, os.getpid()))
    return asked


def _is_heard(asked: Asked) -> bool:
    """Sends it to the process, which is started where there is none."""
    if _worker:
        _worker[0].listen()  # it ends when nothing has been asked for a while
    try:
        return bool(_worker or _begin()) and _worker[0].ask(asked)
    except OSError:  # too many files, for example
        return False


def _begin() -> bool:
    """Starts the process."""
    import fcntl

    ours, theirs = socket.socketpair()
    with ours, theirs:
        own, given = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, ABOVE) for one in (ours, theirs)]
    connection = socket.socket(fileno=own)
    connection.setblocking(False)
    _worker.append(Worker(connection))
    try:
        return _beside.began(__name__.rpartition(".")[2], given)
    finally:
        os.close(given)


def _end(failed: bool) -> None:
    """Lets go of the process."""
    _failures[0] += failed
    while _worker:
        _worker.pop().close()


def _forked() -> None:
    """A forked process has none: answers go to the one that asked."""
    _end(failed=False)
    _known.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _identity(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_dev, status.st_ino


def _about() -> tuple[str, ...]:
    """What must be the same in both processes."""
    from .compiler.cpu import code_cache, stored

    folder = os.path.abspath(stored.store().folder or "")
    return stored.source(), sys.version, np.__version__, code_cache.default().target.key, folder


# ---- in the process


def work(owner: int) -> None:
    """What the process does: one program after the other."""
    _beside.settle(owner)
    connection = socket.socket(fileno=os.dup(_beside.CHANNEL))
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), _beside.CHANNEL)
    connection.settimeout(IDLE)
    try:
        while len(name := connection.recv(NAME)) == NAME:
            connection.sendall(name + b"%d" % _is_there(name.decode(), owner))
    except OSError:  # nobody asks any more, or listens
        pass


def _is_there(name: str, owner: int) -> bool:
    """Is a program that was asked for on the disk, compiled if need be?"""
    from .compiler.cpu import sent, stored

    store, request = stored.store(), _request(name, owner)
    content = store.get(request)
    store.drop(request)
    try:
        return content is not None and _compiled(sent.read(content))
    except Exception:  # whoever asks will compile it, and see what is wrong
        return False


def _compiled(program: sent.Sent) -> bool:
    """Compiles a program and keeps it, unless it is there or there is nothing to keep."""
    from . import _collector
    from .compiler.cpu import stored
    from .compiler.cpu.execute import Executable

    *about, name = program.about
    if tuple(about) != _about():
        return False
    if stored.store().get(name) is not None:
        return True
    with _collector.resting():
        found = Executable(program.function, [*program.outputs], olds=program.olds)
    stored.keep(name, found)
    return found.whole is not None


def _request(name: str, owner: int) -> str:
    """Under what a process leaves what it asks for."""
    from .compiler.cpu import disk

    return disk.key_of("request", name, str(owner))
