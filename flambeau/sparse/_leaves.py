"""Gradients of sparse leaves that are dense: those of operators that give elements which are not there one too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as torch


class _Through(torch.autograd.Function):
    """A result as it is, whose gradient goes to a dense leaf by a function."""

    @staticmethod
    def forward(ctx: Any, leaf: Any, result: Any, gradient: Callable[[Any], Any]) -> Any:
        ctx.gradient = gradient
        return result.clone()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ctx.gradient(g), g, None


def is_leaf(x: Any) -> bool:
    """Is this a sparse tensor that collects gradients?"""
    sparse = isinstance(x, torch.Tensor) and x.layout is not torch.strided
    return sparse and torch.is_grad_enabled() and x._collects and x.requires_grad


def through(x: Any, result: Any, gradient: Callable[[Any], Any]) -> Any:
    """``result`` with a gradient for all elements of the leaf ``x``: what ``gradient`` makes of its own."""
    if x._twin is None:
        x._twin = torch.zeros((), dtype=x.dtype).expand(x.shape).requires_grad_()
    return _Through.apply(x._twin, result, gradient)


class Leaf:
    """A sparse tensor's ``grad``: of its values, and of ``_twin``, which stands for all its elements."""

    _twin: Any
    _own: Any

    @property
    def grad(self) -> Any:
        """The gradient: a sparse tensor with the same indices, dense if an operator gave all elements one; or None."""
        x: Any = self
        g = x._own.grad if x._own.is_leaf else None
        found = None if g is None else x._on_all(g)
        dense = None if x._twin is None else x._twin.grad
        return found if dense is None else dense if found is None else dense + found.to_sparse()

    @grad.setter
    def grad(self, value: Any) -> None:
        x: Any = self
        if value is not None and value.layout is torch.strided:
            x._own.grad = None
            through(x, torch.zeros(()), lambda g: None)
            x._twin.grad = value
            return
        if value is not None and not x._same_places(value):
            raise NotImplementedError("the gradient of a sparse tensor must have the indices of that tensor")
        x._own.grad = None if value is None else value._vals
        if x._twin is not None:
            x._twin.grad = None
