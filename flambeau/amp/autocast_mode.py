"""Autocast: within its context matrix products and convolutions compute in bfloat16, losses in float32.

Nothing is tested in operators until autocast is first switched on in a process: then the listed functions are
wrapped once, and each wrapper asks for the mode of its thread.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

import flambeau as torch

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

# https://docs.pytorch.org/docs/stable/amp.html#cpu-op-specific-behavior
LOWER = (
    "addbmm addmm baddbmm bmm matmul mm __matmul__ __rmatmul__ conv1d conv2d conv3d conv_tbc conv_transpose1d "
    "conv_transpose2d conv_transpose3d linear scaled_dot_product_attention "
    "lstm rnn_relu rnn_tanh prelu multi_head_attention_forward tensordot inner chain_matmul matrix_power"
).split()
FLOAT32 = (
    "avg_pool3d binary_cross_entropy grid_sample polar prod quantile nanquantile stft cdist trace cholesky "
    "cholesky_inverse cholesky_solve inverse pinverse orgqr ormqr geqrf lu_solve mse_loss cosine_embedding_loss "
    "nll_loss hinge_embedding_loss view_as_complex "
    "poisson_nll_loss smooth_l1_loss cross_entropy l1_loss huber_loss margin_ranking_loss "
    "soft_margin_loss triplet_margin_loss multi_margin_loss ctc_loss kl_div multilabel_margin_loss "
    "binary_cross_entropy_with_logits fractional_max_pool2d fractional_max_pool3d adaptive_avg_pool3d "
    "adaptive_max_pool3d adaptive_max_pool3d_with_indices max_pool3d max_pool3d_with_indices max_unpool1d max_unpool2d "
    "max_unpool3d linear_cross_entropy lu qr svd triangular_solve svd_lowrank pca_lowrank"
).split()
LINALG_LOWER = "vecdot matmul multi_dot matrix_power".split()
LINALG_FLOAT32 = (
    "cond matrix_rank solve cholesky cholesky_ex inv_ex svdvals eigvals eigvalsh inv householder_product tensorinv "
    "tensorsolve qr svd eig eigh lstsq"
).split()
FFT_FLOAT32 = "fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft".split()
WIDEST = ("cat", "stack", "index_copy")

_DEVICES = ("cpu", "cuda", "xpu", "mps", "hpu", "xla", "mtia", "maia", "privateuseone")


class _Mode(threading.local):
    """The state of one thread."""

    def __init__(self) -> None:
        self.enabled: dict[str, bool] = dict.fromkeys(_DEVICES, False)
        self.dtype: dict[str, Any] = dict.fromkeys(_DEVICES, torch.float16) | {"cpu": torch.bfloat16}
        self.cache = True
        self.nesting = 0


_mode = _Mode()
_installed = threading.Lock(), [False]


def is_autocast_available(device_type: str) -> bool:
    """Does this device have autocast?"""
    return device_type in ("cpu", "cuda", "mtia", "maia", "xpu", "hpu", "xla", "mps")


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Is autocast on for this device in this thread?"""
    return _mode.enabled[device_type]


def is_any_autocast_enabled() -> bool:
    """Is autocast on for any device in this thread?"""
    return any(_mode.enabled.values())


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Switches autocast on or off for a device in this thread; one argument means ``cuda``."""
    name, on = ("cuda", device_type) if enabled is None else (device_type, enabled)
    if name == "cpu" and on:
        _install()
    _mode.enabled[name] = bool(on)


def get_autocast_dtype(device_type: str) -> Any:
    """The dtype in which autocast computes on this device."""
    return _mode.dtype[device_type]


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Sets the dtype in which autocast computes on this device."""
    _mode.dtype[device_type] = dtype


def is_autocast_cpu_enabled() -> bool:
    """``is_autocast_enabled("cpu")``."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """``set_autocast_enabled("cpu", enabled)``."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> Any:
    """``get_autocast_dtype("cpu")``."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: Any) -> None:
    """``set_autocast_dtype("cpu", dtype)``."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> Any:
    """``get_autocast_dtype("cuda")``."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: Any) -> None:
    """``set_autocast_dtype("cuda", dtype)``."""
    set_autocast_dtype("cuda", dtype)


def is_autocast_cache_enabled() -> bool:
    """Is the cache of cast weights on? It has no effect here."""
    return _mode.cache


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Switches the cache of cast weights, which has no effect here."""
    _mode.cache = enabled


def autocast_increment_nesting() -> int:
    """Counts one more context; gives their number."""
    _mode.nesting += 1
    return _mode.nesting


def autocast_decrement_nesting() -> int:
    """Counts one context less; gives their number."""
    _mode.nesting -= 1
    return _mode.nesting


def clear_autocast_cache() -> None:
    """Nothing: casts are not cached, equal casts of one tensor are one node of the program."""


# ---- casting


def _cast(value: Any, dtype: Any) -> Any:
    """Floating-point tensors of at most 32 bits in ``dtype``, also those in lists, tuples and dictionaries."""
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() and value.dtype is not torch.float64 else value
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(_cast(v, dtype) for v in value)
    if type(value) is dict:
        return {k: _cast(v, dtype) for k, v in value.items()}
    return value


def _tensors(values: Any) -> Any:
    for v in values:
        if isinstance(v, torch.Tensor):
            yield v
        elif isinstance(v, (list, tuple)):
            yield from _tensors(v)


def _lower(args: Any) -> Any:
    return _mode.dtype["cpu"]


def _float32(args: Any) -> Any:
    return torch.float32


def _widest(args: Any) -> Any:
    low = {torch.bfloat16, torch.float16}
    dtypes = {x.dtype for x in _tensors(args) if x.is_floating_point()}
    return torch.float32 if dtypes & low and torch.float32 in dtypes else None


