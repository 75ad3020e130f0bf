"""Passes that come in ever new forms, as each batch has a size never met before: what follows them is not new.

An optimizer's step on gradients that are pending is part of the pass's program, and as new as that. Where this happens
again and again the pass is computed first: then the step reads gradients in memory, and is the same at all sizes.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..graph.realisation import forget_hooks
from ..graph.tensor_base import TensorBase

MET = 3  # new forms of which what follows is recorded with them
JOINED = 8  # times that one form comes before what follows it is recorded with it after all
MOST = 1000  # forms that are remembered

_times: dict[Hashable, int] = {}  # how often forms have come, JOINED for those that are recorded with what follows
forget_hooks.append(_times.clear)


def comes_apart(form: Hashable, parameter: TensorBase, asker: Hashable) -> bool:
    """Are pending gradients to be computed before what follows them is recorded, which is not known yet?

    Args:
        form: the gradients, and what follows.
        parameter: one of those whose gradients they are.
        asker: what follows.
    """
    times = _times.get(form)
    if times is None:
        times = 0 if _is_one_of_many(parameter, asker) else JOINED
        if len(_times) >= MOST:
            _times.clear()
    if times < JOINED:
        times += 1
    _times[form] = times
    return times < JOINED


def _is_one_of_many(parameter: TensorBase, asker: Hashable) -> bool:
    """Have there been so many new forms that more are to be expected? Counts this one."""
    notes = parameter._s.note()
    notes.forms = notes.forms or {}
    count = notes.forms[asker] = notes.forms.get(asker, 0) + 1
    return count > MET
