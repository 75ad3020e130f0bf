"""Random numbers written into tensors: ``uniform_``, ``normal_``, ``random_``, ``bernoulli_`` and their kin.

The numbers are drawn on the host at the call, in the memory order of the tensor, and become its realised memory.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..dtypes import C_NAMES, SCALAR_NAMES, dtype
from ..graph.epoch import complete_all, node_of, threads
from ..graph.fn import Fn, next_number, record, save_inputs, save_outputs
from ..graph.keeping import let_go
from ..graph.node import Operator, user_place
from ..graph.realisation import realise
from ..graph.storage import Storage, next_token
from ..graph.tensor_base import TensorBase, new_tensor
from ..graph.types import Ty, like
from ..random import _bernoulli, _continuous, _integers, _normal, _uniform
from ..random._engine import Engine
from ..random._exact import FLOAT_DIGITS, INT_MAX, to_bfloat16
from ..random.generator import Generator, engine_of
from ._batched_draws import any_size, for_all, of_batches
from ._registry import begin_write, is_tensor, method, rebase, requires_grad, view_edge, write
from ._signatures import invalid_arguments
from .creation import without_memory, zeros_of

Sampler = Callable[[Engine, Ty], np.ndarray]  # the values of a tensor of that type, flat, in memory order

_C_NAMES = {d.name: name for d, name in C_NAMES.items()}
_C_NAMES |= {"uint16": "short unsigned int", "uint32": "unsigned int", "uint64": "long unsigned int"}

# ---- drawing and storing


def draw(sampler: Sampler, t: Ty, generator: Any) -> np.ndarray:
    """The flat values for a tensor of type ``t``, from ``generator`` or the default one."""
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"argument 'generator' must be torch._C.Generator, not {type(generator).__name__}")
    return of_batches(sampler, t, engine_of(generator))


def drawn(sampler: Sampler, t: Ty, generator: Any = None) -> Any:
    """A new tensor of the dense type ``t``, filled; on the device "meta" nothing is drawn."""
    if t.meta:
        return without_memory(t)
    every = for_all(sampler, t, engine_of(generator))
    if every is not None:
        return threads.epoch.sampling.sample(new_tensor(Storage.of(every[1], None, every[0]), every[1]))
    return new_tensor(Storage.of(t, None, draw(sampler, t, generator)), t)


def fill(x: Any, op: Operator, sampler: Sampler, generator: Any = None) -> Any:
    """Fills ``x`` in place; its gradient history becomes ``op``, which passes zeros on. Returns ``x``.

    Raises:
        RuntimeError: ``x`` overlaps itself, or is a leaf that requires grad.
    """
    grad = begin_write(x, (x,))
    if x._ty.meta:
        (x._vc or x._s).version += 1
        return x
    values = draw(sampler, x._ty, generator)
    fn = _history(x, op) if grad and x._ty.dtype.kind in "fc" else None
    _store(x, values, like(x._ty), fn)
    return x


def _history(x: TensorBase, op: Operator) -> Fn:
    edge = x._edge if x._view is None else view_edge(x)
    return record(op, (), (edge,), (x._ty,), (x._ty,), None)


def _store(x: TensorBase, values: np.ndarray, t: Ty, fn: Fn | None) -> None:
    """Makes ``values``, laid out as the dense type ``t``, the value of ``x``."""
    s = x._s
    if s.owner is not None or s.epoch is not threads.epoch:
        node_of(x)  # another thread's pending value is computed first
    complete_all()
    if x._ty is not s.ty or s.owner is not None:
        write(x, node_of(new_tensor(Storage.of(t, None, values), t)), fn)
        return
    if s.notes is not None and s.notes.kept is not None:
        # Readers recorded so far name the storage, not the values that it has now.
        realise(s.epoch)
        let_go(s)
    _forget_pending(s)
    s.h, s.raw = None, values
    s.w = next_token()
    (x._vc or s).version += 1
    threads.epoch.written = next_number()
    s.note().written = user_place()
    if fn is not None:
        rebase(x, fn)


def _forget_pending(s: Storage) -> None:
    """Frees a storage from its epoch, where recorded readers keep the values that it had."""
    epoch = s.epoch
    if s.pending:
        epoch.pend.pop() if epoch.pend[-1] is s else epoch.pend.remove(s)
        epoch.bytes -= s.ty.nbytes
        s.pending = False
    if s.h is not None and s.raw is not None:
        stand_in = Storage.of(s.ty, None, s.raw)
        epoch.leaves[:] = [stand_in if leaf is s else leaf for leaf in epoch.leaves]


def _zero_gradient(f: Any, g: Any) -> tuple[Any, ...]:
    return tuple(zeros_of(t) if f.needs(i) else None for i, t in enumerate(f.ins))


def forgets(name: str, grad_name: str) -> Operator:
    """An operator whose result does not depend smoothly on its inputs: their gradients are zero."""
    return Operator(name, _not_recorded, _not_recorded, _zero_gradient, grad_name=grad_name)


def with_history(y: Any, op: Operator, ins: Sequence[Any]) -> Any:
    """Gives a drawn tensor the history ``op`` if one of the tensors ``ins`` requires grad."""
    if not threads.epoch.grad or y._ty.dtype.kind not in "fc" or not any(requires_grad(x) for x in ins):
        return y
    edges = tuple([x._edge if x._view is None else view_edge(x) for x in ins])
    y._edge = fn = record(op, (), edges, tuple([x._ty for x in ins]), (y._ty,), None)
    if op.saves:
        save_inputs(fn, tuple(ins))
        save_outputs(fn, (y,))
    return y


def _not_recorded(*_: Any) -> Any:
    raise AssertionError("random values are drawn at the call")


# ---- values in memory order


def memory_format(values: np.ndarray, d: dtype) -> np.ndarray:
    """Values as they lie in memory: bfloat16 as bit patterns."""
    return to_bfloat16(values) if d.name == "bfloat16" else np.asarray(values, d.np, order="C")


def host_values(x: Any) -> np.ndarray:
    """A tensor's values in its shape, in the memory format of its dtype."""
    return memory_format(x.detach()._numpy(), x._ty.dtype).reshape(x._ty.shape)


