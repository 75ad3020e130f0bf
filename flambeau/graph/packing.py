"""Hooks on saved tensors: what ``torch.autograd.graph.saved_tensors_hooks`` packs when an operator is recorded."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .._records import Record
from .epoch import complete_all, threads
from .tensor_base import TensorBase, new_tensor


class Packed(Record):
    """What a pack hook made of a saved tensor, and the hook that gives the tensor back."""

    packed: Any
    unpack: Callable[[Any], Any]


class _Hooks(threading.local):
    """The hooks of a thread, innermost last, and why there may be none."""

    def __init__(self) -> None:
        self.stack: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = []
        self.disabled: str | None = None


hooks = _Hooks()
active: list[None] = []  # one entry for each pair of hooks of any thread: one test when recording


harmless: set[Callable[[Any], Any]] = set()  # pack hooks that do nothing but keep a tensor


def all_harmless() -> bool:
    """Does it matter to nobody how often the thread's hooks are called?"""
    return all(pack in harmless for pack, _ in hooks.stack)


def enter(pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
    """Makes these the hooks of the thread.

    Raises:
        RuntimeError: hooks are disabled.
    """
    if hooks.disabled is not None:
        raise RuntimeError(hooks.disabled)
    push(pack, unpack)


def push(pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
    """``enter``, whether hooks are disabled or not."""
    complete_all()
    threads.epoch.deferring = False
    hooks.stack.append((pack, unpack))
    active.append(None)


def leave() -> None:
    """Takes away the innermost hooks."""
    hooks.stack.pop()
    active.pop()


@contextlib.contextmanager
def suspended() -> Iterator[None]:
    """Within it, the thread has no hooks."""
    before, hooks.stack = hooks.stack, []
    try:
        yield
    finally:
        hooks.stack = before


def over(x: Any, edge: Any) -> Any:
    """A tensor on the memory of a tensor or ``Saved``, with this place in the graph."""
    own = isinstance(x, TensorBase)
    t = new_tensor(x._s, x._ty) if own else new_tensor(x.storage, x.ty)
    t._vc = x._vc if own else x.vc
    t._edge = edge
    return t


def pack(x: Any, edge: Any) -> Packed:
    """What the innermost hooks make of a tensor (whose gradient goes to ``edge``).

    Raises:
        RuntimeError: the hook wrote to the tensor.
    """
    pack_hook, unpack_hook = hooks.stack[-1]
    # As in PyTorch, the hook sees a leaf itself, and of other tensors a copy that shares memory.
    t = x if isinstance(x, TensorBase) and (edge is None or hasattr(edge, "leaf")) else over(x, edge)
    counter = t._vc or t._s
    version = counter.version
    epoch = threads.epoch
    before, epoch.grad = epoch.grad, False
    try:
        packed = pack_hook(t)
    finally:
        epoch.grad = before
    if counter.version != version:
        raise RuntimeError(
            "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook cannot "
            "be modified by in-place operations as this can lead to unexpected side-effects. Please open an issue if "
            "you need to perform in-place operations on the input to a pack hook."
        )
    return Packed(packed, unpack_hook)


def unpacked(p: Packed, edge: Any) -> Any:
    """The saved tensor again, with its place in the graph.

    Raises:
        TypeError: the unpack hook did not give a tensor.
    """
    x = p.unpack(p.packed)
    if not isinstance(x, TensorBase):
        raise TypeError(
            f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(x).__name__}"
        )
    return over(x, edge)
