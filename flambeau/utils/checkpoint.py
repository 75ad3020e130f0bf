"""``torch.utils.checkpoint``: memory for time, by computing the forward pass again during the backward pass."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import flambeau as torch
from flambeau.func._tree import flatten, unflatten

__all__ = [
    "CheckpointError",
    "CheckpointFunction",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "detach_variable",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
]


class CheckpointError(RuntimeError):
    """The second forward pass differs from the first."""


def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts, for the two forward passes, that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def set_checkpoint_debug_enabled(enabled: bool | None) -> Any:
    """A context; there is no debug log here."""
    return contextlib.nullcontext()


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The tensors without history, requiring grad as before.

    Raises:
        RuntimeError: the argument is no tuple.
    """
    if not isinstance(inputs, tuple):
        raise RuntimeError("Only tuple of tensors is supported. Got Unsupported input type: ", type(inputs).__name__)
    return tuple(x.detach().requires_grad_(x.requires_grad) if isinstance(x, torch.Tensor) else x for x in inputs)


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warns if no tensor requires grad."""
    if not any(isinstance(x, torch.Tensor) and x.requires_grad for x in inputs):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


class _Replay:
    """What the second forward pass needs to draw and cast as the first did."""

    def __init__(self, preserve_rng_state: bool) -> None:
        mode = torch.amp.autocast_mode
        self.state = torch.get_rng_state() if preserve_rng_state else None
        self.cast = mode.is_autocast_enabled("cpu"), mode.get_autocast_dtype("cpu")

    @contextlib.contextmanager
    def context(self) -> Any:
        enabled, dtype = self.cast
        with torch.random.fork_rng(devices=[], enabled=self.state is not None):
            if self.state is not None:
                torch.set_rng_state(self.state)
            if not enabled:
                yield
                return
            with torch.amp.autocast("cpu", dtype=dtype):
                yield


class CheckpointFunction(torch.autograd.Function):
    """The reentrant checkpoint: a node whose backward runs forward and backward of the function."""

    @staticmethod
    def forward(ctx: Any, run_function: Any, preserve_rng_state: bool, *args: Any) -> Any:
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.replay = _Replay(preserve_rng_state)
        ctx.inputs = [None if isinstance(x, torch.Tensor) else x for x in args]
        ctx.tensors = [i for i, x in enumerate(args) if isinstance(x, torch.Tensor)]
        ctx.save_for_backward(*[x for x in args if isinstance(x, torch.Tensor)])
        with torch.no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        inputs = list(ctx.inputs)
        for i, x in zip(ctx.tensors, ctx.saved_tensors):
            inputs[i] = x
        inputs = detach_variable(tuple(inputs))
        with ctx.replay.context(), torch.enable_grad():
            outputs = ctx.run_function(*inputs)
        outputs = (outputs,) if isinstance(outputs, torch.Tensor) else outputs
        pairs = [(y, g) for y, g in zip(outputs, grads) if isinstance(y, torch.Tensor) and y.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        torch.autograd.backward([y for y, _ in pairs], [g for _, g in pairs])
        return (None, None, *[x.grad if isinstance(x, torch.Tensor) else None for x in inputs])


class _Recomputed(torch.autograd.Function):
    """The other checkpoint: its backward gives gradients of everything the function reached when it ran first."""

    @staticmethod
    def forward(ctx: Any, box: Any, *leaves: Any) -> Any:
        ctx.box, ctx.count = box, len(leaves)
        ctx.save_for_backward(*leaves)
        return tuple(x.detach() for x in box.outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        create, given = torch.is_grad_enabled(), ctx.box.given
        saved = list(ctx.saved_tensors)
        fresh = [x.view_as(x) if create else x.detach().requires_grad_(x.requires_grad) for x in saved[:given]]
        outputs = ctx.box.run(fresh)
        pairs = [(y, g) for y, g in zip(outputs, grads) if y.requires_grad]
        needed = [i for i in range(ctx.count) if ctx.needs_input_grad[i + 1]]
        sources = [(fresh + saved[given:])[i] for i in needed]
        ys, gs = [y for y, _ in pairs], [g for _, g in pairs]
        found = torch.autograd.grad(ys, sources, gs, create_graph=create, allow_unused=True)
        out: list[Any] = [None] * ctx.count
        for i, g in zip(needed, found):
            out[i] = g
        if create:
            _without_way_through(out, fresh, saved[given:])
        return (None, *out)


def _without_way_through(grads: list[Any], given: list[Any], outside: list[Any]) -> None:
    """Takes from the gradients of the outside leaves what reached them through the arguments' own history."""
    pairs = [(x, g) for x, g in zip(given, grads) if g is not None and x.requires_grad]
    wanted = [k for k, g in enumerate(grads[len(given) :]) if g is not None]
    if not pairs or not wanted:
        return
    xs, gs = [x for x, _ in pairs], [g for _, g in pairs]
    ways = torch.autograd.grad(xs, [outside[k] for k in wanted], gs, create_graph=True, allow_unused=True)
    for k, way in zip(wanted, ways):
        if way is not None:
            grads[len(given) + k] = grads[len(given) + k] - way