def in_memory_order(values: np.ndarray, t: Ty) -> np.ndarray:
    """An array of ``t``'s shape, flat, in the order in which a dense tensor like ``t`` lies in memory."""
    strides = like(t).strides
    outermost_first = sorted(range(t.ndim), key=lambda d: (-strides[d], d))
    return values.transpose(outermost_first).reshape(-1)


# ---- checks


def refuse_dtype(kernel: str, d: dtype) -> None:
    """Raises PyTorch's error for a dtype that a kernel lacks."""
    raise NotImplementedError(f"\"{kernel}\" not implemented for '{SCALAR_NAMES[d]}'")


def check_kind(kernel: str, d: dtype, kinds: str) -> None:
    """Raises unless the dtype's kind is one of ``kinds`` (letters of ``dtype.kind``)."""
    if d.kind not in kinds or d.name in ("float8_e4m3fn", "float8_e5m2"):
        refuse_dtype(kernel, d)


def check_std(std: float) -> None:
    """Raises for a negative standard deviation."""
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")


def _check(condition: bool, message: str, *values: Any) -> None:
    if not condition:
        raise RuntimeError(message.format(*values))


# ---- samplers


def uniform_sampler(low: float = 0.0, high: float = 1.0) -> Sampler:
    """Uniform on [low, high), floating and complex dtypes."""
    low, high = float(low), float(high)

    @any_size
    def sample(engine: Engine, t: Ty) -> np.ndarray:
        check_kind("check_uniform_bounds", t.dtype, "fc")
        real = t.dtype.to_real()
        if (low, high) != (0.0, 1.0):
            _check_uniform_bounds(real, low, high)
        return _parts(t, lambda count: _uniform.uniform(engine, count, real.name, low, high))

    return sample


_HELD_BY = {"e": np.float32, "f": np.float32, "d": np.float64}  # complex32 is kept as pairs of float32


