"""``torch.autograd.functional``: Jacobians, Hessians and products with them, by repeated backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph.tensor_base import TensorBase
from . import grad
from ._backward import grad_up_to
from .grad_mode import enable_grad


def _as_tuple(x: Any) -> tuple[tuple[Any, ...], bool]:
    return (tuple(x), True) if isinstance(x, (tuple, list)) else ((x,), False)


def _leaves(inputs: tuple[Any, ...], create_graph: bool) -> tuple[Any, ...]:
    if create_graph:
        return tuple([x.view_as(x) if x.requires_grad else x.detach().requires_grad_(True) for x in inputs])
    return tuple([x.detach().requires_grad_(True) for x in inputs])


def _done(x: Any, several: bool, create_graph: bool) -> Any:
    out = tuple([y if create_graph or not isinstance(y, TensorBase) else y.detach() for y in x])
    return out if several else out[0]


def _jacobian_of(y: Any, xs: tuple[Any, ...], create_graph: bool, strict: bool, k: int) -> tuple[Any, ...]:
    from ..ops.joining import stack

    rows: list[tuple[Any, ...]] = []
    for i in range(y.numel()):
        part = y.reshape(-1)[i]
        if part.requires_grad:
            gs = grad(part, xs, retain_graph=True, create_graph=create_graph, allow_unused=True)
        else:
            gs = (None,) * len(xs)
        if strict and any(g is None for g in gs):
            raise RuntimeError(f"Output {k} of the user-provided function is independent of input "
                               f"{[g is None for g in gs].index(True)}. This is not allowed in strict "
                               "mode.")  # fmt: skip
        rows.append(tuple([x.new_zeros(x.shape) if g is None else g for g, x in zip(gs, xs)]))
    return tuple([
        stack([r[j] for r in rows]).reshape((*y.shape, *x.shape)) if rows else x.new_zeros((*y.shape, *x.shape))
        for j, x in enumerate(xs)
    ])  # fmt: skip


@enable_grad()
def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of ``func``: shape of output + shape of input, nested in tuples where there are several."""
    xs, many_in = _as_tuple(inputs)
    xs = _leaves(xs, create_graph)
    ys, many_out = _as_tuple(func(*xs))
    rows = [_done(_jacobian_of(y, xs, create_graph, strict, k), many_in, create_graph) for k, y in enumerate(ys)]
    return tuple(rows) if many_out else rows[0]


@enable_grad()
def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a scalar function."""
    xs, many = _as_tuple(inputs)

    def gradient(*args: Any) -> Any:
        y = func(*args)
        if y.numel() != 1:
            raise RuntimeError("The Tensor returned by the function given to hessian should contain a single element")
        gs = grad(y.reshape(()), args, create_graph=True, allow_unused=True)
        return tuple([(x * 0 if g is None else g) for g, x in zip(gs, args)])

    result = jacobian(gradient, tuple(xs), create_graph, strict)
    return result if many else result[0][0]


@enable_grad()
def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs, and ``v`` times the Jacobian."""
    xs, many_in = _as_tuple(inputs)
    xs = _leaves(xs, create_graph)
    ys, many_out = _as_tuple(func(*xs))
    if v is None and (len(ys) != 1 or ys[0].numel() != 1):
        raise RuntimeError("The vector v can only be None if the user-provided function returns a single Tensor with a "
                           "single element.")  # fmt: skip
    vs = None if v is None else _as_tuple(v)[0]
    gs = grad(ys, xs, vs, create_graph=create_graph, allow_unused=True)
    gs = tuple([x.new_zeros(x.shape) if g is None else g for g, x in zip(gs, xs)])
    return _done(ys, many_out, create_graph), _done(gs, many_in, create_graph)


def pushed(ys: Any, xs: Any, tangents: Any, create_graph: bool) -> tuple[Any, ...] | None:
    """The tangents of ``ys`` from those of ``xs``: the derivative of the backward pass with respect to its vector, in
    which it is linear. What lies before an ``x`` adds nothing. None if no ``x`` reaches a ``y``."""
    seeds = [y.new_zeros(y.shape).requires_grad_(True) for y in ys]
    found = grad_up_to(ys, xs, seeds)
    if all(g is None for g in found):
        return None
    pairs = [(g, t) for g, t in zip(found, tangents) if g is not None and g.requires_grad]
    out: Any = [None] * len(seeds)
    if pairs:
        out = grad([g for g, _ in pairs], seeds, [t for _, t in pairs], create_graph=create_graph, allow_unused=True)
    return tuple([y.new_zeros(y.shape) if g is None else g for g, y in zip(out, ys)])


@enable_grad()
def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs, and the Jacobian times ``v``, by differentiating the vector-Jacobian product."""
    xs, _ = _as_tuple(inputs)
    xs = _leaves(xs, create_graph)
    ys, many_out = _as_tuple(func(*xs))
    vs = _as_tuple(v)[0] if v is not None else tuple([x.new_ones(x.shape) for x in xs])
    out = pushed(ys, xs, vs, create_graph) or tuple([y.new_zeros(y.shape) for y in ys])
    return _done(ys, many_out, create_graph), _done(out, many_out, create_graph)


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a scalar function, and ``v`` times its Hessian."""
    return hvp(func, inputs, v, create_graph, strict)


@enable_grad()
def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a scalar function, and its Hessian times ``v`` (the Hessian is symmetric)."""
    xs, many = _as_tuple(inputs)
    xs = _leaves(xs, create_graph)
    y = func(*xs)
    gs = grad(y, xs, create_graph=True, allow_unused=True)
    vs = _as_tuple(v)[0] if v is not None else tuple([x.new_ones(x.shape) for x in xs])
    pairs = [(g, w) for g, w in zip(gs, vs) if g is not None and g.requires_grad]
    out: Any = [None] * len(xs)
    if pairs:
        out = grad([g for g, _ in pairs], xs, [w for _, w in pairs], create_graph=create_graph, allow_unused=True)
    out = tuple([x.new_zeros(x.shape) if g is None else g for g, x in zip(out, xs)])
    return _done((y,), False, create_graph), _done(out, many, create_graph)
