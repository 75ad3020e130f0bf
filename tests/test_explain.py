"""What programs were made, why, and what they take: ``flambeau explain``, ``FLAMBEAU_SHOW``, the profiler's reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau._execution import run_compiled, run_on_numpy
from flambeau.compiler.cpu import inspection
from flambeau.compiler.cpu.executor import Executor
from flambeau.graph import realisation
from flambeau.ops import _registry
from flambeau.profiler import explain, profile, record_function
from flambeau.profiler._causes import Cause


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code runs programs; none is known yet, and no work is pending."""
    realisation.realise()
    realisation.forget()
    monkeypatch.setattr(realisation, "executor", [run_compiled])


@pytest.fixture
def by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy runs programs; none is known yet, and no work is pending."""
    realisation.realise()
    realisation.forget()
    monkeypatch.setattr(realisation, "executor", [run_on_numpy])


def line_of(call: Callable[[], Any]) -> int:
    return call.__code__.co_firstlineno


X = torch.arange(6.0).reshape(2, 3)
CALLS = {
    "item": lambda: X.sum().item(),
    "print": lambda: f"{X + 1}",
    "a branch (bool)": lambda: bool((X > 2).any()),
    "numpy": lambda: np.asarray(X * 3),
    "tolist": lambda: (X - 1).tolist(),
    "float()": lambda: float(X.max()),
}


@pytest.mark.parametrize("what", CALLS)
def test_why_it_was_realised(by_numpy: None, what: str) -> None:
    X.tolist()
    with explain() as e:
        CALLS[what]()
    [program] = e.programs()
    assert program.causes == {Cause(what, __file__, line_of(CALLS[what])): 1}


def test_a_step_of_an_optimizer_and_a_budget(by_numpy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(_registry.fresh, FunctionType):
        pytest.skip("a twin has its own budget")
    w = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    (w * w).sum().backward()
    with explain() as e:
        optimizer.step()
        monkeypatch.setattr("flambeau.ops._calling.BUDGET", 100)
        monkeypatch.setattr("flambeau.profiler._causes.BUDGET", 100)
        y = w + 1
    whats = [cause.what for program in e.programs() for cause in program.causes]
    assert whats[0] == "optimizer.step" and whats[-1].startswith("budget") and y is not None


def test_why_it_was_compiled(by_numpy: None) -> None:
    def f(x: Any) -> Any:
        return (x * 2).exp().sum(0).tolist()

    def given(dtype: Any, *shape: int) -> Any:
        return torch.tensor(np.ones(shape, dtype))

    turned = given("f4", 3, 2).T.clone()
    turned.tolist()
    with explain() as e:
        for shape, dtype in (((2, 3), "f4"), ((2, 3), "f4"), ((4, 3), "f4"), ((2, 3), "f8")):
            f(given(dtype, *shape))
        f(turned)
        (given("f4", 2, 3) * 2).exp().sum(1).tolist()
        (given("f4", 2, 3) * 2).sin().sum(0).tolist()
    programs = e.programs()
    assert [p.runs for p in programs] == [2, 1, 1, 1, 1, 1]
    assert [p.compiled for p in programs[:4]] == [
        "the first program",
        "program 0 with other shape: float32[4, 3] for float32[2, 3]",
        "program 0 with other dtype: float64[2, 3] for float32[2, 3]",
        "program 0 with other layout: float32[2, 3] strides=[1, 2]+0 for float32[2, 3]",
    ]
    assert programs[4].compiled.startswith("program 0 with other constant of sum at ")
    assert programs[5].compiled == "new structure: +1 sin, -1 exp (nearest: program 0)"


def test_programs_that_were_there_before(by_numpy: None) -> None:
    (X + 7).tolist()
    (X + 7).tolist()
    with explain() as e:
        (X + 7).tolist()
    assert [(p.compiled, p.runs) for p in e.programs()] == [("", 1)]


def test_kernels_and_memory(native: None) -> None:
    a, b = (torch.tensor(np.ones((64, 64), np.float32)) for _ in range(2))
    with explain() as e:
        for _ in range(3):
            torch.relu((a @ b).exp().sum(1)).tolist()
    [program] = e.programs()
    [product] = [k for k in program.kernels if "contract" in k.facts.title]
    assert product.facts.flops >= 2 * 64**3 and product.facts.bytes >= 2 * 64 * 64 * 4
    assert product.seconds > 0 and sum(k.share for k in program.kernels) == pytest.approx(1)
    assert 0 < program.native <= program.seconds and program.runs == 3
    assert program.memory is not None
    assert (program.memory.inputs, program.memory.outputs) == (2 * 64 * 64 * 4, 64 * 4)
    assert program.memory.arena <= program.memory.separate
    assert all(at + size <= program.memory.arena for at, size in program.memory.places.values())
    text = str(e)
    assert "program 0: 4 operators" in text and "compiled because: the first program" in text and "contract" in text


def test_kernels_name_the_lines_of_their_calls(native: None) -> None:
    linear, x = torch.nn.Linear(30, 40), torch.tensor(np.ones((16, 30), np.float32))
    activated = lambda: torch.tanh(linear(x))  # noqa: E731
    with explain() as e:
        activated().tolist()
    calls = [call for k in e.programs()[0].kernels for call in k.facts.calls]
    assert f"addmm, tanh at {__file__}:{line_of(activated)}" in calls
    assert all(call in str(e) for call in calls)


def test_what_an_optimizer_writes_in_place(native: None) -> None:
    w = torch.tensor(np.ones((32, 16), np.float32), requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)
    with explain() as e:
        for _ in range(4):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
    memory = e.programs()[-1].memory
    assert memory is not None and memory.donated == 2 * 32 * 16 * 4  # the parameter and its momentum
    assert "of them in place of inputs 4.096 kB" in str(e)


def test_times_belong_to_their_kernels(native: None) -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(30, 40), torch.nn.Tanh(), torch.nn.Linear(40, 5))
    x = torch.tensor(np.ones((16, 30), np.float32))
    layer(x).square().sum().backward()
    with explain() as e:
        layer(x).square().sum().backward()
        [p.grad.sum().item() for p in layer.parameters()]
    for noted in e.recorder.noted.values():
        texts = [kernel.text for native in inspection.natives(noted.program.cache) for kernel in native.kernels]
        assert [k.text for k in inspection.kernels(noted.program.cache)] == texts


def test_results_stay_the_same(native: None) -> None:
    x = torch.randn(50, 40)
    plain = torch.softmax(x @ x.T, -1).sum(0).numpy()
    with explain():
        assert (torch.softmax(x @ x.T, -1).sum(0).numpy() == plain).all()


def test_nothing_is_left_behind(by_numpy: None) -> None:
    plain = Executor.run_packed
    with explain() as outer, explain() as inner:
        (X + 5).tolist()
    (X + 6).tolist()
    assert len(outer.programs()) == len(inner.programs()) == 1
    assert realisation.executor[0] is run_on_numpy and Executor.run_packed is plain


def test_a_program_that_fails(native: None) -> None:
    with explain() as e, pytest.raises(IndexError):
        torch.ones(3)[torch.tensor([0, 1]) + 7].tolist()
    assert realisation.executor[0] is run_compiled
    with explain(trace=False) as e:
        (X + 1).tolist()
    with pytest.raises(RuntimeError, match="trace=True"):
        e.export_chrome_trace("nowhere")


def test_trace_of_a_profile(native: None, tmp_path: Path) -> None:
    with profile() as p, record_function("mine"):
        torch.exp(torch.ones(400, 400)).sum().item()
    path = tmp_path / "trace.json"
    p.export_chrome_trace(str(path))
    events = json.loads(path.read_text())["traceEvents"]
    mine, program = ([e for e in events if e["name"] == name] for name in ("mine", "program 0"))
    kernels = [e for e in events if e.get("cat") == "kernel"]
    chunks = sum(k.facts.chunks for k in p.explanation.programs()[0].kernels)
    assert len(mine) == len(program) == 1 and len(kernels) == chunks
    begin, end = program[0]["ts"], program[0]["ts"] + program[0]["dur"]
    assert mine[0]["ts"] <= begin and end <= mine[0]["ts"] + mine[0]["dur"] + 1
    assert all(begin <= k["ts"] <= k["ts"] + k["dur"] <= end + 50 for k in kernels)


SCRIPT = """
import torch
x = torch.tensor([1.0] * 300)
for n in range(3):
    y = (x * x).sum()
    print(y.item())
