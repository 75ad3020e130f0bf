"""``torch.autograd.backward`` and ``grad``: arguments checked, the engine run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph.epoch import Turn, node_of, threads
from ..graph.fn import AccumulateGrad, Fn, Out
from ..graph.tensor_base import TensorBase
from ..ops._registry import requires_grad, view_edge
from ..ops._warned import warn_once
from ..ops._watching import watchers
from ..ops.creation import ones_node
from . import anomaly_mode as anomaly
from . import memo
from ._captured import captured
from ._connected import zero_where_connected
from .engine import Task, split
from .grad_mode import recording


def _tuple(x: Any) -> tuple[Any, ...]:
    """One or several tensors or ``torch.autograd.graph.GradientEdge``, as tensors."""
    if isinstance(x, TensorBase):
        return (x,)
    if hasattr(x, "output_nr"):
        return (_at_edge(x),)
    return tuple([_at_edge(y) if hasattr(y, "output_nr") and not isinstance(y, TensorBase) else y for y in x])


def _at_edge(edge: Any) -> Any:
    """A tensor whose gradient goes to this edge: the leaf itself, or a stand-in for the node's output."""
    from ..ops.creation import zeros_of

    if isinstance(edge.node, AccumulateGrad):
        return edge.node.leaf
    x = zeros_of(edge.node.outs[edge.output_nr])
    x._edge = edge.node if len(edge.node.outs) == 1 else Out(edge.node, edge.output_nr)
    return x


def _edge(x: Any) -> Any:
    return x._edge if x._view is None else view_edge(x)


def _root_grads(outputs: Sequence[Any], grads: Any) -> list[Any]:
    """The gradients to start from: ones for scalars where none are given.

    Raises:
        RuntimeError: an output is not a scalar and has no gradient, or shapes differ.
    """
    given = [None] * len(outputs) if grads is None else list(_tuple(grads))
    if len(given) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(given)} gradients")
    return [_root_grad(x, g) for x, g in zip(outputs, given)]


def _root_grad(x: Any, g: Any) -> Any:
    """The gradient that a backward pass begins with at ``x``: 1 where none is given; refused in PyTorch's words."""
    from ..ops.creation import ones_like

    if g is None:
        if requires_grad(x):
            if x._ty.numel != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if not x._ty.dtype.is_floating_point:
                raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {x.dtype}")
            return ones_like(x)
        return None
    if not isinstance(g, TensorBase):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if g._ty.shape != x._ty.shape:
        raise RuntimeError(f"Mismatch in shape: grad_output[0] has a shape of {g.shape} and output[0] has a shape of "
                           f"{x.shape}.")  # fmt: skip
    if g._ty.dtype.is_complex != x._ty.dtype.is_complex:
        raise RuntimeError("For complex Tensors, both grad_output and output are required to have the same dtype. "
                           f"Mismatch in dtype: grad_output[0] has a dtype of {g.dtype} and output[0] has a dtype of "
                           f"{x.dtype}.")  # fmt: skip
    return g


def _root_edges(outputs: Sequence[Any]) -> list[Any]:
    edges = []
    for i, x in enumerate(outputs):
        e = _edge(x)
        if e is None:
            raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        edges.append(e)
    return edges


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    grad_variables: Any = None, inputs: Any = None,
) -> None:  # fmt: skip
    """Adds the gradients of ``tensors`` to the ``grad`` of the graph's leaves
    (https://docs.pytorch.org/docs/stable/generated/torch.autograd.backward.html).

    Raises:
        RuntimeError: a tensor does not require grad, is not a scalar and has no gradient, or its graph was freed.
    """
    outputs = _tuple(tensors)
    if create_graph:
        warn_once("create_graph")
    if (
        inputs is None
        and not create_graph
        and len(outputs) == 1
        and _remembered(outputs[0], grad_tensors, bool(retain_graph) or any(recording))
    ):
        return
    if inputs is not None and len(_tuple(inputs)) == 0:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    captures = None if inputs is None else _accumulating(_tuple(inputs))
    _run(outputs, grad_tensors if grad_tensors is not None else grad_variables, retain_graph, create_graph, captures)


def _remembered(x: Any, given: Any, keep: bool) -> bool:
    """The usual case, one output and leaves that accumulate, is looked up; False if it must go through the engine."""
    edge = x._edge if x._view is None else view_edge(x)
    if not isinstance(edge, Fn) or anomaly.state["enabled"] or watchers:
        return False
    epoch = threads.epoch
    if epoch.crowded:
        with Turn(epoch):
            return _remembered(x, given, keep)
    before = epoch.grad
    epoch.grad = False
    try:
        if given is None and x._ty.numel == 1 and x._ty.dtype.kind == "f":
            return memo.backward(edge, ones_node(x._ty), lambda: _root_grad(x, None), keep)
        (seed,) = _root_grads((x,), given)
        return memo.backward(edge, node_of(seed), lambda: seed, keep)
    finally:
        epoch.grad = before


def _accumulating(inputs: tuple[Any, ...]) -> dict[tuple[Any, int], int]:
    captures: dict[tuple[Any, int], int] = {}
    for x in inputs:
        edge = _edge(x)
        if edge is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
        if not isinstance(edge, AccumulateGrad):
            x.retain_grad()
        captures[split(edge)] = -1
    return captures


