"""Samples from distributions that tensors describe: ``bernoulli``, ``multinomial``, ``poisson``, ``binomial``, …"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, float32, int64
from ..graph.node import OUT, Operator
from ..graph.types import Ty, beside, like, ty
from ..random import _multinomial
from ..random._engine import Engine
from ._registry import export, function, into
from ._types import broadcast_shape
from .creation import without_memory
from .from_data import from_numpy
from .random_fill import (
    Sampler,
    bernoulli_sampler,
    bernoulli_tensor_sampler,
    check_kind,
    drawn,
    forgets,
    host_values,
    memory_format,
    refuse_dtype,
    with_history,
)

MOST_CATEGORIES = 2**24  # that multinomial draws from: float32 counts no further


def not_implemented(name: str) -> Operator:
    """An operator for which PyTorch has no gradient: asking for it raises RuntimeError."""

    def refuse(f: Any, g: Any) -> Any:
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return Operator(name, lambda tys, attrs: tys, lambda b, attrs, *x: x, refuse, grad_name="NotImplemented")


_BERNOULLI = forgets("bernoulli", "BernoulliBackward0")
_BERNOULLI_P = not_implemented("bernoulli")
_POISSON = forgets("poisson", "PoissonBackward0")
_BINOMIAL = not_implemented("binomial")
_GAMMA = Operator(
    "_standard_gamma",
    lambda tys, attrs: tys[0],
    lambda b, attrs, x: x,
    lambda f, g: (g * _standard_gamma_grad(f.saved(0), f.out(0)),),
    ((0, (0,)), (OUT, (0,))),
    "StandardGammaBackward0",
)
_DIRICHLET = not_implemented("_sample_dirichlet")


def _on_host(compute: Any, *tensors: Any) -> Any:
    """A function of float64 NumPy vectors on tensors of one shape; the result in the dtype of the first."""
    first = tensors[0]
    flat = [x.detach().double()._numpy().reshape(-1) for x in tensors]
    values = compute(*flat).reshape(first._ty.shape)
    return from_numpy(np.ascontiguousarray(values)).to(first._ty.dtype)


@function()
def _standard_gamma_grad(input: Any, output: Any) -> Any:
    """The derivative of samples ``output`` of ``_standard_gamma`` by their parameters ``input``."""
    from ._implicit_gradients import gamma_gradient

    a = input.detach().double()
    return _on_host(gamma_gradient, output, a, a.digamma())


@function()
def _dirichlet_grad(x: Any, alpha: Any, total: Any) -> Any:
    """The derivative of beta variables ``x`` with parameters ``alpha, total - alpha`` by the first, over ``1 - x``."""
    from ._implicit_gradients import beta_gradient

    a, sum_ = alpha.detach().double(), total.detach().double()
    return _on_host(beta_gradient, x, a, sum_ - a, a.digamma() - sum_.digamma())


@export()
def bernoulli(input: Any, p: float | None = None, *, generator: Any = None, out: Any = None) -> Any:
    """Ones with the probabilities in ``input``, or with probability ``p`` in the shape of ``input``."""
    if out is not None:
        return _bernoulli_into(out, input, p, generator)
    t = beside(ty(input._ty.shape, input._ty.dtype), input._ty)
    if p is not None:
        return with_history(drawn(bernoulli_sampler(float(p)), t, generator), _BERNOULLI_P, [input])
    return with_history(drawn(bernoulli_tensor_sampler(input), t, generator), _BERNOULLI, [input])


def _bernoulli_into(out: Any, x: Any, p: float | None, generator: Any) -> Any:
    """Drawn in the dtype of ``out``, which may be any."""
    if out._ty.shape != x._ty.shape:
        out.resize_(x._ty.shape)
    return out.bernoulli_(x if p is None else p, generator=generator)


# ---- multinomial


@export()
def multinomial(
    input: Any, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Any = None
) -> Any:
    """Indices of categories drawn by the weights in the last dimension of ``input``; int64."""
    t = input._ty
    _check_multinomial(t, num_samples, replacement)
    if out is not None and out._ty.dtype is not int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {SCALAR_NAMES[out._ty.dtype]}")
    shape = (*t.shape[:-1], num_samples)
    if t.meta:
        return without_memory(ty(shape, int64))
    weights = input._numpy()
    if 0 in shape:
        return into(drawn(lambda e, t: np.empty(0, np.int64), ty(shape, int64)), out, "multinomial")
    if num_samples == 1 and t.dtype is float32 and t.contiguous and _are_weights(weights):
        return into(drawn(lambda engine, _: _multinomial.one(engine, weights).reshape(-1), ty(shape, int64), generator),
                    out, "multinomial")  # fmt: skip
    _check_weights(weights, replacement and num_samples > 1)
    rows = memory_format(weights, t.dtype).reshape(-1, t.shape[-1])
    transposed = t.ndim == 2 and not like(t).contiguous

    def sample(engine: Engine, _: Ty) -> np.ndarray:
        drawn_rows = _multinomial.multinomial(engine, rows, t.dtype.name, num_samples, replacement, transposed)
        return drawn_rows.reshape(-1)

    return into(drawn(sample, ty(shape, int64), generator), out, "multinomial")


def _check_multinomial(t: Ty, count: int, replacement: bool) -> None:
    if t.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if t.dtype.kind != "f":
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {SCALAR_NAMES[t.dtype]}")
    if count <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and count > t.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if t.shape[-1] > MOST_CATEGORIES:
        raise RuntimeError("number of categories cannot exceed 2^24")


def _are_weights(values: np.ndarray) -> bool:
    """Are all numbers finite, none negative, and some of each row positive? A NaN is the least one."""
    least, most = values.item(values.argmin()), values.item(values.argmax())
    if not (least >= 0 and 0 < most < math.inf):
        return False
    return least > 0 or values.size == values.shape[-1] or bool(values.max(-1).min() > 0)


def _check_weights(weights: np.ndarray, one_by_one: bool) -> None:
    """Raises for weights that are no distribution, in the words of the method that would use them."""
    good = bool((weights >= 0).all())
    finite = bool(np.isfinite(weights).all())
    if not one_by_one and not (good and finite):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if not good:
        raise RuntimeError("invalid multinomial distribution (encountering probability entry < 0)")
    if not finite:
        raise RuntimeError("invalid multinomial distribution (encountering probability entry = infinity or NaN)")
    with np.errstate(over="ignore"):
        positive = bool((weights.sum(-1) > 0).all())
    if not positive:
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")


# ---- one variable for each element


@export(method=False)
def poisson(input: Any, generator: Any = None) -> Any:
    """A Poisson variable for each rate in ``input``, in its dtype."""
    from ..random import _counts

    t = ty(input._ty.shape, input._ty.dtype)
    check_kind("poisson_cpu", t.dtype, "f")
    rates = input.detach()._numpy()
    if not (rates >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    flat = memory_format(rates, t.dtype).reshape(-1)
    y = drawn(lambda engine, t: _counts.poisson(engine, flat, t.dtype.name), t, generator)
    return with_history(y, _POISSON, [input])


@function()
def binomial(count: Any, prob: Any, generator: Any = None) -> Any:
    """A binomial variable for each pair of a count and a probability."""
    from ..random import _counts

    for name, x in (("count", count), ("prob", prob)):
        if x._ty.dtype.kind != "f":
            kind = SCALAR_NAMES[x._ty.dtype]
            raise ValueError(f"binomial only supports floating-point dtypes for {name}, got: {kind}")
    if prob._ty.dtype is not count._ty.dtype:
        found, expected = SCALAR_NAMES[prob._ty.dtype], SCALAR_NAMES[count._ty.dtype]
        raise RuntimeError(f"Found dtype {found} but expected {expected}")
    if count._ty.dtype.name not in ("float32", "float64"):
        refuse_dtype("binomial_cpu", count._ty.dtype)
    t = ty(broadcast_shape(count._ty.shape, prob._ty.shape), count._ty.dtype)
    trials, chances = (np.broadcast_to(host_values(x), t.shape).reshape(-1) for x in (count, prob))
    y = drawn(lambda engine, t: _counts.binomial(engine, trials, chances, t.dtype.name), t, generator)
    return with_history(y, _BINOMIAL, [count, prob])


@function()
def _standard_gamma(input: Any, generator: Any = None) -> Any:
    """A gamma variable of unit scale for each shape parameter."""
    from ..random import _gamma

    if input._ty.dtype.name not in ("float32", "float64"):
        refuse_dtype("gamma_cpu", input._ty.dtype)
    y = _of_parameters(
        input, lambda e, t: _gamma.standard_gamma(e, host_values(input).reshape(-1), t.dtype.name), generator
    )
    return with_history(y, _GAMMA, [input])


@function()
def _sample_dirichlet(input: Any, generator: Any = None) -> Any:
    """A Dirichlet variable for each row of concentrations in the last dimension."""
    from ..random import _gamma

    if input._ty.dtype.name not in ("float32", "float64"):
        refuse_dtype("dirichlet", input._ty.dtype)
    size = input._ty.shape[-1] if input._ty.ndim else 1

    def sample(engine: Engine, t: Ty) -> np.ndarray:
        return _gamma.dirichlet(engine, host_values(input).reshape(-1, size), t.dtype.name).reshape(-1)

    return with_history(_of_parameters(input, sample, generator), _DIRICHLET, [input])


def _of_parameters(x: Any, sampler: Sampler, generator: Any) -> Any:
    return drawn(sampler, ty(x._ty.shape, x._ty.dtype), generator)
