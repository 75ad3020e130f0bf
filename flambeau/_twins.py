"""Gives the functions of the steady step their twins (``compiler.twins``), once a process has taken some steps.

``FLAMBEAU_TWINS``: "auto"; "now", from the first step on; or "off".
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import marshal
import os
import sys
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from ._later import imported
from .compiler.twins import marked
from .graph import epoch, realisation, tape
from .graph.epoch import exchanged

if TYPE_CHECKING:
    from .compiler.cpu.code_cache import CodeCache

MODES = ("auto", "now", "off")
mode = os.environ.get("FLAMBEAU_TWINS") or "auto"
if mode not in MODES:
    raise ValueError(f"FLAMBEAU_TWINS={mode}: expected one of {', '.join(MODES)}")

# The modules of all functions that get a twin: the code of all is one entry on the disk.
HOLDERS = (
    "autograd.memo", "graph.ahead", "graph.alike", "graph.epoch", "graph.gradients", "graph.keeping", "graph.node",
    "graph.realisation", "graph.tape", "graph.tensor_base", "graph.types", "ops._arguments", "ops._calling",
    "ops._deferred_views", "ops._histories", "ops._viewing", "ops.attention", "ops.classification_losses",
    "ops.joining", "ops.matrix_products", "ops.normalisation", "ops.stepping",
)  # fmt: skip
NO_HOLDERS = ("compiler.", "nn.modules.")  # whose modules, a third of all, name none of these functions
ALIASES = ("_ty", "tensor_over", "fresh_tensor")  # other names under which modules import them
_FUNCTIONS = (FunctionType, BuiltinFunctionType)
READ_AFTER = 500  # realisations after which twins from the disk pay, or those that a process beside this one compiles
ASKED_EVERY = 500  # after how many more they are looked for again
COMPILED_AFTER = 50_000  # after which they are compiled here, if no other process can: seconds, about what they save


def in_parts() -> int | None:
    """``begin``, what it needs one part a call: none of the steps meanwhile, which follow each other, takes long."""
    if not _parts or mode == "off":
        return begin()
    try:
        _parts.pop(0)()
    except _refusals():
        _parts.clear()
    return 0


def begin_early() -> None:
    """Puts twins that are on the disk in place before the first step: much will be recorded that is new."""
    from .compiler.twins import layout

    if mode == "auto" and in_parts in realisation.steady_hooks and epoch.threads.epoch.alone and layout.supported():
        try:
            found = made(compile=False)
        except _refusals():
            found = None
        if found is not None:
            put(found)
            realisation.steady_hooks.clear()


def begin(at_once: bool = False) -> int | None:
    """Puts twins in the place of the functions, if they are at hand; else how many steps later to ask again.

    If they are not, they are compiled: beside this process, where that can be, or here, if they pay.
    ``at_once``: here, whether they pay or not.
    """
    from .compiler.twins import layout

    if mode == "off" or not layout.supported():
        return None
    try:
        found = made(compile=at_once or mode == "now")
        steps = realisation.counters["realisations"]
        if found is None and steps < READ_AFTER and realisation.recorded() < realisation.MANY_NODES:
            return READ_AFTER - steps  # or when there are many nodes: then they may pay what compiling them takes
        if found is None and _are_compiled_aside():
            return ASKED_EVERY
        if found is None and (steps >= COMPILED_AFTER or realisation.recorded() > realisation.TWINS_PAY):
            found = made(compile=True)
    except _refusals():
        return None
    if found is None:
        return COMPILED_AFTER - steps
    put(found)
    return None


def _are_compiled_aside() -> bool:
    """Are they being compiled beside this process?"""
    from . import _twins_aside

    return _twins_aside.at_work()


def _refusals() -> tuple[type[Exception], ...]:
    """What says that there are no twins."""
    from .compiler.cpu.assemble import CompileError
    from .compiler.cpu.loader import LoadError
    from .compiler.cpu.target import MissingCompiler
    from .compiler.twins import layout

    return MissingCompiler, CompileError, LoadError, layout.UnsupportedError, NotImplementedError, OSError


def put(found: Mapping[Any, Any]) -> None:
    """Puts twins in the place of their functions (or the other way round): nothing may be pending in other threads."""
    root = __name__.partition(".")[0] + "."
    others = tuple([root + folder for folder in NO_HOLDERS])
    called = {*ALIASES, *[f.__name__ for pair in found.items() for f in pair]}
    for name, module in list(sys.modules.items()):
        if name.startswith(root) and not name.startswith(others) and isinstance(module, ModuleType):
            names = imported(module)
            for key in names.keys() & called:
                value = names[key]
                if value.__class__ in _FUNCTIONS and value in found:
                    names[key] = found[value]
    tape.UNHELD[0], realisation.UNHELD[0] = tape._baseline(), realisation._baseline()


def made(compile: bool) -> dict[Any, Any] | None:
    """The twins; None if they are not on the disk and are not to be compiled."""
    from .compiler.cpu import pool
    from .compiler.twins import linking

    functions, classes = _functions(), _classes()
    addresses, descriptions = _kept()
    if addresses is not None:
        constants = linking.found(descriptions, functions, classes)
    elif compile:
        addresses, constants = _compiled(functions, classes, pool.default().cache, _entry())
    else:
        return None
    if linking.forget not in exchanged:
        exchanged.append(linking.forget)
    return linking.linked(functions, constants, addresses[0])


def _kept() -> tuple[Any, Any]:
    """The addresses of the code on the disk, and what is written there of what it reads; None if there is none."""
    if not _read:
        found = _looked_for()
        if found[0] is None:
            return found
        _read.append(found)
    return _read[0]


_read: list[tuple[Any, Any]] = []


def _looked_for() -> tuple[Any, Any]:
    from .compiler.cpu import pool

    cache = pool.default().cache
    content = cache.store.get(_entry())
    if content is None:
        return None, None
    key, descriptions = marshal.loads(content)
    return cache.find([key]), descriptions


@functools.cache
def _entry() -> str:
    """What twins are kept under."""
    from .compiler.cpu import disk, pool, stored
    from .compiler.twins import layout, linking

    shapes = repr([(cls.__basicsize__, layout.names_of(cls)) for cls in _classes()])
    prints = hashlib.sha256(b"\0".join(map(linking.fingerprint, _functions()))).hexdigest()
    return disk.key_of("twins", stored.source(), sys.version, pool.default().cache.target.key, shapes, prints)


def _compiled(functions: list[Any], classes: list[type], cache: CodeCache, name: str) -> tuple[Any, list[Any]]:
    """The addresses of new code, and what it reads; both are kept on the disk."""
    from .compiler.twins import linking
    from .compiler.twins.unit import Unit

    unit = Unit(functions, classes, [cls for cls in classes if cls.__init__ is object.__init__ and not _has_new(cls)])
    addresses = cache.load([unit.text])
    descriptions = linking.described(unit.constants, functions, classes)
    cache.store.put(name, marshal.dumps((cache.key(unit.text), descriptions)))
    return addresses, unit.constants


def _has_new(cls: type) -> bool:
    return cls.__new__ is not object.__new__


def _functions() -> list[FunctionType]:
    """All functions that are marked, in an order that does not depend on what was imported first."""
    for name in HOLDERS:
        importlib.import_module(f"{__package__}.{name}")
    return sorted(marked, key=lambda f: (f.__module__, f.__qualname__))


def _classes() -> list[type]:
    """Classes whose attributes are read from their places."""
    from .autograd.memo import Pass
    from .graph import traced
    from .graph.ahead import Expected
    from .graph.epoch import Epoch
    from .graph.gradients import Gradients
    from .graph.node import Node
    from .graph.storage import Notes, Storage
    from .graph.tensor_base import View, tensor_class
    from .graph.types import Ty
    from .nn.parameter import Parameter
    from .ops.stepping import Standing

    return [Storage, tensor_class[0], Parameter, Epoch, traced.Traced, traced.Several, Node, Ty, Notes, View, Standing,
            Gradients, Pass, tape.Released, Expected]  # fmt: skip


_parts: list[Callable[[], Any]] = [_functions, _entry, _kept]  # of what ``begin`` needs, what is still to come