def _as_input(args: Any) -> Any:
    """The lower dtype if the input has it: PyTorch's GRU keeps a float32 state beside products in the lower one."""
    low = _mode.dtype["cpu"]
    return low if args[0].dtype is low else None


def _float32_of_copies(args: Any) -> Any:
    """Float32 for padding with what is there, which PyTorch has operators of their own for."""
    return torch.float32 if any(type(a) is str and a in ("reflect", "replicate") for a in args) else None


def _float32_of_images(args: Any) -> Any:
    """Float32 for what is an ``avg_pool3d`` inside."""
    return torch.float32 if args[0].dim() > 3 else None


def _lower_contraction(args: Any) -> Any:
    """The lower dtype for an ``einsum`` that is a product of matrices: one that sums over what two operands share."""
    if not args or not isinstance(args[0], str):
        return _mode.dtype["cpu"]
    operands, arrow, result = args[0].replace(" ", "").partition("->")
    shared = {c for c in operands if c.isalpha() and sum(c in part for part in operands.split(",")) > 1}
    return _mode.dtype["cpu"] if shared - set(result if arrow else "") else None


def _wrapped(function: Callable[..., Any], choose: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not _mode.enabled["cpu"]:
            return function(*args, **kwargs)
        dtype = choose((*args, *kwargs.values()))
        if dtype is None:
            return function(*args, **kwargs)
        _mode.enabled["cpu"] = False
        try:
            out = kwargs.pop("out", None)
            named = _cast(kwargs, dtype) if out is None else {**_cast(kwargs, dtype), "out": out}
            return function(*_cast(args, dtype), **named)
        finally:
            _mode.enabled["cpu"] = True

    return run


def _install() -> None:
    """Wraps the listed functions wherever programs find them."""
    lock, done = _installed
    with lock:
        if done[0]:
            return
        done[0] = True
        functions = (torch, torch.Tensor, torch.nn.functional)
        for owners, names, choose in (
            (functions, LOWER, _lower),
            (functions, FLOAT32, _float32),
            (functions, WIDEST, _widest),
            (functions, ("einsum",), _lower_contraction),
            (functions, ("gru",), _as_input),
            (functions, ("local_response_norm",), _float32_of_images),
            (functions, ("pad",), _float32_of_copies),
            ((torch.linalg,), LINALG_LOWER, _lower),
            ((torch.linalg,), LINALG_FLOAT32, _float32),
            ((torch.fft,), FFT_FLOAT32, _float32),
        ):
            for name in names:
                for owner in owners:
                    _wrap_in(owner, name, choose)


def _wrap_in(owner: Any, name: str, choose: Callable[[Any], Any]) -> None:
    function = getattr(owner, name, None)
    if callable(function):
        run = _wrapped(function, choose)
        if not isinstance(owner, type):
            run.__module__, run.__qualname__ = owner.__name__, name  # by which pickle finds it
        setattr(owner, name, run)


class autocast:
    """A context and decorator in which operators choose their precision (https://docs.pytorch.org/docs/stable/amp.html).

    Args:
        device_type: ``"cpu"``, or the name of another device, for which autocast is disabled with a warning.
        dtype: bfloat16 or float16 on the CPU; bfloat16 by default.
        enabled: False switches autocast off within the context.

    Raises:
        ValueError: ``device_type`` is no string.
        RuntimeError: there is no such device.
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.device = device_type.partition(":")[0]
        if self.device not in _DEVICES:
            raise RuntimeError(f"Invalid device string: '{device_type}'")
        if not is_autocast_available(self.device):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.fast_dtype = get_autocast_dtype(self.device) if dtype is None else dtype
        self._enabled = self._usable(enabled)
        self._cache_enabled = _mode.cache if cache_enabled is None else cache_enabled
        self._before: list[tuple[bool, Any, bool]] = []

    def _usable(self, enabled: bool) -> bool:
        if self.device == "cuda" and enabled:
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=4)
        supported = (torch.bfloat16, torch.float16)
        if self.device == "cpu" and enabled and self.fast_dtype not in supported:
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                "CPU Autocast only supports dtypes of " + ", ".join(map(str, supported)) + " currently.",
                stacklevel=4,
            )
            return False
        return enabled and self.device == "cpu"

    def __enter__(self) -> autocast:
        self._before.append((_mode.enabled[self.device], _mode.dtype[self.device], _mode.cache))
        set_autocast_enabled(self.device, self._enabled)
        set_autocast_dtype(self.device, self.fast_dtype)
        set_autocast_cache_enabled(self._cache_enabled)
        autocast_increment_nesting()
        return self

    def __exit__(self, *_exception: Any) -> bool:
        autocast_decrement_nesting()
        enabled, dtype, cache = self._before.pop()
        _mode.enabled[self.device], _mode.dtype[self.device], _mode.cache = enabled, dtype, cache
        return False

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Decorates a function."""

        @functools.wraps(func)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return run


# ---- autograd functions


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """Decorates the ``forward`` of an autograd ``Function``: it keeps the mode for ``backward``; with
    ``cast_inputs`` it runs without autocast, on inputs cast to that dtype.

    Raises:
        ValueError: ``device_type`` is no string.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        enabled = is_autocast_enabled(device_type)
        ctx._dtype = get_autocast_dtype(device_type)
        ctx._fwd_used_autocast = enabled and cast_inputs is None
        if not enabled or cast_inputs is None:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type=device_type, enabled=False):
            return fwd(ctx, *_cast(args, cast_inputs), **_cast(kwargs, cast_inputs))

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """Decorates the ``backward`` of an autograd ``Function``: it runs in the mode of its ``custom_fwd``.

    Raises:
        ValueError: ``device_type`` is no string.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type=device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(ctx, *args, **kwargs)

    return backward