def _parts(t: Ty, values: Callable[[int], np.ndarray]) -> np.ndarray:
    """Real values, or complex ones whose real and imaginary parts come in turn."""
    if t.dtype.kind == "c":
        parts = values(2 * t.numel)
        return parts.astype(_HELD_BY[parts.dtype.char], copy=False).view(t.dtype.np)
    return values(t.numel)


def _check_uniform_bounds(d: dtype, low: float, high: float) -> None:
    largest = _largest(d)
    _check(abs(low) <= largest, "from is out of bounds for {}", _C_NAMES[d.name])
    _check(abs(high) <= largest, "to is out of bounds for {}", _C_NAMES[d.name])
    _check(low <= high, "uniform_ expects to return a [from, to) range, but found from={:g} > to={:g}", low, high)
    _check(
        high - low <= largest,
        "uniform_ expects to-from <= std::numeric_limits<{}>::max(), but found to={:g} and from={:g} which result in "
        "to-from to exceed the limit",
        *(SCALAR_NAMES[d], high, low),
    )


@functools.cache
def _largest(d: dtype) -> float:
    return 3.3895313892515355e38 if d.name == "bfloat16" else float(np.finfo(d.np).max)


def normal_sampler(mean: float = 0.0, std: float = 1.0) -> Sampler:
    """Normal, floating and complex dtypes.

    A complex variable has the variance ``std**2`` in all, and ``mean`` is the mean of both its parts.
    """
    mean, std = float(mean), float(std)

    @any_size
    def sample(engine: Engine, t: Ty) -> np.ndarray:
        check_std(std)
        check_kind("normal_kernel_cpu", t.dtype, "fc")
        name, part = t.dtype.to_real().name, std if t.dtype.kind == "f" else std / math.sqrt(2.0)
        return _parts(t, lambda count: _normal.normal(engine, count, name, mean, part, t.contiguous))

    return sample


UNIFORM, NORMAL = uniform_sampler(), normal_sampler()  # of [0, 1), and the standard one


def integer_sampler(low: int, high: int | None) -> Sampler:
    """Integers in [low, high), or from ``low`` to the dtype's largest."""

    @any_size
    def sample(engine: Engine, t: Ty) -> np.ndarray:
        if high is None and low == -(2**63):
            if t.dtype.name not in ("int64", "float64", "float32", "bfloat16"):
                refuse_dtype("random_from_to_full_64_bits_range_kernel_cpu", t.dtype)
            return _integers.random_full(engine, t.numel, t.dtype.name)
        start, stop = _checked_range(low, high, t.dtype)
        return _integers.random_range(engine, t.numel, start, stop, t.dtype.name)

    return sample


def _checked_range(low: int, high: int | None, d: dtype) -> tuple[int, int]:
    """The range that is drawn from: narrowed for a floating dtype, checked against the dtype's limits."""
    if high is not None:
        _check(low < high, "random_ expects 'from' to be less than 'to', but got from={} >= to={}", low, high)
    if d.kind == "c":
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")
    if high is None:
        low, high = _integers.narrow_range(low, low + 1, d.name)[0], _integers.largest_bound(d.name)
    else:
        low, high = _integers.narrow_range(low, high, d.name)
    _check(
        low < high,
        "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got from={} >= to={}",
        *(low, high),
    )
    for value, name in ((low, "from"), (high - 1, "to - 1")):
        _check_bound(value, name, d)
    return low, high


def _check_bound(value: int, name: str, d: dtype) -> None:
    if d.kind == "f":
        _check(abs(value) <= _largest(d), "{} is out of bounds for {}", name, _C_NAMES[d.name])
        _warn_imprecise(value, name, d)
        return
    largest = 1 if d.kind == "b" else INT_MAX[d.name]
    smallest = -largest - 1 if d.kind == "i" else 0
    _check(smallest <= value <= largest, "{} is out of bounds for {}", name, _C_NAMES[d.name])


