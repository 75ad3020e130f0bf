"""Twins compiled by a process beside this one: nobody waits for it, and it leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flambeau import _beside, _twins, _twins_aside
from flambeau.compiler.cpu import machine, pool
from flambeau.compiler.cpu.assemble import CompileError
from flambeau.compiler.twins import layout
from flambeau.graph import realisation

pytestmark = pytest.mark.skipif(
    not layout.supported() or not hasattr(os, "posix_spawn"), reason="no twins for this Python, or no such processes"
)
SPARE = machine.available_threads() > 1

START = """
import os, signal, subprocess, sys, time
import flambeau as torch
from flambeau import _twins_aside
from flambeau.ops import _registry
_twins_aside.PATIENCE = 300.0
w = torch.ones(3)
def steps(count=600):
    for k in range(count):
        found = (w + k).tolist()
    assert found == [count] * 3
def running():
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "args"], capture_output=True, text=True).stdout
    return f"work({os.getpid()})" in shown
steps()
assert _twins_aside.at_work() and type(_registry.call).__name__ == "function"
"""


def run(program: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FLAMBEAU_EXECUTOR": "native", "FLAMBEAU_TIER": "auto", "FLAMBEAU_TWINS": "auto"}
    environment |= {"FLAMBEAU_ASIDE": "auto", "FLAMBEAU_CACHE": str(folder), "OMP_NUM_THREADS": "2", **more}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)


UNTIL_THERE = """
try:
    os.wait()
except ChildProcessError:
    print("no child")
first = os.fork()
if not first:  # goes on without waiting for it
    steps()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) == 7
begun = time.monotonic()
while type(_registry.call).__name__ == "function" and time.monotonic() < begun + 200:
    steps()
steps()
print(type(_registry.call).__name__, "llvmlite.binding" in sys.modules)
"""


@pytest.mark.skipif(not SPARE, reason="one processor")
def test_twins_come_from_beside(tmp_path: Path) -> None:
    """With no child to be found, across a fork, and without LLVM in this process."""
    for tier in ("first", "compiled"):  # the kernels of both, the pool
        before = "import flambeau as torch; w = torch.ones(3); print([(w + k).tolist() for k in range(2)])"
        assert run(before, tmp_path, FLAMBEAU_TIER=tier).returncode == 0
    found = run(START + UNTIL_THERE, tmp_path)
    assert found.stderr == "" and found.returncode == 0
    assert found.stdout.split("\n")[:2] == ["no child", "builtin_function_or_method False"]


ENDINGS = {
    "the end": ("", 0),
    "exit": ("sys.exit(3)", 3),
    "at once": ("os._exit(4)", 4),
    "interrupted": (
        "signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT); steps()",
        -signal.SIGINT,
    ),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
}


@pytest.mark.skipif(not SPARE or shutil.which("ps") is None, reason="one processor, or no list of processes")
@pytest.mark.parametrize("ending", ENDINGS)
def test_nobody_waits_for_it(tmp_path: Path, ending: str) -> None:
    text, code = ENDINGS[ending]
    owner = "print(os.getpid(), running(), flush=True)\n"
    found = run(START + owner + text, tmp_path)
    assert found.returncode == code and (not found.stderr or ending == "interrupted")
    pid, was_running = found.stdout.split()
    assert was_running == "True"
    begun = time.monotonic()
    while f"work({pid})" in subprocess.run(["ps", "-A", "-ww", "-o", "args"], capture_output=True, text=True).stdout:
        assert time.monotonic() < begun + 100
        time.sleep(0.1)


def test_it_ends_with_its_owner() -> None:
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    text = f"from flambeau import _beside; _beside._end_with({owner.pid})"
    watcher = subprocess.Popen([sys.executable, "-c", text])
    with pytest.raises(subprocess.TimeoutExpired):
        watcher.wait(1.5)
    owner.communicate(b"\n")
    assert watcher.wait(100) == 1


# ---- when it is begun, and who compiles if it is not


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What ``begin`` does, for twins that are nowhere: whether it has them compiled here, and what it puts in place."""
    log: list[Any] = []
    monkeypatch.setattr(_twins, "mode", "auto")
    monkeypatch.setattr(_twins, "made", lambda compile: log.append(compile) or ({} if compile else None))
    monkeypatch.setattr(_twins, "put", lambda found: log.append("put"))
    monkeypatch.setattr(_twins_aside, "_begun", [])
    monkeypatch.setattr(_beside, "possible", lambda: True)
    monkeypatch.setattr(_beside, "began", lambda module: log.append("begun") or True)
    monkeypatch.setitem(realisation.counters, "realisations", 500)
    return log


def test_it_is_begun_once_and_looked_for_again(asked: list[Any]) -> None:
    assert [_twins.begin(), _twins.begin()] == [_twins.ASKED_EVERY] * 2
    assert asked == [False, "begun", False]
    realisation.counters["realisations"] = 50_000
    assert _twins.begin() == _twins.ASKED_EVERY and asked[3:] == [False]


def test_who_has_waited_long_compiles(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    _twins.begin()
    monkeypatch.setattr(_twins_aside, "PATIENCE", 0.0)
    assert _twins.begin() == _twins.COMPILED_AFTER - 500
    realisation.counters["realisations"] = _twins.COMPILED_AFTER
    assert _twins.begin() is None and asked == [False, "begun", False, False, True, "put"]


@pytest.mark.parametrize("missing", ["processor", "disk", "python", "shell", "refused", "wish"])
def test_without_a_process_many_steps_are_waited_for(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(_twins, "mode", "auto")
    monkeypatch.setattr(_twins, "made", lambda compile: asked.append(compile))
    monkeypatch.setattr(_twins_aside, "_begun", [])
    monkeypatch.setitem(realisation.counters, "realisations", 500)
    monkeypatch.setattr(_beside, "mode", ["off" if missing == "wish" else "auto"])
    monkeypatch.setattr(machine, "available_threads", lambda: 1 if missing == "processor" else 4)
    monkeypatch.setattr(pool.default(), "_threads", 4)
    if missing == "disk":
        monkeypatch.setattr(pool.default().cache.store, "folder", None)
    if missing == "python":
        monkeypatch.setattr(sys, "executable", "/usr/sbin/uwsgi")
    if missing == "shell":
        monkeypatch.setattr(_beside, "SHELL", "/nowhere/sh")
    monkeypatch.setattr(os, "posix_spawn", _refused)
    assert _twins.begin() == _twins.COMPILED_AFTER - 500 and asked == [False]


def _refused(*given: Any, **named: Any) -> int:
    raise PermissionError


def test_what_cannot_be_compiled_is_not_tried_again(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def made(compile: bool) -> None:
        if compile:
            raise CompileError

    monkeypatch.setattr(_twins, "made", made)
    monkeypatch.setattr(_beside, "possible", lambda: False)
    realisation.counters["realisations"] = _twins.COMPILED_AFTER
    assert _twins.begin() is None
