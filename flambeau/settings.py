"""Process-wide settings: threads, determinism, warnings, matrix precision, denormals, the default device."""

from __future__ import annotations

import os
import warnings
from typing import Any

import flambeau as torch

from .device import chosen, device, set_default
from .ops import _warned
from .ops.creation import fill_undefined

_LEVELS = ("default", "warn", "error")
_PRECISIONS = ("highest", "high", "medium")
_deterministic: dict[str, Any] = {"level": 0, "fill": True}
_state: dict[str, Any] = {"precision": "highest", "interop": None}


def _need(name: str, what: str, kind: type, value: Any) -> None:
    if type(value) is not kind:
        article = "an" if kind is int else "a"
        raise RuntimeError(f"{name} {what} {article} {kind.__name__}, but got {type(value).__name__}")


# ---- threads


def get_num_threads() -> int:
    """How many threads run a program of native code."""
    from .compiler.cpu import pool

    return pool.get_num_threads()


def set_num_threads(num: int) -> None:
    """Sets how many threads run a program of native code. It changes no result.

    Raises:
        RuntimeError: not a positive integer.
    """
    from .compiler.cpu import pool

    _need("set_num_threads", "expects", int, num)
    if num < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    pool.set_num_threads(min(num, pool.MAX_THREADS))


def get_num_interop_threads() -> int:
    """What ``set_num_interop_threads`` was given, by default the number of processors.

    Operators are not run beside each other, so nothing depends on it.
    """
    return _state["interop"] or os.cpu_count() or 1


def set_num_interop_threads(num: int) -> None:
    """Notes a number of threads for running operators beside each other, which flambeau does not do; once.

    Raises:
        RuntimeError: not a positive integer, or set before.
    """
    _need("set_num_interop_threads", "expects", int, num)
    if num < 1:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    if _state["interop"] is not None:
        raise RuntimeError(
            "Error: cannot set number of interop threads after parallel work has started or set_num_interop_threads "
            "called"
        )
    _state["interop"] = num


# ---- determinism: every operator is deterministic, so these say no more than what undefined values are


def _set_deterministic(**changes: Any) -> None:
    _deterministic.update(changes)
    fill_undefined[0] = _deterministic["level"] > 0 and _deterministic["fill"]


def fills_uninitialized_memory() -> bool:
    """Are undefined values filled while deterministic algorithms are asked for?"""
    return _deterministic["fill"]


def set_fills_uninitialized_memory(mode: bool) -> None:
    """``torch.utils.deterministic.fill_uninitialized_memory``.

    Raises:
        TypeError: not a bool.
    """
    if not isinstance(mode, bool):
        raise TypeError(f"expected a bool, but got {type(mode)}")
    _set_deterministic(fill=mode)


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Asks for deterministic algorithms. There are no others here, but ``torch.empty`` gives NaN and the like then."""
    if not isinstance(mode, bool):
        kind = type(mode).__name__
        raise TypeError(f"_set_deterministic_algorithms(): argument 'mode' (position 1) must be bool, not {kind}")
    _set_deterministic(level=(1 if warn_only else 2) if mode else 0)


def are_deterministic_algorithms_enabled() -> bool:
    """Were deterministic algorithms asked for?"""
    return _deterministic["level"] > 0


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Should operators without a deterministic algorithm only warn?"""
    return _deterministic["level"] == 1


def get_deterministic_debug_mode() -> int:
    """0, 1 (warn) or 2 (error)."""
    return _deterministic["level"]


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """As ``use_deterministic_algorithms`` by level: 0 "default", 1 "warn", 2 "error".

    Raises:
        RuntimeError: another level.
    """
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _LEVELS:
            raise RuntimeError(
                f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}"
            )
        debug_mode = _LEVELS.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    _set_deterministic(level=debug_mode)


# ---- warnings, precision, denormals


def set_warn_always(b: bool) -> None:
    """Whether PyTorch repeats warnings that it gives once a process; flambeau leaves most of these to Python's
    filters."""
    _need("setWarnOnlyOnce", "expects", bool, b)
    _warned.repeating[0] = b


