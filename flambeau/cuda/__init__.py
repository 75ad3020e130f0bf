"""`torch.cuda` on a machine without CUDA: everything says so, as PyTorch's CPU build does.

`is_available()` is False, seeding and cache functions do nothing, and what needs a device raises
`AssertionError("Torch not compiled with CUDA enabled")`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NoReturn

import flambeau as torch
from flambeau.cuda import amp, nvtx

__all__ = [
    "BoolTensor",
    "ByteTensor",
    "CUDAGraph",
    "CharTensor",
    "DoubleTensor",
    "Event",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "Stream",
    "StreamContext",
    "amp",
    "current_device",
    "current_stream",
    "default_stream",
    "device",
    "device_count",
    "device_of",
    "empty_cache",
    "get_arch_list",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "get_rng_state_all",
    "graph",
    "init",
    "initial_seed",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "memory_summary",
    "nvtx",
    "random",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_device",
    "set_rng_state",
    "set_rng_state_all",
    "set_stream",
    "stream",
    "synchronize",
]

default_generators: tuple[Any, ...] = ()
has_half = True
has_magma = False


def _no_cuda(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Needs a device, and there is none.

    Raises:
        AssertionError: always, in PyTorch's words.
    """
    raise AssertionError("Torch not compiled with CUDA enabled")


def is_available() -> bool:
    """Whether CUDA can be used: never."""
    return False


def device_count() -> int:
    """The number of CUDA devices: 0."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA's state was set up: never."""
    return False


_initialized = False  # what reversible networks read instead


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current CUDA device computes in bfloat16: there is none."""
    return False


def is_tf32_supported() -> bool:
    """Whether the current CUDA device has tf32: there is none."""
    return False


def get_arch_list() -> list[str]:
    """The CUDA architectures that the library was compiled for: none."""
    return []


def manual_seed(seed: int) -> None:
    """Nothing: PyTorch keeps the seed for when CUDA is first used, which is never here."""


def manual_seed_all(seed: int) -> None:
    """Nothing, as `manual_seed`."""


def seed() -> None:
    """Nothing, as `manual_seed`."""


def seed_all() -> None:
    """Nothing, as `manual_seed`."""


def empty_cache() -> None:
    """Nothing: there is no cache to empty."""


def get_rng_state_all() -> list[torch.Tensor]:
    """The random states of all CUDA devices: an empty list."""
    return []


def set_rng_state(new_state: torch.Tensor, device: Any = "cuda") -> None:
    """Nothing, as `manual_seed`."""


def set_rng_state_all(new_states: Iterable[torch.Tensor]) -> None:
    """Nothing, as `manual_seed`."""


def memory_allocated(device: Any = None) -> int:
    """Bytes in use on the device: 0."""
    return 0


def memory_stats(device: Any = None) -> OrderedDict[str, Any]:
    """The allocator's counters: none."""
    return OrderedDict()


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing: there are no counters."""


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated
reset_accumulated_memory_stats = reset_peak_memory_stats

init = _lazy_init = current_device = synchronize = ipc_collect = _no_cuda
initial_seed = get_rng_state = _no_cuda
get_device_name = get_device_capability = get_device_properties = _no_cuda
current_stream = default_stream = can_device_access_peer = _no_cuda
mem_get_info = memory_summary = set_per_process_memory_fraction = _no_cuda
set_sync_debug_mode = get_sync_debug_mode = _no_cuda


def _check_cuda_device(device: Any) -> None:
    kind = getattr(device, "type", str(device).partition(":")[0])
    if not isinstance(device, int) and kind != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {device}")


def set_device(device: Any) -> None:
    """Make a CUDA device current.

    Raises:
        ValueError: the device is of another type.
        AssertionError: there is no CUDA.
    """
    _check_cuda_device(device)
    _no_cuda()


class device:
    """Context in which a CUDA device is current; entering it raises unless the device is None."""

    def __init__(self, device: Any) -> None:
        self.idx = device

    def __enter__(self) -> None:
        if self.idx is None or self.idx == -1:
            return
        set_device(self.idx)

    def __exit__(self, *_exception: Any) -> None:
        return None


class device_of(device):
    """Context in which the device of a tensor is current; nothing for a tensor on the CPU."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device() if obj.is_cuda else -1)


class Stream:
    """A CUDA stream: cannot be made here."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("torch.cuda.Stream requires CUDA support")


class Event:
    """A CUDA event: cannot be made here."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("Tried to instantiate dummy base class Event")


class CUDAGraph:
    """A recorded CUDA program: cannot be made here."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("Tried to instantiate dummy base class CUDAGraph")


class graph:
    """A context that records a CUDA program: cannot be made here."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("torch.cuda.graph requires CUDA support")


class StreamContext:
    """Context that selects a stream; None, the only stream there is here, selects nothing."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_exception: Any) -> None:
        return None


def stream(stream: Stream | None) -> StreamContext:
    """A context that selects `stream`."""
    return StreamContext(stream)


def set_stream(stream: Stream | None) -> None:
    """Select a stream for good; None selects nothing."""


class _CudaTensorType(type):
    """The class of `torch.cuda.FloatTensor` and its like: no object is an instance, and none can be made."""

    def __call__(cls, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError(f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA enabled.")


def _tensor_type(name: str) -> _CudaTensorType:
    return _CudaTensorType(name, (), {"__module__": "torch.cuda", "__doc__": "A legacy CUDA tensor type."})


FloatTensor = _tensor_type("FloatTensor")
DoubleTensor = _tensor_type("DoubleTensor")
HalfTensor = _tensor_type("HalfTensor")
BFloat16Tensor = _tensor_type("BFloat16Tensor")
ByteTensor = _tensor_type("ByteTensor")
CharTensor = _tensor_type("CharTensor")
ShortTensor = _tensor_type("ShortTensor")
IntTensor = _tensor_type("IntTensor")
LongTensor = _tensor_type("LongTensor")
BoolTensor = _tensor_type("BoolTensor")


class OutOfMemoryError(RuntimeError):
    """Raised by PyTorch when a device's memory is exhausted; here only a name to catch."""


CudaError = AcceleratorError = RuntimeError

from flambeau.cuda import random, streams  # noqa: E402  # they name what is above
