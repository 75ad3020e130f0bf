"""Checks gradients against finite differences: ``gradcheck`` and ``gradgradcheck``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph.tensor_base import TensorBase


class GradcheckError(RuntimeError):
    """A gradient differs from its finite difference."""


def _tensors(x: Any) -> list[Any]:
    return [t for t in (x if isinstance(x, (tuple, list)) else (x,)) if isinstance(t, TensorBase)]


def _differentiable(x: Any) -> list[Any]:
    return [t for t in _tensors(x) if t.requires_grad]


def _numerical(f: Callable[..., Any], inputs: Sequence[Any], x: Any, eps: float) -> list[np.ndarray]:
    """For each output the Jacobian by central differences, x by output; complex x by two steps."""
    values = x.detach()._numpy().copy()
    jacobians: list[list[Any]] = []

    def outputs(changed: np.ndarray) -> list[np.ndarray]:
        from ..ops.creation import from_values

        y = from_values(changed, x.dtype)
        return [o.detach()._numpy().copy() for o in _tensors(f(*[y if t is x else t for t in inputs]))]

    for i in np.ndindex(values.shape):
        row: list[Any] = []
        for step in [eps, 1j * eps] if x.is_complex() else [eps]:
            up, down = values.copy(), values.copy()
            up[i] += step
            down[i] -= step
            row.append([(a - b).reshape(-1) / (2 * eps) for a, b in zip(outputs(up), outputs(down))])
        jacobians.append(list(zip(*row)))
    return [np.array([row[k] for row in jacobians]) for k in range(len(jacobians[0]) if jacobians else 0)]


def _analytical(output: Any, x: Any) -> np.ndarray:
    """Rows: elements of the output; the gradient of x for a gradient of 1 (and 1j for complex outputs) there."""
    from . import grad

    rows = []
    for i in np.ndindex(output.shape):
        parts = []
        for one in [1.0, 1j] if output.is_complex() else [1.0]:
            g = np.zeros(output.shape, output.detach()._numpy().dtype)
            g[i] = one
            from ..ops.creation import from_values

            (gx,) = grad(output, [x], from_values(g, output.dtype), retain_graph=True, allow_unused=True)
            parts.append(np.zeros(x.shape) if gx is None else gx.detach()._numpy().copy())
        rows.append(parts)
    return np.array(rows)


def _expected(numeric: np.ndarray, x_complex: bool, out_complex: bool) -> np.ndarray:
    """What the analytical rows must be: conj-Wirtinger gradients for cotangents 1 and 1j."""
    du = numeric[:, 0]  # (elements of x, elements of output)
    dv = numeric[:, 1] if x_complex else np.zeros_like(du)
    rows = []
    for one in [1.0, 1j] if out_complex else [1.0]:
        real = np.real(np.conj(one) * du) if out_complex else np.real(du) * np.real(one)
        imag = np.real(np.conj(one) * dv) if out_complex else np.real(dv) * np.real(one)
        rows.append((real + 1j * imag) if x_complex else real)
    return np.array(rows).transpose(2, 0, 1)


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False, check_forward_ad: bool = False, check_backward_ad: bool = True,
    fast_mode: bool = False, masked: bool | None = None,
) -> bool:  # fmt: skip
    """Compares the gradients of ``func`` with central differences
    (https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html). Use float64 inputs.

    Raises:
        GradcheckError: they differ (returns False instead if ``raise_exception`` is false).
        ValueError: no input requires grad.
    """
    inputs = (inputs,) if isinstance(inputs, TensorBase) else tuple(inputs)
    wanted = _differentiable(inputs)
    if not wanted:
        raise ValueError("gradcheck expects at least one input tensor to require gradient, but none of the them have "
                         "requires_grad=True.")  # fmt: skip
    try:
        _check(func, inputs, wanted, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check(
    func: Callable[..., Any], inputs: tuple[Any, ...], wanted: list[Any], eps: float, atol: float, rtol: float
) -> None:
    outputs = _tensors(func(*inputs))
    for j, x in enumerate(wanted):
        numeric = _numerical(func, inputs, x, eps)
        for k, y in enumerate(outputs):
            if not y.requires_grad or not numeric:
                continue
            analytic = _analytical(y, x).reshape(y.numel(), -1, x.numel())
            expected = _expected(numeric[k], x.is_complex(), y.is_complex())
            if not np.allclose(analytic, expected, rtol, atol, equal_nan=True):
                raise GradcheckError(f"Jacobian mismatch for output {k} with respect to input "
                                     f"{j},\nnumerical:{expected}\n"
                                     f"analytical:{analytic}\n")  # fmt: skip


def _leaf_again(x: Any, original: Any) -> Any:
    """An input that lost its history while it was perturbed."""
    if isinstance(x, TensorBase) and not x.requires_grad and original.requires_grad:
        return x.detach().requires_grad_(True)
    return x


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True, check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False, check_rev_over_rev: bool = True, fast_mode: bool = False, masked: bool = False,
) -> bool:  # fmt: skip
    """As ``gradcheck`` for the gradients of gradients."""
    from ..ops.creation import from_values
    from . import grad

    inputs = (inputs,) if isinstance(inputs, TensorBase) else tuple(inputs)
    outputs = _differentiable(func(*inputs))
    draw = np.random.default_rng(0)
    if grad_outputs is None:
        grad_outputs = [from_values(draw.standard_normal(y.shape), y.dtype).requires_grad_(True) for y in outputs]
    grad_outputs = _tensors(grad_outputs)
    n = len(inputs)

    def first(*args: Any) -> Any:
        ins, gs = args[:n], args[n:]
        ins = tuple([_leaf_again(x, o) for x, o in zip(ins, inputs)])
        ys = _differentiable(func(*ins))
        wanted = [x for x, o in zip(ins, inputs) if isinstance(o, TensorBase) and o.requires_grad]
        return grad(ys, wanted, list(gs), create_graph=True, allow_unused=True)

    return gradcheck(first, (*inputs, *grad_outputs), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)
