"""``torch.distributed.checkpoint`` of one process: state_dicts as folders that PyTorch reads and writes too
(https://docs.pytorch.org/docs/stable/distributed.checkpoint.html).
"""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import flambeau as torch
from flambeau.distributed.checkpoint.api import CheckpointException
from flambeau.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from flambeau.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    TensorStorageMetadata,
)
from flambeau.distributed.checkpoint.stateful import Stateful

__all__ = [
    "BytesStorageMetadata", "CheckpointException", "ChunkStorageMetadata", "FileSystemReader", "FileSystemWriter",
    "Metadata", "TensorStorageMetadata", "async_save", "load", "save",
]  # fmt: skip

T = TypeVar("T")
Path = tuple[str | int, ...]  # the keys and places that lead to an entry


def save(
    state_dict: Mapping[str, Any], *, checkpoint_id: str | os.PathLike[str] | None = None, storage_writer: Any = None,
    planner: Any = None, process_group: Any = None, no_dist: bool = False, use_collectives: bool = True,
) -> Metadata:  # fmt: skip
    """Writes a state_dict, nested as it may be; what has a state_dict itself is asked for it.

    Args:
        state_dict: tensors and other objects.
        checkpoint_id: the folder, unless ``storage_writer`` knows it.
        storage_writer: a ``FileSystemWriter``.
        planner: has to be None.
        process_group: accepted; there is one process.
        no_dist: accepted.
        use_collectives: accepted.

    Raises:
        CheckpointException: it could not be written.
        RuntimeError: no folder is given.
    """
    _refuse_planner(planner)
    writer = storage_writer or FileSystemWriter(_folder(checkpoint_id))
    flat, paths = _flattened({k: v.state_dict() if isinstance(v, Stateful) else v for k, v in state_dict.items()})
    return _step("write", lambda: writer.write(flat, paths))


def async_save(state_dict: Mapping[str, Any], **kwargs: Any) -> Future[Metadata]:
    """``save``, which is done when this returns; the future has its result.

    Args:
        state_dict: as for ``save``.
        kwargs: those of ``save``; those that say how to wait are ignored.
    """
    for name in ("async_checkpointer_type", "async_stager"):
        kwargs.pop(name, None)
    done: Future[Metadata] = Future()
    done.set_result(save(state_dict, **kwargs))
    return done


def load(
    state_dict: dict[str, Any], *, checkpoint_id: str | os.PathLike[str] | None = None, storage_reader: Any = None,
    planner: Any = None, process_group: Any = None, no_dist: bool = False,
) -> None:  # fmt: skip
    """Fills a state_dict: its tensors in place, other objects by those of the checkpoint.

    Args:
        state_dict: what to read. What has a state_dict itself gets its part by ``load_state_dict``.
        checkpoint_id: the folder, unless ``storage_reader`` knows it.
        storage_reader: a ``FileSystemReader``.
        planner: has to be None.
        process_group: accepted; there is one process.
        no_dist: accepted.

    Raises:
        CheckpointException: an entry is missing or of another size. Then nothing has been filled.
        RuntimeError: no folder is given.
    """
    _refuse_planner(planner)
    reader = storage_reader or FileSystemReader(_folder(checkpoint_id))
    wanted = {k: v.state_dict() if isinstance(v, Stateful) else v for k, v in state_dict.items()}
    _step("read", lambda: _fill(wanted, reader))
    for key, own in list(state_dict.items()):
        if isinstance(own, Stateful):
            own.load_state_dict(wanted[key])
        else:
            state_dict[key] = wanted[key]


def _fill(wanted: dict[str, Any], reader: FileSystemReader) -> None:
    metadata = reader.read_metadata()
    flat, paths = _flattened(wanted)
    for name, value in flat.items():
        _check_entry(name, value, metadata.state_dict_metadata.get(name))
    with torch.no_grad():
        for name, value in flat.items():
            if isinstance(metadata.state_dict_metadata[name], TensorStorageMetadata):
                reader.read_tensor(metadata, name, value.detach())
            else:
                _put(wanted, paths[name], reader.read_bytes(metadata, name))


def _check_entry(name: str, value: Any, saved: Any) -> None:
    if saved is None:
        raise RuntimeError(f"Missing key in checkpoint state_dict: {name}.")
    if not isinstance(saved, TensorStorageMetadata):
        return
    if not isinstance(value, torch.Tensor):
        raise ValueError(
            f"Invalid checkpoint metadata for {name}, expected BytesStorageMetadata but found {type(saved)}"
        )
    if saved.size != value.size():
        raise ValueError(f"Size mismatch between saved {saved.size} and current: {value.size()} for {name}")


def _flattened(state_dict: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """Entries by their full names, which are the keys on the way to them; lists are entered if tensors are in them."""
    flat: dict[str, Any] = {}
    paths: dict[str, Path] = {}

    def visit(path: Path, value: Any) -> None:
        if isinstance(value, Mapping):
            for k, v in value.items():
                visit((*path, str(k)), v)
        elif isinstance(value, list) and _has_entries(value):
            for k, v in enumerate(value):
                visit((*path, k), v)
        else:
            name = ".".join(map(str, path))
            if name in flat:
                raise ValueError(f"duplicated flatten key {name}")
            flat[name], paths[name] = value, path

    visit((), state_dict)
    return flat, paths


def _has_entries(value: list[Any]) -> bool:
    return any(isinstance(v, (torch.Tensor, Mapping)) or (isinstance(v, list) and _has_entries(v)) for v in value)


def _put(tree: Any, path: Path, value: Any) -> None:
    """Puts an entry in its place; keys that are no strings were written as such."""
    for step in path[:-1]:
        tree = tree[_key(tree, step)]
    tree[_key(tree, path[-1])] = value


def _key(tree: Any, step: str | int) -> Any:
    return step if isinstance(tree, list) or step in tree else next((k for k in tree if str(k) == step), step)


def _step(name: str, run: Callable[[], T]) -> T:
    try:
        return run()
    except Exception as error:
        places = traceback.extract_tb(error.__traceback__)
        raise CheckpointException(name, {0: (error, places)}) from error


def _folder(checkpoint_id: Any) -> Any:
    if checkpoint_id is None:
        raise RuntimeError("`checkpoint_id` must be specified if storage_reader/storage_writer is None.")
    return checkpoint_id


def _refuse_planner(planner: Any) -> None:
    if planner is not None:
        raise NotImplementedError("torch.distributed.checkpoint: planners are not supported; leave planner out")


def save_state_dict(state_dict: Mapping[str, Any], storage_writer: Any, *args: Any, **kwargs: Any) -> Metadata:
    """``save`` under its old name."""
    warnings.warn("'save_state_dict' is deprecated and will be removed in future versions.Please use 'save' instead.",
                  FutureWarning, stacklevel=2)  # fmt: skip
    return save(state_dict, storage_writer=storage_writer)


def load_state_dict(state_dict: dict[str, Any], storage_reader: Any, *args: Any, **kwargs: Any) -> None:
    """``load`` under its old name."""
    warnings.warn("'load_state_dict' is deprecated and will be removed in future versions. Please use 'load' instead.",
                  FutureWarning, stacklevel=2)  # fmt: skip
    load(state_dict, storage_reader=storage_reader)
