"""Programs compiled by a process beside this one: the same numbers, whatever becomes of it, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from flambeau.compiler.cpu import machine

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "posix_spawn"), reason="no such processes"),
    pytest.mark.skipif(machine.available_threads() < 2, reason="one processor"),
    pytest.mark.skipif(shutil.which("ps") is None, reason="no list of processes"),
]

START = """
import os, signal, subprocess, sys, threading, time
import flambeau as torch
from flambeau import _beside, _execution, _programs_aside as aside, nn
from flambeau.graph import realisation
_execution.LEAST, _execution.EARLY, aside.PATIENCE = 0.0, 0.0, 300.0
_execution._looks = lambda p: False

def network(width):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, 3))
    return net, torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

def step(net, optimizer):
    x, y = torch.ones(10, 6), torch.zeros(10, 3)
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()

def trained(until=lambda: True, least=12, width=8):
    made = network(width)
    losses, begun = [step(*made) for _ in range(least)], time.monotonic()
    while not until() and time.monotonic() < begun + 200:
        losses.append(step(*made))
    return losses

def native(width=8):
    "Does the step of this network run as compiled code?"
    steps = [p for p in realisation.programs.values() if any(n.ty.shape == (width, 6) for n in p.roots)]
    return bool(steps) and type(steps[-1].cache).__name__ in ("Restored", "Executable")

def beside(width=8):
    return native(width) and any(getattr(p.cache, "beside", False) for p in realisation.programs.values())

def others():
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "pid,args"], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in shown.splitlines() if f"aside.work({os.getpid()})" in line]

def never():
    "Programs that pay only after so many steps."
    from flambeau.first_tier.paying import Limited
    Limited.limit = property(lambda self: 1 << 40)

def first(text):
    "What the process beside this one does before all else."
    command = _beside._command
    def longer(module):
        *before, code = command(module)
        return [*before, code.replace("; _programs_aside.work", f"; {text}; _programs_aside.work")]
    _beside._command = longer

def silent():
    "The process beside this one never answers, however long this one takes."
    first("import time; _programs_aside._compiled = lambda p: time.sleep(1000)")
"""


def run(program: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FLAMBEAU_EXECUTOR": "native", "FLAMBEAU_TIER": "auto", "FLAMBEAU_TWINS": "off"}
    environment |= {"FLAMBEAU_ASIDE": "auto", "FLAMBEAU_CACHE": str(folder), "OMP_NUM_THREADS": "2", **more}
    return subprocess.run(
        [sys.executable, "-c", START + program], env=environment, capture_output=True, text=True, check=False
    )


def said(program: str, folder: Path, **more: str) -> list[str]:
    found = run(program, folder, **more)
    assert found.returncode == 0 and not found.stderr, found.stderr
    return found.stdout.split("\n")[:-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the kernels of the first tier, in which each test trains networks of its own, of other widths."""
    return tmp_path_factory.mktemp("cache")


def test_a_program_comes_from_beside(folder: Path) -> None:
    """With no child to be found; the losses are those without."""
    more = "def done(): return beside() and (aside._worker[0].listen() or not aside._worker[0].waiting)\n"
    more += "losses = trained(done); print(beside(), len(others()))\n"
    more += "try: os.wait()\nexcept ChildProcessError: print('no child')\n"
    more += "left = [p for p in os.listdir(os.environ['FLAMBEAU_CACHE'] + '/code-1') if p.startswith('.')]\n"
    here = said(f"never()\n{more}print(len(left), 'llvmlite.binding' in sys.modules, losses)", folder)
    assert here[:2] == ["True 1", "no child"] and here[2].startswith("0 ")
    losses = here[2].split(" ", 2)[2]
    steps = losses.count(",") + 1
    without = said(f"print(trained(least={steps}), native(), others())", folder, FLAMBEAU_ASIDE="off")
    assert without == [f"{losses} True []"]
    again = said(f"print(trained(least={steps}), beside(), others())", folder)  # from the disk
    assert again == [f"{losses} False []"]


SETTINGS = ["FLAMBEAU_ASIDE=off", "OMP_NUM_THREADS=1", "FLAMBEAU_CACHE=off"]


@pytest.mark.parametrize("setting", SETTINGS)
def test_without_a_process_it_is_compiled_here(folder: Path, setting: str) -> None:
    name, _, value = setting.partition("=")
    width = 10 + SETTINGS.index(setting)
    more = f"trained(lambda: native({width}), width={width}); print(native({width}), others())"
    assert said(more, folder, **{name: value}) == ["True []"]


