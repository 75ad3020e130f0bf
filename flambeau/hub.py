"""`torch.hub`: models described by a folder's `hubconf.py`, and files fetched once into a cache folder."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import flambeau as torch
from flambeau._downloads import advise, fetch

__all__ = [
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
]

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
_chosen_dir: str | None = None


def get_dir() -> str:
    """The cache folder: what `set_dir` chose, else `$TORCH_HOME/hub`, else `~/.cache/torch/hub`."""
    if _chosen_dir is not None:
        return _chosen_dir
    return os.path.join(_get_torch_home(), "hub")


def _get_torch_home() -> str:
    """`$TORCH_HOME`, else `~/.cache/torch`; packages keep files of their own there."""
    base = os.getenv("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(base, "torch")))


def set_dir(d: str | os.PathLike[str]) -> None:
    """Choose the cache folder."""
    global _chosen_dir
    _chosen_dir = os.path.expanduser(d)


def __getattr__(name: str) -> Any:
    """``tqdm``, the progress bar, which is imported where it is installed."""
    if name != "tqdm":
        raise AttributeError(f"module 'torch.hub' has no attribute '{name}'")
    return importlib.import_module("tqdm").tqdm


def _local_conf(folder: str, source: str) -> ModuleType:
    """The module `hubconf.py` of a folder, imported with the folder first on the path."""
    if source == "github":
        raise NotImplementedError(
            f"torch.hub cannot fetch the repository {folder!r}: flambeau runs no code that it downloaded. "
            "Clone it and pass its folder with source='local'."
        )
    if source != "local":
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    path = os.path.join(folder, "hubconf.py")
    spec = importlib.util.spec_from_file_location("hubconf", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    _check_dependencies(module)
    return module


def _check_dependencies(module: ModuleType) -> None:
    missing = [name for name in getattr(module, "dependencies", ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")


def _entry(module: ModuleType, name: str) -> Any:
    if not isinstance(name, str):
        raise ValueError("Invalid input: model should be a string of function name")
    function = getattr(module, name, None)
    if function is None or not callable(function):
        raise RuntimeError(f"Cannot find callable {name} in hubconf")
    return function


def load(
    repo_or_dir: str,
    model: str,
    *args: Any,
    source: str = "github",
    trust_repo: Any = "check",
    force_reload: bool = False,
    verbose: bool = True,
    skip_validation: bool = False,
    **kwargs: Any,
) -> Any:
    """Call the entry point `model` of a folder's `hubconf.py` (`source="local"`).

    Raises:
        NotImplementedError: `source="github"`.
        RuntimeError: there is no such entry point, or a package that it needs is missing.
    """
    return _entry(_local_conf(repo_or_dir, source.lower()), model)(*args, **kwargs)


def help(github: str, model: str, *_args: Any, source: str = "github", **_kwargs: Any) -> str | None:
    """The docstring of an entry point."""
    return _entry(_local_conf(github, source.lower()), model).__doc__


def list(github: str, *_args: Any, source: str = "github", **_kwargs: Any) -> Any:
    """The names of the entry points of a folder's `hubconf.py`."""
    module = _local_conf(github, source.lower())
    return [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Fetch a file: written under a temporary name beside `dst` and renamed when whole and right.

    Raises:
        urllib.error.URLError: it cannot be fetched.
        RuntimeError: the file's SHA-256 does not begin with `hash_prefix`.
    """

    def check(found: str) -> None:
        if hash_prefix is not None and not found.startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')

    fetch(url, os.path.expanduser(dst), "sha256", check, agent="torch.hub", progress=progress)


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """Load what `torch.save` wrote from a URL, through the cache folder's `checkpoints`.

    Raises:
        urllib.error.URLError: the file cannot be fetched.
        RuntimeError: it is not the one that its name's hash promises (`check_hash`).
    """
    folder = model_dir or os.path.join(get_dir(), "checkpoints")
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    cached = os.path.join(folder, name)
    if not os.path.exists(cached):
        sys.stdout.write(f'Downloading: "{url}" to {cached}\n')
        match = HASH_REGEX.search(name) if check_hash else None
        try:
            download_url_to_file(url, cached, match.group(1) if match else None, progress=progress)
        except OSError as error:
            advise(error, f"Where there is no network, put {url} into {folder} by hand.")
            raise
    return torch.load(cached, map_location=map_location, weights_only=weights_only)
