"""The command line: programs run as under `python`, with torch and torchvision meaning flambeau."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import flambeau
from flambeau.compiler.cpu import machine
from flambeau.tools import alias
from flambeau.tools.cli import main
from flambeau.tools.doctor import report
from flambeau.torch_version import TorchVersion
from flambeau.version import __flambeau_version__

# Where the package under test lies: the checkout or an installation.
HOME = Path(flambeau.__path__[0]).parent


def run(*args: str, cwd: Path | None = None, stdin: str = "", python: bool = False) -> subprocess.CompletedProcess[str]:
    """`flambeau ARGS`, or with `python` the interpreter alone, in a process of its own."""
    command = [sys.executable] if python else [sys.executable, "-m", "flambeau"]
    environment = {**os.environ, "PYTHONPATH": str(HOME), "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [*command, *args], cwd=cwd, input=stdin, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def script(tmp_path: Path):
    """Writes a program into the file `program.py` of an empty folder and returns its path."""

    def write(text: str, name: str = "program.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


def test_version() -> None:
    found = run("--version")
    assert found.stdout == f"flambeau {__flambeau_version__} (PyTorch API 2.13.0)\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "no command given"),
        (["fly"], "no such command: fly"),
        (["run"], "run needs a script"),
        (["run", "--seed"], "--seed needs a number"),
        (["run", "--seed", "x", "a.py"], "--seed needs a whole number, got 'x'"),
        (["run", "--fast", "a.py"], "no such option for run: --fast"),
        (["run", "-m"], "run -m needs a module"),
        (["doctor", "x"], "doctor takes no argument"),
    ],
)
def test_wrong_command_lines(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    shown = capsys.readouterr().err
    assert message in shown and "usage: flambeau run" in shown


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0 and main(["run", "--help"]) == 0 and main(["explain", "--help"]) == 0
    assert capsys.readouterr().out.count("usage: flambeau run") == 3


def test_torch_is_flambeau(script) -> None:
    path = script(
        """
        import importlib.metadata, importlib.util, sys
        print(importlib.util.find_spec("torch").name)
        import torch, torch.nn.functional as F, torchvision, torchvision.transforms as transforms
        import flambeau, flambeau.nn.functional, flambeau.vision.transforms
        print(torch is flambeau, F is flambeau.nn.functional, torch.nn.functional is F)
        print(torchvision is flambeau.vision, transforms is flambeau.vision.transforms)
        print(importlib.metadata.version("torch"), torch.__version__.startswith("2.13.0"), torch.cuda.is_available())
        print(importlib.util.find_spec("torch") is not None, importlib.util.find_spec("torch.nothing"))
        from torch.utils.data import DataLoader
        print(DataLoader is flambeau.utils.data.DataLoader, flambeau.__spec__.name)
        """
    )
    found = run("run", str(path))
    assert found.stderr == ""
    assert found.stdout.splitlines() == [
        "torch",
        "True True True",
        "True True",
        "2.13.0 True False",
        "True None",
        "True flambeau",
    ]


def test_arguments_and_names_are_those_of_python(script, tmp_path: Path) -> None:
    path = script(
        """
        import pickle, sys
        class Local: pass
        print(__name__, __file__, __spec__, sys.argv, sys.path[0], sys.modules["__main__"].Local is Local)
        print(type(pickle.loads(pickle.dumps(Local()))) is Local, __doc__)
        """
    )
    for name in (str(path), "program.py", "./program.py"):
        ours = run("run", name, "--seed", "-x", cwd=tmp_path)
        theirs = run(name, "--seed", "-x", cwd=tmp_path, python=True)
        assert (ours.stdout, ours.stderr) == (theirs.stdout, theirs.stderr)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("pass", 0),
        ("import sys; sys.exit(3)", 3),
        ("raise SystemExit('stopped')", 1),
        ("raise SystemExit", 0),
        ("def f():\n    return 1 / 0\nf()", 1),
        ("try:\n    {}['x']\nexcept KeyError as error:\n    raise ValueError('no') from error", 1),
        ("print(", 1),
        ("import nothing_of_that_name", 1),
        ("import sys\nsys.excepthook = lambda *_: print('mine', _[2].tb_lineno)\nraise ValueError", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("import atexit; atexit.register(print, 'end'); raise KeyboardInterrupt", -signal.SIGINT),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="exit statuses of signals are POSIX's")
def test_exits_and_tracebacks_are_those_of_python(script, tmp_path: Path, body: str, status: int) -> None:
    script(body)
    ours, theirs = run("run", "program.py", cwd=tmp_path), run("program.py", cwd=tmp_path, python=True)
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)
    assert ours.returncode == status


def test_file_that_is_not_there(tmp_path: Path) -> None:
    found = run("run", "none.py", cwd=tmp_path)
    assert found.returncode == 2
    assert found.stderr == f"flambeau: can't open file '{tmp_path}/none.py': [Errno 2] No such file or directory\n"


def test_code_on_the_command_line(tmp_path: Path) -> None:
    code = "import sys; print(sys.argv, repr(sys.path[0])); raise SystemExit(4)"
    ours, theirs = run("run", "-c", code, "a", "-b"), run("-c", code, "a", "-b", python=True)
    assert (ours.returncode, ours.stdout, ours.stderr) == (4, theirs.stdout, theirs.stderr)


def test_what_pytorch_imports_of_urllib_is_there() -> None:
    """Programs download data by `import urllib; urllib.request.urlretrieve(...)`."""
    code = "import torch, urllib; print(urllib.request.Request.__name__, urllib.error.URLError.__name__, urllib.nobody)"
    found = run("run", "-c", code)
    assert "AttributeError: module 'urllib' has no attribute 'nobody'" in found.stderr
    assert run("run", "-c", code.replace(", urllib.nobody", "")).stdout == "Request URLError\n"


def test_module_as_a_program(script, tmp_path: Path) -> None:
    script("import sys, torch; print(sys.argv, sys.path[0], __name__, __spec__.name, torch.__package__)")
    found = run("run", "-m", "program", "x", cwd=tmp_path)
    assert found.stdout == f"['{tmp_path}/program.py', 'x'] {tmp_path} __main__ program flambeau\n"
    missing = run("run", "-m", "nothing_of_that_name", cwd=tmp_path)
    assert missing.returncode == 1 and "No module named nothing_of_that_name" in missing.stderr


def test_standard_input_and_folders(script, tmp_path: Path) -> None:
    assert run("run", "-", stdin="import sys; print(sys.argv)").stdout == "['-']\n"
    script("import sys; print(sys.argv, sys.path[0])", name="__main__.py")
    assert run("run", str(tmp_path)).stdout == f"['{tmp_path}'] {tmp_path}\n"


def test_seed_makes_runs_equal() -> None:
    code = "import random, numpy, torch; print(random.random(), numpy.random.rand(), torch.rand(2).tolist())"
    first, second, other = (run("run", "--seed", seed, "-c", code).stdout for seed in ("5", "5", "6"))
    assert first == second != other
    assert run("run", "--seed=5", "-c", code).stdout == first


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        (
            "import torch.nothing",
            "ModuleNotFoundError: No module named 'torch.nothing'",
            "flambeau has no module torch.nothing;",
        ),
        (
            "import torch; torch.nothing",
            "AttributeError: module 'torch' has no attribute 'nothing'",
            "flambeau has no torch.nothing;",
        ),
        (
            "import torchvision.prototype",
            "ModuleNotFoundError: No module named 'torchvision.prototype'",
            "flambeau has no module torchvision.prototype;",
        ),
    ],
)
def test_what_is_missing_is_named(code: str, message: str, hint: str) -> None:
    found = run("run", "-c", code)
    assert found.returncode == 1
    assert message in found.stderr.splitlines()[-2]
    assert found.stderr.splitlines()[-1].startswith(hint)


def test_installed_torch_is_left_aside(tmp_path: Path) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('the other torch')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import torch, torch.nn; print(torch.__package__)"
    assert run("run", "-c", code).stdout == "flambeau\n"


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.skipif(os.name != "posix", reason="forkserver and fork are POSIX's")
def test_child_processes_see_flambeau_too(script, tmp_path: Path, method: str) -> None:
    script(
        f"""
        import multiprocessing, sys, torch
        def name(_):
            return torch.__package__, any("startup" in folder for folder in sys.path)
        if __name__ == "__main__":
            with multiprocessing.get_context({method!r}).Pool(1) as pool:
                print(pool.map(name, [0]))
        """
    )
    found = run("run", "program.py", cwd=tmp_path)
    assert (found.stdout, found.stderr) == ("[('flambeau', False)]\n", "")


def test_started_interpreters_see_flambeau_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('the next one')")
    child = "import importlib.metadata as m; print(m.version('torch')); import torchvision; print(torchvision.__name__)"
    code = (
        f"import os, subprocess, sys; os.environ['PYTHONPATH'] += os.pathsep + {str(tmp_path)!r}\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    assert run("run", "-c", code).stdout.split("\n")[:3] == ["the next one", "2.13.0", "flambeau.vision"]


def test_finder_is_installed_once_and_removed() -> None:
    if any(name == "torch" or name.startswith("torch.") for name in sys.modules):
        pytest.skip("another torch is loaded")
    before = list(sys.meta_path)
    try:
        assert alias.install() is alias.install()
        assert len(sys.meta_path) == len(before) + 1
        assert importlib.metadata.version("torchvision") == alias.VERSIONS["torchvision"]
        assert {"torch", "torchvision"} <= {found.metadata["Name"] for found in importlib.metadata.distributions()}
    finally:
        alias.uninstall()
    assert sys.meta_path == before and "torch" not in sys.modules


def test_finder_comes_too_late_after_another_torch() -> None:
    code = (
        "import sys, types; sys.modules['torch'] = types.ModuleType('torch')\n"
        "from flambeau.tools import alias; alias.install()"
    )
    found = run("-c", code, python=True)
    assert "RuntimeError: torch was imported from ? before flambeau could take its place" in found.stderr


def test_names_of_modules() -> None:
    assert alias.real_name("torch.nn") == "flambeau.nn"
    assert alias.real_name("torchvision.utils") == "flambeau.vision.utils"
    assert alias.real_name("torchaudio") is None
    assert alias.user_name("flambeau.vision.utils") == "torchvision.utils"
    assert alias.user_name("flambeau.visionary") == "torch.visionary"
    assert alias.user_name("numpy") == "numpy"


def test_doctor_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLAMBEAU_CACHE", str(tmp_path))
    (tmp_path / "kernel").write_bytes(b"x" * 1000)
    monkeypatch.setattr("flambeau.tools.doctor.OPTIONAL", (("no_such_module", "no-such", "nothing"),))
    lines = dict(line.split(maxsplit=1) for line in report().splitlines())
    assert lines["flambeau"].startswith(f"{__flambeau_version__}, PyTorch API 2.13.0, in ")
    assert lines["cache"] == f"{tmp_path} (1 files, 0.0 MB)"
    assert lines["no-such"] == "missing: nothing"
    assert {"python", "system", "cpu", "features", "threads", "numpy", "llvmlite"} <= set(lines)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "200000 100000",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/docker\n",
                "sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/docker/cpu.cfs_period_us": "100000",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
    ],
)
def test_container_quota(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert machine.cpu_quota(tmp_path) == quota


@pytest.mark.parametrize(("quota", "threads"), [(None, 8), (1.5, 2), (0.2, 1), (16.0, 8)])
def test_threads_respect_the_quota(monkeypatch: pytest.MonkeyPatch, quota: float | None, threads: int) -> None:
    monkeypatch.setattr(machine, "affinity", lambda: 8)
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    assert machine.available_threads() == threads


def test_version_compares_as_a_version() -> None:
    version = TorchVersion("2.13.0+flambeau")
    assert version >= (2, 13) and version > "2.9" and version < "2.14.0.dev1" and version == "2.13.0+flambeau"
    assert version > "2.13.0rc1" and TorchVersion("2.13.0.post1") > "2.13.0" and version > "2.13.0"
    assert version < "parrot" and version != 3
    assert hash(version) == hash("2.13.0+flambeau")
    assert tuple(int(part) for part in version.split("+")[0].split(".")) == (2, 13, 0)
    with pytest.raises(ValueError, match="can't compare"):
        assert version < 2