"""


def command(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a folder with the script."""
    (folder / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "FLAMBEAU_EXECUTOR": "native", **variables}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(torch.__file__).parents[1])])
    run = [sys.executable, "-m", "flambeau", *words]
    return subprocess.run(run, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_the_command(tmp_path: Path) -> None:
    done = command(tmp_path, "explain", "--trace", "t.json", "script.py")
    assert done.returncode == 0, done.stderr
    own, _, report = done.stdout.partition("==== flambeau explain ====")
    assert own.split() == ["300.0"] * 3
    assert f"realised by item at {tmp_path / 'script.py'}:6" in report and "GFLOP/s" in report
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]


def test_the_command_and_an_exception(tmp_path: Path) -> None:
    done = command(tmp_path, "explain", "-c", "import torch; print(torch.ones(2)); 1 / 0")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr and "realised by print" in done.stdout
    assert command(tmp_path, "explain").returncode == 2


def test_stages_are_shown(tmp_path: Path) -> None:
    done = command(tmp_path, "run", "script.py", FLAMBEAU_SHOW="graph,ir,kernels,llvm,asm,memory,timing")
    assert done.returncode == 0 and done.stdout.split() == ["300.0"] * 3
    for text in (
        "---- program 0: graph", "script.py:5", "simplified:", "kernel 0:", "define void @kernel", "# kernel 0:",
        "arena", "run 3: ",
    ):  # fmt: skip
        assert text in done.stderr, text
    assert done.stderr.count("program 0: timing") == 3 and done.stderr.count("program 0: ir") == 1
    wrong = command(tmp_path, "run", "script.py", FLAMBEAU_SHOW="graf")
    assert wrong.returncode == 1 and "there is no stage 'graf'" in wrong.stderr


