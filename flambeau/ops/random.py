"""Factories of random tensors: ``rand``, ``randn``, ``randint``, ``randperm``, ``normal`` and the ``_like`` forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..device import CPU, META, chosen, strided
from ..dtypes import SCALAR_NAMES, as_dtype, get_default_dtype, int64
from ..graph.types import Ty, on_meta, ty
from ..random import _permutation, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from ..random._engine import Engine
from ..random._exact import INT_MAX, cast, round_to, widen
from ._checks import whole
from ._layouts import layout_of
from ._registry import FUNCTIONS, function, is_tensor
from ._signatures import invalid_arguments
from ._types import broadcast_shape
from .creation import check_out_dtype, device_beside, kw_size, sizes, with_grad, without_memory
from .random_fill import (
    NORMAL,
    UNIFORM,
    Sampler,
    check_std,
    draw,
    drawn,
    fill,
    forgets,
    int64_number,
    integer_sampler,
    memory_format,
    normal_sampler,
    refuse_dtype,
    with_history,
)

for _f in (manual_seed, seed, initial_seed, get_rng_state, set_rng_state):
    FUNCTIONS[_f.__name__] = _f

_OUT = forgets("random", "RandomBackward0")
_NORMAL_OF_MEAN = forgets("normal", "NormalBackward1")
_NORMAL_OF_STD = forgets("normal", "NormalBackward2")
_NORMAL_OF_BOTH = forgets("normal", "NormalBackward3")


def _filled(
    sampler: Sampler, shape: tuple[int, ...], dt: Any, generator: Any, requires_grad: bool, out: Any, device: Any
) -> Any:
    """A new row-major tensor, or ``out`` resized, filled in its own memory order."""
    if out is None:
        t = ty(shape, dt)
        return with_grad(drawn(sampler, on_meta(t) if chosen(device) is META else t, generator), requires_grad)
    check_out_dtype(dt, out)
    if out.shape != shape:
        out.resize_(shape)
    return fill(out, _OUT, sampler, generator)


def _check_options(layout: Any) -> None:
    if layout not in (None, strided):
        raise NotImplementedError(f"random tensors of layout {layout} are not supported; make a dense one")


def _shape(name: str, size: tuple[Any, ...], kw: dict[str, Any]) -> tuple[int, ...]:
    """The sizes given one by one, as one sequence, or by keyword."""
    if not size and "size" not in kw:
        raise invalid_arguments(name, (), {}, "(tuple of ints size, *, Generator generator, ...)")
    if kw.keys() - {"size"}:
        raise invalid_arguments(name, size, kw, *_FORMS)
    first = size[0] if size else kw["size"]
    if not isinstance(first, (tuple, list)) and (isinstance(first, float) or not hasattr(first, "__index__")):
        kind = type(first).__name__
        raise TypeError(f"{name}(): argument 'size' (position 1) must be tuple of ints, not {kind}")
    return sizes(kw_size(size, kw, name))


_OPTIONS = (
    "Tensor out = None, torch.dtype dtype = None, torch.layout layout = None, torch.device device = None, "
    "bool pin_memory = False, bool requires_grad = False"
)
_FORMS = [f"(tuple of ints size, *, {given}{_OPTIONS})" for given in ("torch.Generator generator, ", "")]


@function()
def rand(
    *size: Any,
    generator: Any = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    **kw: Any,
) -> Any:
    """Uniform values on [0, 1) (https://docs.pytorch.org/docs/stable/generated/torch.rand.html)."""
    _check_options(layout)
    dt = as_dtype(dtype) or (get_default_dtype() if out is None else out.dtype)
    return _filled(UNIFORM, _shape("rand", size, kw), dt, generator, requires_grad, out, device)


@function()
def randn(
    *size: Any,
    generator: Any = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    **kw: Any,
) -> Any:
    """Standard normal values (https://docs.pytorch.org/docs/stable/generated/torch.randn.html)."""
    _check_options(layout)
    dt = as_dtype(dtype) or (get_default_dtype() if out is None else out.dtype)
    return _filled(NORMAL, _shape("randn", size, kw), dt, generator, requires_grad, out, device)


@function()
def randint(
    *args: Any,
    generator: Any = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    **kw: Any,
) -> Any:
    """Integers in [low, high), int64 by default: ``randint(high, size)`` or ``randint(low, high, size)``."""
    _check_options(layout)
    low, high, size = _integer_arguments("randint", args, kw, ("low", "high", "size"))
    dt = as_dtype(dtype) or (int64 if out is None else out.dtype)
    return _filled(integer_sampler(low, high), sizes((size,)), dt, generator, requires_grad, out, device)


def _integer_arguments(name: str, args: tuple[Any, ...], kw: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    """``low`` (0 if it is left out), ``high`` and what follows, given by position or by keyword."""
    given = dict(kw)
    free = [n for n in names if n not in kw]
    if "low" in free and len(args) < len(free):
        free.remove("low")
        given["low"] = 0
    given.update(zip(free, args, strict=False))
    if len(args) > len(free) or set(given) != set(names) or not isinstance(given.get("size", ()), (tuple, list)):
        tail = "".join(f", tuple of ints {n}" for n in names[2:])
        raise invalid_arguments(name, args, kw, f"(int high{tail})", f"(int low, int high{tail})")
    for key in ("low", "high"):
        if type(given[key]) is not int:
            given[key] = whole(name, key, free.index(key) + 1 if key in free else 1, given[key])
    return [int64_number(given["low"]), int64_number(given["high"]), *[given[n] for n in names[2:]]]


def _like(
    sampler: Sampler, x: Any, dt: Any, device: Any, requires_grad: bool, memory_format: Any, generator: Any
) -> Any:
    if x.layout is not strided:
        x._s  # raises NotDense  # noqa: B018
    t = layout_of(x._ty, memory_format, as_dtype(dt) or x._ty.dtype)
    t = on_meta(t) if device_beside(x, device) is META else ty(t.shape, t.dtype, t.strides)
    return with_grad(drawn(sampler, t, generator), requires_grad)


@function()
def rand_like(
    input: Any,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Any:
    """Uniform values on [0, 1) with the shape, dtype and layout of ``input``."""
    return _like(UNIFORM, input, dtype, device, requires_grad, memory_format, generator)


@function()
def randn_like(
    input: Any,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Any:
    """Standard normal values with the shape, dtype and layout of ``input``."""
    return _like(NORMAL, input, dtype, device, requires_grad, memory_format, generator)


@function()
def randint_like(
    input: Any,
    *args: Any,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: Any = None,
    **kw: Any,
) -> Any:
    """Integers like ``input``: below ``high``, or in [low, high) where both are given."""
    low, high = _integer_arguments("randint_like", args, kw, ("low", "high"))
    return _like(integer_sampler(low, high), input, dtype, device, requires_grad, memory_format, generator)


@function()
def randperm(
    n: int,
    *,
    generator: Any = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """A random permutation of 0, …, n - 1, int64 by default."""
    n = whole("randperm", "n", 1, n)
    dt = as_dtype(dtype) or (int64 if out is None else out.dtype)
    (n,) = sizes((n,))
    if requires_grad and dt.kind not in "fc":
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    _check_permutation(n, dt)

    def sample(engine: Engine, t: Ty) -> np.ndarray:
        if dt.kind in "bc":
            refuse_dtype("randperm", dt)
        return memory_format(_permutation.randperm(engine, n), dt)

    return _filled(sample, (n,), dt, generator, requires_grad, out, device)


_EXACT_COUNT = {"float16": 2**11 + 1, "bfloat16": 2**8 + 1, "float32": 2**24 + 1, "float64": 2**53 + 1}


def _check_permutation(n: int, dt: Any) -> None:
    """Raises if the dtype does not hold all integers below ``n``."""
    if n > _EXACT_COUNT.get(dt.name, math.inf):
        raise RuntimeError(f"n cannot be greater than {_EXACT_COUNT[dt.name]} for {SCALAR_NAMES[dt]} type.")
    if n - 1 > INT_MAX.get(dt.name, math.inf):
        raise RuntimeError(f"value cannot be converted to type {dt.name}_t without overflow")


_OF_TENSORS = "*, torch.Generator generator = None, Tensor out = None)"
_NORMALS = (
    f"(Tensor mean, Tensor std, {_OF_TENSORS}",
    f"(Tensor mean, float std = 1, {_OF_TENSORS}",
    f"(float mean, Tensor std, {_OF_TENSORS}",
    "(float mean, float std, tuple of ints size, *, torch.Generator generator = None, Tensor out = None, "
    "torch.dtype dtype = None, torch.layout layout = None, torch.device device = None, bool pin_memory = False, "
    "bool requires_grad = False)",
)


def _is_one_number(x: Any) -> bool:
    """Is it a number, or a tensor that stands for one?"""
    return not is_tensor(x) or (x.ndim == 0 and not x.requires_grad)


@function()
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """Normal values: of tensors ``mean`` and ``std`` (either may be a number), or of two numbers and a ``size``."""
    if size is None and dtype is None and (is_tensor(mean) or is_tensor(std)):
        y = _normal_of_tensors(mean, std, generator)
        if out is None:
            return y
        out.resize_(y.shape)
        return out.copy_(y)
    if size is None or not (_is_one_number(mean) and _is_one_number(std)):
        given = (mean, std) if size is None else (mean, std, size)
        raise invalid_arguments("normal", given, {} if dtype is None else {"dtype": dtype}, *_NORMALS)
    dt = as_dtype(dtype) or (get_default_dtype() if out is None else out.dtype)
    where = CPU if device is None else device  # PyTorch does not ask for the default device here
    return _filled(normal_sampler(mean, std), sizes((size,)), dt, generator, requires_grad, out, where)


def _normal_of_tensors(mean: Any, std: Any, generator: Any) -> Any:
    leader = mean if is_tensor(mean) else std
    shape = broadcast_shape(*[x._ty.shape for x in (mean, std) if is_tensor(x)])
    t = ty(shape, leader._ty.dtype)
    if leader._ty.meta:
        return without_memory(t)
    if is_tensor(std):
        _check_std_tensor(std)
    else:
        check_std(std)
    flat = draw(normal_sampler(0.0, 1.0 if is_tensor(std) else std), t, generator)
    values = widen(flat, t.dtype.name).reshape(shape)
    with np.errstate(over="ignore", invalid="ignore"):
        if is_tensor(std):
            values = _rounded(values * std._numpy(), t)
        values = _rounded(values + (mean._numpy() if is_tensor(mean) else _rounded_number(mean, t)), t)
    op = _NORMAL_OF_MEAN if not is_tensor(std) else _NORMAL_OF_BOTH if is_tensor(mean) else _NORMAL_OF_STD
    y = drawn(lambda engine, t: memory_format(values, t.dtype).reshape(-1), t)
    return with_history(y, op, [x for x in (mean, std) if is_tensor(x)])


def _rounded_number(value: Any, t: Ty) -> Any:
    return round_to(value, t.dtype.name) if t.dtype.kind == "f" else t.dtype.np.type(value)


def _check_std_tensor(std: Any) -> None:
    if std._ty.dtype.kind == "c":
        raise RuntimeError("normal expects standard deviation to be non-complex")
    values = std._numpy()
    if values.size and not values.flat[values.argmin()] >= 0:
        raise RuntimeError("normal expects all elements of std >= 0.0")


def _rounded(values: np.ndarray, t: Ty) -> np.ndarray:
    """Values rounded to the dtype, still in the form in which NumPy computes."""
    if values.dtype == t.dtype.np:
        return values
    if t.dtype.kind == "c":
        return values.astype(t.dtype.np)
    return widen(cast(values, t.dtype.name), t.dtype.name)
