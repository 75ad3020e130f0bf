"""Checks gradients against finite differences: ``gradcheck`` and ``gradgradcheck``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.tensor_base import TensorBase
from ..ops.creation import ones_like
from . import _jacobians as jacobians
from ._directional import agrees
from .function import Function

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A gradient differs from its finite difference."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise GradcheckError(message)


def _tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _differentiable(x: Any) -> list[Any]:
    return [t for t in _tuple(x) if isinstance(t, TensorBase) and t.requires_grad]  # type: ignore[attr-defined]


class _Check:
    """One call of ``gradcheck``: the function, what it is given, how close results must be."""

    def __init__(self, func: Callable[..., Any], inputs: tuple[Any, ...], eps: float, atol: float, rtol: float) -> None:
        self.func = func
        self.inputs = inputs
        self.wanted = _differentiable(inputs)
        self.eps, self.atol, self.rtol = eps, atol, rtol
        self.numeric: list[list[np.ndarray]] = []

    def inputs_can_be_checked(self) -> None:
        """Raises if no input requires grad or one overlaps itself; warns of single precision."""
        for i, x in enumerate(self.inputs):
            if not isinstance(x, TensorBase) or not x.requires_grad:  # type: ignore[attr-defined]
                continue
            if x._ty.dtype.itemsize < (16 if x._ty.dtype.is_complex else 8):
                warnings.warn(
                    f"Input #{i} requires gradient and is not a double precision floating point or complex. This check "
                    "will likely fail if all the inputs are not of double precision floating point or complex. ",
                    stacklevel=3,
                )
            if any(s == 0 and n > 1 for n, s in zip(x._ty.shape, x._ty.strides)):
                raise RuntimeError(
                    f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                    "non-overlapping to be able to compute the numerical gradients correctly. You should call "
                    ".contiguous on the input before passing it to gradcheck."
                )
        if not self.wanted:
            raise ValueError(
                "gradcheck expects at least one input tensor to require gradient, but none of them have "
                "requires_grad=True."
            )

    def differences(self) -> None:
        """Finds the Jacobians by differences, by input and output."""
        self.numeric = [jacobians.numerical(self.func, self.inputs, x, self.eps) for x in self.wanted]

    def compare(self, found: np.ndarray, expected: np.ndarray, prefix: str, mode: str, k: int, j: int) -> None:
        """Raises unless a Jacobian is as expected."""
        if not np.allclose(found, expected, self.rtol, self.atol):
            raise GradcheckError(
                f"{prefix}Jacobian {mode}mismatch for output {k} with respect to input {j},\n"
                f"numerical:{_shown(expected)}\nanalytical:{_shown(found)}\n"
            )


def _shown(a: np.ndarray) -> Any:
    from ..ops.from_data import tensor

    return tensor(a)


def _part(values: tuple[complex, ...], value: complex, what: str) -> str:
    if len(values) == 1:
        return ""
    return f"While considering the {'real' if value == 1 else 'imaginary'} part of complex {what} only, "


def _check_backward(check: _Check, nondet_tol: float, check_dtypes: bool) -> None:
    for k, y in enumerate(jacobians.tensors_of(check.func(*check.inputs))):
        for part in reversed(jacobians.steps_of(y)) if y.requires_grad else ():
            _check_part(check, k, y, part, nondet_tol, check_dtypes)


def _check_part(check: _Check, k: int, y: Any, part: complex, nondet_tol: float, check_dtypes: bool) -> None:
    """Compares the gradients of all inputs for a part of output ``k``."""
    prefix = _part(jacobians.steps_of(y), part, "outputs")
    found = _backward(y, check.wanted, part, check_dtypes)
    for j, (x, gradients) in enumerate(zip(check.wanted, found)):
        if gradients.size:
            expected = jacobians.expected_backward(check.numeric[j][k], x, part)
            check.compare(gradients, expected, prefix, "", k, j)
    for once, again in zip(found, _backward(y, check.wanted, part, check_dtypes)):
        _require(bool(np.all(np.abs(once - again) <= nondet_tol)), prefix + _NONDETERMINISTIC + f"{nondet_tol}.")


_NONDETERMINISTIC = (
    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different "
    "values, although analytical gradient matches numerical gradient. The tolerance for nondeterminism was "
)


def _backward(y: Any, inputs: list[Any], part: complex, check_dtypes: bool) -> list[np.ndarray]:
    try:
        return jacobians.backward(y, inputs, part, check_dtypes)
    except TypeError as e:
        if str(e) == "Gradient has dtype mismatch":
            raise GradcheckError(str(e)) from None
        raise


def _check_forward(check: _Check) -> None:
    for j, x in enumerate(check.wanted):
        steps = jacobians.steps_of(x)
        for n, step in enumerate(steps):
            prefix = _part(steps, step, "inputs")
            for k, found in enumerate(jacobians.forward(check.func, check.inputs, x, step)):
                check.compare(found, check.numeric[j][k][n :: len(steps)], prefix, "computed with forward mode ", k, j)


class _Undefined(Function):
    """Sends no gradient on."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None