class _Box:
    """A function with its arguments, to run again."""

    def __init__(self, function: Any, args: Any, kwargs: Any, preserve: bool, context_fn: Any) -> None:
        self.function, self.tree, self.replay = function, (args, kwargs), _Replay(preserve)
        self.leaves = flatten(self.tree)
        self.places = [i for i, x in enumerate(self.leaves) if isinstance(x, torch.Tensor)]
        self.given = len(self.places)
        self.first, self.second = context_fn()
        self.outputs: list[Any] = []
        self.tensors = [self.leaves[i] for i in self.places]
        for i in self.places:
            self.leaves[i] = None

    def call(self, tensors: list[Any]) -> Any:
        leaves = list(self.leaves)
        for i, x in zip(self.places, tensors):
            leaves[i] = x
        args, kwargs = unflatten(self.tree, leaves)
        return self.function(*args, **kwargs)

    def run(self, tensors: list[Any]) -> list[Any]:
        """The tensors of the result, computed again."""
        with self.replay.context(), torch.enable_grad(), self.second:
            return [x for x in flatten(self.call(tensors)) if isinstance(x, torch.Tensor)]


def _reached(outputs: list[Any], given: list[Any]) -> list[Any]:
    """The leaves in the history of the outputs, other than the given ones."""
    stack: list[Any] = [y.grad_fn for y in outputs]
    seen: set[Any] = {None}
    found: list[Any] = []
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is None:
            stack += [following for following, _ in node.next_functions]
        elif not any(variable is x for x in given):
            found.append(variable)
    return found


def _without_reentrant(function: Any, args: Any, kwargs: Any, preserve: bool, context_fn: Any) -> Any:
    box = _Box(function, args, kwargs, preserve, context_fn)
    if not torch.is_grad_enabled():
        with box.first:
            return box.call(box.tensors)
    given, box.tensors = box.tensors, []
    inner = [x.detach().requires_grad_(x.requires_grad) if x.is_floating_point() else x for x in given]
    with box.first:
        result = box.call(inner)
    leaves = flatten(result)
    places = [i for i, x in enumerate(leaves) if isinstance(x, torch.Tensor) and x.requires_grad]
    if not places:
        return result
    all_tensors = [x for x in leaves if isinstance(x, torch.Tensor)]
    box.outputs = all_tensors
    outside = _reached(all_tensors, inner)
    outputs = _Recomputed.apply(box, *given, *outside)
    box.outputs = []
    rest = iter(outputs)
    return unflatten(result, [next(rest) if isinstance(x, torch.Tensor) else x for x in leaves])


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)`` that keeps only its arguments, and runs again for the backward pass.

    Args:
        function: gives a tensor, or tensors in containers; it must compute the same each time.
        *args: its arguments.
        use_reentrant: True for the older variant, which takes no keywords and differentiates only by ``args`` that
            require grad; None warns, and means True.
        context_fn: gives two contexts, for the first and the second run.
        determinism_check: accepted.
        debug: accepted.
        early_stop: accepted.
        preserve_rng_state: random numbers are the same in both runs.
        **kwargs: its keyword arguments.

    Raises:
        ValueError: the older variant is given keywords or contexts.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in PyTorch 2.9, "
            "calling checkpoint without use_reentrant will raise an exception. use_reentrant=False is recommended, but "
            "if you need to preserve the current default behavior, you can pass use_reentrant=True. Refer to docs for "
            "more details on the differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    if not use_reentrant:
        return _without_reentrant(function, args, kwargs, preserve_rng_state, context_fn)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug is not False:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return CheckpointFunction.apply(function, preserve_rng_state, *args)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """A sequence of modules in so many segments, each of which but the last is a checkpoint."""
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if isinstance(functions, torch.nn.Sequential) else list(functions)

    def segment(part: list[Any]) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for step in part:
                x = step(x)
            return x

        return run

    size, start = len(steps) // segments, 0
    for start in range(0, size * (segments - 1), size):
        part = segment(steps[start : start + size])
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return segment(steps[size * (segments - 1) :])(input)
