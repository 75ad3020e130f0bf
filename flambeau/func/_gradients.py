"""Transforms of functions by repeated backward: gradients, products with Jacobians, Jacobians.

They nest. A result is differentiable with respect to what the caller tracks, and only to that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flambeau as torch
from flambeau.autograd._forward_runs import begins, forward, pinned, reverse, stand_in
from flambeau.autograd._pushing import pass_to_differentiate
from flambeau.autograd.graph import get_gradient_edge
from flambeau.func._tree import flatten, map_leaves, structure, unflatten
from flambeau.ops._registry import version_of
from flambeau.ops._samples import at_each

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp"]


def _tracked(tree: Any) -> Any:
    """The tree with tensors that this transform differentiates by, connected to what the caller tracks."""

    def leaf(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        return x.view_as(x) if x.requires_grad else x.detach().requires_grad_(True)

    return map_leaves(leaf, tree)


def _tracked_forward(tree: Any) -> Any:
    """As ``_tracked``, for a function that may write its arguments."""

    def leaf(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        return x.view_as(x) if x.requires_grad else stand_in(x)

    return map_leaves(leaf, tree)


def _sources(tree: Any) -> list[Any]:
    """Tensors to differentiate by: the arguments as they are before a function writes to them."""
    return [pinned(x) if isinstance(x, torch.Tensor) else x for x in flatten(tree)]


def _require_unwritten(tree: Any, sources: list[Any], error: Exception) -> None:
    """Raises if a function wrote to an argument whose history is part of what the caller tracks."""
    for x, source in zip(flatten(tree), sources):
        if isinstance(x, torch.Tensor) and pinned(x)._edge is not source._edge and x._view is not None:
            raise error


def _require_unwritten_leaves(tree: Any, sources: list[Any]) -> None:
    message = "a leaf Variable that requires grad is being used in an in-place operation."
    _require_unwritten(tree, sources, RuntimeError(message))


def _settle_writes(given: Any, tree: Any, sources: list[Any]) -> None:
    """What a function wrote to stand-ins with memory of their own goes to the arguments that were given."""
    message = (
        "jvp of a function that writes to an argument whose gradient is wanted outside: clone() it before the write"
    )
    _require_unwritten(tree, sources, NotImplementedError(message))
    for x, y in zip(flatten(given), flatten(tree)):
        if isinstance(x, torch.Tensor) and version_of(y) and y._s is not x._s:
            x.detach().copy_(y.detach())


def _reaches_others(x: Any, own: set[Any]) -> bool:
    """Does the history of ``x`` begin at a place that is none of ours?"""
    waiting, seen = [_node(x)], set(own)
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if begins(node):
            return True
        waiting += [following for following, _ in node.next_functions]
    return False


def _node(x: Any) -> Any:
    return get_gradient_edge(x).node


def _released(tree: Any, sources: list[Any], outer: bool = True) -> Any:
    """Results without the history that begins at what this transform differentiates by; without any, unless ``outer``:
    the mode in which the transform was called."""
    own = {node for node in map(_node, filter(_is_tensor, sources)) if begins(node)}

    def leaf(x: Any) -> Any:
        if not isinstance(x, torch.Tensor) or not x.requires_grad:
            return x
        return x if outer and _reaches_others(x, own) else x.detach()

    return map_leaves(leaf, tree)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, torch.Tensor)


def _gradients(outputs: Any, inputs: list[Any], seeds: Any = None) -> list[Any]:
    """Gradients with history; zeros where there is none."""
    pairs = [(y, None if seeds is None else g) for y, g in zip(outputs, seeds or outputs) if y.requires_grad]
    if not pairs:
        return [torch.zeros_like(x) for x in inputs]
    ys, gs = zip(*pairs)
    found = torch.autograd.grad(ys, inputs, None if seeds is None else gs, create_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found)]


def _places(argnums: Any, count: int) -> tuple[int, ...]:
    """The places of the arguments to differentiate by.

    Raises:
        RuntimeError: there are none, or one is no place, or named twice.
    """
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    places = []
    for place in argnums if isinstance(argnums, tuple) else (argnums,):
        if not isinstance(place, int):
            raise RuntimeError(f"argnum must be int, got: {type(place)}")
        if not -count <= place < count:
            raise RuntimeError(f"Got argnum={place}, but only {count} positional inputs")
        places.append(place % count)
    if not places:
        raise RuntimeError("argnums must be non-empty")
    if len(set(places)) != len(places):
        raise RuntimeError(f"argnums elements must be unique, got {tuple(places)}")
    return tuple(places)


def _selected(args: tuple[Any, ...], argnums: Any, track: Callable[[Any], Any]) -> tuple[tuple[Any, ...], Any]:
    """Arguments with those of ``argnums`` tracked; the tracked ones."""
    several = isinstance(argnums, tuple)
    places = _places(argnums, len(args))
    values = list(args)
    for place in places:
        values[place] = track(values[place])
    chosen = tuple(values[place] for place in places)
    return tuple(values), chosen if several else chosen[0]


def _split_aux(result: Any, has_aux: bool, name: str) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True")
    for x in flatten(result[1]):
        if not isinstance(x, torch.Tensor):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(x)}")
    return result


def _outputs(output: Any, name: str) -> list[Any]:
    """The tensors of a function's result.

    Raises:
        RuntimeError: there are none, or it holds something else.
    """
    ys = flatten(output)
    if not ys or (len(ys) == 1 and ys[0] is None):
        raise RuntimeError(f"{name}: Expected f to be a function that has non-empty output (got output = {ys})")
    for y in ys:
        if not isinstance(y, torch.Tensor):
            raise RuntimeError(f"{name}: expected f(*primals) to return only tensors, got unsupported type {type(y)}")
    return ys


def grad_and_value(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the gradient of ``func``, whose result is one number, and that result.

    Raises (when called):
        RuntimeError: the result is no tensor of one element.
    """

    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        outer = torch.is_grad_enabled()
        with reverse():
            values, chosen = _selected(args, argnums, _tracked)
            leaves = _sources(chosen)
            output, aux = _split_aux(func(*values, **kwargs), has_aux, "grad_and_value(f)(*args)")
            _require_unwritten_leaves(chosen, leaves)
            if not isinstance(output, torch.Tensor):
                raise RuntimeError(
                    f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(output)}"
                )
            if output.dim() != 0:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with "
                    f"{output.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            grads = unflatten(chosen, _gradients([output], leaves))
            grads, output, aux = _released((grads, output, aux), leaves, outer)
        return (grads, (output, aux)) if has_aux else (grads, output)

    return run


