"""Functions of the IR as bytes: what is planned of what was read is what is planned of what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import flambeau as torch
from flambeau import _execution, nn
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import sent, stored
from flambeau.compiler.cpu.disk import Disk
from flambeau.compiler.cpu.execute import Executable
from flambeau.dtypes import float32
from flambeau.graph import realisation
from flambeau.graph.program import Program

functional = nn.functional


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Program, dict[int, int]]]]:
    """The programs that are planned, with which outputs replace inputs."""
    found: list[Any] = []
    planned = _execution._planned

    def noting(p: Program, inputs: list[Any], *more: Any) -> Any:
        olds = {k: j for k, a in enumerate(p.olds) for j, b in enumerate(inputs) if a is b and a is not None}
        found.append((p, olds))
        return planned(p, inputs, *more)

    realisation.realise()
    monkeypatch.setattr(realisation, "executor", [_execution.run_compiled])
    monkeypatch.setattr(_execution, "_planned", noting)
    realisation.forget()
    yield found
    realisation.forget()


def train(net: nn.Module, x: torch.Tensor, loss_of: Callable[[Any], torch.Tensor]) -> None:
    optimizer = torch.optim.AdamW(net.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        found = net(x)
        loss = loss_of(found[0] if isinstance(found, tuple) else found)
        loss.backward()
        optimizer.step()
        loss.item()


LABELS = torch.tensor([1, 0, 2, 3])
NETWORKS: dict[str, Callable[[], None]] = {
    "convolutions": lambda: train(
        nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
        ),
        torch.randn(4, 1, 8, 8),
        lambda y: functional.cross_entropy(y, LABELS + 0),
    ),
    "attention": lambda: train(
        nn.Sequential(nn.Embedding(11, 8), nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)),
        torch.arange(12).reshape(2, 6) % 11,
        lambda y: y.square().mean(),
    ),
    "recurrence": lambda: train(nn.LSTM(3, 4, bidirectional=True), torch.randn(5, 2, 3), lambda y: y.sum()),
    "writes": lambda: print(torch.zeros(4, 4).index_add_(0, LABELS, torch.ones(4, 4)).cumsum(0).half().flip(0)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_plans_are_the_same(name: str, programs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    place = Disk(None)
    monkeypatch.setattr(place, "put", lambda key, content: kept.append(content))
    monkeypatch.setattr(stored, "store", lambda: place)
    NETWORKS[name]()
    compared = 0
    for p, olds in list(programs):
        content = sent.written(sent.Sent(("about", name), p.function, p.outputs, olds))
        read = sent.read(content)
        assert read.about == ("about", name) and read.olds == olds
        assert repr(read.function) == repr(p.function)
        kept.clear()
        stored.keep("one", Executable(p.function, p.outputs, olds=olds))
        stored.keep("one", Executable(read.function, [*read.outputs], olds=read.olds))
        assert kept[len(kept) // 2 :] == kept[: len(kept) // 2]
        compared += len(kept) == 2
    assert compared


def test_what_is_not_plain_is_not_sent() -> None:
    def mine(x: Any) -> Any:
        return x

    for function, *params in ((mine,), (np.sort,), (train, np.zeros(2)), (train, np.float32(1))):
        b = Builder()
        b.f.outputs = [b.extern("mine", function, (b.input(0, (2,), float32),), [((2,), float32)], *params)]
        with pytest.raises(sent.NotSentError):
            sent.written(sent.Sent((), b.f, [], {}))


def test_numbers_are_the_same_to_the_bit() -> None:
    b = Builder()
    values = [-0.0, float("inf"), float("nan"), 5e-324, complex(0.1, -0.0), 1 << 80, True, None, "x", b"y", [1, (2.5,)]]
    b.f.outputs = [b._add("const", "const", (), x, (), float32) for x in values]
    read = sent.read(sent.written(sent.Sent((), b.f, [], {}))).function
    assert [repr(v.params) for v in read.values] == [repr(x) for x in values]
    assert [type(v.params) for v in read.values] == [type(x) for x in values]