def _run(
    outputs: Sequence[Any], grads: Any, retain: bool | None, create: bool, captures: Any, stopping: bool = False
) -> Task:
    """Runs the engine with grad mode as the pass wants it; in its turn, if there are several threads."""
    epoch = threads.epoch
    if epoch.crowded:
        with Turn(epoch):
            return _run(outputs, grads, retain, create, captures, stopping)
    before = epoch.grad
    roots = _root_grads(outputs, grads)
    edges = _root_edges(outputs)
    keep = (create if retain is None else retain) or any(recording)
    task = Task(keep, create, captures, stopping=stopping)
    epoch.grad = create
    try:
        task.run(edges, roots)
    finally:
        epoch.grad = before
    return task


def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    only_inputs: bool = True, allow_unused: bool | None = None, is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of ``outputs`` with respect to ``inputs``
    (https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad.html).

    Raises:
        RuntimeError: there are no inputs, or one is no tensor, does not require grad, or was not used and
            ``allow_unused`` is false.
    """
    if is_grads_batched:
        return _batched(outputs, inputs, grad_outputs, create_graph, allow_unused, materialize_grads)
    outs, ins = _tuple(outputs), _tuple(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    if not ins:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    keys = []
    for x in ins:
        if not isinstance(x, TensorBase):
            raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {type(x).__name__}")
        edge = _edge(x)
        if edge is None and not requires_grad(x):
            _root_grads(outs, grad_outputs)
            _root_edges(outs)
            raise RuntimeError("One of the differentiated Tensors does not require grad")
        keys.append((x, 0) if edge is None else split(edge))
    captures: dict[Any, int] = {}
    for key in keys:
        captures.setdefault(key, len(captures))
    result = None if create_graph else _remembered_gradients(outs, keys, grad_outputs, bool(retain_graph))
    if result is None:
        task = _run(outs, grad_outputs, retain_graph, create_graph, captures)
        result = [task.captured.get(captures[key]) for key in keys]
    result = [
        zero_where_connected(_root_edges(outs), x, _edge(x), create_graph) if g is None else g
        for g, x in zip(result, ins)
    ]
    if materialize_grads and any(g is None and given is not x for g, x, given in zip(result, ins, _given(inputs))):
        raise RuntimeError(
            "materialize_grads cannot be used when the given input is a GradientEdge because it is not possible to "
            "know the metadata of the gradient."
        )
    return tuple(
        _missing(g, x, i, allow_unused or materialize_grads, materialize_grads, create_graph)
        for i, (g, x) in enumerate(zip(result, ins))
    )


def _remembered_gradients(outs: tuple[Any, ...], keys: list[Any], given: Any, keep: bool) -> list[Any] | None:
    """The gradients of one output with respect to leaves, looked up; None if they must go through the engine."""
    epoch = threads.epoch
    if len(outs) != 1 or epoch.crowded or epoch.sampling is not None or anomaly.state["enabled"] or watchers:
        return None
    (x,) = outs
    edge = _edge(x)
    if not isinstance(edge, Fn) or not all(type(node) is AccumulateGrad for node, _ in keys):
        return None
    before = epoch.grad
    epoch.grad = False
    try:
        if given is None and x._ty.numel == 1 and x._ty.dtype.kind == "f":
            start, seed = ones_node(x._ty), lambda: _root_grad(x, None)
        else:
            (root,) = _root_grads((x,), given)
            start, seed = node_of(root), lambda: root
        wanted = {node for node, _ in keys}
        found = captured(edge, start, seed, wanted, keep or any(recording))
    finally:
        epoch.grad = before
    return None if found is None else [found.get(node) for node, _ in keys]


def grad_up_to(outputs: Any, inputs: Any, grads: Any) -> list[Any]:
    """Differentiable gradients along the ways that pass no other of the inputs; None for what is not reached."""
    captures: dict[Any, int] = {}
    keys = [split(_edge(x)) for x in inputs]
    for key in keys:
        captures.setdefault(key, len(captures))
    task = _run(outputs, grads, True, True, captures, stopping=True)
    return [task.captured.get(captures[key]) for key in keys]


def _given(x: Any) -> Sequence[Any]:
    """One or several tensors or edges, as they were given."""
    return (x,) if isinstance(x, TensorBase) or hasattr(x, "output_nr") else x


def _batched(outputs: Any, inputs: Any, grads: Any, create: bool, *rest: Any) -> tuple[Any, ...]:
    """``grad`` for each row of the gradients of the outputs; the results stacked."""
    from ..ops._samples import at_each

    allow_unused, materialize = rest
    for i, (y, g) in enumerate(zip(_tuple(outputs), _tuple(grads))):
        if g._ty.shape[1:] != y._ty.shape:
            raise RuntimeError(
                f"If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch "
                f"dimension. The sizes of the remaining dimensions are expected to match the shape of corresponding "
                f"output, but a mismatch was detected: grad_output[{i}] has a shape of {g.shape} and output[{i}] has a "
                f"shape of {y.shape}. If you only want some tensors in `grad_output` to be considered batched, "
                "consider using vmap."
            )

    def row(sample: Any) -> Any:
        given = [sample(g) for g in _tuple(grads)]
        return grad(outputs, inputs, given, True, create, True, allow_unused, False, materialize)

    return tuple(at_each(_tuple(grads)[0]._ty.shape[0], row))


def _missing(g: Any, x: Any, i: int, allow_unused: bool | None, materialize: bool, create: bool) -> Any:
    if g is None and materialize:
        return x.new_zeros(x.shape).requires_grad_(create)
    if g is None and not allow_unused:
        raise RuntimeError(f"The differentiated Tensor at index {i} appears to not have been used in the graph. Set "
                           "allow_unused=True if this is the desired behavior.")  # fmt: skip
    return g
