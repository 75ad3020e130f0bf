"""Operators made of other operators that autograd sees as one node; their gradient recomputes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph import packing
from ..graph.epoch import threads
from ..graph.fn import pack_saved, record, save_inputs
from ..graph.node import Operator
from ._registry import alias, is_tensor, requires_grad, view_edge


def composite(name: str, compute: Callable[..., Any], inputs: int, grad_name: str) -> Callable[..., Any]:
    """A function ``f(*tensors, *attrs)`` with one result, recorded for autograd as one node ``grad_name``.

    ``compute`` has the same arguments and uses differentiable operators; ``inputs`` is the number of tensors.
    """

    def refuse(*_: Any) -> Any:
        raise AssertionError(f"{name} is recorded piece by piece")

    def vjp(f: Any, g: Any) -> tuple[Any, ...]:
        return _gradients(f, g, compute, inputs)

    every = tuple(range(inputs))
    op = Operator(name, refuse, refuse, vjp, tuple([(i, every) for i in every]), grad_name)

    def run(*args: Any) -> Any:
        epoch = threads.epoch
        wanted = epoch.grad
        epoch.grad = False
        try:
            y = alias(compute(*args))
        finally:
            epoch.grad = wanted
        tensors = args[:inputs]
        if wanted and any(is_tensor(x) and requires_grad(x) for x in tensors):
            edges = tuple([_edge(x) for x in tensors])
            fn = record(op, args[inputs:], edges, tuple([x._ty for x in tensors]), (y._ty,), None)
            save_inputs(fn, tensors)
            if packing.active:
                pack_saved(fn)
            y._edge = fn
        return y

    run.__name__ = name
    return run


def _edge(x: Any) -> Any:
    return x._edge if x._view is None else view_edge(x)


def _gradients(f: Any, g: Any, compute: Callable[..., Any], inputs: int) -> tuple[Any, ...]:
    """The gradients of the inputs that want one: zeros where the result is constant in one, as by the nearest pixel."""
    from ..autograd._backward import grad

    epoch = threads.epoch
    again = epoch.grad
    epoch.grad = True
    try:
        xs = [_variable(f.saved(i), f.needs(i), again) for i in range(inputs)]
        y = compute(*xs, *f.attrs)
        wanted = [x for i, x in enumerate(xs) if f.needs(i)]
        flow = any(map(requires_grad, [y] if is_tensor(y) else y))
        found = grad(y, wanted, g, create_graph=again, allow_unused=True) if flow else (None,) * len(wanted)
    finally:
        epoch.grad = again
    given = iter([x.new_zeros(x.shape) if gx is None else gx for x, gx in zip(wanted, found)])
    return tuple([next(given) if f.needs(i) else None for i in range(inputs)])


def _variable(x: Any, needed: bool, again: bool) -> Any:
    """An input to differentiate by: still part of the graph if the gradient is to be differentiated too."""
    if not needed:
        return x.detach()
    return x.clone() if again and requires_grad(x) else x.detach().requires_grad_(True)
