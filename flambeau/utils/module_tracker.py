"""``torch.utils.module_tracker``: which modules are at work, in the forward and in the backward pass."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import flambeau as torch
from flambeau.autograd.graph import register_multi_grad_hook
from flambeau.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from ._pytree import tree_leaves

__all__ = ["ModuleTracker"]


class ModuleTracker:
    """Within it, ``parents`` is the set of the names of the modules that run, or whose gradients are computed, and
    "Global" (https://docs.pytorch.org/docs/stable/module_tracker.html).

    A name begins with the class of the outermost module that was called.
    """

    def __init__(self) -> None:
        self.parents: set[str] = {"Global"}
        self._names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self._looked_at: weakref.WeakSet[Any] = weakref.WeakSet()
        self._ending = False  # is the end of the backward pass waited for?
        self._handles: list[Any] = []
        self._hooks: list[Any] = []

    @property
    def is_bw(self) -> bool:
        """Is a backward pass under way?"""
        return torch._C._current_graph_task_id() != -1

    def __enter__(self) -> ModuleTracker:
        self._handles = [
            register_module_forward_pre_hook(self._before),
            register_module_forward_hook(self._after),
        ]
        return self

    def __exit__(self, *exc: object) -> None:
        for handle in (*self._handles, *self._hooks):
            handle.remove()
        self._hooks.clear()

    def _name(self, module: Any) -> str:
        name = self._names.setdefault(module, type(module).__name__)
        if module not in self._looked_at:
            self._looked_at.add(module)
            for own, child in module.named_children():
                self._names[child] = f"{name}.{own}"
                self._name(child)
        return name

    def _before(self, module: Any, args: Any) -> None:
        name = self._name(module)
        self.parents.add(name)
        self._when_all_arrive(args, lambda grads: self.parents.discard(name))

    def _after(self, module: Any, args: Any, output: Any) -> None:
        name = self._name(module)
        self.parents.discard(name)
        self._when_all_arrive(output, lambda grads: self._enter_backward(name))

    def _when_all_arrive(self, tree: Any, hook: Callable[[Any], None]) -> None:
        """Calls ``hook`` when the gradients of all tensors among nested values are there."""
        tensors = [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor) and x.requires_grad]
        if tensors:
            self._hooks.append(register_multi_grad_hook(tensors, hook))

    def _enter_backward(self, name: str) -> None:
        if not self._ending:
            self._ending = True
            torch.autograd.Variable._execution_engine.queue_callback(self._end_backward)
        self.parents.add(name)

    def _end_backward(self) -> None:
        self.parents = {"Global"}
        self._ending = False
