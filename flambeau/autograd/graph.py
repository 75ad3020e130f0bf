"""``torch.autograd.graph``: the recorded graph, hooks on what it saves, hooks on several gradients at once."""

from __future__ import annotations

import abc
import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..graph import packing
from ..graph.epoch import complete_all, threads
from ..graph.fn import AccumulateGrad, Fn, next_number
from ..graph.tensor_base import TensorBase
from ..ops._registry import requires_grad, view_edge
from .engine import split, will_run
from .grad_mode import no_grad

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class Node(abc.ABC):
    """What every ``grad_fn`` is an instance of; there is nothing to construct
    (https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.Node).
    """

    @abc.abstractmethod
    def name(self) -> str:
        """The node's name, such as ``MulBackward0``."""

    @property
    @abc.abstractmethod
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes to which gradients go, with the number of their output."""

    @property
    @abc.abstractmethod
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for the user's notes."""

    @abc.abstractmethod
    def register_hook(self, fn: Callable[..., Any]) -> Any:
        """Calls ``fn(grad_inputs, grad_outputs)`` after the node has run."""

    @abc.abstractmethod
    def register_prehook(self, fn: Callable[..., Any]) -> Any:
        """Calls ``fn(grad_outputs)`` before the node runs."""


Node.register(Fn)
Node.register(AccumulateGrad)


class GradientEdge(NamedTuple):
    """Where a gradient goes: a node and the number of its output."""

    node: Any
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """The edge to which the gradient of a tensor goes.

    Raises:
        RuntimeError: the tensor does not require grad.
    """
    if not requires_grad(tensor):
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(*split(tensor._edge if tensor._view is None else view_edge(tensor)))


def increment_version(tensor: Any) -> None:
    """Tells autograd that a tensor (or each of several) was written by other means.

    Raises:
        RuntimeError: something is not a tensor.
    """
    several = (tensor,) if not isinstance(tensor, Iterable) or isinstance(tensor, TensorBase) else tuple(tensor)
    if not all(isinstance(x, TensorBase) for x in several):
        raise RuntimeError("increment_version expect a Iterable[Tensor] as input")
    complete_all()
    for x in several:
        (x._vc or x._s).version += 1
    threads.epoch.written = next_number()


# ---- what is saved


class saved_tensors_hooks:
    """Within it, ``pack_hook`` replaces each tensor that is saved for backward, ``unpack_hook`` gives it back
    (https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.saved_tensors_hooks).

    Raises:
        RuntimeError: on entry, within ``disable_saved_tensors_hooks``.
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        packing.enter(self.pack_hook, self.unpack_hook)

    def __exit__(self, *exc: object) -> None:
        packing.leave()


class save_on_cpu(saved_tensors_hooks):
    """Within it, tensors saved for backward are kept on the CPU, where they are anyway."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(x: Any) -> Any:
            return x.device, x.cpu()

        def unpack(packed: Any) -> Any:
            device, x = packed
            return x.to(device, non_blocking=pin_memory)

        super().__init__(pack, unpack)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Within it, ``saved_tensors_hooks`` raises a RuntimeError of this message.

    Raises:
        RuntimeError: of this message, if there are such hooks.
    """
    if packing.hooks.stack:
        raise RuntimeError(error_message)
    before = packing.hooks.disabled
    packing.hooks.disabled = error_message
    try:
        yield
    finally:
        packing.hooks.disabled = before


class _Copies:
    """The copies kept by ``allow_mutation_on_saved_tensors``."""

    def __init__(self) -> None:
        self._kept: list[list[Any]] = []

    def keep(self, x: Any) -> list[Any]:
        """A copy of a saved tensor, in a list so that it can be dropped."""
        with no_grad():
            kept = [x.detach().clone()]
        self._kept.append(kept)
        return kept

    def clear(self) -> None:
        """Drops all copies; backward through what they belong to is an error from then on."""
        for kept in self._kept:
            kept.clear()
        self._kept.clear()


class _Copying(threading.local):
    """Is the thread within ``allow_mutation_on_saved_tensors``?"""

    inside = False


_copying = _Copying()


def _kept(kept: list[Any]) -> Any:
    if not kept:
        raise AssertionError(
            "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in which the graph was "
            "originally recorded."
        )
    return kept[0]


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_Copies]:
    """Within it, tensors saved for backward may be written in place: their values are kept for a backward inside."""
    if _copying.inside:
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    copies = _Copies()
    _copying.inside = True
    with saved_tensors_hooks(copies.keep, _kept):
        try:
            yield copies
        finally:
            copies.clear()
            _copying.inside = False


# ---- hooks on several gradients


class _Handles:
    """Removes several hooks."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        """Takes the hooks away."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Any], fn: Callable[..., Any], *, mode: str = "all") -> Any:
    """Calls ``fn`` once all gradients of ``tensors`` are known in a backward pass, with their list (None where a
    tensor takes no part); with ``mode="any"``, when the first of them is known, with that.

    Raises:
        ValueError: an unknown mode.
        AssertionError: a tensor does not require grad.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    edges = [_hookable(x) for x in tensors]
    return _when_all(tensors, [split(e)[0] for e in edges], fn) if mode == "all" else _when_any(tensors, fn)


def _hookable(x: Any) -> Any:
    edge = x._edge if x._view is None else view_edge(x)
    assert edge is not None, "Expected gradient function to be set"
    return edge


def _when_all(tensors: Sequence[Any], nodes: list[Any], fn: Callable[..., Any]) -> _Handles:
    """Hooks that call ``fn`` once a pass, when every tensor's gradient that will come has come."""
    lock = threading.Lock()
    arrived: dict[Any, list[Any]] = {}  # pass -> how many gradients will come, how many have, the gradients

    def hook_of(at: int) -> Callable[[Any], None]:
        def hook(grad: Any) -> None:
            task = threads.task
            with lock:
                state = arrived.get(task)
                if state is None:
                    state = arrived[task] = [sum(will_run(node) for node in nodes), 0, [None] * len(nodes)]
                state[1] += 1
                state[2][at] = grad
                complete = state[0] == state[1]
                if complete:
                    del arrived[task]
            if complete:
                fn(state[2])

        return hook

    return _Handles([x.register_hook(hook_of(k)) for k, x in enumerate(tensors)])


def _when_any(tensors: Sequence[Any], fn: Callable[..., Any]) -> _Handles:
    lock = threading.Lock()
    called: weakref.WeakSet[Any] = weakref.WeakSet()  # the passes in which it was

    def hook(grad: Any) -> None:
        with lock:
            if threads.task in called:
                return
            called.add(threads.task)
        fn(grad)

    return _Handles([x.register_hook(hook) for x in tensors])