def is_warn_always_enabled() -> bool:
    """What ``set_warn_always`` was given."""
    return _warned.repeating[0]


def get_float32_matmul_precision() -> str:
    """What ``set_float32_matmul_precision`` was given; products are always of the highest precision."""
    return _state["precision"]


def set_float32_matmul_precision(precision: str) -> None:
    """Allows matrix products of lower precision ("highest", "high", "medium"), which flambeau makes no use of."""
    if precision not in _PRECISIONS:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the currentsetFloat32MatmulPrecision call has "
            "no effect.",
            stacklevel=2,
        )
        return
    _state["precision"] = precision


def set_flush_denormal(mode: bool) -> bool:
    """Whether native code treats denormal numbers as zero; True if the executor in use can."""
    from ._execution import run_on_numpy
    from .compiler.cpu import pool
    from .graph import realisation

    _need("flush_denormal", "expects", bool, mode)
    if not mode or realisation.executor[0] is not run_on_numpy:
        pool.set_flush_denormal(mode)
        return True
    return False


# ---- the default device


def get_default_device() -> device:
    """The device of new tensors."""
    return chosen()


def set_default_device(device: Any) -> None:
    """Sets the device of new tensors: the CPU (None as well) or "meta".

    Raises:
        AssertionError, RuntimeError: a device that flambeau does not have.
    """
    set_default(device)


# ---- inference


def is_inference(input: Any) -> bool:
    """Was the tensor made in inference mode?"""
    return input.is_inference()


# ---- memory-mapped files


def from_file(
    filename: str,
    shared: bool | None = None,
    size: int | None = 0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
) -> Any:
    """A tensor over a memory-mapped file (https://docs.pytorch.org/docs/stable/generated/torch.from_file.html).

    Args:
        filename: the file.
        shared: writes go to the file, which is made or grown if it must; otherwise they stay in memory.
        size: how many elements.
        dtype: of the elements; the default dtype if not given.
        layout: only strided.
        device: only the CPU.
        pin_memory: without effect.

    Raises:
        RuntimeError: the file is too short, or cannot be opened.
    """
    import numpy as np

    from .dtypes import get_default_dtype
    from .ops.creation import realised_tensor

    chosen(device)
    dt, count = dtype or get_default_dtype(), size or 0
    wanted = count * dt.itemsize
    try:
        if shared:
            _grow(filename, wanted)
        elif os.path.getsize(filename) < wanted:
            have = os.path.getsize(filename)
            raise RuntimeError(f"file <{filename}> size <{have}> is smaller than the required mapping size <{wanted}>")
    except OSError as error:
        mode = "read-write" if shared else "read-only"
        raise RuntimeError(
            f"unable to open file <{filename}> in {mode} mode: {error.strerror} ({error.errno})"
        ) from error
    if not count:
        return realised_tensor(np.zeros(0, dt.np), dt)
    x = realised_tensor(np.memmap(filename, dt.np, "r+" if shared else "c", shape=(count,)), dt)
    x._s.share()
    return x


def _grow(filename: str, wanted: int) -> None:
    """Makes the file, and makes it at least so long."""
    with open(filename, "ab") as file:
        if file.tell() < wanted:
            file.truncate(wanted)


def get_device_module(device: Any = None) -> Any:
    """``torch.cpu``, ``torch.cuda`` or another module of a kind of device; the CPU's for None.

    Raises:
        RuntimeError: there is no such module, or the argument is no device.
    """
    if device is not None and not isinstance(device, (str, torch.device)):
        raise RuntimeError(f"Invalid value of device '{device}', expect torch.device, str, or None")
    kind = "cpu" if device is None else torch.device(device).type
    module = getattr(torch, kind, None)
    if module is None:
        raise RuntimeError(f"Device '{kind}' does not have a corresponding module registered as 'torch.{kind}'.")
    return module
