"""Programs on disk: found again in another process, by what they compute and by nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import flambeau as torch
from flambeau import _execution, nn
from flambeau.compiler.cpu import execute, inspection, stored
from flambeau.compiler.cpu.code_cache import CodeCache
from flambeau.compiler.cpu.disk import Disk
from flambeau.compiler.cpu.stored import Restored
from flambeau.graph import epoch, realisation
from flambeau.graph.program import Program

HOME = Path(torch.__path__[0]).parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Programs run as native code and are kept in a folder of their own."""
    realisation.realise()  # what other modules have left pending
    monkeypatch.setattr(realisation, "executor", [_execution.run_compiled])
    place = Disk(tmp_path / "programs")
    monkeypatch.setattr(stored, "store", lambda: place)
    realisation.forget()
    yield tmp_path / "programs"
    realisation.forget()


def train(steps: int = 3) -> list[Any]:
    """Parameters and losses of a small network."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.randn(10, 6), torch.randint(0, 3, (10,))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [losses, *[p.detach().numpy().tobytes() for p in net.parameters()]]


def caches() -> list[Any]:
    return [p.cache for p in realisation.programs.values()]


def again(make: Callable[[], Any]) -> Any:
    """The same as in a new process: nothing is known but what lies on the disk."""
    realisation.forget()
    return make()


def test_programs_are_found_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train()
    planned = caches()
    assert all(type(c) is execute.Executable for c in planned)
    monkeypatch.setattr(execute, "Executable", lambda *_, **__: pytest.fail("planned again"))
    assert again(train) == first
    assert len(caches()) == len(planned) and all(type(c) is Restored for c in caches())


def test_light_chunks_stay_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "light", lambda groups: 1)
    train()
    known = [[s.light for s in c.whole.native.segments] for c in caches()]
    again(train)
    assert [[s.light for s in c.native.segments] for c in caches()] == known and {1} == {*known[0]}


def test_what_is_restored_can_be_looked_at(folder: Path) -> None:
    train()
    known = [inspection.kernels(c) for c in caches()]
    sizes = [inspection.memory(c) for c in caches()]
    again(train)
    assert [[k.text for k in inspection.kernels(c)] for c in caches()] == [[k.text for k in ks] for ks in known]
    assert [inspection.memory(c) for c in caches()] == sizes
    for c in caches():
        (native,) = inspection.natives(c)
        assert inspection.is_native(c) and not inspection.by_numpy(c)
        assert [k.label for k in native.kernels] == [k.label for k in inspection.natives(c.planned)[0].kernels]


def test_code_that_is_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train()
    monkeypatch.setattr(CodeCache, "find", lambda self, keys: None)
    assert again(train) == first
    assert all(type(c) is execute.Executable for c in caches())


def test_damaged_entries(folder: Path) -> None:
    first = train()
    for path in folder.iterdir():
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)
    assert again(train) == first
    assert all(type(c) is execute.Executable for c in caches())


@pytest.mark.parametrize("what", ["source", "version", "target"])
def test_what_was_made_otherwise(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    train()
    if what == "source":
        monkeypatch.setattr(stored, "source", lambda: "another")
    elif what == "version":
        monkeypatch.setattr(stored.np, "__version__", "9")
    else:
        cache = stored.code_cache.default()
        monkeypatch.setattr(cache, "target", cache.target._replace(features=cache.target.features + ",+none"))
    again(train)
    assert all(type(c) is execute.Executable for c in caches())


def test_numbers_are_arguments(folder: Path) -> None:
    def scaled(k: float) -> list[float]:
        return (torch.arange(3.0) * k).tolist()

    assert scaled(2.0) == [0, 2, 4]
    realisation.forget()
    assert scaled(0.5) == [0, 0.5, 1] and type(caches()[-1]) is Restored


def test_what_numpy_computes_a_part_of(folder: Path) -> None:
    """Such programs are planned anew."""

    def computed() -> list[float]:
        return torch.linalg.svdvals(torch.arange(12.0).reshape(3, 4) + 1).tolist()

    assert computed() == again(computed)
    assert not any(type(c) is Restored and c.native is None for c in caches())


def test_without_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "store", lambda: Disk(None))
    assert stored.name_of("x", {}) is None
    assert train() == again(train)


def test_what_replaces_what_is_part_of_the_name(folder: Path) -> None:
    names = {stored.name_of(*one) for one in [("x", {}), ("x", {0: 1}), ("x", {1: 0}), ("y", {})]}
    assert len(names) == 4 and None not in names and stored.name_of(None, {}) is None


# ---- signatures


def pending(*xs: Any) -> str | None:
    """The signature of the program that computes these tensors."""
    found = Program(tuple([x._s.h for x in xs])).signature
    realisation.realise(epoch.current())
    return found


def graphs() -> list[str | None]:
    """Signatures of graphs that compute different things."""
    x, y = torch.ones(3, 4), torch.zeros(3, 4)
    torch.cat([x, y]).sum().item()
    made: list[Callable[[], tuple[Any, ...]]] = [
        lambda: (x + y,),
        lambda: (x - y,),
        lambda: (x * y,),
        lambda: (x + x,),
        lambda: (x + 1,),
        lambda: (x + 1.0,),
        lambda: (1 - x,),
        lambda: (x.sum(0),),
        lambda: (x.sum(1),),
        lambda: (x.sum((0, 1)),),
        lambda: (x.sum(0, keepdim=True),),
        lambda: (x.mean(0),),
        lambda: (x.exp(), x.log()),
        lambda: (x.log(), x.exp()),
        lambda: (x.t().contiguous(),),
        lambda: (x[1:] * 2,),
        lambda: (x[:2] * 2,),
        lambda: (x[:, 1:3] * 2,),
        lambda: (x.reshape(4, 3) * 2,),
        lambda: (x.double() + 1,),
        lambda: (x.to(torch.bfloat16) + 1,),
        lambda: (nn.functional.gelu(x),),
        lambda: (nn.functional.gelu(x, approximate="tanh"),),
        lambda: (nn.functional.leaky_relu(x, 0.1),),
        lambda: (nn.functional.leaky_relu(x, 0.2),),
        lambda: (nn.functional.elu(x),),
        lambda: (nn.functional.selu(x),),
        lambda: (nn.functional.mse_loss(x, y),),
        lambda: (nn.functional.mse_loss(x, y, reduction="sum"),),
        lambda: (nn.functional.smooth_l1_loss(x, y, beta=0.5),),
        lambda: (nn.functional.huber_loss(x, y, delta=0.5),),
        lambda: (nn.functional.max_pool2d(x[None, None], 2),),
        lambda: (nn.functional.avg_pool2d(x[None, None], 2),),
        lambda: (torch.where(x > 0, x, y),),
        lambda: (torch.where(x >= 0, x, y),),
        lambda: (x @ y.t(),),
        lambda: (x.t() @ y,),
        lambda: (x.cumsum(0),),
        lambda: (x.cumsum(1),),
    ]
    found = []
    for make in made:
        xs = make()
        found.append(pending(*[t for t in xs if t._s.pending]))
    return found


def test_signatures_tell_graphs_apart() -> None:
    found = graphs()
    assert None not in found and len(set(found)) == len(found)
    assert graphs() == found


SIGNATURES = """
import hashlib, sys
sys.path.insert(0, {tests!r})
from test_stored import graphs
print(hashlib.sha256(repr(graphs()).encode()).hexdigest())
"""


def test_signatures_are_the_same_in_every_process() -> None:
    found = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONPATH": str(HOME), "PYTHONHASHSEED": seed}
        code = SIGNATURES.format(tests=str(Path(__file__).parent))
        found.add(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout)
    assert len(found) == 1


def test_kept_leaves_are_counted_in_the_program() -> None:
    """Parameters have numbers of the process; their programs do not depend on them."""

    def signature() -> str | None:
        ps = [torch.ones(3, requires_grad=True) for _ in range(2)]
        optimizer = torch.optim.SGD(ps, lr=0.1)
        found = None
        for _ in range(3):
            optimizer.zero_grad()
            (ps[0] * ps[1]).sum().backward()
            optimizer.step()
            y = ps[0] * 2 + ps[1]
            found = pending(y)
        return found

    held = [signature() for _ in range(3)]
    assert held[0] is not None and len(set(held)) == 1


def user_function(b: Any, attrs: Any, x: Any) -> Any:
    return b.map("exp", x)


def test_what_users_define_has_none() -> None:
    from flambeau.graph.signature import UnknownError, _text

    for value in (user_function, object(), HOME, {1, 2}):
        with pytest.raises(UnknownError):
            _text(value)


# ---- a process


LOOP = """
import sys, time
import flambeau as torch
from flambeau import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 10))
optimizer = torch.optim.Adam(net.parameters())
x, y = torch.randn(8, 1, 12, 12), torch.randint(0, 10, (8,))
for _ in range(3):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
import hashlib
values = b"".join([p.detach().numpy().tobytes() for p in net.parameters()])
planned = "flambeau.compiler.cpu.execute" in sys.modules
print(hashlib.sha256(values).hexdigest(), planned, "llvmlite" in sys.modules)
"""


def test_a_warm_process_plans_nothing(tmp_path: Path) -> None:
    environment = {
        **os.environ, "PYTHONPATH": str(HOME), "FLAMBEAU_CACHE": str(tmp_path / "c"), "FLAMBEAU_EXECUTOR": "native",
    }  # fmt: skip
    command = [sys.executable, "-W", "error", "-c", LOOP]
    cold, warm = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    )
    assert cold[1:] == ["True", "True"] and warm[1:] == ["False", "False"] and cold[0] == warm[0]


def rewrite(path: Path, text: str) -> None:
    """Writes a file and sets the time of its last change back."""
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of files ticks in milliseconds
        path.write_text(text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_the_hash_of_the_source_follows_what_it_says(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in stored.SOURCES:
        (home / name / "part").mkdir(parents=True)
    (home / "dtypes.py").write_text("a = 1")
    inner = home / "ops" / "part" / "one.py"
    inner.write_text("b = 1")
    first = stored.hash_of(str(home))
    assert stored.hash_of(str(home)) == first  # from the disk
    rewrite(inner, "b = 2")
    second = stored.hash_of(str(home))
    assert second != first
    rewrite(inner, "b = 1")
    assert stored.hash_of(str(home)) == first
    rewrite(home / "dtypes.py", "a = 2")
    assert stored.hash_of(str(home)) not in (first, second)


ALIASED = """
import torch
from flambeau.graph import realisation
x = torch.linspace(0.1, 0.9, 6, requires_grad=True)
for loss in (torch.nn.BCELoss(), torch.nn.SmoothL1Loss(), torch.nn.KLDivLoss(reduction="sum")):
    loss(x, torch.full((6,), 0.5)).backward()
    print(x.grad.tolist())
print({type(p.cache).__name__ for p in realisation.programs.values() if p.cache is not None})
"""


def test_programs_are_found_again_where_the_package_stands_for_torch(tmp_path: Path) -> None:
    """There the classes of losses are shown under PyTorch's names."""
    script = tmp_path / "losses.py"
    script.write_text(ALIASED, encoding="utf-8")
    environment = {**os.environ, "FLAMBEAU_CACHE": str(tmp_path / "cache"), "FLAMBEAU_EXECUTOR": "native"}
    command = [sys.executable, "-m", "flambeau", "run", str(script)]
    first, second = [subprocess.run(command, env=environment, capture_output=True, text=True) for _ in range(2)]
    *numbers, planned = first.stdout.splitlines()
    assert "Executable" in planned and not first.stderr
    assert second.stdout.splitlines() == [*numbers, "{'Restored'}"]