def _check_undefined(check: _Check) -> None:
    """Backward must be able to do without the gradients of some or all outputs."""
    count = len(_differentiable(check.func(*check.inputs)))
    for chosen in [range(count), *([[k] for k in range(count)] if count > 1 else [])]:
        outputs = _differentiable(check.func(*check.inputs))
        _without_gradients([_Undefined.apply(y) if k in chosen else y for k, y in enumerate(outputs)], check.wanted)


_NEW_CHECK = (
    "Backwards compatibility: New undefined gradient support checking feature is enabled by default, but it may break "
    "existing callers of this function. If this is true for you, you can call this function with "
    '"check_undefined_grad=False" to disable the feature'
)


def _without_gradients(outputs: list[Any], inputs: list[Any]) -> None:
    """Checks that a backward pass of zeros gives zeros or nothing."""
    from . import grad

    try:
        found = grad(outputs, inputs, [ones_like(y) * 0 for y in outputs], allow_unused=True)
    except RuntimeError as e:
        warnings.warn(_NEW_CHECK, stacklevel=5)
        raise GradcheckError(
            "Expected backward function to handle undefined output grads. Please look at "
            '"Notes about undefined output gradients" in "tools/autograd/derivatives.yaml"'
        ) from e
    if all(g is None or not bool((g != 0).any()) for g in found):
        return
    warnings.warn(_NEW_CHECK, stacklevel=5)
    raise GradcheckError(
        "Expected all input grads to be undefined or zero when all output grads are undefined or zero. Please look at "
        '"Notes about undefined output gradients" in "tools/autograd/derivatives.yaml"',
    )


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False, check_forward_ad: bool = False, check_backward_ad: bool = True,
    fast_mode: bool = False, masked: bool | None = None,
) -> bool:  # fmt: skip
    """Compares the gradients of ``func`` with central differences
    (https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html). Use float64 inputs.

    Args:
        func: gives a tensor or a tuple of tensors.
        inputs: its arguments; those that require grad are changed in place for a moment.
        eps: the step of the differences.
        atol: absolute tolerance.
        rtol: relative tolerance.
        raise_exception: False gives False where a gradient is wrong.
        nondet_tol: how far two passes may differ.
        check_undefined_grad: must backward do without the gradient of an output?
        check_grad_dtypes: must gradients be complex just where their inputs are?
        check_batched_grad: accepted; batches are computed one by one, so nothing remains to be checked.
        check_batched_forward_grad: accepted, likewise.
        check_forward_ad: checks the tangents of ``torch.autograd.forward_ad``.
        check_backward_ad: checks the gradients of backward passes.
        fast_mode: compares derivatives along random directions, and every element only where these differ, something
            is complex or tangents are to be checked.
        masked: accepted.

    Raises:
        GradcheckError: they differ (returns False instead if ``raise_exception`` is false).
        ValueError: no input requires grad.
    """
    assert check_forward_ad or check_backward_ad, (
        "Expected at least one of check_forward_ad or check_backward_ad to be True"
    )
    assert check_backward_ad or not check_batched_grad, (
        "Setting check_batched_grad=True requires check_backward_ad to be True"
    )
    assert check_forward_ad or not check_batched_forward_grad, (
        "Setting check_batched_forward_grad=True requires check_forward_ad to be True"
    )
    check = _Check(func, _tuple(inputs), eps, atol, rtol)
    try:
        check.inputs_can_be_checked()
        if fast_mode and not check_forward_ad and agrees(check, nondet_tol):
            if check_undefined_grad:
                _check_undefined(check)
            return True
        _run(check, nondet_tol, check_undefined_grad, check_grad_dtypes, check_forward_ad, check_backward_ad)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _run(check: _Check, nondet_tol: float, undefined: bool, dtypes: bool, forward: bool, backward: bool) -> None:
    """All checks that were asked for, in PyTorch's order."""
    outputs = _differentiable(check.func(*check.inputs))
    check.differences()
    if not outputs:
        _require(
            not any(np.any(j != 0) for row in check.numeric for j in row),
            "Numerical gradient for function expected to be zero",
        )
        return
    if backward:
        _check_backward(check, nondet_tol, dtypes)
        if undefined:
            _check_undefined(check)
    if forward:
        _check_forward(check)


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True, check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False, check_rev_over_rev: bool = True, fast_mode: bool = False, masked: bool = False,
) -> bool:  # fmt: skip
    """As ``gradcheck`` for the gradients of gradients.

    Args:
        func: as for ``gradcheck``, and so are the arguments that are not named here.
        inputs: its arguments.
        grad_outputs: the gradients of its outputs; random ones by default.
        eps: see ``gradcheck``.
        atol: see ``gradcheck``.
        rtol: see ``gradcheck``.
        gen_non_contig_grad_outputs: lays random gradients out with gaps.
        raise_exception: see ``gradcheck``.
        nondet_tol: see ``gradcheck``.
        check_undefined_grad: see ``gradcheck``.
        check_grad_dtypes: see ``gradcheck``.
        check_batched_grad: see ``gradcheck``.
        check_fwd_over_rev: checks tangents of the gradients.
        check_rev_over_rev: checks gradients of the gradients.
        fast_mode: see ``gradcheck``.
        masked: see ``gradcheck``.
    """
    assert check_fwd_over_rev or check_rev_over_rev, (
        "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True"
    )
    inputs = _tuple(inputs)
    if grad_outputs is None:
        grad_outputs = _random_like(_differentiable(func(*inputs)), gen_non_contig_grad_outputs)
    grad_outputs = _tuple(grad_outputs)
    first = _gradients_of(func, len(inputs))
    return gradcheck(
        first, (*inputs, *grad_outputs), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev, fast_mode=fast_mode,
    )  # fmt: skip


def _gradients_of(func: Callable[..., Any], n: int) -> Callable[..., Any]:
    """The gradients of a function of ``n`` arguments, as a function of these and the gradients of its outputs."""
    from . import grad

    def gradients(*args: Any) -> Any:
        outputs, wanted = _differentiable(func(*args[:n])), _differentiable(args[:n])
        found = grad(outputs, wanted, list(args[n:]), create_graph=True, allow_unused=True)
        return tuple([g for g in found if g is not None])

    return gradients


def _random_like(outputs: list[Any], gaps: bool) -> list[Any]:
    """Drawn as PyTorch does, from the default generator."""
    from ..testing import make_tensor

    return [
        make_tensor(y.shape, dtype=y.dtype, device=y.device, low=-1, high=1, requires_grad=True, noncontiguous=gaps)
        for y in outputs
    ]
