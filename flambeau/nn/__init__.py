"""Neural networks: modules, parameters, losses, initialisation. Modules are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter  # isort: skip
from .._execution import get_ready
from .._later import Package
from . import functional, init, modules, parameter
from .modules import _HOMES

if TYPE_CHECKING:
    from .modules import *  # noqa: F403

get_ready()

_LAZY = ("attention", "common_types", "grad", "parallel", "quantized", "utils")


def factory_kwargs(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """Keyword arguments for functions such as ``torch.empty``, from those of a module.

    Args:
        kwargs: ``device``, ``dtype``, ``memory_format``, and ``factory_kwargs`` with more of the same.

    Raises:
        TypeError: There are others, or one is given twice.
    """
    if kwargs is None:
        return {}
    simple = {"device", "dtype", "memory_format"}
    unexpected = kwargs.keys() - simple - {"factory_kwargs"}
    if unexpected:
        raise TypeError(f"unexpected kwargs {unexpected}")
    result = dict(kwargs.get("factory_kwargs", {}))
    for key in simple & kwargs.keys():
        if key in result:
            raise TypeError(f"{key} specified twice, in **kwargs and in factory_kwargs")
        result[key] = kwargs[key]
    return result


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = globals()[name] = getattr(modules, name)
        return found
    if name == "DataParallel":
        return importlib.import_module(f"{__name__}.parallel").DataParallel
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


sys.modules[__name__].__class__ = Package
