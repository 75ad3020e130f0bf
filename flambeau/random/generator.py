"""``torch.Generator`` and the default generator."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from flambeau import _forks
from flambeau.random._engine import DEFAULT_SEED, Engine

if TYPE_CHECKING:
    import flambeau as torch

_NO_CUDA = (
    "Cannot get CUDA generator without ATen_cuda library. PyTorch splits its backend into two shared libraries: "
    "a CPU library and a CUDA library; this error has occurred because you are trying to use some CUDA "
    "functionality, but the CUDA library has not been loaded by the dynamic linker for some reason.  The CUDA "
    "library MUST be loaded, EVEN IF you don't directly use any symbols from the CUDA library! "
)


class Generator:
    """A stream of random numbers on the CPU, equal bit for bit to PyTorch's for every seed.

    ``device`` must be the CPU; another one raises RuntimeError. A new generator starts at a fixed seed.
    """

    __slots__ = ("__weakref__", "_engine")

    def __init__(self, device: Any = "cpu") -> None:
        _check_device(device)
        self._engine = Engine(DEFAULT_SEED)

    def __repr__(self) -> str:
        return f"<torch._C.Generator object at {id(self):#x}>"

    @property
    def device(self) -> torch.device:
        """Always ``device(type='cpu')``."""
        import flambeau as torch

        return torch.device("cpu")

    def manual_seed(self, seed: int, /) -> Generator:
        """Restart at ``seed``, an integer in [-2**63, 2**64), and return the generator.

        RuntimeError for another type, ValueError for an integer out of range.
        """
        with self._engine.lock:
            self._engine.reseed(_checked_seed(seed))
        return self

    def seed(self) -> int:
        """Restart at a seed taken from the operating system, and return that seed."""
        seed = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed of the last restart, as an unsigned 64-bit number."""
        return self._engine.seed

    def get_state(self) -> torch.Tensor:
        """The whole state, a uint8 tensor of shape (5056,)."""
        import flambeau as torch

        with self._engine.lock:
            state = self._engine.get_state()
        return torch.from_numpy(np.frombuffer(state, np.uint8).copy())

    def set_state(self, new_state: torch.Tensor, /) -> Generator:
        """Continue from a state that :meth:`get_state` gave; TypeError or RuntimeError if it is not one."""
        state = _state_bytes(new_state)
        with self._engine.lock:
            self._engine.set_state(state)
        return self

    def clone_state(self) -> Generator:
        """A new generator in the same state."""
        copy = Generator()
        with self._engine.lock:
            copy._engine = self._engine.clone()
        return copy

    def get_offset(self) -> int:
        """Only generators of accelerators have an offset: RuntimeError."""
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset: int, /) -> None:
        """Only generators of accelerators have an offset: RuntimeError."""
        raise RuntimeError("CPU Generator does not use offset")

    def graphsafe_get_state(self) -> Generator:
        """Only generators of accelerators support this: NotImplementedError."""
        raise NotImplementedError("graphsafe_get_state is not supported in this Generator")

    def graphsafe_set_state(self, state: Generator, /) -> None:
        """Only generators of accelerators support this: NotImplementedError."""
        raise NotImplementedError("graphsafe_set_state is not supported in this Generator")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.device,), (self.initial_seed(), None, self.get_state())

    def __setstate__(self, state: tuple[int, None, torch.Tensor]) -> None:
        self.set_state(state[2])


def _check_device(device: Any) -> None:
    if isinstance(device, str) and device == "cpu":
        return
    import flambeau as torch

    kind = torch.device(device).type
    if kind == "cuda":
        raise RuntimeError(_NO_CUDA)
    if kind != "cpu":
        raise RuntimeError(f"{kind.upper()} device type not an accelerator.")


def _checked_seed(seed: Any) -> int:
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        return int(seed)
    kind = type(seed)
    name = f"numpy.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__
    raise RuntimeError(f"manual_seed expected a long, but got {name}")


def _state_bytes(state: Any) -> bytes:
    import flambeau as torch

    if not isinstance(state, torch.Tensor):
        raise TypeError(f"expected a torch.ByteTensor, but got {type(state).__name__}")
    if state.dtype != torch.uint8:
        raise TypeError("RNG state must be a torch.ByteTensor")
    bytes_of: Any = state
    return bytes_of.detach().contiguous().numpy().tobytes()


default_generator = Generator()
default_generator.seed()
_forks.quiet("drawing", default_generator._engine.lock.acquire, default_generator._engine.lock.release)


def engine_of(generator: Generator | None) -> Engine:
    """The engine to draw from: that of ``generator``, or of the default generator.

    Raises:
        TypeError: it is no generator.
    """
    try:
        return (default_generator if generator is None else generator)._engine
    except AttributeError:
        raise TypeError(f"argument 'generator' must be torch.Generator, not {type(generator).__name__}") from None
