"""Reads ``.metadata``: a pickle that may name what describes a checkpoint, and nothing else."""

from __future__ import annotations

import dataclasses
import io
import pathlib
import pickle
import struct
from functools import cache
from typing import Any

from flambeau import dtypes
from flambeau.distributed.checkpoint import metadata
from flambeau.graph.types import Size
from flambeau.serialization import _get_layout

_MODULE = "torch.distributed.checkpoint"
_REFUSED = frozenset(  # these allocate what a file says, or are of other uses
    code[0]
    for code in (
        pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER, pickle.PERSID, pickle.BINPERSID, pickle.EXT1,
        pickle.EXT2, pickle.EXT4, pickle.INST, pickle.OBJ,
    )
)  # fmt: skip
_DAMAGE = (
    AssertionError, AttributeError, EOFError, IndexError, KeyError, NotImplementedError, OverflowError, RecursionError,
    TypeError, ValueError, struct.error,
)  # fmt: skip


@cache
def _allowed() -> dict[tuple[str, str], Any]:
    """What every such file may name."""
    formats = metadata._MEM_FORMAT_ENCODING
    return {
        **{(f"{_MODULE}.metadata", name): getattr(metadata, name) for name in (*metadata.__all__, formats.__name__)},
        **{("pathlib", name): pathlib.PurePath for name in ("PosixPath", "WindowsPath", "PurePosixPath")},
        **{("torch", d.name): d for d in vars(dtypes).values() if isinstance(d, dtypes.dtype)},
        ("torch", "Size"): Size,
        ("torch.serialization", "_get_layout"): _get_layout,
    }


class _Unpickler(pickle._Unpickler):
    """Python's interpreter: that of C would set attributes of classes, too, where a file says so.

    Args:
        data: the file.
        storage_info: the class of places, by its name in files.
    """

    stack: list[Any]
    dispatch = {code: load for code, load in pickle._Unpickler.dispatch.items() if code not in _REFUSED}

    def __init__(self, data: bytes, storage_info: type) -> None:
        super().__init__(io.BytesIO(data))
        self._allowed = {**_allowed(), (f"{_MODULE}.filesystem", storage_info.__name__): storage_info}

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the file stands for."""
        found = self._allowed.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not expected in the metadata of a checkpoint")
        return found

    def load_build(self) -> None:
        """Gives an object its state: the values of its own fields."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, metadata.TensorProperties):
            target.__setstate__(state)
            return
        if isinstance(target, type) or not dataclasses.is_dataclass(target):
            raise pickle.UnpicklingError(f"the metadata of a checkpoint gives a state to {target!r}")
        unknown = state.keys() - {f.name for f in dataclasses.fields(target)}
        if unknown:
            raise pickle.UnpicklingError(f"{type(target).__name__} has no {', '.join(map(repr, sorted(unknown)))}")
        target.__dict__.update(state)

    dispatch[pickle.BUILD[0]] = load_build  # type: ignore[assignment]


def read(data: bytes, storage_info: type) -> metadata.Metadata:
    """The metadata that a file describes.

    Raises:
        UnpicklingError: it is damaged, or names what is not allowed.
    """
    try:
        found = _Unpickler(data, storage_info).load()
    except _DAMAGE as error:
        raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from error
    if not isinstance(found, metadata.Metadata):
        raise pickle.UnpicklingError(f"the metadata of a checkpoint is {type(found)}")
    return found
