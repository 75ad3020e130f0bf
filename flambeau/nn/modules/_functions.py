"""Autograd functions that modules need: the one behind full backward hooks, and cross-map normalisation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import flambeau as torch


class BackwardHookFunction(torch.autograd.Function):
    """The identity on any number of tensors: one node in the graph, for hooks to hang on."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        ctx.mark_non_differentiable(*[arg for arg in args if not arg.requires_grad])
        return args

    @staticmethod
    def backward(ctx: Any, *args: Any) -> Any:
        return args


def _spread(indices: Any, values: Any, size: int) -> tuple[Any, ...]:
    """A tuple of ``size`` with ``values`` at ``indices`` and None elsewhere."""
    spread: list[Any] = [None] * size
    for i, value in zip(indices, values, strict=True):
        spread[i] = value
    return tuple(spread)


class BackwardHook:
    """The full backward hooks of one call of a module.

    An identity node before the inputs and one after the outputs tell when the gradients of the module's outputs and
    of its inputs are known.

    Args:
        module: The module that is called.
        user_hooks: Called with the module, the gradients of the inputs and those of the outputs.
        user_pre_hooks: Called with the module and the gradients of the outputs.
    """

    def __init__(self, module: Any, user_hooks: list[Callable[..., Any]], user_pre_hooks: list[Any]) -> None:
        self.module, self.user_hooks, self.user_pre_hooks = module, user_hooks, user_pre_hooks
        self.grad_outputs: Any = None
        self.input_tensors_index: list[int] | None = None
        self.output_tensors_index: list[int] | None = None
        self.n_inputs = self.n_outputs = -1

    def setup_input_hook(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, passed through the node that sees their gradients."""
        self.n_inputs = len(args)
        args, self.input_tensors_index = self._through_node(args, self._input_hook)
        return args

    def setup_output_hook(self, result: Any) -> Any:
        """The result, passed through the node that sees its gradients."""
        outputs = result if isinstance(result, tuple) else (result,)
        self.n_outputs = len(outputs)
        outputs, self.output_tensors_index = self._through_node(outputs, self._output_hook)
        return outputs if isinstance(result, tuple) else outputs[0]

    def _through_node(self, values: Any, hook: Callable[..., Any]) -> tuple[Any, list[int] | None]:
        """Replaces the tensors among ``values``; without gradients, gives ``(values, None)``."""
        where = [i for i, v in enumerate(values) if isinstance(v, torch.Tensor)]
        if not (torch.is_grad_enabled() and any(values[i].requires_grad for i in where)):
            return values, None
        tensors = BackwardHookFunction.apply(*(values[i] for i in where))
        next(t.grad_fn for t in tensors if t.grad_fn is not None).register_hook(hook)
        new = list(values)
        for i, tensor in zip(where, tensors, strict=True):
            new[i] = tensor
        return (tuple(new) if type(values) is tuple else type(values)(*new)), where

    def _input_hook(self, grad_input: Any, _: Any) -> Any:
        """Runs the user's hooks when the gradients of the inputs are there."""
        if self.grad_outputs is None:
            return None  # the output took no part in this backward pass
        assert self.input_tensors_index is not None
        grads = _spread(self.input_tensors_index, grad_input, self.n_inputs)
        for hook in self.user_hooks:
            new = hook(self.module, grads, self.grad_outputs)
            if new is None:
                continue
            if len(new) != len(grads):
                raise RuntimeError(
                    f"Backward hook returned an invalid number of grad_input, got {len(new)}, but expected {len(grads)}"
                )
            grads = new
        self.grad_outputs = None
        return tuple(grads[i] for i in self.input_tensors_index)

    def _output_hook(self, _: Any, grad_output: Any) -> Any:
        """Runs the user's pre-hooks when the gradients of the outputs are there."""
        assert self.output_tensors_index is not None
        grads = _spread(self.output_tensors_index, grad_output, self.n_outputs)
        for hook in self.user_pre_hooks:
            new = hook(self.module, grads)
            if new is None:
                continue
            if len(new) != len(grads):
                raise RuntimeError(
                    f"Backward pre hook returned an invalid number of grad_output, got {len(new)}, "
                    f"but expected {len(grads)}"
                )
            grads = new
        self.grad_outputs = grads
        if self.input_tensors_index is None:
            self._run_without_inputs()
        return tuple(grads[i] for i in self.output_tensors_index)

    def _run_without_inputs(self) -> None:
        """No input needs a gradient: the hooks run now, with None for each input."""
        warnings.warn(
            "Full backward hook is firing when gradients are computed "
            "with respect to module outputs since no inputs require gradients. See "
            "https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
            "#torch.nn.Module.register_full_backward_hook "
            "for more details.",
            stacklevel=5,
        )
        for hook in self.user_hooks:
            new = hook(self.module, (None,) * self.n_inputs, self.grad_outputs)
            if new is not None and not (isinstance(new, tuple) and all(g is None for g in new)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires "
                    "gradient should always return None or None for all gradients."
                )
        self.grad_outputs = None


def _running_window_sums(squares: Any, pre_pad: int) -> Any:
    """For each channel the sum of squares over the channels around it.

    As in PyTorch, whose running sum never takes the first channel out again.
    """
    channels = squares.size(1)
    total = squares[:, : min(pre_pad, channels)].sum(1)
    sums = [total]
    for c in range(1, channels):
        if c < channels - pre_pad + 1:
            total = total + squares[:, c + pre_pad - 1]
        if c > pre_pad:
            total = total - squares[:, c - pre_pad]
        sums.append(total)
    return torch.stack(sums, 1)


class CrossMapLRN2d(torch.autograd.Function):
    """Local response normalisation over channels, in the form of Lua Torch (see the module of this name)."""

    @staticmethod
    def forward(ctx: Any, input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> Any:
        if input.dim() != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
        sums = _running_window_sums(input.pow(2), int((size - 1) / 2 + 1))
        scale = sums * (alpha / size) + k
        output = scale.pow(-beta) * input
        ctx.options = size, alpha, beta
        ctx.save_for_backward(input, output, scale)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Any) -> Any:
        input, output, scale = ctx.saved_tensors
        size, alpha, beta = ctx.options
        channels = input.size(1)
        before = int(size - (size - 1) / 2)
        ratio = grad_output * output / scale
        padded = torch.nn.functional.pad(ratio, (0, 0, 0, 0, before, size - 1 - before))
        window = sum(padded[:, j : j + channels] for j in range(size))
        grad_input = scale.pow(-beta) * grad_output - (2 * alpha * beta / size) * input * window
        return grad_input, None, None, None, None