def _warn_imprecise(value: int, name: str, d: dtype) -> None:
    digits = FLOAT_DIGITS[d.name]
    if abs(value) > 2**digits:
        warnings.warn(
            f"{name} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations {_C_NAMES[d.name]} can "
            "support discrete uniform distribution only within this range. This warning will become an error in "
            "version 1.7 release, please fix the code in advance",
            stacklevel=7,
        )


@any_size
def _any_integer(engine: Engine, t: Ty) -> np.ndarray:
    if t.dtype.kind == "c" or t.dtype.name in ("uint16", "uint32", "uint64"):
        refuse_dtype("random_kernel_cpu", t.dtype)
    return _integers.random(engine, t.numel, t.dtype.name)


def bernoulli_sampler(p: float) -> Sampler:
    """Ones with probability ``p``, every dtype but complex."""

    @any_size
    def sample(engine: Engine, t: Ty) -> np.ndarray:
        _check(0 <= p <= 1, "bernoulli_ expects p to be in [0, 1], but got p={:g}", p)
        check_kind("bernoulli_scalar_cpu_", t.dtype, "buif")
        return memory_format(_bernoulli.bernoulli(engine, t.numel, p), t.dtype)

    return sample


def bernoulli_tensor_sampler(p: Any) -> Sampler:
    """Ones with the probabilities of a tensor."""

    def sample(engine: Engine, t: Ty) -> np.ndarray:
        check_kind("bernoulli_tensor_cpu_self_", t.dtype, "buif")
        check_kind("bernoulli_tensor_cpu_p_", p._ty.dtype, "f")
        values = p.detach()._numpy()
        _check(
            not values.size or bool(values.min() >= 0 and values.max() <= 1),
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error message be improved?  "
            "If so, please report an enhancement request to PyTorch.)",
        )
        if values.shape != t.shape:
            values = np.broadcast_to(values, t.shape)
        values = memory_format(values, p._ty.dtype)
        ordered = values.reshape(-1) if t.contiguous else in_memory_order(values, t)
        flips = _bernoulli.bernoulli_each(engine, ordered, p._ty.dtype.name)
        return memory_format(flips, t.dtype)

    return sample


def exponential_sampler(lambd: float) -> Sampler:
    """Exponential with rate ``lambd``, floating dtypes."""

    @any_size
    def sample(engine: Engine, t: Ty) -> np.ndarray:
        _check(
            t.dtype.kind == "f",
            "Exponential distribution is a continuous probability distribution. dtype must be a floating point but "
            "you specified {}",
            SCALAR_NAMES[t.dtype],
        )
        _check(lambd > 0, "exponential_ expects lambda > 0.0, but found lambda={:g}", lambd)
        return _continuous.exponential(engine, t.numel, t.dtype.name, lambd)

    return sample


# ---- methods

_UNIFORM = forgets("uniform", "UniformBackward0")
_NORMAL = forgets("normal", "NormalBackward0")
_RANDOM_RANGE = forgets("random", "RandomBackward0")
_RANDOM_TO = forgets("random", "RandomBackward1")
_RANDOM = forgets("random", "RandomBackward2")
_BERNOULLI_TENSOR = forgets("bernoulli", "BernoulliBackward1")
_BERNOULLI = forgets("bernoulli", "BernoulliBackward2")
_EXPONENTIAL = forgets("exponential", "ExponentialBackward0")
_GEOMETRIC = forgets("geometric", "GeometricBackward0")
_CAUCHY = forgets("cauchy", "CauchyBackward0")
_LOG_NORMAL = forgets("log_normal", "LogNormalBackward0")


def _from(kw: dict[str, Any], value: Any, name: str) -> Any:
    """The argument ``from``, which is a reserved word in Python."""
    value = kw.pop("from", value)
    if kw:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(kw))}'")
    return value


@method()
def uniform_(self: Any, from_: float = 0, to: float = 1, *, generator: Any = None, **kw: Any) -> Any:
    """Fills with values uniform on [from, to)."""
    return fill(self, _UNIFORM, uniform_sampler(_from(kw, from_, "uniform_"), to), generator)


