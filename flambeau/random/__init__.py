"""``torch.random``: seeding and saving the state of the default generator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flambeau.random.generator import Generator, default_generator

if TYPE_CHECKING:
    import flambeau as torch

__all__ = [
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
    "thread_safe_generator",
]


def manual_seed(seed: Any) -> Generator:
    """Restart the default generator at ``int(seed)`` and return it.

    ValueError if the number is not in [-2**63, 2**64).
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Restart the default generator at a seed taken from the operating system, and return that seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed at which the default generator started last, as an unsigned 64-bit number."""
    return default_generator.initial_seed()


def get_rng_state() -> torch.Tensor:
    """The state of the default generator, a uint8 tensor of shape (5056,)."""
    return default_generator.get_state()


def set_rng_state(new_state: torch.Tensor) -> None:
    """Continue from a state that :func:`get_rng_state` gave."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(
    devices: Iterable[Any] | None = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str | None = None,
) -> Iterator[None]:
    """Restore the default generator's state when the ``with`` block ends.

    There is no device but the CPU, so ``devices`` must be empty or None, else AssertionError.
    """
    import flambeau as torch

    kind = torch.device(device_type or "cuda").type
    if kind == "meta" or not enabled:
        yield
        return
    if kind != "cpu" and devices is not None and list(devices):
        raise AssertionError(f"Torch not compiled with {kind.upper()} enabled")
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def thread_safe_generator() -> Generator | None:
    """The generator of the data-loading thread that calls, or None outside such a thread."""
    from flambeau.utils.data import get_worker_info

    worker = get_worker_info()
    if getattr(worker, "worker_method", None) != "thread":
        return None
    return getattr(getattr(worker, "rng", None), "torch_generator", None)
