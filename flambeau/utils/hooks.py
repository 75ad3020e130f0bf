"""Handles that take a registered hook out again (`torch.utils.hooks`)."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from typing import Any


def unserializable_hook(f: Any) -> Any:
    """Marks a hook that is not to be saved with its tensor or module, so that nobody is warned that it is not."""
    f.__torch_unserializable__ = True
    return f


class RemovableHandle:
    """Returned by the `register_*_hook` methods; `remove()` unregisters the hook.

    Also a context manager: the hook is removed when the block ends.

    Args:
        hooks_dict: the dictionary, keyed by handle id, that the hook is stored in.
        extra_dict: one more dictionary, or a list of them, with an entry for this id.
    """

    id: int
    next_id: int = 0

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        extras = extra_dict if isinstance(extra_dict, list) else [] if extra_dict is None else [extra_dict]
        self.extra_dict_ref: tuple[Any, ...] = tuple(weakref.ref(d) for d in extras)

    def remove(self) -> None:
        """Unregisters the hook; does nothing if it is gone already."""
        for reference in (self.hooks_dict_ref, *self.extra_dict_ref):
            registry = reference()
            if registry is not None:
                registry.pop(self.id, None)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.hooks_dict_ref(), self.id, tuple(r() for r in self.extra_dict_ref)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        registry, self.id = state[:2]
        # A handle whose registry is gone still has to answer remove().
        self.hooks_dict_ref = weakref.ref(OrderedDict() if registry is None else registry)
        extras = state[2] if len(state) > 2 else ()
        self.extra_dict_ref = tuple(weakref.ref(OrderedDict() if d is None else d) for d in extras)
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()
