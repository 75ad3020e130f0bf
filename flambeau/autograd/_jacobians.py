"""Jacobians of a function, by differences and by both modes of differentiation, for ``gradcheck``.

A Jacobian is an array of (parts of the input, parts of the output): a complex element of the input has two parts, the
steps along 1 and 1j.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from ..graph.tensor_base import TensorBase
from ..ops.creation import from_values


def tensors_of(x: Any) -> list[Any]:
    """The floating and complex tensors among one or several values."""
    values = x if isinstance(x, (tuple, list)) else (x,)
    return [t for t in values if isinstance(t, TensorBase) and t._ty.dtype.kind in "fc"]


def steps_of(x: Any) -> tuple[complex, ...]:
    """The directions in which an element of ``x`` can move."""
    return (1.0, 1j) if x.is_complex() else (1.0,)


def _places(x: Any) -> list[tuple[int, ...]]:
    return list(product(*[range(n) for n in x.shape]))


def values_of(x: Any) -> np.ndarray:
    """A copy of a tensor's values."""
    return x.detach().resolve_conj()._numpy().copy()


def numerical(f: Callable[..., Any], inputs: Sequence[Any], x: Any, eps: float) -> list[np.ndarray]:
    """For each output the Jacobian by central differences, for which ``x`` is changed in place.

    Raises:
        AssertionError: the shape or dtype of an output depends on the values.
    """
    rows = [
        [(a - b).reshape(-1) / (2 * eps) for a, b in _around(f, inputs, x, place, eps * step, eps)]
        for place in _places(x)
        for step in steps_of(x)
    ]
    return [np.array(column) for column in zip(*rows)]


def _around(f: Any, inputs: Sequence[Any], x: Any, place: tuple[int, ...], step: complex, eps: float) -> Any:
    """Pairs of each output's values a step above and below."""
    data = x.data
    before = data[place].item()
    found = []
    try:
        for moved in (before - step, before + step):
            data[place] = moved
            found.append([(y, values_of(y)) for y in tensors_of(f(*inputs))])
    finally:
        data[place] = before
    for (low, _), (high, _) in zip(*found):
        _require_same(low, high, place, eps)
    return [(b, a) for (_, a), (_, b) in zip(*found)]


def _require_same(a: Any, b: Any, place: Any, eps: float) -> None:
    for what, one, other in (("shape", a.shape, b.shape), ("dtype", a.dtype, b.dtype)):
        assert one == other, (
            f"Expected `func` to return outputs with the same {what} when inputs are perturbed on index {place} by "
            f"{eps}, but got:\n {what}s {one} and {other}."
        )


def backward(output: Any, inputs: Sequence[Any], part: complex, check_dtypes: bool) -> list[np.ndarray]:
    """For each input its gradients for the real (``part`` 1) or imaginary (1j) part of each element of an output.

    Raises:
        TypeError: a gradient is complex and its input is not, or the other way round, if that is to be checked.
    """
    from . import grad

    rows = []
    for place in _places(output):
        one = np.zeros(tuple(output.shape), output.dtype.np)
        one[place] = part
        grads = grad(output, inputs, from_values(one, output.dtype), retain_graph=True, allow_unused=True)
        rows.append([_gradient_values(g, x, check_dtypes) for g, x in zip(grads, inputs)])
    columns = zip(*rows) if rows else [[] for _ in inputs]
    return [np.array(column).T.reshape(x.numel(), output.numel()) for column, x in zip(columns, inputs)]


def _gradient_values(g: Any, x: Any, check_dtype: bool) -> np.ndarray:
    """The gradient of ``x`` in a row; zeros where there is none."""
    if g is None:
        return np.zeros(x.numel())
    if check_dtype and g.is_complex() != x.is_complex():
        raise TypeError("Gradient has dtype mismatch")
    return values_of(g).reshape(-1)


def expected_backward(numeric: np.ndarray, x: Any, part: complex) -> np.ndarray:
    """What ``backward`` must give: the derivatives of that part of the output along 1 and, times 1j, along 1j."""
    of_part = np.real(np.conj(part) * numeric)
    steps = len(steps_of(x))
    return sum((step * of_part[k::steps] for k, step in enumerate(steps_of(x))), start=np.zeros(()))


def forward(f: Callable[..., Any], inputs: Sequence[Any], x: Any, step: complex) -> list[np.ndarray]:
    """For each output its tangents as each element of ``x`` moves along ``step``."""
    from .forward_ad import dual_level, make_dual, unpack_dual

    rows = []
    for place in _places(x):
        one = np.zeros(tuple(x.shape), x.dtype.np)
        one[place] = step
        with dual_level():
            duals = [
                make_dual(i.detach(), from_values(one, x.dtype) if i is x else i.detach().new_zeros(i.shape))
                if isinstance(i, TensorBase) and i.requires_grad  # type: ignore[attr-defined]
                else i
                for i in inputs
            ]
            pairs = [unpack_dual(y) for y in tensors_of(f(*duals))]
            rows.append([np.zeros(y.numel()) if t is None else values_of(t).reshape(-1) for y, t in pairs])
    return [np.array(column) for column in zip(*rows)]
