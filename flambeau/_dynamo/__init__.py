"""``torch._dynamo``: what programs and libraries call around ``torch.compile``, which has nothing to prepare here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .. import _compile
from . import config, exc, utils
from .eval_frame import OptimizedModule

__all__ = [
    "OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable", "disallow_in_graph", "exc",
    "explain", "export", "forbid_in_graph", "graph_break", "is_compiling", "list_backends", "mark_dynamic",
    "mark_static", "mark_static_address", "maybe_mark_dynamic", "optimize", "reset", "run", "utils",
]  # fmt: skip


def allow_in_graph(fn: Any) -> Any:
    """``fn`` itself, or the functions of a list."""
    return [allow_in_graph(f) for f in fn] if isinstance(fn, (list, tuple)) else fn


disallow_in_graph = forbid_in_graph = allow_in_graph


def assume_constant_result(fn: Any) -> Any:
    """``fn`` itself: it is called each time."""
    return fn


def disable(fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """``fn`` itself; without ``fn`` a decorator that returns what it is given."""
    return allow_in_graph if fn is None else fn


def run(fn: Any = None) -> Any:
    """``fn`` itself; without ``fn`` a decorator that returns what it is given."""
    return allow_in_graph if fn is None else fn


def optimize(backend: Any = "inductor", *, nopython: bool = False, dynamic: bool | None = None, **_: Any) -> Any:
    """What ``torch.compile`` was called before: a decorator."""
    return _compile.compile(fullgraph=nopython, dynamic=dynamic, backend=backend)


def list_backends(exclude_tags: Sequence[str] | None = ("debug", "experimental")) -> list[str]:
    """The names of backends that ``torch.compile`` takes; all of them mean flambeau's compiler.

    Args:
        exclude_tags: an empty list or None: those for debugging too.
    """
    return sorted([*_compile.BACKENDS, *([] if exclude_tags else _compile.DEBUG_BACKENDS)])


def graph_break(msg: str = "") -> None:
    """Does nothing: a program ends where a value is needed."""


def is_compiling() -> bool:
    """False: Python always runs."""
    return False


is_dynamo_compiling = is_compiling


def mark_dynamic(t: Any, index: Any, **_: Any) -> None:
    """Does nothing: sizes are not guessed."""


def maybe_mark_dynamic(t: Any, index: Any) -> None:
    """Does nothing: sizes are not guessed."""


def mark_static(t: Any, index: Any = None) -> None:
    """Does nothing: sizes are not guessed."""


def mark_static_address(t: Any, guard: bool = True) -> None:
    """Does nothing: addresses are arguments of programs."""


def reset() -> None:
    """Does nothing: there is no cache of compiled functions."""


def explain(f: Any, *_: Any, **__: Any) -> NoReturn:
    """Raises NotImplementedError: there are no graph breaks to explain."""
    raise NotImplementedError(
        "torch._dynamo.explain: nothing is traced; `flambeau explain SCRIPT` and torch.profiler.explain() tell what "
        "was compiled and why"
    )


def export(f: Any, *_: Any, **__: Any) -> NoReturn:
    """Raises NotImplementedError: there is no FX graph of a compiled function."""
    raise NotImplementedError("torch._dynamo.export: flambeau exports no graphs; save the state_dict instead")