def _deep(x: Any, depth: int) -> Any:
    return _deep(x, depth - 1) if depth else x.exp()


def test_nodes_name_the_lines_of_their_calls_however_deep_these_are() -> None:
    realisation.forget()
    first = _deep.__code__.co_firstlineno + 1
    begin = test_nodes_name_the_lines_of_their_calls_however_deep_these_are.__code__.co_firstlineno
    for size in range(3, 30):
        x = torch.ones(size)
        if size % 3:
            y = x + 1
        else:
            y = x + 1
        z = torch.nn.Sequential(torch.nn.Tanh())(_deep(y, size % 4)) if size % 5 else _deep(y, 2).tanh()
        lines = [
            n.src for n in realisation.nodes.values() if n.ty.shape == (size,) and n.op.name in ("add", "exp", "tanh")
        ]
        assert lines == [(__file__, begin + (7 if size % 3 else 9)), (__file__, first), (__file__, begin + 10)]
        z.tolist()


def test_nodes_of_a_backward_pass_name_the_line_that_began_it() -> None:
    realisation.forget()
    begin = test_nodes_of_a_backward_pass_name_the_line_that_began_it.__code__.co_firstlineno
    w = torch.ones(3, 71, requires_grad=True)
    w.tanh().sum().backward()
    torch.autograd.grad(w.sigmoid().sum(), w)
    names = ("tanh_backward", "sigmoid_backward")
    places = {n.op.name: n.src for n in realisation.nodes.values() if n.op.name in names}
    assert places == {"tanh_backward": (__file__, begin + 4), "sigmoid_backward": (__file__, begin + 5)}
