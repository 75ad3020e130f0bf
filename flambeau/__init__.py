"""flambeau: PyTorch's API in Python, compiled. ``import flambeau as torch``."""

from __future__ import annotations

import importlib
import sys
from os import environ as _environ
from typing import TYPE_CHECKING, Any

from . import _collector, _signals
from . import _execution as _execution
from . import dtypes as _dtypes
from .autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)  # fmt: skip
from .device import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    device,
    jagged,
    layout,
    memory_format,
    preserve_format,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)  # fmt: skip
from .dtypes import (
    can_cast,
    dtype,
    finfo,
    get_default_dtype,
    iinfo,
    promote_types,
    set_default_dtype,
)  # fmt: skip
from .graph.types import Size
from .ops import FUNCTION_FAMILY as _FUNCTION_FAMILY
from .ops import FUNCTIONS as _FUNCTIONS
from .ops import load_function as _load_function
from .ops import show_at_home as _show_at_home
from .printing import set_printoptions
from .random.generator import Generator, default_generator
from .tensor import Tensor

globals().update(_FUNCTIONS)
_show_at_home(_FUNCTIONS)
globals().update({_d.name: _d for _d in vars(_dtypes).values() if isinstance(_d, dtype)})
globals().update(_dtypes.ALIASES)

from math import e, inf, nan, pi  # noqa: E402

newaxis = None
torch = sys.modules[__name__]  # torch.torch is torch
_collector.resume()
_signals.install()

if TYPE_CHECKING:
    tensor: Any  # the function, not the module of this name

_SUBMODULES = frozenset(
    [
        "autograd",
        "nn",
        "optim",
        "utils",
        "linalg",
        "fft",
        "special",
        "random",
        "cuda",
        "backends",
        "jit",
        "hub",
        "vision",
        "version",
        "testing",
        "distributions",
        "amp",
        "func",
        "profiler",
        "types",
        "serialization",
        "overrides",
        "multiprocessing",
        "distributed",
        "onnx",
        "fx",
        "mps",
        "storage",
        "return_types",
        "accelerator",
        "xpu",
        "torch_version",
        "signal",
        "sparse",
        "functional",
        "futures",
        "library",
        "masked",
        "quasirandom",
        "_tensor_str",
        "__config__",
        "__future__",
        "ao",
        "quantization",
        "_C",
        "_dynamo",
        "_tensor",
        "_utils",
        "cpu",
        "_inductor",
        "export",
        "nested",
        "package",
    ]
)
_LAZY_NAMES = {
    "__version__": "torch_version", "__flambeau_version__": "version", "OutOfMemoryError": "cuda",
    "save": "serialization", "load": "serialization", "UntypedStorage": "storage", "TypedStorage": "storage",
    "is_storage": "storage", "Storage": "_tensor_types",
    **{f"{kind}Storage": "storage" for kind in "Double Float Half BFloat16 Long Int Short Char Byte Bool ComplexDouble "
       "ComplexFloat".split()},
}  # fmt: skip
_LAZY_NAMES |= dict.fromkeys(
    "BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor LongTensor "
    "ShortTensor "
    "set_default_tensor_type".split(),
    "_tensor_types",
)
_LAZY_NAMES |= dict.fromkeys(
    "are_deterministic_algorithms_enabled from_file get_default_device get_device_module get_deterministic_debug_mode "
    "get_float32_matmul_precision get_num_interop_threads get_num_threads "
    "is_deterministic_algorithms_warn_only_enabled is_inference is_warn_always_enabled set_default_device "
    "set_deterministic_debug_mode set_float32_matmul_precision set_flush_denormal set_num_interop_threads "
    "set_num_threads set_warn_always use_deterministic_algorithms".split(),
    "settings",
)
_LAZY_NAMES |= dict.fromkeys(
    "_assert _assert_async _check _check_index _check_is_size _check_not_implemented _check_tensor_all _check_type "
    "_check_tensor_all_with _check_value _check_with".split(),
    "_assertions",
)
_LAZY_NAMES |= dict.fromkeys(
    ["SymBool", "SymFloat", "SymInt", "sym_float", "sym_int", "sym_ite", "sym_max", "sym_min", "sym_not", "sym_sqrt",
     "sym_sum"], "_symbols"
)  # fmt: skip
_LAZY_NAMES |= {
    "Future": "futures",
    "TensorType": "_C",
    "DeviceObjType": "types",
    "Event": "accelerator",
    "Stream": "accelerator",
    "ScriptModule": "jit",
    "PyTorchFileReader": "serialization._file_reader",
    "sparse_coo_tensor": "sparse",
    "sparse_csr_tensor": "sparse",
    "sparse_csc_tensor": "sparse",
    "sparse_compressed_tensor": "sparse",
    "spmm": "sparse",
    "compile": "_compile",
    "cond": "_control_flow",
    "while_loop": "_control_flow",
}

_LAZY_NAMES |= dict.fromkeys("eig lstsq matrix_rank solve symeig".split(), "_linalg_utils")
_LAZY_NAMES |= {"vmap": "func", "autocast": "amp", "GradScaler": "amp", "fork_rng": "random"}
_LAZY_NAMES |= dict.fromkeys(
    "autocast_decrement_nesting autocast_increment_nesting clear_autocast_cache get_autocast_cpu_dtype "
    "get_autocast_dtype get_autocast_gpu_dtype is_autocast_cache_enabled is_autocast_cpu_enabled is_autocast_enabled "
    "set_autocast_cache_enabled set_autocast_cpu_dtype set_autocast_cpu_enabled set_autocast_dtype "
    "set_autocast_enabled set_autocast_gpu_dtype".split(),
    "amp.autocast_mode",
)


def __getattr__(name: str) -> Any:
    """Loads submodules, and names that live in one, when they are first used."""
    if name in _SUBMODULES:
        try:
            return importlib.import_module(f"{__package__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__package__}.{name}":
                raise
    function = _load_function(name)
    if function is not None:
        globals()[name] = function
        return function
    if name in _LAZY_NAMES:
        found = getattr(importlib.import_module(f"{__package__}.{_LAZY_NAMES[name]}"), name)
        if isinstance(found, type):  # functions may be other ones for a time, classes are not
            globals()[name] = found
        return found
    raise AttributeError(f"module 'torch' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_FUNCTION_FAMILY, *_SUBMODULES, *_LAZY_NAMES} - {"__dir__"})


def is_tensor(obj: Any) -> bool:
    """Is this a tensor?"""
    return isinstance(obj, Tensor)


def typename(obj: Any) -> str:
    """The name of a tensor's type (``torch.FloatTensor``), or of any other object's class with its module."""
    if isinstance(obj, Tensor):
        return obj.type()
    owner = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(obj, "__module__", None) or type(obj).__module__
    return owner.__qualname__ if module in ("builtins", "__builtin__") else f"{module}.{owner.__qualname__}"


_shown = _environ.get("FLAMBEAU_SHOW")
if _shown:
    importlib.import_module(f"{__package__}.profiler.show").install(_shown)