ENDS = {
    "the end": "",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_with_its_owner(folder: Path, end: str) -> None:
    """Each with a network of its own: the process may have left the program on the disk before it ended."""
    width = 20 + list(ENDS).index(end)
    found = run(f"never(); trained(others, width={width})\nprint(*others(), flush=True)\n{ENDS[end]}", folder)
    (other,) = found.stdout.split()
    begun = time.monotonic()
    while runs(other):
        assert time.monotonic() < begun + 100
        time.sleep(0.1)


def runs(pid: str) -> bool:
    """Is there such a process, which has not ended? One that nobody asks about stays in the list for a while."""
    shown = subprocess.run(["ps", "-A", "-o", "pid,stat"], capture_output=True, text=True).stdout
    return any(line.split()[0] == pid and not line.split()[1].startswith("Z") for line in shown.splitlines())


FAILURES = {
    "killed": "os.kill(others()[0], signal.SIGKILL)",
    "interrupted": "os.kill(others()[0], signal.SIGTERM)",
    "stopped": "stopped = others()[0]; os.kill(stopped, signal.SIGSTOP); aside.PATIENCE = 0.1",
    "its socket closed": "os.closerange(3, 4096)",
    "its socket another file": "os.dup2(os.open('/dev/zero', os.O_RDONLY), aside._worker[0].connection.fileno())",
}


@pytest.mark.parametrize("how", FAILURES)
def test_without_an_answer_it_is_compiled_here(tmp_path: Path, how: str) -> None:
    """Each time in an empty cache, so that it cannot have been done before."""
    more = "never(); silent(); trained(lambda: others() and aside._worker, width=40)\n" + FAILURES[how]
    more += "\nfrom flambeau.first_tier.paying import Limited\nLimited.limit = 3\n"
    more += "losses = trained(lambda: native(40), width=40); print(native(40), beside(40), len(losses) > 11)\n"
    if how == "stopped":
        more += "os.kill(stopped, signal.SIGKILL)\n"
    assert said(more, tmp_path) == ["True False True"]


def test_processes_that_fail_are_not_started_again(folder: Path) -> None:
    more = """
never()
silent()
started = []
began = _beside.began
_beside.began = lambda *given: started.append(began(*given)) or started[-1]
for width in (44, 45, 46, 47):
    trained(lambda: aside._worker or aside._failures[0] >= 2, width=width)
    for other in others():
        os.kill(other, signal.SIGKILL)
    trained(lambda: not aside._worker, width=width)
print(len(started), aside._failures)
"""
    assert said(more, folder) == ["2 [2]"]


def test_what_cannot_be_written_is_compiled_here(folder: Path) -> None:
    more = "from flambeau.compiler.cpu import disk\ndisk.Disk.put = lambda *given: None\n"
    more += "trained(lambda: native(52), width=52); print(native(52), beside(52))"
    assert said(more, folder) == ["True False"]


def test_a_request_that_was_changed_is_not_answered(folder: Path) -> None:
    more = """
from flambeau.compiler.cpu import disk
put = disk.Disk.put
def damaged(self, key, content):
    put(self, key, content)
    path = os.path.join(self.folder, key)
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"other")
disk.Disk.put = damaged
trained(lambda: native(56), width=56); print(native(56), beside(56))
"""
    assert said(more, folder) == ["True False"]


def test_forks_and_threads(folder: Path) -> None:
    """A forked process has nobody beside it, and its end is nobody else's; a second thread takes what has come."""
    more = """
never()
trained(lambda: aside._worker, width=60)
child = os.fork()
if not child:
    print(aside._worker, aside._known, flush=True)
    os._exit(len(trained(width=61)) != 12)
print(os.waitpid(child, 0)[1], flush=True)
found = []
thread = threading.Thread(target=lambda: found.append(trained(lambda: beside(60), width=60)))
thread.start()
thread.join()
print(beside(60), len(found))
"""
    assert said(more, folder) == ["[] {}", "0", "True 1"]


def test_it_goes_when_nothing_is_asked(folder: Path) -> None:
    """And another one comes when something is."""
    more = """
never()
first("_programs_aside.IDLE = 0.3")
trained(lambda: beside(64), width=64)
begun = time.monotonic()
while others() and time.monotonic() < begun + 100:
    time.sleep(0.1)
print(others())
trained(lambda: beside(65), width=65)
print(beside(65), aside._failures)
"""
    assert said(more, folder) == ["[]", "True [0]"]


def test_it_is_told_what_was_compiled_beside(folder: Path) -> None:
    """The process waits for a file, so that it is still at work when that is first looked at."""
    said("never(); trained(lambda: beside(71), width=71)", folder)  # kernels of the first tier are made by LLVM here
    more = """
never()
from flambeau.profiler import explain
go = os.path.join(os.environ["FLAMBEAU_CACHE"], "go")
first(f"import os, time; any(time.sleep(0.02) for _ in iter(lambda: os.path.exists({go!r}), True))")
with explain() as e:
    trained(lambda: aside._worker, least=3, width=70)
    early = str(e)
    open(go, "w").close()
    trained(lambda: beside(70), width=70)
print("being compiled beside this process" in early, "by a process beside this one: 0 kernels by LLVM" in str(e))
"""
    assert said(more, folder) == ["True True"]


def test_unknown_settings_are_refused(tmp_path: Path) -> None:
    assert "FLAMBEAU_ASIDE=always: expected one of auto, off" in run("", tmp_path, FLAMBEAU_ASIDE="always").stderr
