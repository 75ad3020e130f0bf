"""Saving what `script` and `trace` return.

TorchScript's archives hold programs, so that C++ can run them. Here a function or module stays Python, and an archive
holds its class or name, and a module's weights, as `torch.save` writes them. It is read as `weights_only=True` does:
what it may name beside data are classes of modules that the program has loaded, and the activations that these hold.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
import types
import zipfile
from typing import Any, TypeVar

import flambeau as torch
from flambeau.serialization._names import real_module, resolve

_T = TypeVar("_T")
_KIND = "flambeau.jit"
_ACTIVATIONS = ("torch.nn.functional.relu", "torch.nn.functional.gelu")  # of layers of transformers


def with_save(obj: _T) -> _T:
    """The function or module, which has `save` from now on, unless it has one."""
    if isinstance(obj, (torch.nn.Module, types.FunctionType)) and not hasattr(obj, "save"):
        obj.__dict__["save"] = functools.partial(save, obj)
    return obj


def save(m: Any, f: Any, _extra_files: dict[str, Any] | None = None) -> None:
    """Writes a function or module to a file or buffer, with texts or bytes beside it.

    Raises:
        RuntimeError: it cannot be found again by its name, as a lambda or a local class.
    """
    files = {name: x.encode() if isinstance(x, str) else bytes(x) for name, x in (_extra_files or {}).items()}
    own = m.__dict__.pop("save", None)
    try:
        what = m if isinstance(m, torch.nn.Module) else _name_of(m)
        torch.save({"kind": _KIND, "what": what, "files": files}, f)
    except (pickle.PicklingError, AttributeError) as error:
        raise RuntimeError(
            f"torch.jit.save of flambeau keeps functions and classes by name, and cannot find this one by its: {error}"
        ) from error
    finally:
        if own is not None:
            m.__dict__["save"] = own


def load(
    f: Any, map_location: Any = None, _extra_files: dict[str, Any] | None = None, _restore_shapes: bool = False
) -> Any:
    """The function or module that `save` wrote; the values of `_extra_files` become the bytes saved beside it.

    Raises:
        NotImplementedError: it is an archive of TorchScript.
        RuntimeError: it is no such archive, or names what is no module or function of the program.
        ValueError: there is no such file.
    """
    if isinstance(f, (str, os.PathLike)) and not os.path.exists(f):
        raise ValueError(f"The provided filename {f} does not exist")
    if _is_torchscript(f):
        raise NotImplementedError(
            "torch.jit.load is not supported by flambeau for archives of TorchScript, which hold no Python. "
            "Save the module's state_dict() with torch.save and load it into a module made by the program."
        )
    found = _read(f, map_location)
    if not isinstance(found, dict) or found.get("kind") != _KIND:
        raise RuntimeError("torch.jit.load: the file was not written by torch.jit.save")
    for name in _extra_files or {}:
        _extra_files[name] = found["files"].get(name, b"")  # type: ignore[index]
    what = found["what"]
    return with_save(_function_named(*what) if isinstance(what, tuple) else what)


def _read(f: Any, map_location: Any) -> Any:
    """What the archive holds, with the classes of its modules as all that it may name."""
    at = f.tell() if hasattr(f, "tell") else None
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(f)
    except ValueError:
        raise RuntimeError("torch.jit.load: the file was not written by torch.jit.save") from None
    if at is not None:
        f.seek(at)
    with torch.serialization.safe_globals([(_part(name), name) for name in names]):
        return torch.load(f, map_location, weights_only=True)


def _part(path: str) -> Any:
    """What an archive names: a class of modules, or an activation; only flambeau's own are imported for it."""
    home, _, name = path.rpartition(".")
    try:
        found = resolve(home, name) if real_module(home) else getattr(sys.modules.get(home), name)
    except (AttributeError, ModuleNotFoundError):
        raise RuntimeError(f"torch.jit.load of flambeau needs the class {path}, which the program has not") from None
    if not (isinstance(found, type) and issubclass(found, torch.nn.Module) or path in _ACTIVATIONS):
        raise RuntimeError(
            f"torch.jit.load of flambeau reads modules, and the archive names {path}, which is none. If you trust the "
            'file: torch.load(file, weights_only=False)["what"]'
        )
    return found


def _name_of(f: Any) -> tuple[str, str]:
    """The module and name of a function.

    Raises:
        AttributeError: another or nothing has this name.
    """
    home, name = f.__module__, f.__qualname__
    if getattr(sys.modules.get(home), name, None) is not f:
        raise AttributeError(f"{home}.{name}")
    return home, name


def _function_named(home: str, name: str) -> Any:
    """The function of the program with this name; none of Python's own library, which could do harm."""
    found = getattr(sys.modules.get(home), name, None)
    if not isinstance(found, types.FunctionType) or home.partition(".")[0] in sys.stdlib_module_names:
        raise RuntimeError(f"torch.jit.load of flambeau needs the function {home}.{name}, which the program has not")
    return found


def _is_torchscript(f: Any) -> bool:
    at = f.tell() if hasattr(f, "tell") else None
    try:
        with zipfile.ZipFile(f) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False
    finally:
        if at is not None:
            f.seek(at)
