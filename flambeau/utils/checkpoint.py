"""``torch.utils.checkpoint``: memory for time, by computing the forward pass again during the backward pass."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, NoReturn

import flambeau as torch
from flambeau.graph.epoch import threads
from flambeau.utils._recomputing import METADATA, CheckpointError, Frame, GraphExecGroup

__all__ = [
    "CheckpointError",
    "CheckpointFunction",
    "CheckpointPolicy",
    "GraphExecGroup",
    "check_backward_validity",
    "checkpoint",
    "checkpoint_sequential",
    "create_selective_checkpoint_contexts",
    "detach_variable",
    "get_device_states",
    "noop_context_fn",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]


class CheckpointPolicy(Enum):
    """What becomes of an operator's result in a checkpoint that chooses."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


def create_selective_checkpoint_contexts(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: no mode sees single operators."""
    raise NotImplementedError(
        "create_selective_checkpoint_contexts() is not supported: a checkpoint computes its whole block again"
    )


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


def get_device_states(*args: Any) -> tuple[list[int], list[Any]]:
    """The numbers and generators' states of the arguments' devices other than the CPU: there are none."""
    return [], []


def set_device_states(devices: Iterable[int], states: Iterable[Any], *, device_type: str | None = None) -> None:
    """Sets the generators' states of devices other than the CPU, of which there are none.

    Raises:
        AssertionError: a device is named.
    """
    for device, state in zip(devices, states):
        torch.cuda.set_rng_state(state, device)


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
        _refuse_chosen_inputs()
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


def _refuse_chosen_inputs() -> None:
    if threads.task is not None and threads.task.captures is not None and not threads.task.all_leaves:
        raise RuntimeError(
            "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
            "parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call "
            ".backward() without passing the `inputs` argument."
        )


_early_stop: list[bool] = []  # what the contexts around say, innermost last


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Within it, checkpoints made without reentrance stop early, or do not, whatever their ``early_stop`` says."""
    _early_stop.append(enable)
    try:
        yield
    finally:
        _early_stop.pop()


def _without_reentrant(
    function: Any, args: Any, kwargs: Any, preserve: bool, context_fn: Any, determinism: str, early_stop: bool
) -> Any:
    if determinism not in METADATA:
        raise ValueError(f"determinism_check should be one of {list(METADATA)}, but got {determinism}")
    first, second = context_fn()
    if not torch.is_grad_enabled():
        return function(*args, **kwargs)
    replay = _Replay(preserve)

    def again(*args: Any) -> None:
        with replay.context(), second:
            function(*args, **kwargs)

    frame = Frame(again, args, _early_stop[-1] if _early_stop else early_stop, METADATA[determinism])
    with frame.first_run(), first:
        result = function(*args, **kwargs)
    frame.complete = True
    return result


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
        determinism_check: ``"default"`` compares the second run's shapes and dtypes with those of the first, ``"none"``
            does not.
        debug: accepted; errors say what differs, without a list of all operators.
        early_stop: the second run ends when all that the backward pass asks for is there.
        preserve_rng_state: random numbers are the same in both runs.
        **kwargs: its keyword arguments.

    Raises:
        ValueError: the older variant is given keywords or contexts; or there is no such check.
        CheckpointError: (in the backward pass) the second run saves other tensors than the first.
        RuntimeError: (in the backward pass) the older variant is differentiated by chosen inputs.
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
        if debug and context_fn is not noop_context_fn:
            raise ValueError("debug=True is incompatible with non-default context_fn")
        return _without_reentrant(function, args, kwargs, preserve_rng_state, context_fn, determinism_check, early_stop)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug is not False:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return CheckpointFunction.apply(function, preserve_rng_state, *args)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """A sequence of modules in so many segments, each of which but the last is a checkpoint."""
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. "
            "In version 2.9 we will raise an exception if use_reentrant is not passed. use_reentrant=False is "
            "recommended, but if you need to preserve the current default behavior, you can pass use_reentrant=True. "
            "Refer to docs for more details on the differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
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