def grad(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the gradient of ``func`` by its argument number ``argnums`` (a tuple for several)."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        grads, value = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return run


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``func(*primals)``, and a function from a cotangent of that result to those of the primals."""
    outer = torch.is_grad_enabled()
    with reverse():
        tracked = _tracked(primals)
        leaves = _sources(tracked)
        output, aux = _split_aux(func(*tracked), has_aux, "vjp(f, *primals)")
        _require_unwritten_leaves(tracked, leaves)
    ys = _outputs(output, "vjp(f, *primals)")

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        if structure(cotangents) != structure(output):
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the "
                f"function. cotangents: {structure(cotangents)}, primal output: {structure(output)}"
            )
        outer = torch.is_grad_enabled()
        with torch.enable_grad():
            grads = _gradients(ys, leaves, flatten(cotangents))
            return _released(unflatten(tracked, grads), leaves, outer)

    released = _released(output, leaves, outer)
    return (released, pull, _released(aux, leaves, outer)) if has_aux else (released, pull)


def _push(output: Any, leaves: list[Any]) -> Callable[[list[Any]], list[Any]]:
    """From tangents of the leaves to those of the outputs: the derivative, by the cotangent, of the pull-back."""
    ys = flatten(output)
    seeds = [torch.zeros_like(y).requires_grad_(True) for y in ys]
    with pass_to_differentiate():
        pulled = _gradients(ys, leaves, seeds)
    return lambda tangents: _gradients(pulled, seeds, tangents)


def jvp(func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """``func(*primals)`` and its derivative in the direction ``tangents``; by two backward passes.

    Raises:
        RuntimeError: primals and tangents differ in structure or hold something else than tensors, or so does the
            result; or, if ``strict``, an output does not depend on them.
    """
    _check_directions(primals, tangents)
    outer = torch.is_grad_enabled()
    with forward():
        tracked = _tracked_forward(primals)
        leaves = _sources(tracked)
        output, aux = _split_aux(func(*tracked), has_aux, _JVP)
        _settle_writes(primals, tracked, leaves)
    with torch.enable_grad():
        ys = _outputs(output, _JVP)
        if strict and not all(_depends(y, leaves) for y in ys):
            raise RuntimeError(
                "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not "
                "allowed with strict=True."
            )
        pushed = _push(output, leaves)(flatten(tangents))
        result = _released((output, unflatten(output, pushed), aux), leaves, outer)
    return result if has_aux else result[:2]


_JVP = "jvp(f, primals, tangents)"


def _depends(y: Any, leaves: list[Any]) -> bool:
    if not y.requires_grad:
        return False
    found = torch.autograd.grad(y.sum(), leaves, retain_graph=True, allow_unused=True)
    return any(g is not None for g in found)


def _check_directions(primals: Any, tangents: Any) -> None:
    if not isinstance(primals, tuple):
        raise RuntimeError(f"{_JVP}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals).")
    if structure(primals) != structure(tangents):
        raise RuntimeError(
            f"{_JVP}: Expected primals and tangents to have the same python structure. For example, if primals is a "
            f"tuple of 3 tensors, tangents also must be. Got primals with structure {structure(primals)} and tangents "
            f"with structure {structure(tangents)}"
        )
    for name, tree in (("primals", primals), ("tangents", tangents)):
        leaves = flatten(tree)
        if not leaves:
            raise RuntimeError(f"{_JVP}: Expected {name} to contain at least one Tensor.")
        for x in leaves:
            if not isinstance(x, torch.Tensor):
                raise RuntimeError(f"{_JVP}: Expected {name} to only contain Tensors, got {type(x)}")


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """``func(*primals)``, and the function of tangents that is its derivative there."""
    outer = torch.is_grad_enabled()
    with forward():
        tracked = _tracked_forward(primals)
        leaves = _sources(tracked)
        output = func(*tracked)
        _settle_writes(primals, tracked, leaves)
    with torch.enable_grad():
        push = _push(output, leaves)

    def run(*tangents: Any) -> Any:
        outer = torch.is_grad_enabled()
        with torch.enable_grad():
            return _released(unflatten(output, push(flatten(tangents))), leaves, outer)

    return _released(output, leaves, outer), run


def _basis(x: Any) -> Any:
    """Tensors like ``x`` with a 1 at each place in turn, as a batch."""
    return torch.eye(x.numel(), dtype=x.dtype).reshape(x.numel(), *x.shape)


def _rows(y: Any, leaves: list[Any], count: int | None) -> list[Any]:
    """The Jacobians of one output by each leaf, so many rows at once, by default all."""
    shapes = [(*y.shape, *x.shape) for x in leaves]
    if not y.numel():
        return [torch.zeros(shape, dtype=x.dtype) for shape, x in zip(shapes, leaves)]
    parts = [
        at_each(len(basis), functools.partial(_row, y, leaves, basis)) for basis in _basis(y).split(count or y.numel())
    ]
    return [torch.cat(rows).reshape(shape) for rows, shape in zip(zip(*parts), shapes)]


def _row(y: Any, leaves: list[Any], basis: Any, sample: Callable[[Any], Any]) -> list[Any]:
    """The gradients of the element of ``y`` that a sample of the basis picks."""
    return _gradients([y], leaves, [sample(basis)])


def _column(push: Any, zeros: list[Any], k: int, basis: Any, sample: Callable[[Any], Any]) -> list[Any]:
    """The derivatives in the direction of a sample of the basis of leaf ``k``."""
    return push([*zeros[:k], sample(basis), *zeros[k + 1 :]])


def _columns(output: Any, leaves: list[Any]) -> list[list[Any]]:
    """The Jacobians of each output by each leaf, all columns of a leaf at once."""
    ys, push = flatten(output), _push(output, leaves)
    table = []
    for k, x in enumerate(leaves):
        zeros = [torch.zeros_like(other) for other in leaves]
        shapes = [(*y.shape, *x.shape) for y in ys]
        if not x.numel():
            table.append([torch.zeros(shape, dtype=y.dtype) for shape, y in zip(shapes, ys)])
            continue
        columns = at_each(x.numel(), functools.partial(_column, push, zeros, k, _basis(x)))
        table.append([c.movedim(0, -1).reshape(shape) for c, shape in zip(columns, shapes)])
    return [list(row) for row in zip(*table)]


def _require_real(xs: list[Any], name: str, what: str) -> None:
    for i, x in enumerate(xs):
        if isinstance(x, torch.Tensor) and x.is_complex():
            raise RuntimeError(
                f"{name}: Expected all {what} to be real but received complex tensor at flattened input idx: {i}"
            )


def _jacobian(func: Any, argnums: Any, has_aux: bool, name: str, table: Callable[..., Any]) -> Callable[..., Any]:
    backward = name == "jacrev"

    @functools.wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        outer = torch.is_grad_enabled()
        with reverse() if backward else forward():
            values, chosen = _selected(args, argnums, _tracked if backward else _tracked_forward)
            leaves = _sources(chosen)
            _require_real(leaves, name, "inputs")
            product = "vjp(f, *primals)" if backward else _JVP
            output, aux = _split_aux(func(*values, **kwargs), has_aux, product)
            if backward:
                _require_unwritten_leaves(chosen, leaves)
            else:
                _settle_writes(_selected(args, argnums, lambda x: x)[1], chosen, leaves)
        with torch.enable_grad():
            _require_real(_outputs(output, product), name, "outputs")
            result = unflatten(output, [unflatten(chosen, row) for row in table(output, leaves)])
            result, aux = _released((result, aux), leaves, outer)
        return (result, aux) if has_aux else result

    return run


def jacrev(
    func: Callable[..., Any],
    argnums: Any = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """A function that gives the Jacobian of ``func``, one backward pass an output element.

    Raises:
        ValueError: ``chunk_size``, the number of rows that are computed at once, is not positive.
    """
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")
    return _jacobian(
        func, argnums, has_aux, "jacrev", lambda out, leaves: [_rows(y, leaves, chunk_size) for y in flatten(out)]
    )


def jacfwd(
    func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """A function that gives the Jacobian of ``func``, one derivative an input element."""
    return _jacobian(func, argnums, has_aux, "jacfwd", _columns)


def hessian(func: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """A function that gives the second derivatives of ``func``."""
    return jacfwd(jacrev(func, argnums), argnums)
