"""What programs take from PyTorch's extension module: base classes, errors, and questions with one answer here."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from .autograd import SavedTensor, is_grad_enabled
from .autograd.engine import will_run
from .device import device
from .dtypes import dtype
from .futures import Future
from .graph import packing
from .graph.epoch import threads
from .graph.tensor_base import TensorBase
from .graph.types import Size
from .ops._matrices import LinAlgError as _LinAlgError
from .ops._overriding import disabled as _disabled_torch_function_impl
from .ops._overriding import state as _calls
from .random.generator import Generator
from .tensor import DisableTorchFunctionSubclass, _TensorMeta

__all__ = [
    "DisableTorchFunction",
    "DisableTorchFunctionSubclass",
    "Future",
    "Generator",
    "Graph",
    "Node",
    "ScriptMethod",
    "ScriptObject",
    "Size",
    "TensorBase",
    "TensorType",
    "Value",
    "_LinAlgError",
    "_TensorMeta",
    "_disabled_torch_function_impl",
    "device",
    "dtype",
    "is_grad_enabled",
]


class DisableTorchFunction:
    """A block in which neither classes nor modes answer calls."""

    def __enter__(self) -> None:
        self._before = _calls.classes, _calls.modes
        _calls.classes, _calls.modes = False, ()

    def __exit__(self, *exc: object) -> None:
        _calls.classes, _calls.modes = self._before


class Graph:
    """A program of TorchScript, and what it holds. Nothing is one."""


class Node:
    """An operation of TorchScript's graph. Nothing is one."""


class Value:
    """A value of TorchScript's graph. Nothing is one."""


class ScriptMethod:
    """A method compiled by TorchScript. Nothing is one."""


class ScriptObject:
    """An object of a class compiled by TorchScript. Nothing is one."""


class TensorType:
    """TorchScript's type of tensors, for annotations."""


has_lapack = has_spectral = True  # linear algebra and Fourier transforms are there ...
has_mkl = has_mkldnn = has_cuda = has_mps = has_xpu = False  # ... not by way of these


def _get_tracing_state() -> None:
    """TorchScript's tracer at work: None."""
    return


def _is_tracing() -> bool:
    """Is TorchScript's tracer at work? There is none."""
    return False


def _switch() -> Callable[[bool], bool]:
    """A setting of TorchScript's compiler, kept: a call sets it and gives what it was, at first True."""
    kept = [True]

    def change(value: bool) -> bool:
        was, kept[0] = kept[0], value
        return was

    return change


def _no_fuser(value: bool) -> None:
    """TorchScript's fusers: nothing is told them."""


_jit_set_profiling_executor, _jit_set_profiling_mode, _jit_set_autocast_mode = _switch(), _switch(), _switch()
_jit_override_can_fuse_on_cpu = _jit_override_can_fuse_on_gpu = _jit_set_texpr_fuser_enabled = _no_fuser


def _log_api_usage_once(event: str) -> None:
    """Nothing is logged."""


def _are_functorch_transforms_active() -> bool:
    """Are values those of a transform? None are: what stands for a sample in ``vmap`` is a tensor like others."""
    return False


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool, Any]:
    """Device, dtype, non_blocking and memory format from what ``Module.to`` takes."""
    from .nn.modules._tree import parse_to

    return parse_to(*args, **kwargs)


_nn = SimpleNamespace(_parse_to=_parse_to)


def _current_graph_task_id() -> int:
    """A number of the backward pass that runs in this thread; -1 if none does."""
    return -1 if threads.task is None else id(threads.task)


def _will_engine_execute_node(node: Any) -> bool:
    """Does the backward pass that runs now send a gradient to this node?

    Raises:
        RuntimeError: none runs.
    """
    if threads.task is None:
        raise RuntimeError("_get_should_execute_nodes should only be called during the backward pass")
    return will_run(node)


_autograd = SimpleNamespace(
    SavedTensor=SavedTensor,
    _push_saved_tensors_default_hooks=packing.enter,
    _pop_saved_tensors_default_hooks=packing.leave,
    _saved_tensors_hooks_is_enabled=lambda: packing.hooks.disabled is None,
)
