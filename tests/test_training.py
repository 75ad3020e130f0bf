"""Training LeNet gives PyTorch's loss at every step, and a steady loop compiles its programs once."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import training_curves as curves
from _thorough import thorough

import flambeau as torch
from flambeau.graph import counters, realise
from flambeau.vision.datasets import MNIST
from flambeau.vision.transforms import ToTensor

# A rounding error can decide what a ReLU or a maximum does. PyTorch's own curves stay within 1e-5 when all weights move
# by one unit in the last place, or end up to 4e-3 away: with the rates chosen here they rarely do.


def golden(name: str) -> list[float]:
    return json.loads((curves.GOLDEN / f"lenet_{name}.json").read_text(encoding="utf-8"))


def check_losses(name: str, dataset: Any = None, steps: int | None = None) -> None:
    """The loss of each step is PyTorch's; ``steps``: of the first ones."""
    assert list(islice(curves.losses(torch, name, dataset), steps)) == pytest.approx(golden(name)[:steps], rel=1e-3)


@pytest.mark.parametrize("name", ["digits_sgd", "digits_adam_dropout"])
@pytest.mark.parametrize("steps", [10, *thorough([30])])
def test_loss_on_shipped_digits(name: str, steps: int) -> None:
    check_losses(name, steps=steps)


@pytest.mark.parametrize("name", ["digits_sgd", "digits_adam_dropout"])
def test_loss_by_native_code(name: str, native_code: None) -> None:
    pytest.importorskip("llvmlite", reason="native code is made by llvmlite")
    check_losses(name)


@pytest.fixture
def mnist(tmp_path: Path) -> Any:
    """The first 8000 images."""
    if not curves.MNIST.is_dir():
        pytest.skip("../shared/data/mnist is not there")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in curves.MNIST.iterdir():
        for split in ("t10k", "train"):
            (raw / path.name.replace("t10k", split)).symlink_to(path)
    return torch.utils.data.Subset(MNIST(str(tmp_path), transform=ToTensor()), range(8000))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["mnist_sgd", "mnist_adam_dropout"])
def test_loss_on_mnist_by_native_code(name: str, mnist: Any, native_code: None) -> None:
    pytest.importorskip("llvmlite", reason="native code is made by llvmlite")
    check_losses(name, mnist)


@pytest.mark.shared
@pytest.mark.thorough
@pytest.mark.parametrize("name", ["mnist_sgd", "mnist_adam_dropout"])
def test_loss_on_mnist(name: str, mnist: Any) -> None:
    check_losses(name, mnist)


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9),
    "SGD plain": lambda p: torch.optim.SGD(p, lr=0.02),
    "SGD nesterov": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-4),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-3),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-3, momentum=0.5),
    "Adagrad": lambda p: torch.optim.Adagrad(p),
    "Adadelta": lambda p: torch.optim.Adadelta(p),
    "NAdam": lambda p: torch.optim.NAdam(p),
    "RAdam": lambda p: torch.optim.RAdam(p),
}
SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=20),
    "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=20, cycle_momentum=False),
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steady_loop_compiles_its_programs_once(optimizer: str, schedule: str) -> None:
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4))
    steps = OPTIMIZERS[optimizer](model.parameters())
    rates = SCHEDULES[schedule](steps)
    realise()  # what other tests have left pending would be part of the first program
    compiled = []
    for _ in range(20):
        x, y = torch.randn(8, 12), torch.randint(4, (8,))
        before = counters["compiles"]
        steps.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        steps.step()
        rates.step()
        assert loss.item() > 0
        compiled.append(counters["compiles"] - before)
    assert sum(compiled) <= 3
    assert not any(compiled[10:])
