"""LeNet trained on digits by the same code under torch and flambeau: the loss at every step."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
MNIST = HERE.parents[1] / "shared" / "data" / "mnist"
SHIPPED = HERE.parent / "flambeau" / "vision" / "data"

# What is recorded: the optimizer, whether dropout acts, the images and the number of steps.
CURVES: dict[str, tuple[str, bool, str, int]] = {
    "mnist_sgd": ("sgd", False, "mnist", 100),
    "mnist_adam_dropout": ("adam", True, "mnist", 100),
    "digits_sgd": ("sgd", False, "digits", 30),
    "digits_adam_dropout": ("adam", True, "digits", 30),
}

RATES = {"sgd": 0.02, "adam": 5e-4}


def idx(path: Path) -> np.ndarray:
    """The array of an idx file of bytes."""
    raw = gzip.decompress(path.read_bytes())
    shape = [int.from_bytes(raw[at : at + 4], "big") for at in range(4, 4 + 4 * raw[3], 4)]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def images(torch: Any, which: str) -> Any:
    """A data set of tensors (1, 28, 28) with values from 0 to 1, as ``ToTensor`` makes them, and their labels."""
    if which == "mnist":
        pixels, labels = (idx(MNIST / f"t10k-{part}.gz")[:8000] for part in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    else:
        pixels, labels = (idx(SHIPPED / f"optdigits-{p}.gz") for p in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        pixels = np.pad(np.kron(pixels, np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))
    values = torch.from_numpy(pixels[:, None].astype(np.float32)) / (255 if which == "mnist" else 16)
    return torch.utils.data.TensorDataset(values, torch.from_numpy(labels.astype(np.int64)))


def lenet(torch: Any, dropout: bool) -> Any:
    """LeNet for images of 28 x 28."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        *([nn.Dropout(0.5)] if dropout else []),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def losses(torch: Any, name: str, dataset: Any = None) -> Iterator[float]:
    """Trains with seed 0 and gives the loss of every step."""
    algorithm, dropout, which, steps = CURVES[name]
    dataset = images(torch, which) if dataset is None else dataset
    torch.manual_seed(0)
    model = lenet(torch, dropout)
    if algorithm == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=RATES["sgd"], momentum=0.9)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=RATES["adam"])
    loader = torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True)
    for (x, y), _ in zip(epochs(loader), range(steps)):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        yield loss.item()


def epochs(loader: Any) -> Iterator[Any]:
    """The batches of one epoch after the other."""
    while True:
        yield from loader
