"""Checkpoints without reentrance: what a function's graph saves is let go of, and computed again for the backward pass.

Hooks on saved tensors put a ``Place`` where a tensor would be saved. When a backward pass asks for the first of them,
the function runs again, and what that run would save goes to the places, one after the other.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Any

import flambeau as torch
from flambeau.graph.epoch import threads

__all__ = ["METADATA", "CheckpointError", "Frame", "GraphExecGroup"]


class CheckpointError(RuntimeError):
    """The second forward pass differs from the first."""


class _Enough(Exception):
    """All that the first run saved is there again."""


def _metadata(x: Any) -> dict[str, Any]:
    return {"shape": x.shape, "dtype": x.dtype, "device": x.device}


METADATA: dict[str, Callable[[Any], Any]] = {"default": _metadata, "none": lambda _: None}


class GraphExecGroup:
    """Backward passes within it run each checkpointed function again once, and may not ask twice for a tensor.

    Raises (on entry):
        RuntimeError: there is one already.
    """

    current: GraphExecGroup | None = None

    def __enter__(self) -> GraphExecGroup:
        if GraphExecGroup.current is not None:
            raise RuntimeError(
                f"GraphExecGroup contexts cannot be nested. Already inside group {GraphExecGroup.current}"
            )
        GraphExecGroup.current = self
        return self

    def __exit__(self, *exc: object) -> None:
        GraphExecGroup.current = None


class Place:
    """Stands for a tensor that was not saved; ``arrived``: what each backward pass computed for it, until asked for."""

    __slots__ = ("__weakref__", "arrived")

    def __init__(self) -> None:
        self.arrived: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


class _Inputs(torch.autograd.Function):
    """Saves arguments as an operator would: checked for writes, and seen by hooks of checkpoints around."""

    @staticmethod
    def forward(ctx: Any, anchor: Any, *tensors: Any) -> Any:
        ctx.save_for_backward(*tensors)
        return torch.empty(0)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise AssertionError("no gradient goes to the saved arguments of a checkpoint")


class _Pass:
    """Stands for a backward pass where a saved tensor is looked at outside of any."""


class Frame:
    """One call of a checkpointed function.

    Args:
        again: runs the function a second time, in the state of the first, with the arguments given to it.
        args: the positional arguments.
        early_stop: does the second run end when all that was saved is there?
        metadata: of a tensor, what must not differ in the second run.
    """

    def __init__(self, again: Callable[..., Any], args: Any, early_stop: bool, metadata: Callable[[Any], Any]) -> None:
        self.again, self.early_stop, self.metadata = again, early_stop, metadata
        self.others = [None if isinstance(x, torch.Tensor) else x for x in args]
        self.at = [i for i, x in enumerate(args) if isinstance(x, torch.Tensor)]
        self.inputs = _Inputs.apply(torch.empty(0, requires_grad=True), *[args[i] for i in self.at]).grad_fn
        self.places: list[weakref.ref[Place]] = []
        self.known: list[Any] = []  # the metadata of what was saved
        self.passes: weakref.WeakSet[Any] = weakref.WeakSet()  # for which the function ran again
        self.complete = self.unequal = False

    def first_run(self) -> Any:
        """A context in which operators save places."""
        return torch.autograd.graph.saved_tensors_hooks(self._leave, self._ask)

    def _leave(self, x: Any) -> Place:
        place = Place()
        self.places.append(weakref.ref(place))
        self.known.append(self.metadata(x))
        return place

    def _ask(self, place: Place) -> Any:
        running = GraphExecGroup.current or threads.task or _Pass()
        if running not in self.passes:
            self._run_again(running)
        if running not in place.arrived:
            raise CheckpointError(_TWICE.format(_OVERLAP if GraphExecGroup.current is not None else ""))
        return place.arrived.pop(running)

    def _arguments(self) -> list[Any]:
        args = list(self.others)
        for i, x in zip(self.at, self.inputs.saved_tensors):
            args[i] = x
        return args

    def _run_again(self, running: Any) -> None:
        """Fills the places for a backward pass.

        Raises:
            CheckpointError: this run saves other tensors than the first.
        """
        args, run = self._arguments(), _SecondRun(self, running)
        hooks = torch.autograd.graph.saved_tensors_hooks(run.fill, lambda x: x)
        with contextlib.suppress(_Enough), hooks, torch.enable_grad():
            self.again(*args)
        self.passes.add(running)
        if not self.unequal:
            run.check()


class _SecondRun:
    """Takes what the second run saves to the places."""

    def __init__(self, frame: Frame, running: Any) -> None:
        self.frame, self.running, self.count = frame, running, 0

    def fill(self, x: Any) -> Any:
        """Keeps a tensor for its place; ends the run if it was the last."""
        frame, at = self.frame, self.count
        x = x.detach() if x.requires_grad else x
        self.count += 1
        if at >= len(frame.places):
            return self._beyond(x)
        place = frame.places[at]()
        if place is not None:
            place.arrived[self.running] = x
        if frame.early_stop and self.count == len(frame.places):
            raise _Enough
        return x

    def _beyond(self, x: Any) -> Any:
        """The first run may have saved less only if it has not ended yet."""
        if self.frame.complete:
            raise CheckpointError(_MORE)
        self.frame.unequal = True
        return x

    def check(self) -> None:
        """Were as many tensors saved as in the first run, and equal ones?"""
        frame = self.frame
        if self.count != len(frame.places):
            raise CheckpointError(_FEWER.format(len(frame.places), self.count))
        told = ""
        for at, (reference, known) in enumerate(zip(frame.places, frame.known)):
            place = reference()
            found = None if place is None else frame.metadata(place.arrived[self.running])
            if place is not None and found != known:
                told += f"tensor at position {at}:\nsaved metadata: {known}\nrecomputed metadata: {found}\n"
        if told:
            raise CheckpointError(_OTHER.format(told))


_TWICE = (
    "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once. {}If you are "
    "calling ctx.saved_tensors in backward, make sure to do so only once. Otherwise please open an issue with details "
    "on your use case."
)
_OVERLAP = (
    "Performing two backward calls that overlap (i.e. require the same saved activation in order to compute gradients) "
    "is not allowed while under the torch.utils.checkpoint.GraphExecGroup context. "
)
_MORE = (
    "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original forward pass."
)
_FEWER = (
    "torch.utils.checkpoint: A different number of tensors was saved during the original forward and recomputation.\n"
    "Number of tensors saved during forward: {}\nNumber of tensors saved during recomputation: {}."
)
_OTHER = (
    "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during the "
    "forward pass.\n{}."
)