@method()
def normal_(self: Any, mean: float = 0, std: float = 1, *, generator: Any = None) -> Any:
    """Fills with normal values."""
    return fill(self, _NORMAL, normal_sampler(mean, std), generator)


@method()
def random_(self: Any, *bounds: int | None, generator: Any = None, **kw: Any) -> Any:
    """Fills with integers: ``random_()`` up to the dtype's largest, ``random_(to)``, ``random_(from, to)``."""
    bounds = (*bounds, kw.pop("to")) if "to" in kw else bounds
    bounds = (_from(kw, None, "random_"), *bounds) if kw else bounds
    if len(bounds) > 2 or not all(b is None or hasattr(b, "__index__") for b in bounds):
        raise invalid_arguments("random_", bounds, {}, "(*, Generator generator)", "(int to)", "(int from, int to)")
    if not bounds:
        return fill(self, _RANDOM, _any_integer, generator)
    low, high = bounds if len(bounds) == 2 else (0, *bounds)
    op = _RANDOM_RANGE if len(bounds) == 2 else _RANDOM_TO
    return fill(self, op, integer_sampler(int64_number(low), None if high is None else int64_number(high)), generator)


def int64_number(value: Any) -> int:
    """An integer that fits 64 bits; ValueError otherwise."""
    value = int(value)
    if not -(2**63) <= value < 2**63:
        raise ValueError("Overflow when unpacking long long")
    return value


@method()
def bernoulli_(self: Any, p: Any = 0.5, *, generator: Any = None) -> Any:
    """Fills with ones and zeros; ``p`` is the probability of a one, a number or a tensor that broadcasts."""
    if not is_tensor(p):
        return fill(self, _BERNOULLI, bernoulli_sampler(float(p)), generator)
    return fill(self, _BERNOULLI_TENSOR, bernoulli_tensor_sampler(p.expand(self.shape)), generator)


@method()
def exponential_(self: Any, lambd: float = 1, *, generator: Any = None) -> Any:
    """Fills with exponential values of rate ``lambd``."""
    return fill(self, _EXPONENTIAL, exponential_sampler(float(lambd)), generator)


@method()
def geometric_(self: Any, p: float, *, generator: Any = None) -> Any:
    """Fills with the number of the first success in trials of probability ``p``."""
    p = float(p)

    @any_size
    def sample(engine: Engine, t: Ty) -> np.ndarray:
        _check(0 < p < 1, "geometric_ expects p to be in (0, 1), but got p={:g}", p)
        check_kind("geometric_cpu", t.dtype, "uif")
        return _continuous.geometric(engine, t.numel, t.dtype.name, p)

    return fill(self, _GEOMETRIC, sample, generator)


@method()
def cauchy_(self: Any, median: float = 0, sigma: float = 1, *, generator: Any = None) -> Any:
    """Fills with Cauchy values."""
    median, sigma = float(median), float(sigma)

    @any_size
    def sample(engine: Engine, t: Ty) -> np.ndarray:
        _check(sigma > 0, "cauchy_ expects sigma > 0.0, but found sigma={:g}", sigma)
        _check(
            t.dtype.kind == "f",
            "Cauchy distribution is a continuous probability distribution. dtype must be a floating point but you "
            "specified {}",
            _C_NAMES[t.dtype.name],
        )
        return _continuous.cauchy(engine, t.numel, t.dtype.name, median, sigma)

    return fill(self, _CAUCHY, sample, generator)


@method()
def log_normal_(self: Any, mean: float = 1, std: float = 2, *, generator: Any = None) -> Any:
    """Fills with exponentials of normal values."""
    mean, std = float(mean), float(std)

    @any_size
    def sample(engine: Engine, t: Ty) -> np.ndarray:
        _check(std > 0, "log_normal_ expects std > 0.0, but found std={:g}", std)
        check_kind("log_normal_cpu", t.dtype, "f")
        return _continuous.log_normal(engine, t.numel, t.dtype.name, mean, std)

    return fill(self, _LOG_NORMAL, sample, generator)
