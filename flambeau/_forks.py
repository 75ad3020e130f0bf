"""A process is forked while no other thread of it records, draws, compiles or computes.

The child has the thread alone that forked: what another thread holds is held there for ever, and what it was writing
stays half written. So that nobody waits for anybody, locks are taken in the order in which all threads take them.
"""

from __future__ import annotations

import os
from collections.abc import Callable

ORDER = ("recording", "drawing", "native")

Hook = Callable[[], object]
_hooks: dict[str, tuple[Hook, Hook]] = {}


def quiet(part: str, before: Hook, after: Hook) -> None:
    """Has ``before`` called before a fork, and ``after`` in the parent and in the child."""
    _hooks[part] = before, after


def _before() -> None:
    for part in ORDER:
        if part in _hooks:
            _hooks[part][0]()


def _after() -> None:
    for part in reversed(ORDER):
        if part in _hooks:
            _hooks[part][1]()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
