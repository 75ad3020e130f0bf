"""Training loops in the long run: no new memory, and the same bits for any number of threads and any cache."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.graph import realisation

HOME = Path(torch.__path__[0]).parent
Step = Callable[[], float]


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.f1, self.f2, self.f3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = torch.flatten(F.max_pool2d(F.relu(self.c2(x)), 2), 1)
        return self.f3(F.relu(self.f2(F.relu(self.f1(x)))))


class Block(nn.Module):
    """A layer of a character model."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        b, t, c = x.shape
        q, k, v = (u.view(b, t, self.heads, -1).transpose(1, 2) for u in self.qkv(self.n1(x)).split(c, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class Characters(nn.Module):
    def __init__(self, width: int = 32, context: int = 16) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(30, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(Block(width, 4), Block(width, 4))
        self.head = nn.Linear(width, 30, bias=False)

    def forward(self, x: Any) -> Any:
        return self.head(self.blocks(self.tokens(x) + self.places(torch.arange(x.shape[1])))).flatten(0, 1)


def training(name: str) -> tuple[Any, Step]:
    """A network and its training step."""
    torch.manual_seed(0)
    if name == "lenet":
        net: Any = LeNet()
        x, y = torch.randn(8, 1, 28, 28), torch.randint(0, 10, (8,))
        optimizer: Any = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    elif name == "mlp":
        net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        x, y = torch.randn(32, 20), torch.randint(0, 2, (32,))
        optimizer = torch.optim.Adam(net.parameters())
    else:
        net = Characters()
        x, y = torch.randint(0, 30, (4, 16)), torch.randint(0, 30, (64,))
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return net, step


NETWORKS = ["lenet", "mlp", "characters"]


def numpy_calls(step: Step) -> Counter[str]:
    """What a step calls of NumPy's own functions and of arrays' methods."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, called: Any) -> None:
        owner = getattr(called, "__module__", None) or type(getattr(called, "__self__", None)).__module__
        if event == "c_call" and str(owner).startswith("numpy"):
            found[called.__qualname__] += 1

    sys.setprofile(note)
    try:
        step()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_a_steady_step_makes_no_arrays(native_code: None, name: str) -> None:
    net, step = training(name)
    for _ in range(6):
        step()
    compiled = realisation.counters["compiles"]
    before = [p.data_ptr() for p in net.parameters()]
    reading = {"ndarray.item"} | ({"ndarray.view", "ndarray.argmax"} if name == "characters" else set())
    for _ in range(3):
        if sys.version_info >= (3, 11):  # 3.10's profiler holds arrays too
            assert set(numpy_calls(step)) <= reading  # indices at hand are checked at the call
        else:
            step()
    assert [p.data_ptr() for p in net.parameters()] == before
    assert realisation.counters["compiles"] == compiled


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_does_not_grow(native_code: None) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    _, step = training("mlp")
    for _ in range(500):
        step()
    grown = []
    for _ in range(4):  # what happens once, as when the system joins pages, is no growth
        before = resident()
        for _ in range(1100):
            step()
        grown.append(resident() - before)
    assert min(grown) < 1 << 17


# What a process prints: the parameters after 12 steps of each network, for one number of threads after the other.
TRAINING = """
import hashlib, sys
sys.path.insert(0, {tests!r})
from test_steady import NETWORKS, torch, training
from flambeau.graph import realisation
for threads in {threads}:
    torch.set_num_threads(threads)
    for name in NETWORKS:
        realisation.forget()
        net, step = training(name)
        for _ in range(12):
            step()
        print(hashlib.sha256(b"".join([p.detach().numpy().tobytes() for p in net.parameters()])).hexdigest())
"""


def start(folder: Path, *threads: int) -> subprocess.Popen[str]:
    """A process that trains the networks with each number of threads, with a cache in a folder."""
    environment = {
        **os.environ, "PYTHONPATH": str(HOME), "FLAMBEAU_CACHE": str(folder), "FLAMBEAU_EXECUTOR": "native",
    }  # fmt: skip
    code = TRAINING.format(tests=str(Path(__file__).parent), threads=threads)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes)


def trained(process: subprocess.Popen[str]) -> list[tuple[str, ...]]:
    """The hashes of the networks' parameters for each number of threads."""
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    lines = out.split()
    return [tuple(lines[k : k + len(NETWORKS)]) for k in range(0, len(lines), len(NETWORKS))]


def test_threads_and_caches_change_no_bits(tmp_path: Path) -> None:
    one_thread, four = start(tmp_path / "two", 1), start(tmp_path / "one", 4)  # beside each other: both compile all
    other, cold = trained(one_thread), trained(four)
    warm = trained(start(tmp_path / "one", 1, 3, 4, 4))
    assert len({*cold, *warm, *other}) == 1 and len(cold + warm + other) == 6


def test_the_networks_learn(native_code: None) -> None:
    for name in NETWORKS:
        _, step = training(name)
        losses = [step() for _ in range(30)]
        assert np.isfinite(losses).all() and losses[-1] < losses[0]
