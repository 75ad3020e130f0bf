"""What a data loading worker knows about itself (`torch.utils.data._utils.worker`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class WorkerInfo:
    """A worker's number, how many there are, its seed, and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str | None = "multiprocessing"


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Who loads the data in this process: None outside of workers."""
    return _worker_info


def become(info: WorkerInfo) -> None:
    """This process is a worker from now on."""
    global _worker_info
    _worker_info = info


def numpy_seed(base_seed: int, worker_id: int) -> list[int]:
    """The words that NumPy's global generator is seeded with in a worker."""
    entropy = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return np.random.SeedSequence(entropy).generate_state(4).tolist()


_generate_state = numpy_seed  # PyTorch's name, which packages import
